"""What views hide of an image, and what shape bias makes of it."""
