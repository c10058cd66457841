"""Images and points: read from files, drawn here, and changed on the device.

Sources read archives, folders, shards and prepared sets as uint8; generators draw
images from nothing; augmentations, corruptions and transforms are pure functions of a
key and a batch. Nothing here knows a network.
"""
