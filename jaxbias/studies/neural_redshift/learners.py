"""The trained models of section 4: perceptrons with a prior and a prefactor.

A learner is a prior over weights and a pure function, so that hundreds are trained in
one program; the model without a bias is one too.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Shaped

from jaxbias.arrays import Params, RandomKey
from jaxbias.models.mlp import MLP
from jaxbias.models.priors import Prior, draw, template
from jaxbias.models.unbiased import UnbiasedModel
from jaxbias.numerics.activations import resolve
from jaxbias.training import full_batch

Loss = Literal["cross_entropy", "mse", "softmax"]


def loss_of(
    kind: Loss, outputs: Float[Array, "point *out"], targets: Shaped[Array, " point"]
) -> Float[Array, ""]:
    """Mean loss of outputs against targets.

    Targets of "mse" and "cross_entropy" (of logits) are in [0, 1]; those of "softmax" are
    classes, and outputs have a logit for each.
    """
    if kind == "softmax":
        found = optax.softmax_cross_entropy_with_integer_labels(outputs, targets)
        return jnp.mean(found)
    if kind == "mse":
        return jnp.mean((outputs - targets) ** 2)
    return jnp.mean(optax.sigmoid_binary_cross_entropy(outputs, targets))


@dataclass(frozen=True, kw_only=True)
class Learner:
    """How a perceptron is drawn and trained.

    Attributes:
        activations: Names, among which a traced number chooses.
        depth: Hidden layers.
        width: Channels of each.
        outputs: Of the network; 1 gives a number for each point.
        prior: What the weights are drawn from.
        loss: What is minimised.
        learning_rate: Adam's.
        marks: Steps after which networks are looked at; the last one ends the training.
    """

    activations: tuple[str, ...]
    depth: int
    width: int
    outputs: int = 1
    prior: Prior = Prior()
    loss: Loss = "cross_entropy"
    learning_rate: float = 1e-3
    marks: tuple[int, ...] = (0, 3000)

    def predict(
        self,
        params: Params,
        x: Float[Array, "point dimension"],
        *,
        activation: Array | int = 0,
        prefactor: Array | float = 1.0,
    ) -> Float[Array, "point *out"]:
        """The network's outputs; activation and prefactor may be traced."""
        network = MLP(
            width=self.width,
            depth=self.depth,
            outputs=self.outputs,
            activations=tuple(map(resolve, self.activations)),
        )
        return network.apply(
            {"params": params}, x, activation=activation, prefactor=prefactor
        )[0]  # type: ignore[return-value]

    def start(self, key: RandomKey, dimension: int) -> Params:
        """Draw a network for inputs of a dimension."""
        network = MLP(width=self.width, depth=self.depth, outputs=self.outputs)
        return draw(key, template(network, dimension), self.prior)

    def fit(
        self,
        predict: Callable[[Params, Array], Array],
        params: Params,
        x: Float[Array, "point dimension"],
        y: Shaped[Array, " point"],
        observe: Callable[[Params], Any],
    ) -> tuple[Params, Any]:
        """Train any model on all points at every step; see `full_batch.fit`."""
        return full_batch.fit(
            lambda p: loss_of(self.loss, predict(p, x), y),
            params,
            optax.adam(self.learning_rate),
            marks=self.marks,
            observe=observe,
        )


@dataclass(frozen=True, kw_only=True)
class UnbiasedLearner(Learner):
    """The paper's unbiased model in place of a perceptron, trained in the same way.

    Attributes:
        max_frequency: See `models.unbiased.UnbiasedModel`.
    """

    max_frequency: int

    def predict(
        self,
        params: Params,
        x: Float[Array, "point dimension"],
        *,
        activation: Array | int = 0,
        prefactor: Array | float = 1.0,
    ) -> Float[Array, " point"]:
        """The model's outputs; it has neither activation nor prefactor."""
        module = UnbiasedModel(self.max_frequency)
        return module.apply({"params": params}, x)[0]  # type: ignore[return-value]

    def start(self, key: RandomKey, dimension: int) -> Params:
        """Draw amplitudes and phases."""
        module = UnbiasedModel(self.max_frequency)
        return draw(key, template(module, dimension), self.prior)
