"""Shares of variance by factor: against statsmodels' formulas by hand, and chance."""

import itertools

import numpy as np
import pytest

from jaxbias.numerics.factors import effects

DESIGN = list(itertools.product("abc", (0, 1), ("x", "y"), range(2)))
FACTORS = {
    name: [cell[i] for cell in DESIGN] for i, name in enumerate(("set", "net", "task"))
}


def of(values, **options):
    return effects(
        np.asarray(values), FACTORS, **{"permutations": 199, "seed": 0} | options
    )


def test_one_factor_that_explains_all():
    found = of([float(cell[1]) for cell in DESIGN])
    assert found["net"].share == pytest.approx(1) and found["net"].p < 0.01
    assert all(found[name].share < 1e-9 for name in found if name != "net")
    assert found["set"].p == 1


def test_shares_are_those_of_sums_of_squares():
    values = np.random.default_rng(0).normal(size=len(DESIGN))
    found = of(values)
    # Least squares on indicators, one set of columns after the other.
    columns = {
        name: np.stack([np.asarray(v) == level for level in dict.fromkeys(v)], 1)
        for name, v in FACTORS.items()
    }

    def explained(*names):
        parts = [np.ones((len(values), 1))]
        for name in names:
            first, *rest = (columns[one].astype(float) for one in name.split(":"))
            for other in rest:
                both = first[:, :, None] * other[:, None]
                first = both.reshape(len(first), -1)
            parts.append(first)
        design = np.concatenate(parts, 1)
        fit = design @ np.linalg.lstsq(design, values, rcond=None)[0]
        return ((fit - values.mean()) ** 2).sum() / (
            (values - values.mean()) ** 2
        ).sum()

    for name in FACTORS:
        assert found[name].share == pytest.approx(explained(name))
    both = explained("set", "net", "set:net") - explained("set") - explained("net")
    assert found["set:net"].share == pytest.approx(both)
    assert sum(effect.share for effect in found.values()) == pytest.approx(1)


def test_p_is_even_under_chance():
    found = [
        of(np.random.default_rng(seed).normal(size=len(DESIGN)), permutations=99)
        for seed in range(200)
    ]
    for name in FACTORS:
        below = np.mean([one[name].p <= 0.2 for one in found])
        assert abs(below - 0.2) < 4 * np.sqrt(0.2 * 0.8 / 200)


def test_an_effect_is_found_beside_larger_ones():
    noise = np.random.default_rng(1).normal(size=len(DESIGN))
    found = of([10 * (c[0] == "a") + 1.5 * c[1] for c in DESIGN] + 0.3 * noise)
    assert found["net"].share < 0.1 and found["net"].p < 0.01
    assert found["task"].p > 0.01


def test_constants_and_holes():
    found = of(np.full(len(DESIGN), 0.3))
    assert np.isnan(found["set"].share) and found["set"].p == 1
    with pytest.raises(ValueError, match="equally often"):
        effects(np.arange(3.0), {"a": [0, 0, 1]}, permutations=10, seed=0)
