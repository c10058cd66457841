"""Generators of small images as one writes them for speed in PyTorch.

EDM's DDPM++ and the class-conditional DCGAN, with our weights, so that both sides compute
the same. Attention is `scaled_dot_product_attention`, optimisers and averages of weights
are fused.

    python -m benchmarks.torch_image_generators DESCRIPTOR   # by `image_generators`

Only this process imports torch: one that holds JAX never does.
"""

import math
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim.swa_utils import get_ema_multi_avg_fn

from benchmarks.other_side import serve
from benchmarks.torch_models import timed

DATA = 0.5
"""Deviation of EDM's data."""


class Block(nn.Module):
    """A residual block of DDPM++; its layers are named as ours."""

    def __init__(
        self, fan_in: int, width: int, known: int, attends: bool, resample: str
    ) -> None:
        super().__init__()
        self.resample = resample
        self.norm0, self.norm1 = _norm(fan_in), _norm(width)
        self.conv0 = nn.Conv2d(fan_in, width, 3, 1, 1)
        self.conv1 = nn.Conv2d(width, width, 3, 1, 1)
        self.embedding = nn.Linear(known, width)
        self.drop = nn.Dropout()
        self.skip = self.attention = None
        if fan_in != width or resample:
            self.skip = nn.Conv2d(fan_in, width, 1)
        if attends:
            self.norm2, self.attention = _norm(width), nn.Conv2d(width, 3 * width, 1)
            self.projection = nn.Conv2d(width, width, 1)

    def forward(self, x: Tensor, known: Tensor) -> Tensor:
        h = F.silu(self.norm0(x))
        if self.resample == "down":
            x, h = F.avg_pool2d(x, 2), F.avg_pool2d(h, 2)
        elif self.resample == "up":
            x, h = (F.interpolate(one, scale_factor=2) for one in (x, h))
        h = self.conv0(h) + self.embedding(known)[:, :, None, None]
        h = self.conv1(self.drop(F.silu(self.norm1(h))))
        if self.skip is not None:
            x = self.skip(x)
        x = (x + h) * math.sqrt(0.5)
        if self.attention is None:
            return x
        images, width, rows, columns = x.shape
        wide = self.attention(self.norm2(x)).permute(0, 2, 3, 1)
        query, key, value = wide.reshape(images, 1, -1, 3 * width).chunk(3, -1)
        seen = F.scaled_dot_product_attention(query, key, value)
        seen = seen.reshape(images, rows, columns, width).permute(0, 3, 1, 2)
        return (x + self.projection(seen)) * math.sqrt(0.5)


def _norm(width: int) -> nn.GroupNorm:
    return nn.GroupNorm(min(32, width // 4), width, 1e-6)


class UNet(nn.Module):
    """DDPM++ on images of side 32; see `jaxbias.models.unet`."""

    def __init__(self, sizes: Mapping[str, Any], classes: int) -> None:
        super().__init__()
        width, factors, blocks = sizes["width"], sizes["factors"], sizes["blocks"]
        self.width, known, side = width, 4 * width, 32
        self.classes = nn.Linear(classes, width)
        self.known0, self.known1 = nn.Linear(width, known), nn.Linear(known, known)
        self.first = nn.Conv2d(3, width, 3, 1, 1)
        self.down, self.up, held = [], [], [width]

        def block(
            name: str,
            fan_in: int,
            features: int,
            attends: bool = False,
            resample: str = "",
        ) -> int:
            made = Block(fan_in, features, known, attends, resample)
            made.drop.p = sizes["dropout"]
            self.add_module(name, made)
            return features

        now = width
        for level, factor in enumerate(factors):
            if level:
                side //= 2
                held.append(block(f"down{level}", now, now, resample="down"))
                self.down.append(f"down{level}")
            for number in range(blocks):
                name, attends = f"down{level}_{number}", side in sizes["attended"]
                now = block(name, now, factor * width, attends)
                held.append(now)
                self.down.append(name)
        for number, attends in enumerate((True, False)):
            block(f"middle{number}", now, now, attends)
        for level, factor in reversed(list(enumerate(factors))):
            if level < len(factors) - 1:
                side *= 2
                self.up.append((f"up{level}", False))
                block(f"up{level}", now, now, resample="up")
            for number in range(blocks + 1):
                name, fan_in = f"up{level}_{number}", now + held.pop()
                attends = number == blocks and side in sizes["attended"]
                now = block(name, fan_in, factor * width, attends)
                self.up.append((name, True))
        self.norm, self.last = _norm(now), nn.Conv2d(now, 3, 3, 1, 1)

    def forward(self, x: Tensor, times: Tensor, classes: Tensor) -> Tensor:
        half = self.width // 2
        speeds = 10_000.0 ** -(torch.arange(half) / (half - 1))
        angles = times[:, None] * speeds
        known = torch.cat([angles.sin(), angles.cos()], 1)
        known = known + self.classes(classes * classes.shape[1] ** 0.5)
        known = F.silu(self.known1(F.silu(self.known0(known))))
        held = [x := self.first(x)]
        for name in self.down:
            held.append(x := self.get_submodule(name)(x, known))
        for name in ("middle0", "middle1"):
            x = self.get_submodule(name)(x, known)
        for name, joins in self.up:
            if joins:
                x = torch.cat([x, held.pop()], 1)
            x = self.get_submodule(name)(x, known)
        return self.last(F.silu(self.norm(x)))


class Generator(nn.Module):
    """cDCGAN's; a transposed convolution of one pixel is a linear layer."""

    def __init__(self, width: int, classes: int) -> None:
        super().__init__()
        first = 4 * 4 * 2 * width
        self.noise = nn.Linear(100, first, bias=False)
        self.classes = nn.Linear(classes, first, bias=False)
        self.noise_norm = nn.BatchNorm2d(2 * width)
        self.classes_norm = nn.BatchNorm2d(2 * width)
        self.norm1, self.norm2 = nn.BatchNorm2d(2 * width), nn.BatchNorm2d(width)
        up = partial(nn.ConvTranspose2d, kernel_size=4, stride=2, padding=1, bias=False)
        self.up1, self.up2 = up(4 * width, 2 * width), up(2 * width, width)
        self.up3 = up(width, 3)

    def forward(self, noise: Tensor, classes: Tensor) -> Tensor:
        parts = []
        for linear, norm, given in (
            (self.noise, self.noise_norm, noise),
            (self.classes, self.classes_norm, classes),
        ):
            x = linear(given).view(len(given), 4, 4, -1).permute(0, 3, 1, 2)
            parts.append(F.relu(norm(x)))
        x = F.relu(self.norm1(self.up1(torch.cat(parts, 1))))
        return torch.tanh(self.up3(F.relu(self.norm2(self.up2(x)))))


class Discriminator(nn.Module):
    """cDCGAN's."""

    def __init__(self, width: int, classes: int) -> None:
        super().__init__()
        down = partial(nn.Conv2d, kernel_size=4, stride=2, padding=1, bias=False)
        self.image, self.classes = down(3, width), down(classes, width)
        self.down1, self.down2 = down(2 * width, 4 * width), down(4 * width, 8 * width)
        self.norm1, self.norm2 = nn.BatchNorm2d(4 * width), nn.BatchNorm2d(8 * width)
        self.real = nn.Conv2d(8 * width, 1, 4, bias=False)

    def forward(self, images: Tensor, classes: Tensor) -> Tensor:
        planes = classes[:, :, None, None].expand(-1, -1, *images.shape[2:])
        x = torch.cat([self.image(images), self.classes(planes)], 1)
        x = F.leaky_relu(x, 0.2)
        for down, norm in ((self.down1, self.norm1), (self.down2, self.norm2)):
            x = F.leaky_relu(norm(down(x)), 0.2)
        return self.real(x).flatten()


@torch.no_grad()
def fill(module: nn.Module, params: Any, statistics: Any) -> None:
    """Give a module the weights of a Flax module whose layers have the same names."""
    for path, layer in module.named_modules():
        if list(layer.children()) or not list(layer.parameters()):
            continue
        own = _at(params, path)
        if isinstance(layer, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
            kernel = own["kernel"]
            if isinstance(layer, nn.Linear):
                kernel = kernel.T
            elif isinstance(layer, nn.Conv2d):
                kernel = kernel.transpose(3, 2, 0, 1)
            else:
                kernel = kernel[::-1, ::-1].transpose(2, 3, 0, 1)
            values: dict[str, Any] = {"weight": kernel}
        else:
            values = {"weight": own["scale"]}
        if layer.bias is not None:
            values["bias"] = own["bias"]
        if isinstance(layer, nn.BatchNorm2d):
            kept = _at(statistics, path)
            values |= {"running_mean": kept["mean"], "running_var": kept["var"]}
        for name, value in values.items():
            getattr(layer, name).copy_(torch.tensor(np.ascontiguousarray(value)))


def _at(tree: Any, path: str) -> Any:
    for name in path.split("."):
        tree = tree[name]
    return tree


class Kind(Protocol):
    """A kind of generator: what is asked of it."""

    model: nn.Module

    def outputs(self, given: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """What both sides must agree on; images are NCHW. Changes running statistics."""
        ...

    def step(self, form: str, pixels: Tensor, labels: Tensor) -> Any:
        """Train on one batch."""
        ...

    def drawn(self, form: str, start: Tensor, labels: Tensor) -> Tensor:
        """From what `start` has in `outputs` to images, uint8."""
        ...


def as_pixels(images: Tensor) -> Tensor:
    return (127.5 * (images + 1)).round_().clamp_(0, 255).to(torch.uint8)


def as_images(pixels: Tensor) -> Tensor:
    return pixels.float() / 127.5 - 1


class Edm:
    """A denoiser; see `jaxbias.models.denoiser`."""

    def __init__(self, sizes: Mapping[str, Any], classes: int) -> None:
        self.network, self.sizes = UNet(sizes, classes), sizes
        self.model: nn.Module = nn.ModuleDict({"network": self.network})
        self.count, self.average = classes, None
        self.averaged: Callable = get_ema_multi_avg_fn(0.99)
        self.forms: dict[tuple[str, str], Callable] = {}

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

    def _form(self, form: str, name: str) -> Callable:
        if (form, name) not in self.forms:
            function = getattr(self, name)
            if form == "compiled":
                function = torch.compile(function, dynamic=False)
            self.forms[form, name] = function
        return self.forms[form, name]

    def outputs(self, given: Mapping[str, Tensor]) -> dict[str, Tensor]:
        self.model.eval()
        classes = F.one_hot(given["labels"].long(), self.count).float()
        with torch.inference_mode():
            found = self.denoised(given["noisy"], given["level"], classes)
        return {"denoised": found}

    def step(self, form: str, pixels: Tensor, labels: Tensor) -> float:
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


class Cdcgan:
    """A generator against a discriminator; see `jaxbias.models.adversaries`."""

    def __init__(self, sizes: Mapping[str, Any], classes: int) -> None:
        width = sizes["width"]
        self.generator = Generator(width, classes)
        self.judge = Discriminator(width // 2, classes)
        parts = {"generator": self.generator, "discriminator": self.judge}
        self.model: nn.Module = nn.ModuleDict(parts)
        self.count, self.optimisers = classes, []
        self.rate, self.forms = sizes["rate"], {}

    def of_generator(self, noise: Tensor, classes: Tensor) -> tuple[Tensor, Tensor]:
        made = self.generator(noise, classes)
        return F.softplus(-self.judge(made, classes)).mean(), made

    def of_judge(
        self, images: Tensor, targets: Tensor, made: Tensor, classes: Tensor
    ) -> Tensor:
        real, fake = self.judge(images, targets), self.judge(made, classes)
        return (F.softplus(-real).mean() + F.softplus(fake).mean()) / 2

    def _form(self, form: str, name: str) -> Callable:
        if (form, name) not in self.forms:
            function = getattr(self, name)
            if form == "compiled":
                function = torch.compile(function, dynamic=False)
            self.forms[form, name] = function
        return self.forms[form, name]

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

    def step(self, form: str, pixels: Tensor, labels: Tensor) -> float:
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


KINDS: Mapping[str, Callable[[Mapping[str, Any], int], Kind]] = {
    "edm": Edm,
    "cdcgan": Cdcgan,
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
            fill(made.model, params, statistics)
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
        """Train or draw, as `torch_models.timed`; None is what was given before."""
        torch.set_num_threads(threads)
        last = form != CONTIGUOUS
        kind, how = self.kinds[last], "eager" if form == CONTIGUOUS else form
        if given is not None:
            self.given = {one: self._tensors(given, one) for one in (True, False)}
        own = self.given[last]
        labels = own["labels"].long()
        if part == "training":
            return timed(
                kind.model, partial(kind.step, how, own["pixels"], labels), steps
            )
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
