"""The ledger of the random-networks experiment: what was published, as data."""

import csv
from functools import lru_cache
from importlib import resources

from jaxbias.ledger import Entry, judge_all
from jaxbias.studies.neural_redshift.random_networks import rules
from jaxbias.studies.neural_redshift.random_networks.config import AUTHOR_AMPLITUDES
from jaxbias.studies.neural_redshift.random_networks.evidence import Evidence

READING_ERROR = 0.005
"""Of the decoded pictures: a step of the colour map, and rounding."""

Cells = dict[tuple[float, int], float]


@lru_cache(maxsize=1)
def author_heatmaps() -> dict[str, Cells]:
    """Mean Fourier frequency by (amplitude, hidden layers), one network a cell.

    Decoded from the pictures in the second author's repository (ArmandNM/neural-redshift,
    MIT), four activations; amplitudes as `AUTHOR_AMPLITUDES`.
    """
    text = (
        resources.files("jaxbias.studies.neural_redshift.random_networks")
        .joinpath("author_heatmaps.csv")
        .read_text()
    )
    found: dict[str, Cells] = {}
    for row in csv.DictReader(text.splitlines()):
        amplitude = float(row["amplitude"])
        cells = found.setdefault(row["activation"], {})
        for depth in range(1, 8):
            cells[amplitude, depth] = float(row[f"hidden{depth}"])
    return found


_SAMPLED = tuple(AUTHOR_AMPLITUDES[i] for i in (0, 5, 6, 7, 9, 14))
_SATURATED = rules.SATURATED

_EXTRACTS = {
    "sine": (
        (0.142, 0.142, 0.149, 0.142, 0.142, 0.142, 0.142),
        (0.147, 0.122, 0.130, 0.157, 0.419, _SATURATED, _SATURATED),
        (0.188, 0.134, 0.161) + (_SATURATED,) * 4,
        (0.171, 0.128, 0.460) + (_SATURATED,) * 4,
        (0.165, 0.351) + (_SATURATED,) * 5,
        (0.196,) + (_SATURATED,) * 6,
    ),
    "sigmoid": (
        (0.142, 0.142, 0.144, 0.155, 0.339, 0.392, 0.452),
        (0.163, 0.169, 0.169, 0.163, 0.163, 0.146, 0.155),
        (0.165, 0.138, 0.175, 0.198, 0.147, 0.163, 0.144),
        (0.187, 0.188, 0.167, 0.187, 0.153, 0.183, 0.169),
        (0.159, 0.175, 0.149, 0.142, 0.220, 0.263, 0.343),
        (0.134, 0.272, 0.368, 0.388, 0.415, 0.421, 0.446),
    ),
}
"""Rows of two more of the authors' heatmaps, at amplitudes `_SAMPLED`."""


def author_extract(activation: str) -> Cells:
    """Cells of a heatmap of which only some rows are at hand."""
    return {
        (amplitude, depth + 1): value
        for amplitude, row in zip(_SAMPLED, _EXTRACTS[activation], strict=True)
        for depth, value in enumerate(row)
    }


RERUN_SCALES = (0.5, 1.0, 2.0, 4.0, 8.0)
RERUN_NETWORKS = 6
RERUN = {
    ("relu", "plain"): ((2.9, 141), (4.0, 152), (5.6, 175), (6.2, 208), (6.9, 229)),
    ("gelu", "plain"): ((1.1, 108), (1.2, 104), (2.5, 154), (5.6, 197), (6.7, 225)),
    ("tanh", "plain"): ((1.1, 102), (1.4, 136), (3.7, 192), (12.5, 431), (15.3, 692)),
    ("gaussian", "plain"): (
        (1.2, 110),
        (1.3, 148),
        (1.9, 149),
        (11.5, 400),
        (18.6, 828),
    ),
    ("sine", "plain"): ((1.1, 105), (1.3, 112), (5.8, 259), (19.1, 838), (19.3, 844)),
    ("tanh", "layer_norm"): (
        (1.1, 115),
        (1.4, 121),
        (2.8, 167),
        (4.9, 201),
        (7.6, 245),
    ),
    ("sine", "layer_norm"): (
        (1.2, 137),
        (1.6, 134),
        (3.0, 166),
        (6.1, 233),
        (8.2, 246),
    ),
    ("relu", "layer_norm"): (
        (3.0, 128),
        (4.6, 165),
        (5.9, 202),
        (7.1, 239),
        (9.0, 260),
    ),
    ("tanh", "residual"): ((1.1, 115), (2.2, 158), (4.8, 160), (4.8, 157), (3.7, 152)),
    ("sine", "residual"): ((1.1, 113), (2.2, 155), (8.3, 272), (8.2, 261), (8.2, 254)),
    ("relu", "residual"): ((2.5, 117), (4.3, 173), (3.5, 144), (4.5, 158), (4.4, 148)),
    ("relu", "gated"): ((2.7, 120), (3.0, 120), (3.8, 139), (9.2, 279), (14.4, 525)),
    ("tanh", "gated"): ((1.1, 111), (1.2, 127), (1.8, 140), (9.3, 300), (15.3, 672)),
}
"""(Chebyshev order, LZ76) of networks with 6 hidden layers at `RERUN_SCALES`, mean of 6:
an independent NumPy rerun in float64 of the paper's prior on 64 x 64 points."""

_FIGURE_4 = "section 3, Fig. 1 and 4"
_SHARE = "the paper prints no number; limits are shares of the plane-to-noise range"


def _entry(
    id: str,
    source: str,
    claim: str,
    expected: str,
    judge: rules.Rule,
    tolerance: str = _SHARE,
    certainty: str = "read",
) -> Entry:
    return Entry(
        id=id,
        source=source,
        claim=claim,
        expected=expected,
        tolerance=tolerance,
        certainty=certainty,  # type: ignore[arg-type]
        judge=judge,
    )


def _steep(activation: str, along: str) -> Entry:
    what = "weight scale" if along == "scale" else "depth"
    return _entry(
        f"{activation}-rises-with-{along}",
        _FIGURE_4,
        f"{activation}: complexity rises dramatically with {what}",
        "by at least 0.4 of the range",
        rules.steep(activation, along),
    )


def _author(activation: str, cells: Cells) -> Entry:
    return _entry(
        f"author-heatmap-{activation}",
        "authors' repository, heatmap pictures",
        f"{activation}: the authors' heatmap, cell by cell",
        "at least 95 % of cells within mean +- 3 sd of ours",
        rules.author_cells(activation, cells, READING_ERROR),
        "one network a cell there; 0.005 for reading the colours",
    )


_SUMMARIES = {"swish": (0.166, 0.022), "selu": (0.164, 0.017)}
"""Mean and standard deviation over the 105 cells of heatmaps known by these alone."""


def _author_mean(activation: str, mean: float, sd: float) -> Entry:
    return _entry(
        f"author-heatmap-{activation}",
        "authors' repository, heatmap pictures",
        f"{activation}: mean over the authors' heatmap {mean:.3f}",
        f"{mean:.3f} within 3 standard errors of its 105 cells, and 0.005",
        rules.author_summary(activation, mean, sd, 105, READING_ERROR),
        "only the heatmap's mean and spread are at hand",
    )


ENTRIES: tuple[Entry, ...] = (
    _entry(
        "relu-flat",
        _FIGURE_4,
        "relu: uniformly low, insensitive to weight scale and depth",
        "cell means within 0.15 of the range",
        rules.flat("relu"),
    ),
    _entry(
        "relu-variance",
        "section 3",
        "relu: variance across networks essentially zero",
        "median standard deviation in a cell at most 0.05 of the range",
        rules.relu_variance,
    ),
    _entry(
        "relu-like-slight",
        "section 3 and App. F",
        "gelu, swish, selu: slight increase with weight scale and depth",
        "rise over the heatmap above 0 and at most 0.25 of the range",
        rules.slight_increase(("gelu", "swish", "selu")),
    ),
    *(_steep(a, along) for a in rules.STEEP for along in ("scale", "depth")),
    _entry(
        "relu-like-lower",
        "Table 1",
        "ReLU-like activations are simpler than tanh, Gaussian and sine",
        "each of the first below each of the second, largest scale and depth",
        rules.relu_like_lower,
    ),
    _entry(
        "layer-norm-flattens",
        "Fig. 5",
        "layer norm: sensitivity to the weight scale essentially absent",
        "rise at most 0.25 of the plain network's (tanh, Gaussian, sine)",
        rules.layer_norm_flattens,
    ),
    _entry(
        "residual-lowers",
        "Fig. 5",
        "residuals: less sensitivity to the weight scale",
        "rise below the plain network's (tanh, Gaussian, sine)",
        rules.residual_lowers,
    ),
    _entry(
        "residual-lowest",
        "section 3",
        "residuals: every activation near the lowest complexity",
        "at most 0.25 of the range at the largest scale",
        rules.residual_lowest,
    ),
    _entry(
        "gating-raises-relu",
        "section 3",
        "gating raises the complexity even of relu",
        "rise above the plain network's",
        rules.gating_raises(("relu",)),
    ),
    _entry(
        "gating-raises-all",
        "Fig. 5",
        "gating: more sensitivity to the weight scale",
        "rise above the plain network's (relu, gelu, tanh, Gaussian, sine)",
        rules.gating_raises(("relu", "gelu", "tanh", "gaussian", "sine")),
    ),
    _entry(
        "width-no-effect",
        "Table 1",
        "width has no effect",
        "means within 0.1 of the range",
        rules.no_effect("width", "width", "widths"),
    ),
    _entry(
        "bias-no-effect",
        "Table 1",
        "the magnitude of the biases has no effect",
        "means within 0.1 of the range",
        rules.no_effect("bias", "bias_range", "bias_ranges"),
    ),
    _entry(
        "prior-no-effect",
        "App. E",
        "Gaussian, uniform-ball and long-tailed weights: similar findings",
        "means within 0.1 of the range, at equal variance",
        rules.no_effect("prior", "prior", "priors"),
        "parameters of those priors unknown: equal variance chosen",
    ),
    _entry(
        "unbiased-noise",
        "Fig. 4",
        "unbiased model: white noise at every weight scale",
        "at least 0.9 of the range",
        rules.unbiased_is_noise,
    ),
    _entry(
        "measures-agree",
        "Fig. 6",
        "Fourier, Chebyshev, Legendre and LZ78 are closely correlated",
        "every Pearson correlation at least 0.5",
        rules.measures_agree,
        "the paper prints no coefficient",
    ),
    _entry(
        "plane-reading",
        "authors' code",
        "a plane reads 0.1417 on the authors' grid",
        "0.1417 +- 0.0005",
        rules.calibration("plane", 0.1417),
        "four printed digits",
        "computed",
    ),
    _entry(
        "noise-reading",
        "authors' code",
        "white noise reads 0.5417 on the authors' grid",
        "0.5417 +- 0.0005",
        rules.calibration("noise", 0.5417),
        "spread over draws of noise is about 0.0002",
        "computed",
    ),
    _entry(
        "independent-rerun",
        "independent float64 rerun of the paper's prior",
        "Chebyshev and LZ76 of 13 architectures at 5 scales (means of 6 networks)",
        "at least 95 % of the 130 means within 3 standard errors",
        rules.independent_rerun(RERUN, RERUN_SCALES, RERUN_NETWORKS),
        "Monte-Carlo error of both runs, and rounding of the printed digits",
        "computed",
    ),
    *(_author(name, cells) for name, cells in author_heatmaps().items()),
    *(_author(name, author_extract(name)) for name in _EXTRACTS),
    *(_author_mean(name, mean, sd) for name, (mean, sd) in _SUMMARIES.items()),
    _entry(
        "author-onsets",
        "authors' repository, heatmap pictures",
        "first amplitude at which 7 layers are complex: tanh 1.93, sine 0.72, "
        "gaussian 1.18, sigmoid 8.48",
        "within one of the 15 steps",
        rules.onset({"tanh": 1.93, "sine": 0.72, "gaussian": 1.18, "sigmoid": 8.48}),
        "one network a cell there",
    ),
)


def judge(evidence: Evidence) -> list[dict[str, str]]:
    """Judge all entries; the rows of `verdicts.json`."""
    return judge_all(ENTRIES, evidence)
