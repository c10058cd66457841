"""Truth tables: order, packing, sensitivity and complexity, against plain Python."""

import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxbias.numerics import boolean

measured = jax.jit(boolean.sensitivity)


def kaspar_schuster(s):
    """The published algorithm, word for word: i, k, l are its pointers."""
    n, i, k, l, k_max, count = len(s), 0, 1, 1, 1, 1  # noqa: E741
    while True:
        if s[i + k - 1] == s[l + k - 1]:
            k += 1
            if l + k > n:
                return count + 1
        else:
            k_max = max(k, k_max)
            i += 1
            if i == l:
                count += 1
                l += k_max  # noqa: E741
                if l + 1 > n:
                    return count
                i, k, k_max = 0, 1, 1
            else:
                k = 1


def complexity(s):
    if len(set(s)) == 1:
        return math.log2(len(s))
    return math.log2(len(s)) * (kaspar_schuster(s) + kaspar_schuster(s[::-1])) / 2


def sensitivity(f, bits):
    changed = 0
    for x in itertools.product((0, 1), repeat=bits):
        for i in range(bits):
            y = (*x[:i], 1 - x[i], *x[i + 1 :])
            changed += f(x) != f(y)
    return changed / (bits * 2**bits)


FUNCTIONS = {
    "parity": lambda x: sum(x) % 2,
    "majority": lambda x: int(2 * sum(x) > len(x)),
    "first": lambda x: x[0],
    "last and": lambda x: x[-1] & x[-2],
    "constant": lambda x: 1,
}


def table(f, bits):
    inputs = itertools.product((0, 1), repeat=bits)
    return np.array([f(x) for x in inputs], np.int32)


def test_inputs_are_binary_numbers_with_the_first_bit_the_largest():
    expected = list(itertools.product((0, 1), repeat=4))
    np.testing.assert_array_equal(boolean.cube(4), expected)
    np.testing.assert_array_equal(boolean.cube(4, "signs"), 2 * np.array(expected) - 1)


@pytest.mark.parametrize("bits", [2, 5, 7])
def test_packed_tables_come_back_and_compare_as_strings(bits):
    labels = np.random.default_rng(0).random((30, 2**bits)) < 0.5
    packed = jax.jit(jax.vmap(boolean.pack))(jnp.asarray(labels))
    assert packed.shape == (30, boolean.words(bits))
    unpack = jax.jit(jax.vmap(lambda word: boolean.unpack(word, 2**bits)))
    np.testing.assert_array_equal(unpack(packed), labels)
    strings = ["".join("01"[int(b)] for b in row) for row in labels]
    by_string = sorted(range(30), key=lambda i: strings[i])
    by_words = sorted(range(30), key=lambda i: tuple(np.asarray(packed[i])))
    assert by_string == by_words


@pytest.mark.parametrize("name", FUNCTIONS)
def test_sensitivity_by_flipping_bit_after_bit(name):
    for bits in (3, 5):
        labels = table(FUNCTIONS[name], bits)
        found = float(measured(jnp.asarray(labels)))
        assert found == pytest.approx(sensitivity(FUNCTIONS[name], bits))


def test_sensitivity_in_closed_form():
    parity, majority, first = (
        float(measured(jnp.asarray(table(FUNCTIONS[name], 7))))
        for name in ("parity", "majority", "first")
    )
    assert parity == 1
    assert first == pytest.approx(1 / 7)
    # A bit decides where the other six are three ones and three zeros.
    assert majority == pytest.approx(math.comb(6, 3) / 2**6)


def test_random_labels_flip_every_other_time(key):
    labels = jax.random.bernoulli(key, 0.5, (500, 128)).astype(jnp.int32)
    found = np.asarray(jax.jit(jax.vmap(boolean.sensitivity))(labels))
    # 448 pairs of neighbours, as good as independent.
    assert abs(found.mean() - 0.5) < 5 * 0.5 / math.sqrt(448 * 500)


def test_complexity_is_that_of_kaspar_and_schuster(key):
    rng = np.random.default_rng(1)
    strings = [rng.random(128) < p for p in (0, 0.03, 0.1, 0.3, 0.5, 0.5, 0.9, 1)]
    strings += [np.arange(128) % 2 == 0, np.arange(128) < 64]
    labels = np.array(strings).astype(np.int32)
    both = jax.jit(jax.vmap(boolean.factors))(jnp.asarray(labels))
    constant = labels.min(1) == labels.max(1)
    found = boolean.lz_complexity(np.asarray(both), constant, 128)
    np.testing.assert_allclose(found, [complexity(list(row)) for row in labels])
    assert found[0] == found[7] == 7
    assert kaspar_schuster("1001111011000010") == 6


def test_odd_sizes_are_refused():
    with pytest.raises(ValueError, match="2\\^n values"):
        boolean.sensitivity(jnp.zeros(100, jnp.int32))
