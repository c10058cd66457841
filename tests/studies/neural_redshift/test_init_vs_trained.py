"""Init against trained: correlations of known pairs, the rule, a whole run."""

from dataclasses import replace

import numpy as np
import pytest
import whole_runs
from scipy import stats

from jaxbias.studies.neural_redshift.init_vs_trained import (
    correlations,
    experiment,
    published,
)
from jaxbias.studies.neural_redshift.modulo import trainings
from jaxbias.studies.neural_redshift.modulo.config import Config
from jaxbias.studies.neural_redshift.modulo.evidence import Evidence

CONFIG = Config(
    moduli=(7,),
    integers=4,
    activations=("relu", "tanh", "sine"),
    prefactors=(0.5, 1.0, 2.0, 4.0, 8.0),
    n_seeds=4,
    iterations=(10, 1000),
    measures=("dct",),
)


def evidence(noise, config=CONFIG, degenerate=0):
    """Complexity after training that is the one before, and noise."""
    names = (*trainings.statistics(config), "test_majority")
    count = len(config.activations) * len(config.prefactors) * config.n_seeds
    random = np.random.default_rng(0)
    before = random.normal(size=count)
    rows = []
    for number in range(count):
        for look in range(1 + len(config.iterations)):
            row = dict.fromkeys(names, 0.0)
            value = before[number]
            if look:
                value += noise * random.normal()
            row |= {"dct": value, "path_variation": value, "test_majority": 0.5}
            row["degenerate"] = float(number < degenerate and look == 0)
            rows.append([row[name] for name in names])
    return Evidence(trainings.table(config, {"seen": np.asarray(rows)}), config)


def verdicts(found):
    rows = published.judge(correlations.table(found))
    return {row["id"]: row["outcome"] for row in rows}


def test_correlations_are_scipys():
    found = evidence(0.5)
    table = correlations.table(found)
    columns = found.columns
    x = columns["dct"][columns["steps"] == 0]
    y = columns["dct"][columns["steps"] == 1000]
    (row,) = np.flatnonzero((table["measure"] == "dct") & (table["steps"] == 1000))
    assert table["networks"][row] == 60
    assert table["spearman"][row] == pytest.approx(stats.spearmanr(x, y).statistic)
    assert table["pearson"][row] == pytest.approx(stats.pearsonr(x, y).statistic)
    assert table["spearman_low"][row] < table["spearman"][row]


def test_networks_that_could_not_be_measured_are_left_out():
    table = correlations.table(evidence(0.5, degenerate=7))
    assert set(table["networks"].tolist()) == {53}


def test_the_rule_can_go_either_way():
    assert set(verdicts(evidence(0.1)).values()) == {"reproduced"}
    assert set(verdicts(evidence(10.0)).values()) == {"not reproduced"}
    few = replace(CONFIG, n_seeds=2)
    assert set(verdicts(evidence(0.1, few)).values()) == {"not judged"}
    short = replace(CONFIG, iterations=(10,))
    assert set(verdicts(evidence(0.1, short)).values()) == {"not judged"}


def test_a_run_ends_with_tables_and_figures(tmp_path):
    config = replace(
        CONFIG,
        prefactors=(0.5, 2.0),
        activations=("relu", "sine"),
        n_seeds=2,
        iterations=(2, 5),
        width=6,
        depth=1,
        resolution=8,
        dimensions=(2,),
    )
    run = whole_runs.finished(experiment, config, tmp_path / "run")
    assert len(run.read_table("correlations.parquet")["steps"]) == 4
    variation = run.read_table()["path_variation"]
    # Up and down once in standard deviations is 2 at most for what rises or falls alone.
    assert (variation > 0).all()
    names = {path.name for path in (run.path / "figures").iterdir()}
    assert names == {"over_training.png", "scatter_2d.png"}
