"""Probes: what a function prefers, measured through `predict(params, inputs)`."""
