"""Measure what neural networks are biased towards, before, during and after training.

`numerics` has measures of arrays, `models` and `data` what is measured and shown,
`probes` measures of any function `predict(params, inputs)`, `training` and `sweeps`
what runs many of them, and `studies` the published experiments. Importing this starts
no device.
"""

__version__ = "0.1.0"
