"""Dataset classification: which data set is an image from?

    python -m experiments.dataset_classification                   # images drawn here
    python -m experiments.dataset_classification --sources A=PATH B=PATH C=PATH
    python -m experiments.dataset_classification transforms --sources A=PATH B=PATH C=PATH
    python -m experiments.dataset_classification --preset paper --sources Y=... C=... D=...
    python -m experiments.dataset_classification --help

PATH is a folder of images, WebDataset shards, an npz file or a TFDS set; see --help of an
experiment. Expected time of each experiment's default on two CPU cores: two to ten minutes.
Expected result: a table of accuracies beside chance and hand-made features, the leak
audit's warnings, the table "published | here | verdict", figures and results.parquet in
runs/dataset_classification/.
"""

from jaxbias.cli import run_study

if __name__ == "__main__":
    run_study("dataset_classification")
