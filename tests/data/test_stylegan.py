"""Untrained StyleGAN2 generators: the quick way against all weights; laws of each part."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import signal, stats

from jaxbias.data.generators import layer_filters, layer_noise, stylegan, wavelets
from jaxbias.data.generators.stylegan import Config

KINDS = ["highfreq", "sparse", "oriented"]


def images(config, count, draw=stylegan.draw, seed=0):
    """Each of a code of its own."""

    def one(key):
        first, second = jax.random.split(key)
        return draw(second, stylegan.code(first, config), config)

    keys = jax.random.split(jax.random.key(seed), count)
    return np.asarray(jax.jit(lambda keys: jax.lax.map(one, keys))(keys))


def levels(image):
    return np.round(255 * image).astype(np.uint8)


@pytest.mark.parametrize("kind", KINDS)
def test_the_quick_way_gives_the_images_of_all_weights(kind):
    config = Config(size=16, kind=kind, channels=40, latents=8)
    with jax.enable_x64(True):
        quick, slow = (
            images(config, 12, draw) for draw in (stylegan.draw, stylegan.draw_densely)
        )
    assert quick.dtype == np.float64 and len(np.unique(levels(quick))) > 100
    np.testing.assert_array_equal(levels(quick), levels(slow))
    np.testing.assert_allclose(quick, slow, rtol=0, atol=1e-12)


def enlarged(image):
    """Zeros between pixels, then [1, 3, 3, 1]; a pixel more on each side is kept."""
    zeros = np.zeros([2 * x for x in image.shape])
    zeros[::2, ::2] = image
    line = np.array([1, 3, 3, 1]) / 4
    return signal.correlate2d(
        np.pad(zeros, ((3, 2), (3, 2))), np.outer(line, line), "valid"
    )


def reference(code, styles, noise, weights):
    """The synthesis network with one loop over output channels in each layer."""
    count, width, found = len(weights), code.constant.shape[0], None
    x = np.asarray(code.constant, np.float64)
    for layer, weight in enumerate(weights):
        kernel = np.asarray(weight, np.float64).reshape(-1, width, 3, 3)
        kernel = kernel * np.asarray(styles[layer])[:, None, None]
        kernel /= np.sqrt((kernel**2).sum((1, 2, 3), keepdims=True))
        odd = layer % 2 == 1
        x = [enlarged(c) if odd else np.pad(c, 1) for c in x]
        x = np.stack(
            [
                sum(
                    signal.correlate2d(c, k, "valid")
                    for c, k in zip(x, row, strict=True)
                )
                for row in kernel
            ]
        )
        if noise:
            x += np.asarray(noise[layer]) + np.asarray(code.bias[layer])[:, None, None]
        x = np.sqrt(2) * np.maximum(x, 0)
        if odd:
            continue
        style = np.asarray(styles[count + layer // 2])
        rows = np.asarray(code.colours[layer // 2]) * style / np.sqrt(width)
        new = np.einsum("kc,chw->khw", rows, x)
        if layer:
            new += np.stack([enlarged(c)[1:-1, 1:-1] for c in found])
        found = new
    return found


@pytest.mark.parametrize("kind", ["random", "sparse"])
def test_networks_equal_a_plain_one(kind, key):
    config = Config(size=16, kind=kind, channels=6, latents=8)
    keys = jax.random.split(key, 4)
    code = stylegan.code(keys[0], config)
    styles = stylegan._styles(keys[1], code, config)
    noise = stylegan._noise(keys[2:], code, config)
    if kind == "random":
        weights, ways = stylegan._weights(code, config), [stylegan._dense]
        assert weights[0].std() == pytest.approx(1, abs=0.15) and noise == []
    else:
        signs = np.where(code.positive, 1.0, -1.0)[:, :, None, None, None]
        bank = wavelets.signed()[np.asarray(code.wavelet)][:, None]
        weights, ways = signs * bank, [stylegan._dense, stylegan._rank_one]
    wanted = reference(code, styles, noise, weights)
    for way in ways:
        found = jax.jit(partial(way, config=config, blocks=3))(code, styles, noise)
        np.testing.assert_allclose(found, wanted, atol=1e-5 * abs(wanted).max())


@pytest.mark.parametrize("channels", [1, 31, 32, 70])
def test_tables_hold_sums_over_channels(channels):
    rng = np.random.default_rng(channels)
    bias = np.sort(rng.uniform(-0.2, 0.2, (1, channels))).astype(np.float32)
    weights = rng.normal(size=(channels, 1, 2, 12)).astype(np.float32)
    value = rng.uniform(-0.4, 0.4, (5, 7)).astype(np.float32)
    value[0, :2] = -bias[0, 0], -bias[0, -1]
    tables = stylegan._tables(jnp.asarray(weights), jnp.asarray(bias))
    for sign in range(2):
        found = stylegan._looked_up(
            jnp.asarray(value), tables[:, 0, sign], jnp.asarray(bias[0])
        )
        passed = np.maximum(value + bias[0][:, None, None], 0)
        wanted = np.einsum("ct,chw->thw", weights[:, 0, sign], passed)
        np.testing.assert_allclose(found, wanted, atol=1e-5)


def test_styles_are_those_of_random_matrices(key):
    config = Config(size=16, kind="highfreq", channels=2_000, latents=16)
    keys = jax.random.split(key, 5)
    codes = jax.vmap(lambda k: stylegan.code(k, config))(keys)
    draws = jax.random.split(jax.random.key(1), 40)
    draw = jax.vmap(lambda k, c: stylegan._styles(k, c, config), (0, None))
    found = np.asarray(jax.jit(jax.vmap(draw, (None, 0)))(draws, codes))[..., :2_000]
    rng = np.random.default_rng(0)
    w = rng.normal(size=(200_000, 16))
    w = np.where(w > 0, w, 0.2 * w)
    square, pair = (w**2).mean(), (w.mean(1)[::2] * w.mean(1)[1::2]).mean()
    assert found.mean() == pytest.approx(1, abs=0.02)
    # Over networks and images; and between two images of a network.
    deviation = found - 1
    assert (deviation**2).mean() == pytest.approx(square, rel=0.03)
    others = deviation.sum(1) ** 2 - (deviation**2).sum(1)
    assert others.mean() / (40 * 39) == pytest.approx(pair, rel=0.1)
    # Colours of a block and the next layer have the same latents: the same spread.
    spread = deviation.std(-1)
    layers = 5
    same = np.corrcoef(spread[..., 1].ravel(), spread[..., layers].ravel())[0, 1]
    other = np.corrcoef(spread[..., 2].ravel(), spread[..., layers].ravel())[0, 1]
    assert same > 0.8 and abs(other) < 0.3


def test_banks_have_forty_wavelets():
    signed, oriented = wavelets.signed(), wavelets.oriented()
    for bank in (signed, oriented):
        assert bank.shape == (40, 3, 3)
        assert len(np.unique(bank.reshape(40, 9).round(6), axis=0)) == 40
        # Negatives of all are there, in whatever order.
        apart = np.abs(bank[:, None] + bank[None]).max((2, 3))
        assert apart.min(1).max() < 1e-6
    assert np.isin(signed[:24], (-1, 0, 1)).all()
    np.testing.assert_allclose(signed[:16].sum((1, 2)), 0)
    np.testing.assert_allclose(oriented[:16].sum((1, 2)), 0, atol=1e-9)
    # Edge 4 is edge 0 turned by a quarter; so is line 4 of half the circle.
    np.testing.assert_allclose(signed[4], signed[0].T)
    np.testing.assert_allclose(oriented[12], oriented[8].T, atol=1e-9)


def test_few_wavelets_are_the_same_in_all_layers_or_not():
    def sets(**choice):
        config = Config(size=32, kind="oriented", channels=400, **choice)
        code = jax.vmap(lambda k: stylegan.code(k, config).wavelet)
        drawn = np.asarray(code(jax.random.split(jax.random.key(2), 60)))
        assert drawn.min() >= 0 and drawn.max() < 40
        return [[frozenset(layer.tolist()) for layer in one] for one in drawn]

    tied = sets()
    assert {len(one[0]) for one in tied} == {4, 5, 6, 7, 8}
    assert all(len(set(one)) == 1 for one in tied) and len({x[0] for x in tied}) > 50
    untied = sets(tie_wavelets=False)
    counts = [len(layer) for one in untied for layer in one]
    assert min(counts) == 5 and max(counts) >= 38
    assert all(len(set(one)) > 5 for one in untied)
    assert {len(one[0]) for one in sets(wavelets=(1, 1))} == {1}


def test_biases_are_uniform_and_ascend():
    config = Config(size=128, kind="oriented", channels=512)
    assert stylegan._widths(config) == (512, 512, 512, 512, 512, 256)
    draw = jax.vmap(lambda k: stylegan._biases(k, config))
    drawn = np.asarray(draw(jax.random.split(jax.random.key(3), 20)))
    assert (np.diff(drawn) >= 0).all()
    for layer, width in ((0, 512), (10, 256)):
        used = drawn[:, layer, :width]
        assert stats.kstest(used.ravel(), "uniform", (-0.2, 0.4)).pvalue > 1e-3
        # Not a grid: the means of so many uniform numbers vary as they do.
        spread = used.mean(1).std() * np.sqrt(width) / (0.4 / np.sqrt(12))
        assert 0.6 < spread < 1.5


def test_noise_has_the_spectrum_asked_for(key):
    exponents = jnp.asarray([0.5, 1.5])
    draw = jax.vmap(lambda k: jnp.stack(layer_noise.power_law(k, exponents, [32, 32])))
    fields = np.asarray(draw(jax.random.split(key, 200)))
    np.testing.assert_allclose(fields.var((0, 2, 3)), 1, rtol=0.05)
    power = (np.abs(np.fft.fft2(fields)) ** 2).mean(0)
    frequency = np.hypot(np.fft.fftfreq(32)[:, None], np.fft.fftfreq(32))
    for one, exponent in zip(power, (0.5, 1.5), strict=True):
        assert one[0, 0] < 1e-6
        flat = (one * np.maximum(frequency, 1e-9) ** (2 * exponent)).ravel()[1:]
        np.testing.assert_allclose(flat / flat.mean(), 1, atol=0.4)


def test_envelopes_grow_from_sixteen_numbers(key):
    np.testing.assert_allclose(layer_noise.lanczos(4), np.eye(4), atol=1e-6)
    np.testing.assert_allclose(layer_noise.lanczos(32).sum(1), 1, atol=1e-6)
    config = Config(size=32, kind="oriented", channels=4)
    keys = jax.random.split(key, 3)
    code = stylegan.code(keys[0], config)
    noise = [
        np.asarray(x / s)
        for x, s in zip(
            stylegan._noise(keys[1:], code, config), code.strength, strict=True
        )
    ]
    # One map, of which each layer has the means of squares.
    assert [len(x) for x in noise] == [4, 8, 8, 16, 16, 32, 32]
    for smaller in noise[:-1]:
        step = 32 // len(smaller)
        means = noise[-1].reshape(32 // step, step, 32 // step, step).mean((1, 3))
        np.testing.assert_allclose(smaller, means, atol=1e-5)


# Slopes of the log-log power of grey images under a Hann window, and their spreads: the
# protocol's table, by prototypes written apart from this.
@pytest.mark.parametrize(
    ("kind", "slope", "spread"),
    [
        pytest.param("highfreq", -2.92, 0.67, marks=pytest.mark.slow),
        ("sparse", -3.03, 0.65),
    ],
)
def test_spectra_are_those_of_prototypes(kind, slope, spread):
    drawn = images(Config(size=64, kind=kind), 64, seed=4)
    assert drawn.dtype == np.float32 and drawn.shape == (64, 64, 64, 3)
    assert drawn.min() >= 0 and drawn.max() <= 1
    grey = drawn.mean(-1) - drawn.mean((1, 2, 3))[:, None, None]
    power = np.abs(np.fft.fft2(grey * np.outer(np.hanning(64), np.hanning(64)))) ** 2
    ring = np.round(64 * np.hypot(np.fft.fftfreq(64)[:, None], np.fft.fftfreq(64)))
    rings = [power[:, ring == r].mean(1) for r in range(1, 32)]
    found = np.polyfit(np.log(np.arange(1, 32)), np.log(rings), 1)[0]
    assert found.mean() == pytest.approx(slope, abs=0.35)
    assert found.std() == pytest.approx(spread, rel=0.35)
    # Colours are drawn for each image.
    np.testing.assert_allclose(drawn.mean((0, 1, 2)), stylegan.COLOURS[0, 0], atol=0.06)


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "size"), [("random", 16), ("oriented", 20)])
def test_codes_and_keys_map_as_a_loop(kind, size):
    config = Config(size=size, kind=kind, channels=8, latents=8)
    codes = jax.vmap(lambda k: stylegan.code(k, config))(
        jax.random.split(jax.random.key(5), 3)
    )
    keys = lambda: jax.random.split(jax.random.key(6), 3)  # noqa: E731
    draw = jax.jit(partial(stylegan.draw, config=config))
    together = np.asarray(jax.jit(jax.vmap(draw))(keys(), codes))
    assert together.shape == (3, size, size, 3)
    pick = lambda i: jax.tree.map(lambda x: x[i], codes)  # noqa: E731
    for i in range(3):
        np.testing.assert_allclose(draw(keys()[i], pick(i)), together[i], atol=2e-5)
    # Images of a network are not the same, nor are those of one key.
    assert np.abs(draw(keys()[0], pick(1)) - together[1]).max() > 0.1
    assert np.abs(draw(keys()[0], pick(1)) - together[0]).max() > 0.1
    describe = jax.jit(partial(stylegan.parameters, config=config))
    found = np.stack([describe(pick(i)) for i in range(3)])
    assert found.ndim == 2 and np.isfinite(found).all()
    assert 0.2 < found.std() < 3 and np.abs(found[0] - found[1]).max() > 0.1


def test_other_sizes_are_means_over_areas():
    shrink = layer_filters.area(32, 20)
    np.testing.assert_allclose(shrink.sum(1), 1, rtol=1e-6)
    line = np.random.default_rng(0).normal(size=32)
    wanted = np.repeat(line, 5).reshape(20, 8).mean(1)
    np.testing.assert_allclose(shrink @ line, wanted, atol=1e-6)
    np.testing.assert_allclose(layer_filters.area(32, 16)[3, 6:8], 0.5)


def test_what_is_refused():
    for size, channels in ((15, 8), (16, 0)):
        with pytest.raises(ValueError, match="at least 16 and 1"):
            Config(size=size, kind="random", channels=channels)
