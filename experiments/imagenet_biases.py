"""Biases of ImageNet models: shape, spectrum, critical band, and what they explain.

    python -m experiments.imagenet_biases correlations --table FILE --categories FILE
    python -m experiments.imagenet_biases shape-bias-from-trials --trials DIR
    python -m experiments.imagenet_biases --help

The first reads benchmark.csv and r50_categories.json of the published repository
(github.com/paulgavrikov/biases_vs_generalization), the second a folder of model-vs-human's
files of trials. Expected time on two CPU cores: half a minute, and a few seconds. Expected
result: tables and figures in runs/imagenet_biases/, and the table "published | here |
verdict".
"""

from jaxbias.cli import run_study

if __name__ == "__main__":
    run_study("imagenet_biases")
