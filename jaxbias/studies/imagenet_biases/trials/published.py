"""Published shape biases of people and networks, and the rules that judge a run by them.

The numbers of answers were counted in the stored trials of model-vs-human and of
texture-vs-shape, independently of this code; where a paper or its repository prints the
shape bias, it agrees.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from jaxbias.ledger import (
    Entry,
    Judgement,
    MissingError,
    held,
    judge_all,
    where_possible,
)
from jaxbias.studies.imagenet_biases.trials.evidence import POOLED, Evidence

TRIALS = 1200
PEOPLE = 10
PRINTED = 0.00005 + 1e-9
"""How far a number of four decimals may be from what it was rounded from."""

MVH = "cue-conflict"
TVS = "style-transfer-512-nomask-experiment"
ASKED = "style-transfer-512-nomask-{}-guessing-experiment"
"""Experiments, as the files are called."""


@dataclass(frozen=True)
class Network:
    """A network in texture-vs-shape's files.

    Attributes:
        name: In words.
        subject: As the files' column subj.
        bias: Its shape bias.
        hits: Answers by shape and by texture, where they are known.
        on_imagenet: Whether it was trained on plain ImageNet.
        file: How the file's name ends, where two networks have the same subject.
    """

    name: str
    subject: str
    bias: float
    hits: tuple[int, int] | None = None
    on_imagenet: bool = True
    file: str = ""


def _stylised(name: str, subject: str, bias: float) -> Network:
    hits = (586, 141) if subject.startswith("resnet50") else None
    return Network(f"{name} on Stylized-ImageNet", subject, bias, hits, False)


NETWORKS = (
    Network("ResNet-50", "resnet50", 0.2207, (162, 572)),
    Network("VGG-16 (Caffe)", "vgg", 0.1722, (130, 625)),
    Network("GoogLeNet (Caffe)", "googlenet", 0.3119, (228, 503)),
    Network("AlexNet (Caffe)", "alexnet", 0.4294, (283, 376), file="session_1"),
    Network("AlexNet (torchvision)", "alexnet", 0.2531, (182, 537), file="session-1"),
    Network("VGG-16 (torchvision)", "vgg16", 0.0921, (84, 828)),
    Network("DenseNet-121", "densenet121", 0.2145, (163, 597)),
    Network("ResNet-101", "resnet101", 0.2612, (180, 509)),
    Network("ResNet-152", "resnet152", 0.2562, (196, 569)),
    Network("SqueezeNet-1.1", "squeezenet1-1", 0.1822, (133, 597)),
    Network("ResNet-101 on OpenImages", "oidv2-resnet101", 0.1960, (98, 402), False),
    _stylised("ResNet-50", "resnet50-train-60-epochs", 0.8061),
    _stylised("AlexNet", "alexnet-train-60-epochs-lr0.001", 0.7519),
    _stylised("VGG-16", "vgg16-train-60-epochs-lr0.01", 0.7717),
    _stylised("DenseNet-121", "densenet121-train-60-epochs", 0.8262),
    _stylised("SqueezeNet-1.1", "squeezenet1-1-train-60-epochs-lr0.001", 0.7902),
)


def _row_of(evidence: Evidence, network: Network, experiments: tuple[str, ...]) -> int:
    """The row of a network in the results.

    Raises:
        MissingError: If it is not among the observers, or not on the published trials.
    """
    columns = evidence.results
    rows = [
        row
        for row, subject in enumerate(columns["subject"].tolist())
        if subject.lower().replace("_", "-") == network.subject
        and columns["kind"][row] == "network"
        and columns["experiment"][row] in experiments
        and columns["files"][row].endswith(network.file)
    ]
    if len(rows) != 1:
        raise MissingError("several are" if rows else "not in the folder")
    return _whole(evidence, rows[0], 1)


def _whole(evidence: Evidence, row: int, people: int) -> int:
    """A row with the published number of trials."""
    there = int(evidence.results["conflict_trials"][row])
    if there != people * TRIALS:
        raise MissingError(f"{there:,} trials, published are {people * TRIALS:,}")
    return row


def _compared(evidence: Evidence, row: int, bias: float, within: float) -> Judgement:
    columns = evidence.results
    here = float(columns["shape_bias"][row])
    s, t = (int(columns[name][row]) for name in ("shape_hits", "texture_hits"))
    words = f"{here:.4f} ({s:,} by shape, {t:,} by texture)"
    return held(abs(here - bias) <= within, words)


Rule = Callable[[Evidence], Judgement]


def _counted(evidence: Evidence, row: int, network: Network) -> bool:
    """Whether a row has the published counts and shape bias."""
    columns = evidence.results
    hits = (int(columns["shape_hits"][row]), int(columns["texture_hits"][row]))
    near = abs(float(columns["shape_bias"][row]) - network.bias) <= PRINTED
    return near and network.hits in (None, hits)


def _there(evidence: Evidence, *networks: Network) -> list[tuple[Network, int]]:
    """Networks that are in the folder, and their rows.

    Raises:
        MissingError: If none is.
    """
    found, reasons = [], set()
    for network in networks:
        try:
            found.append((network, _row_of(evidence, network, (TVS, ""))))
        except MissingError as missing:
            reasons.add(str(missing))
    if not found:
        raise MissingError("; ".join(sorted(reasons)))
    return found


def networks_have(*networks: Network) -> Rule:
    """The stored answers of networks, counted again: all that are there."""

    @where_possible
    def rule(evidence: Evidence) -> Judgement:
        found = _there(evidence, *networks)
        right = [_counted(evidence, row, network) for network, row in found]
        values = ", ".join(
            f"{network.name} {evidence.results['shape_bias'][row]:.4f}"
            + ("" if same else f" (published {network.bias:.4f})")
            for (network, row), same in zip(found, right, strict=True)
        )
        return held(
            all(right), f"{sum(right)} of {len(found)} that are there: {values}"
        )

    return rule


@where_possible
def mean_aggregation(evidence: Evidence) -> Judgement:
    """ResNet-50 with the mean of probabilities, in model-vs-human's own file."""
    row = _row_of(evidence, NETWORKS[0], (MVH,))
    return _compared(evidence, row, 0.2139, 0.005)


def _people(evidence: Evidence, *experiments: str) -> tuple[int, np.ndarray]:
    """The row that pools an experiment's people, and the people's rows.

    Raises:
        MissingError: If they are not the published ten.
    """
    columns = evidence.results
    for experiment in experiments:
        own = columns["experiment"] == experiment
        rows = np.flatnonzero(own & (columns["kind"] == "person"))
        pool = np.flatnonzero(own & (columns["kind"] == POOLED))
        if len(rows) == PEOPLE:
            return _whole(evidence, int(pool[0]), PEOPLE), rows
    words = " or ".join(filter(None, experiments))
    raise MissingError(f"the folder has not ten people of {words}")


def pooled(bias: float, *experiments: str, within: float = PRINTED) -> Rule:
    """The people of an experiment, all their answers together."""

    @where_possible
    def rule(evidence: Evidence) -> Judgement:
        return _compared(evidence, _people(evidence, *experiments)[0], bias, within)

    return rule


UNTOLD = (MVH, TVS, "")


@where_possible
def mean_of_people(evidence: Evidence) -> Judgement:
    """The mean, spread and range of single people's shape biases."""
    found = evidence.results["shape_bias"][_people(evidence, *UNTOLD)[1]]
    values = (found.mean(), found.std(ddof=1), found.min(), found.max())
    right = abs(values[0] - 0.9576) <= PRINTED and all(
        abs(here - printed) <= 10 * PRINTED
        for here, printed in zip(values[1:], (0.019, 0.919, 0.987), strict=True)
    )
    return held(
        bool(right),
        "mean {:.4f}, SD {:.3f}, range {:.3f} to {:.3f}".format(*values),
    )


@where_possible
def texture_first(evidence: Evidence) -> Judgement:
    """Every ImageNet-trained network that is there goes by texture more often."""
    found = _there(evidence, *(one for one in NETWORKS if one.on_imagenet))
    values = {one.name: evidence.results["shape_bias"][row] for one, row in found}
    words = ", ".join(f"{name} {value:.2f}" for name, value in values.items())
    return held(all(value < 0.5 for value in values.values()), words)


STORED = "trials of model-vs-human and texture-vs-shape"
EXACT = "stored answers, counted: equal in every digit that is printed"


def _entry(id: str, claim: str, expected: str, judge: Rule, **words: str) -> Entry:
    return Entry(
        id=id,
        source=words.get("source", STORED),
        claim=claim,
        expected=expected,
        tolerance=words.get("tolerance", EXACT),
        certainty="read" if words.get("certainty") == "read" else "computed",
        judge=judge,
    )


ENTRIES = (
    _entry(
        "trials-people",
        "shape bias of ten people, all answers together",
        "s = 9,236, t = 398: 0.9587",
        pooled(0.9587, *UNTOLD),
    ),
    _entry(
        "trials-people-mean",
        "shape biases of ten people",
        "mean 0.9576, SD 0.019, range 0.919 to 0.987",
        mean_of_people,
    ),
    _entry(
        "trials-people-asked-shape",
        "shape bias of ten people who were asked for the shape",
        "0.9706",
        pooled(0.9706, ASKED.format("content")),
    ),
    _entry(
        "trials-people-asked-texture",
        "shape bias of ten people who were asked for the texture",
        "0.696",
        pooled(0.696, ASKED.format("texture"), within=10 * PRINTED),
    ),
    _entry(
        "trials-texture-bias",
        "networks trained on ImageNet go by texture, where people go by shape",
        "below 0.5 for each of the published networks that is there",
        texture_first,
        source="Geirhos et al. 2019, abstract and Figure 4",
        tolerance="the sign alone",
        certainty="read",
    ),
    _entry(
        "trials-networks",
        "shape biases of eleven networks, from stored answers: AlexNet to ResNet-152",
        "the published counts and values of each that is there",
        networks_have(*(one for one in NETWORKS if "Stylized" not in one.name)),
    ),
    _entry(
        "trials-stylised",
        "shape biases of five networks trained on Stylized-ImageNet",
        "the published counts and values of each that is there: 0.75 to 0.83",
        networks_have(*(one for one in NETWORKS if "Stylized" in one.name)),
    ),
    _entry(
        "trials-resnet50-mean",
        "shape bias of ResNet-50 with the mean of probabilities in each category",
        "0.2139",
        mean_aggregation,
        source="texture-vs-shape, README",
        tolerance="0.005: a few trials flip with versions of libraries",
        certainty="read",
    ),
)


def judge(evidence: Evidence) -> list[dict[str, str]]:
    """Judge every entry."""
    return judge_all(ENTRIES, evidence)
