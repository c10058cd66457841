"""Named streams of random keys.

A network's key depends on the seed, the name of its cell and its number in that cell,
and on nothing else: not on the chunk that it is computed in, not on the number of
devices, not on what was computed before. The same network is therefore the same network
in every run, which is what lets a sweep be cut anywhere and resumed.
"""

import hashlib

import jax
from jaxtyping import Array, Integer, Key

from jaxbias.arrays import RandomKey


def stream(key: RandomKey, *names: str) -> RandomKey:
    """Derive the key of a named stream.

    Args:
        key: The key to start from, usually `jax.random.key(seed)`.
        *names: Words that name the stream; order matters, and `("a", "b")` differs
            from `("ab",)`.

    Returns:
        A key that is the same in every process and Python version.
    """
    for name in names:
        # Python's own hash() changes from process to process.
        digest = hashlib.sha256(name.encode()).digest()
        key = jax.random.fold_in(key, int.from_bytes(digest[:4], "big"))
    return key


def member_keys(
    key: RandomKey, members: Integer[Array, " member"]
) -> Key[Array, " member"]:
    """Derive one key for each numbered member of a stream (say, each network)."""
    return jax.vmap(jax.random.fold_in, in_axes=(None, 0))(key, members)
