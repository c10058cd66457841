"""Generative data augmentation: when do generated data help a classifier?

python -m experiments.generative_augmentation                  # gaussian-mixture, quick
python -m experiments.generative_augmentation --preset smoke
python -m experiments.generative_augmentation --m-real 10 100 --dims 5 --gammas 0 1 10
python -m experiments.generative_augmentation --help
"""

from jaxbias.cli import run_study

if __name__ == "__main__":
    run_study("generative_augmentation")
