"""How easily networks learn shapes and textures of the same images."""
