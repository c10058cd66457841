"""Trainings of a run, one after the other: each is a case, and is done once.

What was read of a case is kept in the run directory as soon as it is there; a run that was
killed takes up the case that it was in from that case's last checkpoint.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from jaxbias import tables
from jaxbias.files import UsageError
from jaxbias.runs import RunDirectory
from jaxbias.studies.synthetic_shape_bias.many_trainings import Case, Label, plain
from jaxbias.studies.synthetic_shape_bias.train import following, images, readouts
from jaxbias.studies.synthetic_shape_bias.train.config import Config as Training
from jaxbias.sweeps import Columns
from jaxbias.terminal import Reporter
from jaxbias.training.checkpoints import kept_or_made

SAMPLE = 256
"""Images of a set that its diversity is measured on."""


@dataclass(frozen=True)
class Reading:
    """What came of all cases.

    Attributes:
        rows: One for each case, seed and look: the case's labels, `set`, `seed`, `step`,
            and readings; see `Readouts`. Steps are 0 and a case's last.
        samples: Some images of each set, by its name in `set`.
        reference: The labelled images that features are asked about.
    """

    rows: Columns
    samples: Mapping[str, np.ndarray]
    reference: np.ndarray


def set_name(config: Training) -> str:
    """What is trained on, in words; the same for all trainings on the same images."""
    own = "" if config.programs is None else f", {config.programs:,} programs"
    return f"{config.data}{own}, {config.images:,} images"


def read(
    cases: Sequence[Case], directory: RunDirectory, reporter: Reporter
) -> Reading | None:
    """Train every case, or take what was read of it from an earlier run.

    Cases on the same images follow each other best: these are made once.

    Returns:
        None in a process that does not see what the writer has kept.

    Raises:
        UsageError: If images do not suit a case.
    """
    first = cases[0].config
    with reporter.status("drawing the stimuli"):
        shown, given = readouts.shown(first), images.transfer(first)
    opened, known = _Opened(reporter), {}
    parts: list[tuple[Columns, Mapping[str, Label]]] = []
    samples: dict[str, np.ndarray] = {}
    for number, case in enumerate(cases, start=1):

        def made(number: int = number, case: Case = case) -> Columns:
            reporter.say(f"{number} of {len(cases)}: {case.name}")
            found = opened(case.config)
            look = readouts.Readouts(
                *(shown, given, found.training.sample(SAMPLE), case.config),
                known=known,
            )
            fitted = following.followed(
                *(case.config, found, look, directory, reporter), case=case.name
            )
            return tables.columns_of(readouts.rows_of(fitted.looks))

        columns = kept_or_made(case.name, directory, made)
        name = set_name(case.config)
        if name not in samples:
            sample = kept_or_made(
                *(plain(f"images-{name}"), directory),
                partial(_sample, opened, case.config),
            )
            if sample is not None:
                samples[name] = sample["images"]
        if columns is not None:
            parts.append((columns, dict(case.labels) | {"set": name}))
    if not parts:
        return None
    whole = tables.stacked(parts)
    # Labels are the first columns.
    names = dict.fromkeys([*parts[0][1], *whole])
    return Reading({one: whole[one] for one in names}, samples, given.images)


def _sample(
    opened: Callable[[Training], images.Sets], config: Training
) -> dict[str, np.ndarray]:
    return {"images": opened(config).training.sample(SAMPLE)}


class _Opened:
    """The images of a training; the last ones are kept, for those that follow."""

    def __init__(self, reporter: Reporter) -> None:
        self._reporter = reporter
        self._kept: tuple[str, images.Sets] | None = None

    def __call__(self, config: Training) -> images.Sets:
        name = set_name(config)
        if self._kept is None or self._kept[0] != name:
            with self._reporter.status(f"making images: {name}"):
                self._kept = name, images.opened(config)
        return self._kept[1]


def ends(rows: Columns) -> tuple[Columns, Columns]:
    """Rows before the first step and after the last, in the same order."""
    first = rows["step"] == 0
    return chosen(rows, first), chosen(rows, ~first)


def chosen(rows: Columns, own: np.ndarray) -> Columns:
    """Some rows of a table."""
    return {name: values[own] for name, values in rows.items()}


def kind_of(rows: Columns) -> np.ndarray:
    """The kind of each network: a number for its model and supervision."""
    words = np.char.add(np.char.add(rows["model"], "/"), rows["supervision"])
    return np.unique(words, return_inverse=True)[1]


def within(values: np.ndarray, kind: np.ndarray) -> np.ndarray:
    """Values less the mean of their kind."""
    means = np.bincount(kind, values) / np.bincount(kind)
    return values - means[kind]


WORDS = readouts.WORDS | {"official_apart": "official, above chance"}
"""Kinds of stimuli: the official ones also without siblings and above chance."""

BIAS = "_bias"
"""What the names of shape biases end with."""


def kinds(rows: Columns) -> tuple[str, ...]:
    """The kinds of stimuli whose shape bias was read."""
    return tuple(kind for kind in WORDS if f"{kind}{BIAS}" in rows)


def biases(rows: Columns) -> dict[str, np.ndarray]:
    """Shape biases by kind of stimuli, where no network is without one."""
    found = {kind: rows[f"{kind}{BIAS}"] for kind in kinds(rows)}
    return {kind: values for kind, values in found.items() if np.isfinite(values).all()}


def check_all(cases: Sequence[Case]) -> None:
    """Raise `UsageError`, in one line, if a case could not be trained."""
    from jaxbias.studies.synthetic_shape_bias.train.experiment import check

    for case in cases:
        check(case.config)
    if len({case.name for case in cases}) < len(cases):
        raise UsageError("two trainings of one name")


SHOWN = {
    "shape bias": "solid_bias",
    "on a texture": "textured_bias",
    "official": "official_bias",
    "above chance": "official_apart_bias",
    "transfer": "transfer",
}


def show(rows: Columns, labels: Sequence[str], reporter: Reporter) -> None:
    """Print a line for each case, means over seeds: untrained to trained."""
    first, last = ends(rows)
    names = {words: name for words, name in SHOWN.items() if name in rows}
    keys = list(zip(*(last[label].tolist() for label in labels), strict=True))
    lines = []
    for key in dict.fromkeys(keys):
        own = np.asarray([one == key for one in keys])
        cells = (
            f"{np.mean(first[name][own]):.2f} to {np.mean(last[name][own]):.2f}"
            for name in names.values()
        )
        lines.append([*(str(word) for word in key), *cells])
    reporter.table([*labels, *names], lines)
