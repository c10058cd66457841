"""What the study found (its poster's tables and findings), and the rules that judge it.

The figures are those of the poster; the table that they are computed from is the user's.
"""

from collections.abc import Callable

import numpy as np

from jaxbias.ledger import (
    Certainty,
    Entry,
    Judgement,
    MissingError,
    held,
    judge_all,
    where_possible,
)
from jaxbias.studies.imagenet_biases.correlations.evidence import Evidence
from jaxbias.studies.imagenet_biases.correlations.prediction import TOGETHER
from jaxbias.studies.imagenet_biases.correlations.table import GROUPS, SUBSETS

CORRELATIONS: dict[str, tuple[tuple[float, float, float], ...]] = {
    "shape": (
        *((-0.76, -0.98, -0.60), (-0.53, -0.91, 0)),
        *((0, 0, 0.41), (0.47, 0, 0)),
    ),
    "low_frequency": (
        *((0, -0.99, 0), (0, -0.91, 0.48)),
        *((0.29, 0, 0.61), (0.73, 0, 0.53)),
    ),
    "high_frequency": (
        *((0.65, 0.81, 0.40), (0.79, 0.75, 0.61)),
        *((0.53, 0, 0.59), (-0.40, -0.59, 0.53)),
    ),
    "bandwidth": (
        *((-0.72, -0.72, -0.57), (-0.76, -0.62, -0.54)),
        *((-0.31, 0, 0), (0.49, 0.65, 0)),
    ),
    "centre": (*((0, 0, 0), (0, 0, 0)), *((0, 0, 0), (0, 0, 0))),
    "peak_sensitivity": (
        *((0.30, 0.81, 0), (0, 0.81, 0)),
        *((0, 0, -0.38), (-0.43, 0, -0.39)),
    ),
}
"""Spearman's correlation of each bias with ID, Robustness, Concepts and Adversarial, over
Total, AT and Other; 0 where p is 0.05 or more."""

BETWEEN: dict[tuple[str, str], float] = {
    ("shape", "low_frequency"): 0.66,
    ("shape", "high_frequency"): -0.32,
    ("shape", "bandwidth"): 0.62,
    ("shape", "centre"): 0,
    ("shape", "peak_sensitivity"): -0.48,
    ("low_frequency", "high_frequency"): 0,
    ("low_frequency", "bandwidth"): 0.59,
    ("low_frequency", "centre"): 0,
    ("low_frequency", "peak_sensitivity"): -0.49,
    ("high_frequency", "bandwidth"): -0.79,
    ("high_frequency", "centre"): -0.29,
    ("high_frequency", "peak_sensitivity"): 0,
    ("bandwidth", "centre"): 0,
    ("bandwidth", "peak_sensitivity"): 0,
    ("centre", "peak_sensitivity"): 0,
}
"""The same between biases, over all models."""

ROUNDED = 0.005 + 1e-9
"""How far a number of two decimals may be from what it was rounded from."""


def _equal(pairs: list[tuple[float, float, str]]) -> Judgement:
    """Printed and recomputed values, with a name for each."""
    wrong = [
        f"{name} {here:.3f} (printed {printed:.2f})"
        for printed, here, name in pairs
        if abs(here - printed) > ROUNDED
    ]
    words = f"{len(pairs) - len(wrong)} of {len(pairs)}"
    return held(not wrong, "; ".join([words, *wrong[:4]]))


@where_possible
def all_groups(evidence: Evidence) -> Judgement:
    """Every printed correlation of a bias with a group."""
    evidence.published()
    return _equal(
        [
            (
                float(printed),
                evidence.shown(bias, group, subset),
                f"{bias}-{group} {subset}",
            )
            for bias, rows in CORRELATIONS.items()
            for group, row in zip(GROUPS, rows, strict=True)
            for subset, printed in zip(SUBSETS, row, strict=True)
        ]
    )


@where_possible
def all_pairs(evidence: Evidence) -> Judgement:
    """Every printed correlation between biases."""
    evidence.published()
    columns, found = evidence.pairs, []
    for (first, second), printed in BETWEEN.items():
        chosen = (columns["first"] == first) & (columns["second"] == second)
        chosen &= columns["subset"] == "Total"
        if not chosen.any():
            raise MissingError(f"the table has no {first} or {second}")
        row = int(np.flatnonzero(chosen)[0])
        significant = columns["p"][row] < evidence.config.significance
        here = float(columns["spearman"][row]) if significant else 0.0
        found.append((float(printed), here, f"{first}-{second}"))
    return _equal(found)


def _biases(evidence: Evidence) -> list[str]:
    if not evidence.table.biases:
        raise MissingError("the table has no bias")
    return list(evidence.table.biases)


@where_possible
def none_explains_all(evidence: Evidence) -> Judgement:
    """No bias goes with all four groups in one direction."""
    met, shown = [], []
    for bias in _biases(evidence):
        values = [evidence.shown(bias, group) for group in GROUPS]
        met.append(bias if len({np.sign(v) for v in values}) == 1 and values[0] else "")
        shown.append(f"{bias} {', '.join(f'{v:.2f}' for v in values)}")
    holding = [name for name in met if name]
    return held(not holding, "; ".join(holding or shown))


@where_possible
def texture_helps_at_home(evidence: Evidence) -> Judgement:
    """The less shape bias, the better in distribution, in every subset."""
    values = [evidence.shown("shape", "ID", subset) for subset in SUBSETS]
    return held(max(values) < 0, ", ".join(f"{v:.2f}" for v in values))


@where_possible
def high_frequencies_help(evidence: Evidence) -> Judgement:
    """The high-frequency bias goes with ID, robustness and concepts."""
    values = [evidence.shown("high_frequency", name) for name in list(GROUPS)[:3]]
    return held(min(values) > 0, ", ".join(f"{v:.2f}" for v in values))


@where_possible
def adversarial_training_drives(evidence: Evidence) -> Judgement:
    """Correlations over all models that vanish without the adversarially trained."""
    found = [
        f"{bias}-{group} {evidence.shown(bias, group):.2f}"
        for bias in _biases(evidence)
        for group in GROUPS
        if evidence.shown(bias, group) and not evidence.shown(bias, group, "Other")
    ]
    return held(len(found) >= 3, f"{len(found)}: {', '.join(found)}")


def counts_images(benchmark: str, *, all_of_them: bool):
    """A benchmark's accuracy is over its images, or over a good part of them.

    Images without a label may have been left out; all but a twentieth are not.
    """

    @where_possible
    def judge(evidence: Evidence) -> Judgement:
        columns = evidence.denominators
        chosen = columns.get("benchmark", np.asarray([])) == benchmark
        if not np.any(chosen):
            raise MissingError(f"the table has no {benchmark}")
        row = int(np.flatnonzero(chosen)[0])
        images, counted = int(columns["images"][row]), int(columns["counted"][row])
        here = f"all values are whole numbers of {counted:,} images"
        if not counted:
            raise MissingError("values are no whole numbers of images")
        enough = counted * 20 > images
        return held(enough and not (all_of_them and images % counted), here)

    return judge


@where_possible
def survive_correction(evidence: Evidence) -> Judgement:
    """What is called significant stays so when 72 tests are counted as 72."""
    columns, level = evidence.cells, evidence.config.significance
    group = columns["kind"] == "group"
    plain = group & (columns["p"] < level)
    if not plain.any():
        raise MissingError("nothing is significant")
    corrected = {
        words: int((plain & (columns[name] < level)).sum())
        for words, name in (
            ("Bonferroni", "p_bonferroni"),
            ("Benjamini-Hochberg", "p_bh"),
        )
    }
    here = ", ".join(f"{count} by {words}" for words, count in corrected.items())
    total = int(plain.sum())
    return held(corrected["Bonferroni"] == total, f"of {total}: {here}")


@where_possible
def centre_says_nothing(evidence: Evidence) -> Judgement:
    """The critical band's centre goes with no group, the ReaL column repaired or not."""
    shown = [
        (group, subset, *evidence.value("centre", group, subset))
        for group in GROUPS
        for subset in SUBSETS
    ]
    columns = evidence.effects
    if columns:
        chosen = (columns["bias"] == "centre") & (columns["group"] == "ID")
        for row in np.flatnonzero(chosen):
            name = f"{columns['subset'][row]} without ReaL"
            values = float(columns["after"][row]), float(columns["p_after"][row])
            shown.append(("ID", name, *values))
    found = [
        f"{group} {subset} {value:.2f} (p {p:.3f})"
        for group, subset, value, p in shown
        if p < evidence.config.significance
    ]
    return held(not found, "; ".join(found) or f"none of {len(shown)}")


@where_possible
def together_predict(evidence: Evidence) -> Judgement:
    """All biases together predict every group of categories that were left out."""
    columns = evidence.predictions
    chosen = (columns["kind"] == "group") & (columns["left_out"] == "category")
    chosen &= columns["predictors"] == TOGETHER
    if not chosen.any():
        raise MissingError("the table has no group")
    values = {
        str(columns["target"][row]): float(columns["r2"][row])
        for row in np.flatnonzero(chosen)
    }
    here = ", ".join(f"{name} {value:.2f}" for name, value in values.items())
    return held(min(values.values()) > 0.5, f"R2 of left-out categories: {here}")


POSTER = "poster, correlation tables"
RELEASED = "released table"
EXACT = "two decimals; 0 stands for p of 0.05 or more"


def _entry(
    id: str,
    source: str,
    claim: str,
    expected: str,
    judge: Callable[[Evidence], Judgement],
    tolerance: str = EXACT,
    certainty: Certainty = "read",
) -> Entry:
    return Entry(
        id=id,
        source=source,
        claim=claim,
        expected=expected,
        tolerance=tolerance,
        certainty=certainty,
        judge=judge,
    )


ENTRIES = (
    _entry(
        "biases-groups",
        POSTER,
        "Spearman correlations of six biases with four groups, over three subsets",
        "72 of 72",
        all_groups,
    ),
    _entry(
        "biases-pairs",
        POSTER,
        "Spearman correlations between biases",
        "15 of 15",
        all_pairs,
    ),
    _entry(
        "biases-none",
        "abstract",
        "no single bias explains generalisation",
        "none is significant with all four groups in one direction",
        none_explains_all,
    ),
    _entry(
        "biases-texture",
        "poster",
        "networks with more texture bias are the better ones in distribution",
        "shape bias and ID correlate negatively over all, AT and others",
        texture_helps_at_home,
    ),
    _entry(
        "biases-high",
        "poster",
        "some use of high frequencies goes with generalisation",
        "a positive correlation with ID, robustness and concepts",
        high_frequencies_help,
    ),
    _entry(
        "biases-adversarial",
        "poster",
        "adversarially trained networks make several of the correlations over all",
        "three or more are significant over all models and not without them",
        adversarial_training_drives,
    ),
    _entry(
        "audit-real",
        RELEASED,
        "accuracy on ReaL labels is over the validation images",
        "no number of images below 2,500 explains all values",
        counts_images("imagenet-real", all_of_them=False),
        "values are whole numbers of images",
    ),
    _entry(
        "audit-pgd",
        RELEASED,
        "adversarial accuracy is over the 50,000 validation images",
        "values are whole numbers of 50,000 images",
        counts_images("PGD-40/low", all_of_them=True),
        "values are whole numbers of images",
    ),
    _entry(
        "audit-tests",
        "poster",
        "the correlations that are printed are significant",
        "they stay so when corrected for their number (Bonferroni)",
        survive_correction,
        "the level is the paper's, 0.05",
    ),
    _entry(
        "audit-centre",
        POSTER,
        "the critical band's centre correlates with nothing",
        "no p below 0.05, with the ReaL column and without it",
        centre_says_nothing,
    ),
    _entry(
        "biases-together",
        "not in the paper",
        "all biases together predict networks of a category that they have not seen",
        "R2 above 0.5 for every group, each category left out in turn",
        together_predict,
        "half of the squared error; ours",
        "computed",
    ),
)


def judge(evidence: Evidence) -> list[dict[str, str]]:
    """Judge every entry."""
    return judge_all(ENTRIES, evidence)
