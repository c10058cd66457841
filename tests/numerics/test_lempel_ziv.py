"""Lempel-Ziv counts against parses with sets and substring search."""

import itertools
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import oracles
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jax import lax
from jax.sharding import Mesh
from jax.sharding import PartitionSpec as P

from jaxbias.numerics.lempel_ziv import INVALID, lz76, lz78, lzw, rank_symbols

COUNTS = {"lz76": lz76, "lz78": lz78, "lzw": lzw}
ORACLES = {"lz76": oracles.lz76, "lz78": oracles.lz78, "lzw": oracles.lzw}
each_count = pytest.mark.parametrize("name", COUNTS)
quick = settings(deadline=None, database=None, max_examples=30)


def count_all(name: str, sequences: np.ndarray, alphabet_size: int = 10) -> np.ndarray:
    count = partial(COUNTS[name], alphabet_size=alphabet_size)
    return np.asarray(jax.vmap(count)(jnp.asarray(sequences)))


def expected(name: str, sequences: np.ndarray) -> list[int]:
    return [ORACLES[name](tuple(row.tolist())) for row in sequences]


def strings(length: int, copies: int = 1, seed: int = 0) -> np.ndarray:
    """Strings of 2 to 10 kinds of symbols: noise, runs, walks, periods, constants."""
    generator = np.random.default_rng([length, seed])
    rows = []
    for kinds in list(range(2, 11)) * copies:
        noise = generator.integers(0, kinds, length)
        run = generator.integers(2, 12)
        period = generator.integers(1, 9)
        walk = np.cumsum(generator.integers(-1, 2, length)) % kinds
        flipped = np.resize(noise[:period], length)
        flipped[generator.integers(length)] ^= 1
        rows += [
            noise,
            np.repeat(noise, run)[:length],
            walk,
            np.resize(noise[:period], length),
            np.minimum(flipped, 9),
            np.sort(noise),
            np.full(length, kinds - 1),
        ]
    return np.array(rows, np.uint8)


def every_word(kinds: int, longest: int) -> np.ndarray:
    """All words up to a length, one after another: the most phrases that fit."""
    words = [
        np.array(list(itertools.product(range(kinds), repeat=n)), np.uint8).ravel()
        for n in range(1, longest + 1)
    ]
    return np.concatenate(words)


@pytest.mark.parametrize(
    "name, text, count",
    [
        ("lz76", "1001111011000010", 6),
        ("lz78", "1001111011000010", 8),
        ("lz78", "10" * 8, 7),
        ("lz78", "1001111011000010000010", 9),
        ("lz78", "100111101100001000001010", 10),
        # 10 00 01 11 111 101 110 000 001 join 0 and 1.
        ("lzw", "1001111011000010", 11),
        ("lzw", "0000000000", 4),
    ],
)
def test_published_and_hand_parsed_strings(name, text, count):
    sequence = jnp.array([int(symbol) for symbol in text], jnp.uint8)
    assert COUNTS[name](sequence, 2) == count


@each_count
@pytest.mark.parametrize("length", [5, 20, 50, 100, 200, 400])
def test_a_thousand_strings_agree_with_brute_force(name, length):
    sequences = strings(length, copies=3)
    assert len(sequences) * 6 > 1000
    np.testing.assert_array_equal(count_all(name, sequences), expected(name, sequences))


@pytest.mark.parametrize(
    "length",
    # Around the words of 32 symbols, around 64 and 128, where wider words of copies come
    # in, and 256, where their number grows from 8 to 64.
    [31, 32, 33, 63, 64, 65, 127, 128, 129, 256, 257],
)
def test_lz76_at_the_edges_of_words(length):
    sequences = strings(length)
    np.testing.assert_array_equal(
        count_all("lz76", sequences), expected("lz76", sequences)
    )


@each_count
def test_long_sequences_agree_with_substring_search(name):
    t = np.arange(4096)
    waves = [np.sin(t * 0.05) + np.sin(t // 64 * f) for f in (0.1, 0.37)]
    levels = [np.digitize(w, np.linspace(w.min(), w.max(), 11)[1:-1]) for w in waves]
    sequences = np.concatenate([strings(4096)[14:28], np.array(levels, np.uint8)])
    np.testing.assert_array_equal(count_all(name, sequences), expected(name, sequences))


@each_count
@pytest.mark.parametrize("alphabet_size", [1, 200])
def test_alphabets_of_any_size(name, alphabet_size):
    generator = np.random.default_rng(alphabet_size)
    sequences = generator.integers(0, alphabet_size, (20, 70))
    np.testing.assert_array_equal(
        count_all(name, sequences, alphabet_size), expected(name, sequences)
    )


@pytest.mark.parametrize("length", [1, 101])
def test_extremes_have_closed_forms(length):
    constant, distinct = jnp.zeros(length, jnp.int32), jnp.arange(length)
    assert lz76(constant, 101) == min(length, 2)
    assert lz78(constant, 101) == int(((8 * length + 1) ** 0.5 - 1) / 2)
    assert lz76(distinct, 101) == lz78(distinct, 101) == length
    assert lzw(distinct, 101) == 2 * length - 1


@each_count
def test_the_empty_sequence_counts_nothing(name):
    assert COUNTS[name](jnp.zeros(0, jnp.int32), 3) == 0
    assert count_all(name, np.zeros((4, 0), int)).tolist() == [0] * 4
    assert count_all(name, np.zeros((0, 4), int)).shape == (0,)


@each_count
def test_tables_have_room_for_the_most_phrases(name):
    words = every_word(3, 4)
    assert oracles.lz78(tuple(words.tolist())) == 3 + 9 + 27 + 81
    assert COUNTS[name](jnp.asarray(words), 3) == ORACLES[name](tuple(words))


@pytest.mark.parametrize("extra", [0, 2])
def test_lz78_at_the_edge_of_16_bit_tables(extra):
    more = [np.full(16, symbol, np.uint8) for symbol in range(extra)]
    words = np.concatenate([every_word(2, 15), *more])
    assert lz78(jnp.asarray(words), 2) == 2**16 - 2 + extra


@pytest.mark.parametrize("dtype", ["int8", "uint16", "int32"])
def test_any_integer_type_reads_the_same(dtype):
    # Among them one that cannot hold all symbols of the alphabet.
    sequence = strings(20)[0] + 100
    count = oracles.lz78(tuple(sequence.tolist()))
    assert lz78(jnp.asarray(sequence, dtype), 300) == count


@each_count
def test_a_symbol_outside_the_alphabet_is_reported(name):
    sequences = np.tile(strings(40)[0].astype(np.int32), (4, 1))
    sequences[1, 7], sequences[2, -1] = 10, -1
    valid = ORACLES[name](tuple(sequences[0].tolist()))
    found = count_all(name, sequences)
    assert found.tolist() == [valid, INVALID, INVALID, valid]


def test_a_large_unsigned_symbol_does_not_wrap_into_the_alphabet():
    assert lz78(jnp.array([0, 2**32 - 1], jnp.uint32), 3) == INVALID


def test_bad_arguments_are_refused():
    with pytest.raises(ValueError, match="alphabet_size must be at least 1"):
        lz76(jnp.zeros(3, jnp.int32), 0)
    with pytest.raises(ValueError, match="rank the symbols"):
        lz78(jnp.zeros(50_000, jnp.int32), 50_000)


@each_count
def test_compiled_equals_eager(name):
    sequence = jnp.asarray(strings(10)[0])
    compiled = jax.jit(COUNTS[name], static_argnums=1)(sequence, 10)
    with jax.disable_jit():
        eager = COUNTS[name](sequence, 10)
    assert compiled == eager
    assert compiled.dtype == eager.dtype == jnp.int32


@pytest.mark.parametrize("name", ["lz76", "lz78"])
def test_batches_equal_a_loop(name):
    # More than one group on a CPU, the last one padded.
    sequences = jnp.asarray(strings(300, copies=3)[:150])
    count = partial(COUNTS[name], alphabet_size=10)
    one_by_one = [int(count(row)) for row in sequences]
    folded = sequences.reshape(3, 50, -1).transpose(0, 2, 1)
    nested = jax.vmap(jax.vmap(count, in_axes=1))(folded)
    assert jax.vmap(count)(sequences).tolist() == one_by_one
    assert nested.reshape(-1).tolist() == one_by_one
    assert jax.jit(partial(lax.map, count))(sequences).tolist() == one_by_one


@each_count
def test_devices_share_a_batch(name):
    sequences = strings(40)[:8]
    count = partial(COUNTS[name], alphabet_size=10)
    shared = jax.shard_map(
        jax.vmap(count),
        mesh=Mesh(np.asarray(jax.devices()[:4]), ("devices",)),
        in_specs=P("devices"),
        out_specs=P("devices"),
    )
    found = jax.jit(shared)(jnp.asarray(sequences))
    assert found.tolist() == expected(name, sequences)


def sequences_of(length: int, kinds: int = 4) -> st.SearchStrategy[list[int]]:
    return st.lists(st.integers(0, kinds - 1), min_size=length, max_size=length)


@quick
@given(sequences_of(40, kinds=6), st.permutations(range(10)))
def test_counts_do_not_depend_on_names_of_symbols(sequence, names):
    renamed = jnp.array([names[symbol] for symbol in sequence])
    for name, count in COUNTS.items():
        before = ORACLES[name](tuple(sequence))
        assert count(renamed, 10) == before
        assert count(rank_symbols(renamed), 10) == before


@quick
@given(sequences_of(41))
def test_counts_grow_with_the_sequence(sequence):
    # A symbol can end one factor; in LZW it can also be new itself.
    for name, most in (("lz76", 1), ("lz78", 1), ("lzw", 2)):
        before = COUNTS[name](jnp.array(sequence[:-1]), 10)
        assert before <= COUNTS[name](jnp.array(sequence), 10) <= before + most


@quick
@given(sequences_of(25), sequences_of(15))
def test_lz76_is_subadditive(first, second):
    # Lempel and Ziv (1976): the parse has the fewest components of all.
    joined = lz76(jnp.array(first + second), 10)
    assert joined <= lz76(jnp.array(first), 10) + lz76(jnp.array(second), 10)


@quick
@given(sequences_of(30, kinds=2**20))
def test_ranks_are_in_order_of_first_occurrence(sequence):
    sequence[20:] = sequence[:10]
    seen: dict[int, int] = {}
    ranks = [seen.setdefault(symbol, len(seen)) for symbol in sequence]
    assert rank_symbols(jnp.array(sequence)).tolist() == ranks


def test_ranks_of_batches_equal_a_loop():
    sequences = jnp.asarray(strings(30)[:10])
    one_by_one = [rank_symbols(row).tolist() for row in sequences]
    assert jax.vmap(rank_symbols)(sequences).tolist() == one_by_one
    assert rank_symbols(jnp.zeros(0, jnp.int32)).shape == (0,)
