"""Generative data augmentation: when do generated data help a classifier?

    python -m experiments.generative_augmentation                  # gaussian-mixture, quick
    python -m experiments.generative_augmentation --preset smoke
    python -m experiments.generative_augmentation --m-real 10 100 --dims 5 --gammas 0 1 10
    python -m experiments.generative_augmentation mixture-variants
    python -m experiments.generative_augmentation generations
    python -m experiments.generative_augmentation --help

Expected time of the default on two CPU cores: half a minute; of the other two likewise.
Expected result: the paper's Figure 1 with the exact law, losses, bound and map in
runs/generative_augmentation/, results.parquet with one row for each point and sampler, and
the table "published | here | verdict", all of it reproduced.
"""

from jaxbias.cli import run_study

if __name__ == "__main__":
    run_study("generative_augmentation")
