"""The unbiased model against its formula, its spectrum and white noise."""

import jax
import jax.numpy as jnp
import numpy as np
import oracles
import pytest

from jaxbias.models.priors import PRIORS, draw, scale
from jaxbias.models.unbiased import UnbiasedModel, half_space
from jaxbias.numerics import grids

SIDE = 16


def networks(
    count: int, max_frequency: int, prior: str = "glorot_uniform", dimension: int = 2
) -> dict[str, jax.Array]:
    module = UnbiasedModel(max_frequency)
    x = jnp.zeros((1, dimension))
    template = jax.eval_shape(module.init, jax.random.key(0), x)["params"]
    keys = jax.random.split(jax.random.key(8), count)
    return jax.jit(jax.vmap(lambda key: draw(key, template, PRIORS[prior])))(keys)


def evaluate(max_frequency: int, params, points: jax.Array) -> np.ndarray:
    module = UnbiasedModel(max_frequency)
    flat = points.reshape(-1, points.shape[-1])

    def one(params):
        return module.apply({"params": params}, flat)[0]

    found = jax.jit(lambda stacked: jax.lax.map(one, stacked))(params)
    return np.asarray(found, np.float64).reshape(-1, *points.shape[:-1])


@pytest.mark.parametrize(("most", "dimension"), [(1, 1), (5, 1), (3, 2), (2, 3)])
def test_half_the_frequencies_are_units_and_the_mean_is_none(most, dimension):
    found = {tuple(k) for k in half_space(most, dimension).tolist()}
    count = ((2 * most + 1) ** dimension - 1) // 2
    assert len(half_space(most, dimension)) == len(found) == count
    mirrored = {tuple(-i for i in k) for k in found}
    assert not found & mirrored
    every = np.ndindex(*(2 * most + 1,) * dimension)
    origin = (0,) * dimension
    assert found | mirrored | {origin} == {tuple(i - most for i in k) for k in every}


@pytest.mark.parametrize("dimension", [1, 2, 3])
def test_output_equals_the_sum_of_waves(dimension):
    params = networks(2, 4, dimension=dimension)
    points = grids.grid(5, dimension)
    found = evaluate(4, params, points)
    exact = np.asarray(points, np.float64)
    for index in range(2):
        amplitude = np.asarray(params["kernel"], np.float64)[index, :, 0]
        phase = np.asarray(params["bias"], np.float64)[index]
        expected = sum(
            a * np.sin(np.pi * (exact @ k) + np.pi * p)
            for a, k, p in zip(amplitude, half_space(4, dimension), phase, strict=True)
        )
        np.testing.assert_allclose(
            found[index], expected, atol=2e-5 * np.abs(expected).max()
        )


def test_its_fourier_transform_is_its_parameters():
    """On whole periods each unit is one coefficient: amplitude and phase return."""
    params = networks(1, 7)
    # The last row and column of the grid repeat the first.
    values = evaluate(7, params, grids.grid(16))[0][:-1, :-1]
    coefficients = np.fft.fft2(values) / 15**2
    k = half_space(7, 2)
    found = coefficients[k[:, 0], k[:, 1]]
    amplitude = np.asarray(params["kernel"], np.float64)[0, :, 0]
    phase = np.pi * np.asarray(params["bias"], np.float64)[0]
    # sin(t + p) is the imaginary part; x starts at -1, half a period from the centre.
    shift = np.exp(-1j * np.pi * k.sum(1))
    expected = amplitude / 2j * np.exp(1j * phase) * shift
    np.testing.assert_allclose(found, expected, atol=1e-5 * np.abs(amplitude).max())
    assert abs(coefficients[0, 0]) < 1e-5 * np.abs(amplitude).max()


def test_its_spectrum_is_flat():
    params = networks(60, 7)
    values = evaluate(7, params, grids.grid(16))[:, :-1, :-1]
    amplitude = np.abs(np.fft.fft2(values)).mean(0)
    k = np.stack(np.meshgrid(*[np.fft.fftfreq(15) * 15] * 2, indexing="ij"))
    radius = np.sqrt((k**2).sum(0))
    rings = [amplitude[(low < radius) & (radius <= low + 2)] for low in range(0, 8, 2)]
    means = np.array([ring.mean() for ring in rings])
    np.testing.assert_allclose(means, means.mean(), rtol=0.05)
    # No single frequency stands out either.
    assert np.ptp(amplitude[radius > 0]) < amplitude[radius > 0].mean()


@pytest.mark.parametrize("prior", ["glorot_uniform", "uniform"])
def test_it_reads_like_white_noise_at_any_scale(prior):
    params = networks(8, SIDE // 2, prior)
    generator = np.random.default_rng(0)
    noise = [oracles.complexity(generator.normal(size=(SIDE, SIDE))) for _ in range(8)]
    plane = oracles.complexity(np.asarray(grids.grid(SIDE)[..., 0]))
    for factor in (1e-2, 100.0):
        scaled = scale(params, factor, PRIORS[prior])
        values = evaluate(SIDE // 2, scaled, grids.grid(SIDE))
        found = [oracles.complexity(v) for v in values]
        for name in noise[0]:
            expected = np.mean([n[name] for n in noise])
            measured = np.mean([f[name] for f in found])
            assert abs(measured - expected) < 0.08 * expected, (factor, name)
            assert measured > 1.5 * plane[name] or name == "lz78"


def test_the_scale_of_the_amplitudes_is_the_scale_of_the_output():
    params = networks(2, 4)
    unit = evaluate(4, params, grids.grid(6))
    scaled = evaluate(4, scale(params, 16.0, PRIORS["glorot_uniform"]), grids.grid(6))
    np.testing.assert_allclose(scaled, 16 * unit, rtol=1e-6, atol=1e-6)


def test_intermediates_are_the_waves_before_they_are_summed():
    module, params = UnbiasedModel(3), networks(1, 3)
    params = {name: leaf[0] for name, leaf in params.items()}
    x = grids.grid(4).reshape(-1, 2)
    output, layers = module.apply({"params": params}, x)
    assert layers["hidden1"].shape == (16, 24)
    expected = np.asarray(layers["hidden1"], np.float64) @ np.asarray(params["kernel"])
    np.testing.assert_allclose(output, expected[:, 0], atol=1e-5)
    compiled = jax.jit(module.apply)({"params": params}, x)[0]
    np.testing.assert_allclose(compiled, output, atol=1e-5)


def test_only_amplitudes_and_phases_are_parameters():
    params = UnbiasedModel(3).init(jax.random.key(0), jnp.zeros((1, 2)))["params"]
    shapes = {name: leaf.shape for name, leaf in params.items()}
    assert shapes == {"bias": (24,), "kernel": (24, 1)}
