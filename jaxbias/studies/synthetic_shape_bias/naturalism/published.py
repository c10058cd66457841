"""What is published of more and less natural images, and the rules that judge it."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np

from jaxbias import rng
from jaxbias.ledger import (
    Entry,
    Judgement,
    MissingError,
    held,
    judge_all,
    where_possible,
)
from jaxbias.numerics import ranks
from jaxbias.studies.synthetic_shape_bias import measures
from jaxbias.studies.synthetic_shape_bias.cases import biases, chosen, ends, kinds
from jaxbias.studies.synthetic_shape_bias.claims import ABSTRACT, EACH, LEVEL
from jaxbias.studies.synthetic_shape_bias.naturalism.config import (
    EXPONENT,
    OPACITY,
    PUBLISHED,
    SIGMA,
    WHITE,
    Config,
)
from jaxbias.sweeps import Columns

FEWEST = 5
"""Sets without which nothing is correlated."""


@dataclass(frozen=True)
class Evidence:
    """What there is to judge.

    Attributes:
        rows: See `cases.Reading`.
        sets: See `measures.measured`.
        config: What was asked.
    """

    rows: Columns
    sets: Columns
    config: Config


def means(rows: Columns, name: str) -> dict[str, float]:
    """A reading of each set after training, mean over seeds."""
    last = ends(rows)[1]
    return {
        data: float(np.mean(last[name][last["data"] == data]))
        for data in dict.fromkeys(last["data"].tolist())
    }


def along(rows: Columns, stem: str) -> tuple[np.ndarray, Columns]:
    """Rows after training of the sets that a number is put after, and these numbers."""
    last = ends(rows)[1]
    names = last["data"].tolist()
    own = np.asarray([name.startswith(stem) for name in names], bool)
    found = chosen(last, own)
    position = [float(name.removeprefix(stem)) for name in found["data"].tolist()]
    return np.asarray(position), found


def _order(evidence: Evidence) -> Judgement:
    here = means(evidence.rows, "transfer")
    both = [(here[name], PUBLISHED[name]) for name in PUBLISHED if name in here]
    if len(both) < FEWEST:
        raise MissingError(f"{len(both)} published sets; {FEWEST} are needed")
    x, y = np.asarray(both).T
    values, p = _correlated(x[:, None], y, evidence.config)
    if np.isnan(values[0]):
        raise MissingError("transfer does not vary")
    return held(
        bool(p.rising[0, 0] <= LEVEL),
        f"rank correlation {values[0]:+.2f} of {len(both)} (p {p.rising[0, 0]:.2g})",
    )


def _correlated(
    x: np.ndarray, y: np.ndarray, config: Config
) -> tuple[np.ndarray, ranks.Chance]:
    """Rank correlations of each column of x with y, and how often chance has them."""
    both = jnp.asarray(x, jnp.float32), jnp.asarray(y[:, None], jnp.float32)
    key = rng.stream(jax.random.key(config.seed), "permutations")
    found = ranks.chance(*both, key, permutations=config.permutations)
    return np.asarray(ranks.spearman(*both))[:, 0], found


def _above_untrained(evidence: Evidence) -> Judgement:
    first = ends(evidence.rows)[0]
    before, after = float(np.mean(first["transfer"])), means(evidence.rows, "transfer")
    better = sum(value > before for value in after.values())
    least, most = min(after.values()), max(after.values())
    text = f"{better} of {len(after)} above {before:.1%}; {least:.1%} to {most:.1%}"
    return held(better == len(after), text)


def _moves(stem: str):
    def judge(evidence: Evidence) -> Judgement:
        position, rows = along(evidence.rows, stem)
        if len(np.unique(position)) < 2:
            raise MissingError("the setting does not vary")
        apart, texts = False, []
        for kind in (one for one in kinds(rows) if f"{one}_low" in rows):
            at = [
                (
                    np.mean(rows[f"{kind}_bias"][position == value]),
                    np.mean(rows[f"{kind}_low"][position == value]),
                    np.mean(rows[f"{kind}_high"][position == value]),
                )
                for value in np.unique(position)
            ]
            lowest, highest = min(at), max(at)
            apart |= bool(lowest[2] < highest[1])
            texts.append(f"{kind} " + ", ".join(f"{mean:.2f}" for mean, _, _ in at))
        return held(apart, "; ".join(texts))

    return where_possible(judge)


def _near(evidence: Evidence) -> Judgement:
    last = ends(evidence.rows)[1]
    distance = measures.at(evidence.sets, last, "kid")
    if len(set(last["data"].tolist())) < FEWEST:
        raise MissingError(f"fewer than {FEWEST} sets")
    read = biases(last)
    values, p = _correlated(np.stack([*read.values()], 1), distance, evidence.config)
    found = {
        kind: (value, either)
        for kind, value, either in zip(read, values, p.either[:, 0], strict=True)
        if not np.isnan(value)
    }
    if not found:
        raise MissingError("no shape bias varies")
    text = "; ".join(f"{kind} {v:+.2f} (p {p:.2g})" for kind, (v, p) in found.items())
    least = min(p for _, p in found.values())
    return held(bool(least <= LEVEL / len(found)), text)


def _changed(name: str, what: str, expected: str, stem: str) -> Entry:
    """Of sets in which one thing alone is changed."""
    return Entry(
        id=name,
        source=ABSTRACT,
        claim=f"shape bias is entangled with how natural images are: {what}",
        expected=expected,
        tolerance="95 % intervals over source images",
        certainty="read",
        judge=_moves(stem),
    )


BARADAD = "Baradad et al. 2021, small scale, figure of ImageNet-100"

ENTRIES: tuple[Entry, ...] = (
    Entry(
        id="published-order",
        source=BARADAD,
        claim="sets with more of the statistics of photographs transfer better: 30.8 % "
        "(spectrum) to 43.5 % (stylegan-oriented)",
        expected="a rank correlation of transfer with the published: p 0.05, one-sided",
        tolerance="shuffles of the sets",
        certainty="computed",
        judge=where_possible(_order),
    ),
    Entry(
        id="above-untrained",
        source=BARADAD,
        claim="networks trained on any of the sets transfer better than untrained ones",
        expected="transfer above the untrained network's for every set",
        tolerance="none: the direction alone",
        certainty="computed",
        judge=where_possible(_above_untrained),
    ),
    _changed(
        "spectrum",
        "their spectrum",
        "of sets that differ in the exponent alone, the highest and the lowest shape bias "
        "have intervals apart, on some stimuli",
        EXPONENT,
    ),
    _changed(
        "sizes",
        "sizes of things",
        "of dead leaves that differ in the law of sizes alone, likewise",
        SIGMA,
    ),
    _changed(
        "occlusion",
        "things hide others",
        "of dead leaves that differ in their opacity alone, likewise",
        OPACITY,
    ),
    _changed(
        "white-noise",
        "white noise in them",
        "of images mixed with more and less of it, likewise",
        WHITE,
    ),
    Entry(
        id="distance",
        source=ABSTRACT,
        claim="shape bias is entangled with how far images are from natural ones",
        expected="a rank correlation with the kernel distance to the transfer images: "
        "p 0.05, two-sided",
        tolerance=EACH,
        certainty="read",
        judge=where_possible(_near),
    ),
)


def judge(evidence: Evidence) -> list[dict[str, str]]:
    """Rows for `verdicts.json`."""
    return judge_all(ENTRIES, evidence)
