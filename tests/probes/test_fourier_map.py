"""Fourier heat maps: waves by their transform, and networks whose map is known."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxbias.probes import fourier_map as fm


def cell_waves(height, width):
    """Waves of all cells by inverse transforms of one or two coefficients."""
    found = np.zeros((height, width, height, width))
    for row in range(height):
        for column in range(width):
            spectrum = np.zeros((height, width), complex)
            at = (row - height // 2, column - width // 2)
            spectrum[at] += 0.5 - 0.5j
            spectrum[-at[0], -at[1]] += 0.5 + 0.5j
            found[row, column] = np.fft.ifft2(spectrum).real
    return found * np.sqrt(height * width)


@pytest.mark.parametrize("shape", [(6, 6), (5, 6), (7, 5)])
def test_waves_are_orthonormal_and_of_one_frequency(shape):
    cells = fm.frequencies(*shape)
    assert cells.shape == (*shape, 2)
    waves = jax.vmap(lambda f: fm.wave(*shape, f))(jnp.asarray(cells.reshape(-1, 2)))
    flat = np.asarray(waves).reshape(len(waves), -1)
    np.testing.assert_allclose(flat @ flat.T, np.eye(len(flat)), atol=1e-5)
    np.testing.assert_allclose(
        waves, cell_waves(*shape).reshape(waves.shape), atol=1e-6
    )


@pytest.mark.parametrize("shape", [(6, 6), (5, 6), (5, 7)])
def test_a_cell_and_its_mirror_image_are_measured_once(shape):
    cells = fm.frequencies(*shape)
    distinct, cell = fm._distinct(*shape, cells)
    mirrored = distinct[cell]
    size = np.asarray(shape)
    same = ((mirrored - cells) % size == 0).all(-1)
    opposite = ((mirrored + cells) % size == 0).all(-1)
    assert (same | opposite).all()
    alone = (same & opposite).sum()
    assert len(distinct) == (cells.size // 2 - alone) // 2 + alone
    assert alone == np.prod([2 - n % 2 for n in shape])


def test_a_central_square_holds_the_lowest_frequencies():
    cells = fm.frequencies(8, 10, 3)
    np.testing.assert_array_equal(cells[..., 0], [[-1] * 3, [0] * 3, [1] * 3])
    np.testing.assert_array_equal(cells[..., 1], [[-1, 0, 1]] * 3)
    with pytest.raises(ValueError, match="9 x 9 cells of 8 x 10"):
        fm.frequencies(8, 10, 9)


def test_the_norm_counts_and_signs_are_drawn_for_each_channel(key):
    images = jnp.full((40, 8, 8, 3), 0.5)
    moved = fm.with_wave(images, key, jnp.asarray([1, 2]), 0.4) - images
    np.testing.assert_allclose(jnp.linalg.norm(moved, axis=(1, 2)), 0.4, rtol=1e-5)
    wave = np.asarray(fm.wave(8, 8, jnp.asarray([1, 2])))
    signs = np.einsum("nhwc,hw->nc", np.asarray(moved), wave) / 0.4
    np.testing.assert_allclose(np.abs(signs), 1, atol=1e-5)
    assert 30 < (signs > 0).sum() < 90
    # Neither the channels of an image nor the images of a channel share one.
    assert len(np.unique(np.sign(signs), axis=0)) > 4
    cut = fm.with_wave(images, jax.random.key(1), jnp.asarray([0, 1]), 100.0)
    assert float(cut.min()) == 0 and float(cut.max()) == 1


def test_a_network_that_sees_one_frequency_errs_there_alone(key):
    """Its logit is the energy at a frequency, and a bias decides that there is none."""
    shape = (6, 8)
    wanted = jnp.asarray([1, -2])
    filters = jnp.stack([fm.wave(*shape, wanted), fm.wave(*shape, -wanted)])

    def predict(params, images):
        seen = jnp.einsum("nhwc,khw->nck", images - 0.5, filters)
        return jnp.stack(
            [jnp.full(images.shape[0], params), jnp.sum(seen**2, axis=(1, 2))], axis=1
        )

    images = jnp.full((5, *shape, 2), 0.5)
    labels = jnp.asarray([0, 0, 0, 1, 0])
    found = fm.fourier_map(predict, jnp.float32(0.5), images, labels, key, norm=0.6)
    expected = np.full(shape, 1 / 5)
    for sign in (1, -1):
        expected[3 + sign, 4 - 2 * sign] = 4 / 5
    np.testing.assert_allclose(found.error, expected, rtol=1e-6)
    # Only the second logit moves, by twice (channels) the squared norm.
    np.testing.assert_allclose(
        found.change, np.where(expected > 0.5, 2 * 0.36, 0), atol=1e-5
    )


def test_the_change_of_given_outputs_is_the_norm_of_what_is_added(key):
    images = jax.random.uniform(jax.random.key(2), (3, 6, 6, 2), minval=0.4, maxval=0.6)
    found = fm.fourier_map(
        lambda p, x: x[:, :3, 0, 0] / p,
        jnp.float32(0),
        images,
        jnp.zeros(3, jnp.int32),
        key,
        norm=jnp.float32(0.1),
        side=3,
        outputs=lambda p, x: 2 * x,
    )
    np.testing.assert_allclose(
        found.change, np.full((3, 3), 2 * 0.1 * 2**0.5), rtol=1e-4
    )
    # Logits that are not finite have no error.
    assert np.isnan(found.error).all()
