"""The statistics of the ImageNet-bias study, on the published table or one like it."""
