import numpy as np
import pytest

from jaxbias.data import glyphs


def test_digits_are_what_their_number_says_and_no_two_alike():
    whole = glyphs.digits("train", count=40)
    part = glyphs.digits("train", count=20)
    np.testing.assert_array_equal(whole.images[:20], part.images)
    assert whole.images.shape == (40, 28, 28, 1) and whole.images.dtype == np.uint8
    assert whole.labels.tolist() == list(range(10)) * 4
    assert len({image.tobytes() for image in whole.images}) == 40
    test = glyphs.digits("test", count=20).images
    assert not (test == part.images).all(axis=(1, 2, 3)).any()
    other = glyphs.digits("train", count=20, seed=1).images
    assert not (other == part.images).all(axis=(1, 2, 3)).any()


def test_digits_lie_inside_and_can_be_told_apart():
    found = glyphs.digits("train", count=600)
    border = np.concatenate(
        [found.images[:, [0, -1]], found.images[:, :, [0, -1]].swapaxes(1, 2)], 1
    )
    # A turned digit may touch the border, as some of MNIST's do; hardly any does.
    assert (border > 128).any(axis=(1, 2, 3)).mean() < 0.05
    ink = found.images.mean(axis=(1, 2, 3))
    assert (ink > 10).all() and (ink < 120).all()
    flat = found.images.reshape(600, -1).astype(np.float64)
    means = np.stack(
        [flat[:500][found.labels[:500] == d].mean(axis=0) for d in range(10)]
    )
    nearest = ((flat[500:, None] - means[None]) ** 2).sum(axis=2).argmin(axis=1)
    assert (nearest == found.labels[500:]).mean() > 0.7


def test_a_split_that_is_not_there():
    with pytest.raises(ValueError, match="no split 'dev'"):
        glyphs.digits("dev")
