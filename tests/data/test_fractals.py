"""Fractals: what serial loops draw, and the laws of maps and of instances."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxbias.data.generators import fractals
from jaxbias.data.generators.fractals import Code, Config

SMALL = Config(size=16, search_size=32)
FERN = np.asarray(
    [
        [0.5, 0.1, -0.2, 0.6, 0.3, -0.4],
        [-0.4, 0.5, 0.3, 0.5, -0.5, 0.8],
        [0.3, -0.6, 0.5, 0.2, 0.1, 0.2],
    ],
    np.float32,
)


def coded(maps):
    full = np.zeros((fractals.MOST, 6), np.float32)
    full[: len(maps)] = maps
    area = abs(full[:, 0] * full[:, 3] - full[:, 1] * full[:, 2])
    return Code(jnp.asarray(full), jnp.asarray(area / area.sum()))


def pasted(cells, masks, size):
    """Patches laid in turn, two pixels to the right and down, cut at the edges."""
    lit, when = np.zeros((size, size), bool), np.full((size, size), -1)
    for number, (cell, mask) in enumerate(zip(cells, masks, strict=True)):
        if cell == size**2:
            continue
        bits = np.asarray([int(bit) for bit in f"{mask:09b}"], bool).reshape(3, 3)
        row, column = divmod(int(cell), size)
        rows = slice(row + 1, row + 4)
        columns = slice(column + 1, column + 4)
        shown = lit[rows, columns].shape
        lit[rows, columns] = bits[: shown[0], : shown[1]]
        when[rows, columns] = number
    return lit, when


@pytest.mark.parametrize("size", [7, 24])
def test_last_patch_is_what_a_serial_loop_leaves(size):
    rng = np.random.default_rng(size)
    cells = rng.integers(0, size**2 + 1, 300)
    masks = rng.integers(1, 512, 300)
    found = fractals.last_patch(jnp.asarray(cells), jnp.asarray(masks), size)
    lit, when = pasted(cells, masks, size)
    np.testing.assert_array_equal(found.lit, lit)
    np.testing.assert_array_equal(found.when, when)
    assert 0.3 < lit.mean() < 0.7


def test_the_last_patch_of_many_points_keeps_its_number():
    """The mask is beside the number in 31 bits."""
    cells = jnp.full(300_000, 4).at[-1].set(0)
    found = fractals.last_patch(cells, jnp.full(300_000, 511), 5)
    assert found.when.max() == 299_999 and found.lit[1:4, 1:4].all()


def walked(code, steps, chains, start):
    """Each chain by itself, in double precision."""
    choices = np.random.RandomState(100).random_sample(steps * chains)
    maps, edges = np.asarray(code.maps, float), np.cumsum(np.asarray(code.share, float))
    places = np.empty((steps, chains, 2))
    for chain in range(chains):
        place = np.asarray(start, float)
        for step in range(steps):
            which = np.searchsorted(edges, choices.reshape(steps, chains)[step, chain])
            a, b, c, d, e, f = maps[which]
            place = np.asarray([[a, b], [c, d]]) @ place + [e, f]
            places[step, chain] = place
    return places


def test_points_are_those_of_many_chains():
    code, steps, chains = coded(FERN), 4, 64
    found = np.asarray(fractals.orbit(code, steps * chains, False))
    every = walked(code, fractals.BURN_IN + steps, chains, (0, 0))
    before, kept = every[: fractals.BURN_IN, 0], every[fractals.BURN_IN :]
    expected = np.concatenate([[(0, 0)], before, kept.reshape(-1, 2)])
    np.testing.assert_allclose(found, expected, atol=1e-5)
    # From the first map's fixed point, they are on the attractor at once.
    fixed = np.linalg.solve(np.eye(2) - FERN[0, :4].reshape(2, 2), FERN[0, 4:])
    found = fractals.orbit(code, steps * chains, True)
    expected = walked(code, fractals.BURN_IN + steps, chains, fixed)[fractals.BURN_IN :]
    np.testing.assert_allclose(found, expected.reshape(-1, 2), atol=1e-5)


def test_points_are_stretched_to_the_image_but_for_the_padding():
    points = np.random.default_rng(0).uniform(-3, 8, (500, 2)).astype(np.float32)
    points[7], points[11] = (np.nan, 1), (1, np.inf)
    cells = np.asarray(fractals.placed(jnp.asarray(points), 60))
    assert set(np.flatnonzero(cells == 3600)) == {7, 11}
    good = np.delete(points, [7, 11], axis=0).astype(float)
    inside = 60 - 12 * 60 / 362
    low, high = good.min(0), good.max(0)
    pixel = np.floor((good - low) / (high - low) * inside + 6 * 60 / 362)
    right, down = pixel.T
    same = np.delete(cells, [7, 11]) == down * 60 + right
    # A point on the edge of two pixels may be in the other one.
    assert same.mean() > 0.99
    nowhere = fractals.placed(jnp.full((3, 2), jnp.inf), 8)
    assert (np.asarray(nowhere) == 64).all()


@pytest.fixture(scope="module")
def drawn():
    return jax.jit(lambda key: fractals.draw(key, coded(FERN), SMALL))


def test_an_image_is_its_parts(drawn, key):
    """One of 30 weightings, patches and flips; nothing else."""
    code = coded(FERN)
    image = np.asarray(drawn(jax.random.clone(key)))
    assert image.shape == (16, 16, 3) and image.dtype == np.float32
    assert set(np.unique(image)) == {np.float32(0), np.float32(127 / 255)}
    weight_key, mask_key, _ = jax.random.split(key, 3)
    maps = code.maps * fractals._weights(weight_key, 0.4)
    points = fractals.orbit(
        code._replace(maps=maps), round(256 * fractals.POINTS), False
    )
    cells = fractals.placed(points, 16)
    masks = jax.random.randint(mask_key, cells.shape, 1, 512)
    lit, _ = pasted(np.asarray(cells), np.asarray(masks), 16)
    turned = [lit, lit[::-1], lit[:, ::-1], lit[::-1, ::-1]]
    assert sum((one == (image[..., 0] > 0)).all() for one in turned) == 1


def test_weights_change_one_parameter_by_two_steps_at_most():
    keys = jax.random.split(jax.random.key(1), 2_000)
    weights = np.asarray(jax.vmap(lambda k: fractals._weights(k, 0.1)[0])(keys))
    changed = (weights != 1).sum(1)
    assert changed.max() == 1 and abs((changed == 0).mean() - 0.2) < 0.03
    levels, counts = np.unique(weights[weights != 1].round(4), return_counts=True)
    np.testing.assert_allclose(levels, [0.8, 0.9, 1.1, 1.2])
    assert counts.min() > 330
    assert ((weights != 1).sum(0) > 200).all()


def test_the_search_finds_codes_that_fill_enough():
    draw = jax.jit(lambda key: fractals.code(key, SMALL))
    share = jax.jit(lambda code: fractals.filled(code, SMALL.search_size))
    found = [draw(key) for key in jax.random.split(jax.random.key(2), 6)]
    for one in found:
        assert share(one) >= 0.2
        assert abs(one.maps).max() < 1
        used = np.asarray(one.share) > 0
        assert 2 <= used.sum() <= 7 and not np.asarray(one.maps)[~used].any()
        a, b, c, d, _, _ = np.asarray(one.maps).T
        area = abs(a * d - b * c)
        np.testing.assert_allclose(one.share, area / area.sum(), rtol=1e-4, atol=1e-6)
        assert fractals.parameters(one, SMALL).shape == (49,)
    assert len({float(one.maps[0, 0]) for one in found}) == 6


def test_a_search_in_vain_gives_nan(key):
    config = Config(size=16, search_size=32, filled=0.9, tries=3)
    code = fractals.code(jax.random.clone(key), config)
    assert np.isnan(np.asarray(fractals.parameters(code, config))).all()
    assert np.isnan(np.asarray(fractals.draw(key, code, config))).all()


def test_filled_is_the_share_of_visited_pixels():
    code = coded(FERN)
    points = fractals.orbit(code, round(fractals.SEARCH_POINTS * 1024), False)
    cells = set(np.asarray(fractals.placed(points, 32)).tolist())
    assert fractals.filled(code, 32) == pytest.approx(len(cells) / 1024)


def test_contractive_codes_have_the_singular_values_asked():
    config = Config(size=16, law="contractive")
    keys = jax.random.split(jax.random.key(3), 300)
    codes = jax.jit(jax.vmap(lambda key: fractals.code(key, config)))(keys)
    maps = np.asarray(codes.maps, float)
    count = (maps != 0).any(2).sum(1)
    assert set(count) == set(range(2, 8))
    values = np.linalg.svd(maps[..., :4].reshape(-1, 7, 2, 2), compute_uv=False)
    assert values.max() < 1 + 1e-5
    total = 2 * (values @ [1, 2]).sum(1) - count - 5
    assert total.min() > -1e-4 and total.max() < 1 + 1e-4
    assert total.mean() == pytest.approx(0.5, abs=0.06)
    moved = maps[np.arange(7) < count[:, None]][:, 4:]
    assert moved.std() == pytest.approx(3**-0.5, abs=0.02)
    # Every direction and either orientation is as likely.
    matrices = maps[np.arange(7) < count[:, None]][:, :4].reshape(-1, 2, 2)
    assert (np.linalg.det(matrices) > 0).mean() == pytest.approx(0.5, abs=0.05)
    assert abs(matrices.mean(0)).max() < 0.05


def test_colours_go_round_with_time():
    rng = np.random.default_rng(5)
    cells, masks = jnp.asarray(rng.integers(0, 256, 400)), rng.integers(1, 512, 400)
    last = fractals.last_patch(cells, jnp.asarray(masks), 16)
    image = np.asarray(fractals._coloured(last, "time"))
    lit, hues = np.asarray(last.lit), fractals._hues()
    np.testing.assert_array_equal(image[lit], hues[np.asarray(last.when)[lit] % 128])
    assert not image[~lit].any()
    # Saturation and intensity are three quarters; red, green and blue come in this order.
    np.testing.assert_allclose(hues.max(1), 0.75, atol=0.01)
    np.testing.assert_allclose(hues.min(1), 0.1875, atol=0.01)
    assert hues[[0, 43, 85]].argmax(1).tolist() == [0, 1, 2]
    assert len(np.unique(hues, axis=0)) == 128


@pytest.mark.slow
def test_vmap_changes_nothing(drawn):
    keys = jax.random.split(jax.random.key(4), 3)
    plain = jnp.stack([drawn(key) for key in keys])
    many = jax.jit(jax.vmap(drawn))(keys)
    # A point may fall on the other side of an edge by rounding.
    assert (np.asarray(plain) == np.asarray(many)).mean() > 0.97
