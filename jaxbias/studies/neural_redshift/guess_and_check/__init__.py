"""The guess-and-check experiment: random networks that happen to fit a few points."""
