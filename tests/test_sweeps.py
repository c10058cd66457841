"""Sweeps: the same table however the work is cut, spread, stopped and taken up again."""

import logging
from dataclasses import dataclass, field, replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jax import lax

from jaxbias import devices, sweeps
from jaxbias.runs import RunDirectory
from jaxbias.sweeps import Block, SweepMemoryError
from jaxbias.terminal import Progress

COUNTS = (13, 5, 1, 9)
TOTAL = sum(COUNTS)
FACTORS = (0.5, 3.0)


@dataclass
class Work:
    """Blocks of small random functions, and a record of what is done with them."""

    num_devices: int = 1
    piece: int = 4
    traces: list[str] = field(default_factory=list)
    evaluated: list[list[int]] = field(default_factory=list)
    most: int | None = None
    """Networks above which there is not enough memory to evaluate a piece."""
    most_measured: int | None = None
    """The same for measuring."""

    def __post_init__(self):
        self.mesh = devices.mesh(self.num_devices)
        line = np.linspace(-1, 1, 6, dtype=np.float32)

        def one(given):
            network, factor = given
            weights = jax.random.normal(
                jax.random.fold_in(jax.random.key(5), network), 3
            )
            return jnp.tanh(factor * (weights[0] * line + weights[1])) * weights[2]

        def values(inputs):
            self.traces.append("evaluate")
            return lax.map(one, (inputs["network"], inputs["factor"]))

        def measures(values):
            self.traces.append("finish")
            return {
                "mean": jnp.mean(values, axis=1),
                "largest": jnp.argmax(values, axis=1),
                "rises": values[:, -1] > values[:, 0],
                "values": values,
            }

        # Two objects with the same code are two programs.
        finish, other = (
            sweeps.spread(lambda values: measures(values), self.mesh) for _ in range(2)
        )
        program = sweeps.spread(values, self.mesh)

        def evaluate(inputs):
            rows = np.asarray(inputs["row"]).tolist()
            self.evaluated.append(rows)
            if self.most is not None and len(rows) > self.most:
                raise out_of_memory()
            return program({k: inputs[k] for k in ("network", "factor")})

        def limited(values):
            if self.most_measured is not None and len(values) > self.most_measured:
                raise out_of_memory()
            return finish(values)

        self.blocks = []
        for number, count in enumerate(COUNTS):
            first = sum(COUNTS[:number])
            inputs = {
                "row": np.arange(first, first + count),
                "network": np.arange(count, dtype=np.uint32),
                "factor": np.full(count, FACTORS[number % 2], np.float32),
            }
            self.blocks.append(
                Block(
                    name=f"block {number}",
                    evaluate=evaluate,
                    finish=other if number == 2 else limited,
                    inputs=inputs,
                    piece=self.piece,
                    cost=1.0 + number,
                )
            )

    def sweep(self, piece=None, **options):
        blocks = [replace(b, piece=piece or self.piece) for b in self.blocks]
        return sweeps.sweep(blocks, self.mesh, **options)

    @property
    def rows(self):
        """The rows that were evaluated, padding included, each once."""
        return sorted({row for piece in self.evaluated for row in piece})


def out_of_memory():
    return jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 9")


class Memory(dict):
    """Chunks in a dictionary."""

    save_chunk = dict.__setitem__
    load_chunk = dict.get

    def chunk_names(self):
        return sorted(self)


class Heard(Progress):
    """Keeps what it is told."""

    def __init__(self):
        super().__init__()
        self.steps, self.notes, self.began = [], [], None

    def start(self, total_cost, items, cost):
        super().start(total_cost, items, cost)
        self.began = (total_cost, items, cost)

    def advance(self, items, cost):
        super().advance(items, cost)
        self.steps.append(items)

    def note(self, message):
        self.notes.append(message)


@pytest.fixture(scope="module")
def table():
    """The table of an undisturbed sweep."""
    return Work(num_devices=4, piece=16).sweep()


def assert_same(found, expected):
    """Bit for bit, in value, type and order of columns."""
    assert list(found) == list(expected)
    for name, values in expected.items():
        assert found[name].dtype == values.dtype, name
        np.testing.assert_array_equal(
            found[name].view(np.uint8), values.view(np.uint8), err_msg=name
        )


def test_the_table_is_that_of_a_loop_over_networks(table):
    line = np.linspace(-1, 1, 6)
    expected = []
    for number, count in enumerate(COUNTS):
        for network in range(count):
            key = jax.random.fold_in(jax.random.key(5), network)
            w = np.asarray(jax.random.normal(key, 3), np.float64)
            expected.append(np.tanh(FACTORS[number % 2] * (w[0] * line + w[1])) * w[2])
    expected = np.stack(expected)
    assert {len(column) for column in table.values()} == {TOTAL}
    np.testing.assert_allclose(table["values"], expected, atol=2e-6)
    np.testing.assert_allclose(table["mean"], expected.mean(axis=1), atol=2e-6)
    np.testing.assert_array_equal(table["largest"], expected.argmax(axis=1))
    np.testing.assert_array_equal(table["rises"], expected[:, -1] > expected[:, 0])


@pytest.mark.parametrize("num_devices", [1, 2, 4])
def test_cuts_and_devices_do_not_change_a_bit(table, num_devices):
    work = Work(num_devices=num_devices)
    # From one network a device to more than any block holds.
    for piece in (1, 3, 6, 40):
        for together in (1, 7, 100):
            assert_same(work.sweep(piece=piece, together=together), table)


def test_arguments_are_spread_or_replicated():
    def add(shift, inputs):
        return {"sum": inputs["a"] + shift, "count": jnp.full(1, inputs["a"].shape[0])}

    mesh = devices.mesh(4)
    numbers = np.arange(8, dtype=np.float32)
    inputs = {"a": sweeps.to_mesh(numbers, mesh)}
    found = sweeps.to_host(sweeps.spread(add, mesh, replicated=1)(10.0, inputs))
    np.testing.assert_array_equal(found["sum"], numbers + 10)
    np.testing.assert_array_equal(found["count"], [2, 2, 2, 2])


# Cutting

COUNT_LISTS = st.lists(st.integers(1, 12), min_size=1, max_size=4)


@st.composite
def cuts(draw):
    """Blocks of any sizes, some of whose rows are missing, and how to cut them."""
    counts = draw(COUNT_LISTS)
    finishes = [draw(st.sampled_from([abs, len])) for _ in counts]
    pieces = [draw(st.integers(1, 9)) for _ in counts]
    blocks = [
        Block(name="", evaluate=abs, finish=f, inputs={"row": np.arange(n)}, piece=p)
        for n, f, p in zip(counts, finishes, pieces, strict=True)
    ]
    length = sum(counts)
    missing = draw(st.lists(st.booleans(), min_size=length, max_size=length))
    return blocks, np.asarray(missing), draw(st.sampled_from([1, 2, 4]))


@settings(deadline=None, database=None, max_examples=200)
@given(cuts(), st.one_of(st.none(), st.integers(1, 9)), st.integers(1, 30))
def test_pieces_and_chunks_hold_each_missing_row_once(cut, limit, together):
    blocks, missing, num_devices = cut
    chunks = list(
        sweeps._chunks(
            sweeps._pieces(blocks, missing, num_devices, limit), blocks, together
        )
    )
    pieces = [piece for chunk in chunks for piece in chunk]
    rows = [row for piece in pieces for row in range(piece.start, piece.stop)]
    assert rows == np.flatnonzero(missing).tolist()
    offsets = np.cumsum([0, *map(len, blocks)])
    for piece in pieces:
        assert offsets[piece.block] <= piece.start < piece.stop
        assert piece.stop <= offsets[piece.block + 1]
        assert piece.stop - piece.start <= piece.size
        assert piece.size % num_devices == 0
        most = min(blocks[piece.block].piece, limit or 9)
        assert piece.size < most + num_devices
    for chunk in chunks:
        assert len({(blocks[p.block].finish, p.size) for p in chunk}) == 1
        assert all(p.stop == q.start for p, q in zip(chunk, chunk[1:], strict=False))
        assert len(chunk) == 1 or len(chunk) * chunk[0].size <= together


@settings(deadline=None, database=None, max_examples=100)
@given(st.lists(st.integers(1, 300), min_size=1, max_size=5), st.integers(1, 70))
def test_an_even_piece_pads_least_and_is_the_largest_that_does(counts, most):
    def padded(size):
        return sum(-(-count // size) * size for count in counts)

    found = sweeps.even_piece(counts, most)
    # More than the largest block would be padding alone.
    most = min(most, max(counts))
    allowed = range(max(1, most // 2), most + 1)
    assert found in allowed
    best = min(map(padded, allowed))
    assert found == max(size for size in allowed if padded(size) == best)


def test_padding_is_evaluated_and_dropped(table):
    work, store = Work(num_devices=4, piece=8), Memory()
    assert_same(work.sweep(store=store), table)
    # 13, 5, 1 and 9 networks in pieces of 8, filled up with each piece's last.
    assert [len(rows) for rows in work.evaluated] == [8] * 6
    assert work.evaluated[1] == [8, 9, 10, 11, 12, 12, 12, 12]
    assert work.evaluated[3] == [18] * 8
    for name, chunk in store.items():
        start, stop = map(int, name.split("-"))
        assert {len(values) for values in chunk.values()} == {stop - start}
        assert_same(chunk, {k: v[start:stop] for k, v in table.items()})


def test_joining_pieces_needs_no_other_device():
    """An exchange can wait for ever on a CPU, and the run is then aborted."""
    mesh = Work(num_devices=4).mesh
    pieces = [sweeps.to_mesh(np.zeros((8, 3), np.float32), mesh)] * 3
    text = sweeps._joining(mesh).lower(*pieces).compile().as_text()
    for exchange in ("all-to-all", "all-gather", "all-reduce", "collective-permute"):
        assert exchange not in text


def test_no_program_joins_thousands_of_pieces():
    """Compiling such a program takes minutes."""
    pieces = [sweeps.Piece(0, n, n + 1, 1) for n in range(500)]
    chunks = list(sweeps._chunks(iter(pieces), Work().blocks, 10**6))
    assert max(map(len, chunks)) == sweeps.MOST_JOINED
    assert [piece for chunk in chunks for piece in chunk] == pieces


@pytest.mark.parametrize("together", [1, 12, 20])
def test_one_trace_serves_all_chunks_of_a_program(table, together):
    work, store = Work(num_devices=2, piece=4), Memory()
    work.sweep(store=store, together=together)
    assert len(store) >= 4
    # The two finishing programs are traced once each.
    assert sorted(work.traces) == ["evaluate", "finish", "finish"]
    for name in list(store)[::2]:
        del store[name]
    assert_same(work.sweep(store=store, together=together), table)
    assert len(work.traces) == 3


# Resuming


@pytest.fixture(scope="module")
def worker():
    return Work(num_devices=2, piece=3)


@settings(deadline=None, database=None, max_examples=25)
@given(data=st.data())
def test_any_chunks_resume_to_the_same_table_computing_only_the_rest(
    table, worker, data
):
    cut = st.sets(st.integers(1, TOTAL - 1), max_size=6)
    edges = [0, *sorted(data.draw(cut)), TOTAL]
    spans = list(zip(edges, edges[1:], strict=False))
    kept = data.draw(st.sets(st.sampled_from(spans)))
    store = Memory()
    for start, stop in kept:
        part = {name: values[start:stop] for name, values in table.items()}
        store.save_chunk(f"{start:09d}-{stop:09d}", part)
    worker.evaluated.clear()
    assert_same(worker.sweep(store=store, together=data.draw(st.integers(1, 9))), table)
    there = {row for start, stop in kept for row in range(start, stop)}
    assert worker.rows == sorted(set(range(TOTAL)) - there)
    saved = sorted(tuple(map(int, name.split("-"))) for name in store)
    assert [row for span in saved for row in range(*span)] == list(range(TOTAL))


def test_a_finished_sweep_computes_nothing(table, worker):
    store = Memory()
    worker.sweep(store=store)
    worker.evaluated.clear()
    heard = Heard()
    assert_same(worker.sweep(store=store, progress=heard), table)
    assert worker.evaluated == []
    assert heard.items == TOTAL and heard.cost == heard.total_cost


def test_progress_counts_what_was_there_and_what_is_added(worker):
    store = Memory()
    worker.sweep(store=store)
    total = sum(count * (1.0 + number) for number, count in enumerate(COUNTS))
    del store["000000000-000000004"]
    heard = Heard()
    worker.sweep(store=store, progress=heard)
    assert heard.began == (total, TOTAL - 4, total - 4)
    assert sum(heard.steps) == 4
    assert (heard.items, heard.cost) == (TOTAL, total)


def test_a_damaged_chunk_is_computed_again(tmp_path, table, worker, caplog):
    def opened():
        return RunDirectory.open(tmp_path / "run", study="a", experiment="b", config={})

    with opened() as directory:
        worker.sweep(store=directory)
        assert len(directory.chunk_names()) > 3
    damaged = sorted((tmp_path / "run" / "chunks").iterdir())[1]
    start, stop = map(int, damaged.stem.split("-"))
    data = bytearray(damaged.read_bytes())
    data[len(data) // 2] ^= 1
    damaged.write_bytes(data)
    worker.evaluated.clear()
    with opened() as directory:
        assert_same(worker.sweep(store=directory), table)
    assert worker.rows == list(range(start, stop))
    assert damaged.name in caplog.text


# Out of memory


@pytest.mark.parametrize(("num_devices", "most"), [(1, 1), (1, 5), (2, 2), (4, 11)])
def test_out_of_memory_halves_the_piece_says_so_and_gives_the_same_table(
    table, caplog, num_devices, most
):
    work = Work(num_devices=num_devices, piece=12, most=most)
    heard = Heard()
    with caplog.at_level(logging.WARNING):
        assert_same(work.sweep(progress=heard), table)
    failed = [rows for rows in work.evaluated if len(rows) > most]
    sizes = [len(rows) for rows in failed]
    assert sizes == sorted(set(sizes), reverse=True) and sizes[0] == 12
    assert heard.notes == [record.getMessage() for record in caplog.records]
    assert len(heard.notes) == len(failed)
    for size, note in zip(sizes, heard.notes, strict=True):
        assert note.startswith(f"out of memory with {size} networks at once")
    # Pieces are no smaller than they must be.
    assert max(len(rows) for rows in work.evaluated if rows not in failed) * 2 >= most
    assert heard.items == TOTAL and heard.cost == heard.total_cost


def test_what_was_measured_before_memory_ran_out_is_kept(table, monkeypatch):
    work, store = Work(piece=4), Memory()
    fetched = []

    def fetch(columns, to_host=sweeps.to_host):
        # An accelerator reports what went wrong when the result is asked for.
        fetched.append(columns)
        if len(fetched) == 3:
            raise out_of_memory()
        return to_host(columns)

    monkeypatch.setattr(sweeps, "to_host", fetch)
    assert_same(work.sweep(store=store), table)
    assert {"000000000-000000004", "000000004-000000008"} <= set(store)
    again = [row for piece in work.evaluated[4:] for row in piece]
    assert min(again) == 8


def test_out_of_memory_while_measuring_measures_fewer_together(table):
    work = Work(num_devices=2, piece=2, most_measured=2)
    heard = Heard()
    assert_same(work.sweep(together=10, progress=heard), table)
    assert heard.notes == ["out of memory with 10 networks at once: trying 2"]


@pytest.mark.parametrize(("num_devices", "most"), [(1, 0), (2, 1), (4, 3)])
def test_one_network_a_device_that_does_not_fit_is_an_error(caplog, num_devices, most):
    work, store = Work(num_devices=num_devices, piece=12, most=most), Memory()
    with pytest.raises(SweepMemoryError, match="block 0.*RESOURCE_EXHAUSTED") as raised:
        work.sweep(store=store)
    assert "\n" not in str(raised.value)
    assert len(work.evaluated[-1]) == num_devices and not store


def test_other_errors_of_the_device_are_not_taken_for_it(worker, monkeypatch):
    def fetch(columns):
        raise jax.errors.JaxRuntimeError("INTERNAL: something else")

    monkeypatch.setattr(sweeps, "to_host", fetch)
    worker.evaluated.clear()
    with pytest.raises(jax.errors.JaxRuntimeError, match="INTERNAL"):
        worker.sweep()
    assert len(worker.evaluated) == 2
