"""Programs: what a machine does with given instructions, and what random ones are like."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxbias.data.generators import programs
from jaxbias.data.generators.programs import INPUTS, LENGTH, OPERATIONS, PARTS, Config

NAMES = list(OPERATIONS)
SMALL = Config(size=16)


def assembled(lines, bend=((0, 0), (0, 0)), petals=1):
    """A program of instructions (name, first, second, frequency, phase, place, speed).

    What is left of each part is filled with sums that pass on the last register.
    """
    full = []
    for part, own in enumerate(lines):
        begin = INPUTS + part * LENGTH
        for number in range(LENGTH):
            idle = ("sum", begin + number - 1, 0, 1, 0, 0, 0)
            full.append(own[number] if number < len(own) else idle)
    shape = PARTS, LENGTH
    table = np.asarray([line[1:] for line in full], np.float32)
    grey = np.zeros((2, 4, 3), np.float32)
    # Channels are the three waves that tell the place, as long as it is from -1/2 to 1/2.
    grey[:, 0], grey[:, 1], grey[:, 2] = 0.5, 0.5, 1
    grey[:, 3] = [0, 1 / 3, 2 / 3]
    return programs.Code(
        operation=jnp.asarray([NAMES.index(line[0]) for line in full]).reshape(shape),
        sources=jnp.asarray(table[:, :2].astype(int)).reshape(*shape, 2),
        frequency=jnp.asarray(table[:, 2]).reshape(shape),
        constants=jnp.asarray(table[:, 3:]).reshape(*shape, 3),
        bend=jnp.asarray(bend, jnp.float32),
        petals=jnp.int32(petals),
        palettes=jnp.asarray(grey),
    )


def plane(size):
    line = (np.arange(size) + 0.5) / size * 2 - 1
    return np.meshgrid(line, line)


def coloured(values):
    """Of a register that is light, place and choice in one."""
    phase = values[..., None] + np.asarray([0, 1, 2]) / 3
    colour = 0.5 + 0.5 * np.cos(2 * np.pi * phase)
    return np.clip(colour * (0.85 + 0.3 * values[..., None]), 0, 1)


@pytest.fixture(scope="module")
def ran():
    """One compiled program for all programs."""
    run = jax.jit(programs._run, static_argnums=2)
    return lambda program, time=0.0: np.asarray(run(program, jnp.float32(time), 16))


def test_an_image_is_what_the_instructions_say(ran):
    x, y = plane(16)
    one = [
        ("wave", 0, 1, 5.0, 0.25, 0.0, 0.5),
        ("product", INPUTS, 1, 1.0, 0.0, 0.4, 0.0),
    ]
    two = [("sum", INPUTS + LENGTH - 1, 0, 1.0, 0.0, 0.2, 0.0)]
    for time in (0.0, 0.7):
        wave = np.sin(5 * x + np.pi * (0.25 + 0.5 * time))
        values = 1.5 * wave * y + 0.3 * 0.4 + 0.2 * x
        program, expected = assembled([one, two]), coloured(values.clip(-2, 2))
        np.testing.assert_allclose(ran(program, time), expected, atol=2e-5)
    # And as much without a compiled program.
    found = programs._run(program, jnp.float32(time), 16)
    np.testing.assert_allclose(found, expected, atol=2e-5)


def test_the_second_part_sees_a_bent_plane(ran):
    """By the last two registers of the first."""
    x, y = plane(16)
    one = [("step", 0, 0, 2.0, 0.0, 0.0, 0.0), ("step", 1, 0, 3.0, 0.0, 0.0, 0.0)]
    one += [("sum", INPUTS, 0, 1, 0, 0, 0)] * (LENGTH - 3)
    one += [("sum", INPUTS + 1, 0, 1, 0, 0, 0)]
    two = [("sum", 2, 3, 1.0, 0.0, 0.5, 0.0)]
    bent_x, bent_y = x + 0.4 * np.tanh(3 * y), y - 0.3 * np.tanh(2 * x)
    radius, angle = np.hypot(bent_x, bent_y), np.arctan2(bent_y, bent_x)
    values = 2 * radius - 1 + 0.5 * np.cos(3 * angle)
    found = ran(assembled([one, two], bend=((0, 0), (0.4, -0.3)), petals=3))
    np.testing.assert_allclose(found, coloured(values.clip(-2, 2)), atol=5e-5)


def test_what_operations_draw():
    a, b = (jnp.asarray(x.ravel(), jnp.float32) for x in plane(16))
    call = lambda name, w=1.0, p=0.0, q=0.0: np.asarray(  # noqa: E731
        OPERATIONS[name](a, b, jnp.float32(w), jnp.float32(p), jnp.float32(q))
    )
    np.testing.assert_allclose(call("distance"), np.hypot(a, b) - 0.5, atol=1e-6)
    inside = (abs(a) < 0.4) & (abs(b) < 0.4)
    np.testing.assert_array_equal(call("box") < 0, inside)
    # A period is six over the frequency; discs come back in both directions.
    turned = np.asarray(a) + 0.5
    np.testing.assert_allclose(call("saw", 6.0), 2 * (a - np.round(a)), atol=1e-5)
    np.testing.assert_allclose(
        call("fold", 6.0, 3.0), 4 * abs(turned - np.round(turned)) - 1, atol=1e-5
    )
    discs = call("discs", 6.0).reshape(16, 16)
    np.testing.assert_allclose(discs[:, :8], discs[:, 8:], atol=1e-5)
    assert (discs > 0).any() and (discs < 0).any()
    # A union is the less of the two where they are far apart, and never more.
    union, less = call("union"), np.minimum(a, b)
    apart = abs(np.asarray(a - b)) > 0.11
    np.testing.assert_allclose(union[apart], less[apart], atol=1e-6)
    assert (union <= less + 1e-6).all() and (union < less - 0.005).any()
    np.testing.assert_allclose(call("either"), np.where(a > 0, b, -b))


def test_noise_is_smooth_and_random_at_whole_numbers():
    rng = np.random.default_rng(0)
    whole = rng.integers(-90, 90, (2, 4_000)).astype(np.float32)
    noise = jax.jit(programs._noise)
    at = np.asarray(noise(*whole, jnp.float32(0.3)))
    assert abs(at).max() <= 1
    assert at.mean() == pytest.approx(0, abs=0.03)
    assert at.std() == pytest.approx(3**-0.5, abs=0.02)
    other = np.asarray(noise(*whole, jnp.float32(0.31)))
    beside = np.asarray(noise(whole[0] + 1, whole[1], jnp.float32(0.3)))
    for unlike in (other, beside):
        assert abs(np.corrcoef(at, unlike)[0, 1]) < 0.06
    # In the middle of a cell it is the mean of the corners; nearby it is much the same.
    x, y = whole
    corners = [noise(x + i, y + j, jnp.float32(0.3)) for i in (0, 1) for j in (0, 1)]
    middle = noise(x + 0.5, y + 0.5, jnp.float32(0.3))
    np.testing.assert_allclose(middle, np.mean(corners, axis=0), atol=1e-5)
    near = noise(x - 0.01, y + 0.01, jnp.float32(0.3))
    np.testing.assert_allclose(near, at, atol=2e-3)


def test_any_operation_on_any_register_is_finite():
    rng = np.random.default_rng(1)
    a, b = rng.uniform(-2, 2, (2, 256)).astype(np.float32)
    for name, operation in OPERATIONS.items():
        for w, p, q in rng.uniform(-1, 1, (6, 3)).astype(np.float32):
            numbers = jnp.float32(4 + 4 * w), jnp.float32(6 * p), jnp.float32(q)
            found = np.asarray(operation(jnp.asarray(a), jnp.asarray(b), *numbers))
            assert np.isfinite(found).all(), name
            assert found.std() > 0, name


@pytest.fixture(scope="module")
def drawn():
    """Programs and two frames of each."""
    code_key, frame_key = jax.random.split(jax.random.key(2))
    one = lambda key: programs.code(key, SMALL)  # noqa: E731
    codes = jax.jit(lambda keys: jax.lax.map(one, keys))(jax.random.split(code_key, 40))

    def frames(each):
        code, keys = each
        return jax.lax.map(lambda key: programs.draw(key, code, SMALL), keys)

    keys = jax.random.split(frame_key, (40, 2))
    return codes, np.asarray(jax.jit(lambda *x: jax.lax.map(frames, x))(codes, keys))


def test_a_frame_is_more_like_its_programs_than_like_another(drawn):
    _, frames = drawn
    assert frames.shape == (40, 2, 16, 16, 3) and frames.dtype == np.float32
    assert np.isfinite(frames).all() and frames.min() >= 0 and frames.max() <= 1
    flat = frames.reshape(40, 2, -1)
    distance = abs(flat[:, None, 0] - flat[None, :, 1]).mean(-1)
    own = np.diag(distance)
    assert (own > 0).all()
    assert own.mean() < 0.75 * distance.mean()
    # Of 40, one in 40 by chance.
    assert (distance.argmin(1) == np.arange(40)).mean() > 0.6


def test_programs_draw_something(drawn, ran):
    codes, frames = drawn
    contrast = frames.std((2, 3)).max(-1)
    assert np.median(contrast) > 0.15
    for number in range(5):
        program = jax.tree.map(lambda x, n=number: x[n, 0], codes)
        # Rounded anew, some pixels are others.
        assert ran(program).std((0, 1)).max() >= 0.9 * programs.CONTRAST
    operations, counts = np.unique(np.asarray(codes.operation), return_counts=True)
    assert len(operations) == len(OPERATIONS) and counts.min() > 10
    # A part reads its inputs and what was there before.
    written = INPUTS + np.arange(PARTS * LENGTH).reshape(PARTS, LENGTH, 1)
    assert (np.asarray(codes.sources)[:, 0] < written[None]).all()
    assert np.asarray(codes.sources).min() == 0


def test_parameters_tell_programs_apart(drawn):
    codes, _ = drawn
    flat = jax.vmap(lambda code: programs.parameters(code, SMALL))(codes)
    flat = np.asarray(flat)
    count = PARTS * LENGTH
    assert flat.shape == (40, count * (len(OPERATIONS) + 2 + 1 + 3) + 4 + 1 + 24)
    assert abs(flat).max() <= 1 + 1e-6
    assert len(np.unique(flat.round(4), axis=0)) == 40


def test_programs_are_mixed_with_weights_that_add_up(monkeypatch):
    """Of two whose images are alike but for the colour."""
    monkeypatch.setattr(programs, "WANDER", 0.0)
    base = assembled([[("wave", 0, 1, 3.0, 0.1, 0.0, 0.0)], []])
    red, green = (
        jnp.zeros((2, 4, 3)).at[:, 0].set(jnp.eye(3)[channel]) for channel in (0, 1)
    )
    both = [base._replace(palettes=one) for one in (red, green)]
    code = jax.tree.map(lambda *x: jnp.stack(x), *both)
    config = Config(size=8, mixed=2)
    draw = jax.jit(jax.vmap(lambda key: programs.draw(key, code, config)))
    images = np.asarray(draw(jax.random.split(jax.random.key(4), 400)))
    weight = images[..., 0] / images[..., :2].sum(-1)
    np.testing.assert_allclose(
        weight, weight[:, :1, :1].repeat(8, 1).repeat(8, 2), atol=1e-4
    )
    # Dirichlet's law of two is uniform.
    levels = np.quantile(weight[:, 0, 0], [0.1, 0.25, 0.5, 0.75, 0.9])
    np.testing.assert_allclose(levels, [0.1, 0.25, 0.5, 0.75, 0.9], atol=0.06)
    assert programs.parameters(code, config).ndim == 1


def test_vmap_changes_nothing(drawn):
    codes, frames = drawn
    _, frame_key = jax.random.split(jax.random.key(2))
    keys = jax.random.split(frame_key, (40, 2))[:3, 0]
    some = jax.tree.map(lambda x: x[:3], codes)
    draw = jax.jit(jax.vmap(lambda key, code: programs.draw(key, code, SMALL)))
    # Folds and hashes carry what is rounded far away, in a few pixels.
    assert (abs(np.asarray(draw(keys, some)) - frames[:3, 0]) < 1e-3).mean() > 0.97
