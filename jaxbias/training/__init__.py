"""Training: schedules, optimisers and what keeps them."""
