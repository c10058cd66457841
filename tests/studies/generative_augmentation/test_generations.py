"""Recursive fitting: summaries against points, the law, and the run."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import whole_runs

from jaxbias import devices, sweeps
from jaxbias.runs import UsageError
from jaxbias.studies.generative_augmentation import law
from jaxbias.studies.generative_augmentation.generations import (
    chains,
    experiment,
    ledger,
)
from jaxbias.studies.generative_augmentation.generations.config import PRESETS, Config

SMALL = Config(m_real=(10,), dims=(4,), generations=8, n_trials=500)

FEW = 400
"""Chains of which every point is drawn."""


def computed(config, num_devices=None):
    mesh = devices.mesh(num_devices)
    blocks = chains.blocks(config, jax.random.key(config.seed), mesh)
    return chains.table(config, sweeps.sweep(blocks, mesh))


@pytest.fixture(scope="module")
def table():
    return computed(SMALL)


def rows(table, scheme):
    return table["scheme"] == scheme


def summary(z):
    """Of points whose classes alternate."""
    means = np.stack([z[::2].mean(0), z[1::2].mean(0)])
    squares = ((z[::2] - means[0]) ** 2).sum(0) + ((z[1::2] - means[1]) ** 2).sum(0)
    return chains.Summary(
        count=jnp.float32(len(z)),
        means=jnp.asarray(means),
        squares=jnp.asarray(squares),
    )


def test_merged_summaries_are_those_of_all_points():
    rng = np.random.default_rng(0)
    first = rng.normal(1, 2, (10, 3)).astype(np.float32)
    second = rng.normal(-1, 1, (24, 3)).astype(np.float32)
    merged = chains.merge(summary(first), summary(second))
    whole = summary(np.concatenate([first, second]))
    for one, other in zip(merged, whole, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5)


def test_drawn_summaries_have_the_moments_of_points(key):
    m, chains_ = 10.0, 4000
    means = jnp.asarray([[1.0], [-2.0]])
    variance = jnp.asarray([4.0])
    draw = lambda k: chains.draw(k, jnp.float32(m), means, variance)  # noqa: E731
    found = jax.vmap(draw)(jax.random.split(key, chains_))
    np.testing.assert_allclose(found.means.mean(0), means, atol=0.06)
    np.testing.assert_allclose(found.means.var(0), 2 * 4 / m, rtol=0.1)
    variances = np.asarray(found.squares) / (m - 2)
    assert variances.mean() == pytest.approx(4, rel=0.03)
    assert variances.var() == pytest.approx(2 * 16 / (m - 2), rel=0.15)


def simulated(scheme, m, dim, generations, trials):
    """The same chains with every point drawn."""
    rng = np.random.default_rng(1)
    logs = np.zeros(generations + 1)
    for _ in range(trials):
        real = rng.normal(size=(m, dim))
        seen = real
        for generation in range(generations + 1):
            means = np.stack([seen[::2].mean(0), seen[1::2].mean(0)])
            spread = sum(((seen[c::2] - means[c]) ** 2).sum(0) for c in (0, 1)) / (
                len(seen) - 2
            )
            logs[generation] += np.log(spread).mean() / trials
            new = np.empty((m, dim))
            for c in (0, 1):
                noise = rng.normal(size=(m // 2, dim))
                new[c::2] = means[c] + np.sqrt(spread) * noise
            if scheme == "replace":
                seen = new
            elif scheme == "accumulate":
                seen = np.concatenate([seen, new])
            else:
                seen = np.concatenate([rng.normal(size=(m, dim)), new])
    return logs


@pytest.mark.parametrize("scheme", SMALL.schemes)
def test_chains_are_those_of_points_drawn_one_by_one(table, scheme):
    expected = simulated(scheme, 10, 4, SMALL.generations, FEW)
    found = table["log_variance"][rows(table, scheme)]
    error = table["log_variance_se"][rows(table, scheme)] * np.sqrt(
        1 + SMALL.n_trials / FEW
    )
    assert np.abs((found - expected) / error).max() < 4.5


def test_replaced_chains_follow_the_law(table):
    chosen = rows(table, "replace")
    for name in ("variance", "log_variance", "displacement"):
        off = table[name][chosen] - table[f"law_{name}"][chosen]
        assert np.abs(off / table[f"{name}_se"][chosen])[:4].max() < 4
    spread = table["log_variance_se"][chosen] * np.sqrt(SMALL.n_trials)
    # The mean of four coordinates varies half as much as one.
    np.testing.assert_allclose(
        spread, table["law_log_variance_sd"][chosen] / 2, rtol=0.15
    )


def test_the_first_generation_is_the_paper_s_generator(table):
    first = table["generation"] == 0
    for name in ("excess_nll", "test_error", "variance"):
        assert len(set(table[name][first])) == 1
    at = first & rows(table, "replace")
    excess = 4 / 2 * law.excess(10, 0.0)
    assert abs(table["excess_nll"][at] - excess) < 4 * table["excess_nll_se"][at]
    risk = law.zero_one_risk(10, 0.0, 4, 0.6)
    assert abs(table["test_error"][at] - risk) < 4 * table["test_error_se"][at]


def test_devices_do_not_matter(table):
    again = computed(SMALL, 1)
    for name, values in table.items():
        np.testing.assert_array_equal(values, again[name], err_msg=name)


def test_more_generations_begin_alike():
    config = replace(SMALL, n_trials=50, schemes=("fresh",))
    short, long = (computed(replace(config, generations=count)) for count in (3, 8))
    for scheme in config.schemes:
        np.testing.assert_allclose(
            short["variance"][rows(short, scheme)],
            long["variance"][rows(long, scheme)][:4],
            rtol=1e-5,
        )


@pytest.mark.parametrize(
    "change, message",
    [
        ({"m_real": (7,)}, "--m-real: must be even"),
        ({"m_real": (2,)}, "--m-real: must be >= 4"),
        ({"dims": (0,)}, "--dims: must be >= 1"),
        ({"generations": 0}, "--generations: must be >= 1"),
        ({"n_trials": 1}, "--n-trials: must be >= 2"),
        ({"sigma": -1.0}, "--sigma: must be > 0"),
        ({"schemes": ()}, "--schemes: at least one"),
    ],
)
def test_bad_options_are_refused(change, message):
    with pytest.raises(UsageError, match=message):
        experiment.check(replace(Config(), **change))


def test_a_run_of_the_smoke_preset(tmp_path):
    config = replace(PRESETS["smoke"], n_trials=100)
    run = whole_runs.finished(experiment, config, tmp_path / "run")
    assert len(run.read_table()["variance"]) == 3 * 2 * 31
    assert {v["outcome"] for v in run.read_verdicts()} == {"reproduced"}
    assert (run.path / "figures" / "generations.png").stat().st_size > 20_000


BREAKS = {
    "replace-martingale": ("displacement", lambda t: t["displacement"] * 1.5),
    "replace-dies": ("log_variance", lambda t: t["log_variance"] / 2),
    "accumulate-bounded": (
        "log_variance",
        lambda t: t["log_variance"] - (t["scheme"] == "accumulate") * t["generation"],
    ),
    "fresh-bounded": (
        "log_variance",
        lambda t: t["log_variance"] + (t["scheme"] == "fresh") * t["generation"],
    ),
    "order-of-errors": ("test_error", lambda t: -t["test_error"]),
}


@pytest.mark.parametrize("entry", BREAKS)
def test_every_entry_can_fail(table, entry):
    name, change = BREAKS[entry]
    found = {
        v["id"]: v["outcome"]
        for v in ledger.judge(table | {name: change(table)}, SMALL)
    }
    assert found[entry] == "not reproduced"
    assert set(BREAKS) == set(found)


def test_few_chains_are_not_judged(table):
    found = ledger.judge(table, replace(SMALL, n_trials=10))
    assert {v["outcome"] for v in found} == {"not judged"}
