"""What is published of torchvision's first ResNet-50, and the rules that judge a run.

All are judged only of a run that was told to be of these weights, and used all 50,000
images. Corruptions are not judged: the published accuracies are on stored JPEG files, and
those here, made anew, are other images.
"""

from collections.abc import Callable
from dataclasses import dataclass

import jax.numpy as jnp
import numpy as np

from jaxbias.ledger import (
    Entry,
    Judgement,
    MissingError,
    held,
    judge_all,
    where_possible,
)
from jaxbias.probes import critical_band
from jaxbias.studies.imagenet_biases.correlations.table import BIASES, column_of
from jaxbias.studies.imagenet_biases.probe.config import SIZES, Config
from jaxbias.studies.imagenet_biases.probe.profile import (
    VALIDATION,
    Profile,
    attack_name,
)

IMAGES, CONFLICTS = 50_000, 1_280
ERRORS = 3
"""Standard errors of a share of the images that a measure may be off: interpolation and
arithmetic differ, and with them the answers to images that are nearly undecided."""

TOP1, SHAPE, PGD = 76.15, 0.2146, 18.31
LOW, HIGH = 0.6329, 0.0069
THRESHOLDS = (0, 1, 2, 3, 4, 4, 4)
SHAPE_TOLERANCE = 0.005
PGD_NAME = "PGD-40/low"


@dataclass(frozen=True)
class Evidence:
    """A run's tables, and what it was asked."""

    found: Profile
    config: Config

    def row(self, column: str) -> float:
        """A column of the one network.

        Raises:
            MissingError: If this run does not answer for the published network.
        """
        self.comparable()
        if column not in self.found.results:
            raise MissingError("this part was not measured")
        return float(self.found.results[column][0])

    def comparable(self) -> None:
        """Raise `MissingError` unless the run shows what the published one did."""
        if not self.config.published:
            raise MissingError("weights are not said to be these (--published)")
        if (self.config.size, self.config.resize) != SIZES:
            raise MissingError(f"images of {self.config.size} pixels, not {SIZES[0]}")
        if not self.found.complete:
            raise MissingError("not all images were used")

    def counted(self, part: str) -> None:
        """Raise `MissingError` unless a part saw as many images as published."""
        columns = self.found.profile
        images = columns["images"][columns["part"] == part]
        wanted = CONFLICTS if part == "shape" else IMAGES
        if not len(images) or set(images.tolist()) != {wanted}:
            raise MissingError(f"not the {wanted:,} images")


def _error(share: float) -> float:
    """Standard error of a share of the images."""
    return float(np.sqrt(share * (1 - share) / IMAGES))


def _near(here: float, printed: float, tolerance: float, words: str) -> Judgement:
    return held(abs(here - printed) <= tolerance, f"{here:{words}}")


@where_possible
def top1(evidence: Evidence) -> Judgement:
    """Accuracy on the validation images."""
    here = evidence.row(column_of(VALIDATION))
    evidence.counted("clean")
    return _near(here, TOP1, 100 * ERRORS * _error(TOP1 / 100), ".2f")


@where_possible
def shape(evidence: Evidence) -> Judgement:
    """Shape bias on the 1,200 images of conflict."""
    here = evidence.row("shape-bias")
    evidence.counted("shape")
    return _near(here, SHAPE, SHAPE_TOLERANCE, ".4f")


def _spectral(bias: str, printed: float) -> Callable[[Evidence], Judgement]:
    @where_possible
    def judge(evidence: Evidence) -> Judgement:
        ratios = [evidence.row(column) for column in BIASES[bias]]
        evidence.counted("spectral")
        # Errors of the five cut-offs go together: they are of the same images.
        shares = np.clip(np.asarray(ratios) * TOP1 / 100, 0, 1)
        error = float(np.mean([_error(share) for share in shares])) / (TOP1 / 100)
        return _near(float(np.mean(ratios)), printed, ERRORS * error, ".4f")

    return judge


@where_possible
def thresholds(evidence: Evidence) -> Judgement:
    """Thresholds of the critical band, where those near a half may go either way."""
    evidence.comparable()
    name = evidence.found.results["model"][0]
    shares = np.asarray(
        list(evidence.found.accuracies(name, "critical-band").values()), np.float32
    )
    if not len(shares):
        raise MissingError("this part was not measured")
    evidence.counted("critical-band")
    matrix = critical_band.accuracy_matrix(jnp.asarray(shares))
    off = ERRORS * jnp.sqrt(matrix * (1 - matrix) / IMAGES).at[0].set(0)
    first, here, last = (
        np.asarray(critical_band.thresholds(matrix + sign * off)) for sign in (1, 0, -1)
    )
    wanted = np.asarray(THRESHOLDS)
    fits = np.all((first <= wanted) & (wanted <= last))
    return held(bool(fits), "".join(f"{step:.0f}" for step in here))


@where_possible
def attacked(evidence: Evidence) -> Judgement:
    """Accuracy under PGD-40."""
    if attack_name(evidence.config) != PGD_NAME:
        raise MissingError(f"another attack: {attack_name(evidence.config)}")
    here = evidence.row(column_of(PGD_NAME))
    evidence.counted("adversarial")
    return _near(here, PGD, 100 * ERRORS * _error(PGD / 100), ".2f")


_BINOMIAL = f"{ERRORS} standard errors of a share of {IMAGES:,} images"


def _entry(id: str, claim: str, expected: str, judge, tolerance: str = _BINOMIAL):
    return Entry(
        id=f"probe-{id}",
        source="benchmark.csv, tv_resnet50",
        claim=f"ResNet-50 (torchvision V1): {claim}",
        expected=expected,
        tolerance=tolerance,
        certainty="computed" if id == "pgd" else "read",
        judge=judge,
    )


ENTRIES = (
    _entry("top1", f"accuracy {TOP1:.2f} %", f"{TOP1:.2f}", top1),
    _entry(
        *("shape", f"shape bias {SHAPE:.3f}", f"{SHAPE:.4f}", shape),
        tolerance=f"{SHAPE_TOLERANCE}: a handful of trials changes with the libraries",
    ),
    _entry(
        *("low", f"low-frequency bias {LOW:.3f}", f"{LOW:.4f}"),
        _spectral("low_frequency", LOW),
    ),
    _entry(
        *("high", f"high-frequency bias {HIGH:.4f}", f"{HIGH:.4f}"),
        _spectral("high_frequency", HIGH),
    ),
    _entry(
        "thresholds",
        "critical-band thresholds 0123444",
        "0123444",
        thresholds,
        tolerance=f"steps whose accuracy is within {_BINOMIAL} of a half may differ",
    ),
    _entry(
        *("pgd", f"{PGD:.2f} % right under PGD-40 of 0.5/255", f"{PGD:.2f}", attacked),
        tolerance=f"{_BINOMIAL}; printed 18.39, of 50,048",
    ),
)


def judge(found: Profile, config: Config) -> list[dict[str, str]]:
    """Judge every entry."""
    return judge_all(ENTRIES, Evidence(found, config))
