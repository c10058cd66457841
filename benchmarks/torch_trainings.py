"""Small perceptrons trained by PyTorch, for `benchmarks.trainings`; in its own process.

- loop: what one writes first: a module, `torch.optim.Adam` (fused), a network at a time.
- func: all networks at once, `torch.func.vmap` of `torch.func.grad`, compiled.
- each: one network's step, compiled with its optimiser, a network at a time: the most
  that was got out of PyTorch on a CPU, as a network's arrays then stay in cache.
"""

import time
from collections.abc import Callable, Sequence
from functools import cache, partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.other_side import serve

BETAS, EPSILON = (0.9, 0.999), 1e-8

# A program for each activation, kind and number of networks.
torch._dynamo.config.recompile_limit = 64

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "relu": torch.relu,
    "tanh": torch.tanh,
    "sine": torch.sin,
    "gaussian": lambda x: torch.exp(-0.5 * x * x),
}

Weights = Sequence[Tensor]
"""Kernel and bias of each layer, [fan in, fan out] and [fan out]."""


def outputs(weights: Weights, x: Tensor, activation: str, prefactor: Tensor) -> Tensor:
    """Logits of points; a leading axis of networks comes from `vmap`."""
    act = ACTIVATIONS[activation]
    for kernel, bias in zip(weights[:-2:2], weights[1:-2:2], strict=True):
        x = act((x @ kernel + bias) * prefactor)
    return (x @ weights[-2] + weights[-1])[:, 0]


def loss(
    weights: Weights, x: Tensor, y: Tensor, prefactor: Tensor, activation: str
) -> Tensor:
    found = outputs(weights, x, activation, prefactor)
    return nn.functional.binary_cross_entropy_with_logits(found, y)


def adam(
    weights: Weights,
    gradients: Sequence[Tensor],
    first: Weights,
    second: Weights,
    corrections: Tensor,
    rate: float,
) -> tuple[list[Tensor], list[Tensor], list[Tensor]]:
    """Adam's step on tensors of any shapes; corrections: 1 - beta^t of both moments."""
    new: tuple[list[Tensor], list[Tensor], list[Tensor]] = [], [], []
    for w, g, m, v in zip(weights, gradients, first, second, strict=True):
        m = torch.lerp(m, g, 1 - BETAS[0])
        v = torch.lerp(v, g * g, 1 - BETAS[1])
        root = torch.sqrt(v / corrections[1]) + EPSILON
        for kept, value in zip(
            new, (w - rate * (m / corrections[0]) / root, m, v), strict=True
        ):
            kept.append(value)
    return new


Data = tuple[Tensor, ...]
"""Points, labels and prefactor."""


@cache
def step(kind: str, activation: str, rate: float) -> Callable[..., Any]:
    """One compiled step of all networks ("func") or of one ("each")."""
    gradient = torch.func.grad(partial(loss, activation=activation))
    if kind == "func":
        gradient = torch.func.vmap(gradient)

    def run(weights, first, second, corrections, x, y, prefactor):
        found = gradient(weights, x, y, prefactor)
        return adam(weights, found, first, second, corrections, rate)

    return torch.compile(run, fullgraph=True)


def corrections(steps: int) -> Tensor:
    """1 - beta^t, [step, moment]."""
    powers = torch.arange(1, steps + 1, dtype=torch.float64)[:, None]
    return (1 - torch.tensor(BETAS, dtype=torch.float64) ** powers).float()


def descend(
    kind: str, weights: Weights, data: Data, setting: dict[str, Any]
) -> Weights:
    run = step(kind, setting["activation"], setting["learning_rate"])
    first = [torch.zeros_like(w) for w in weights]
    second = [torch.zeros_like(w) for w in weights]
    for one in corrections(setting["steps"]):
        weights, first, second = run(weights, first, second, one, *data)
    return weights


def loop(weights: Weights, data: Data, setting: dict[str, Any]) -> Weights:
    """One network in plain PyTorch."""
    parameters = [nn.Parameter(w.clone()) for w in weights]
    optimiser = torch.optim.Adam(parameters, setting["learning_rate"], fused=True)
    for _ in range(setting["steps"]):
        optimiser.zero_grad()
        loss(parameters, *data, activation=setting["activation"]).backward()
        optimiser.step()
    return [p.detach() for p in parameters]


class Side:
    """Networks and their data, given once."""

    def load(self, arrays: dict[str, Any]) -> None:
        tensors = lambda found: [torch.tensor(np.asarray(a)) for a in found]  # noqa: E731
        self.weights = tensors(arrays["weights"])
        self.x, self.y, self.prefactors = tensors(
            arrays[name] for name in ("x", "y", "prefactors")
        )

    def train(
        self, kind: str, setting: dict[str, Any], part: tuple[int, int], threads: int
    ) -> dict[str, Any]:
        """Train some of the networks: seconds, and each one's loss at the end."""
        torch.set_num_threads(threads)
        numbers = range(*part)
        given = [self.x, self.y, self.prefactors]
        began = time.perf_counter()
        if kind == "func":
            chosen = slice(*part)
            found = descend(
                kind,
                [w[chosen] for w in self.weights],
                tuple(one[chosen] for one in given),
                setting,
            )
            ended = [[w[i] for w in found] for i in range(len(numbers))]
        else:
            ended = []
            for number in numbers:
                weights = [w[number].clone() for w in self.weights]
                data = tuple(one[number] for one in given)
                if kind == "each":
                    ended.append(descend(kind, weights, data, setting))
                else:
                    ended.append(loop(weights, data, setting))
        seconds = time.perf_counter() - began
        losses = [
            loss(w, *(one[i] for one in given), activation=setting["activation"]).item()
            for w, i in zip(ended, numbers, strict=True)
        ]
        return {"seconds": seconds, "losses": losses}


if __name__ == "__main__":
    side = Side()
    serve({"load": side.load, "train": side.train})
