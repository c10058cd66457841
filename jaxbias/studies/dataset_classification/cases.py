"""Trainings of a run, one after the other: each is a case, and is done once.

A case says which sources are told apart, from how many images, by which recipe and under
which view. Its outcome is kept in the run directory as soon as it is there; a run that was
killed takes up the case that it was in from that case's last checkpoint.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from jaxbias import tables
from jaxbias.models import mae
from jaxbias.numerics.statistics import wilson
from jaxbias.runs import RunDirectory
from jaxbias.studies.dataset_classification.config import (
    Common,
    recipe_of,
    running_of,
)
from jaxbias.studies.dataset_classification.images import Pool, Split, whole_sources
from jaxbias.studies.dataset_classification.views import check_views, scaled, shown
from jaxbias.terminal import Reporter
from jaxbias.training import build, fit, sets
from jaxbias.training.checkpoints import kept_or_made
from jaxbias.training.evaluation import Scores
from jaxbias.training.fit import Fitted
from jaxbias.training.objectives import RECONSTRUCTION
from jaxbias.training.recipes import Recipe
from jaxbias.training.steps import Task

Label = str | int | float


Baseline = Callable[["Case", sets.Prepared, sets.Prepared], Scores | None]
"""Scores hand-made features of a case's training and validation images."""


Measure = Callable[["Case", Fitted, sets.Prepared, sets.Prepared], Mapping[str, float]]
"""What else is found out of a trained case and its images: numbers that are kept."""


@dataclass(frozen=True, kw_only=True)
class Case:
    """One setting, trained with every seed.

    Attributes:
        name: Unique, and a plain file name.
        labels: What tells it from the other cases: columns of the results.
        split: Its images; see `Pool`.
        view: The name of a transform; see `data.views`.
        changes: Fields of the configuration that are others in this case.
        judge_training: Score the training images too, as they are at evaluation.
        untrained: Take the networks as they were drawn.
        autoencoder: The model is one of `models.mae`, and fills in what is masked; it has
            no accuracy.
    """

    name: str
    labels: Mapping[str, Label]
    split: Split
    view: str = "none"
    changes: Mapping[str, Any] = field(default_factory=dict)
    judge_training: bool = False
    untrained: bool = False
    autoencoder: bool = False


def of_views(
    option: str, chosen: Sequence[str], papers: Sequence[str], pool: Pool
) -> list[Case]:
    """All sources, a case for each transform; its `step` is the paper's name for it.

    Args:
        option: By which transforms are chosen, for messages.
        chosen: Transforms by name; none takes the papers', scaled to the images.
        papers: What is published, for images of 224 x 224.
        pool: The images.

    Raises:
        UsageError: If there is no such transform, or it does not suit the images.
    """
    steps = {scaled(name, pool.size): name for name in papers}
    names = tuple(chosen) or tuple(steps)
    check_views(option, names, pool.size)
    split = whole_sources(pool.sample.names, pool.per_source)
    return [
        Case(
            name=name,
            labels={"view": name, "step": steps.get(name, name)},
            split=split,
            view=name,
        )
        for name in names
    ]


@dataclass(frozen=True)
class Outcome:
    """What came out of a case.

    Attributes:
        case: The case.
        validation: Scores of each seed.
        training: The same of the training images; empty where they are not scored.
        baseline: Scores of hand-made features; None where images are streamed.
        numbers: Images, steps, parameters and what else is one number.
    """

    case: Case
    validation: tuple[Scores, ...]
    training: tuple[Scores, ...]
    baseline: Scores | None
    numbers: Mapping[str, float]

    @property
    def accuracy(self) -> float:
        """The mean over seeds, of validation images."""
        return float(np.mean([scores.accuracy for scores in self.validation]))

    @property
    def training_accuracy(self) -> float:
        """The mean over seeds, of training images; NaN where they were not scored."""
        if not self.training:
            return float("nan")
        return float(np.mean([scores.accuracy for scores in self.training]))

    @property
    def interval(self) -> tuple[float, float]:
        """Of the accuracy: Wilson's, 95 %, of one seed's validation images."""
        count = len(self.validation[0].labels)
        return wilson(self.accuracy * count, count)

    @property
    def chance(self) -> float:
        """Accuracy without a look: one over the number of sources."""
        return 1 / len(self.case.split.names)


def run(
    cases: Sequence[Case],
    pool: Pool,
    config: Common,
    directory: RunDirectory,
    reporter: Reporter,
    *,
    baseline: Baseline,
    measure: Measure | None = None,
) -> list[Outcome]:
    """Train every case, or take its outcome from an earlier run.

    Args:
        cases: What to train.
        pool: The images.
        config: Recipe, seeds and the like.
        directory: Keeps outcomes, the log and checkpoints.
        reporter: Says which case runs.
        baseline: Scores hand-made features on what a case shows; see `baselines`.
        measure: Is asked once a case is trained.

    Raises:
        SourceError: If a case asks for more images than there are.
        NonFiniteError: If a loss is not finite.
    """
    found = []
    for number, case in enumerate(cases, start=1):

        def trained(number: int = number, case: Case = case) -> dict[str, np.ndarray]:
            reporter.say(f"{number} of {len(cases)}: {_words(case)}")
            return _trained(
                *(case, pool, config, directory, reporter, baseline, measure)
            )

        columns = kept_or_made(case.name, directory, trained)
        if columns is not None:
            found.append(_outcome(case, columns))
            reporter.say(_result(found[-1]))
    return found


def _words(case: Case) -> str:
    images = f"{case.split.per_class:,} images of each of {len(case.split.names)}"
    return f"{case.name} ({images})"


def _result(outcome: Outcome) -> str:
    low, high = outcome.interval
    text = f"  {outcome.accuracy:.1%} ({low:.1%} to {high:.1%})"
    if outcome.case.autoencoder:
        # It names nothing itself.
        probe = outcome.numbers.get("probe_accuracy", float("nan"))
        text = f"  a linear probe of its features: {probe:.1%}"
    if outcome.training:
        text += f", training images {outcome.training_accuracy:.1%}"
    if outcome.baseline is not None:
        text += f"; hand-made features {outcome.baseline.accuracy:.1%}"
    return text


def _trained(
    case: Case,
    pool: Pool,
    config: Common,
    directory: RunDirectory,
    reporter: Reporter,
    baseline: Baseline,
    measure: Measure | None,
) -> dict[str, np.ndarray]:
    """Train a case; its outcome as arrays."""
    training, validation = pool.pick(case.split)
    config = replace(config, **case.changes)
    recipe = recipe_of(config, len(training))
    running = running_of(config, pool.stored, recipe)
    view = shown(case.view, pool.size, pool.stored)
    fitted = fit.fit(
        *(recipe, running, training, validation, directory, reporter),
        shown=view,
        case=case.name,
        untrained=case.untrained,
        make=_autoencoder if case.autoencoder else build.task,
    )
    scores = fitted.scores_of(training) if case.judge_training else []
    numbers = {
        "parameters": float(fitted.parameters),
        "steps": float(round(fitted.epoch_steps * recipe.epochs)),
        "batch": float(recipe.batch),
        **(measure(case, fitted, training, validation) if measure else {}),
    }
    return _columns(fitted, scores, baseline(case, training, validation), numbers)


def _autoencoder(recipe: Recipe, **options: Any) -> Task:
    """The task of a masked autoencoder."""
    return build.task(
        recipe,
        entry=mae.MODELS[recipe.model],
        objective=RECONSTRUCTION,
        **options,
    )


def _columns(
    fitted: Fitted,
    training: list[Scores],
    baseline: Scores | None,
    numbers: Mapping[str, float],
) -> dict[str, np.ndarray]:
    columns: dict[str, np.ndarray] = {}
    for name, scores in (
        ("validation", fitted.scores),
        ("training", training),
        ("baseline", [] if baseline is None else [baseline]),
    ):
        for kind in ("losses", "predicted", "labels"):
            arrays = [getattr(one, kind) for one in scores]
            columns[f"{name}_{kind}"] = np.stack(arrays) if arrays else np.zeros((0, 0))
    return columns | {f"number_{k}": np.asarray(float(v)) for k, v in numbers.items()}


def _outcome(case: Case, columns: Mapping[str, np.ndarray]) -> Outcome:
    def scores(name: str) -> tuple[Scores, ...]:
        kinds = (columns[f"{name}_{k}"] for k in ("losses", "predicted", "labels"))
        return tuple(
            Scores(losses, predicted.astype(np.int64), labels.astype(np.int64))
            for losses, predicted, labels in zip(*kinds, strict=True)
        )

    numbers = {
        name.removeprefix("number_"): float(value)
        for name, value in columns.items()
        if name.startswith("number_")
    }
    baseline = next(iter(scores("baseline")), None)
    return Outcome(case, scores("validation"), scores("training"), baseline, numbers)


def table(outcomes: Sequence[Outcome]) -> dict[str, np.ndarray]:
    """The results: a row for each case and seed.

    Columns: the labels of the cases; `case`; `seed`, from 0; `classes`; `per_class`
    (training images); `validation` (images); `accuracy` with `low` and `high` (Wilson,
    95 %); `loss` (nats); `training_accuracy`; `baseline` (accuracy of hand-made features);
    `chance`; `parameters`; `steps`; `batch`.
    """
    rows = [_row(outcome, seed) for outcome in outcomes for seed in _seeds(outcome)]
    return tables.columns_of(rows)


def _seeds(outcome: Outcome) -> range:
    return range(len(outcome.validation))


def _row(outcome: Outcome, seed: int) -> dict[str, Any]:
    scores = outcome.validation[seed]
    count = len(scores.labels)
    low, high = wilson(scores.accuracy * count, count)
    training = outcome.training[seed].accuracy if outcome.training else float("nan")
    return {
        **outcome.case.labels,
        "case": outcome.case.name,
        "seed": seed,
        "classes": "+".join(outcome.case.split.names),
        "per_class": outcome.case.split.per_class,
        "validation": count,
        "accuracy": scores.accuracy,
        "low": low,
        "high": high,
        "loss": scores.loss,
        "training_accuracy": training,
        "baseline": float("nan")
        if outcome.baseline is None
        else outcome.baseline.accuracy,
        "chance": outcome.chance,
        **outcome.numbers,
    }
