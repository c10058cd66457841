"""How natural made images are, with as many programs."""
