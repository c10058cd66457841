"""What is claimed of measures of complexity, as data. All rules precede the first run."""

import numpy as np

from jaxbias import tables
from jaxbias.ledger import (
    Entry,
    Judgement,
    MissingError,
    held,
    judge_all,
    where_possible,
)
from jaxbias.numerics.statistics import spearman
from jaxbias.probes.simplicity import Score, score
from jaxbias.studies.neural_redshift.measures.agreement import Evidence

CRITICAL = 0.05
"""Cells whose chi is as near to 1 are on neither side."""

FEW_CELLS = 3
"""Cells on each side below which theory is not judged."""


def _shown(evidence: Evidence, first: str, second: str) -> tuple[float, str]:
    rank = evidence.correlation(first, second, ranks=True)
    line = evidence.correlation(first, second, ranks=False)
    words = (
        f"{first} and {second}: Spearman {rank.value:.2f} [{rank.low:.2f}, "
        f"{rank.high:.2f}], Pearson {line.value:.2f} [{line.low:.2f}, {line.high:.2f}]"
    )
    return rank.value, words


@where_possible
def variation_follows_fourier(evidence: Evidence) -> Judgement:
    """Total variation on paths and the Fourier measure, linearly and by ranks."""
    rank, words = _shown(evidence, "path_variation", "fourier")
    line = evidence.correlation("path_variation", "fourier", ranks=False).value
    _, beside = _shown(evidence, "path_variation", "dct")
    return held(min(rank, line) >= 0.7, f"{words}; {beside}")


@where_possible
def functions_agree(evidence: Evidence) -> Judgement:
    """What is measured of the function on data ranks networks as its spectrum does."""
    names = ("path_variation", "noise_sensitivity", "jacobian")
    found = [_shown(evidence, name, "dct") for name in names]
    return held(
        min(rank for rank, _ in found) >= 0.7, "; ".join(words for _, words in found)
    )


@where_possible
def bits_agree(evidence: Evidence) -> Judgement:
    """The degree on the Boolean cube of the coordinates' bits ranks networks as dct."""
    rank, words = _shown(evidence, "walsh_degree", "dct")
    return held(rank >= 0.7, words)


@where_possible
def weights_do_not(evidence: Evidence) -> Judgement:
    """Curvature by the weights does not rank networks as the spectrum does."""
    rank, words = _shown(evidence, "sharpness", "dct")
    return held(abs(rank) < 0.5, words)


@where_possible
def noise_saturates(evidence: Evidence) -> Judgement:
    """Noise tells complex networks apart less well than the Jacobian does."""
    chosen = evidence.both("noise_sensitivity", "dct")
    chosen &= evidence.both("jacobian", "dct")
    if chosen.sum() < 100:
        raise MissingError(f"{chosen.sum()} networks, 100 are needed")
    dct, noise, jacobian = (
        evidence.values(name)[chosen]
        for name in ("dct", "noise_sensitivity", "jacobian")
    )
    top = dct >= np.quantile(dct, 0.75)
    level = float(np.median(noise[dct >= np.quantile(dct, 0.9)]))
    by_noise, by_jacobian = (spearman(x[top], dct[top]) for x in (noise, jacobian))
    return held(
        level >= 0.9 and by_noise < by_jacobian,
        f"most complex tenth: median {level:.2f} of 1, largest {noise.max():.2f}; most "
        f"complex quarter: Spearman with dct {by_noise:.2f} by noise, {by_jacobian:.2f} "
        "by the Jacobian",
    )


def rises(evidence: Evidence) -> dict[str, np.ndarray]:
    """For each cell of plain networks: theory, and the rise of dct with depth.

    Raises:
        MissingError: If there is no rise to be seen, or no such networks.
    """
    config, columns = evidence.config, evidence.columns
    if max(config.depths) < min(config.depths) + 3:
        raise MissingError("the depths span less than 3 layers")
    evidence.values("dct")
    rows = []
    for activation in config.activations:
        for weight_scale in config.weight_scales:
            cell = (columns["variant"] == "plain") & ~columns["degenerate"]
            cell &= columns["activation"] == activation
            cell &= columns["weight_scale"] == weight_scale
            ends = [
                columns["dct"][cell & (columns["depth"] == depth)]
                for depth in (max(config.depths), min(config.depths))
            ]
            if min(map(len, ends)) < 2:
                continue
            row = {"activation": activation, "weight_scale": weight_scale}
            row |= {k: columns[k][cell][0] for k in ("chi", "slope", "fixed_point")}
            row["rise"] = float(np.mean(ends[0]) - np.mean(ends[1]))
            rows.append(row)
    if not rows:
        raise MissingError("no plain networks to measure at both ends of the depths")
    return tables.columns_of(rows)


def _order_and_chaos(chi: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return chi < 1 - CRITICAL, chi > 1 + CRITICAL


def _right_order(low: np.ndarray, high: np.ndarray) -> float:
    """Share of pairs of one of each in which the second is larger."""
    larger = high[:, None] > low[None, :]
    return float(np.mean(larger + 0.5 * (high[:, None] == low[None, :])))


@where_possible
def chi_separates(evidence: Evidence) -> Judgement:
    """Where the variance has a fixed point, complexity rises with depth under chaos."""
    cells = rises(evidence)
    order, chaos = _order_and_chaos(cells["chi"])
    low, high = (cells["rise"][side & cells["fixed_point"]] for side in (order, chaos))
    if min(len(low), len(high)) < FEW_CELLS:
        raise MissingError(f"{len(low)} ordered and {len(high)} chaotic cells")
    share = _right_order(low, high)
    return held(
        share >= 0.95,
        f"{100 * share:.0f} % of pairs of {len(low)} ordered and {len(high)} chaotic "
        f"cells; dct rises by {np.median(low):.3f} and {np.median(high):.3f} (medians)",
    )


@where_possible
def chi_alone_does_not(evidence: Evidence) -> Judgement:
    """Where the variance has none, chi above 1 makes no complexity; the slope says so."""
    cells = rises(evidence)
    _, chaos = _order_and_chaos(cells["chi"])
    chosen = chaos & ~cells["fixed_point"]
    if chosen.sum() < FEW_CELLS:
        raise MissingError(f"{chosen.sum()} cells of chi > 1 without a fixed point")
    rise, slope = cells["rise"][chosen], cells["slope"][chosen]
    return held(
        bool(rise.max() <= 0.05 and slope.max() <= 1 + CRITICAL),
        f"{chosen.sum()} cells of chi up to {cells['chi'][chosen].max():.1f}: dct rises "
        f"by {rise.max():.3f} at most, slope at most {slope.max():.2f}",
    )


def score_of(evidence: Evidence, activation: str, variant: str) -> Score:
    """SimBa's score of an architecture.

    Raises:
        MissingError: If fewer than 5 networks could be scored.
    """
    scores = evidence.scores
    chosen = (scores["activation"] == activation) & (scores["variant"] == variant)
    found = score(scores["simplicity"][chosen], resamples=evidence.config.resamples)
    if found.count < 5:
        raise MissingError(f"{found.count} scores of {activation} {variant}")
    return found


@where_possible
def blocks_are_simpler(evidence: Evidence) -> Judgement:
    """Layer norm and residuals together raise the score of ReLU networks."""
    plain = score_of(evidence, "relu", "plain")
    block = score_of(evidence, "relu", "layer_norm_residual")
    return held(
        block.low > plain.high,
        "; ".join(
            f"{name} {s.value:.4f} [{s.low:.4f}, {s.high:.4f}]"
            for name, s in (("plain", plain), ("layer norm and residual", block))
        ),
    )


@where_possible
def score_follows(evidence: Evidence) -> Judgement:
    """The score orders architectures as complexity on the unit square does."""
    columns, config = evidence.columns, evidence.config
    by_score, by_dct = [], []
    evidence.values("dct")
    for variant in sorted(set(config.score_variants) & set(config.variants)):
        for activation in config.activations:
            cell = (columns["activation"] == activation) & ~columns["degenerate"]
            cell &= columns["variant"] == variant
            cell &= (columns["weight_scale"] == 1) & (
                columns["depth"] == config.score_depth
            )
            if cell.any():
                found = score_of(evidence, activation, variant)
                by_score.append(found.value)
                by_dct.append(float(np.mean(columns["dct"][cell])))
    if len(by_score) < 8:
        raise MissingError(f"{len(by_score)} architectures with both, 8 are needed")
    found = spearman(np.asarray(by_score), np.asarray(by_dct))
    return held(
        found <= -0.7,
        f"Spearman {found:.2f} over {len(by_score)} architectures at weight scale 1",
    )


ENTRIES: tuple[Entry, ...] = (
    Entry(
        id="variation-follows-fourier",
        source="Teney et al., CVPR 2025, App. F",
        claim="total variation along paths correlates closely with Fourier complexity",
        expected="Pearson and Spearman at least 0.7",
        tolerance="no number is known to us; 0.63 to 0.94 are those of the older measures",
        certainty="read",
        judge=variation_follows_fourier,
    ),
    Entry(
        id="functions-agree",
        source="not in the papers",
        claim="variation, noise sensitivity and Jacobian norm rank networks as dct does",
        expected="Spearman at least 0.7 for each",
        tolerance="as above",
        certainty="computed",
        judge=functions_agree,
    ),
    Entry(
        id="bits-agree",
        source="not in the papers",
        claim="the Walsh degree over the bits of the inputs ranks networks as dct does",
        expected="Spearman at least 0.7",
        tolerance="as above",
        certainty="computed",
        judge=bits_agree,
    ),
    Entry(
        id="weights-do-not-follow",
        source="Jaburi and Belrose 2025, of local volume in weight space",
        claim="a measure of the weights' surroundings does not follow complexity",
        expected="|Spearman| of sharpness with dct below 0.5",
        tolerance="theirs is a volume; the largest curvature is its nearest relative here",
        certainty="read",
        judge=weights_do_not,
    ),
    Entry(
        id="noise-saturates",
        source="by construction",
        claim="noise sensitivity ends at 1, where complex networks are told apart no more",
        expected="median of the most complex tenth at least 0.9; in the most complex "
        "quarter a lower Spearman with dct than the Jacobian's",
        tolerance="an order",
        certainty="computed",
        judge=noise_saturates,
    ),
    Entry(
        id="chi-separates",
        source="Poole et al. 2016; Schoenholz et al. 2017",
        claim="chi_1 above 1: neighbouring inputs part, so complexity grows with depth",
        expected="a larger rise in 95 % of pairs of an ordered and a chaotic cell",
        tolerance=f"cells within {CRITICAL} of chi 1 are left out; width is finite",
        certainty="read",
        judge=chi_separates,
    ),
    Entry(
        id="chi-alone-does-not",
        source="mean-field theory",
        claim="ReLU-like at large scale: chi above 1, but the variance grows as fast, and "
        "inputs do not part",
        expected="dct rises by at most 0.05 of its unit, slope of the correlation map "
        "at most 1.05",
        tolerance="a tenth of the way from a plane to noise",
        certainty="computed",
        judge=chi_alone_does_not,
    ),
    Entry(
        id="simba-blocks",
        source="Lee et al., ICLR 2025, remembered",
        claim="SimBa's score: layer norm and residuals make ReLU networks simpler",
        expected="a higher score, the intervals apart",
        tolerance="95 % intervals; blocks of the published architecture differ",
        certainty="remembered",
        judge=blocks_are_simpler,
    ),
    Entry(
        id="simba-follows",
        source="a reviewer of Lee et al. asked for a correlation",
        claim="SimBa's score orders architectures as complexity does",
        expected="Spearman with mean dct at most -0.7",
        tolerance="as for the other measures",
        certainty="computed",
        judge=score_follows,
    ),
)


def judge(evidence: Evidence) -> list[dict[str, str]]:
    """Judge every entry."""
    return judge_all(ENTRIES, evidence)
