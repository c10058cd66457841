"""Generators of small images as one writes them for speed in PyTorch.

EDM's DDPM++, the class-conditional DCGAN and StyleGAN2, with our weights, so that both
sides compute the same. Attention is `scaled_dot_product_attention`, optimisers and averages
of weights are fused.

    python -m benchmarks.torch_image_generators DESCRIPTOR   # by `image_generators`

Only this process imports torch: one that holds JAX never does.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim.swa_utils import get_ema_multi_avg_fn

from benchmarks import torch_stylegan2 as styles
from benchmarks.other_side import serve
from benchmarks.torch_image_networks import Discriminator, Generator, UNet, fill
from benchmarks.torch_models import timed

DATA = 0.5
"""Deviation of EDM's data."""

LAZY = 16
"""Steps of StyleGAN2 of which one has the penalty, times this number."""


class Kind(Protocol):
    """A kind of generator: what is asked of it."""

    model: nn.Module
    turn: Mapping[int, float]
    """Numbers of the steps that are timed, and the share of all that are like them."""

    def fill(self, params: Any, statistics: Any) -> None:
        """Give the model the weights of a Flax module, as NumPy arrays."""
        ...

    def outputs(self, given: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """What both sides must agree on; images are NCHW. Changes running statistics."""
        ...

    def step(self, form: str, pixels: Tensor, labels: Tensor, number: int) -> Any:
        """Train on one batch, as step of this number."""
        ...

    def drawn(self, form: str, start: Tensor, labels: Tensor) -> Tensor:
        """From what `start` has in `outputs` to images, uint8."""
        ...


def as_pixels(images: Tensor) -> Tensor:
    return (127.5 * (images + 1)).round_().clamp_(0, 255).to(torch.uint8)


def as_images(pixels: Tensor) -> Tensor:
    return pixels.float() / 127.5 - 1


class Forms:
    """Has functions in each form, compiled once; and how weights are filled in."""

    model: nn.Module
    turn: Mapping[int, float] = {0: 1.0}

    def __init__(self) -> None:
        self.forms: dict[tuple[str, str], Callable] = {}

    def _form(self, form: str, name: str) -> Callable:
        if (form, name) not in self.forms:
            function = getattr(self, name)
            if form == "compiled":
                function = torch.compile(function, dynamic=False)
            self.forms[form, name] = function
        return self.forms[form, name]

    def fill(self, params: Any, statistics: Any) -> None:
        fill(self.model, params, statistics)


class Edm(Forms):
    """A denoiser; see `jaxbias.models.denoiser`."""

    def __init__(self, sizes: Mapping[str, Any], classes: int) -> None:
        super().__init__()
        self.network, self.sizes = UNet(sizes, classes), sizes
        self.model: nn.Module = nn.ModuleDict({"network": self.network})
        self.count, self.average = classes, None
        self.averaged: Callable = get_ema_multi_avg_fn(0.99)

    def denoised(self, noisy: Tensor, level: Tensor, classes: Tensor) -> Tensor:
        wide, both = level[:, None, None, None], level**2 + DATA**2
        root = both.sqrt()[:, None, None, None]
        given = self.network(noisy / root, level.log() / 4, classes)
        skip = DATA**2 / both[:, None, None, None]
        return skip * noisy + wide * DATA / root * given

    def loss(self, images: Tensor, classes: Tensor) -> Tensor:
        level = torch.exp(-1.2 + 1.2 * torch.randn(len(images)))
        noisy = images + level[:, None, None, None] * torch.randn_like(images)
        errors = (self.denoised(noisy, level, classes) - images) ** 2
        weight = (level**2 + DATA**2) / (level * DATA) ** 2
        return (weight * errors.sum((1, 2, 3))).mean()

    def outputs(self, given: Mapping[str, Tensor]) -> dict[str, Tensor]:
        self.model.eval()
        classes = F.one_hot(given["labels"].long(), self.count).float()
        with torch.inference_mode():
            found = self.denoised(given["noisy"], given["level"], classes)
        return {"denoised": found}

    def step(self, form: str, pixels: Tensor, labels: Tensor, number: int) -> float:
        del number
        self.model.train()
        weights = list(self.model.parameters())
        if self.average is None:
            self.average = [one.detach().clone() for one in weights]
            self.optimiser = torch.optim.Adam(weights, self.sizes["rate"], fused=True)
        images = as_images(pixels)
        turned = torch.rand(len(images), 1, 1, 1) < 0.5
        images = torch.where(turned, images.flip(3), images)
        self.optimiser.zero_grad(set_to_none=True)
        classes = F.one_hot(labels, self.count).float()
        loss = self._form(form, "loss")(images, classes)
        loss.backward()
        self.optimiser.step()
        self.averaged(self.average, weights, 0)
        return float(loss.detach())

    def drawn(self, form: str, start: Tensor, labels: Tensor) -> Tensor:
        self.model.eval()
        denoise = self._form(form, "denoised")
        classes = F.one_hot(labels, self.count).float()
        steps = self.sizes["steps"]
        share = torch.arange(steps, dtype=torch.float64) / (steps - 1)
        first, last = 80 ** (1 / 7), 0.002 ** (1 / 7)
        levels = [*((first + share * (last - first)) ** 7).tolist(), 0.0]

        def slope(x: Tensor, level: float) -> Tensor:
            return (x - denoise(x, torch.full((len(x),), level), classes)) / level

        with torch.inference_mode():
            x = levels[0] * start
            for now, after in zip(levels[:-1], levels[1:], strict=True):
                one = slope(x, now)
                guess = x + (after - now) * one
                x = guess
                if after > 0:
                    two = slope(guess, after)
                    x = guess + (after - now) * (two - one) / 2
            return as_pixels(x)


class Cdcgan(Forms):
    """A generator against a discriminator; see `jaxbias.models.adversaries`."""

    def __init__(self, sizes: Mapping[str, Any], classes: int) -> None:
        super().__init__()
        width = sizes["width"]
        self.generator = Generator(width, classes)
        self.judge = Discriminator(width // 2, classes)
        parts = {"generator": self.generator, "discriminator": self.judge}
        self.model: nn.Module = nn.ModuleDict(parts)
        self.count, self.optimisers = classes, []
        self.rate = sizes["rate"]

    def of_generator(self, noise: Tensor, classes: Tensor) -> tuple[Tensor, Tensor]:
        made = self.generator(noise, classes)
        return F.softplus(-self.judge(made, classes)).mean(), made

    def of_judge(
        self, images: Tensor, targets: Tensor, made: Tensor, classes: Tensor
    ) -> Tensor:
        real, fake = self.judge(images, targets), self.judge(made, classes)
        return (F.softplus(-real).mean() + F.softplus(fake).mean()) / 2

    def outputs(self, given: Mapping[str, Tensor]) -> dict[str, Tensor]:
        classes = F.one_hot(given["labels"].long(), self.count).float()
        images, found = as_images(given["pixels"]), {}
        with torch.no_grad():
            for train in (False, True):
                self.model.train(train)
                made = self.generator(given["start"], classes)
                found[f"made {train}"] = made
                found[f"real {train}"] = self.judge(images, classes)
                found[f"fake {train}"] = self.judge(made, classes)
        return found

    def step(self, form: str, pixels: Tensor, labels: Tensor, number: int) -> float:
        del number
        self.model.train()
        if not self.optimisers:
            self.optimisers = [
                torch.optim.Adam(one.parameters(), self.rate, (0.5, 0.999), fused=True)
                for one in (self.generator, self.judge)
            ]
        for one in self.optimisers:
            one.zero_grad(set_to_none=True)
        noise = torch.randn(len(pixels), 100)
        drawn = torch.randint(0, self.count, (len(pixels),))
        classes = F.one_hot(drawn, self.count).float()
        targets = F.one_hot(labels, self.count).float()
        # Its weights' gradient would be thrown away where the generator learns.
        self.judge.requires_grad_(False)
        loss, made = self._form(form, "of_generator")(noise, classes)
        loss.backward()
        self.judge.requires_grad_(True)
        given = as_images(pixels), targets, made.detach(), classes
        other = self._form(form, "of_judge")(*given)
        other.backward()
        for one in self.optimisers:
            one.step()
        return float((loss + other).detach())

    def made(self, noise: Tensor, classes: Tensor) -> Tensor:
        return self.generator(noise, classes)

    def drawn(self, form: str, start: Tensor, labels: Tensor) -> Tensor:
        self.model.eval()
        classes = F.one_hot(labels, self.count).float()
        with torch.inference_mode():
            return as_pixels(self._form(form, "made")(start, classes))


class Stylegan2(Forms):
    """StyleGAN2; see `jaxbias.models.adaptive_adversaries`. Images are not augmented."""

    turn: Mapping[int, float] = {0: 1 / LAZY, 1: 1 - 1 / LAZY}

    def __init__(self, sizes: Mapping[str, Any], classes: int) -> None:
        super().__init__()
        features = [factor * sizes["width"] for factor in sizes["factors"]]
        self.generator = styles.Generator(features, features[-1], classes)
        self.judge = styles.Discriminator(features, features[-1], classes)
        parts = {"generator": self.generator, "discriminator": self.judge}
        self.model: nn.Module = nn.ModuleDict(parts)
        self.count, self.sizes, self.optimiser = classes, sizes, None
        self.averaged: Callable = get_ema_multi_avg_fn(0.99)

    def fill(self, params: Any, statistics: Any) -> None:
        del statistics
        styles.fill(self.model, params)

    def made(self, start: Tensor, classes: Tensor) -> Tensor:
        width = self.generator.width
        return self.generator(start[:, :width], classes, start[:, width:])

    def of_generator(self, start: Tensor, classes: Tensor) -> tuple[Tensor, Tensor]:
        made = self.made(start, classes)
        return F.softplus(-self.judge(made, classes)).mean(), made

    def of_judge(
        self, images: Tensor, targets: Tensor, made: Tensor, classes: Tensor
    ) -> Tensor:
        real, fake = self.judge(images, targets), self.judge(made, classes)
        return F.softplus(-real).mean() + F.softplus(fake).mean()

    def squares(self, images: Tensor, targets: Tensor) -> Tensor:
        """Squared slope of each image's logit, itself with a gradient."""
        images = images.detach().requires_grad_(True)
        logits = self.judge(images, targets).sum()
        (slope,) = torch.autograd.grad(logits, images, create_graph=True)
        return slope.square().sum((1, 2, 3))

    def outputs(self, given: Mapping[str, Tensor]) -> dict[str, Tensor]:
        classes = F.one_hot(given["labels"].long(), self.count).float()
        images = as_images(given["pixels"])
        with torch.no_grad():
            made = self.made(given["start"], classes)
            found = {"made": made, "fake": self.judge(made, classes)}
            found["real"] = self.judge(images, classes)
        return found | {"squares": self.squares(images, classes).detach()}

    def step(self, form: str, pixels: Tensor, labels: Tensor, number: int) -> float:
        weights = list(self.model.parameters())
        if self.optimiser is None:
            self.optimiser = torch.optim.Adam(
                weights, self.sizes["rate"], (0.0, 0.99), fused=True
            )
            self.average = [one.detach().clone() for one in weights]
        self.optimiser.zero_grad(set_to_none=True)
        images, count = as_images(pixels), len(pixels)
        added = 2 * sum(side**2 for side in self.generator.sides) - 4**2
        start = torch.randn(count, self.generator.width + added)
        classes = F.one_hot(torch.randint(0, self.count, (count,)), self.count).float()
        targets = F.one_hot(labels, self.count).float()
        self.judge.requires_grad_(False)
        loss, made = self._form(form, "of_generator")(start, classes)
        loss.backward()
        self.judge.requires_grad_(True)
        given = images, targets, made.detach(), classes
        other = self._form(form, "of_judge")(*given)
        other.backward()
        if number % LAZY == 0 and self.sizes["penalty"]:
            # Eager in all forms: what is compiled has no second derivatives.
            weight = LAZY * self.sizes["penalty"] / 2
            paid = weight * self.squares(images, targets).mean()
            paid.backward()
            other = other + paid
        self.optimiser.step()
        if self.sizes["average"] is not None:
            self.averaged(self.average, weights, 0)
        return float((loss + other).detach())

    def drawn(self, form: str, start: Tensor, labels: Tensor) -> Tensor:
        classes = F.one_hot(labels, self.count).float()
        with torch.inference_mode():
            return as_pixels(self._form(form, "made")(start, classes))


KINDS: Mapping[str, Callable[[Mapping[str, Any], int], Kind]] = {
    "edm": Edm,
    "cdcgan": Cdcgan,
    "stylegan2": Stylegan2,
}

CONTIGUOUS = "contiguous"
"""The form that is eager on images whose channels are not last."""


class Side:
    """One generator, given once, with its weights: channels-last, and not."""

    def load(
        self, *, kind: str, sizes: dict, classes: int, params: Any, statistics: Any
    ) -> None:
        """Build both from a Flax module's variables as NumPy arrays."""
        torch._dynamo.reset()
        torch.manual_seed(0)
        self.kinds: dict[bool, Kind] = {}
        for last in (True, False):
            made = KINDS[kind](sizes, classes)
            made.fill(params, statistics)
            if last:
                made.model.to(memory_format=torch.channels_last)  # pyright: ignore
            self.kinds[last] = made

    def _tensors(self, given: dict[str, Any], last: bool) -> dict[str, Tensor]:
        """NHWC images become NCHW: channels-last by their strides, or copied."""
        found = {name: torch.tensor(value) for name, value in given.items()}
        for name, value in found.items():
            if value.ndim == 4:
                moved = value.permute(0, 3, 1, 2)
                found[name] = moved if last else moved.contiguous()
        return found

    def outputs(self, *, given: dict[str, Any], form: str) -> dict[str, np.ndarray]:
        """What both sides must agree on, and what is drawn; NHWC."""
        last = form != CONTIGUOUS
        tensors, kind = self._tensors(given, last), self.kinds[last]
        drawn = kind.drawn("eager", tensors["start"], tensors["labels"].long())
        found = kind.outputs(tensors) | {"drawn": drawn}
        return {
            name: (value.permute(0, 2, 3, 1) if value.ndim == 4 else value).numpy()
            for name, value in found.items()
        }

    def run(
        self,
        part: str,
        given: dict[str, Any] | None,
        form: str,
        steps: int,
        threads: int,
    ) -> dict:
        """Train or draw, as `torch_models.timed`; None is what was given before.

        Seconds of a step are those of all kinds of steps, by their shares.
        """
        torch.set_num_threads(threads)
        last = form != CONTIGUOUS
        kind, how = self.kinds[last], "eager" if form == CONTIGUOUS else form
        if given is not None:
            self.given = {one: self._tensors(given, one) for one in (True, False)}
        own = self.given[last]
        labels = own["labels"].long()
        if part == "training":
            step = partial(kind.step, how, own["pixels"], labels)
            found: dict[str, Any] = {}
            seconds = np.zeros(steps)
            for number, share in kind.turn.items():
                found = timed(kind.model, partial(step, number), steps)
                seconds += share * np.asarray(found["seconds"])
            return found | {"seconds": seconds.tolist()}
        shape = own["start"].shape

        def draw() -> Tensor:
            start = torch.randn(shape)
            if last and start.ndim == 4:
                start = start.contiguous(memory_format=torch.channels_last)
            return kind.drawn(how, start, labels)

        return timed(kind.model, draw, steps)


if __name__ == "__main__":
    side = Side()
    serve({"load": side.load, "outputs": side.outputs, "run": side.run})
