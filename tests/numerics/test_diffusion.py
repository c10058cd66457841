"""Diffusion: levels, preconditioning, and samplers on densities whose denoiser is known."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxbias.numerics import diffusion
from jaxbias.numerics.diffusion import Sampler, sampled

# Paper's law at 18 steps, as an independent program has it.
LEVELS = [
    *(80, 57.6, 40.8, 28.4, 19.4, 12.9, 8.40, 5.32, 3.26, 1.92),
    *(1.088, 0.585, 0.296, 0.140, 0.0599, 0.0229, 0.0075, 0.002, 0),
]


def test_the_levels_are_the_published_ones():
    how = Sampler()
    np.testing.assert_allclose(how.levels, LEVELS, rtol=0.01)
    assert how.calls == 35 and how.levels[0] == pytest.approx(80)


@pytest.mark.parametrize(
    "changes",
    [{"steps": 1}, {"least": 90.0}, {"rho": 0.0}, {"churn": -1.0}],
)
def test_impossible_samplers_are_refused(changes):
    with pytest.raises(ValueError, match=r"steps from|churn"):
        Sampler(**changes)


def test_preconditioning_keeps_inputs_and_targets_at_deviation_one():
    sigma = jnp.asarray([0.002, 0.1, 0.5, 3.0, 80.0])
    found = diffusion.preconditioning(sigma)
    random = np.random.default_rng(0)
    clean = 0.5 * random.normal(size=(200_000, 5))
    noisy = clean + np.asarray(sigma) * random.normal(size=clean.shape)
    into = np.asarray(found.into) * noisy
    np.testing.assert_allclose(into.std(0), 1, rtol=0.02)
    # What the network has to give: (clean - skip noisy) / out.
    target = (clean - np.asarray(found.skip) * noisy) / np.asarray(found.out)
    np.testing.assert_allclose(target.std(0), 1, rtol=0.02)
    # And the weighted error of the denoiser is the network's own.
    np.testing.assert_allclose(diffusion.weight(sigma) * found.out**2, 1, rtol=1e-5)
    np.testing.assert_allclose(found.noise, np.log(np.asarray(sigma)) / 4, rtol=1e-5)


def test_levels_of_training_are_log_normal(key):
    logs = np.log(np.asarray(diffusion.levels(key, 20_000)))
    assert abs(logs.mean() + 1.2) < 0.05 and abs(logs.std() - 1.2) < 0.05


MEAN, DEVIATION = 0.3, 0.5


def of_normal(x, level):
    """The denoiser of a normal density."""
    level = level[:, None]
    share = DEVIATION**2 / (DEVIATION**2 + level**2)
    return MEAN + share * (x - MEAN)


def test_the_deterministic_sampler_follows_the_exact_flow(key):
    calls = []

    def counted(x, level):
        jax.debug.callback(lambda: calls.append(1))
        return of_normal(x, level)

    how = Sampler()
    start = jax.random.normal(jax.random.clone(key), (500, 2))
    found = np.asarray(jax.jit(lambda x: sampled(counted, key, x, how))(start))
    jax.effects_barrier()
    assert len(calls) == how.calls
    first = how.greatest * np.asarray(start)
    spread = np.sqrt(DEVIATION**2 + how.greatest**2)
    exact = MEAN + (first - MEAN) * DEVIATION / spread
    # 18 levels of 80 to 0 are few; Heun's method is of second order.
    np.testing.assert_allclose(found, exact, atol=0.12)
    fine = sampled(of_normal, key, start, Sampler(steps=72))
    assert np.abs(fine - exact).max() < np.abs(found - exact).max() / 8


def test_churning_keeps_the_law(key):
    start, noise = jax.random.split(key)
    x = jax.random.normal(start, (20_000, 1))
    how = Sampler(steps=64, churn=20.0, churn_from=0.05, churn_to=50.0)
    found = np.asarray(sampled(of_normal, jax.random.clone(noise), x, how))
    assert abs(found.mean() - MEAN) < 0.02 and abs(found.std() - DEVIATION) < 0.02
    other = sampled(of_normal, noise, x, Sampler(steps=64))
    # Noise was added on the way, and forgot where samples began.
    assert abs(np.corrcoef(found[:, 0], np.asarray(other)[:, 0])[0, 1]) < 0.9


def test_a_mixture_keeps_its_shares_and_places(key):
    places = jnp.asarray([[-1.0, 0.0], [1.0, 0.5], [0.0, 1.0]])
    shares, width = jnp.asarray([0.5, 0.3, 0.2]), 0.1

    def denoise(x, level):
        variance = width**2 + level**2
        apart = jnp.sum((x[:, None] - places[None]) ** 2, axis=-1)
        logs = jnp.log(shares)[None] - apart / (2 * variance[:, None])
        weights = jax.nn.softmax(logs, axis=1)
        share = (width**2 / variance)[:, None, None]
        means = places[None] + share * (x[:, None] - places[None])
        return jnp.sum(weights[:, :, None] * means, axis=1)

    start, noise = jax.random.split(key)
    x = jax.random.normal(start, (8_000, 2))
    found = np.asarray(sampled(denoise, noise, x, Sampler()))
    apart = np.linalg.norm(found[:, None] - np.asarray(places)[None], axis=-1)
    nearest = apart.argmin(1)
    np.testing.assert_allclose(np.bincount(nearest) / 8_000, shares, atol=0.03)
    for number in range(3):
        own = found[nearest == number]
        np.testing.assert_allclose(own.mean(0), places[number], atol=0.03)
        np.testing.assert_allclose(own.std(0), width, rtol=0.15)
