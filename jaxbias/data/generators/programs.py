"""Random programs: a stand-in for the shaders of Shaders21k (Baradad et al. 2022).

Those are some 21,000 programs that people wrote, each of which says what colour a place
has at a time. Here programs are drawn: instructions on registers that hold a number for
each pixel, which wave, fold, repeat, bend and join what others left. A program is a class;
its images are frames at other times, with constants that wander. On one core an image of
32, 64 and 128 pixels takes 0.2, 0.6 and 2.4 ms.
"""

# Paper: none of its programs can be run here; what a draw has in common with them are the
# operations, and what a class and a frame are.

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, Int

from jaxbias.arrays import RandomKey

Values = Float[Array, " pixel"]
Scalar = Float[Array, ""]

PARTS = 2
"""Of a program. Each begins by bending the plane by what the one before it has found."""

LENGTH = 8
"""Instructions of a part."""

INPUTS = 6
"""Registers that a part begins with: x, y, radius, two of the angle, noise."""

FREQUENCY = (1.0, 8.0)
"""Range of angular frequencies, over half a side of the image; of noise, a third of it."""

CONTRAST = 0.08
"""Least standard deviation, over pixels, of some channel of a program that is kept."""

WANDER = 0.1
"""Standard deviation of what a constant changes by from frame to frame, if it does."""

JUDGED = 16
"""Side of the image that is looked at to see whether a program draws anything."""


@dataclass(frozen=True, kw_only=True)
class Config:
    """What programs are drawn with.

    Attributes:
        size: Side in pixels.
        mixed: Programs whose images are mixed into one, with weights that are uniform
            among those that add up to 1. 6 in the paper's MixUp.
        tries: Programs that are tried for one whose image is not nearly constant; the
            last one is taken.
    """

    size: int
    mixed: int = 1
    tries: int = 32


class Code(NamedTuple):
    """Programs that are mixed, often one.

    Attributes:
        operation: Of each instruction, its number in `OPERATIONS`.
        sources: Registers that it reads.
        frequency: Its rate.
        constants: Three more numbers, -1 to 1: phase, place, and how fast phase moves.
        bend: Of a part: how far the plane is moved to the right and down.
        petals: Whole number of times that the angle's registers go round.
        palettes: Of two colour palettes: middle, swing, rate and phase of each channel.
    """

    operation: Int[Array, "program part instruction"]
    sources: Int[Array, "program part instruction 2"]
    frequency: Float[Array, "program part instruction"]
    constants: Float[Array, "program part instruction 3"]
    bend: Float[Array, "program part 2"]
    petals: Int[Array, " program"]
    palettes: Float[Array, "program 2 4 3"]


def code(key: RandomKey, config: Config) -> Code:
    """Draw programs, each until one draws something."""

    def search(state: tuple) -> tuple:
        number, key, _, _ = state
        key, program_key = jax.random.split(key)
        found = _program(program_key)
        image = _run(found, jnp.float32(0.0), JUDGED)
        return number + 1, key, found, image.std(axis=(0, 1)).max()

    def one(number: Int[Array, ""]) -> Code:
        more = lambda s: (s[0] < config.tries) & (s[3] < CONTRAST)  # noqa: E731
        shapes = jax.eval_shape(_program, key)
        nothing = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), shapes)
        start = jnp.int32(0), jax.random.fold_in(key, number), nothing, jnp.float32(0)
        return lax.while_loop(more, search, start)[2]

    return lax.map(one, jnp.arange(config.mixed))


def draw(
    key: RandomKey, code: Code, config: Config
) -> Float[Array, "{config.size} {config.size} 3"]:
    """Draw a frame of each program and mix them."""
    weight_key, frame_key = jax.random.split(key)

    def frame(total: Array, each: tuple) -> tuple[Array, None]:
        number, program, weight = each
        key = jax.random.fold_in(frame_key, number)
        time_key, which_key, change_key = jax.random.split(key, 3)
        time = jax.random.uniform(time_key)
        shape = program.constants.shape
        change = WANDER * jax.random.normal(change_key, (program.constants.size,))
        some = jax.random.bernoulli(which_key, 0.25, (program.constants.size,))
        change = jnp.where(some, change, 0.0).reshape(shape)
        program = program._replace(constants=program.constants + change)
        return total + weight * _run(program, time, config.size), None

    weights = jax.random.exponential(weight_key, (config.mixed,))
    weights = weights / weights.sum()
    start = jnp.zeros((config.size, config.size, 3))
    each = jnp.arange(config.mixed), code, weights
    return lax.scan(frame, start, each)[0].clip(0, 1)


def parameters(code: Code, config: Config) -> Float[Array, " parameter"]:
    """Operations one-hot, then all other numbers, those of a range from 0 to 1 in it."""
    low, high = np.log(FREQUENCY)
    kinds = jax.nn.one_hot(code.operation, len(OPERATIONS))
    sources = code.sources / (INPUTS + PARTS * LENGTH)
    rates = (jnp.log(code.frequency) - low) / (high - low)
    numbers = kinds, sources, rates, code.constants, code.bend, code.petals / 6
    return jnp.concatenate([jnp.ravel(x) for x in (*numbers, code.palettes)])


# Operations on what two registers hold, with the frequency and constants of an instruction

Operation = Callable[[Values, Values, Scalar, Scalar, Scalar], Values]


def _fraction(values: Values) -> Values:
    """-1/2 to 1/2, again and again."""
    return values - jnp.floor(values + 0.5)


def _noise(a: Values, b: Values, seed: Scalar) -> Values:
    """Smooth noise of the plane, -1 to 1: random at whole numbers."""
    left, up = jnp.floor(a), jnp.floor(b)
    right, down = a - left, b - up
    right, down = right**2 * (3 - 2 * right), down**2 * (3 - 2 * down)
    mixed = lax.bitcast_convert_type(seed, jnp.uint32) * np.uint32(0x9E3779B1)
    column, row = left.astype(jnp.int32), up.astype(jnp.int32)

    def corner(column: Array, row: Array) -> Values:
        # A hash of the lattice point: multiply and fold (Murmur's finish).
        bits = column.astype(jnp.uint32) * np.uint32(0x85EBCA6B) + mixed
        bits = (bits ^ (bits >> 15)) + row.astype(jnp.uint32) * np.uint32(0xC2B2AE35)
        bits = (bits ^ (bits >> 13)) * np.uint32(0x27D4EB2F)
        return (bits >> 8).astype(jnp.float32) / 2**23 - 1

    upper, lower = (
        corner(column, y) * (1 - right) + corner(column + 1, y) * right
        for y in (row, row + 1)
    )
    return upper * (1 - down) + lower * down


def _cloud(a: Values, b: Values, rate: Scalar, phase: Scalar, place: Scalar) -> Values:
    """Three octaves of noise."""

    def octave(number: Int[Array, ""], total: Values) -> Values:
        finer = 2.0**number
        noise = _noise(finer * (rate * a + phase), finer * (rate * b + place), rate)
        return total + 0.6 / finer * noise

    return lax.fori_loop(0, 3, octave, jnp.zeros_like(a))


def _joined(a: Values, b: Values, width: Scalar) -> Values:
    """The less of two, as of distances: their union; round where they meet (Quilez)."""
    share = jnp.clip(0.5 + (b - a) / (2 * width), 0, 1)
    return b + (a - b) * share - width * share * (1 - share)


OPERATIONS: dict[str, Operation] = {
    "wave": lambda a, b, w, p, q: jnp.sin(w * a + p),
    "plane wave": lambda a, b, w, p, q: jnp.sin(w * (a + q * b) + p),
    "twist": lambda a, b, w, p, q: a * jnp.cos(w * b + p),
    "sum": lambda a, b, w, p, q: a + q * b,
    "product": lambda a, b, w, p, q: 1.5 * a * b + 0.3 * q,
    "saw": lambda a, b, w, p, q: 2 * _fraction((w * a + p) / 6),
    "fold": lambda a, b, w, p, q: 4 * jnp.abs(_fraction((w * a + p) / 6)) - 1,
    "ridge": lambda a, b, w, p, q: 1 - 2 * jnp.abs(a + q),
    "step": lambda a, b, w, p, q: jnp.tanh(w * (a + 0.5 * q)),
    "noise": lambda a, b, w, p, q: _noise(w * a / 3 + p, w * b / 3 + q, w),
    "cloud": lambda a, b, w, p, q: _cloud(a, b, w / 3, p, q),
    "distance": lambda a, b, w, p, q: jnp.hypot(a - jnp.sin(p), b - q) - 0.5,
    "discs": lambda a, b, w, p, q: (
        0.7 - 3 * jnp.hypot(_fraction((w * a + p) / 6), _fraction(w * b / 6 + q))
    ),
    "box": lambda a, b, w, p, q: (
        jnp.maximum(jnp.abs(a - 0.5 * jnp.sin(p)), jnp.abs(b - 0.5 * q)) - 0.4
    ),
    "union": lambda a, b, w, p, q: _joined(a, b, 0.05 + 0.3 * jnp.abs(q)),
    "either": lambda a, b, w, p, q: jnp.where(a > 0.5 * jnp.sin(p), b, -b),
}
"""What an instruction may do."""


def _program(key: RandomKey) -> Code:
    """One program, of whatever merit."""
    keys = jax.random.split(key, 8)
    count = PARTS * LENGTH
    order = jnp.arange(count)
    # Results of late, or what the part began with: so it builds on itself.
    back = 1 + jax.random.randint(keys[0], (2 * count,), 0, 3).reshape(2, count)
    recent = INPUTS + order[None] - jnp.minimum(back, order[None])
    given = jax.random.randint(keys[1], (2 * count,), 0, INPUTS).reshape(2, count)
    late = jax.random.bernoulli(keys[2], 0.65, (2 * count,)).reshape(2, count)
    sources = jnp.where(late & (order[None] > 0), recent, given)
    low, high = np.log(FREQUENCY)
    frequency = jnp.exp(jax.random.uniform(keys[3], (count,), minval=low, maxval=high))
    constants = jax.random.uniform(keys[4], (3 * count,), minval=-1.0)
    bend = 0.5 * jax.random.uniform(keys[5], (2 * PARTS,), minval=-1.0)
    whole = jax.random.randint(keys[6], (count + 1,), 0, 6 * len(OPERATIONS))
    middle, swing, rate, phase = jax.random.uniform(keys[7], (24,)).reshape(4, 2, 3)
    # Channels share a rate, and so colours come back.
    rate = jnp.broadcast_to(0.3 + 0.7 * rate[:, :1], (2, 3))
    palettes = [0.35 + 0.3 * middle, 0.25 + 0.25 * swing, rate, phase]
    return Code(
        operation=(whole[1:] % len(OPERATIONS)).reshape(PARTS, LENGTH),
        sources=sources.T.reshape(PARTS, LENGTH, 2),
        frequency=frequency.reshape(PARTS, LENGTH),
        constants=constants.reshape(PARTS, LENGTH, 3),
        bend=bend.reshape(PARTS, 2),
        petals=1 + whole[0] % 6,
        palettes=jnp.stack(palettes, axis=1),
    )


def _run(program: Code, time: Scalar, size: int) -> Float[Array, "{size} {size} 3"]:
    """The image of one program (`Code` without its first axis) at a time."""
    line = (2 * np.arange(size) + 1) / size - 1
    down, across = (
        jnp.asarray(x.ravel(), jnp.float32)
        for x in np.meshgrid(line, line, indexing="ij")
    )
    count = INPUTS + PARTS * LENGTH

    def step(state: tuple, instruction: tuple) -> tuple[tuple, None]:
        registers, number = state
        operation, sources, frequency, (phase, place, speed) = instruction
        a, b = registers[sources[0]], registers[sources[1]]
        phase = np.pi * (phase + speed * time)
        ways = list(OPERATIONS.values())
        value = lax.switch(operation, ways, a, b, frequency, phase, place)
        value = jnp.clip(value, -2, 2)
        return (registers.at[number].set(value), number + 1), None

    def part(state: tuple, part: tuple) -> tuple[tuple, None]:
        registers, number = state
        *instructions, bend = part
        # Of the first part these are empty still.
        x = across + bend[0] * registers[number - 1]
        y = down + bend[1] * registers[number - 2]
        radius, angle = jnp.hypot(x, y), program.petals * jnp.arctan2(y, x)
        noise = _noise(2 * x, 2 * y, program.bend[0, 0])
        given = [x, y, 2 * radius - 1, jnp.cos(angle), radius * jnp.sin(angle), noise]
        registers = registers.at[:INPUTS].set(jnp.stack(given))
        return lax.scan(step, (registers, number), tuple(instructions))[0], None

    parts = program.operation, program.sources, program.frequency, program.constants
    empty = jnp.zeros((count, size**2)), jnp.int32(INPUTS)
    (registers, _), _ = lax.scan(part, empty, (*parts, program.bend))
    return _coloured(registers[-3:], program.palettes).reshape(size, size, 3)


def _coloured(
    last: Float[Array, "3 pixel"], palettes: Float[Array, "2 4 3"]
) -> Float[Array, "pixel 3"]:
    """What the last instruction left chooses between palettes of cosines (Quilez), the one
    before it is the place in them, and that before it is light."""
    light, place, choice = last[..., None]
    choice = jax.nn.sigmoid(6 * choice)
    first, second = (
        middle + swing * jnp.cos(2 * np.pi * (place * rate[None] + phase[None]))
        for middle, swing, rate, phase in (
            (p[0][None], p[1][None], p[2], p[3]) for p in palettes
        )
    )
    colour = second + choice * (first - second)
    return jnp.clip(colour * (0.85 + 0.3 * light), 0, 1)
