"""The prediction for zero-mean activations, as data. All rules precede the first run."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import stats

from jaxbias.ledger import (
    Entry,
    Judgement,
    MissingError,
    held,
    judge_all,
    where_possible,
)
from jaxbias.studies.neural_redshift.zero_mean.config import Config
from jaxbias.studies.neural_redshift.zero_mean.shifted import moments
from jaxbias.sweeps import Columns

FEW = 5
"""Networks below which no difference is judged."""

OF_ANOTHER_MEAN = ("relu", "gelu", "swish", "sigmoid", "gaussian")

THEORY = ("layer_norm", 0.0)
"""Architecture and bias range where pre-activations are N(0, 1), as the theory has them.
A function there depends on the direction of its input alone."""

STUDY = ("plain", 1.0)
"""Those of the study's random networks."""


@dataclass(frozen=True)
class Difference:
    """A mean difference over draws with its 95 % interval."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:+.3f} [{self.low:+.3f}, {self.high:+.3f}]"


@dataclass(frozen=True)
class Evidence:
    """A run's tables and configuration."""

    columns: Columns
    correlations: Columns
    config: Config

    def values(
        self,
        activation: str,
        variant: str,
        bias_range: float,
        *,
        mean: float | None,
        measure: str = "dct",
        depth: int | None = None,
    ) -> np.ndarray:
        """A measure of the deepest networks: a row a draw, a column a weight scale.

        Args:
            activation: Its name.
            variant: The architecture.
            bias_range: Of the biases.
            mean: The mean that is left, or None for the activation as it is.
            measure: Its name.
            depth: Hidden layers; None takes the most.

        Returns:
            Values, NaN for degenerate networks.

        Raises:
            MissingError: If there are no such networks, too few, or more than half of
                them are degenerate.
        """
        config, columns = self.config, self.columns
        if config.n_networks < FEW:
            raise MissingError(f"{config.n_networks} networks, {FEW} are needed")
        if measure not in config.measures:
            raise MissingError(f"{measure} was not measured")
        depth = max(config.depths) if depth is None else depth
        chosen = columns["activation"] == activation
        for name, value in (
            ("variant", variant),
            ("bias_range", bias_range),
            ("depth", depth),
            ("setting", "as_is" if mean is None else "shifted"),
        ):
            chosen &= columns[name] == value
        if mean is not None:
            chosen &= columns["mean"] == mean
        if not chosen.any():
            raise MissingError(
                f"no {variant} {activation} networks with biases in +-{bias_range:g}"
            )
        if 2 * columns["degenerate"][chosen].sum() > chosen.sum():
            raise MissingError(f"most {variant} {activation} networks are degenerate")
        found = np.where(columns["degenerate"], np.nan, columns[measure])[chosen]
        return found.reshape(-1, config.n_networks).T.astype(np.float64)

    def difference(
        self,
        activation: str,
        variant: str,
        bias_range: float,
        mean: float | None,
        other: float | None,
    ) -> Difference:
        """Complexity at one mean minus that at another: the same draws, all scales.

        Raises:
            MissingError: As `values`, and where fewer than half the pairs, or fewer than
                5 draws, can be measured.
        """
        first = self.values(activation, variant, bias_range, mean=mean)
        second = self.values(activation, variant, bias_range, mean=other)
        apart = first - second
        present = np.isfinite(apart)
        # A scale that some draws lack would be a choice among them.
        whole = present.all(axis=0)
        if 2 * present.sum() < present.size or not whole.any():
            raise MissingError(f"most {variant} {activation} networks are degenerate")
        per_draw = apart[:, whole].mean(axis=1)
        value = float(per_draw.mean())
        error = float(per_draw.std(ddof=1) / np.sqrt(len(per_draw)))
        half = float(stats.t.ppf(0.975, len(per_draw) - 1)) * error
        return Difference(value, value - half, value + half)

    def deviation(self, name: str) -> float:
        """Mean under N(0, 1) in standard deviations."""
        mean, sd = moments(name)
        return mean / sd

    def correlation(self, activation: str, setting: str) -> tuple[float, float]:
        """Of outputs at a right angle in the deepest networks of the theory, and error.

        Raises:
            MissingError: If it was not looked at.
        """
        rows = self.correlations
        variant, bias_range = THEORY
        chosen = (rows["activation"] == activation) & (rows["setting"] == setting)
        chosen &= (rows["variant"] == variant) & (rows["bias_range"] == bias_range)
        chosen &= (rows["angle"] == 90) & (rows["depth"] == max(rows["depth"]))
        if not chosen.any():
            raise MissingError(f"no correlations of {activation} in {variant} networks")
        if max(rows["depth"]) < 4:
            raise MissingError("the correlations' depths end before 4")
        return float(rows["correlation"][chosen][0]), float(
            rows["correlation_se"][chosen][0]
        )


def raised(activation: str, setting: tuple[str, float]) -> Callable:
    """Shifting an activation to mean 0 makes networks more complex."""

    @where_possible
    def judge(evidence: Evidence) -> Judgement:
        _known(evidence, activation)
        found = evidence.difference(activation, *setting, 0.0, None)
        before = np.nanmean(evidence.values(activation, *setting, mean=None))
        return held(
            found.low > 0,
            f"dct {before:.3f} unshifted (mean {evidence.deviation(activation):+.2f} "
            f"sd), {found} by the shift",
        )

    return judge


def _known(evidence: Evidence, *activations: str) -> None:
    for name in activations:
        if name not in evidence.config.activations:
            raise MissingError(f"{name} was not run")


@where_possible
def odd_unchanged(evidence: Evidence) -> Judgement:
    """Odd activations have mean 0: shifting them to it does nothing at all."""
    odd = [n for n in ("tanh", "sine") if n in evidence.config.activations]
    if not odd:
        raise MissingError("no odd activation was run")
    largest, means = 0.0, []
    for name in odd:
        means.append(abs(evidence.deviation(name)))
        for variant in evidence.config.variants:
            for bias_range in evidence.config.bias_ranges:
                pair = [
                    np.nan_to_num(
                        evidence.values(name, variant, bias_range, mean=mean), nan=-1.0
                    )
                    for mean in (0.0, None)
                ]
                largest = max(largest, float(np.abs(pair[0] - pair[1]).max()))
    return held(
        max(means) == 0 and largest == 0,
        f"{', '.join(odd)}: means {max(means):g}, largest difference {largest:g}",
    )


def away(setting: tuple[str, float]) -> Callable:
    """Shifting tanh away from mean 0, either way, makes networks simpler."""

    @where_possible
    def judge(evidence: Evidence) -> Judgement:
        _known(evidence, "tanh")
        means = evidence.config.means
        if not min(means) < 0 < max(means):
            raise MissingError("no means on both sides of 0")
        found = {
            mean: evidence.difference("tanh", *setting, mean, 0.0)
            for mean in (min(means), max(means))
        }
        return held(
            all(one.high < 0 for one in found.values()),
            "; ".join(f"to {mean:+g} sd: {one}" for mean, one in found.items()),
        )

    return judge


@where_possible
def peak_at_zero(evidence: Evidence) -> Judgement:
    """Over all shifts, complexity is highest at mean 0."""
    means = sorted(evidence.config.means)
    if len(means) < 3 or not means[0] < 0 < means[-1]:
        raise MissingError("too few means on both sides of 0")
    found = {}
    for name in evidence.config.activations:
        by_mean = [
            float(np.nanmean(evidence.values(name, *THEORY, mean=mean)))
            for mean in means
        ]
        found[name] = means[int(np.nanargmax(by_mean))]
    return held(
        all(mean == 0 for mean in found.values()),
        "most complex at "
        + ", ".join(f"{name} {mean:+g}" for name, mean in found.items()),
    )


@where_possible
def selu_is_like_odd(evidence: Evidence) -> Judgement:
    """SELU has mean 0 by its design: unlike ReLU, it should be random-like."""
    _known(evidence, "selu", "relu")
    selu, relu = (
        np.nanmean(evidence.values(name, *THEORY, mean=None), axis=1)
        for name in ("selu", "relu")
    )
    apart = float(selu.mean() - relu.mean())
    error = float(np.sqrt(selu.var(ddof=1) / len(selu) + relu.var(ddof=1) / len(relu)))
    return held(
        apart > 2 * error,
        f"mean of selu {evidence.deviation('selu'):+.4f} sd; dct selu {selu.mean():.3f}, "
        f"relu {relu.mean():.3f}, difference {apart:+.3f} (standard error {error:.3f})",
    )


@where_possible
def outputs_decorrelate(evidence: Evidence) -> Judgement:
    """Outputs at a right angle are independent at mean 0, and correlated otherwise."""
    config = evidence.config
    zero = {n: evidence.correlation(n, "zero_mean") for n in config.activations}
    asis = {
        n: evidence.correlation(n, "as_is")
        for n in ("relu", "gelu")
        if n in config.activations
    }
    if not asis:
        raise MissingError("neither relu nor gelu was run")
    words = (
        f"{label} {', '.join(f'{n} {value:.2f}' for n, (value, _) in found.items())}"
        for label, found in (("mean 0:", zero), ("as they are:", asis))
    )
    fine = all(abs(value) <= 0.2 + 3 * error for value, error in zero.values())
    return held(
        fine and all(value >= 0.5 for value, _ in asis.values()), "; ".join(words)
    )


@where_possible
def outputs_as_predicted(evidence: Evidence) -> Judgement:
    """Correlations over depth, angle and activation are those of mean-field theory."""
    rows = evidence.correlations
    apart = rows["correlation"] - rows["predicted"]
    known = np.isfinite(apart)
    if not known.any() or evidence.config.correlation_networks < 100:
        raise MissingError("no correlations, or fewer than 100 networks for each")
    rms = float(np.sqrt(np.mean(apart[known] ** 2)))
    noise = float(np.sqrt(np.mean(rows["correlation_se"][known] ** 2)))
    return held(
        rms <= 0.1,
        f"{known.sum()} correlations: rms difference {rms:.3f}, of which sampling "
        f"{noise:.3f}; largest {np.abs(apart[known]).max():.2f}",
    )


SOURCE = "zero-mean activations, Oct 2025"


def _raised(activation: str, setting: tuple[str, float], where: str) -> Entry:
    short = "theory" if setting == THEORY else "study"
    return Entry(
        id=f"{short}-{activation}",
        source=SOURCE,
        claim=f"{activation} shifted to E phi(z) = 0 is more complex, {where}",
        expected="dct of the deepest networks: 95 % interval of the difference above 0",
        tolerance="paired draws, mean over weight scales",
        certainty="read",
        judge=raised(activation, setting),
    )


ENTRIES: tuple[Entry, ...] = (
    *(_raised(n, THEORY, "layer norm, no biases") for n in OF_ANOTHER_MEAN),
    *(_raised(n, STUDY, "plain networks with biases") for n in OF_ANOTHER_MEAN),
    Entry(
        id="odd-unchanged",
        source="by construction",
        claim="odd activations have mean 0 as they are",
        expected="no difference at all",
        tolerance="the same numbers",
        certainty="computed",
        judge=odd_unchanged,
    ),
    *(
        Entry(
            id=f"{short}-tanh-away",
            source=SOURCE,
            claim=f"tanh shifted away from mean 0 is simpler, {where}",
            expected="95 % intervals of both differences below 0",
            tolerance="the outermost of the means asked for",
            certainty="computed",
            judge=away(setting),
        )
        for short, setting, where in (
            ("theory", THEORY, "layer norm, no biases"),
            ("study", STUDY, "plain networks with biases"),
        )
    ),
    Entry(
        id="peak-at-zero",
        source=SOURCE,
        claim="of all shifts, that to mean 0 is the most complex",
        expected="for every activation; layer norm, no biases, deepest",
        tolerance="the grid of means",
        certainty="computed",
        judge=peak_at_zero,
    ),
    Entry(
        id="selu-like-odd",
        source=SOURCE + ", and SELU's design (Klambauer et al. 2017)",
        claim="SELU has mean 0 as it is, so it is more complex than ReLU",
        expected="dct higher by two standard errors; layer norm, no biases, deepest",
        tolerance="independent draws",
        certainty="computed",
        judge=selu_is_like_odd,
    ),
    Entry(
        id="outputs-decorrelate",
        source=SOURCE,
        claim="outputs at different inputs are nearly independent iff E phi(z) = 0",
        expected="at a right angle, deepest: at most 0.2 at mean 0, at least 0.5 for ReLU "
        "and GELU as they are; layer norm, no biases",
        tolerance="3 standard errors; depth is finite",
        certainty="read",
        judge=outputs_decorrelate,
    ),
    Entry(
        id="outputs-as-predicted",
        source="mean-field theory",
        claim="correlations of outputs are those of infinitely wide networks",
        expected="rms difference at most 0.1",
        tolerance="finite width and sampling",
        certainty="computed",
        judge=outputs_as_predicted,
    ),
)


def judge(evidence: Evidence) -> list[dict[str, str]]:
    """Judge every entry."""
    return judge_all(ENTRIES, evidence)
