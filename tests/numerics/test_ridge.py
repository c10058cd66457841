"""Ridge regression: its closed form against refitting, laws and noise."""

import numpy as np
import pytest

from jaxbias.numerics.ridge import left_out_errors, out_of_sample, saved


def test_left_out_errors_are_those_of_refitting():
    random = np.random.default_rng(0)
    x, y = random.normal(size=(12, 3)), random.normal(size=12)
    found = left_out_errors(x, y, np.array([0.0, 1e9]))
    for i in range(12):
        kept = np.arange(12) != i
        design = np.c_[np.ones(11), x[kept]]
        weights = np.linalg.lstsq(design, y[kept], rcond=None)[0]
        expected = y[i] - np.r_[1, x[i]] @ weights
        assert found[0, i] == pytest.approx(expected)
        # An infinite penalty leaves the mean.
        assert found[1, i] == pytest.approx(y[i] - y[kept].mean(), rel=1e-6)


def test_a_law_is_found_and_noise_is_not():
    random = np.random.default_rng(0)
    x, folds = random.normal(size=(48, 6)), np.repeat(np.arange(6), 8)
    law = x @ np.arange(6.0) + 0.1 * random.normal(size=48)
    noise = random.normal(size=48)
    for y, least, most in ((law, 0.99, 1.0), (noise, -1.0, 0.15)):
        found, plain = out_of_sample(x, y, folds)
        assert least <= saved(y, found, plain) <= most
        assert plain[0] == pytest.approx(y[8:].mean())


def test_what_is_saved_is_a_share():
    y, plain = np.asarray([1.0, 3.0]), np.asarray([2.0, 2.0])
    assert saved(y, y, plain) == 1 and saved(y, plain, plain) == 0
    assert saved(y, 4 - y, plain) == -3 and np.isnan(saved(y, plain, y))
