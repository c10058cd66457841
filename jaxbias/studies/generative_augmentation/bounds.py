"""The paper's bounds on the generalisation gap, term by term.

Constants and log(1/delta) are left out, as in the authors' notebook: a bound gives a trend.
The terms of Theorem 3.1 were read in that notebook; where it and what is remembered of the
theorem differ, there is a switch, `Variant`. Theorem 3.2 and the definition of the most
efficient amount are remembered, not read.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from jaxbias.studies.generative_augmentation.law import Numbers

Variant = Literal["notebook", "remembered"]

LARGEST_AMOUNT = 10**9
"""Generated points beyond which no most efficient amount is looked for."""


@dataclass(frozen=True, kw_only=True)
class Terms:
    """The terms of Theorem 3.1, whose sum is the bound.

    Attributes:
        divergence: Share of generated points times the loss bound times d_TV.
        stability: What uniform stability and the loss bound add at rate 1/sqrt(m).
        concentration: The stability term with logarithms.
        generator: How much the generator moves when one real point is replaced.
    """

    divergence: Numbers
    stability: Numbers
    concentration: Numbers
    generator: Numbers

    @property
    def mixed(self) -> Numbers:
        """Generalisation error with respect to the mixed distribution."""
        return self.stability + self.concentration + self.generator

    @property
    def total(self) -> Numbers:
        return self.divergence + self.mixed


def general(
    m_real: Numbers,
    m_generated: Numbers,
    *,
    loss_bound: Numbers,
    stability: Numbers,
    divergence: Numbers,
    sensitivity: Numbers,
    variant: Variant = "notebook",
) -> Terms:
    """Theorem 3.1 for any learner and generator. All arguments broadcast.

    Args:
        m_real: Real points, >= 2.
        m_generated: Generated points, >= 0.
        loss_bound: M, the largest loss.
        stability: beta, the learner's uniform stability on all points together.
        divergence: d_TV between the data's and the generator's distribution.
        sensitivity: T, d_TV between all generated points of two generators whose real
            points differ in one.
        variant: "notebook" has m_S log m_G in the concentration term, as the authors'
            notebook computes; "remembered" has m_G log m_G.
    """
    m, g = np.asarray(m_real, np.float64), np.asarray(m_generated, np.float64)
    total = m + g
    log_generated = np.log(np.maximum(g, 1))
    weight = m if variant == "notebook" else g
    shape = np.zeros(np.broadcast_shapes(m.shape, g.shape))
    return Terms(
        divergence=shape + g / total * loss_bound * divergence,
        stability=shape
        + (loss_bound * (np.sqrt(m) + np.sqrt(g)) + m * np.sqrt(g) * stability) / total,
        concentration=shape
        + stability * (m * np.log(m) + weight * log_generated) / total,
        generator=shape + m * np.log(m) * loss_bound * sensitivity / total,
    )


def gaussian_mixture(
    m_real: Numbers,
    gamma: Numbers,
    dim: Numbers,
    variant: Variant = "notebook",
) -> Terms:
    """Theorem 3.1 with the quantities that the notebook puts in for the mixture.

    M = d + log m; beta = M / m_T; d_TV = sqrt(d log(d) / m) for d <= 2, else 1;
    T = sqrt(gamma d / m) log(m d) for d <= 2, else 1. Two slips of the notebook are kept in
    its variant: at d = 1 this d_TV is 0, as log 1 is; and for d > 2 T is 1 even without
    generated points, where the variant "remembered" has 0.
    """
    m, g, d = (np.asarray(a, np.float64) for a in (m_real, gamma, dim))
    loss_bound = d + np.log(m)
    low = d <= 2
    moves = np.where((g > 0) | (variant == "notebook"), 1.0, 0.0)
    return general(
        m,
        g * m,
        loss_bound=loss_bound,
        stability=loss_bound / (m * (1 + g)),
        divergence=np.where(low, np.sqrt(d / m * np.log(d)), 1.0),
        sensitivity=np.where(low, np.sqrt(g * d / m) * np.log(m * d), moves),
        variant=variant,
    )


def most_efficient_amount(
    m_real: int, dim: int, variant: Variant = "notebook"
) -> int | None:
    """Fewest generated points from which the divergence term rules (remembered).

    The infimum of m_G with mixed-distribution terms <= M d_TV, over even amounts up to
    10^9, on a grid finer than 1 %; None where there is none (as for d = 1, whose d_TV is
    taken as 0).
    """
    exact = np.arange(4, 2000, 2)
    coarse = np.unique(np.geomspace(2000, LARGEST_AMOUNT, 4000).round() // 2 * 2)
    amounts = np.concatenate([exact, coarse])
    terms = gaussian_mixture(m_real, amounts / m_real, dim, variant)
    limit = terms.divergence * (m_real + amounts) / amounts
    found = np.flatnonzero(terms.mixed <= limit)
    return int(amounts[found[0]]) if len(found) else None


def theorem_orders(m_real: Numbers) -> dict[str, Numbers]:
    """Orders of Theorem 3.2 at fixed dimension (remembered; constants unknown).

    At fixed m the order is `dim`.
    """
    m = np.asarray(m_real, np.float64)
    return {
        "no generated points": np.log(m) / np.sqrt(m),
        "as many as real ones": np.log(m) ** 2 / np.sqrt(m),
        "the most efficient amount": np.log(m) / np.sqrt(m),
    }
