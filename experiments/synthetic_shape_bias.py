"""Synthetic data and shape bias: images made from nothing, and measures of their bias.

    python -m experiments.synthetic_shape_bias                     # the measures themselves
    python -m experiments.synthetic_shape_bias metric-calibration --cue-conflict DIR
    python -m experiments.synthetic_shape_bias train --data fractal --supervision simclr
    python -m experiments.synthetic_shape_bias generate --data fractal --n 100000 --out DIR
    python -m experiments.synthetic_shape_bias --help

The first two tell what published measures of shape bias read on features that nobody
trained, such as pixels and colours, on stimuli that are drawn here and on the official
ones (github.com/rgeirhos/texture-vs-shape, stimuli/style-transfer-preprocessed-512).
Expected time on two CPU cores: two minutes. The third trains a network on made images and
watches its shape bias: some five minutes. The fourth writes images; 1,000 of 64 pixels take
a few seconds. Expected result: tables and figures in runs/synthetic_shape_bias/, and the
table "published | here | verdict".
"""

from jaxbias.cli import run_study

if __name__ == "__main__":
    run_study("synthetic_shape_bias")
