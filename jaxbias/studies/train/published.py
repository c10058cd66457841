"""What others report of the recipes, on CIFAR-10."""

import numpy as np

from jaxbias.ledger import Entry, Judgement, held, judge_all, not_judged
from jaxbias.studies.train.config import PRESETS, Config, recipe_of
from jaxbias.training.fit import Fitted

TRAINING_IMAGES, TEST_IMAGES = 50_000, 10_000
"""Of CIFAR-10."""


def _on_cifar(config: Config, fitted: Fitted) -> bool:
    whole = fitted.epoch_steps == TRAINING_IMAGES // config.batch
    return whole and len(fitted.scores[0].labels) == TEST_IMAGES


def _reaches(least: float):
    def judge(evidence: tuple[Config, Fitted]) -> Judgement:
        config, fitted = evidence
        if recipe_of(config) != recipe_of(PRESETS[config.recipe]["paper"]):
            return not_judged("the recipe was changed or cut short")
        accuracy = np.asarray([scores.accuracy for scores in fitted.scores])
        here = f"{accuracy.mean():.2%}, {len(accuracy)} seeds, last step"
        return held(float(accuracy.mean()) >= least, here)

    return judge


ENTRIES: dict[str, Entry] = {
    "plain": Entry(
        id="resnet18-cifar10",
        source="KellerJordan/cifar10-airbench, README",
        claim="a ResNet-18 trained at length reaches 96.0 % on CIFAR-10",
        expected="at least 95 %",
        tolerance="another recipe than theirs; one point is allowed for it",
        certainty="read",
        judge=_reaches(0.95),
    ),
}
"""By recipe."""


def judge(config: Config, fitted: Fitted) -> list[dict[str, str]]:
    """Judge what is known of the recipe; nothing where the images are not CIFAR-10."""
    known = "cifar10" in config.data and _on_cifar(config, fitted)
    entries = [ENTRIES[config.recipe]] if known and config.recipe in ENTRIES else []
    return judge_all(entries, (config, fitted))
