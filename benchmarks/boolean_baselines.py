"""The boolean-prior measurement as a user would write it, in NumPy and in PyTorch.

Runs as a process of its own, which holds no JAX; see `other_side`.
"""

import time
from collections import Counter
from itertools import pairwise

import numpy as np

from benchmarks.other_side import serve

BATCH = 512
"""Networks to a batch: the fastest of 64 to 4,096."""

KINDS = ("natural", "batched")


def layer_shapes(bits: int, width: int, depth: int) -> list[tuple[int, int]]:
    """Of the kernels, from inputs to output."""
    return list(pairwise([bits, *[width] * depth, 1]))


def inputs(bits: int) -> np.ndarray:
    number = np.arange(2**bits)[:, None]
    return ((number >> np.arange(bits)[::-1]) & 1).astype(np.float32)


def scaled(draw, shapes, sigma_w, sigma_b, lead=()):
    """Kernels and biases from standard normal numbers."""
    for fan_in, fan_out in shapes:
        kernel = draw((*lead, fan_in, fan_out)) * (sigma_w / fan_in**0.5)
        yield kernel, draw((*lead, 1, fan_out)) * sigma_b


def one_by_one(setting: dict, count: int, seed: int) -> Counter:
    """A loop over networks, truth tables counted in a dictionary."""
    rng = np.random.default_rng(seed)
    activation = (
        np.tanh if setting["activation"] == "tanh" else lambda x: np.maximum(x, 0)
    )
    points = inputs(setting["bits"])
    shapes = layer_shapes(*(setting[name] for name in ("bits", "width", "depth")))
    found: Counter = Counter()
    for _ in range(count):
        draw = lambda shape: rng.standard_normal(shape, np.float32)  # noqa: E731
        layers = scaled(draw, shapes, setting["sigma_w"], setting["sigma_b"])
        found[np.packbits(evaluated(points, layers, activation) > 0).tobytes()] += 1
    return found


def evaluated(points, layers, activation):
    """One number for each point."""
    *hidden, (kernel, bias) = layers
    h = points
    for matrix, offset in hidden:
        h = activation(h @ matrix + offset)
    return (h @ kernel + bias)[..., 0]


def in_batches(setting: dict, count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """PyTorch over batches of networks, then `np.unique`."""
    import torch

    generator = torch.Generator().manual_seed(seed)
    points = torch.from_numpy(inputs(setting["bits"]))
    activation = torch.tanh if setting["activation"] == "tanh" else torch.relu
    shapes = layer_shapes(*(setting[name] for name in ("bits", "width", "depth")))
    tables = []
    with torch.no_grad():
        for start in range(0, count, BATCH):
            lead = (min(BATCH, count - start),)
            draw = lambda shape: torch.randn(shape, generator=generator)  # noqa: E731
            layers = list(
                scaled(draw, shapes, setting["sigma_w"], setting["sigma_b"], lead)
            )
            tables.append(packed(points, layers, activation))
    rows = np.concatenate(tables)
    names, counts = np.unique(rows.view("V16"), return_counts=True)
    return names.view(np.uint8).reshape(-1, 16), counts


def packed(points, layers, activation) -> np.ndarray:
    """Truth tables of a batch, eight labels to a byte."""
    import torch

    *hidden, (kernel, bias) = layers
    h = points.expand(len(kernel), *points.shape)
    for matrix, offset in hidden:
        h = activation(torch.baddbmm(offset, h, matrix))
    out = torch.baddbmm(bias, h, kernel)[..., 0]
    return np.packbits((out > 0).numpy(), axis=1)


def kaspar_schuster(s: list[int]) -> int:
    """LZ76 factors of one string, in plain Python."""
    n, i, k, begin, longest, count = len(s), 0, 1, 1, 1, 1
    while True:
        if s[i + k - 1] == s[begin + k - 1]:
            k += 1
            if begin + k > n:
                return count + 1
        else:
            longest = max(k, longest)
            i += 1
            if i == begin:
                count += 1
                begin += longest
                if begin + 1 > n:
                    return count
                i, k, longest = 0, 1, 1
            else:
                k = 1


def lz76_of_all(labels: np.ndarray) -> np.ndarray:
    """LZ76 factors of many strings of 128 at once: possible copies as bits of two words."""
    one, full = np.uint64(1), ~np.uint64(0)
    place = one << (np.arange(128, dtype=np.uint64) % np.uint64(64))
    table = [
        np.where(labels[:, half] > 0, place[half], 0).sum(1, dtype=np.uint64)
        for half in (slice(0, 64), slice(64, 128))
    ]
    copies = [np.zeros(len(labels), np.uint64) for _ in range(2)]
    count = np.zeros(len(labels), np.int64)
    fresh = np.ones(len(labels), bool)
    for position in range(128):
        earlier = [
            full if position >= end else (one << np.uint64(position % 64)) - one
            for end in (64, 128)
        ]
        if position < 64:
            earlier[1] = np.uint64(0)
        flip = np.where(labels[:, position] > 0, np.uint64(0), full)
        for half in range(2):
            copies[half] = np.where(fresh, earlier[half], copies[half])
            copies[half] &= (table[half] ^ flip) & earlier[half]
        fresh = (copies[0] | copies[1]) == 0
        count += fresh
        copies[1] = (copies[1] << one) | (copies[0] >> np.uint64(63))
        copies[0] = copies[0] << one
    return count + ~fresh


def measured_one_by_one(names) -> dict[str, np.ndarray]:
    """Each distinct function for itself."""
    found = {"factors": [], "flips": [], "weights": []}
    index = np.arange(128)
    signs = (-1.0) ** np.array([[bin(x & s).count("1") for x in index] for s in index])
    degree = np.array([bin(s).count("1") for s in index])
    for name in names:
        labels = np.unpackbits(np.frombuffer(name, np.uint8))
        text = labels.tolist()
        found["factors"].append(kaspar_schuster(text) + kaspar_schuster(text[::-1]))
        changed = [np.sum(labels != labels[index ^ (1 << b)]) for b in range(7)]
        found["flips"].append(sum(changed))
        squares = (signs @ (1.0 - 2 * labels)) ** 2
        found["weights"].append(np.bincount(degree, squares))
    return {key: np.asarray(values) for key, values in found.items()}


def measured_together(names: np.ndarray) -> dict[str, np.ndarray]:
    """All distinct functions at once, in chunks of what stays in cache."""
    index = np.arange(128)
    odd = np.array([[bin(x & s).count("1") % 2 for x in index] for s in index])
    signs = (1 - 2 * odd).astype(np.float32)
    degree = np.array([bin(s).count("1") for s in index])
    members = (degree[:, None] == np.arange(8)).astype(np.float32)
    parts = []
    for start in range(0, len(names), 4096):
        labels = np.unpackbits(names[start : start + 4096], axis=1)
        both = lz76_of_all(labels) + lz76_of_all(labels[:, ::-1])
        flips = sum((labels != labels[:, index ^ (1 << b)]).sum(1) for b in range(7))
        squares = ((1 - 2 * labels.astype(np.float32)) @ signs) ** 2
        parts.append((both, flips, squares @ members))
    columns = (np.concatenate(column) for column in zip(*parts, strict=True))
    return dict(zip(("factors", "flips", "weights"), columns, strict=True))


def timed(kind: str, setting: dict, count: int, seed: int) -> float:
    """Seconds of a whole measurement."""
    began = time.perf_counter()
    if kind == "natural":
        found = one_by_one(setting, count, seed)
        measured_one_by_one(list(found))
    else:
        names, _ = in_batches(setting, count, seed)
        measured_together(names)
    return time.perf_counter() - began


def given(kind: str, setting: dict, layers: list, names: np.ndarray) -> dict:
    """Truth tables of given networks, and measures of given functions."""
    points = inputs(setting["bits"])
    tanh = setting["activation"] == "tanh"
    if kind == "natural":
        activation = np.tanh if tanh else lambda x: np.maximum(x, 0)
        tables = np.packbits(evaluated(points, layers, activation) > 0, axis=1)
        return {"tables": tables} | measured_one_by_one([bytes(row) for row in names])
    import torch

    tensors = [tuple(map(torch.from_numpy, layer)) for layer in layers]
    activation = torch.tanh if tanh else torch.relu
    tables = packed(torch.from_numpy(points), tensors, activation)
    return {"tables": tables} | measured_together(names)


if __name__ == "__main__":
    serve({"timed": timed, "given": given})
