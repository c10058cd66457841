"""The networks' sequences and how complex they are: programs, blocks, the table.

All conditions (activation, depth, scale of layer norms, first token) of one draw of
weights are one batch. Drawing 124 million weights, and reading them for each token, is
then shared among hundreds of sequences; and differences between conditions are not those
of the draw. Every condition by itself sees independent draws.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh
from jaxtyping import Array, Float, Int

from jaxbias import lanes, rng, sweeps
from jaxbias.arrays import RandomKey
from jaxbias.models import gpt2
from jaxbias.numerics.activations import resolve
from jaxbias.numerics.lempel_ziv import lz76, lz78, lzw, rank_symbols
from jaxbias.studies.neural_redshift import checks
from jaxbias.studies.neural_redshift.transformers.config import Config

BATCH_BYTES = {"cpu": 2**30}
ACCELERATOR_BYTES = 8 * 2**30
"""Keys and values of the sequences that one draw of weights writes at once."""

ACCELERATOR_TOGETHER = 24 * 2**30
"""Memory for the draws of weights that an accelerator takes at once."""

PREFIX = 60
"""New tokens after which the reference values were taken. Writing is causal: a longer
sequence begins with the shorter one."""

MEASURES = ("lz78", "lzw", "lz76", "distinct")


def check(config: Config) -> None:
    """Raise ValueError, naming the option, for an activation that does not exist."""
    checks.activations("activations", config.activations)


def deepest_first(config: Config) -> tuple[int, ...]:
    """Depths in the order of the batch."""
    return tuple(sorted(config.depths, reverse=True))


def network(config: Config) -> gpt2.GPT2:
    """The network of all activations and depths."""
    return gpt2.GPT2(
        layers=config.layers,
        width=config.width,
        heads=config.heads,
        vocabulary=config.vocabulary,
        activations=tuple(
            resolve(name, gaussian_width=config.gaussian_width)
            for name in config.activations
        ),
        depths=deepest_first(config),
        scale_final=config.scale_final,
    )


def first_tokens(
    config: Config, key: RandomKey, prompts: Int[Array, " prompt"]
) -> Int[Array, " prompt"]:
    """The first token of each numbered prompt of one draw."""
    if config.first_tokens == "numbered":
        return prompts
    keys = rng.member_keys(key, prompts)
    pick = lambda one: jax.random.randint(one, (), 0, config.vocabulary)  # noqa: E731
    return jax.vmap(pick)(keys)


def write(
    config: Config, key: RandomKey, prompts: Int[Array, " prompt"]
) -> Int[Array, "depth activation gamma prompt token"]:
    """What one draw of weights writes under every condition.

    Args:
        config: The conditions.
        key: The draw's key.
        prompts: Numbers of the first tokens.

    Returns:
        The first tokens and `config.tokens` new ones; `gpt2.STOPPED` where logits are not
        finite. Depths are `deepest_first`.
    """
    model = network(config)
    weights, tokens = jax.random.split(key)
    params = gpt2.draw(weights, model, kernel_std=config.init_std)
    first = first_tokens(config, tokens, prompts)
    shape = (
        *(len(model.depths), len(model.activations)),
        *(len(config.gammas), len(prompts)),
    )
    gamma = jnp.asarray(config.gammas, jnp.float32)[None, None, :, None]
    written = gpt2.generate(
        model,
        params,
        jnp.broadcast_to(first[None, None, None, :], shape).reshape(-1, 1),
        tokens=config.tokens,
        gamma=jnp.broadcast_to(gamma, shape).reshape(-1),
    )
    return written.reshape(*shape, -1)


def complexity(sequence: Int[Array, " token"]) -> dict[str, Array]:
    """Measures of one sequence, its first token included.

    Returns:
        `lz78`, dictionary size over length, as in the authors' code; `lzw`, dictionary
        size; `lz76`, factors; `distinct`, tokens that occur; `lz78_60`, as `lz78` of the
        first token and 60 more, where there are as many; all float32 and NaN where
        `degenerate` (bool): logits were not finite.
    """
    ranks, length = rank_symbols(sequence), sequence.size
    found = {
        "lz78": lz78(ranks, length) / length,
        "lzw": lzw(ranks, length),
        "lz76": lz76(ranks, length),
        "distinct": jnp.max(ranks) + 1,
    }
    if length > PREFIX:
        found["lz78_60"] = lz78(ranks[: PREFIX + 1], PREFIX + 1) / (PREFIX + 1)
    stopped = jnp.any(sequence == gpt2.STOPPED)
    return {
        name: jnp.where(stopped, jnp.nan, value.astype(jnp.float32))
        for name, value in found.items()
    } | {"degenerate": stopped}


def floor(length: int) -> Float[np.ndarray, ""]:
    """The least `lz78` of a length: a constant's, (sqrt(8 n + 1) - 1) / 2 rounded down."""
    return np.asarray(np.floor((np.sqrt(8 * length + 1) - 1) / 2) / length)


def at_once(config: Config) -> int:
    """First tokens that one draw of weights goes on from at once."""
    blocks = sum(config.depths) * len(config.activations) * len(config.gammas)
    kept = blocks * config.tokens * 2 * config.width * 4
    budget = BATCH_BYTES.get(jax.default_backend(), ACCELERATOR_BYTES)
    most = max(1, min(config.prompts, budget // kept))
    return next(n for n in range(most, 0, -1) if config.prompts % n == 0)


def _piece(config: Config, mesh: Mesh) -> int:
    """Entries (draws, or parts of their first tokens) to evaluate at once."""
    if jax.default_backend() in BATCH_BYTES:
        # One by one on each device; of a single one `lanes` would make two.
        return 2 * mesh.size
    rows = len(config.activations) * len(config.gammas) * at_once(config)
    kept = sum(config.depths) * rows * config.tokens * 2 * config.width * 4
    logits = len(config.depths) * rows * config.vocabulary * 4
    each = 3 * kept + 2 * logits + 8 * gpt2.parameters(network(config))
    return mesh.size * max(1, ACCELERATOR_TOGETHER // each)


def _evaluate(config: Config, key: RandomKey, mesh: Mesh):
    count = at_once(config)

    def run(stream: RandomKey, draws: Array, parts: Array) -> Array:
        def one(given: tuple[Array, Array]) -> Array:
            number, part = given
            own = jax.random.fold_in(stream, number)
            return write(config, own, part * count + jnp.arange(count))

        return lanes.over(lanes.default_strategy(), one)((draws, parts))

    program = sweeps.spread(run, mesh, replicated=1)
    return lambda inputs: program(key, inputs["draw"], inputs["part"])


def _measured(written: Array) -> dict[str, Array]:
    found = jax.vmap(complexity)(written.reshape(-1, written.shape[-1]))
    return {name: v.reshape(written.shape[:-1]) for name, v in found.items()}


def blocks(config: Config, key: RandomKey, mesh: Mesh) -> list[sweeps.Block]:
    """The one block of a run: an entry for each draw and part of its first tokens."""
    parts = config.prompts // at_once(config)
    draws = np.repeat(np.arange(config.draws, dtype=np.uint32), parts)
    return [
        sweeps.Block(
            name="GPT-2",
            evaluate=_evaluate(config, rng.stream(key, "transformers"), mesh),
            finish=sweeps.spread(_measured, mesh),
            inputs={
                "draw": draws,
                "part": np.tile(np.arange(parts, dtype=np.int32), config.draws),
            },
            piece=_piece(config, mesh),
        )
    ]


def table(config: Config, swept: sweeps.Columns) -> sweeps.Columns:
    """The results: a row for each sequence."""
    parts = config.prompts // at_once(config)
    shape = (config.draws, parts, *swept["lz78"].shape[1:])

    def label(axis: int, values: np.ndarray) -> np.ndarray:
        placed = values.reshape([-1 if i == axis else 1 for i in range(len(shape))])
        return np.broadcast_to(placed, shape).ravel()

    prompt = np.arange(config.prompts).reshape(1, parts, 1, 1, 1, -1)
    columns = {
        "depth": label(2, np.asarray(deepest_first(config))),
        "activation": label(3, np.asarray(config.activations, object)),
        "gamma": label(4, np.asarray(config.gammas)),
        "draw": label(0, np.arange(config.draws)),
        "prompt": np.broadcast_to(prompt, shape).ravel(),
    }
    return columns | {name: values.ravel() for name, values in swept.items()}


def floating_operations(config: Config) -> float:
    """Of the matrix products of a whole run, 2 for a product and its sum."""
    block = 2 * 12 * config.width**2
    output = 2 * config.width * config.vocabulary
    each = sum(config.depths) * block + len(config.depths) * output
    lines = len(config.activations) * len(config.gammas)
    return float(each * lines * config.draws * config.prompts * config.tokens)
