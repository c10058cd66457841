"""What the paper finds of 48 ResNet-50s, asked of the networks of a small world.

Rules are of directions, as numbers are of other networks and images. Nothing is judged but
of CIFAR-10. Where the paper correlates, its rules for `correlations` judge here too.
"""

from collections.abc import Callable

import numpy as np

from jaxbias.data.archives import CIFAR10_CLASSES
from jaxbias.ledger import (
    Entry,
    Judgement,
    MissingError,
    held,
    judge_all,
    where_possible,
)
from jaxbias.studies.imagenet_biases.correlations import evidence as correlations
from jaxbias.studies.imagenet_biases.correlations import published as rules
from jaxbias.studies.imagenet_biases.correlations.table import BIASES
from jaxbias.studies.imagenet_biases.probe.images import VALIDATION
from jaxbias.studies.imagenet_biases.probe.profile import CHANGED_ONES
from jaxbias.studies.imagenet_biases.small_world.evidence import Evidence
from jaxbias.studies.imagenet_biases.small_world.zoo import ADVERSARIAL, ZOO

CLASSES = len(CIFAR10_CLASSES)

STANDARD = ("baseline", "training_recipes")
"""Categories of networks that are trained on images as they are."""

LEAST = 1.0
"""Radius of l-infinity, in levels of 255, from which training counts as adversarial here:
smaller ones are nearly none."""

ERRORS = 2.0
"""Standard errors by which values must differ."""

LEARNED = 3.0
"""Times the accuracy of chance that half of the networks must reach to be judged."""

ENOUGH = 12
"""Networks from which correlations are judged."""


def _judgeable(evidence: Evidence, *, networks: int = 1) -> None:
    """Raise `MissingError` unless these are networks that have learned from CIFAR-10."""
    if not evidence.photographs:
        raise MissingError("not CIFAR-10's images; --data cifar10:DIR")
    table = evidence.statistics.table
    if len(table.models) < networks:
        raise MissingError(f"{len(table.models)} networks, fewer than {networks}")
    middle, least = float(np.median(table.groups["ID"])), LEARNED * 100 / CLASSES
    if middle < least:
        raise MissingError(f"median accuracy {middle:.0f} %: they have not learned")


def _correlated(rule: Callable[[correlations.Evidence], Judgement], bias: str = ""):
    """A rule of the published table, asked of these networks; of a bias, if it is seen."""

    @where_possible
    def judge(evidence: Evidence) -> Judgement:
        _judgeable(evidence, networks=ENOUGH)
        if bias:
            _visible(evidence, bias)
        return rule(evidence.statistics)

    return judge


def _mean(evidence: Evidence, values: np.ndarray, names: list[str]) -> float:
    models = evidence.statistics.table.models
    return float(np.mean([values[models.index(name)] for name in names]))


def _strongest(evidence: Evidence) -> list[str]:
    """Networks trained against an attack that is not weak."""
    found = []
    for name in evidence.statistics.table.models:
        attack = ZOO[name].attack
        if attack is not None and attack[0] == "linf" and attack[1] * 255 >= LEAST:
            found.append(name)
    if not found:
        raise MissingError(f"no network of {ADVERSARIAL} in l-infinity")
    return found


def _others(evidence: Evidence) -> list[str]:
    table = evidence.statistics.table
    found = [name for name in table.models if ZOO[name].category in STANDARD]
    if not found:
        raise MissingError("neither the baseline nor another recipe")
    return found


def _error(evidence: Evidence, what: str) -> float:
    """Standard error of one network's value, of the images that it was shown."""
    results, profile = evidence.results, evidence.profile.profile
    if what == "shape":
        widths = results["shape-bias/high"] - results["shape-bias/low"]
        return float(np.nanmean(widths)) / (2 * 1.96)
    clean = profile["part"] == "clean"
    clean &= profile["condition"] == (VALIDATION if what == "ID" else CHANGED_ONES)
    share, images = (float(np.mean(profile[n][clean])) for n in ("accuracy", "images"))
    if what == "ID":
        return 100 * float(np.sqrt(share * (1 - share) / images))
    # Errors of the five cut-offs go together: they are of the same images. A share of
    # one half has the largest.
    return float(np.sqrt(0.25 / images)) / (share - 1 / CLASSES)


def _visible(evidence: Evidence, bias: str) -> None:
    """Raise `MissingError` if no network's value can be told from 0."""
    values = evidence.statistics.table.biases.get(bias)
    if values is None:
        raise MissingError(f"no {bias} of every network")
    error, largest = _error(evidence, bias), float(np.abs(values).max())
    if largest < ERRORS * error:
        raise MissingError(
            f"{bias}: at most {largest:.3f}, which is guessing (s.e. {error:.3f})"
        )


def _against_attacks(what: str, sign: int) -> Callable[[Evidence], Judgement]:
    """Adversarially trained networks have more of something, or less (sign -1)."""

    @where_possible
    def judge(evidence: Evidence) -> Judgement:
        _judgeable(evidence)
        table = evidence.statistics.table
        if what in BIASES:
            _visible(evidence, what)
        values = (table.biases | table.groups).get(what)
        if values is None:
            raise MissingError(f"no {what} of every network")
        groups = _strongest(evidence), _others(evidence)
        trained, others = (_mean(evidence, values, names) for names in groups)
        # Networks are shown the same images: their errors add up at most to this.
        several = sum(1 / len(names) for names in groups)
        error = _error(evidence, what) * float(np.sqrt(several))
        words = f"{trained:.3g} against {others:.3g} (s.e. {error:.2g})"
        return held(sign * (trained - others) > ERRORS * error, words)

    return judge


@where_possible
def stylised(evidence: Evidence) -> Judgement:
    """The shape bias of training on stylised images is above all of the baseline's."""
    _judgeable(evidence)
    results = evidence.results
    rows = [results["network"] == name for name in ("stylised", "baseline")]
    if not all(row.any() for row in rows):
        raise MissingError("networks stylised and baseline are needed")
    first, second = (
        tuple(
            float(np.mean(results[f"shape-bias{end}"][row]))
            for end in ("", "/low", "/high")
        )
        for row in rows
    )
    words = " against ".join(
        f"{value:.2f} ({low:.2f} to {high:.2f})" for value, low, high in (first, second)
    )
    return held(first[1] > second[2], words)


DIRECTION = "an analogue: other images and networks, so the direction alone"


def _entry(
    id: str, claim: str, expected: str, judge, source: str = "poster and benchmark.csv"
):
    return Entry(
        id=f"small-{id}",
        source=source,
        claim=claim,
        expected=expected,
        tolerance=DIRECTION,
        certainty="computed" if source == "poster and benchmark.csv" else "read",
        judge=judge,
    )


ENTRIES = (
    _entry(
        "stylised-shape",
        "training on stylised images makes shape bias large (0.21 to 0.81)",
        "intervals of the two networks do not touch",
        stylised,
    ),
    _entry(
        "adversarial-shape",
        "adversarial training makes shape bias larger",
        "mean of linf 1/255 and more above that of the baseline and other recipes, by two "
        "standard errors",
        _against_attacks("shape", 1),
    ),
    _entry(
        "adversarial-low",
        "adversarial training makes the low-frequency bias larger",
        "likewise",
        _against_attacks("low_frequency", 1),
    ),
    _entry(
        "adversarial-high",
        "adversarial training makes the high-frequency bias smaller",
        "mean of linf 1/255 and more below that of the baseline and other recipes, by two "
        "standard errors",
        _against_attacks("high_frequency", -1),
    ),
    _entry(
        "adversarial-accuracy",
        "adversarial training costs accuracy on clean images",
        "likewise",
        _against_attacks("ID", -1),
    ),
    _entry(
        "none",
        "no single bias explains generalisation",
        "none is significant with all four groups in one direction",
        _correlated(rules.none_explains_all),
        "abstract",
    ),
    _entry(
        "texture",
        "networks with more texture bias are the better ones in distribution",
        "shape bias and ID correlate negatively over all, AT and others",
        _correlated(rules.texture_helps_at_home),
        "poster",
    ),
    _entry(
        "high",
        "some use of high frequencies goes with generalisation",
        "a positive correlation with ID, robustness and concepts",
        _correlated(rules.high_frequencies_help, "high_frequency"),
        "poster",
    ),
    _entry(
        "adversarial",
        "adversarially trained networks make several of the correlations over all",
        "three or more are significant over all networks and not without them",
        _correlated(rules.adversarial_training_drives),
        "poster",
    ),
    _entry(
        "together",
        "all biases together predict networks of a category that they have not seen",
        "R2 above 0.5 for every group, each category left out in turn",
        _correlated(rules.together_predict),
        "not in the paper; of its table",
    ),
)


def judge(evidence: Evidence) -> list[dict[str, str]]:
    """Judge every entry."""
    return judge_all(ENTRIES, evidence)
