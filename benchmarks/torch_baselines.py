"""The workload of `random_networks` in PyTorch, NumPy and numba, with growing care.

- natural: what one writes first. One `nn.Sequential` per network, `fft2`,
  `numpy.linalg.lstsq` (its 441-column matrix built once), antropy for LZ76.
- researcher: the same after a look at the profile. The pseudo-inverse of one axis is
  kept and applied along both, which gives the coefficients of `lstsq`.
- tuned: the best found for PyTorch on a CPU. One flat draw per chunk of networks, one
  of three forms of the forward, batched `rfft2` and matrix products, and LZ76 by the
  package's own bitset algorithm, in numba.

Only `torch_worker`'s processes import this: `jaxbias` itself must not load torch.
"""

import math
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numba
import numpy as np
import torch
from numpy.polynomial import chebyshev
from torch import nn

MAX_ORDER, N_LEVELS, WIDTH = 20, 10, 64
CHUNK_VALUES = 64 * 64**2  # output values per chunk of networks: 64 of the usual grid
TILE_POINTS = 9000  # larger grids go tile by tile: activations stay in cache
# Per layer, kernels [network, fan_in, fan_out] and biases [network, fan_out].
Layers = Sequence[tuple[np.ndarray, np.ndarray]]


@dataclass(frozen=True, kw_only=True)
class Workload:
    """Which networks, how many, on which grid; `lempel_ziv` False leaves LZ76 out."""

    activation: str
    depth: int
    resolution: int
    n_networks: int
    scale: float = 1.0
    lempel_ziv: bool = True

    @property
    def fans(self) -> list[tuple[int, int]]:
        return [(2, WIDTH), *[(WIDTH, WIDTH)] * (self.depth - 1), (WIDTH, 1)]


class Clock:
    """Wall and process CPU seconds by stage; `mark` says which stage has just ended."""

    def __init__(self):
        self.seconds = defaultdict(lambda: (0.0, 0.0))
        self.last = time.perf_counter(), time.process_time()

    def mark(self, stage: str) -> None:
        now, (wall, cpu) = (
            (time.perf_counter(), time.process_time()),
            self.seconds[stage],
        )
        self.seconds[stage] = wall + now[0] - self.last[0], cpu + now[1] - self.last[1]
        self.last = now


class Tables:
    """What depends on the grid alone. Coefficient (i, j) belongs to T_i(x) T_j(y)."""

    orders = np.add.outer(np.arange(MAX_ORDER + 1), np.arange(MAX_ORDER + 1)).ravel()

    def __init__(self, resolution: int):
        axis = np.linspace(-1, 1, resolution)
        coordinate = torch.tensor(axis, dtype=torch.float32)
        self.points = torch.cartesian_prod(coordinate, coordinate)
        index = np.fft.fftfreq(resolution, 1 / resolution)
        self.radial = np.hypot(index[:, None], index) / (math.sqrt(2) * resolution / 2)
        self.vandermonde = chebyshev.chebvander(axis, MAX_ORDER)
        self.fit = np.linalg.pinv(self.vandermonde)  # coefficients are fit F fit^T
        # rfft2 leaves out the mirror images of all columns but 0 and resolution / 2.
        columns = np.arange(resolution // 2 + 1)
        twice = np.tile(2.0 - (2 * columns % resolution == 0), (resolution, 1))
        twice[0, 0] = 0
        pairs = np.stack([self.radial[:, columns] * twice, twice], -1).reshape(-1, 2)
        self.half_spectrum = torch.tensor(pairs, dtype=torch.float32)

    @cached_property
    def design(self) -> np.ndarray:
        return np.kron(self.vandermonde, self.vandermonde)  # [point, 441]


tables = lru_cache(Tables)
ACTIVATIONS = dict(
    relu=torch.relu,
    gelu=nn.functional.gelu,
    tanh=torch.tanh,
    gaussian=lambda x: torch.exp(-x * x),
    sine=torch.sin,
)


class Activation(nn.Module):
    def __init__(self, name: str):
        super().__init__()
        self.function = ACTIVATIONS[name]

    def forward(self, x):
        return self.function(x)


def sequential(workload: Workload, source: int | Layers, index: int) -> nn.Sequential:
    """Network `index` of the given layers, or a fresh one if the source is a seed."""
    modules = []
    for layer, (fan_in, fan_out) in enumerate(workload.fans):
        linear = nn.Linear(fan_in, fan_out)
        if isinstance(source, int):
            nn.init.xavier_uniform_(linear.weight, gain=workload.scale)
            nn.init.uniform_(linear.bias, -1, 1)
        else:
            linear.weight.copy_(torch.tensor(source[layer][0][index].T))
            linear.bias.copy_(torch.tensor(source[layer][1][index]))
        modules += [linear, Activation(workload.activation)]
    return nn.Sequential(*modules[:-1])


def measure_singly(
    source: int | Layers, workload: Workload, clock: Clock, natural: bool
) -> dict[str, list]:
    from antropy import lziv_complexity  # 7 to 20 s

    rows, grid = defaultdict(list), tables(workload.resolution)
    for index in range(workload.n_networks):
        network = sequential(workload, source, index)
        clock.mark("init")
        field = network(grid.points).numpy().reshape(grid.radial.shape)
        clock.mark("forward")
        amplitude = np.abs(np.fft.fft2(field))
        amplitude[0, 0] = 0
        rows["fourier"].append((amplitude * grid.radial).sum() / amplitude.sum())
        clock.mark("fourier")
        if natural:
            coefficients = np.linalg.lstsq(grid.design, field.ravel(), rcond=None)[0]
        else:
            coefficients = (grid.fit @ field @ grid.fit.T).ravel()
        sizes = np.abs(coefficients)[1:]
        rows["chebyshev"].append((sizes * grid.orders[1:]).sum() / sizes.sum())
        clock.mark("chebyshev")
        if workload.lempel_ziv:
            levels = (field - field.min()) / (field.max() - field.min()) * N_LEVELS
            # Signed: antropy turns unsigned integers into text first, which is slow.
            symbols = np.floor(levels).clip(max=9).astype(np.int64).ravel(order="F")
            clock.mark("quantise")
            # Kaspar and Schuster's count: an unfinished last factor counts as one.
            rows["lz76"].append(lziv_complexity(symbols, normalize=False))
            clock.mark("lz76")
    return rows


@numba.njit(nogil=True)
def move_on(ends, moved, mask):
    """moved = (ends << 1) & mask, behind a guard word; whether any bit is left.

    A function of its own: only then does numba vectorise the loop (1.7 times faster).
    """
    alive = np.uint64(0)
    for word in range(len(mask)):
        shifted = (ends[word + 1] << np.uint64(1)) | (ends[word] >> np.uint64(63))
        moved[word + 1] = shifted & mask[word]
        alive |= moved[word + 1]
    return alive != 0


@numba.njit(nogil=True)
def lz76_counts(sequences, counts):
    """Count the LZ76 factors of each row of uint8 [sequence, length] into `counts`.

    Bit e of `ends`: the open factor so far also ends at the earlier position e. Bit e
    of `masks[s]`: symbol s stands at e. Each step costs length / 128 words on average.
    """
    one, n_words = np.uint64(1), sequences.shape[1] // 64 + 1
    masks = np.empty((N_LEVELS, n_words), np.uint64)
    ends, now = np.empty((2, n_words + 1), np.uint64), 0
    before = np.empty(n_words + 1, np.uint64)  # ends of an empty factor: -1 to j - 2
    for row in range(len(sequences)):
        masks[:], ends[:], before[:], counts[row], is_open = 0, 0, 0, 0, False
        before[0] = one << np.uint64(63)
        for j, symbol in enumerate(sequences[row]):
            masks[symbol, j // 64] |= one << np.uint64(j % 64)
        for j, symbol in enumerate(sequences[row]):
            source = ends[now] if is_open else before
            now = 1 - now
            is_open = move_on(source, ends[now], masks[symbol, : (j + 63) // 64])
            counts[row] += not is_open
            if j > 0:
                before[(j + 63) // 64] |= one << np.uint64((j - 1) % 64)
        counts[row] += is_open


IN_PLACE = dict(
    relu=torch.relu_,
    gelu=torch.ops.aten.gelu_,
    tanh=torch.tanh_,
    gaussian=lambda x: x.square_().mul_(-math.log2(math.e)).exp2_(),  # exp_ is slower
    sine=torch.sin_,
)
# What oneDNN applies inside the matrix product; the other activations follow in place.
POST_OPS = dict(relu=("relu", ""), gelu=("gelu", "none"), tanh=("tanh", ""))


@lru_cache
def network_forward(form: str, activation: str) -> Callable:
    """forward(points, weights [out, in], biases) -> [point, 1] of one network."""
    in_place, buffers = IN_PLACE[activation], torch.empty(2, TILE_POINTS, WIDTH)

    def inplace(layer, x, weight, bias):
        out = buffers[layer % 2, : len(x)]
        return in_place(torch.addmm(bias, x, weight.t(), out=out))

    def onednn(layer, x, weight, bias):  # the operator that inductor fuses layers into
        name, algorithm = POST_OPS.get(activation, ("none", ""))
        x = torch.ops.mkldnn._linear_pointwise(x, weight, bias, name, [], algorithm)
        return in_place(x) if name == "none" else x

    def compiled(layer, x, weight, bias):
        return ACTIVATIONS[activation](torch.addmm(bias, x, weight.t()))

    hidden_layer = dict(inplace=inplace, onednn=onednn, compiled=compiled)[form]

    def forward(points, weights, biases):
        for layer, weight in enumerate(weights[:-1]):
            points = hidden_layer(layer, points, weight, biases[layer])
        return torch.addmm(biases[-1], points, weights[-1].t())

    if form != "compiled":
        return forward
    # One program per depth and grid. Past the limit torch would quietly run uncompiled.
    torch._dynamo.config.recompile_limit = 1000
    torch._dynamo.config.accumulated_recompile_limit = 1000
    return torch.compile(forward, dynamic=False)


def stacked_layers(workload: Workload, source: int | Layers, chunk: slice):
    """Weights [network, out, in] and biases by layer: one flat draw, or those given."""
    if not isinstance(source, int):
        weights = [torch.tensor(kernels[chunk].swapaxes(1, 2)) for kernels, _ in source]
        return weights, [torch.tensor(biases[chunk]) for _, biases in source]
    lengths = [n for a, b in workload.fans for n in (a * b, b)]
    flat = torch.empty(chunk.stop - chunk.start, sum(lengths)).uniform_(-1, 1)
    parts, weights = flat.split(lengths, 1), []
    for weight, (fan_in, fan_out) in zip(parts[::2], workload.fans, strict=True):
        weight.mul_(workload.scale * math.sqrt(6 / (fan_in + fan_out)))
        weights.append(weight.view(-1, fan_out, fan_in))
    return weights, parts[1::2]


def batched_lz76(fields: torch.Tensor, clock: Clock) -> np.ndarray:
    low, high = fields.amin((1, 2), keepdim=True), fields.amax((1, 2), keepdim=True)
    levels = ((fields - low) / (high - low)).mul_(N_LEVELS).clamp_(max=N_LEVELS - 1)
    by_column = levels.to(torch.uint8).transpose(1, 2).flatten(1).numpy()
    counts, threads = np.empty(len(fields), np.int64), torch.get_num_threads()
    clock.mark("quantise")
    with ThreadPoolExecutor(threads) as pool:
        shares = [slice(thread, None, threads) for thread in range(threads)]
        list(pool.map(lambda s: lz76_counts(by_column[s], counts[s]), shares))
    clock.mark("lz76")
    return counts


def measure_in_chunks(
    source: int | Layers, workload: Workload, clock: Clock, form: str
) -> dict[str, list]:
    grid = tables(workload.resolution)
    forward = network_forward(form, workload.activation)
    tiles = grid.points.chunk(math.ceil(len(grid.points) / TILE_POINTS))
    fit = torch.tensor(grid.fit, dtype=torch.float32)
    orders = torch.tensor(grid.orders[1:], dtype=torch.float32)
    rows, step = defaultdict(list), max(1, CHUNK_VALUES // len(grid.points))
    for start in range(0, workload.n_networks, step):
        chunk = slice(start, min(start + step, workload.n_networks))
        layers = stacked_layers(workload, source, chunk)
        clock.mark("init")
        fields = torch.empty(chunk.stop - start, *grid.radial.shape)
        for index, field in enumerate(fields.view(len(fields), -1, 1)):
            network = [[stack[index] for stack in stacks] for stacks in layers]
            for points, out in zip(tiles, field.split(len(tiles[0])), strict=True):
                out.copy_(forward(points, *network))
        clock.mark("forward")
        sums = torch.fft.rfft2(fields).abs().flatten(1) @ grid.half_spectrum
        rows["fourier"].extend((sums[:, 0] / sums[:, 1]).tolist())
        clock.mark("fourier")
        sizes = (fit @ (fields @ fit.T)).abs_().flatten(1)[:, 1:]
        rows["chebyshev"].extend(((sizes @ orders) / sizes.sum(1)).tolist())
        clock.mark("chebyshev")
        if workload.lempel_ziv:
            rows["lz76"].extend(batched_lz76(fields, clock))
    return rows


@torch.no_grad()
def run(
    kind: str, source: int | Layers, workload: Workload, clock: Clock, form: str
) -> dict[str, np.ndarray]:
    """Measure the workload's networks the natural, researcher or tuned way.

    `source` is a seed to draw the networks from, or their layers; `form` matters to
    tuned alone. Returns `fourier` (0 to 1), `chebyshev` (0 to 40) and `lz76` (factors,
    the last one even if unfinished), each over networks.
    """
    if isinstance(source, int):
        torch.manual_seed(source)
    if kind == "tuned":
        rows = measure_in_chunks(source, workload, clock, form)
    else:
        rows = measure_singly(source, workload, clock, kind == "natural")
    return {name: np.array(values) for name, values in rows.items()}
