"""Train an image classifier on any source of labelled images.

    python -m experiments.train                                  # images drawn here
    python -m experiments.train --preset smoke
    python -m experiments.train --data cifar10:cifar-10-batches-bin
    python -m experiments.train --data folder:photos --model resnet18 --size 64
    python -m experiments.train --recipe plain --preset paper --data cifar10:DIR   # a GPU
    python -m experiments.train --help

Expected time of the default on two CPU cores: about two minutes; of the same on CIFAR-10
three, with a test accuracy of about 75 %. Expected result: a table of loss and
accuracy by seed, figures of the curves and of the confusion of classes, metrics.jsonl,
results.parquet, predictions.parquet and checkpoints in runs/train/.
"""

from jaxbias.cli import run_study

if __name__ == "__main__":
    run_study("train")
