"""Images of untrained StyleGAN2 generators (Baradad et al. 2021, section 3.3).

Of the four sets, "random" has normal weights. In the others a kernel is a 3 x 3 wavelet of
its input channel times a number of its output channel, which demodulation reduces to a
sign: all channels of a layer are one map up to the sign, the noise and a bias. A layer then
takes one sum over its input channels in place of hundreds. With biases that sum is, at each
pixel, a piecewise linear function of the map's value, and is looked up in a table.
`draw_densely` multiplies all weights out, and gives the same images.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Bool, Float, Int, UInt32

from jaxbias.arrays import RandomKey
from jaxbias.data.generators import layer_filters, layer_noise, wavelets

MOST = 32_768
"""Channels of a layer times its side in pixels, at most."""

GAIN = 2**0.5
"""Of each ReLU."""

COLOURS = np.array(
    [[[0.483, 0.455, 0.401], [0.219, 0.213, 0.213]],
     [[0.145, 0.142, 0.161], [0.063, 0.062, 0.069]]], np.float32
)  # fmt: skip
"""Means, then deviations, of the mean and of the spread of red, green and blue."""

SMALLEST_SIDE = 16

Image = Float[Array, "size size 3"]
Map = Float[Array, "row column"]


@dataclass(frozen=True, kw_only=True)
class Config:
    """What networks are drawn with. Pairs are the least and the greatest value.

    Attributes:
        size: Side in pixels. Networks make powers of two; for another size, the next
            larger image is shrunk by averaging.
        kind: Of weights, noise and biases.
        channels: Of a layer at most; never more than 32,768 / its side. Those of "random"
            cost time and memory as their square, those of other sets hardly any.
        latents: Length of the latent vector of each layer.
        strength: Of noise, greatest; uniform from 0 for each layer.
        exponents: a of the amplitude 1 / frequency^a of noise.
        bias: None takes 0 to 0.2 for "sparse" and -0.2 to 0.2 for "oriented".
        tie_wavelets: Whether all layers of an "oriented" network have the same wavelets.
        wavelets: How many of the forty "oriented" ones; None takes 4 to 8 if all layers
            have the same, and 5 to 40 if not.
    """

    size: int
    kind: Literal["random", "highfreq", "sparse", "oriented"]
    channels: int = 512
    latents: int = 512
    strength: float = 0.3
    exponents: tuple[float, float] = (0.5, 1.5)
    bias: tuple[float, float] | None = None
    # Paper: the released script draws wavelets for each layer, and its images look like
    # those of "sparse"; the gallery's strokes come from few wavelets for all layers.
    tie_wavelets: bool = True
    wavelets: tuple[int, int] | None = None

    def __post_init__(self):
        if self.size < SMALLEST_SIDE or self.channels < 1:
            raise ValueError(
                f"{self.size} pixels and {self.channels} channels: "
                f"at least {SMALLEST_SIDE} and 1"
            )


class Code(NamedTuple):
    """A network.

    Styles of a layer are 1 + A w / sqrt(latents) for its latents w, and A is normal.

    Attributes:
        constant: What the first layer sees.
        response: Change of each style with the mean of the latents, A 1 / sqrt(latents);
            first those of convolutions, then those of the layers that give colours.
        colours: Weights of the latter, one for each block.
        seed: Key of the convolutions' weights, where they are normal.
        wavelet: Else number of the wavelet of each input channel of a convolution,
        gain: times a number of each output channel, of this size
        positive: and of this sign; all that is left of it.
        bias: Of each output channel, ascending.
        strength: Of each layer's noise.
        exponent: Of each layer's noise.
    """

    constant: Float[Array, "channel 4 4"]
    response: Float[Array, "style channel"]
    colours: Float[Array, "block 3 channel"]
    seed: UInt32[Array, " word"]
    wavelet: Int[Array, "layer channel"]
    gain: Float[Array, "layer channel"]
    positive: Bool[Array, "layer channel"]
    bias: Float[Array, "layer channel"]
    strength: Float[Array, " layer"]
    exponent: Float[Array, " layer"]


def code(key: RandomKey, config: Config) -> Code:
    """Draw a network.

    Everything but `constant` and `response` is drawn anew for every image of a published
    set with wavelets, and there the noise's strength, too: a fresh code each.
    """
    blocks, layers, width = _blocks(config), 2 * _blocks(config) - 1, _widths(config)[0]
    keys = jax.random.split(key, 8)
    sizes = 16 * width, (layers + blocks) * width, 3 * blocks * width, layers * width
    flat = jax.random.normal(keys[0], (sum(sizes),))
    parts = jnp.split(flat, np.cumsum(sizes)[:-1].tolist())
    uniform = jax.random.uniform(keys[1], (2 * layers,)).reshape(2, layers)
    low, high = config.exponents
    return Code(
        constant=parts[0].reshape(width, 4, 4),
        response=parts[1].reshape(layers + blocks, width),
        colours=parts[2].reshape(blocks, 3, width),
        seed=jax.random.key_data(keys[2]),
        wavelet=_chosen(keys[3:6], config, layers, width),
        gain=jnp.abs(parts[3]).reshape(layers, width),
        # Apart from the size: XLA would make the normal number again wherever it is asked.
        positive=jax.random.bernoulli(keys[7], 0.5, sizes[3:]).reshape(layers, width),
        bias=_biases(keys[6], config),
        strength=config.strength * uniform[0],
        exponent=low + (high - low) * uniform[1],
    )


def draw(key: RandomKey, code: Code, config: Config) -> Image:
    """Draw latents, noise and the colours' means and spreads, and make their image.

    # Paper: images of a network share the matrices A of its styles. Here they share what A
    makes of the latents' mean; of the rest, which is nearly orthogonal from image to image
    and of which A makes normal numbers, these are drawn. One image's law is the same.
    """
    network = _dense if config.kind == "random" else _rank_one
    return _image(key, code, config, network)


def draw_densely(key: RandomKey, code: Code, config: Config) -> Image:
    """The same image as `draw`, up to rounding, with every weight multiplied out."""
    return _image(key, code, config, _dense)


def parameters(code: Code, config: Config) -> Float[Array, " parameter"]:
    """What describes a network, of order 1.

    With wavelets: kernels and colours summed over the channels of either sign, for unit
    styles, strengths and exponents of the noise; those of "highfreq" leave open no more
    than the constant and the styles' responses. Of "random", whose weights are too many:
    the picture of its first two blocks, 8 x 8 pixels, at the mean latents.
    """
    if config.kind == "random":
        mean = 0.4 / np.sqrt(np.pi / 2)
        styles = (1 + mean * code.response) * _alive(config)
        picture = _dense(code, styles, [], config, blocks=2)
        spread = picture.std((1, 2), keepdims=True)
        return ((picture - picture.mean((1, 2), keepdims=True)) / spread).ravel()
    kernels, colours = _modulated(code, jnp.asarray(_alive(config)), config)
    signs = jnp.stack([code.positive, ~code.positive], 1).astype(kernels.dtype)
    product = lambda rule, a, b: jnp.einsum(rule, a, b, precision="highest")  # noqa: E731
    before, after = signs[:-1], signs[::2]
    found = [
        3 * product("lsc,lct->lst", before, kernels[1:]).ravel(),
        product("bsc,bkc->bsk", after, colours).ravel(),
        code.strength / max(config.strength, 1e-9),
        code.exponent,
    ]
    return jnp.concatenate(found)


# The network's shape.


def _side(config: Config) -> int:
    return 1 << (config.size - 1).bit_length()


def _blocks(config: Config) -> int:
    """Blocks of 4 x 4, 8 x 8 pixels and so on: one convolution in the first, then two."""
    return _side(config).bit_length() - 2


@lru_cache(maxsize=32)
def _widths(config: Config) -> tuple[int, ...]:
    """Channels of each block."""
    sides = (4 << block for block in range(_blocks(config)))
    return tuple(min(MOST // side, config.channels) for side in sides)


@lru_cache(maxsize=32)
def _alive(config: Config) -> Float[np.ndarray, "style channel"]:
    """1 for channels that a layer sees, 0 for what fills the rows of `Code` up."""
    widths = _widths(config)
    # Of layers in their order, then of those that give colours.
    seen = [*(widths[i // 2] for i in range(2 * len(widths) - 1)), *widths]
    return (np.arange(widths[0]) < np.array(seen)[:, None]).astype(np.float32)


def _chosen(
    keys: Array, config: Config, layers: int, width: int
) -> Int[Array, "layer channel"]:
    """Numbers of wavelets; the oriented ones are of random subsets of the bank."""
    pick = jax.random.uniform(keys[0], (layers * width,)).reshape(layers, width)
    count = len(wavelets.signed())
    if config.kind != "oriented":
        return (pick * count).astype(jnp.int32)
    sets = 1 if config.tie_wavelets else layers
    low, high = config.wavelets or ((4, 8) if config.tie_wavelets else (5, count))
    many = jax.random.randint(keys[1], (sets, 1), low, high + 1)
    order = jax.random.uniform(keys[2], (sets * count,)).reshape(sets, count)
    order = jnp.broadcast_to(jnp.argsort(order), (layers, count))
    return jnp.take_along_axis(order, (pick * many).astype(jnp.int32), 1)


def _bias_range(config: Config) -> tuple[float, float]:
    published = {"sparse": (0.0, 0.2), "oriented": (-0.2, 0.2)}
    return config.bias or published.get(config.kind, (0.0, 0.0))


def _biases(key: RandomKey, config: Config) -> Float[Array, "layer channel"]:
    """Uniform and ascending: channels may be named in any order, and a table needs this."""
    blocks, widths = _blocks(config), _widths(config)
    layers, width = 2 * blocks - 1, widths[0]
    low, high = _bias_range(config)
    if low == high:
        return jnp.full((layers, width), low)
    # Order statistics of n uniform numbers are sums of n + 1 exponential ones.
    steps = jax.random.exponential(key, (layers * (width + 1),))
    sums = jnp.cumsum(steps.reshape(layers, width + 1), axis=1)
    last = np.array([widths[(i + 1) // 2] for i in range(layers)])[:, None]
    total = jnp.take_along_axis(sums, last, axis=1)
    return low + (high - low) * jnp.minimum(sums[:, :-1] / total, 1.0)


# Images.


def _image(key: RandomKey, code: Code, config: Config, network) -> Image:
    keys = jax.random.split(key, 4)
    styles = _styles(keys[0], code, config)
    noise = _noise(keys[1:3], code, config)
    picture = network(code, styles, noise, config, blocks=_blocks(config))
    if picture.shape[-1] != config.size:
        shrink = jnp.asarray(
            layer_filters.area(picture.shape[-1], config.size), picture.dtype
        )
        picture = layer_filters.both(shrink, picture, shrink)
    centre = picture.mean((1, 2), keepdims=True)
    picture = (picture - centre) / picture.std((1, 2), keepdims=True)
    mean, spread = COLOURS[0] + COLOURS[1] * jax.random.normal(keys[3], (2, 3))
    picture = spread[:, None, None] * picture + mean[:, None, None]
    return jnp.clip(jnp.moveaxis(picture, 0, -1), 0.0, 1.0)


def _styles(
    key: RandomKey, code: Code, config: Config
) -> Float[Array, "style channel"]:
    """Of convolutions, then of layers that give colours; 0 where there is no channel."""
    pairs, (count, width) = 2 * _blocks(config), code.response.shape
    flat = jax.random.normal(key, (pairs * config.latents + count * width,))
    latents = flat[: pairs * config.latents].reshape(pairs, -1)
    latents = jnp.where(latents > 0, latents, 0.2 * latents)
    mean, square = latents.mean(1), jnp.square(latents).mean(1)
    # A layer that gives colours has the latents of the convolution after it.
    used = np.array([*range(pairs - 1), *range(1, pairs, 2)])
    mean, rest = mean[used, None], jnp.sqrt(square - mean**2)[used, None]
    others = flat[pairs * config.latents :].reshape(count, width)
    return (1 + mean * code.response + rest * others) * _alive(config)


def _modulated(
    code: Code, styles: Float[Array, "style channel"], config: Config
) -> tuple[Float[Array, "layer channel 9"], Float[Array, "block 3 channel"]]:
    """Kernels to the one map of each layer, and what gives colours; styles are in both."""
    layers = len(code.wavelet)
    bank = wavelets.oriented() if config.kind == "oriented" else wavelets.signed()
    bank = jnp.asarray(bank.reshape(-1, 9), styles.dtype)
    kernels = bank[code.wavelet] * styles[:layers, :, None]
    # Paper: 1e-8 is added, which sets kernels of nearly no weight apart from this.
    kernels = kernels * lax.rsqrt(jnp.square(kernels).sum((1, 2), keepdims=True))
    fan_in = np.sqrt(_alive(config)[layers:].sum(1, dtype=np.float64))
    colours = code.colours * (styles[layers:] / fan_in[:, None])[:, None]
    return kernels, colours


def _rank_one(
    code: Code, styles: Array, noise: list[Array], config: Config, *, blocks: int
) -> Float[Array, "3 row column"]:
    """The picture by one map for each layer: channels are ReLU(±map + noise + bias)."""
    kernels, colours = _modulated(code, styles, config)
    # What follows a layer: nine taps of the next, and three colours after every other.
    channels = kernels.shape[1]
    after = jnp.zeros((channels, len(kernels), 12), kernels.dtype)
    after = after.at[:, :-1, :9].set(jnp.moveaxis(kernels[1:], 1, 0))
    after = after.at[:, ::2, 9:].set(jnp.moveaxis(colours, 2, 0)) * GAIN
    signs = jnp.stack([code.positive.T, ~code.positive.T], 2).astype(after.dtype)
    after = signs[..., None] * after[:, :, None]
    linear = _bias_range(config) == (0.0, 0.0)
    tables = after.sum(0) if linear else _tables(after, code.bias)

    taps = jnp.einsum("ct,chw->thw", kernels[0], code.constant, precision="highest")
    picture = jnp.zeros((3, 2, 2), taps.dtype)
    for layer in range(2 * blocks - 1):
        one = layer_filters.doubled(taps) if layer % 2 else layer_filters.filtered(taps)
        # XLA would compute it again for every tap.
        one = lax.optimization_barrier(one)
        values = noise[layer] + one, noise[layer] - one
        if linear:
            parts = [
                jnp.maximum(value, 0)[None] * tables[layer, i, :, None, None]
                for i, value in enumerate(values)
            ]
        else:
            parts = [
                _looked_up(value, tables[:, layer, i], code.bias[layer])
                for i, value in enumerate(values)
            ]
        both = parts[0] + parts[1]
        taps = both[:9]
        if layer % 2 == 0:
            picture = (
                layer_filters.both(*layer_filters.grown(picture)) + both[9:]
                if layer
                else both[9:]
            )
    return picture


def _tables(
    weights: Float[Array, "channel layer 2 column"], bias: Float[Array, "layer channel"]
) -> Float[Array, "entry layer 2 2*column"]:
    """Entry j: sums of the weights of channels from j on, and of weights times biases."""
    weights = jnp.concatenate([weights, weights * bias.T[:, :, None, None]], axis=3)
    channels, *rest = weights.shape
    # Sums within runs of channels and over whole runs: products of matrices, in which no
    # value goes through more than two. `cumsum` takes several times as long.
    run = 32
    runs = channels // run + 1
    weights = jnp.pad(weights, [(0, runs * run - channels)] + [(0, 0)] * 3)
    # XLA would compute them again for every row of the product.
    weights = lax.optimization_barrier(weights.reshape(runs, run, -1))
    upper = jnp.triu(jnp.ones((run, run), weights.dtype))
    inside = jnp.einsum("ij,bjc->bic", upper, weights, precision="highest")
    beyond = jnp.triu(jnp.ones((runs, runs), weights.dtype), 1)
    after = jnp.dot(beyond, inside[:, 0], precision="highest")
    return (inside + after[:, None]).reshape(runs * run, *rest)


def _looked_up(
    value: Map, table: Float[Array, "entry 24"], bias: Float[Array, " channel"]
) -> Float[Array, "12 row column"]:
    """Sum over channels of weights times ReLU(value + bias)."""
    # Biases ascend: the channels that pass are the last ones.
    first = jnp.searchsorted(bias, -value.ravel(), side="right")
    rows = table.at[first].get(mode="promise_in_bounds")
    slope, shift = rows[:, :12], rows[:, 12:]
    return (slope * value.ravel()[:, None] + shift).T.reshape(12, *value.shape)


def _dense(
    code: Code, styles: Array, noise: list[Array], config: Config, *, blocks: int
) -> Float[Array, "3 row column"]:
    """The picture with every output channel of every layer computed by itself."""
    widths, layers = _widths(config), len(styles) - _blocks(config)
    weights = _weights(code, config)
    x, picture = code.constant, jnp.zeros((3, 2, 2), styles.dtype)
    for layer in range(2 * blocks - 1):
        inner, block = widths[layer // 2], (layer + 1) // 2
        kernel = weights[layer] * styles[layer][None, :inner, None]
        norm = lax.rsqrt(jnp.square(kernel).sum((1, 2), keepdims=True))
        taps = jnp.einsum("oit,ihw->tohw", kernel * norm, x, precision="highest")
        x = layer_filters.doubled(taps) if layer % 2 else layer_filters.filtered(taps)
        if config.kind != "random":
            x = x + noise[layer][None] + code.bias[layer, : widths[block], None, None]
        x = GAIN * jnp.maximum(x, 0)
        if layer % 2 == 0:
            colours = code.colours[block] * styles[layers + block][None]
            colours = colours / np.sqrt(len(x))
            new = jnp.einsum(
                "kc,chw->khw", colours[:, : len(x)], x, precision="highest"
            )
            picture = (
                layer_filters.both(*layer_filters.grown(picture)) + new
                if layer
                else new
            )
    return picture


def _weights(code: Code, config: Config) -> list[Float[Array, "out channel 9"]]:
    """Of each convolution, before styles."""
    widths = _widths(config)
    shapes = [
        (widths[(i + 1) // 2], widths[i // 2], 9) for i in range(2 * len(widths) - 1)
    ]
    if config.kind == "random":
        sizes = [int(np.prod(shape)) for shape in shapes]
        flat = jax.random.normal(jax.random.wrap_key_data(code.seed), (sum(sizes),))
        parts = jnp.split(flat, np.cumsum(sizes)[:-1].tolist())
        return [x.reshape(shape) for x, shape in zip(parts, shapes, strict=True)]
    bank = wavelets.oriented() if config.kind == "oriented" else wavelets.signed()
    bank = jnp.asarray(bank.reshape(-1, 9), code.gain.dtype)
    gain = jnp.where(code.positive, code.gain, -code.gain)
    return [
        gain[i, :out, None, None] * bank[code.wavelet[i, :inner]][None]
        for i, (out, inner, _) in enumerate(shapes)
    ]


# Noise.


def _noise(keys: Array, code: Code, config: Config) -> list[Map]:
    """Of each layer, times its strength."""
    blocks = _blocks(config)
    sides = [4 << (layer + 1) // 2 for layer in range(2 * blocks - 1)]
    if config.kind == "random":
        return []
    if config.kind == "highfreq":
        maps = layer_noise.power_law(keys[0], code.exponent, sides)
    else:
        wanted = sides if config.kind == "sparse" else sides[-1:]
        maps = layer_noise.enveloped(keys, code.exponent[-len(wanted) :], wanted)
    if config.kind == "oriented":
        for _ in range(blocks - 1):
            small = maps[0].reshape(len(maps[0]) // 2, 2, -1, 2).mean((1, 3))
            maps = [small, *maps]
        maps = [maps[(layer + 1) // 2] for layer in range(2 * blocks - 1)]
    return [code.strength[i] * x for i, x in enumerate(maps)]
