"""What the measures of shape bias read on features that nobody trained."""
