"""Probes: what a function prefers, measured through `predict(params, inputs)`.

Any network will do: a probe needs its function and parameters, and says of its reading
whether it means anything.
"""
