"""What others report of the recipes, on CIFAR-10."""

import numpy as np

from jaxbias.ledger import Entry, Judgement, held, judge_all, not_judged
from jaxbias.studies.train.config import PRESETS, Config, recipe_of
from jaxbias.training.fit import Fitted

README = "KellerJordan/cifar10-airbench, README"

TRAINING_IMAGES, TEST_IMAGES = 50_000, 10_000
"""Of CIFAR-10."""


def _on_cifar(config: Config, fitted: Fitted) -> bool:
    whole = fitted.epoch_steps == TRAINING_IMAGES // config.batch
    return whole and len(fitted.scores[0].labels) == TEST_IMAGES


def _unchanged(config: Config) -> bool:
    return recipe_of(config) == recipe_of(PRESETS[config.recipe]["paper"])


CHANGED = not_judged("the recipe was changed or cut short")


def _measured(fitted: Fitted) -> tuple[float, float, str]:
    """Mean accuracy of the seeds, its standard error, and both in words."""
    accuracy = np.asarray([scores.accuracy for scores in fitted.scores])
    mean, count = float(accuracy.mean()), len(accuracy)
    error = float(accuracy.std(ddof=1)) / count**0.5 if count > 1 else 0.0
    spread = f" ± {error:.2%} (s.e.)" if count > 1 else ""
    return mean, error, f"{mean:.2%}{spread}, {count} seeds, last step"


def _reaches(least: float):
    def judge(evidence: tuple[Config, Fitted]) -> Judgement:
        config, fitted = evidence
        if not _unchanged(config):
            return CHANGED
        mean, _, here = _measured(fitted)
        return held(mean >= least, here)

    return judge


def _equals(expected: float, within: float):
    """The mean is the expected one, up to `within` or two standard errors."""

    def judge(evidence: tuple[Config, Fitted]) -> Judgement:
        config, fitted = evidence
        if not _unchanged(config):
            return CHANGED
        mean, error, here = _measured(fitted)
        return held(abs(mean - expected) <= max(within, 2 * error), here)

    return judge


def _of_another_machine(evidence: tuple[Config, Fitted]) -> Judgement:
    """Seconds are those of one machine."""
    if not _unchanged(evidence[0]):
        return CHANGED
    return not_judged("seconds of an A100 with PyTorch; this run was not timed on one")


ENTRIES: dict[str, tuple[Entry, ...]] = {
    "plain": (
        Entry(
            id="resnet18-cifar10",
            source=README,
            claim="a ResNet-18 trained at length reaches 96.0 % on CIFAR-10",
            expected="at least 95 %",
            tolerance="another recipe than theirs; one point is allowed for it",
            certainty="read",
            judge=_reaches(0.95),
        ),
    ),
    "fast": (
        Entry(
            id="airbench94-accuracy",
            source=f"{README} and legacy/airbench94.py",
            claim="airbench94 reaches 94.01 % on CIFAR-10, the mean of 1,000 trainings",
            expected="94.01 %",
            tolerance="0.3 points, or two standard errors of the mean where that is more",
            certainty="read",
            judge=_equals(0.9401, 0.003),
        ),
        Entry(
            id="airbench94-seconds",
            source=README,
            claim="airbench94 takes 3.83 s on an A100, 3.09 s compiled",
            expected="3.83 s, 3.09 s",
            tolerance="of another machine and library; kept for comparison alone",
            certainty="read",
            judge=_of_another_machine,
        ),
    ),
}
"""By recipe."""


def judge(config: Config, fitted: Fitted) -> list[dict[str, str]]:
    """Judge what is known of the recipe; nothing where the images are not CIFAR-10."""
    known = "cifar10" in config.data and _on_cifar(config, fitted)
    entries = ENTRIES.get(config.recipe, ()) if known else ()
    return judge_all(entries, (config, fitted))
