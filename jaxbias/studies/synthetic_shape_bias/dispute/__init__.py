"""Whether measures of shape bias agree about networks."""
