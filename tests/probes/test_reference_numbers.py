"""Frozen numbers of small networks, and the published ones of random networks.

The frozen table has three witnesses: the package in float32, the float64 oracle computed
here, and the numbers in the file. Its weights come from NumPy's legacy generator, whose
stream is guaranteed never to change.
"""

import jax
import jax.numpy as jnp
import numpy as np
import oracles
import pytest

from jaxbias.models.mlp import MLP, VARIANTS, pad_hidden
from jaxbias.models.priors import PRIORS, draw, scale
from jaxbias.numerics import grids
from jaxbias.numerics.activations import gaussian
from jaxbias.probes.complexity import MEASURES, MeasureOptions, complexity, evaluate

SIDE, WIDTH, DEEPEST = 16, 16, 4

COUNTS = ("lz76", "lz78", "lzw")

# Activation, variant, hidden layers, scale of the weights.
NETWORKS = {
    "relu": ("plain", 3, 1.0),
    "tanh": ("plain", 4, 4.0),
    "sine": ("layer_norm", 3, 2.0),
    "gelu": ("residual", 4, 1.0),
    "gaussian": ("gated", 2, 3.0),
    "swish": ("layer_norm_residual", 1, 8.0),
}

COLUMNS = (
    *("fourier", "dct", "chebyshev", "legendre"),
    *("lz76", "lz78", "lzw", "total_variation"),
)

# fmt: off
FROZEN = {
    "relu": (0.2799231, 0.1102422, 2.5502749, 4.2868143, 36, 84, 111, 2.3404507),
    "tanh": (0.3442286, 0.3187146, 9.0282786, 9.5752201, 66, 95, 134, 5.3114117),
    "sine": (0.3023177, 0.1079602, 2.9011126, 4.4879436, 37, 75, 101, 1.8696214),
    "gelu": (0.2909390, 0.0935345, 1.5120128, 2.0170076, 36, 83, 107, 2.2525508),
    "gaussian": (0.3317625, 0.1265507, 3.3869711, 5.0023639, 54, 89, 120, 2.9389189),
    "swish": (0.2678287, 0.0814853, 1.6411472, 3.2698035, 35, 86, 112, 2.1737171),
}
# fmt: on

MESSAGE = (
    "A measure or a network no longer gives its frozen numbers. If the oracle of this "
    "test agrees with the package and not with FROZEN, a definition was changed on both "
    "sides: change FROZEN (the oracle's numbers are above) only if that was the "
    "intention, and say so in the release notes, because results of earlier versions "
    "are then no longer comparable. If the oracle agrees with FROZEN, the package is "
    "wrong. Never widen the tolerance."
)


def drawn(activation: str) -> dict[str, np.ndarray]:
    """Glorot's uniform weights times the scale, biases in [-1, 1]."""
    variant, depth, factor = NETWORKS[activation]
    generator = np.random.RandomState(list(NETWORKS).index(activation))
    gates = ("", "gate_") if VARIANTS[variant].gated else ("",)
    shapes = {"input": (2, WIDTH), "hidden": (WIDTH, WIDTH), "output": (WIDTH, 1)}
    params = {}
    for layer, (fan_in, fan_out) in shapes.items():
        stack = (depth - 1,) if layer == "hidden" else ()
        limit = factor * np.sqrt(6 / (fan_in + fan_out))
        for gate in gates if layer != "output" else ("",):
            kernel = generator.uniform(-limit, limit, (*stack, fan_in, fan_out))
            bias = generator.uniform(-1, 1, (*stack, fan_out))
            params[f"{layer}_{gate}kernel"] = kernel.astype(np.float32)
            params[f"{layer}_{gate}bias"] = bias.astype(np.float32)
    return params


def package_values(activation: str) -> np.ndarray:
    variant, depth, _ = NETWORKS[activation]
    params = pad_hidden(jax.tree.map(jnp.asarray, drawn(activation)), DEEPEST)
    module = MLP(WIDTH, DEEPEST, (activation,), VARIANTS[variant])

    @jax.jit
    def run(params, depth):
        apply = lambda p, x: module.apply({"params": p}, x, depth=depth)[0]  # noqa: E731
        return evaluate(apply, params, grids.grid(SIDE), 100)

    return np.asarray(run(params, jnp.asarray(depth)))


def oracle_values(activation: str) -> np.ndarray:
    variant, depth, _ = NETWORKS[activation]
    line = np.linspace(-1, 1, SIDE).astype(np.float32).astype(np.float64)
    x = np.stack(np.meshgrid(line, line, indexing="ij"), -1).reshape(-1, 2)
    chosen = VARIANTS[variant]
    blocks = {n: getattr(chosen, n) for n in ("layer_norm", "residual", "gated")}
    return oracles.mlp(drawn(activation), x, activation, depth, **blocks).reshape(
        SIDE, SIDE
    )


@pytest.fixture(scope="module")
def oracle() -> dict[str, dict[str, float]]:
    return {name: oracles.complexity(oracle_values(name)) for name in NETWORKS}


@jax.jit
def program(values):
    return complexity(values)


@pytest.fixture(scope="module")
def package() -> dict[str, np.ndarray]:
    values = [package_values(name) for name in NETWORKS]
    # Eight functions, so that the compiled program is that of the other tests.
    values += values[:2]
    found = program(jnp.asarray(np.stack(values)))
    return {name: np.asarray(column) for name, column in found.items()}


def as_text(oracle: dict[str, dict[str, float]]) -> str:
    """The oracle's table in the form that FROZEN has in this file."""
    lines = [
        f'    "{network}": ({", ".join(f"{row[c]:.7g}" for c in COLUMNS)}),'
        for network, row in oracle.items()
    ]
    return "\n".join(["FROZEN = {", *lines, "}"])


def test_every_measure_is_frozen():
    assert COLUMNS == MEASURES, "add the new measure's column to COLUMNS and FROZEN"


@pytest.mark.parametrize("network", NETWORKS)
def test_the_oracle_gives_the_frozen_numbers(network, oracle):
    for measure, frozen in zip(COLUMNS, FROZEN[network], strict=True):
        np.testing.assert_allclose(
            oracle[network][measure],
            frozen,
            rtol=2e-6,
            err_msg=f"{as_text(oracle)}\n{network}, {measure}. {MESSAGE}",
        )


@pytest.mark.parametrize("network", NETWORKS)
def test_the_package_gives_the_frozen_numbers(network, oracle, package):
    index = list(NETWORKS).index(network)
    assert package["degenerate"][index] == 0
    for measure, frozen in zip(COLUMNS, FROZEN[network], strict=True):
        np.testing.assert_allclose(
            package[measure][index],
            frozen,
            rtol=0 if measure in COUNTS else 2e-5,
            err_msg=f"{as_text(oracle)}\n{network}, {measure}. {MESSAGE}",
        )


def test_the_networks_themselves_equal_float64():
    for activation in NETWORKS:
        expected = oracle_values(activation)
        error = np.abs(package_values(activation) - expected).max()
        assert error < 2e-5 * np.abs(expected).max(), activation


def test_no_frozen_count_hangs_on_rounding():
    """A value at the edge of a level would make a Lempel-Ziv count a matter of luck."""
    for activation in NETWORKS:
        values = oracle_values(activation)
        place = 10 * (values - values.min()) / np.ptp(values)
        inner = np.abs(place - np.rint(place))[(place > 0.5) & (place < 9.5)]
        assert inner.min() > 2e-5, activation


def test_random_symbols_have_the_counts_of_the_protocol():
    """64 x 64 of white noise in 10 levels: LZ76 1057 and LZ78 1246; a plane far less."""
    noise = np.random.default_rng(0).uniform(size=(5, 64, 64))
    x, y = np.moveaxis(np.asarray(grids.grid(64)), -1, 0)
    values = jnp.asarray(np.concatenate([noise, [x - 0.7 * y]]), jnp.float32)
    found = complexity(values, measures=("lz76", "lz78"))
    lz76, lz78 = np.asarray(found["lz76"]), np.asarray(found["lz78"])
    assert abs(lz76[:5].mean() - 1057) < 8 and abs(lz78[:5].mean() - 1246) < 12
    # The floor of LZ78 is high: a ratio of 2 to 3, where LZ76 has 8 or 9.
    assert 7 < 1057 / lz76[5] < 10 and 2 < 1246 / lz78[5] < 3.5


def random_networks(prior: str, side: int, depth: int, measures: tuple[str, ...]):
    """A program from (activation, layers, scale) to the measures of a few networks."""
    names = ("relu", "tanh", "sine", "gaussian")
    # The published heatmaps' Gaussian is exp(-x^2), the follow-up's exp(-x^2 / 2).
    bump = gaussian(np.sqrt(0.5) if prior == "uniform" else 1.0)
    module = MLP(64, depth, ("relu", "tanh", "sine", bump))
    x = jnp.zeros((1, 2))
    template = jax.eval_shape(module.init, jax.random.key(0), x)["params"]
    options = MeasureOptions(fourier_binning="author")

    @jax.jit
    def run(key, activation, layers, factor):
        def one(key):
            params = scale(draw(key, template, PRIORS[prior]), factor, PRIORS[prior])
            given = {"depth": layers, "activation": activation}
            apply = lambda p, x: module.apply({"params": p}, x, **given)[0]  # noqa: E731
            return evaluate(apply, params, grids.grid(side), 4096)

        values = jax.lax.map(one, jax.random.split(key, 5))
        return complexity(values, measures=measures, options=options)

    def call(activation: str, layers: int, factor: float) -> dict[str, float]:
        number = jnp.asarray(names.index(activation))
        found = run(jax.random.key(1), number, jnp.asarray(layers), jnp.asarray(factor))
        return {name: float(np.mean(found[name])) for name in measures}

    return call


def test_networks_read_as_the_authors_heatmaps():
    """W, b ~ U(-A, A), 300 x 300, the authors' binning; an independent rerun's means."""
    call = random_networks("uniform", 300, 7, ("fourier",))
    for activation, layers, amplitude, mean, tolerance in (
        ("tanh", 7, 3.16, 0.419, 0.012),
        ("gaussian", 3, 8.48, 0.475, 0.006),
        ("relu", 7, 8.48, 0.165, 0.025),
    ):
        found = call(activation, layers, amplitude)["fourier"]
        assert abs(found - mean) < tolerance, (activation, found)


def test_networks_read_as_an_independent_float64_implementation():
    """Glorot's weights times alpha, b ~ U(-1, 1), 64 x 64, width 64, 6 layers."""
    call = random_networks("glorot_uniform", 64, 6, ("chebyshev", "lz76"))
    for activation, factor, order, factors in (
        ("relu", 4.0, 6.2, 208),
        ("tanh", 4.0, 12.5, 431),
        ("tanh", 8.0, 15.3, 692),
        ("gaussian", 8.0, 18.6, 828),
        ("sine", 8.0, 19.3, 844),
    ):
        found = call(activation, 6, factor)
        # Spread over networks: 1 at most in order, 12 % in factors; five of each.
        assert abs(found["chebyshev"] - order) < 1.2, (activation, factor, found)
        assert abs(found["lz76"] / factors - 1) < 0.15, (activation, factor, found)
