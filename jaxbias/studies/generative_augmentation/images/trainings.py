"""The trainings of the sweep: what each has, how it is run, and what is kept of it."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from itertools import product
from typing import Any

import jax.numpy as jnp
import numpy as np

from jaxbias.arrays import Array, RandomKey
from jaxbias.runs import RunDirectory
from jaxbias.studies.generative_augmentation.images.config import (
    Augmentation,
    Config,
    amounts_of,
    generators_of,
    recipe_of,
)
from jaxbias.studies.generative_augmentation.images.pools import Mixture, Real
from jaxbias.sweeps import Columns
from jaxbias.terminal import Reporter
from jaxbias.training import build, fit
from jaxbias.training.checkpoints import kept_or_made
from jaxbias.training.evaluation import Scores
from jaxbias.training.recipes import Recipe, Running
from jaxbias.training.sets import Prepared
from jaxbias.training.steps import Augment, Images, Seen, Targets, Task


@dataclass(frozen=True, kw_only=True)
class Case:
    """One training, of every seed.

    Attributes:
        augmentation: What is done to the images.
        generator: Whose images are added; empty where none are.
        amount: How many.
        weight: Of their losses.
        real_share: Of real images in the batches; 0 leaves them as they come.
        keep: Share of the generated images that was chosen from.
        alone: Without real images.
    """

    augmentation: Augmentation
    generator: str = ""
    amount: int = 0
    weight: float = 1.0
    real_share: float = 0.0
    keep: float = 1.0
    alone: bool = False

    @property
    def name(self) -> str:
        """Unique, and a plain file name."""
        parts = [self.augmentation, self.generator or "real", str(self.amount)]
        parts += [f"w{self.weight:g}", f"s{self.real_share:g}", f"k{self.keep:g}"]
        return "-".join([*parts, *(["alone"] if self.alone else [])])


def plan(config: Config) -> list[Case]:
    """All cases: those of one generator follow one another, the real images first."""
    cases = [Case(augmentation=own) for own in config.augmentations]
    amounts = amounts_of(config)
    for generator in generators_of(config):
        for augmentation in config.augmentations:
            common = Case(augmentation=augmentation, generator=generator)
            cases += [
                replace(
                    common,
                    amount=amount,
                    weight=float(weight),
                    real_share=share,
                    keep=float(keep),
                )
                for keep, weight, share, amount in product(
                    config.keeps, config.weights, config.real_shares or (0.0,), amounts
                )
            ]
            if config.alone:
                cases.append(replace(common, amount=amounts[-1], alone=True))
    return cases


def believing(config: Config) -> Augmentation:
    """The augmentation of the network whose confidence images are chosen by."""
    return "base" if "base" in config.augmentations else config.augmentations[0]


@dataclass(frozen=True)
class Outcome:
    """What is kept of a case.

    Attributes:
        case: The training.
        found: Arrays by name, the first axis over seeds: `test_losses`,
            `test_predicted`, `test_confidences` (seed, image); `validation_right`;
            `real_loss`, `real_accuracy`, `generated_loss`, `generated_accuracy`, NaN
            where there are none; and `test_labels`, `images`, `steps`, `parameters`.
    """

    case: Case
    found: Columns


class Sweep:
    """Runs the cases one after the other, each kept once it is done."""

    def __init__(
        self, config: Config, real: Real, directory: RunDirectory, reporter: Reporter
    ) -> None:
        self._config, self._real = config, real
        self._directory, self._reporter = directory, reporter
        self._opened: tuple[str, Mixture] | None = None
        self._judges = real.judged_by()
        self._losses: dict[str, np.ndarray] = {}
        self._said: set[tuple[str, str]] = set()

    def mixture(self, name: str) -> Mixture:
        """A generator's images with the real ones; one generator's at a time."""
        if self._opened is None or self._opened[0] != name:
            self._opened = None
            with self._reporter.status(f"reading the images of {name}"):
                self._opened = name, Mixture.read(name, self._real, self._config)
            for note in self._opened[1].notes:
                if (name, note) not in self._said:
                    self._said.add((name, note))
                    self._reporter.say(f"warning: {note}")
        return self._opened[1]

    def run(self) -> Iterator[Outcome]:
        """Train what is not trained yet; resumes from the newest whole checkpoint.

        Raises:
            SourceError: Before any training, if images of a generator cannot be used.
        """
        cases = plan(self._config)
        # The first one last, as it is the first to be trained on.
        for name, files in reversed(generators_of(self._config).items()):
            if files:
                self.mixture(name)
        for number, case in enumerate(cases):
            self._reporter.say(f"training {number + 1} of {len(cases)}: {case.name}")
            found = kept_or_made(
                case.name, self._directory, partial(self._trained, case)
            )
            if found is None:
                continue
            for name in generators_of(self._config):
                if f"losses_{name}" in found:
                    self._losses[name] = found[f"losses_{name}"]
            yield Outcome(case, found)

    def _trained(self, case: Case) -> Columns:
        config = self._config
        first = next(iter(generators_of(config)))
        mixture = self.mixture(case.generator or first)
        kept = mixture.kept(case.keep, self._losses.get(case.generator))
        numbers = mixture.numbers(
            case.amount, kept, share=case.real_share or None, alone=case.alone
        )
        recipe = recipe_of(config, case.augmentation)
        count, fixed = len(self._real.training), config.lengths == "steps"
        fitted = fit.fit(
            recipe,
            Running(seed=config.seed, n_seeds=config.n_seeds, log_every=10),
            mixture.part(numbers),
            self._judges["validation"],
            *(self._directory, self._reporter),
            case=case.name,
            make=partial(_task, weight=case.weight, real=int((numbers < count).sum())),
            epoch_steps=max(1, count // recipe.batch) if fixed else None,
        )
        test = fitted.scores_of(self._judges["test"])
        whole = build.total_steps(recipe, fitted.epoch_steps)
        found = {
            **_of_test(test),
            "validation_right": _each(fitted.scores, "accuracy"),
            **dict.fromkeys(PARTS, np.full(config.n_seeds, np.nan)),
            "images": np.asarray(len(numbers)),
            "steps": np.asarray(whole),
            "parameters": np.asarray(fitted.parameters),
        }
        for name, part in mixture.scored(numbers).items():
            scores = fitted.scores_of(part)
            found[f"{name}_loss"] = _each(scores, "loss")
            found[f"{name}_accuracy"] = _each(scores, "accuracy")
        if not case.generator and case.augmentation == believing(config):
            found |= self._beliefs(fitted)
        return found

    def _beliefs(self, fitted: fit.Fitted) -> Columns:
        """Losses of the first seed's network on all generated images, where asked for."""
        if min(self._config.keeps) == 1:
            return {}
        found = {}
        for name in generators_of(self._config):
            images = Prepared.of(self.mixture(name).generated)
            judge = fit.judge_of(fitted.task, images, fitted.mesh)
            found[f"losses_{name}"] = judge(fitted.states[0]).losses
        return found


PARTS = ("real_loss", "real_accuracy", "generated_loss", "generated_accuracy")


def _each(scores: list[Scores], name: str) -> np.ndarray:
    return np.asarray([getattr(one, name) for one in scores])


def _of_test(scores: list[Scores]) -> Columns:
    stacked = {
        f"test_{name}": np.stack([getattr(one, name) for one in scores])
        for name in ("losses", "predicted", "confidences")
    }
    return stacked | {"test_labels": scores[0].labels}


def _task(recipe: Recipe, *, weight: float, real: int, **options: Any) -> Task:
    """The recipe's task; where generated images count otherwise, with a weight."""
    made = build.task(recipe, **options)
    if weight == 1:
        return made
    return replace(made, augment=weighted(made.augment, weight, real))


@lru_cache(maxsize=16)
def weighted(augment: Augment, weight: float, real: int) -> Augment:
    """Scale the targets of a batch, and so its losses: to a weighted mean of them.

    Args:
        augment: What is done to the images.
        weight: Of images whose number is `real` or more, beside 1 of those before.
        real: Real images of the training, the first ones.
    """

    def change(
        key: RandomKey, images: Images, targets: Targets, seen: Seen
    ) -> tuple[Array, Targets]:
        images, targets = augment(key, images, targets, seen)
        each = jnp.where(seen.index < real, 1.0, weight)
        share = each / jnp.maximum(each.mean(), 1e-12)
        return images, targets * share[:, None]

    return change
