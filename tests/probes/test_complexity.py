"""The measures together: degenerate functions, options, strategies, devices."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import oracles
import pytest
from jax.sharding import PartitionSpec as P

from jaxbias.models.mlp import MLP
from jaxbias.models.priors import PRIORS, draw, scale
from jaxbias.numerics import grids
from jaxbias.numerics.fourier import fourier
from jaxbias.numerics.polynomials import DegreeError, polynomial_order
from jaxbias.probes import complexity as probes
from jaxbias.probes.complexity import (
    DEGENERATE,
    MEASURES,
    ROUNDING,
    MeasureOptions,
    check,
    complexity,
)

SIDE, BATCH = 16, 8

CONSTANT, NON_FINITE, WITHIN_ROUNDING = 1, 2, 3

COUNTS = ("lz76", "lz78", "lzw")

TRACES: list[int] = []


@jax.jit
def program(values):
    """One compiled program for all that fits: every measure of eight functions."""
    TRACES.append(1)
    return complexity(values)


def measured(*functions: np.ndarray) -> dict[str, np.ndarray]:
    """Measure up to eight functions; the rest of the batch is noise."""
    filling = [noise(seed=99)] * (BATCH - len(functions))
    batch = jnp.asarray(np.stack([*functions, *filling]), jnp.float32)
    return {k: np.asarray(v)[: len(functions)] for k, v in program(batch).items()}


def noise(*shape: int, seed: int = 0) -> np.ndarray:
    shape = shape or (SIDE, SIDE)
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def smooth(seed: int = 0) -> np.ndarray:
    a, b, c, d = np.random.default_rng(seed).uniform(0.5, 3, 4)
    x, y = np.moveaxis(np.asarray(grids.grid(SIDE), np.float64), -1, 0)
    values = np.tanh(a * x - b * y + 0.3) + 0.3 * np.sin(c * y + d * x)
    return values.astype(np.float32)


def assert_measures(found: dict[str, np.ndarray], index: int, expected: dict) -> None:
    for name, value in expected.items():
        if name in COUNTS:
            assert found[name][index] == value, name
        else:
            np.testing.assert_allclose(
                found[name][index], value, rtol=2e-5, err_msg=name
            )


@pytest.mark.parametrize("kind", [noise, smooth])
def test_every_measure_equals_float64(kind):
    functions = [kind(seed=s) for s in range(4)]
    found = measured(*functions)
    assert set(found) == {*MEASURES, "degenerate"}
    assert not found["degenerate"].any()
    for index, values in enumerate(functions):
        assert_measures(found, index, oracles.complexity(values))


def test_one_trace_serves_many_calls():
    measured(noise())
    before = len(TRACES)
    for seed in range(5):
        measured(noise(seed=seed), smooth(seed))
    assert len(TRACES) == before == 1


@pytest.mark.parametrize("factor", [1e30, 1e-30, -3.0, 2.0**126, 2.0**-100])
def test_very_large_and_very_small_functions_read_as_any_other(factor):
    functions = [np.clip(noise(seed=1), -3.9, 3.9), smooth()]
    found = measured(*[values * np.float32(factor) for values in functions])
    assert not found["degenerate"].any()
    for index, values in enumerate(functions):
        # In the reference's own precision, the levels of a mirrored function differ.
        assert_measures(
            found, index, oracles.complexity(values.astype(np.float64) * factor)
        )


def test_functions_at_the_end_of_the_float_range_are_measured():
    values = np.where(noise() > 0, np.float32(3.4e38), np.float32(-3.4e38))
    found = measured(values)
    assert found["degenerate"].tolist() == [0]
    assert_measures(found, 0, oracles.complexity(values.astype(np.float64)))


@pytest.mark.parametrize("shift", [-0.7, 5.0, 100.0])
def test_a_shift_changes_rounding_alone(shift):
    base, found = measured(smooth()), measured(smooth() + np.float32(shift))
    for name in MEASURES:
        rtol = 0.03 if name in COUNTS else 1e-5 * (1 + abs(shift))
        np.testing.assert_allclose(found[name], base[name], rtol=rtol, err_msg=name)


@pytest.mark.parametrize("value", [0.0, 1.0, 0.1, -1e30, 3.4e38, 1e-30])
def test_a_constant_reads_the_minimum_of_every_measure(value):
    found = measured(np.full((SIDE, SIDE), value), noise())
    lowest = {
        "lz76": 2,
        "lz78": int((np.sqrt(8 * SIDE**2 + 1) - 1) / 2),
        "lzw": oracles.lzw((0,) * SIDE**2),
    }
    assert found["degenerate"].tolist() == [CONSTANT, 0]
    assert DEGENERATE[CONSTANT] == "constant"
    for name in MEASURES:
        assert found[name][0] == lowest.get(name, 0)
        assert found[name][1] > found[name][0]


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("where", ["everywhere", "one point"])
def test_a_function_that_is_not_finite_reads_nan(bad, where):
    values = noise()
    values[(3, 4) if where == "one point" else ...] = bad
    found = measured(values, noise())
    assert found["degenerate"].tolist() == [NON_FINITE, 0]
    assert DEGENERATE[NON_FINITE] == "non_finite"
    for name in MEASURES:
        assert np.isnan(found[name][0])
        # Its neighbour in the batch is not touched.
        assert found[name][1] == measured(noise())[name][0]


def test_both_infinities_at_once_read_nan():
    values = noise()
    values[0, 0], values[1, 1] = np.inf, -np.inf
    assert measured(values)["degenerate"].tolist() == [NON_FINITE]


def test_rounding_is_a_thousand_float32_steps():
    assert ROUNDING == pytest.approx(1.1920929e-4)


@pytest.mark.parametrize("offset", [1.0, -250.0, 1e30])
@pytest.mark.parametrize("share", [0.05, 0.8, 1.25, 20])
def test_a_spread_within_rounding_is_not_measured(offset, share):
    values = noise().astype(np.float64)
    values = (values - values.mean()) / values.std() * ROUNDING * share
    found = measured(np.float32(offset) * (1 + values))
    if share < 1:
        assert found["degenerate"].tolist() == [WITHIN_ROUNDING]
        assert DEGENERATE[WITHIN_ROUNDING] == "rounding"
        assert all(np.isnan(found[name][0]) for name in MEASURES)
    else:
        assert found["degenerate"].tolist() == [0]
        exact = oracles.complexity(values)
        assert abs(found["chebyshev"][0] - exact["chebyshev"]) < 0.05


@pytest.mark.parametrize("factor", [1e-38, 1e-35, 1e-33])
def test_a_function_that_underflows_is_not_measured(factor):
    found = measured(noise() * np.float32(factor))
    assert found["degenerate"].tolist() == [WITHIN_ROUNDING]
    assert all(np.isnan(found[name][0]) for name in MEASURES)


def test_one_point_that_differs_is_a_function_like_any_other():
    values = np.zeros((SIDE, SIDE), np.float32)
    values[3, 4] = 1
    found = measured(values)
    assert found["degenerate"].tolist() == [0]
    assert_measures(found, 0, oracles.complexity(values))


def network_values(params, activation: str, depth: int = 3) -> np.ndarray:
    names = ("relu", "tanh", "sigmoid", "sine", "gelu")
    module = MLP(64, 7, names)
    x = grids.grid(SIDE).reshape(-1, 2)

    @jax.jit
    def run(params, depth, index):
        return module.apply({"params": params}, x, depth=depth, activation=index)[0]

    index = jnp.asarray(names.index(activation))
    return np.asarray(run(params, jnp.asarray(depth), index)).reshape(SIDE, SIDE)


def network(weight_scale: float, prior: str = "uniform", seed: int = 0):
    module = MLP(64, 7, ("relu",))
    template = jax.eval_shape(module.init, jax.random.key(0), jnp.zeros((1, 2)))
    params = draw(jax.random.key(seed), template["params"], PRIORS[prior])
    return scale(params, weight_scale, PRIORS[prior])


def test_a_dead_network_is_constant():
    params = network(0.5)
    params["input_bias"] = jnp.full_like(params["input_bias"], -10)
    params["hidden_bias"] = -jnp.abs(params["hidden_bias"])
    found = measured(network_values(params, "relu"))
    assert found["degenerate"].tolist() == [CONSTANT]
    assert found["lz76"][0] == 2 and found["chebyshev"][0] == 0


@pytest.mark.parametrize(
    ("activation", "weight_scale", "reason"),
    [
        ("relu", 1e30, NON_FINITE),
        ("gelu", 1e30, NON_FINITE),
        # Bounded, as the library's own.
        ("sine", 1e30, 0),
        ("tanh", 1e30, 0),
        ("sigmoid", 1e30, 0),
        ("relu", 1e-30, CONSTANT),
    ],
)
def test_overflowing_and_vanishing_networks_are_told_apart(
    activation, weight_scale, reason
):
    found = measured(network_values(network(weight_scale), activation))
    assert found["degenerate"].tolist() == [reason]
    assert np.isnan(found["dct"][0]) == (reason == NON_FINITE)


def test_the_authors_artefact_of_rounding_is_flagged():
    """Their sigmoid heatmap reads 0.452 at A = 0.1 and 7 layers, in float64 0.142."""
    found = measured(network_values(network(0.1), "sigmoid", depth=7))
    assert found["degenerate"].tolist() == [WITHIN_ROUNDING]
    assert np.isnan(found["fourier"][0])


def test_measures_can_be_chosen_in_any_order():
    values = jnp.asarray(noise()[None])
    found = complexity(values, measures=("lz78", "dct"))
    assert list(found) == ["lz78", "dct", "degenerate"]
    whole = measured(noise())
    assert found["lz78"][0] == whole["lz78"][0]
    np.testing.assert_allclose(found["dct"], whole["dct"], rtol=1e-6)
    assert list(complexity(values, measures=())) == ["degenerate"]


def test_unknown_measures_are_named():
    with pytest.raises(
        ValueError, match="unknown measure entropy, zip: one of fourier"
    ):
        complexity(jnp.zeros((1, 4, 4)), measures=("dct", "entropy", "zip"))


def test_options_reach_the_measures():
    values = noise(seed=5)
    one = jnp.asarray(values)
    options = MeasureOptions(
        fourier_binning="author",
        degree=7,
        order="max",
        nodes="chebyshev",
        levels=12,
        traversal="hilbert",
    )
    names = ("fourier", "chebyshev", "legendre", "lz78")
    found = complexity(one[None], measures=names, options=options)
    np.testing.assert_allclose(found["fourier"], [fourier(one, "author")], rtol=1e-5)
    for basis in ("chebyshev", "legendre"):
        expected = polynomial_order(one, basis, 7, "max", "chebyshev")
        np.testing.assert_allclose(found[basis], [expected], rtol=1e-5)
    # Hilbert's curve, drawn by turning copies of itself.
    curve = np.array([[0]])
    while len(curve) < SIDE:
        n = curve.size
        left = np.concatenate([curve.T, curve + n])
        right = np.concatenate([curve[::-1, ::-1].T + 3 * n, curve + 2 * n])
        curve = np.concatenate([left, right], axis=1).T
    levels = oracles.quantise(values.astype(np.float64), 12).ravel()
    counts = set()
    for turned in (curve, curve.T):
        order = np.argsort(turned, axis=None)
        counts.add(oracles.lz78(tuple(levels[order].tolist())))
    assert float(found["lz78"][0]) in counts


def test_the_degree_follows_the_grid_unless_it_is_given():
    for resolution in (4, 16, 64):
        for basis in ("chebyshev", "legendre"):
            expected = oracles.best_degree(basis, resolution)
            assert MeasureOptions().degree_for(basis, resolution) == expected
    assert MeasureOptions(degree=9).degree_for("chebyshev", 16) == 9
    with pytest.raises(DegreeError, match="degree 12 is too high for 16"):
        check(("dct", "legendre"), 16, MeasureOptions(degree=12))
    # The degree does not matter to the others.
    check(("dct", "lz76"), 16, MeasureOptions(degree=12))
    with pytest.raises(DegreeError):
        complexity(jnp.zeros((1, 16, 16)), options=MeasureOptions(degree=12))


@pytest.mark.parametrize("shape", [(20,), (6, 6, 6)])
def test_grids_may_have_other_dimensions(shape):
    values = noise(*shape)
    found = complexity(jnp.asarray(values)[None], measures=("dct", "chebyshev", "lz78"))
    exact = values.astype(np.float64)
    np.testing.assert_allclose(found["dct"], [oracles.dct(exact)], rtol=1e-5)
    degree = oracles.best_degree("chebyshev", shape[0])
    expected = oracles.polynomial_order(exact, "chebyshev", degree)
    np.testing.assert_allclose(found["chebyshev"], [expected], rtol=1e-5)
    symbols = oracles.quantise(exact).T.ravel()
    assert float(found["lz78"][0]) == oracles.lz78(tuple(symbols.tolist()))


def test_a_single_point_is_a_constant_and_has_no_polynomial():
    values = jnp.ones((2, 1, 1))
    names = tuple(n for n in MEASURES if n not in ("chebyshev", "legendre"))
    found = complexity(values, measures=names)
    assert np.asarray(found["degenerate"]).tolist() == [CONSTANT] * 2
    for name in names:
        assert np.asarray(found[name]).tolist() == [float(name in COUNTS)] * 2
    with pytest.raises(DegreeError):
        complexity(values, measures=("chebyshev",))


SMOOTH = ("fourier", "dct", "chebyshev", "legendre", "total_variation")


def test_bits_depend_neither_on_how_many_networks_nor_on_how_many_devices():
    batch = np.stack([noise(seed=s) if s % 2 else smooth(s) for s in range(BATCH)])
    batch = jnp.asarray(batch)
    run = partial(complexity, measures=SMOOTH)
    whole = jax.jit(run)(batch)
    mesh = jax.make_mesh((4,), ("network",), axis_types=(jax.sharding.AxisType.Auto,))
    spread = jax.shard_map(
        run, mesh=mesh, in_specs=P("network"), out_specs=P("network"), check_vma=False
    )
    # One network on each device is the case in which XLA removes the loop.
    parts = [
        jax.jit(run)(batch[:1]),
        jax.jit(run)(batch[:3]),
        jax.jit(spread)(batch[:4]),
    ]
    for part in parts:
        for name, values in part.items():
            expected = np.asarray(whole[name])[: len(values)]
            np.testing.assert_array_equal(values, expected, err_msg=name)


def test_all_at_once_equals_one_by_one_and_eager_equals_compiled():
    batch = [noise(seed=1), smooth(), noise() * 0, noise() * np.nan]
    found = measured(*batch)
    values = jnp.asarray(np.stack(batch))
    for other in (
        jax.jit(partial(complexity, strategy="vmap"))(values),
        complexity(values, measures=("dct", "lz78", "total_variation")),
    ):
        for name in other:
            exact = name in COUNTS or name == "degenerate"
            rtol = 0 if exact else 1e-5
            np.testing.assert_allclose(other[name], found[name], rtol=rtol)


def test_every_measure_has_a_column_in_the_published_order():
    assert set(MEASURES) == {*probes.SMOOTH, *probes.SYMBOLIC}
    assert MEASURES[:2] == ("fourier", "dct")
    assert MEASURES[7] == "total_variation"
