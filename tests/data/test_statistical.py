"""Statistical models: amplitudes, marginals and colours as asked, and what codes draw."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import signal, stats

from jaxbias.data.generators import colours, statistical
from jaxbias.data.generators.statistical import Code, Config
from jaxbias.numerics import histograms, steerable
from jaxbias.numerics.diversity import spectral_slope


def plain(config, s=1.0, d=0.0, r=0.5):
    """Fields are channels, and distributions three different ones."""
    bands = 1 + 4 * statistical.scales(config.size)
    at = histograms.probabilities()
    tables = [100 * at, 50 * stats.norm.ppf(np.clip(at, 0.001, 0.999)), 80 * at**3]
    tables = np.asarray([table - table.mean() for table in tables], np.float32)
    exponents = jnp.asarray([s, d], jnp.float32)
    powers = jnp.full((3, bands), r, jnp.float32)
    return Code(exponents, powers, jnp.zeros(3), jnp.eye(3), jnp.asarray(tables))


def images(config, code, count=1):
    keys = jax.random.split(jax.random.key(7), count)
    one = jax.jit(statistical.draw, static_argnums=2)
    return np.stack([one(key, code, config) for key in keys])


@pytest.mark.parametrize("size", [16, 21])
def test_a_spectrum_is_exactly_as_asked(size):
    config = Config(size=size)
    image = images(config, plain(config, 1.5, 0.2))[0]
    found = np.abs(np.fft.fft2(image.astype(float), axes=(0, 1)))
    places = np.abs(np.fft.fftfreq(size))
    total = places[None] ** 1.7 + places[:, None] ** 1.3
    expected = 1 / np.where(total > 0, total, np.inf)
    for channel in np.moveaxis(found, 2, 0):
        channel[0, 0] = 0
        scale = np.sqrt((channel**2).sum() / (expected**2).sum())
        np.testing.assert_allclose(channel, scale * expected, rtol=2e-3)


@pytest.mark.parametrize("exponent", [0.5, 2.0])
def test_slopes_of_the_power_follow_the_exponent(exponent):
    config = Config(size=64)
    made = images(config, plain(config, exponent), 4)
    planes = jnp.asarray(made.transpose(0, 3, 1, 2).reshape(-1, 64, 64))
    found = np.asarray(spectral_slope(planes))
    # Off the axes the amplitude is 1 / (|x|^s + |y|^s), of the same degree.
    assert found.mean() == pytest.approx(-2 * exponent, abs=0.15 + 0.1 * exponent)


def test_a_spectrum_leaves_phases_mean_and_variance():
    fields = np.random.default_rng(0).normal(3, 2, (2, 16, 16))
    amplitude = statistical.amplitudes(jnp.asarray([1.0, 0.1]), 16)
    spectra = jnp.fft.rfft2(jnp.asarray(fields, jnp.float32), norm="ortho")
    found = statistical.with_amplitude(spectra, amplitude)
    np.testing.assert_allclose(
        np.exp(1j * np.angle(found)), np.exp(1j * np.angle(spectra)), atol=1e-4
    )
    back = np.fft.irfft2(found, (16, 16), norm="ortho")
    np.testing.assert_allclose(back.mean((1, 2)), fields.mean((1, 2)), rtol=1e-5)
    np.testing.assert_allclose(back.std((1, 2)), fields.std((1, 2)), rtol=1e-4)


@pytest.mark.parametrize("shrunk", [1.0, 2.0, 4.0])
def test_marginals_are_cut_generalised_normal_laws(shrunk):
    tables = statistical.marginals(shrunk, (0.4, 0.8))
    for r, row in zip(np.linspace(0.4, 0.8, statistical.NODES), tables, strict=True):
        law: Any = stats.gennorm(r, scale=4**shrunk)
        inside = law.cdf(200) - law.cdf(-200)
        share = (law.cdf(row[:-1].astype(float)) - law.cdf(-200)) / inside
        # Steps of 0.5 are coarse beside the peak of the narrowest law, and nowhere else.
        np.testing.assert_allclose(share, histograms.probabilities(), atol=0.006)
        values = np.linspace(-200, 200, 200_001)
        density = law.pdf(values)
        deviation = np.sqrt((density * values**2).sum() / density.sum())
        assert row[-1] == pytest.approx(deviation, rel=0.03)


def test_bands_get_their_marginals():
    config = Config(size=64, kind="wmm")
    powers = jnp.linspace(0.4, 0.8, 39).reshape(3, 13)
    tables = statistical._tables(powers, config)
    noise = np.random.default_rng(1).uniform(0, 256, (3, 64, 64))
    pyramid = steerable.split(jnp.asarray(noise, jnp.float32), 3)
    found = jax.jit(statistical._with_marginals)(pyramid, tables)
    np.testing.assert_array_equal(found.low, pyramid.low)
    first = 0
    for maps in (found.high, *found.bands):
        maps = np.asarray(maps).reshape(3, -1, maps.shape[-1] ** 2)
        width = 4 ** (64 / maps.shape[-1] ** 0.5)
        for field in range(3):
            for band in range(maps.shape[1]):
                values = maps[field, band]
                r = float(powers[field, first + band])
                grid = np.arange(-200, 200.5, 0.5)
                law = np.exp(-((abs(grid) / width) ** r))
                law /= law.sum()
                assert values.mean() == pytest.approx(0, abs=0.01)
                assert values.std() == pytest.approx(np.sqrt(law @ grid**2), rel=2e-3)
                below = np.append(0, np.cumsum(law))
                edges = np.append(grid - 0.25, 200.25)
                cumulative = lambda x, a=edges, b=below: np.interp(x, a, b)  # noqa: E731
                gap = stats.kstest(values, cumulative).statistic
                # Few values cannot have the law and its deviation alike.
                assert gap < 0.02 + 1 / np.sqrt(values.size)
        first += maps.shape[1]
    assert first == 13


def fine_kurtosis(made):
    """Of the finest bands, on average."""
    planes = jnp.asarray(made.transpose(0, 3, 1, 2).reshape(-1, *made.shape[1:3]))
    bands = np.asarray(steerable.split(planes, 1).bands[0])
    flat = bands.reshape(-1, bands.shape[-1] ** 2)
    return stats.kurtosis(flat, axis=1, fisher=False).mean()


def test_iterations_bring_wavelet_marginals_into_the_image():
    configs = [
        Config(size=32),
        Config(size=32, kind="wmm", iterations=1),
        Config(size=32, kind="wmm"),
    ]
    random, once, often = (
        fine_kurtosis(images(config, plain(config, r=0.4), 3)) for config in configs
    )
    # Normal, as random phases make it.
    assert random == pytest.approx(3, abs=0.3)
    # Bands overlap: what one is given, the others partly undo.
    assert often > once + 0.8 > 3.8


def turned(code):
    """With colours that are a rotation of the fields, and a mean."""
    rotation = stats.special_ortho_group(3, seed=2).rvs()
    mean = jnp.asarray([10.0, 60.0, 120.0])
    return code._replace(axes=jnp.asarray(rotation, jnp.float32), mean=mean)


@pytest.mark.parametrize("kind", ["spectrum-colour", "spectrum-wmm-colour"])
def test_colours_have_the_distribution_and_the_covariance_asked(kind):
    config = Config(size=32, kind=kind)
    code = turned(plain(config, 0.5))
    pixels = images(config, code)[0].reshape(-1, 3).astype(float)
    fields = pixels @ np.asarray(code.axes, float).T
    at = (np.arange(len(pixels)) + 0.5) / len(pixels)
    gains, variances = [], []
    for own, table in zip(fields.T, np.asarray(code.quantiles, float), strict=True):
        expected = np.interp(at, histograms.probabilities(), table)
        gain, offset = np.polyfit(expected, np.sort(own), 1)
        gap = np.sort(own) - gain * expected - offset
        assert gap.std() < 0.02 * own.std()
        gains.append(gain)
        variances.append(expected.var())
    # All were scaled by the same number.
    np.testing.assert_allclose(gains, np.mean(gains), rtol=0.02)
    axes = np.asarray(code.axes, float)
    expected = axes.T @ np.diag(variances) @ axes * np.mean(gains) ** 2
    # Fields of random phases are not quite uncorrelated.
    np.testing.assert_allclose(
        np.cov(pixels.T), expected, atol=0.15 * np.trace(expected) / 3
    )


def test_codes_follow_their_law():
    config = Config(size=16, kind="spectrum-wmm-colour")
    keys = jax.random.split(jax.random.key(4), 1_500)
    codes = jax.jit(
        lambda keys: jax.lax.map(lambda key: statistical.code(key, config), keys)
    )(keys)
    flat = jax.vmap(lambda code: statistical.parameters(code, config))(codes)
    s, d = np.asarray(codes.exponents).T
    assert s.min() >= 0.5 and s.max() <= 3.5
    assert s.mean() == pytest.approx(2, abs=0.08)
    assert s.std() == pytest.approx(3 / 12**0.5, abs=0.04)
    assert abs(d.mean()) < 0.005 and d.std() == pytest.approx(0.05, abs=0.004)
    powers = np.asarray(codes.powers)
    assert powers.shape == (1_500, 3, 9)
    assert powers.min() >= 0.4 and powers.max() <= 0.8
    np.testing.assert_allclose(powers.mean(0), 0.6, atol=0.015)
    axes = np.asarray(codes.axes, float)
    np.testing.assert_allclose(
        axes @ axes.transpose(0, 2, 1),
        np.broadcast_to(np.eye(3), axes.shape),
        atol=1e-4,
    )
    # Each direction is as likely as its opposite.
    np.testing.assert_allclose((axes > 0).mean(0), 0.5, atol=0.05)
    assert flat.shape == (1_500, 2 + 27 + 3 + 9 + 27)
    assert np.isfinite(flat).all() and 0.2 < np.abs(flat).max() < 5


def test_colours_are_the_components_of_a_picture():
    key = jax.random.key(5)
    draw = jax.jit(colours.palette, static_argnums=1)
    mean, axes, quantiles = draw(jax.random.clone(key), 32)
    picture_key, _ = jax.random.split(key)
    picture = np.asarray(colours.picture(picture_key, 32), float)
    assert picture.min() == 0 and picture.max() == pytest.approx(256)
    np.testing.assert_allclose(mean, picture.mean(1), rtol=1e-4)
    values, vectors = np.linalg.eigh(np.cov(picture))
    np.testing.assert_allclose(
        abs(np.asarray(axes) @ vectors[:, ::-1]), np.eye(3), atol=2e-3
    )
    # The table's variance is that of the pixels along each axis.
    at = (np.arange(2_000) + 0.5) / 2_000
    spread = [np.interp(at, histograms.probabilities(), one).var() for one in quantiles]
    np.testing.assert_allclose(spread, values[::-1], rtol=0.05)


def test_a_picture_has_a_few_flat_colours():
    keys = jax.random.split(jax.random.key(6), 60)
    pictures = np.asarray(jax.lax.map(lambda key: colours.picture(key, 16), keys))
    steps = np.abs(np.diff(pictures, axis=2)).max(1).reshape(60, -1)
    # Noise is less than the steps from colour to colour; one picture in ten is not blurred.
    large = np.sort((steps > 30).sum(1))
    assert large[0] >= 2 and np.median(large) > 20


@pytest.mark.parametrize("width", [1, 2, 5, 10])
def test_blur_is_that_of_a_box(width):
    field = np.random.default_rng(3).uniform(size=(1, 12, 12))
    found = colours.blurred(jnp.asarray(field, jnp.float32), jnp.int32(width))
    box = np.ones((width, width)) / width**2
    expected = signal.convolve2d(field[0], box, "same")
    if width % 2 == 0:
        # On which side an even box is the longer one is a convention.
        expected = signal.convolve2d(field[0, ::-1, ::-1], box, "same")[::-1, ::-1]
    np.testing.assert_allclose(found[0], expected, atol=1e-5)


def test_images_fill_their_range_and_vmap_changes_nothing():
    config = Config(size=16, kind="spectrum-wmm-colour", iterations=2)
    keys = jax.random.split(jax.random.key(5), (3, 2))

    def one(keys):
        return statistical.draw(keys[1], statistical.code(keys[0], config), config)

    alone = jax.jit(one)
    found = np.stack([alone(pair) for pair in keys])
    assert found.shape == (3, 16, 16, 3) and found.dtype == np.float32
    np.testing.assert_allclose(found.min((1, 2, 3)), 0, atol=1e-6)
    np.testing.assert_allclose(found.max((1, 2, 3)), 1, atol=1e-6)
    many = jax.jit(jax.vmap(one))(keys)
    # A value at the edge of a bin may fall on its other side.
    assert np.quantile(abs(found - many), 0.95) < 2e-3
    assert abs(found[0] - found[1]).mean() > 0.05


def test_parameters_are_of_what_is_imposed():
    def described(config):
        return statistical.parameters(plain(config, 2.0), config)

    assert len(described(Config(size=16))) == 2 + 12
    assert len(described(Config(size=16, kind="spectrum-colour"))) == 2 + 12 + 27
    assert len(described(Config(size=16, kind="wmm"))) == 27 + 12
    # A range of one value: the same everywhere, and no number is divided by 0.
    config = Config(size=16, kind="spectrum-wmm-colour", exponent=(2.0, 2.0))
    assert len(described(config)) == 2 + 27 + 12 + 27
    code = jax.jit(statistical.code, static_argnums=1)(jax.random.key(0), config)
    np.testing.assert_array_equal(code.exponents, [2, 0])
    assert np.isfinite(statistical.parameters(code, config)).all()


def test_published_sizes_have_the_published_scales():
    sizes = [16, 31, 32, 64, 128, 256]
    assert [statistical.scales(size) for size in sizes] == [2, 2, 3, 3, 3, 4]
