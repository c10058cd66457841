"""How various the images of a set are, with all else alike."""
