"""From counts to tables: a profile in the columns of the published one, and its parts."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import jax.numpy as jnp
import numpy as np

from jaxbias import tables
from jaxbias.data.cue_conflict import cues_of
from jaxbias.data.imagenet_c import CORRUPTIONS
from jaxbias.data.imagenet_c_bar import CORRUPTIONS as BAR_CORRUPTIONS
from jaxbias.data.trials import Trials
from jaxbias.numerics.statistics import wilson
from jaxbias.probes import critical_band
from jaxbias.probes.shape_bias import Classes
from jaxbias.studies.imagenet_biases.correlations.table import column_of
from jaxbias.studies.imagenet_biases.probe.config import RADIUS, STEP, Config, measured
from jaxbias.studies.imagenet_biases.probe.counting import Counts, Material
from jaxbias.studies.imagenet_biases.probe.images import VALIDATION, ImageSet
from jaxbias.studies.imagenet_biases.trials import evidence
from jaxbias.studies.imagenet_biases.trials.config import Config as TrialsConfig
from jaxbias.sweeps import Columns

REAL, CONFLICT, CHANGED_ONES = "imagenet-real", "cue-conflict", "imagenet, as changed"
"""Conditions: ReaL labels; cue conflict; the images that the other parts change."""

BANDPASS = {"low": "LFC", "high": "HFC"}
MEANS = {"corruptions": "imagenet-c", "c-bar": "imagenet-cbar"}


@dataclass(frozen=True)
class Profile:
    """A run's tables.

    Attributes:
        results: A row for each network, in the published table's columns.
        profile: A row for each network, part and condition.
        channels: A row for each network and kind of threshold; empty without that part.
        shape: Shape bias, as of trials; None where none could be measured.
        trials: Answers to cue-conflict images, a `Trials` for each network.
        complete: Whether every image was used.
    """

    results: Columns
    profile: Columns
    channels: Columns = field(default_factory=dict)
    shape: evidence.Evidence | None = None
    trials: tuple[Trials, ...] = ()
    complete: bool = False

    def accuracies(self, network: str, part: str) -> dict[str, float]:
        """Accuracy under each condition of a part; empty where it was not measured."""
        columns = self.profile
        own = (columns["model"] == network) & (columns["part"] == part)
        names = columns["condition"][own].tolist()
        return dict(zip(names, columns["accuracy"][own].tolist(), strict=True))


def profiled(
    material: Material,
    config: Config,
    counts: Counts,
    conditions: dict[str, tuple[str, ...]],
) -> Profile:
    """Shares, intervals, biases and columns of every network.

    Args:
        material: Whom and what.
        config: Of the run.
        counts: What came of it.
        conditions: Of each part, in the order of its counts.
    """
    names = material.networks.names
    rows = [
        row
        for place, name in enumerate(names)
        for row in _rows(place, name, material, config, counts, conditions)
    ]
    found = Profile({}, tables.columns_of(rows))
    channels = [row for name in names for row in _channels(name, found, config)]
    observers = _observers(material, counts)
    decided = [_possible(one, material.classes) for one in observers]
    shape = None
    if decided and len(decided[0].cues):
        asked = TrialsConfig(resamples=config.resamples, seed=config.seed)
        shape = evidence.gathered(decided, asked)
    columns = [_columns(name, found, channels, shape, config) for name in names]
    there = [len(one) for one in material.sets if one.name == VALIDATION]
    return Profile(
        tables.columns_of(columns),
        found.profile,
        tables.columns_of(channels) if channels else {},
        shape=shape,
        trials=tuple(observers),
        complete=not config.clean_images and material.count in (0, *there),
    )


# Rows


def _row(
    name: str, part: str, condition: str, right: int, images: int, unread: int
) -> dict[str, Any]:
    """A row; there is no accuracy where an answer could not be read, or of no images."""
    known = images > 0 and not unread
    share = right / images if known else float("nan")
    low, high = wilson(float(right), images) if known else (float("nan"),) * 2
    return {
        "model": name,
        "part": part,
        "condition": condition,
        "right": right,
        "images": images,
        "unread": unread,
        "accuracy": share,
        "low": low,
        "high": high,
    }


def _rows(
    place: int,
    name: str,
    material: Material,
    config: Config,
    counts: Counts,
    conditions: dict[str, tuple[str, ...]],
) -> Iterator[dict[str, Any]]:
    for images in material.sets:
        if images.name not in counts.answers:
            continue
        answers = counts.answers[images.name][:, place]
        right = answers == images.labels[: len(answers)]
        if images.name != VALIDATION:
            yield _counted(name, images.part, images.name, right, answers)
            continue
        shown = config.clean_images or len(images)
        if "clean" in measured(config):
            kept = slice(shown)
            yield _counted(name, "clean", VALIDATION, right[kept], answers[kept])
        if material.count:
            kept = slice(material.count)
            yield _counted(name, "clean", CHANGED_ONES, right[kept], answers[kept])
        if material.real is not None:
            labels = material.real[:shown]
            labelled = np.asarray([bool(own) for own in labels], bool)
            pairs = zip(answers.tolist(), labels, strict=False)
            real = np.asarray([answer in own for answer, own in pairs], bool)
            chosen = real[labelled], answers[:shown][labelled]
            yield _counted(name, "ood", REAL, *chosen)
    for part, names in conditions.items():
        for condition, (right, unread) in zip(
            names, counts.outcomes[part][place].tolist(), strict=True
        ):
            yield _row(name, part, condition, right, material.count, unread)


def _counted(
    name: str, part: str, condition: str, right: np.ndarray, answers: np.ndarray
) -> dict[str, Any]:
    unread = int((answers < 0).sum())
    return _row(name, part, condition, int(right.sum()), len(right), unread)


def _channels(name: str, found: Profile, config: Config) -> Iterator[dict[str, Any]]:
    """Thresholds and channel, on accuracy relative to that without noise and absolute."""
    accuracies = list(found.accuracies(name, "critical-band").values())
    if not accuracies:
        return
    absolute = critical_band.accuracy_matrix(jnp.asarray(accuracies, jnp.float32))
    lowest = float(critical_band.labels(config.size)[0])
    for relative in (True, False):
        matrix = absolute - config.chance if relative else absolute
        for smooth in (False, True):
            steps = critical_band.thresholds(matrix, relative=relative, smooth=smooth)
            written = [f"{step:.3f}" if smooth else f"{step:.0f}" for step in steps]
            gaussian = critical_band.fitted(np.asarray(steps))
            channel = critical_band.channel_of(gaussian, lowest=lowest)
            yield {
                "model": name,
                "relative": relative,
                "smooth": smooth,
                "thresholds": (" " if smooth else "").join(written),
                **channel._asdict(),
                **gaussian._asdict(),
            }


def _observers(material: Material, counts: Counts) -> list[Trials]:
    """Answers to cue-conflict images, in the order of their files."""
    found: list[ImageSet] = [one for one in material.sets if one.name == CONFLICT]
    if not found:
        return []
    order = np.argsort(found[0].numbers)
    files = [found[0].files(number) for number in found[0].numbers[order].tolist()]
    cues = tuple(cues_of(file, conflict=True) for file in files)
    answers = counts.answers[CONFLICT][order]
    return [
        Trials(name, name, cues, answers[:, place], CONFLICT, tuple(files))
        for place, name in enumerate(material.networks.names)
    ]


def _possible(one: Trials, classes: Classes) -> Trials:
    """Trials whose cues the networks have classes for: the others are no choice."""
    kept = [
        place
        for place, cue in enumerate(one.cues)
        if classes[cue.shape] and classes[cue.texture]
    ]
    cues = tuple(one.cues[place] for place in kept)
    return Trials(one.name, one.subject, cues, one.answers[kept], CONFLICT)


# Columns of the published table


def _columns(
    name: str,
    found: Profile,
    channels: Sequence[dict[str, Any]],
    shape: evidence.Evidence | None,
    config: Config,
) -> dict[str, Any]:
    """A network's row; accuracies in percent, ratios and shape bias as shares."""
    row: dict[str, Any] = {"model": name}
    clean = found.accuracies(name, "clean")
    shown = {key: clean[key] for key in (VALIDATION,) if key in clean}
    for part in ("ood", "corruptions", "c-bar", "cues", "shape"):
        own = found.accuracies(name, part)
        shown |= own
        if part in MEANS and own:
            # Paper: the plain mean of all, without division by AlexNet's.
            shown[MEANS[part]] = float(np.mean(list(own.values())))
    row |= {column_of(key): 100 * share for key, share in shown.items()}
    if shape is not None:
        own = shape.results["observer"] == name
        row["shape-bias"] = float(shape.results["shape_bias"][own][0])
    for share in found.accuracies(name, "adversarial").values():
        row[column_of(attack_name(config))] = 100 * share
    for condition, share in found.accuracies(name, "spectral").items():
        kind, cut = condition.split()
        reference = clean[CHANGED_ONES] - config.chance
        ratio = (share - config.chance) / reference if reference > 0 else float("nan")
        row[f"metric/bandpass/{BANDPASS[kind]}/{cut}"] = ratio
    for channel in channels:
        if channel["model"] == name and not channel["smooth"]:
            end = "_norm" if channel["relative"] else ""
            for short, field_ in _SHORT.items():
                row[f"metric/criticalband/{short}{end}"] = channel[field_]
    return row


_SHORT = {"bw": "bandwidth", "cf": "centre", "pns": "peak_noise_sensitivity"}


def attack_name(config: Config) -> str:
    """What the published table calls an attack; others are named by their radius."""
    published = (config.pgd_radius, config.pgd_step) == (RADIUS, STEP)
    size = "low" if published else f"{255 * config.pgd_radius:g}"
    return f"PGD-{config.pgd_steps}/{size}"


def severities(found: Profile, network: str, part: str) -> tuple[list[str], np.ndarray]:
    """Corruptions of a part and their accuracies, (corruption, severity)."""
    names = list(CORRUPTIONS if part == "corruptions" else BAR_CORRUPTIONS)
    shares = np.asarray(list(found.accuracies(network, part).values()))
    return names, shares.reshape(len(names), -1)
