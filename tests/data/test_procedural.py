"""Leaves and clouds that are drawn: the same anywhere, and with the statistics asked."""

import numpy as np
import pytest
from scipy import stats

from jaxbias.data import procedural
from jaxbias.data.archives import SourceError
from jaxbias.data.procedural import KINDS, images, radii, spectral_noise
from jaxbias.data.sources import open_source, open_splits


@pytest.fixture(scope="module", autouse=True)
def pieces():
    """Small ones: a few images are drawn as fast as a whole piece."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(procedural, "PIECE", 32)
        yield


@pytest.fixture(scope="module")
def drawn(pieces):
    """A few hundred of each kind."""
    return {kind: images(kind, 400, 32, 7) for kind in KINDS}


@pytest.mark.slow
def test_an_image_depends_on_kind_size_seed_and_number_alone(drawn):
    for kind in ("leaves", "clouds"):
        for count in (3, procedural.PIECE + 4):
            found = images(kind, count, 32, 7)
            np.testing.assert_array_equal(found, drawn[kind][:count])
        other = images(kind, 30, 32, 8)
        assert not (other == drawn[kind][:30]).all(axis=(1, 2, 3)).any()


def test_no_image_is_in_both_splits_or_twice():
    sets = [
        procedural.procedural("leaves", split, count=60, seed=seed).images
        for seed in range(2)
        for split in ("train", "test")
    ]
    every = np.concatenate(sets).reshape(4 * 60, -1)
    assert len({image.tobytes() for image in every}) == len(every)


def test_a_set_has_one_class_named_as_the_kind():
    found = procedural.procedural("leaves-fine", "test", count=5, size=8)
    assert found.images.shape == (5, 8, 8, 3) and found.images.dtype == np.uint8
    assert found.classes == ("leaves-fine",) and found.labels.tolist() == [0] * 5
    assert found.name(3) == "generated:leaves-fine test[3]"


def test_the_source_by_name(monkeypatch):
    assert procedural.COUNTS == {"train": 5_000, "test": 1_000}
    monkeypatch.setattr(procedural, "COUNTS", {"train": 60, "test": 20})
    train, test = open_splits("generated:leaves")
    assert (len(train), len(test)) == (60, 20)
    assert train.classes == test.classes == ("leaves",)
    assert not np.array_equal(train[0][0], test[0][0])
    chosen = open_source("generated:leaves#test")
    np.testing.assert_array_equal(chosen[11][0], test[11][0])


def test_what_is_not_there_is_said():
    listed = "one of leaves, leaves-fine, clouds"
    for wrong in (
        lambda: images("trees", 1, 8, 0),
        lambda: open_source("generated:trees"),
    ):
        with pytest.raises(SourceError, match=f"'trees': {listed}"):
            wrong()
    with pytest.raises(SourceError, match="name is missing"):
        open_source("generated:")
    with pytest.raises(SourceError, match="split 'val': one of train, test"):
        open_source("generated:leaves", "val")
    for nothing in (dict(count=0), dict(count=-1), dict(size=0)):
        with pytest.raises(SourceError, match="at least 1"):
            procedural.procedural("leaves", "train", **nothing)


def test_range_and_colours(drawn):
    for kind, found in drawn.items():
        assert ((found == 0) | (found == 255)).mean() < 0.06, kind
        # The mean colour of all, within what 400 images of their spread leave open.
        apart = found.mean((0, 1, 2)) - np.asarray(KINDS[kind].mean)
        assert abs(apart).max() < 5 + 3 * KINDS[kind].spread[0] / 20, (kind, apart)
        # Brightness differs from image to image, and within each of them.
        assert found.mean((1, 2, 3)).std() > 0.7 * KINDS[kind].spread[0], kind
        assert np.median(found.std((1, 2)).mean(1)) > 20, kind
    blue, red = drawn["clouds"][..., 2] * 1.0, drawn["clouds"][..., 0] * 1.0
    assert (blue - red).mean() > 40
    leaves = drawn["leaves"] * 1.0
    assert (leaves[..., 1] - leaves[..., 2]).mean() > 40


def test_channels_of_clouds_are_as_correlated_as_asked(drawn):
    pixels = drawn["clouds"].reshape(400, -1, 3).astype(float)
    within = [np.corrcoef(image.T)[np.triu_indices(3, 1)] for image in pixels]
    assert np.mean(within) == pytest.approx(KINDS["clouds"].correlation, abs=0.05)


@pytest.mark.parametrize("kind", ["leaves", "leaves-fine"])
def test_radii_follow_their_law(kind):
    law = KINDS[kind]
    uniform = (np.arange(10_000) + 0.5) / 10_000
    found = radii(uniform, law)
    assert found.min() >= law.smallest * 0.999 and found.max() <= law.largest * 1.001
    pareto = stats.pareto(law.exponent - 1, scale=law.smallest)
    share = pareto.cdf(found) / pareto.cdf(law.largest)
    np.testing.assert_allclose(share, uniform, atol=1e-4)


def coarse(found):
    """Share of an image's variance that is left in means of 4 x 4 pixels."""
    grey = found.mean(-1)
    blocks = grey.reshape(len(grey), 8, 4, 8, 4).mean((2, 4))
    return (blocks.var((1, 2)) / grey.var((1, 2))).mean()


def test_leaves_are_flat_with_sharp_edges_and_the_fine_ones_are_finer(drawn):
    steps = abs(np.diff(drawn["leaves"].astype(float), axis=2)).max(-1)
    assert (steps == 0).mean() > 0.2 and (steps > 40).mean() > 0.08
    assert 0.8 < coarse(drawn["leaves-fine"]) / coarse(drawn["leaves"]) < 0.95
    steps = abs(np.diff(drawn["clouds"].astype(float), axis=2)).max(-1)
    assert (steps == 0).mean() < 0.05


def test_a_leaf_on_a_ground_is_an_ellipse_of_its_area():
    size, turn, ground = 64, 0.7, np.asarray([10.0, 20, 30])
    axes = np.cos(turn) / 0.3, np.sin(turn) / 0.3, 0.2 / 0.3, 0.2
    leaves = [[*axes, 0.5, 0.45, *ground], [*axes, 0.5, 0.45, *(ground + 1)]]
    image = procedural._laid(np.asarray(leaves, np.float32)[:, None], size)
    share = np.asarray(image)[0] - ground
    np.testing.assert_allclose(share, share[..., :1].repeat(3, -1), atol=1e-5)
    share = share[..., 0]
    assert share.sum() / size**2 == pytest.approx(np.pi * 0.3 * 0.2, rel=0.01)
    y, x = np.mgrid[:size, :size] / size + 0.5 / size
    assert (share * x).sum() / share.sum() == pytest.approx(0.5, abs=1e-3)
    assert (share * y).sum() / share.sum() == pytest.approx(0.45, abs=1e-3)
    # Second moments: a quarter of the squared radius, along the turn and across.
    x, y = x - 0.5, y - 0.45
    along, across = (
        (share * (x * np.cos(angle) + y * np.sin(angle)) ** 2).sum() / share.sum()
        for angle in (turn, turn + np.pi / 2)
    )
    assert along == pytest.approx(0.3**2 / 4, rel=0.02)
    assert across == pytest.approx(0.2**2 / 4, rel=0.02)


def test_the_last_leaf_lies_on_top():
    leaf = [0.0, 5.0, 1.0, 0.2, 0.5, 0.5]
    leaves = np.asarray([[*leaf, *[level] * 3] for level in (0, 50, 90)], np.float32)
    image = np.asarray(procedural._laid(leaves[:, None], 16))[0]
    assert image[8, 8].tolist() == [90] * 3 and image[0, 0].tolist() == [0] * 3


@pytest.mark.parametrize("size", [32, 15])
def test_spectral_noise_has_the_spectrum_and_variance_asked(size):
    found = spectral_noise(np.random.default_rng(3), np.full(300, 3.0), size)
    assert found.shape == (300, 4, size, size) and found.dtype == np.float32
    assert abs(found.mean((2, 3))).max() < 1e-5
    assert (found**2).mean() == pytest.approx(1.0, abs=0.06)
    power = (abs(np.fft.fft2(found)) ** 2).mean((0, 1))
    frequency = np.hypot(*np.meshgrid(np.fft.fftfreq(size), np.fft.fftfreq(size)))
    used = frequency > 0
    fit = stats.linregress(np.log(frequency[used]), np.log(power[used]))
    assert fit.slope == pytest.approx(-3.0, abs=0.05)
    # The four are independent of one another.
    flat = found.transpose(1, 0, 2, 3).reshape(4, -1)
    assert abs(np.corrcoef(flat) - np.eye(4)).max() < 0.1


def test_one_pixel_is_enough():
    for kind in KINDS:
        assert images(kind, 2, 1, 0).shape == (2, 1, 1, 3)


def test_clouds_have_a_slope_within_the_range_asked(drawn):
    """Within a window that hides the sides, over the frequencies in the middle."""
    grey = drawn["clouds"].mean(-1)
    window = np.hanning(34)[1:-1]
    grey = (grey - grey.mean((1, 2), keepdims=True)) * np.outer(window, window)
    power = abs(np.fft.fft2(grey)) ** 2
    frequency = np.hypot(*np.meshgrid(np.fft.fftfreq(32), np.fft.fftfreq(32)))
    used = (frequency > 0.1) & (frequency < 0.4)
    slopes = [
        -stats.linregress(np.log(frequency[used]), np.log(p[used])).slope for p in power
    ]
    low, high = KINDS["clouds"].exponents
    assert np.mean(slopes) == pytest.approx((low + high) / 2, abs=0.3)
    assert np.std(slopes) > (high - low) / 12**0.5 * 0.8
