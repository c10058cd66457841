"""Lempel-Ziv complexity of sequences of symbols: exact LZ76, LZ78 and LZW counts.

All counts are integers and do not depend on how many sequences are counted together.
`jax.vmap` them over as many sequences as there are: on a CPU a batch is counted in small
groups whose tables stay in cache, on an accelerator all at once.
"""

import math
from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.custom_batching import custom_vmap
from jaxtyping import Array, Bool, Int, Integer, UInt

INVALID = -1
"""The count of a sequence with a symbol outside its alphabet."""

WORD_SIZES = (8, 16, 32)
"""Bits in the words that hold the possible copies, in the order LZ76 uses them."""

LANES = 16
"""Words, at most, that are tested for a surviving copy side by side."""

CACHED_WORDS = 4096
"""Words of possible copies that a group of sequences may take on a CPU (16 KiB)."""

TABLE_WORDS = 2**20
"""Words of occurrence tables that a group of sequences may take on a CPU (4 MiB)."""

Count = Callable[[Integer[Array, " length"]], Int[Array, ""]]


@partial(jax.jit, static_argnames="alphabet_size")
def lz76(sequence: Integer[Array, " length"], alphabet_size: int) -> Int[Array, ""]:
    """Count the factors of the LZ76 parse, an unfinished last one included.

    From left to right, each factor is the shortest word that does not occur earlier in
    the sequence (an occurrence may overlap the factor itself). This is the count of
    Kaspar and Schuster's algorithm: 1001111011000010 reads 6, a constant 2. Random
    symbols read about length / log_alphabet_size(length).

    Takes about length^2 / 32 word operations, whatever the content: on one CPU core, in
    a batch, 0.06 ms for 4,096 symbols of 10 kinds and 20 ms for 90,000; one sequence
    alone takes five times as long. Memory is about alphabet_size * length / 2 bytes for
    each sequence counted at once. Rank symbols from a large alphabet first, see
    `rank_symbols`.

    Args:
        sequence: Symbols in [0, alphabet_size - 1], of any integer type.
        alphabet_size: At least 1. The count does not depend on it.

    Returns:
        An int32 in [0, length]; 0 for an empty sequence; `INVALID` (-1) if any symbol
        lies outside the alphabet.

    Raises:
        ValueError: If the sequence is not one-dimensional or the alphabet is empty.

    References:
        Lempel and Ziv, On the Complexity of Finite Sequences (1976). Kaspar and
        Schuster, Easily Calculable Measure for the Complexity of Spatiotemporal
        Patterns (1987). Dingle, Camargo and Louis use this count on functions (2018).
    """
    width = _copy_words(sequence.size)
    table = 2 * width * max(1, alphabet_size)
    together = min(CACHED_WORDS // width, TABLE_WORDS // table)
    return _count(_lz76_factors, sequence, alphabet_size, together)


@partial(jax.jit, static_argnames="alphabet_size")
def lz78(sequence: Integer[Array, " length"], alphabet_size: int) -> Int[Array, ""]:
    """Count the phrases of the LZ78 parse, an unfinished last one not included.

    From left to right, each phrase is the shortest word that is not a phrase yet; the
    count is the size of the dictionary: 1001111011000010 reads 8, a constant
    floor((sqrt(8 length + 1) - 1) / 2), symbols that are all distinct their number.

    Takes one table look-up a symbol: 0.03 ms for 4,096 symbols on one CPU core. The
    table has alphabet_size entries for each phrase that there can be (13,320 of two
    bytes for 4,096 symbols of 10 kinds, 204,690 for 90,000). Rank symbols from a large
    alphabet first, see `rank_symbols`.

    Args:
        sequence: Symbols in [0, alphabet_size - 1], of any integer type.
        alphabet_size: At least 1. The count does not depend on it.

    Returns:
        An int32 in [0, length]; 0 for an empty sequence; `INVALID` (-1) if any symbol
        lies outside the alphabet.

    Raises:
        ValueError: If the sequence is not one-dimensional, the alphabet is empty, or the
            table would have 2^31 entries or more.

    References:
        Ziv and Lempel, Compression of Individual Sequences via Variable-Rate Coding
        (1978). Teney et al., Neural Redshift (CVPR 2024), section 2, "size of the
        dictionary"; the authors' code counts in this way.
    """
    return _count(_lz78_phrases, sequence, alphabet_size, together=1)


@partial(jax.jit, static_argnames="alphabet_size")
def lzw(sequence: Integer[Array, " length"], alphabet_size: int) -> Int[Array, ""]:
    """Count the dictionary entries after an LZW parse.

    The dictionary starts with the distinct symbols that occur in the sequence. From left
    to right, the longest word that is an entry is taken, that word and the next symbol
    become an entry, and the next word starts with that symbol: words overlap by one
    symbol, unlike those of `lz78`.

    Takes time and memory like `lz78`.

    Args:
        sequence: Symbols in [0, alphabet_size - 1], of any integer type.
        alphabet_size: At least 1. The count does not depend on it.

    Returns:
        An int32 in [0, 2 length]; 0 for an empty sequence; `INVALID` (-1) if any symbol
        lies outside the alphabet.

    Raises:
        ValueError: As for `lz78`.

    References:
        Welch, A Technique for High-Performance Data Compression (1984).
    """
    return _count(_lzw_entries, sequence, alphabet_size, together=1)


@jax.jit
def rank_symbols(sequence: Integer[Array, " length"]) -> Int[Array, " length"]:
    """Number symbols by first occurrence: 0 for the first symbol, 1 for the next new one.

    No Lempel-Ziv count changes. Ranks are below the number of distinct symbols, so the
    length will do as the alphabet size of token ids.

    Returns:
        int32, of the sequence's shape.
    """
    (length,) = sequence.shape
    order = jnp.argsort(sequence, stable=True)
    ordered = sequence[order]
    opens = jnp.ones(length, bool).at[1:].set(ordered[1:] != ordered[:-1])
    # Equal symbols keep their order, so that of the first occurrence opens its group.
    group = lax.cummax(jnp.where(opens, jnp.arange(length), 0))
    is_first = jnp.zeros(length, jnp.int32).at[order].set(opens.astype(jnp.int32))
    rank = jnp.cumsum(is_first, dtype=jnp.int32) - 1
    return jnp.zeros(length, jnp.int32).at[order].set(rank[order[group]])


def _count(
    parse: Callable[[Int[Array, " length"], int], Int[Array, ""]],
    sequence: Integer[Array, " length"],
    alphabet_size: int,
    together: int,
) -> Int[Array, ""]:
    """Check the arguments and count, `together` sequences at a time on a CPU."""
    if sequence.ndim != 1:
        raise ValueError(f"one sequence has one axis, got shape {sequence.shape}")
    if alphabet_size < 1:
        raise ValueError(f"alphabet_size must be at least 1, got {alphabet_size}")
    if not sequence.size:
        return jnp.zeros((), jnp.int32)
    # Compared in its own type, which may be too narrow for the alphabet or too wide.
    largest = min(alphabet_size - 1, int(jnp.iinfo(sequence.dtype).max))

    def count(sequence: Integer[Array, " length"]) -> Int[Array, ""]:
        valid = jnp.all((sequence >= 0) & (sequence <= largest))
        symbols = jnp.clip(sequence, 0, largest).astype(jnp.int32)
        return jnp.where(valid, parse(symbols, alphabet_size), INVALID)

    return _for_any_batch(count, max(1, together))(sequence)


def _for_any_batch(count: Count, together: int) -> Count:
    """Make the count of one sequence take batches in the way that suits the backend.

    `jax.vmap` of the result, nested or not, runs `jax.vmap(count)` on an accelerator; on
    a CPU it loops over groups of `together` sequences. There, a table look-up for one
    sequence compiles to plain machine code, but for several to slow scatters.
    """

    def in_groups(
        sequences: Integer[Array, "sequence length"],
    ) -> Int[Array, " sequence"]:
        if together == 1:
            return lax.map(count, sequences)
        number = sequences.shape[0]
        groups = max(1, -(-number // together))
        size = -(-number // groups)
        if groups == 1:
            return jax.vmap(count)(sequences)
        sequences = jnp.pad(sequences, ((0, groups * size - number), (0, 0)))
        grouped = sequences.reshape(groups, size, -1)
        return lax.map(jax.vmap(count), grouped).reshape(-1)[:number]

    @custom_vmap
    def run(sequences: Integer[Array, "*batch length"]) -> Int[Array, "*batch"]:
        batch = sequences.shape[:-1]
        if 0 in batch:
            return jnp.zeros(batch, jnp.int32)
        flat = sequences.reshape(math.prod(batch), sequences.shape[-1])
        counts = lax.platform_dependent(flat, cpu=in_groups, default=jax.vmap(count))
        return counts.reshape(batch)

    @run.def_vmap
    def _(axis_size: int, in_batched: list[bool], sequences: Array):
        return run(sequences), True

    return run


def _copy_words(length: int) -> int:
    """Words of 32 bits to hold one bit for each position."""
    words = -(-length // 32)
    # XLA's CPU compiler unrolls loops over 16 or 32 words without vectorising them, and
    # 64 words take half the time.
    return 8 if words <= 8 else 64 * -(-words // 64)


def _occurrence_table(
    symbols: Int[Array, " length"], alphabet_size: int, width: int
) -> UInt[Array, "symbol word"]:
    """Where each symbol occurs, such that every window of it is one slice.

    The sequence is cut into 32 strips of `width` positions, the first in the highest bit.
    Words run from the end of a strip to its start. A second copy, one strip earlier,
    continues the first.
    """
    strips = jnp.pad(symbols, (0, 32 * width - symbols.shape[0])).reshape(32, width)
    weight = jnp.arange(32, dtype=jnp.uint32)[::-1, None]
    codes = np.arange(alphabet_size)
    table = jnp.full((alphabet_size, width), 0xFFFFFFFF, jnp.uint32)
    # One binary digit of all symbols after another: log2(alphabet_size) passes.
    for digit in range((alphabet_size - 1).bit_length()):
        ones = ((strips >> digit) & 1).astype(jnp.uint32) << weight
        packed = jnp.sum(ones, axis=0, dtype=jnp.uint32)[::-1]
        zero_in_code = ((codes >> digit) & 1 == 0).astype(np.uint32)
        table &= packed[None, :] ^ jnp.asarray(zero_in_code * 0xFFFFFFFF)[:, None]
    return jnp.concatenate([table, table >> 1], axis=1)


def _lz76_factors(symbols: Int[Array, " length"], alphabet_size: int) -> Int[Array, ""]:
    """LZ76 count by keeping, as bits, every lag at which the open factor may be copied.

    Bit b of word w stands for lag 1 + w + b * width. A symbol leaves the lags at which it
    equals the earlier symbol; when none is left the factor has ended, and all lags are
    possible for the next one. Copies may overlap the factor by construction.

    The lags before position p take ceil(p / width) bits, so the first quarter of the
    sequence needs words of 8 bits only and the second 16: a third less work.
    """
    (length,) = symbols.shape
    width = _copy_words(length)
    table = _occurrence_table(symbols, alphabet_size, width)
    position = np.arange(length, dtype=np.int32)
    start, strip = jnp.asarray(-position % width), -(-position // width)
    # Not a constant: inside `shard_map` it varies over devices as the symbols do.
    zero = symbols[0] * 0
    copies, count = jnp.zeros(width, jnp.uint32) + zero.astype(jnp.uint32), 1 + zero
    done = 1
    for bits in WORD_SIZES:
        part = slice(done, min(length, bits * width + 1))
        if part.start >= part.stop:
            break
        word = jnp.dtype(f"uint{bits}")
        occurrences = (table >> (32 - bits)).astype(word)
        shift = jnp.asarray(bits - strip[part], word)
        steps = symbols[part], start[part], shift
        (copies, count), _ = lax.scan(
            partial(_keep_copies, occurrences), (copies.astype(word), count), steps
        )
        done = part.stop
    return count


def _keep_copies(
    occurrences: UInt[Array, "symbol words"],
    state: tuple[UInt[Array, " word"], Int[Array, ""]],
    step: tuple[Int[Array, ""], Int[Array, ""], UInt[Array, ""]],
) -> tuple[tuple[UInt[Array, " word"], Int[Array, ""]], None]:
    """Read one symbol: keep the possible copies, or start a factor if there is none."""
    copies, count = state
    symbol, start, shift = step
    # Merged into one reduction, which XLA would do, the two take twice as long.
    abreast = copies.reshape(-1, min(LANES, copies.size))
    lanes = jnp.bitwise_or.reduce(abreast, axis=0)
    starts: Bool[Array, ""] = (
        jnp.bitwise_or.reduce(lax.optimization_barrier(lanes)) == 0
    )
    window = lax.dynamic_slice(occurrences, (symbol, start), (1, copies.size))[0]
    everywhere = jnp.where(starts, ~jnp.zeros((), copies.dtype), 0)
    copies = (copies | everywhere) & (window >> shift)
    return (copies, count + starts), None


def _most_words(length: int, alphabet_size: int, overlap: int) -> int:
    """Most distinct words that fit in a length, neighbours overlapping.

    Shortest words first, each taking its length minus the overlap.
    """
    words, cost = 0, 1
    while length >= cost:
        kinds = min(alphabet_size ** (cost + overlap), length // cost)
        words += kinds
        length -= kinds * cost
        cost += 1
    return words


def _empty_trie(
    rows: int, alphabet_size: int, zero: Int[Array, ""]
) -> Integer[Array, " entry"]:
    """A flat table [rows, alphabet_size] of a node's children, all absent."""
    if rows * alphabet_size >= 2**31:
        raise ValueError(
            f"an alphabet of {alphabet_size} needs a table of {rows} x {alphabet_size}: "
            "rank the symbols first (rank_symbols) or cut the sequence"
        )
    word = jnp.uint16 if rows < 2**16 else jnp.int32
    # The largest integer stands for no child.
    return jnp.full(rows * alphabet_size, jnp.iinfo(word).max, word) + zero.astype(word)


def _child(
    trie: Integer[Array, " entry"], slot: Int[Array, ""], new: Int[Array, ""]
) -> tuple[Integer[Array, " entry"], Int[Array, ""], Bool[Array, ""]]:
    """Look a child up, making it `new`, larger than all nodes so far, if it is absent."""
    # Written before it is read: the other way round XLA copies the table at each step.
    trie = trie.at[slot].min(new.astype(trie.dtype), mode="clip")
    child = trie.at[slot].get(mode="clip").astype(jnp.int32)
    return trie, child, child == new


def _lz78_phrases(symbols: Int[Array, " length"], alphabet_size: int) -> Int[Array, ""]:
    """LZ78 count. Node 0 of the trie is the empty word, node i the i-th phrase."""
    zero = symbols[0] * 0
    rows = 1 + _most_words(symbols.size, alphabet_size, overlap=0)

    def step(state: tuple[Array, Array, Array], symbol: Array):
        trie, node, count = state
        slot = node * alphabet_size + symbol
        trie, child, is_new = _child(trie, slot, count + 1)
        return (trie, jnp.where(is_new, 0, child), count + is_new), None

    state = _empty_trie(rows, alphabet_size, zero), zero, zero
    (_, _, count), _ = lax.scan(step, state, symbols)
    return count


def _lzw_entries(symbols: Int[Array, " length"], alphabet_size: int) -> Int[Array, ""]:
    """LZW dictionary size. Nodes below alphabet_size are the words of one symbol."""
    zero = symbols[0] * 0
    rows = alphabet_size + _most_words(symbols.size - 1, alphabet_size, overlap=1)

    def step(state: tuple[Array, Array, Array], symbol: Array):
        trie, node, added = state
        slot = node * alphabet_size + symbol
        trie, child, is_new = _child(trie, slot, alphabet_size + added)
        return (trie, jnp.where(is_new, symbol, child), added + is_new), None

    state = _empty_trie(rows, alphabet_size, zero), symbols[0], zero
    (_, _, added), _ = lax.scan(step, state, symbols[1:])
    occurs = jnp.zeros(alphabet_size, jnp.int32).at[symbols].set(1)
    return added + jnp.sum(occurs, dtype=jnp.int32)
