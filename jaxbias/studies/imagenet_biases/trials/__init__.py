"""Shape bias and error consistency of people and networks, from files of trials."""
