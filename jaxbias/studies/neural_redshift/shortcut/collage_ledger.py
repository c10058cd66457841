"""What the follow-up says of collages, and the rules by which a run is held against it."""

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
from jaxbias.numerics.statistics import spearman
from jaxbias.studies.neural_redshift.shortcut.config import CLASSES, CollageConfig
from jaxbias.studies.neural_redshift.shortcut.evidence import Evidence
from jaxbias.sweeps import Columns

CHANCE = 1 / CLASSES
FEWEST_STEPS = 1000


@dataclass(frozen=True)
class Collages:
    """What was trained where both tell the class, and where the picture alone does."""

    both: Evidence
    picture: Evidence

    def enough(self) -> None:
        """Raise `MissingError` where trainings are too short."""
        steps = self.both.config.iterations[-1]
        if steps < FEWEST_STEPS:
            raise MissingError(f"{steps:,} steps, {FEWEST_STEPS:,} are needed")

    def error(self) -> float:
        """Three standard errors of a share that is at chance, of one test set."""
        count = self.both.config.test_images
        return 3 * float(np.sqrt(CHANCE * (1 - CHANCE) / count))

    def read(self, activation: str) -> tuple[np.ndarray, np.ndarray]:
        """Accuracy on the picture by prefactor: where both tell, where it alone does."""
        name = "picture_accuracy"
        return tuple(  # type: ignore[return-value]
            one.curve(name, activation).mean(axis=1)
            for one in (self.both, self.picture)
        )


@where_possible
def relu_leaves_the_picture(evidence: Collages) -> Judgement:
    """ReLU is at chance on the picture, of which it can learn something."""
    evidence.enough()
    both, alone = evidence.read("relu")
    place = int(alone.argmax())
    here = f"at most {both.max():.3f}; where the picture alone tells, to {alone[place]:.3f}"
    if alone[place] < CHANCE + 2 * evidence.error():
        raise MissingError(f"the picture cannot be learned: {alone[place]:.3f}")
    return held(bool(both.max() <= CHANCE + evidence.error()), here)


@where_possible
def others_read_the_picture(evidence: Collages) -> Judgement:
    """Some other activation at some prefactor is above chance on the picture."""
    evidence.enough()
    others = [name for name in evidence.both.config.activations if name != "relu"]
    if not others:
        raise MissingError("ReLU alone was trained")
    best = {name: float(evidence.read(name)[0].max()) for name in others}
    here = ", ".join(f"{name} {value:.3f}" for name, value in best.items())
    met = max(best.values()) > CHANCE + evidence.error()
    return held(met, f"best: {here}")


@where_possible
def complex_networks_read_the_picture(evidence: Collages) -> Judgement:
    """The more complex at random weights, the more the picture counts."""
    evidence.enough()
    x, y = [], []
    for name in evidence.both.config.activations:
        x.append(evidence.both.curve("path_variation", name, 0).mean(axis=1))
        y.append(evidence.read(name)[0])
    x, y = np.concatenate(x), np.concatenate(y)
    if len(x) < 6:
        raise MissingError(f"{len(x)} conditions, 6 are needed")
    rank = spearman(x, y)
    return held(
        bool(rank > 0.3), f"rank correlation {rank:.2f} over {len(x)} conditions"
    )


SOURCE = "Teney et al., Do We Always Need the Simplicity Bias? (CVPR 2025)"

ENTRIES = (
    Entry(
        id="collage-relu",
        source=SOURCE,
        claim="ReLU networks end at chance on the CIFAR tile",
        expected="within three standard errors of 0.1 at every prefactor",
        tolerance="sampling of the test set; networks and steps are not known",
        certainty="read",
        judge=relu_leaves_the_picture,
    ),
    Entry(
        id="collage-steered",
        source=SOURCE,
        claim="another activation steers what is learned, to the CIFAR tile too",
        expected="above chance by three standard errors, for one other activation",
        tolerance="there activations are learned, here a prefactor is set",
        certainty="read",
        judge=others_read_the_picture,
    ),
    Entry(
        id="collage-complexity",
        source=SOURCE + ": not in the paper",
        claim="the more complex at random weights, the more of the picture is learned",
        expected="rank correlation of variation along paths with accuracy above 0.3",
        tolerance="our prediction, from the paper's section 4.2",
        certainty="computed",
        judge=complex_networks_read_the_picture,
    ),
)


def judge(tables: dict[str, Columns], config: CollageConfig) -> list[dict[str, str]]:
    """Judge every entry on the tables "both" and "picture"."""
    both, picture = (Evidence(tables[name], config) for name in ("both", "picture"))
    return judge_all(ENTRIES, Collages(both, picture))
