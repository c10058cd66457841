"""Critical band: stimuli pixel by pixel, thresholds by a loop, channels by `curve_fit`."""

import csv
import warnings
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax
from PIL import Image
from scipy.ndimage import correlate1d
from scipy.optimize import curve_fit

from jaxbias.numerics.gaussian_fit import fits
from jaxbias.probes import critical_band as cb

CHANNELS = (
    Path(__file__).parents[3] / "shared" / "reference" / "critical_band_channels.csv"
)
PEOPLE = (0, 0, 0, 0, 2, 2, 0)


def picture(side, seed=0):
    """Whole levels of 0 to 255, on the scale 0 to 1."""
    levels = np.random.default_rng(seed).integers(0, 256, (side, side, 3))
    return jnp.asarray(levels / 255, jnp.float32)


@pytest.fixture(scope="module")
def prepared():
    """Twelve images of 224 pixels."""
    images = jnp.stack([picture(224)] * 12)
    keys = jax.random.split(jax.random.key(0), 12)
    return jax.jit(lambda *pair: lax.map(lambda one: cb.prepare(*one), pair))(
        images, keys
    )


# Stimuli


def test_grey_levels_are_those_of_pillow():
    # Every third level of each colour: ties in rounding are among them.
    steps = np.arange(0, 256, 3, dtype=np.uint8)
    colours = np.stack(np.meshgrid(steps, steps, steps), axis=-1).reshape(86, -1, 3)
    expected = np.asarray(Image.fromarray(colours).convert("L"))
    found = cb.greyscale(jnp.asarray(colours, jnp.float32) / 255)
    np.testing.assert_array_equal(np.rint(np.asarray(found) * 255), expected)
    np.testing.assert_allclose(found, expected / 255.0, atol=1e-7)


def test_an_image_keeps_a_fifth_of_its_contrast_about_the_new_mean():
    image = picture(32)
    grey = (
        np.asarray(Image.fromarray(np.uint8(np.rint(image * 255))).convert("L")) / 255
    )
    expected = 0.2 * (grey - grey.mean()) + 0.449
    found = cb.prepare(image, jax.random.key(0)).image
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_strength_is_of_contrast_and_noise_alike():
    image = picture(32)
    plain, strong = (
        cb.prepare(image, jax.random.key(0), strength=strength)
        for strength in (1.0, 3.0)
    )
    np.testing.assert_allclose(
        strong.image - 0.449, 3 * (plain.image - 0.449), atol=1e-6
    )
    np.testing.assert_allclose(strong.noise, 3 * plain.noise, rtol=1e-6)
    shown = cb.stimuli(image, jax.random.key(0), strength=3.0)
    np.testing.assert_allclose(shown[5], cb.stimulus(strong, 5), atol=1e-6)


def test_noise_is_white_noise_cut_into_bands_of_one_rms():
    """By filters over the pixels, from the noise that `prepare` draws."""
    taps = np.asarray([1, 4, 6, 4, 1]) / 16 * np.sqrt(2)

    def blurred(values):
        for axis in (0, 1):
            values = correlate1d(values, taps, axis=axis, mode="mirror")
        return values

    def enlarged(small):
        spread = np.zeros((2 * len(small), 2 * len(small)))
        spread[::2, ::2] = small
        return blurred(spread)

    # Before the key is used up.
    white = np.asarray(jax.random.normal(jax.random.key(3), (32 * 32,))).reshape(32, 32)
    sizes = [white.astype(float)]
    for _ in range(3):
        sizes.append(blurred(sizes[-1])[::2, ::2])
    levels = [a - enlarged(b) for a, b in zip(sizes, sizes[1:], strict=False)]
    levels.append(sizes[-1])
    for number, level in enumerate(levels):
        for _ in range(number):
            level = enlarged(level)
        levels[number] = level
    expected = np.stack(levels[::-1])
    rms = np.sqrt(np.mean(expected**2, axis=(1, 2), keepdims=True))
    found = cb.prepare(picture(32), jax.random.key(3)).noise
    np.testing.assert_allclose(found, expected * rms[-1] / rms, atol=5e-6)


def test_noise_has_the_published_rms(prepared):
    rms = np.sqrt(np.mean(np.asarray(prepared.noise) ** 2, axis=(2, 3)))
    assert rms.shape == (12, 7)
    np.testing.assert_allclose(rms, np.broadcast_to(rms[:, :1], rms.shape), rtol=1e-5)
    # Section 2.3: 0.944 times the nominal SD.
    assert rms.mean() == pytest.approx(0.944, abs=2e-3)
    assert cb.band_energy(224).rms == pytest.approx(rms.mean(), abs=2e-3)


def test_bands_lie_where_they_were_measured(prepared):
    frequency = np.fft.fftfreq(224, 1 / 224)
    radius = np.hypot(frequency[:, None], frequency[None])
    power = np.mean(np.abs(np.fft.fft2(np.asarray(prepared.noise))) ** 2, axis=0)
    varied = power * (radius > 0)
    logarithms = np.log(np.maximum(radius, 0.5))
    centres = np.exp(np.sum(varied * logarithms, (1, 2)) / varied.sum((1, 2)))
    energy = cb.band_energy(224)
    # E9, from eight draws; the lowest bands hold few waves.
    expected = [1.6, 2.1, 3.6, 6.7, 13.1, 27.7, 87.9]
    for measured in (centres, energy.centre):
        np.testing.assert_allclose(measured[4:], expected[4:], rtol=0.015)
        np.testing.assert_allclose(measured[:4], expected[:4], rtol=0.08)
    np.testing.assert_allclose(centres[2:], energy.centre[2:], rtol=0.02)
    constant = power[:, 0, 0] / power.sum((1, 2))
    np.testing.assert_allclose(constant[2:], energy.constant[2:], atol=0.01)
    # A tenth of the energy lies below, and a tenth above.
    np.testing.assert_allclose(energy.low, [0, 1, 2, 4, 8, 17, 55], atol=0.5)
    np.testing.assert_allclose(energy.high, [2.5, 4, 6, 10, 20, 43, 126], atol=0.8)
    assert energy.constant[0] > 0.25
    np.testing.assert_array_equal(energy.label, 1.75 * 2 ** np.arange(7))


@pytest.mark.parametrize(("size", "count"), [(224, 29), (32, 17), (4, 5)])
def test_conditions_are_every_band_at_four_sds_and_one_without_noise(size, count):
    found = cb.conditions(size)
    assert len(found) == len(set(found)) == count
    assert found[0] == (0.0, 0) and found[1] == (0.02, 0)
    assert found[-1] == (0.16, len(cb.labels(size)) - 1)
    assert cb.labels(size)[-1] == size / 2


def by_pixel(image, noise):
    """The released rule: the image gives way so that image and noise stay inside."""
    image = image.copy()
    for place in np.ndindex(*image.shape):
        if image[place] + noise[place] < 0:
            image[place] = 0.1 - noise[place]
        elif image[place] + noise[place] > 1:
            image[place] = 0.9 - noise[place]
    return image + noise


def test_pixels_that_leave_the_range_are_put_inside():
    image, noise = cb.prepare(picture(32), jax.random.key(1))
    noise = 6 * noise  # Half of the pixels leave it at the largest SD.
    for condition, (sd, band) in enumerate(cb.conditions(32)):
        found = cb.stimulus(cb.Prepared(image, noise), condition)
        expected = by_pixel(np.asarray(image), sd * np.asarray(noise[band]))
        np.testing.assert_allclose(found[..., 0], expected, atol=1e-6)
    share = np.mean(
        np.isin(np.asarray(found).round(6), np.asarray([0.1, 0.9], np.float32))
    )
    assert 0.2 < share < 0.7


def test_the_range_includes_its_ends():
    found = cb.inside(jnp.asarray([0.0, 1.0, -1e-6, 1.000001, jnp.nan]))
    np.testing.assert_allclose(found, [0, 1, 0.1, 0.9, np.nan])


@pytest.mark.parametrize("size", [32, 224])
def test_all_conditions_are_the_single_ones(size):
    """Compiled and traced numbers, against each for itself."""
    image, count = picture(size), len(cb.conditions(size))
    together = jax.jit(cb.stimuli)(image, jax.random.key(2))
    assert together.shape == (count, size, size, 3)

    @jax.jit
    def singly(image, key):
        prepared = cb.prepare(image, key)
        return lax.map(lambda one: cb.stimulus(prepared, one), jnp.arange(count))

    np.testing.assert_allclose(together, singly(image, jax.random.key(2)), atol=1e-6)
    assert float(together.min()) >= 0 and float(together.max()) <= 1


def test_compiled_is_eager_and_mapped_is_a_loop():
    images = jnp.stack([picture(32, 0), picture(32, 1)])
    keys = jax.random.split(jax.random.key(4), 2)
    eager = [cb.stimuli(*each) for each in zip(images, keys, strict=True)]
    keys = jax.random.split(jax.random.key(4), 2)
    mapped = jax.jit(jax.vmap(cb.stimuli))(images, keys)
    np.testing.assert_allclose(mapped, np.stack(eager), atol=1e-6)
    # Other keys give other noise, and none where there is none.
    assert np.abs(np.asarray(eager[0] - eager[1]))[5].max() > 0.02
    with pytest.raises(AssertionError):
        np.testing.assert_allclose(mapped[0, 1], mapped[0, 0], atol=1e-3)


def test_conditions_share_their_noise():
    clean, *noisy = np.asarray(cb.stimuli(picture(32), jax.random.key(5)))
    for band in range(4):
        np.testing.assert_allclose(
            noisy[band + 8] - clean, 4 * (noisy[band] - clean), atol=2e-6
        )


@pytest.mark.parametrize("level", [0.0, 1.0])
def test_a_saturated_image_becomes_the_mean(level):
    found = cb.stimuli(jnp.full((16, 16, 3), level), jax.random.key(0))
    np.testing.assert_allclose(found[0], 0.449, atol=1e-6)
    assert np.isfinite(found).all() and np.asarray(found)[-1].std() > 0.1


def test_a_nan_in_an_image_is_no_grey():
    image = picture(16).at[3, 4, 1].set(jnp.nan)
    assert np.isnan(cb.greyscale(image)).sum() == 1
    assert np.isnan(cb.stimuli(image, jax.random.key(0))).all()


def test_too_small_an_image_is_refused():
    with pytest.raises(ValueError, match="4 pixels"):
        cb.conditions(3)


# Thresholds


def by_loop(accuracy, relative):
    """From the strongest noise down, the first that is above a half."""
    found = []
    for column in accuracy.T:
        shares = column / column[0] if relative else column
        steps = 4
        for step, share in enumerate(shares[:0:-1]):
            if share > 0.5:
                steps = step
                break
        found.append(steps)
    return found


@pytest.mark.parametrize("relative", [True, False])
def test_thresholds_are_those_of_a_loop(relative):
    generator = np.random.default_rng(0)
    # In steps of a tenth, half of them falling with noise: some are exactly a half.
    drawn = generator.integers(1, 11, (60, 5, 7)) / 10
    drawn[::2] = -np.sort(-drawn[::2], axis=1)
    rule = jax.jit(jax.vmap(lambda one: cb.thresholds(one, relative=relative)))
    found = rule(jnp.asarray(drawn, jnp.float32))
    expected = [by_loop(np.float32(matrix), relative) for matrix in drawn]
    np.testing.assert_array_equal(found, expected)
    assert set(np.unique(found)) == {0, 1, 2, 3, 4}
    one = cb.thresholds(jnp.asarray(drawn[7], jnp.float32), relative=relative)
    np.testing.assert_array_equal(one, expected[7])


def test_smooth_thresholds_are_where_the_line_crosses():
    """In halvings of the largest SD: SDs are even on a logarithmic scale."""
    clean = 0.8
    noisy = np.asarray([[0.79, 0.75, 0.5, 0.2], [0.7, 0.3, 0.1, 0.1], [0.3] * 4]).T
    accuracy = np.concatenate([np.full((1, 3), clean), noisy]).astype(np.float32)
    found = cb.thresholds(jnp.asarray(accuracy), smooth=True)
    expected = [1 - (0.5 - 0.4) / 0.3, 3 - (0.7 - 0.4) / 0.4, 4 - (0.8 - 0.4) / 0.5]
    np.testing.assert_allclose(found, expected, atol=1e-6)
    np.testing.assert_array_equal(
        cb.thresholds(jnp.asarray(accuracy)), np.ceil(expected)
    )


@pytest.mark.parametrize("smooth", [True, False])
def test_accuracy_that_saturates_is_at_an_end(smooth):
    always, never = jnp.ones((5, 2)), jnp.full((5, 2), 0.2)
    assert not cb.thresholds(always, smooth=smooth).any()
    assert not cb.thresholds(never, smooth=smooth).any()
    # Not even without noise above a half of all.
    found = cb.thresholds(never, relative=False, smooth=smooth)
    np.testing.assert_array_equal(found, 4)


@pytest.mark.parametrize("smooth", [True, False])
def test_no_accuracy_gives_no_threshold(smooth):
    accuracy = jnp.full((5, 3), 0.9).at[0, 0].set(0.0).at[2, 1].set(jnp.nan)
    found = cb.thresholds(accuracy, smooth=smooth)
    np.testing.assert_array_equal(np.isnan(found), [True, True, False])


def test_accuracies_are_arranged_by_sd_and_band():
    flat = [sd + band / 100 for sd, band in cb.conditions(32)]
    found = cb.accuracy_matrix(jnp.asarray(flat))
    expected = np.add.outer(np.asarray(cb.SDS), np.arange(4) / 100)
    expected[0] = 0
    np.testing.assert_allclose(found, expected, atol=1e-6)
    with pytest.raises(ValueError, match="got 16"):
        cb.accuracy_matrix(jnp.zeros(16))


# Channel


def numbers(channel):
    bandwidth, centre, sensitivity = map(float, channel)
    return [bandwidth, centre, sensitivity]


@pytest.mark.skipif(not CHANNELS.exists(), reason="needs the published channels")
def test_published_channels():
    with CHANNELS.open() as file:
        names, *rows = csv.reader(file)
    assert len(rows) >= 10 and len(names) == 4
    for vector, *published in rows:
        found = cb.fit_channel([int(value) for value in vector.split()])
        np.testing.assert_allclose(
            numbers(found), np.asarray(published, float), atol=2e-3
        )
        assert not cb.fitted([int(value) for value in vector.split()]).undetermined


@pytest.mark.parametrize(
    ("thresholds", "expected"),
    # Protocol 2.3: people, ResNet-50, ResNet-18, VGG-16.
    [
        (PEOPLE, (1.00, 39.6, 1.0)),
        ((0, 0, 2, 2, 3, 4, 2), (3.99, 39.4, 0.71)),
        ((0, 1, 2, 3, 4, 4, 3), (4.74, 38.9, 1.0)),
        ((0, 1, 2, 4, 4, 4, 3), (4.81, 34.4, 1.0)),
    ],
)
def test_known_channels(thresholds, expected):
    found = cb.fit_channel(thresholds)
    np.testing.assert_allclose(numbers(found), expected, atol=0.051, rtol=0)
    assert found.bandwidth == pytest.approx(expected[0], abs=5.1e-3)
    assert found.peak_noise_sensitivity == pytest.approx(expected[2], abs=5.1e-3)


def test_channels_are_those_of_curve_fit():
    """Of any whole thresholds, where it succeeds; its width may be negative."""

    def gaussian(x, a, mu, s):
        return a * np.exp(-((x - mu) ** 2) / (2 * s**2))

    vectors = np.random.default_rng(0).integers(0, 5, (300, 7))
    bounds = ([0, -np.inf, -np.inf], [4, np.inf, np.inf])
    done, negative = 0, 0
    for vector in vectors:
        with warnings.catch_warnings():
            # Far peaks overflow, and have no covariance.
            warnings.simplefilter("ignore")
            try:
                start = (1, 0, 1)
                (a, mu, s), _ = curve_fit(
                    gaussian, np.arange(7), vector, p0=start, bounds=bounds
                )
            except RuntimeError:
                continue
            expected = 2 * np.sqrt(np.log(4)) * abs(s), 1.75 * 2**mu, 2 ** (a - 4)
        done, negative = done + 1, negative + (s < 0)
        found = cb.fit_channel(vector)
        np.testing.assert_allclose(numbers(found), expected, rtol=1e-6)
    assert done > 280 and negative > 0


def test_thresholds_that_are_all_the_same_have_no_channel():
    found = cb.fit_channel([4] * 7)
    # As published for 27 networks: 11,295 octaves.
    assert cb.fitted([4] * 7).undetermined and found.bandwidth > 1000
    assert cb.fitted([0] * 7).undetermined
    many = fits(jnp.asarray([[4.0] * 7, [0.0] * 7]))
    assert np.asarray(many.undetermined).all()


def test_a_threshold_that_is_nan_has_no_channel():
    steps = np.asarray([0, 1, 2, np.nan, 4, 4, 3])
    assert cb.fitted(steps).undetermined
    assert np.isnan(numbers(cb.fit_channel(steps))).all()


def test_no_band_has_no_channel():
    with pytest.raises(ValueError, match="no points"):
        cb.fit_channel([])


def test_the_centre_is_counted_from_the_lowest_band():
    four = (0.0, 1.0, 3.0, 1.5)
    nominal = float(cb.labels(32)[0])
    found = cb.fit_channel(four, lowest=nominal)
    assert found.centre == pytest.approx(nominal / 1.75 * cb.fit_channel(four).centre)
    assert nominal < found.centre < 16


def test_many_channels_are_the_single_ones():
    vectors = [PEOPLE, (0, 0, 2, 2, 3, 4, 2), (0, 1, 2, 3, 4, 4, 3)]
    values = jnp.asarray(vectors, jnp.float32)
    many = cb.channel_of(fits(values))
    single = [cb.fit_channel(vector) for vector in vectors]
    np.testing.assert_allclose(
        np.stack(many, axis=1), [numbers(s) for s in single], rtol=2e-3
    )
    inside = jax.jit(lambda values: cb.channel_of(fits(values)))
    np.testing.assert_allclose(
        inside(values).bandwidth,
        many.bandwidth,
        rtol=1e-4,
    )
