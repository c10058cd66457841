"""What the two papers report, as data, with the rule that holds a run against each."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from jaxbias.ledger import Entry, Judgement, held, judge_all, not_judged
from jaxbias.studies.dataset_classification import crossing, rules
from jaxbias.studies.dataset_classification.cases import Outcome
from jaxbias.studies.dataset_classification.config import Common
from jaxbias.studies.dataset_classification.rules import Judge

DECADE = "Decade's Battle"
"""Liu and He, ICLR 2025; read in arXiv 2403.08632v1."""

UNDERSTANDING = "Understanding Bias"
"""Zeng, Yin and Liu, NeurIPS 2024."""

OTHER_IMAGES = (
    "the figure is of other data sets, 1M images each; here the direction alone, by 95 % "
    "intervals of the validation images"
)

FAR = f"lower end of the interval above {rules.CLEAR} times chance"


def _entry(id: str, source: str, claim: str, expected: str, judge: Judge, **more: str):
    return Entry(
        id=id,
        source=source,
        claim=claim,
        expected=expected,
        tolerance=more.get("tolerance", OTHER_IMAGES),
        certainty=more.get("certainty", "read"),  # type: ignore[arg-type]
        judge=judge,
    )


COMBINATIONS: Mapping[str, float] = {
    **{"YCD": 84.7, "YCW": 83.9, "YCL": 85.0, "YCI": 92.7, "YDW": 85.8},
    **{"YDL": 72.1, "YDI": 90.2, "YWL": 86.6, "YWI": 86.7, "YLI": 91.9},
    **{"CDW": 83.6, "CDL": 62.8, "CDI": 82.8, "CWL": 84.3, "CWI": 91.3},
    **{"CLI": 84.1, "DWL": 71.5, "DWI": 88.9, "DLI": 68.2, "WLI": 90.7},
    **{"YCDW": 79.1, "YCDWL": 67.4, "YCDWLI": 69.2},
}
"""Accuracies in per cent, by the paper's letters (Decade's Battle, Table 2)."""

ARCHITECTURES: Mapping[str, float] = {
    **{"alexnet": 77.8, "vgg16": 83.5, "resnet50": 83.8, "vit_small": 82.4},
    **{"convnext_tiny": 84.7},
}
"""Decade's Battle, Table 3."""

SIZES: Mapping[str, float] = {
    **{"convnext_toy": 72.4, "convnext_femto": 79.9, "convnext_nano": 81.2},
    **{"convnext_tiny": 81.7},
}
"""Decade's Battle, section 3.2 (the first), and Understanding Bias, Table 4, which trains
for 23 % as long."""

CORRUPTIONS: Mapping[str, float] = {
    **{"none": 84.7, "jitter-1.0": 81.1, "jitter-2.0": 80.2, "noise-0.2": 77.3},
    **{"noise-0.3": 75.1, "blur-3": 80.9, "blur-5": 78.1},
    **{"low-resolution-64": 78.4, "low-resolution-32": 68.4},
}
"""Decade's Battle, Table 5; of images of 224 x 224."""

TRANSFORMS: Mapping[str, float] = {
    **{"none": 82.0, "mean-rgb": 48.5, "pixel-shuffle-random": 52.2},
    **{"pixel-shuffle-fixed": 58.5, "low-pass": 70.4, "high-pass": 79.2},
    **{"canny": 71.0, "hog": 79.9, "patch-shuffle-random-16": 80.1},
    "patch-shuffle-fixed-16": 81.2,
}
"""Understanding Bias, section 3; patches of 16 x 16 of 224 x 224."""

_NAMED = (
    _entry(
        "name-that-dataset",
        f"{DECADE}, Table 2",
        "a network tells YFCC, CC and DataComp apart: 84.7 %, where chance is 33.3 %",
        FAR,
        rules.all_above_chance(
            lambda found: [o for o in found if o.case.name == "sources"]
        ),
    ),
)

_CONTROL = (
    _entry(
        "no-difference-no-accuracy",
        f"{DECADE}, Table 6",
        "samples of one data set are not told apart: 33 % of validation images",
        "at chance, within two standard errors",
        rules.at_chance(lambda found: [o for o in found if o.case.name == "control"]),
    ),
)

_PSEUDO = (
    _entry(
        "samples-of-one-set-stay-at-chance",
        f"{DECADE}, Table 6",
        "validation accuracy of samples of one set is 33 %, however many images",
        "every case at chance, within two standard errors and what many cases need",
        rules.at_chance(),
    ),
    _entry(
        "few-images-are-learned-by-heart",
        f"{DECADE}, Table 6",
        "with few images and no augmentation training accuracy is 100 %",
        "at least 99 % of training images, at the fewest images without augmentation",
        rules.by_heart({"augmentation": "none"}, least=0.99),
    ),
    _entry(
        "many-images-are-not",
        f"{DECADE}, Table 6",
        "with many images and augmentation training fails",
        "below 90 % of training images, at the most images with augmentation",
        rules.not_by_heart({"augmentation": "all"}, most=0.9),
    ),
)

_COMBINATIONS = (
    _entry(
        "every-combination",
        f"{DECADE}, Table 2",
        "all 20 triples of six data sets are told apart: 62.8 to 92.7 %",
        FAR,
        rules.all_above_chance(),
    ),
)

_ARCHITECTURES = (
    _entry(
        "every-architecture",
        f"{DECADE}, Table 3",
        "every architecture tells them apart: AlexNet 77.8 to ConvNeXt-T 84.7 %",
        FAR,
        rules.all_above_chance(),
    ),
    _entry(
        "alexnet-lowest",
        f"{DECADE}, Table 3",
        "AlexNet is the lowest, ConvNeXt the best of five",
        "ConvNeXt above AlexNet by two standard errors",
        rules.above({"model": "alexnet"}, {"model": "convnext_tiny"}),
    ),
)

_SIZES = (
    _entry(
        "a-tiny-network-does-it",
        f"{DECADE}, section 3.2",
        "a ConvNeXt of 7,000 weights reaches 72.4 %",
        FAR,
        rules.all_above_chance(rules.chosen(model="convnext_toy")),
    ),
    _entry(
        "larger-is-better",
        f"{DECADE}, Figure 2; {UNDERSTANDING}, Table 4",
        "more weights are better: 72.4 % with 7K, 84.7 % with 27M",
        "largest above smallest by two standard errors, no step down by as much",
        rules.rises("parameters"),
    ),
)

_CORRUPTIONS = (
    _entry(
        "corruptions-do-not-destroy",
        f"{DECADE}, Table 5",
        "jitter, noise, blur and low resolution leave 68.4 to 81.1 %",
        FAR,
        rules.all_above_chance(
            lambda found: [o for o in found if o.case.view != "none"]
        ),
    ),
    _entry(
        "stronger-noise-is-worse",
        f"{DECADE}, Table 5",
        "noise of 0.3 leaves less than noise of 0.2, and that less than none",
        "in this order, ties within two standard errors allowed, first to last beyond",
        rules.in_order(("noise-0.3", "noise-0.2", "none"), "view"),
    ),
    _entry(
        "lower-resolution-is-worse",
        f"{DECADE}, Table 5",
        "a seventh of the resolution leaves less than two sevenths, and that than all",
        "in this order, ties within two standard errors allowed, first to last beyond",
        rules.in_order(("low-resolution-32", "low-resolution-64", "none"), "step"),
    ),
)

_ORDER = ("mean-rgb", "pixel-shuffle-random", "pixel-shuffle-fixed", "low-pass", "none")
_PATCHES = ("pixel-shuffle-random", "patch-shuffle-random-16", "none")

_TRANSFORMS = (
    _entry(
        "mean-colour-alone",
        f"{UNDERSTANDING}, section 3",
        "the mean colour of an image alone gives 48.5 %",
        "lower end of the interval above chance",
        rules.all_above_chance(rules.chosen(view="mean-rgb"), clear=1.0),
    ),
    _entry(
        "order-of-transforms",
        f"{UNDERSTANDING}, section 3",
        "mean colour < pixels shuffled anew < in one way < low-pass < the image: "
        "48.5, 52.2, 58.5, 70.4, 82.0 %",
        "in this order, ties within two standard errors allowed, first to last beyond",
        rules.in_order(_ORDER, "view"),
    ),
    _entry(
        "local-structure-is-enough",
        f"{UNDERSTANDING}, section 3",
        "patches shuffled anew leave 80.1 %, pixels 52.2 %, all is 82.0 %",
        "in this order, ties within two standard errors allowed, first to last beyond",
        rules.in_order(_PATCHES, "step"),
    ),
    _entry(
        "high-pass-above-low-pass",
        f"{UNDERSTANDING}, section 3",
        "high frequencies leave more (79.2 %) than low ones (70.4 %)",
        "above it by two standard errors",
        rules.above({"view": "low-pass"}, {"view": "high-pass"}),
    ),
    _entry(
        "contours-tell",
        f"{UNDERSTANDING}, section 3",
        "edges (Canny 71.0 %) and oriented gradients (HOG 79.9 %) tell",
        FAR,
        rules.all_above_chance(
            lambda found: [o for o in found if o.case.view in ("canny", "hog")]
        ),
    ),
)

_SAMPLES = (
    _entry(
        "more-images-are-better",
        f"{DECADE}, Table 4 and Figure 3",
        "validation accuracy rises with the training images: 72.4, 80.1, 84.7 %",
        "last above first by two standard errors, no step down by as much",
        rules.rises("images", rules.chosen(augmentation="all")),
    ),
    _entry(
        "more-images-without-augmentation",
        f"{DECADE}, Table 4",
        "so it does without augmentation: 43.2, 71.9, 76.8 %",
        "last above first by two standard errors, no step down by as much",
        rules.rises("images", rules.chosen(augmentation="none")),
    ),
)


def _fewest(outcomes: list[Outcome]) -> list[Outcome]:
    least = min((float(o.case.labels["images"]) for o in outcomes), default=0.0)
    return [o for o in outcomes if float(o.case.labels["images"]) == least]


_AUGMENTED = (
    _entry(
        "augmentation-helps-where-images-are-few",
        f"{DECADE}, Table 4",
        "with the fewest images augmentation helps most: 43.2 to 66.1, 70.2, 72.4 %",
        "all of it above none by two standard errors, at the fewest images",
        lambda found: rules.above({"augmentation": "none"}, {"augmentation": "all"})(
            _fewest(found)
        ),
    ),
)

SELF_SUPERVISED: Mapping[str, float] = {"autoencoder": 78.4, "supervised": 82.9}
"""Decade's Battle, Table 7: ViT-B, MAE on the three data sets."""

_SELF_SUPERVISED = (
    _entry(
        "features-without-labels-tell",
        f"{DECADE}, Table 7",
        "features of an MAE that was trained on the images alone name the data sets: "
        "78.4 %",
        "the probe above that of random weights by two standard errors",
        rules.probe_above("random-weights", "autoencoder"),
    ),
    _entry(
        "supervision-tells-more",
        f"{DECADE}, Table 7",
        "supervised training names them better: 82.9 %",
        "the probe above that of the MAE by two standard errors",
        rules.probe_above("autoencoder", "supervised"),
    ),
)

TRANSFER: Mapping[str, float] = {
    **{"random-weights": 6.7, "3-sources": 27.7, "4-sources": 34.2},
    **{"5-sources": 34.2, "6-sources": 34.8},
}
"""Decade's Battle, Table 8: ViT-B, linear probe of ImageNet-1K."""

_TRANSFER = (
    _entry(
        "features-carry-over",
        f"{DECADE}, Table 8",
        "features of a network that tells three data sets apart give 27.7 % of "
        "ImageNet-1K, random weights 6.7 %",
        "the probe of all sources above that of random weights by two standard errors",
        rules.probe_above("random-weights"),
        tolerance="another labelled set and network; the direction alone",
    ),
)


def _drops(evidence: tuple[crossing.Crossed, np.ndarray]) -> Judgement:
    crossed, matrices = evidence
    mean, count = matrices.mean(axis=0), len(crossed.validation[0])
    own = float(np.diag(mean).mean())
    apart = ~np.eye(len(mean), dtype=bool)
    others = float(mean[apart].mean())
    error = (own * (1 - own) / count + others * (1 - others) / count) ** 0.5
    text = f"own {own:.1%}, others {others:.1%}: a drop of {1 - others / own:.0%}"
    return held(own - others > rules.SIGMAS * error, text)


_CROSSING = (
    _entry(
        "others-images-are-harder",
        "Torralba and Efros, CVPR 2011",
        "what is trained on one data set loses about half on the others",
        "mean over the others below a network's own, by two standard errors",
        _drops,  # type: ignore[arg-type]
        tolerance="of other classes and classifiers; the direction alone",
        certainty="remembered",
    ),
)

_TWO = (
    _entry(
        "imagenet-and-v2",
        f"{DECADE}, Appendix B",
        "ImageNet's validation set and ImageNetV2 are told apart from 8,000 images each: "
        "81.8 %, where chance is 50 %",
        "lower end of the interval above 1.1 times chance",
        rules.all_above_chance(clear=1.1),
    ),
)

NO_DATA_SETS = not_judged("no --sources: generated images are no data sets")

ENTRIES: Mapping[str, tuple[Entry, ...]] = {
    "name-that-dataset": _NAMED + _CONTROL,
    "pseudo-datasets": _PSEUDO,
    "combinations": _COMBINATIONS,
    "architectures": _ARCHITECTURES,
    "model-size": _SIZES,
    "samples-by-augmentation": _SAMPLES + _AUGMENTED,
    "corruptions": _CORRUPTIONS,
    "transforms": _TRANSFORMS,
    "two-way-shift": _TWO,
    "transfer": _TRANSFER,
    "self-supervised": _SELF_SUPERVISED,
    "play": _NAMED,
}
"""By experiment."""


def judge_crossing(
    crossed: crossing.Crossed, matrices: np.ndarray, config: Common
) -> list[dict[str, str]]:
    """Hold accuracies between sources against what is published."""
    if not config.sources:
        return judge_all([replace(_CROSSING[0], judge=lambda _: NO_DATA_SETS)], None)
    return judge_all(_CROSSING, (crossed, matrices))


def by_letters(outcomes: list[Outcome]) -> dict[str, float]:
    """The published accuracies of combinations whose sources bear the paper's letters."""
    known = {frozenset(letters): value for letters, value in COMBINATIONS.items()}
    found = {o.case.name: known.get(frozenset(o.case.split.names)) for o in outcomes}
    return {name: value for name, value in found.items() if value is not None}


def at_size(
    published: Mapping[str, float], outcomes: list[Outcome]
) -> dict[str, float]:
    """Published accuracies by case, where a case's step names the paper's."""
    steps = {o.case.name: str(o.case.labels["step"]) for o in outcomes}
    return {n: published[step] for n, step in steps.items() if step in published}


def judge(
    experiment: str, outcomes: list[Outcome], config: Common
) -> list[dict[str, str]]:
    """Hold outcomes against what is published of an experiment.

    Nothing is judged where no data sets were given: generators are none.
    """
    entries = ENTRIES[experiment]
    if not config.sources:
        entries = tuple(replace(e, judge=lambda _: NO_DATA_SETS) for e in entries)
    return judge_all(entries, outcomes)
