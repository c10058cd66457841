"""Neural Redshift: the complexity that random networks prefer.

    python -m experiments.neural_redshift                        # random-networks, quick
    python -m experiments.neural_redshift --preset smoke
    python -m experiments.neural_redshift --setting author_code --parts heatmaps
    python -m experiments.neural_redshift --help

Expected time of the default on two CPU cores: under two minutes. Expected result:
heatmaps, curves and sample images in runs/neural_redshift/, results.parquet with one row
for each network, and the table "published | here | verdict".
"""

from jaxbias.cli import run_study

if __name__ == "__main__":
    run_study("neural_redshift")
