"""No product in a probe or a network may run below float32 precision.

TF32 and bfloat16, the defaults of recent GPUs and of TPUs, read as complexity. A CPU
would never show it, so the programs themselves are searched.
"""

from collections.abc import Iterator
from functools import partial

import jax
import jax.numpy as jnp
import pytest
from jax import lax
from jax.custom_batching import custom_vmap
from jax.sharding import PartitionSpec as P

from jaxbias.models.mlp import MLP, VARIANTS, Variant
from jaxbias.models.priors import PRIORS, draw, scale
from jaxbias.models.unbiased import UnbiasedModel
from jaxbias.numerics import grids
from jaxbias.probes.complexity import MEASURES, MeasureOptions, complexity, evaluate

PRODUCTS = ("dot_general", "conv_general_dilated", "ragged_dot", "ragged_dot_general")

ALL_VARIANTS = VARIANTS | {"all": Variant(layer_norm=True, residual=True, gated=True)}


def programs_in(value: object) -> Iterator:
    """Every program (jaxpr) held by a parameter of an operation, however it is kept."""
    if hasattr(value, "eqns"):
        yield value
    elif hasattr(value, "jaxpr"):
        yield from programs_in(value.jaxpr)
    elif isinstance(value, (list, tuple)):
        for entry in value:
            yield from programs_in(entry)
    elif isinstance(value, dict):
        yield from programs_in(list(value.values()))


def operations(program) -> Iterator:
    for operation in program.eqns:
        yield operation
        for value in operation.params.values():
            for inner in programs_in(value):
                yield from operations(inner)


def products(function, *args) -> list:
    """All products in the program of a function."""
    program = jax.make_jaxpr(function)(*args)
    return [o for o in operations(program) if o.primitive.name in PRODUCTS]


def imprecise(found: list) -> list[str]:
    """Those that do not ask for the highest precision on both sides."""
    highest = lax.Precision.HIGHEST

    def is_highest(operation) -> bool:
        asked = operation.params["precision"]
        return asked is highest or asked == (highest, highest)

    return [str(operation) for operation in found if not is_highest(operation)]


MATRIX = jnp.ones((4, 4))


def product(x, precision=None):
    return jnp.dot(x, MATRIX, precision=precision)


def in_scan(inner, x):
    return lax.scan(lambda carry, _: (inner(carry), None), x, None, length=2)[0]


def in_custom_vmap(inner, x):
    wrapped = custom_vmap(lambda x: inner(x))

    @wrapped.def_vmap
    def _(size, batched, x):
        return jax.vmap(inner)(x), True

    return wrapped(x)


def in_platform(inner, x):
    return lax.platform_dependent(x, cpu=lambda x: x, default=inner)


def in_shard_map(inner, x):
    mesh = jax.make_mesh((2,), ("network",), axis_types=(jax.sharding.AxisType.Auto,))
    return jax.shard_map(
        inner, mesh=mesh, in_specs=P("network"), out_specs=P("network")
    )(x)


NESTS = {
    "bare": lambda inner, x: inner(x),
    "jit": lambda inner, x: jax.jit(inner)(x),
    "scan": in_scan,
    "map": lambda inner, x: lax.map(inner, x[None]),
    "while": lambda inner, x: lax.while_loop(lambda x: x[0, 0] < 9, inner, x),
    "for": lambda inner, x: lax.fori_loop(
        0, x[0, 0].astype(int), lambda i, x: inner(x), x
    ),
    "cond": lambda inner, x: lax.cond(x[0, 0] > 0, inner, lambda x: x, x),
    "switch": lambda inner, x: lax.switch(
        x[0, 0].astype(int), [lambda x: x, jax.jit(inner)], x
    ),
    "platform": in_platform,
    "custom_vmap": in_custom_vmap,
    "custom_vmap, mapped": lambda inner, x: jax.vmap(partial(in_custom_vmap, inner))(
        x[None]
    ),
    "shard_map": in_shard_map,
    "checkpoint": lambda inner, x: jax.checkpoint(inner)(x),
    "all at once": lambda inner, x: in_shard_map(
        lambda x: in_scan(lambda x: in_platform(partial(in_custom_vmap, inner), x), x),
        x,
    ),
}


@pytest.mark.parametrize("nest", NESTS)
def test_the_search_finds_a_default_product_wherever_it_is(nest):
    default = products(partial(NESTS[nest], product), MATRIX)
    assert default and len(imprecise(default)) == len(default)
    for precision in (lax.Precision.DEFAULT, lax.Precision.HIGH, "tensorfloat32"):
        lower = products(
            partial(NESTS[nest], partial(product, precision=precision)), MATRIX
        )
        assert len(imprecise(lower)) == len(lower) == len(default)
    highest = products(
        partial(NESTS[nest], partial(product, precision="highest")), MATRIX
    )
    assert len(highest) == len(default) and not imprecise(highest)


def network_program(variant: str, strategy: str):
    """From keys to measures: draw, scale, evaluate in tiles, measure."""
    prior = PRIORS["glorot_uniform"]
    x = jnp.zeros((1, 2))
    if variant == "unbiased":
        module, given = UnbiasedModel(4), {}
    else:
        module = MLP(8, 3, ("relu", "sine", "gelu"), ALL_VARIANTS[variant])
        given = {"activation": 1, "prefactor": 2.0}
    template = jax.eval_shape(module.init, jax.random.key(0), x)["params"]
    over = partial(lax.map) if strategy == "map" else lambda f, xs: jax.vmap(f)(xs)

    def run(keys, depth, factor):
        if given:
            given["depth"] = depth

        def one(key):
            params = scale(draw(key, template, prior), factor, prior)
            apply = lambda p, x: module.apply({"params": p}, x, **given)[0]  # noqa: E731
            return evaluate(apply, params, grids.grid(8), 32)

        return complexity(over(one, keys), strategy=strategy)

    mesh = jax.make_mesh((2,), ("network",), axis_types=(jax.sharding.AxisType.Auto,))
    sharded = jax.shard_map(
        run,
        mesh=mesh,
        in_specs=(P("network"), P(), P()),
        out_specs=P("network"),
        check_vma=False,
    )
    keys = jax.random.split(jax.random.key(0), 2)
    return jax.jit(sharded), (keys, jnp.asarray(2), jnp.asarray(1.0))


# Of the network: a tile's products; of the probe: two for the DCT, each polynomial.
PROBE_PRODUCTS = 2 * 3


@pytest.mark.parametrize("strategy", ["map", "vmap"])
@pytest.mark.parametrize("variant", [*ALL_VARIANTS, "unbiased"])
def test_no_product_of_a_study_runs_below_float32(variant, strategy):
    program, args = network_program(variant, strategy)
    found = products(program, *args)
    gated = variant in ("gated", "all")
    # Input, hidden (once, in the loop) and output; or waves and their sum.
    layers = 2 if variant == "unbiased" else 3 + 2 * gated
    assert len(found) >= layers + PROBE_PRODUCTS
    assert not imprecise(found)


@pytest.mark.parametrize("variant", ALL_VARIANTS)
def test_no_product_of_an_unrolled_network_runs_below_float32(variant):
    module = MLP(8, 4, ("tanh",), ALL_VARIANTS[variant])
    x = jnp.zeros((3, 2))
    params = jax.eval_shape(module.init, jax.random.key(0), x)
    found = products(module.apply, params, x)
    gated = variant in ("gated", "all")
    assert len(found) == 1 + 4 * (1 + gated)
    assert not imprecise(found)


@pytest.mark.parametrize("dimension", [1, 2, 3])
@pytest.mark.parametrize("nodes", grids.NODES)
def test_no_product_of_any_option_runs_below_float32(dimension, nodes):
    values = jnp.zeros((2, *(8,) * dimension))
    for order in ("sum", "max", "euclid"):
        options = MeasureOptions(nodes=nodes, order=order)
        run = partial(complexity, measures=MEASURES, options=options)
        found = products(run, values)
        assert len(found) >= 3 * dimension and not imprecise(found)


def test_the_default_of_a_session_does_not_lower_it():
    with jax.default_matmul_precision("bfloat16"):
        program, args = network_program("gated", "map")
        assert not imprecise(products(program, *args))
