"""Sweeps over thousands of networks: the one place where work is spread.

A sweep is a list of blocks. The networks of a block share one compiled program and
differ only in traced numbers; blocks may differ in anything. A block is cut into pieces
that fit the memory, pieces are gathered into chunks that are measured together, and each
chunk's results are saved as they come. A chunk is named by the rows of the final table
that it holds, so a sweep can be resumed with other chunks, devices or processes, and
gives the same table.
"""

import json
import logging
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from jaxbias import tables
from jaxbias.arrays import Array
from jaxbias.devices import NETWORKS, alone, from_the_writer, is_writer, laid_out
from jaxbias.terminal import Progress

log = logging.getLogger(__name__)

Columns = dict[str, np.ndarray]

MOST_JOINED = 64
"""Pieces to measure together at most: a program that joins a thousand arrays takes
minutes to compile."""

MOST_BYTES = 2**31
"""Of a chunk that processes hand to one another."""


class SweepMemoryError(MemoryError):
    """One network at a time is still too much for the device's memory."""


@runtime_checkable
class ChunkStore(Protocol):
    """Where finished chunks are kept; `runs.RunDirectory` is one."""

    def save_chunk(self, name: str, arrays: Columns) -> None: ...
    def load_chunk(self, name: str) -> Columns | None: ...
    def chunk_names(self) -> Sequence[str]: ...


@dataclass(frozen=True, kw_only=True)
class Block:
    """Networks that share a program.

    Attributes:
        name: For messages.
        evaluate: Takes arrays with a leading axis of networks (a slice of `inputs`),
            gives one array with the same leading axis; see `spread`.
        finish: Takes that array (of several pieces, joined), gives the columns. Pieces
            of blocks with the same `finish` are measured together.
        inputs: Host arrays, one entry a network.
        piece: Most networks to evaluate at once, over all devices.
        cost: Relative time of one network, for the progress bar.
    """

    name: str
    evaluate: Callable[[dict[str, Array]], Array]
    finish: Callable[[Array], dict[str, Array]]
    inputs: Columns
    piece: int
    cost: float = 1.0

    def __len__(self) -> int:
        return len(next(iter(self.inputs.values())))


@dataclass(frozen=True)
class Piece:
    """Rows `start` to `stop` of the table: consecutive networks of one block."""

    block: int
    start: int
    stop: int
    size: int
    """Networks in the compiled program, of which the last may be padding."""


def spread(function: Callable, mesh: Mesh, *, replicated: int = 0) -> Callable:
    """Compile a function of arrays with a leading axis of networks for a mesh.

    Each device runs `function` on its share of the networks, whose number must be a
    multiple of the number of devices. Inside, `lanes.over` says how a device
    goes over its share.

    Args:
        function: Its first `replicated` arguments are the same for all networks; every
            leaf of the others, and of the result, has the leading axis.
        mesh: From `devices.mesh`.
        replicated: How many arguments are replicated.
    """

    def specs(args: tuple) -> tuple:
        return (P(),) * replicated + (P(NETWORKS),) * (len(args) - replicated)

    def run(*args: Any) -> Any:
        sharded = jax.shard_map(
            function,
            mesh=mesh,
            in_specs=specs(args),
            out_specs=P(NETWORKS),
            # Loops carry constants that become per-device values: not an error here.
            check_vma=False,
        )
        return sharded(*args)

    return jax.jit(run)


def to_mesh(array: np.ndarray, mesh: Mesh) -> Array:
    """Spread a host array, the same in every process, along its leading axis."""
    return laid_out(array, NamedSharding(mesh, P(NETWORKS)))


def to_host(columns: dict[str, Array]) -> Columns:
    """Bring whole arrays to every process's host."""
    if jax.process_count() == 1:
        return jax.device_get(columns)
    return {
        name: np.asarray(multihost_utils.process_allgather(array, tiled=True))
        for name, array in columns.items()
    }


@lru_cache
def kept(name: str) -> Callable[[Array], dict[str, Array]]:
    """What finishes a block whose values are the result: they become one column."""
    return jax.jit(lambda values: {name: values})


def piece_for(counts: Sequence[int], mesh: Mesh, *, cpu: int, accelerator: int) -> int:
    """`even_piece` of so many networks at most, by backend, over all devices."""
    most = cpu if jax.default_backend() == "cpu" else accelerator
    return even_piece(counts, max(most, mesh.size))


def even_piece(counts: Sequence[int], most: int) -> int:
    """One piece size for blocks of several sizes, at most `most`, with least padding.

    One size for all means that each program is compiled for one shape.
    """
    most = min(most, max(counts))
    sizes = np.arange(max(1, most // 2), most + 1)
    blocks = np.asarray(counts)[:, None]
    padded = (-(-blocks // sizes) * sizes).sum(axis=0)
    # Of equally good sizes the largest.
    return int(sizes[len(sizes) - 1 - np.argmin(padded[::-1])])


def _pieces(
    blocks: Sequence[Block], missing: np.ndarray, devices: int, limit: int | None
) -> Iterator[Piece]:
    """Cut the missing rows into pieces."""
    offset = 0
    for number, block in enumerate(blocks):
        count = len(block)
        size = max(1, min(block.piece, limit or block.piece))
        size = -(-size // devices) * devices
        for start in range(offset, offset + count, size):
            stop = min(start + size, offset + count)
            rows = np.flatnonzero(missing[start:stop]) + start
            # A resumed sweep may lack any rows of a piece: take each unbroken run.
            for run in np.split(rows, np.flatnonzero(np.diff(rows) > 1) + 1):
                if len(run):
                    yield Piece(number, int(run[0]), int(run[-1]) + 1, size)
        offset += count


def _joined(size: int, together: int) -> int:
    """How many pieces of a size are measured together."""
    return max(1, min(together // size, MOST_JOINED))


def _chunks(
    pieces: Iterator[Piece], blocks: Sequence[Block], together: int
) -> Iterator[list[Piece]]:
    """Gather consecutive pieces that are finished by one program, up to a size."""
    chunk: list[Piece] = []
    for piece in pieces:
        if chunk:
            same = blocks[piece.block].finish is blocks[chunk[0].block].finish
            joined = piece.start == chunk[-1].stop and piece.size == chunk[0].size
            full = len(chunk) == _joined(piece.size, together)
            if not (same and joined) or full:
                yield chunk
                chunk = []
        chunk.append(piece)
    if chunk:
        yield chunk


@dataclass
class _Sweep:
    """One sweep under way."""

    blocks: Sequence[Block]
    mesh: Mesh
    store: ChunkStore | None
    progress: Progress
    together: int
    results: Columns = field(default_factory=dict)

    def __post_init__(self) -> None:
        sizes = [len(block) for block in self.blocks]
        self.offsets = np.concatenate([[0], np.cumsum(sizes)])
        self.missing = np.ones(self.offsets[-1], bool)

    def keep(self, start: int, stop: int, columns: Columns) -> None:
        for name, values in columns.items():
            if name not in self.results:
                shape = (len(self.missing), *values.shape[1:])
                self.results[name] = np.zeros(shape, values.dtype)
            self.results[name][start:stop] = values
        self.missing[start:stop] = False

    def load(self) -> None:
        """Take over what an earlier run has saved, in every process alike."""
        store = self.store if is_writer() else None
        names = [] if store is None else list(store.chunk_names())
        for name in json.loads(from_the_writer(json.dumps(names).encode())):
            columns = None if store is None else store.load_chunk(name)
            if not alone():
                packed = tables.pack_chunk(columns, b"") if columns else b""
                packed = from_the_writer(packed)
                columns = (
                    tables.unpack_chunk(packed, b"", MOST_BYTES) if packed else None
                )
            if columns is not None:
                start, stop = map(int, name.split("-"))
                self.keep(start, stop, columns)

    def evaluate(self, piece: Piece) -> Array:
        block = self.blocks[piece.block]
        first = piece.start - self.offsets[piece.block]
        # Padding repeats the last network; its results are dropped.
        rows = np.minimum(
            np.arange(first, first + piece.size),
            first + piece.stop - piece.start - 1,
        )
        inputs = {k: to_mesh(v[rows], self.mesh) for k, v in block.inputs.items()}
        return block.evaluate(inputs)

    def dispatch(self, chunk: list[Piece]) -> dict[str, Array]:
        values = [self.evaluate(piece) for piece in chunk]
        finish = self.blocks[chunk[0].block].finish
        if len(values) == 1 and self.together <= chunk[0].size:
            return finish(values[0])
        # Short chunks are filled up, so that one program serves all.
        values += [values[0]] * (_joined(chunk[0].size, self.together) - len(values))
        return finish(_joining(self.mesh)(*values))

    def places(self, chunk: list[Piece], measured: int) -> np.ndarray:
        """Where each row of a chunk lies among the networks measured together.

        Each device has its shares of all pieces, one after the other: to put the pieces
        themselves one after the other, devices would have to exchange networks.
        """
        share = chunk[0].size // self.mesh.size
        rows = [np.arange(p.stop - p.start) for p in chunk]
        return np.concatenate(
            [
                row // share * (measured // self.mesh.size) + n * share + row % share
                for n, row in enumerate(rows)
            ]
        )

    def collect(self, chunk: list[Piece], columns: dict[str, Array]) -> None:
        host = to_host(columns)
        kept = self.places(chunk, len(next(iter(host.values()))))
        host = {name: values[kept] for name, values in host.items()}
        start, stop = chunk[0].start, chunk[-1].stop
        if self.store is not None and is_writer():
            self.store.save_chunk(f"{start:09d}-{stop:09d}", host)
        self.keep(start, stop, host)
        for piece in chunk:
            count = piece.stop - piece.start
            self.progress.advance(count, count * self.blocks[piece.block].cost)

    def run(self) -> None:
        """Work through the missing rows, with less at a time if memory runs out."""
        limit: int | None = None
        while True:
            pieces = _pieces(self.blocks, self.missing, self.mesh.size, limit)
            pending: deque = deque()
            chunk: list[Piece] = []
            try:
                for chunk in _chunks(pieces, self.blocks, self.together):
                    pending.append((chunk, self.dispatch(chunk)))
                    # Read one chunk while the devices work on the next.
                    if len(pending) > 1:
                        chunk, columns = pending.popleft()
                        self.collect(chunk, columns)
                while pending:
                    chunk, columns = pending.popleft()
                    self.collect(chunk, columns)
                return
            except jax.errors.JaxRuntimeError as error:
                limit = self.smaller(chunk, error)
                self.together = min(self.together, limit)

    def smaller(self, chunk: list[Piece], error: Exception) -> int:
        """Half the piece that did not fit; raise what cannot be helped that way."""
        if "RESOURCE_EXHAUSTED" not in str(error) or jax.process_count() > 1:
            raise error
        size, devices = chunk[0].size, self.mesh.size
        if max(size, self.together) <= devices:
            block = self.blocks[chunk[0].block]
            raise SweepMemoryError(
                f"{block.name}: one network a device does not fit its memory; lower "
                f"the resolution or the width ({str(error).splitlines()[0]})"
            ) from error
        most = max(size, self.together)
        # Whole shares for every device.
        half = max(1, round(size / 2 / devices)) * devices
        self.progress.note(f"out of memory with {most} networks at once: trying {half}")
        log.warning("out of memory with %d networks at once: trying %d", most, half)
        return half


@lru_cache(maxsize=4)
def _joining(mesh: Mesh) -> Callable:
    """Program that joins pieces, each device its own shares of them.

    On a CPU an exchange between devices can wait for ever: what another device has yet to
    run may need the thread that waits.
    """
    return spread(lambda *values: jnp.concatenate(values), mesh)


def sweep(
    blocks: Sequence[Block],
    mesh: Mesh,
    *,
    store: ChunkStore | None = None,
    progress: Progress | None = None,
    together: int = 1,
) -> Columns:
    """Evaluate and measure every network of every block.

    Args:
        blocks: What to compute; the order is that of the rows of the result.
        mesh: The devices, from `devices.mesh`.
        store: Where chunks are saved and found again; None keeps nothing.
        progress: Whom to tell.
        together: Networks to measure at once. A scan over symbols takes as long for
            thousands of sequences as for one on a GPU; on a CPU 1 (piece by piece)
            is best.

    Returns:
        The columns, one entry a network, blocks one after the other, in every process.

    Raises:
        SweepMemoryError: If a single network on each device does not fit.
    """
    under_way = _Sweep(blocks, mesh, store, progress or Progress(), together)
    under_way.load()
    costs = np.repeat([b.cost for b in blocks], [len(b) for b in blocks])
    done = ~under_way.missing
    under_way.progress.start(
        float(costs.sum()), int(done.sum()), float(costs[done].sum())
    )
    under_way.run()
    return under_way.results
