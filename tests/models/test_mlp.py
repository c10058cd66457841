"""Perceptrons against every layer written out in float64."""

from functools import lru_cache

import jax
import jax.numpy as jnp
import numpy as np
import oracles
import pytest

from jaxbias.models.mlp import MLP, VARIANTS, Variant, pad_hidden
from jaxbias.numerics.activations import ACTIVATIONS, UnknownActivationError

WIDTH, DEPTH, INPUTS = 8, 4, 2

NAMES = tuple(ACTIVATIONS)

COMBINATIONS = VARIANTS | {
    "all": Variant(layer_norm=True, residual=True, gated=True),
}

TRACES: list[str] = []


@lru_cache
def program(variant: str):
    """One compiled program for every depth, activation and prefactor."""
    module = MLP(WIDTH, DEPTH, NAMES, COMBINATIONS[variant])

    @jax.jit
    def apply(params, x, depth, activation, prefactor):
        TRACES.append(variant)
        given = {"depth": depth, "activation": activation, "prefactor": prefactor}
        return module.apply({"params": params}, x, **given)[0]

    def call(params, x, depth, activation="tanh", prefactor=1.0):
        number = jnp.asarray(NAMES.index(activation))
        return apply(params, x, jnp.asarray(depth), number, jnp.asarray(prefactor))

    return call


def weights(variant: str, depth: int = DEPTH, seed: int = 0) -> dict[str, jax.Array]:
    """Random weights of a size at which every activation bends."""
    generator = np.random.default_rng(seed)
    module = MLP(WIDTH, depth, NAMES, COMBINATIONS[variant])
    x = jnp.zeros((1, INPUTS))
    template = jax.eval_shape(module.init, jax.random.key(0), x)["params"]
    drawn = {
        name: generator.normal(
            size=leaf.shape, scale=1 if name.endswith("bias") else WIDTH**-0.5
        )
        for name, leaf in template.items()
    }
    return {name: jnp.asarray(leaf, jnp.float32) for name, leaf in drawn.items()}


def points(count: int = 40, seed: int = 1) -> jnp.ndarray:
    values = np.random.default_rng(seed).uniform(-1, 1, (count, INPUTS))
    return jnp.asarray(values, jnp.float32)


def options(variant: str) -> dict[str, bool]:
    chosen = COMBINATIONS[variant]
    return {name: getattr(chosen, name) for name in ("layer_norm", "residual", "gated")}


def assert_close(found, expected, rtol=2e-5):
    found, expected = np.asarray(found, np.float64), np.asarray(expected)
    assert np.abs(found - expected).max() <= rtol * np.abs(expected).max()


@pytest.mark.parametrize("variant", COMBINATIONS)
@pytest.mark.parametrize("activation", NAMES)
def test_every_variant_equals_float64_at_every_depth(variant, activation):
    params, x = weights(variant), points()
    for depth in range(1, DEPTH + 1):
        for prefactor in (1.0, 2.5):
            expected = oracles.mlp(
                params, x, activation, depth, prefactor=prefactor, **options(variant)
            )
            found = program(variant)(params, x, depth, activation, prefactor)
            assert_close(found, expected)


def test_one_trace_serves_every_depth_activation_and_prefactor():
    params, x = weights("plain"), points()
    program("plain")(params, x, 1)
    before = TRACES.count("plain")
    for depth in range(1, DEPTH + 1):
        for activation in NAMES:
            program("plain")(params, x, depth, activation, 0.5 * depth)
    assert TRACES.count("plain") == before == 1


@pytest.mark.parametrize("variant", COMBINATIONS)
def test_a_traced_depth_equals_the_unrolled_network(variant):
    params, x = weights(variant), points()
    for depth in range(1, DEPTH + 1):
        unrolled = MLP(WIDTH, depth, ("tanh",), COMBINATIONS[variant])
        cut = {
            name: leaf[: depth - 1] if name.startswith("hidden_") else leaf
            for name, leaf in params.items()
        }
        expected, layers = unrolled.apply({"params": cut}, x)
        assert_close(program(variant)(params, x, depth), expected, rtol=2e-6)
        assert list(layers) == [f"hidden{i + 1}" for i in range(depth)]
        assert all(layer.shape == (len(x), WIDTH) for layer in layers.values())


@pytest.mark.parametrize("variant", ["plain", "gated"])
def test_intermediates_are_the_layers_outputs(variant):
    params, x = weights(variant), points()
    module = MLP(WIDTH, DEPTH, ("tanh",), COMBINATIONS[variant])
    output, layers = module.apply({"params": params}, x)
    for index in range(DEPTH):
        # The network cut after a layer, reading one of its channels.
        probe = params | {
            "output_kernel": jnp.eye(WIDTH, 1),
            "output_bias": jnp.zeros(1),
        }
        expected = oracles.mlp(probe, x, "tanh", index + 1, **options(variant))
        assert_close(layers[f"hidden{index + 1}"][:, 0], expected)
    last = np.asarray(layers[f"hidden{DEPTH}"], np.float64)
    kernel = np.asarray(params["output_kernel"], np.float64)
    assert_close(output, last @ kernel[:, 0] + float(params["output_bias"][0]))


@pytest.mark.parametrize("variant", COMBINATIONS)
def test_padded_layers_are_never_read(variant):
    x = points()
    for depth in range(1, DEPTH + 1):
        padded = pad_hidden(weights(variant, depth), DEPTH)
        spoiled = {
            name: leaf.at[depth - 1 :].set(jnp.nan)
            if name.startswith("hidden_")
            else leaf
            for name, leaf in padded.items()
        }
        found = np.asarray(program(variant)(padded, x, depth))
        assert np.isfinite(found).all()
        np.testing.assert_array_equal(program(variant)(spoiled, x, depth), found)
        if depth < DEPTH:
            assert np.isnan(program(variant)(spoiled, x, depth + 1)).all()


def test_padding_adds_zeros_behind_the_hidden_layers_alone():
    short = weights("gated", 2)
    long = pad_hidden(short, DEPTH)
    shapes = {name: leaf.shape for name, leaf in weights("gated").items()}
    assert {name: leaf.shape for name, leaf in long.items()} == shapes
    for name, leaf in long.items():
        if name.startswith("hidden_"):
            np.testing.assert_array_equal(leaf[:1], short[name])
            assert not np.asarray(leaf[1:]).any()
        else:
            np.testing.assert_array_equal(leaf, short[name])


@pytest.mark.parametrize("activation", NAMES)
def test_a_chosen_activation_equals_the_single_one(activation):
    params, x = weights("plain"), points()
    single = MLP(WIDTH, DEPTH, (activation,))
    expected = jax.jit(single.apply)({"params": params}, x)[0]
    assert_close(program("plain")(params, x, DEPTH, activation), expected, rtol=1e-6)


def test_a_prefactor_equals_larger_weights_before_the_activation():
    params, x = weights("plain"), points()
    larger = {
        name: leaf if name.startswith("output_") else 3 * leaf
        for name, leaf in params.items()
    }
    found = program("plain")(params, x, 3, "tanh", 3.0)
    assert_close(found, program("plain")(larger, x, 3, "tanh"), rtol=1e-5)


def test_the_default_prefactor_adds_no_multiplication():
    module = MLP(WIDTH, 1, ("relu",))
    variables = {"params": weights("plain", 1)}
    plain = str(jax.make_jaxpr(module.apply)(variables, points()))
    scaled = jax.make_jaxpr(lambda v, x, p: module.apply(v, x, prefactor=p))
    assert " mul " not in plain
    assert " mul " in str(scaled(variables, points(), 2.0))


def test_activations_may_be_functions_and_import_paths():
    params, x = weights("plain", 1), points()
    module = MLP(WIDTH, 1, ("jax.nn.softplus", jnp.cos))
    exact = {name: np.asarray(leaf, np.float64) for name, leaf in params.items()}
    h = np.asarray(x, np.float64) @ exact["input_kernel"] + exact["input_bias"]
    for number, phi in enumerate((lambda v: np.logaddexp(v, 0), np.cos)):
        found = module.apply({"params": params}, x, activation=number)[0]
        expected = phi(h) @ exact["output_kernel"][:, 0] + exact["output_bias"]
        assert_close(found, expected)


def test_unknown_activations_are_refused():
    with pytest.raises(UnknownActivationError, match="rely"):
        MLP(WIDTH, 1, ("rely",)).init(jax.random.key(0), points())


def test_equal_pre_activations_are_normalised_to_zero():
    params = weights("layer_norm")
    params = {name: jnp.zeros_like(leaf) for name, leaf in params.items()}
    params["output_bias"] = jnp.full(1, 0.25)
    found = program("layer_norm")(params, points(), DEPTH)
    np.testing.assert_array_equal(found, np.full(40, 0.25, np.float32))


def test_stacked_networks_equal_a_loop():
    nets = [weights("gated", seed=s) for s in range(3)]
    stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *nets)
    module, x = MLP(WIDTH, DEPTH, ("tanh",), VARIANTS["gated"]), points()

    def apply(params):
        return module.apply({"params": params}, x, depth=jnp.asarray(3))[0]

    loop = np.stack([program("gated")(params, x, 3) for params in nets])
    assert_close(jax.jit(jax.vmap(apply))(stacked), loop, rtol=2e-6)
    assert_close(jax.lax.map(apply, stacked), loop, rtol=2e-6)


def test_networks_of_several_depths_may_share_a_batch():
    nets = [weights("residual", seed=s) for s in range(DEPTH)]
    stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *nets)
    module = MLP(WIDTH, DEPTH, ("tanh",), VARIANTS["residual"])
    x = points()

    def apply(params, depth):
        return module.apply({"params": params}, x, depth=depth)[0]

    found = jax.jit(jax.vmap(apply))(stacked, jnp.arange(1, DEPTH + 1))
    for index, params in enumerate(nets):
        expected = oracles.mlp(params, x, "tanh", index + 1, residual=True)
        assert_close(found[index], expected)


def test_eager_equals_compiled():
    params, x = weights("all"), points()
    module = MLP(WIDTH, DEPTH, ("swish",), COMBINATIONS["all"])
    eager = module.apply({"params": params}, x, depth=3)[0]
    assert_close(eager, program("all")(params, x, 3, "swish"), rtol=1e-6)


@pytest.mark.parametrize("variant", ["plain", "gated"])
def test_initial_weights_are_glorots_for_each_stacked_layer(variant):
    module = MLP(64, 3, ("relu",), VARIANTS[variant])
    params = module.init(jax.random.key(0), jnp.zeros((1, 2)))["params"]
    fans = {"input": (2, 64), "hidden": (64, 64), "output": (64, 1)}
    for name, leaf in params.items():
        layer = name.split("_")[0]
        if name.endswith("bias"):
            assert not np.asarray(leaf).any()
            continue
        limit = np.sqrt(6 / sum(fans[layer]))
        assert leaf.shape[-2:] == fans[layer]
        assert 0.8 * limit < np.abs(leaf).max() <= limit
    assert params["hidden_kernel"].shape == (2, 64, 64)
    assert len(params) == (10 if variant == "gated" else 6)
