"""The rules by which a run of random networks is held against the published outcomes.

Fourier complexity is judged as a share of its range on the grid at hand: 0 is a plane,
1 white noise. All limits were fixed before the first run.
"""

import contextlib
import math
from collections.abc import Callable, Sequence
from itertools import combinations

import numpy as np

from jaxbias.ledger import Judgement, MissingError, held, where_possible
from jaxbias.numerics.polynomials import DEFAULT_DEGREE
from jaxbias.numerics.statistics import pearson, spearman
from jaxbias.studies.neural_redshift.random_networks.evidence import (
    Evidence,
    RoundingError,
    fourier_range,
)

FEW = 5
"""Networks a cell below which no direction is judged."""

ENOUGH = 20
"""Networks a cell from which a cell's spread is known well enough to test others."""

SATURATED = 0.499
"""Where the colour range of the authors' pictures ends."""

Rule = Callable[[Evidence], Judgement]


def _list(values: dict[str, float]) -> str:
    return ", ".join(f"{name} {value:.2f}" for name, value in values.items())


def flat(activation: str, limit: float = 0.15) -> Rule:
    """The cell means of an activation's heatmap differ by little."""

    @where_possible
    def judge(evidence: Evidence) -> Judgement:
        evidence.needs(FEW, "heatmaps")
        _corners(evidence, activation)  # Asks for enough depths and weight scales.
        means = evidence.grid("fourier", activation, evidence.config.depths)
        spread = float(np.nanmax(means) - np.nanmin(means)) / evidence.width_of_range()
        here = (
            f"cell means {np.nanmin(means):.3f} to {np.nanmax(means):.3f}: "
            f"{spread:.2f} of the range"
        )
        if "chebyshev" in evidence.config.measures:
            orders = evidence.grid("chebyshev", activation, evidence.config.depths)
            here += (
                f"; Chebyshev order {np.nanmin(orders):.1f} to {np.nanmax(orders):.1f}"
            )
        return held(spread <= limit, here)

    return judge


def _corners(evidence: Evidence, activation: str) -> tuple[float, float, float, float]:
    """Shares at (small, shallow), (small, deep), (large, shallow), (large, deep)."""
    depths = evidence.config.depths
    if max(depths) < min(depths) + 3:
        raise MissingError("the depths span less than 3 layers")
    shallow = evidence.ends(activation=activation, depth=min(depths))
    deep = evidence.ends(activation=activation, depth=max(depths))
    corners = (shallow[0], deep[0], shallow[1], deep[1])
    small_shallow, small_deep, large_shallow, large_deep = (
        evidence.share(corner.mean) for corner in corners
    )
    return small_shallow, small_deep, large_shallow, large_deep


def slight_increase(activations: Sequence[str], limit: float = 0.25) -> Rule:
    """Complexity rises from the simplest to the most complex corner, but by little."""

    @where_possible
    def judge(evidence: Evidence) -> Judgement:
        evidence.needs(FEW, "heatmaps")
        rises = {}
        for name in activations:
            small, _, _, large = _corners(evidence, name)
            rises[name] = large - small
        return held(
            all(0 < rise <= limit for rise in rises.values()),
            f"rise over the heatmap: {_list(rises)} of the range",
        )

    return judge


def steep(activation: str, along: str, limit: float = 0.4) -> Rule:
    """Complexity rises much along "scale" (deepest) or "depth" (largest scale)."""

    @where_possible
    def judge(evidence: Evidence) -> Judgement:
        evidence.needs(FEW, "heatmaps")
        _, small_deep, large_shallow, large_deep = _corners(evidence, activation)
        low = small_deep if along == "scale" else large_shallow
        return held(
            large_deep - low >= limit,
            f"{low:.2f} to {large_deep:.2f} of the range",
        )

    return judge


@where_possible
def relu_like_lower(evidence: Evidence) -> Judgement:
    """At the largest scale and depth every ReLU-like activation lies below the rest."""
    evidence.needs(FEW, "heatmaps")
    low = {n: _corners(evidence, n)[3] for n in ("relu", "gelu", "swish", "selu")}
    high = {n: _corners(evidence, n)[3] for n in ("tanh", "gaussian", "sine")}
    return held(max(low.values()) < min(high.values()), f"{_list(low)}; {_list(high)}")


@where_possible
def relu_variance(evidence: Evidence, limit: float = 0.05) -> Judgement:
    """ReLU networks of one cell hardly differ."""
    evidence.needs(FEW, "heatmaps")
    spreads = []
    for depth in evidence.config.depths:
        for weight_scale in evidence.config.weight_scales:
            try:
                spreads.append(
                    evidence.sample(
                        activation="relu", depth=depth, weight_scale=weight_scale
                    ).sd
                )
            except MissingError:
                continue
    if not spreads:
        raise MissingError("no networks with relu")
    typical = float(np.median(spreads)) / evidence.width_of_range()
    return held(
        typical <= limit,
        f"median standard deviation in a cell {typical:.3f} of the range",
    )


STEEP = ("tanh", "gaussian", "sine")


def _against_plain(
    evidence: Evidence, variant: str, measure: str = "fourier"
) -> dict[str, float]:
    """The rise with the weight scale as a share of the plain network's."""
    ratios = {}
    for name in STEEP:
        rises = {}
        for kind in (variant, "plain"):
            small, large = evidence.ends(
                measure,
                activation=name,
                variant=kind,
                depth=evidence.config.curve_depth,
            )
            rises[kind] = large.mean - small.mean
        if rises["plain"] <= 0:
            raise MissingError(f"the plain {name} network does not rise with the scale")
        ratios[name] = rises[variant] / rises["plain"]
    return ratios


@where_possible
def layer_norm_flattens(evidence: Evidence, limit: float = 0.25) -> Judgement:
    """With layer norm the rise with the scale is a small part of the plain network's."""
    evidence.needs(FEW, "curves")
    ratios = _against_plain(evidence, "layer_norm")
    here = f"rise against the plain one: {_list(ratios)}"
    # A measure without the Fourier measure's floor sees what is left of the rise.
    with contextlib.suppress(MissingError):
        orders = _against_plain(evidence, "layer_norm", "chebyshev")
        here += f"; by Chebyshev {_list(orders)}"
    return held(max(ratios.values()) <= limit, here)


@where_possible
def residual_lowers(evidence: Evidence) -> Judgement:
    """With residuals the rise with the scale is smaller."""
    evidence.needs(FEW, "curves")
    ratios = _against_plain(evidence, "residual")
    return held(
        max(ratios.values()) < 1, f"rise against the plain one: {_list(ratios)}"
    )


@where_possible
def residual_lowest(evidence: Evidence, limit: float = 0.25) -> Judgement:
    """With residuals every activation stays near the lowest complexity."""
    evidence.needs(FEW, "curves")
    top = {
        name: evidence.share(
            evidence.sample(
                activation=name,
                variant="residual",
                depth=evidence.config.curve_depth,
                weight_scale=max(evidence.config.weight_scales),
            ).mean
        )
        for name in evidence.config.activations
    }
    return held(
        max(top.values()) <= limit, f"at the largest scale: {_list(top)} of the range"
    )


def gating_raises(activations: Sequence[str]) -> Rule:
    """With gates the rise with the scale is larger."""

    @where_possible
    def judge(evidence: Evidence) -> Judgement:
        evidence.needs(FEW, "curves")
        depth = evidence.config.curve_depth
        more = {
            name: evidence.rise(name, "gated", depth)
            - evidence.rise(name, "plain", depth)
            for name in activations
        }
        return held(
            min(more.values()) > 0,
            f"rise with gates minus without: {_list(more)} of the range",
        )

    return judge


def no_effect(part: str, label: str, values: str, limit: float = 0.1) -> Rule:
    """Mean complexity hardly depends on a label of the control parts."""

    @where_possible
    def judge(evidence: Evidence) -> Judgement:
        evidence.needs(FEW, part)
        config = evidence.config
        if len(getattr(config, values)) < 2:
            raise MissingError(f"one {label.replace('_', ' ')} has nothing beside it")
        spreads = {}
        for activation in config.controls:
            for weight_scale in config.control_scales:
                means = [
                    evidence.sample(
                        activation=activation,
                        depth=config.control_depth,
                        weight_scale=weight_scale,
                        **{label: value},
                    ).mean
                    for value in getattr(config, values)
                ]
                name = f"{activation} at {weight_scale:g}"
                spreads[name] = (max(means) - min(means)) / evidence.width_of_range()
        return held(
            max(spreads.values()) <= limit,
            f"spread of the means: {_list(spreads)} of the range",
        )

    return judge


@where_possible
def unbiased_is_noise(evidence: Evidence, limit: float = 0.9) -> Judgement:
    """The unbiased model is as complex as white noise at every scale."""
    evidence.needs(FEW, "unbiased")
    shares = {
        f"scale {weight_scale:g}": evidence.share(
            evidence.sample(
                variant="unbiased", width=None, weight_scale=weight_scale
            ).mean
        )
        for weight_scale in evidence.config.control_scales
    }
    return held(min(shares.values()) >= limit, f"{_list(shares)} of the range")


COMPARED = ("fourier", "chebyshev", "legendre", "lz78")
"""The measures of the paper's Figure 6."""


@where_possible
def measures_agree(evidence: Evidence, limit: float = 0.5) -> Judgement:
    """Every two measures correlate over all networks of the main grid."""
    evidence.needs(FEW)
    taken = [name for name in COMPARED if name in evidence.config.measures]
    if len(taken) < 2:
        raise MissingError("fewer than two of the compared measures were taken")
    chosen = evidence.rows(variant=None, width=None, prior=None, bias_range=None)
    chosen &= ~evidence.columns["degenerate"]
    for name in taken:
        if not chosen.any() or np.ptp(evidence.columns[name][chosen]) == 0:
            raise MissingError(f"{name} does not differ between any two networks")
    pairs = list(combinations(taken, 2))
    linear, ranked = {}, {}
    for first, second in pairs:
        x, y = evidence.columns[first][chosen], evidence.columns[second][chosen]
        linear[f"{first}-{second}"] = pearson(x, y)
        ranked[f"{first}-{second}"] = spearman(x, y)
    least = min(linear, key=lambda pair: linear[pair])
    return held(
        linear[least] >= limit,
        f"Pearson {linear[least]:.2f} ({least}) to {max(linear.values()):.2f}, "
        f"Spearman {min(ranked.values()):.2f} to {max(ranked.values()):.2f}",
    )


def calibration(kind: str, expected: float) -> Rule:
    """A plane and white noise read what the authors' code gives on its grid."""

    def judge(evidence: Evidence) -> Judgement:
        value = fourier_range(300, "author")[kind == "noise"]
        return held(abs(value - expected) <= 5e-4, f"{value:.4f}")

    return judge


def _same_networks(evidence: Evidence, **expected: object) -> None:
    """Raise unless the run has the settings under which a table was made."""
    base = {"input_dim": 2, "prefactor": 1.0}
    for name, value in (base | expected).items():
        here = getattr(evidence.config, name)
        if isinstance(value, float) and abs(here - value) < 1e-6:
            continue
        if here != value:
            raise MissingError(f"{name.replace('_', '-')} is {here}, not {value}")


def author_cells(
    activation: str, cells: dict[tuple[float, int], float], read_error: float
) -> Rule:
    """The authors' single networks lie within the spread of ours, cell by cell."""

    @where_possible
    def judge(evidence: Evidence) -> Judgement:
        _author_setting(evidence)
        evidence.needs(ENOUGH, "heatmaps")
        inside = compared = flagged = 0
        for (amplitude, depth), value in cells.items():
            scale = _nearest(evidence.config.weight_scales, amplitude)
            if scale is None or depth not in evidence.config.depths:
                continue
            try:
                ours = evidence.sample(
                    activation=activation, depth=depth, weight_scale=scale
                )
            except RoundingError:
                # In the authors' pictures as here.
                flagged += 1
                continue
            compared += 1
            low, high = ours.mean - 3 * ours.sd, ours.mean + 3 * ours.sd
            # The pictures saturate at 0.499: such a cell says "at least that much".
            not_below = value <= high + read_error
            not_above = value >= low - read_error or value >= SATURATED
            inside += not_below and not_above
        if compared == 0:
            raise MissingError("no cell in common with the authors' heatmap")
        return held(
            inside >= 0.95 * compared,
            f"{inside} of {compared} cells ({inside / compared:.1%}) within 3 sd, "
            f"{flagged} set aside as rounding",
        )

    return judge


def _author_setting(evidence: Evidence) -> None:
    _same_networks(
        evidence,
        prior="uniform",
        resolution=300,
        width=64,
        fourier_binning="author",
        gaussian_width=0.7071068,
    )


def _nearest(scales: Sequence[float], wanted: float) -> float | None:
    close = [s for s in scales if abs(s - wanted) <= 0.01 * wanted]
    return close[0] if close else None


def author_summary(
    activation: str, mean: float, sd: float, cells: int, read_error: float
) -> Rule:
    """The mean over all cells of the authors' heatmap is that of ours."""

    @where_possible
    def judge(evidence: Evidence) -> Judgement:
        _author_setting(evidence)
        evidence.needs(FEW, "heatmaps")
        means = evidence.grid("fourier", activation, evidence.config.depths)
        flagged = int(np.isnan(means).sum())
        if means.size != cells or flagged > 0.1 * cells:
            raise MissingError("other amplitudes or depths than the authors'")
        here = float(np.nanmean(means))
        return held(
            abs(here - mean) <= 3 * sd / math.sqrt(cells) + read_error,
            f"mean {here:.3f} over {cells - flagged} cells, {flagged} set aside as "
            "rounding",
        )

    return judge


def onset(expected: dict[str, float], threshold: float = 0.25) -> Rule:
    """The first amplitude at which networks of 7 layers are complex, within one step."""

    @where_possible
    def judge(evidence: Evidence) -> Judgement:
        _author_setting(evidence)
        evidence.needs(FEW, "heatmaps")
        scales = sorted(evidence.config.weight_scales)
        ok, found = True, {}
        for activation, amplitude in expected.items():
            published = _nearest(scales, amplitude)
            if published is None or 7 not in evidence.config.depths:
                raise MissingError("other amplitudes or depths than the authors'")
            means = [_mean_or_zero(evidence, activation, 7, s) for s in scales]
            if not any(means):
                raise MissingError(f"no {activation} network could be measured")
            first = next((s for s, m in zip(scales, means) if m > threshold), None)  # noqa: B905
            found[activation] = float("nan") if first is None else first
            ok &= first is not None and (
                abs(scales.index(first) - scales.index(published)) <= 1
            )
        return held(ok, _list(found))

    return judge


def _mean_or_zero(
    evidence: Evidence, activation: str, depth: int, weight_scale: float
) -> float:
    """Mean complexity; 0 where most networks are rounding noise."""
    try:
        return evidence.sample(
            activation=activation, depth=depth, weight_scale=weight_scale
        ).mean
    except RoundingError:
        return 0.0


def independent_rerun(
    table: dict[tuple[str, str], tuple[tuple[float, int], ...]],
    scales: tuple[float, ...],
    networks: int,
) -> Rule:
    """Cell means of an independent float64 rerun, within the Monte-Carlo error of both."""

    @where_possible
    def judge(evidence: Evidence) -> Judgement:
        _same_networks(
            evidence,
            prior="glorot_uniform",
            resolution=64,
            width=64,
            curve_depth=6,
            gaussian_width=1.0,
            levels=10,
            traversal="column",
            polynomial_order="sum",
        )
        if evidence.config.degree not in (None, DEFAULT_DEGREE):
            raise MissingError(f"degree is not {DEFAULT_DEGREE}")
        evidence.needs(ENOUGH, "curves")
        inside = compared = flagged = 0
        worst, worst_label = 0.0, ""
        for (activation, variant), cells in table.items():
            for scale, pair in zip(scales, cells, strict=True):
                for measure, value, rounding in (
                    ("chebyshev", pair[0], 0.05),
                    ("lz76", pair[1], 0.5),
                ):
                    labels = {"activation": activation, "variant": variant, "depth": 6}
                    try:
                        ours = evidence.sample(measure, weight_scale=scale, **labels)
                    except RoundingError:
                        # In float32, that is; the rerun was in float64.
                        flagged += 1
                        continue
                    error = ours.sd * math.sqrt(1 / networks + 1 / ours.count)
                    # Counts may be the same for all networks of a simple cell.
                    error = max(error, 1e-9)
                    off = max(0.0, abs(ours.mean - value) - rounding) / error
                    inside += off <= 3
                    compared += 1
                    if off > worst:
                        worst, worst_label = (
                            off,
                            f"{measure} of {activation} {variant} at {scale:g}",
                        )
        if compared < flagged:
            raise MissingError("most of the rerun's cells are degenerate here")
        return held(
            inside >= 0.95 * compared,
            f"{inside} of {compared} means within 3 standard errors, {flagged} set "
            f"aside as rounding; largest {worst:.1f} ({worst_label})",
        )

    return judge
