"""StyleGAN2 for small images in PyTorch: both networks, whose weights have our names.

Modulated convolutions scale what goes in and what comes out, and are one plain convolution;
filters are convolutions of each channel by itself. Images are NCHW, with any strides.
Imports no JAX.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from benchmarks.torch_image_networks import at

GROUP = 32
"""Images whose features are compared with each other, at most."""


def activated(x: Tensor) -> Tensor:
    return F.leaky_relu(x, 0.2) * math.sqrt(2)


def normalised(x: Tensor) -> Tensor:
    return x * (x.square().mean(1, keepdim=True) + 1e-8).rsqrt()


class Filter(nn.Module):
    """Binomial weights [1, 3, 3, 1] along both sides, for each channel."""

    weights: Tensor

    def __init__(self, channels: int, gain: float | int = 1) -> None:
        super().__init__()
        line = torch.tensor([1.0, 3.0, 3.0, 1.0]) / 8
        plane = (gain * line[:, None] * line).expand(channels, 1, 4, 4)
        self.register_buffer("weights", plane.contiguous())

    def smoothed(self, x: Tensor, pad: int) -> Tensor:
        return F.conv2d(x, self.weights, padding=pad, groups=x.shape[1])

    def doubled(self, x: Tensor) -> Tensor:
        return F.conv_transpose2d(x, self.weights, None, 2, 1, groups=x.shape[1])


class Linear(nn.Module):
    """Weights are scaled where they are used."""

    def __init__(self, fan_in: int, features: int, rate: float | int = 1) -> None:
        super().__init__()
        self.kernel = nn.Parameter(torch.empty(features, fan_in))
        self.bias, self.rate = nn.Parameter(torch.empty(features)), rate

    def forward(self, x: Tensor) -> Tensor:
        kernel = self.kernel * (self.rate / math.sqrt(self.kernel.shape[1]))
        return F.linear(x, kernel, self.rate * self.bias)


class Kernel(nn.Module):
    """What convolutions have in common."""

    def __init__(self, fan_in: int, features: int, size: int) -> None:
        super().__init__()
        self.kernel = nn.Parameter(torch.empty(features, fan_in, size, size))
        self.scale, self.pad = 1 / math.sqrt(size * size * fan_in), size // 2


class Convolution(Kernel):
    """A convolution, biases and a leaky ReLU; of half the size if asked for."""

    def __init__(
        self, fan_in: int, features: int, size: int = 3, halves: bool = False
    ) -> None:
        super().__init__(fan_in, features, size)
        self.bias = nn.Parameter(torch.empty(features))
        self.filter = Filter(fan_in) if halves else None

    def forward(self, x: Tensor) -> Tensor:
        kernel = self.scale * self.kernel
        if self.filter is None:
            return activated(F.conv2d(x, kernel, self.bias, padding=self.pad))
        return activated(F.conv2d(self.filter.smoothed(x, 2), kernel, self.bias, 2))


class Modulated(Kernel):
    """A convolution whose input channels are scaled for each image."""

    def __init__(
        self, fan_in: int, features: int, size: int, doubles: bool, demodulates: bool
    ) -> None:
        super().__init__(fan_in, features, size)
        self.filter = Filter(features, 4) if doubles else None
        self.demodulates = demodulates

    def forward(self, x: Tensor, styles: Tensor) -> Tensor:
        kernel = self.scale * self.kernel
        x = x * styles[:, :, None, None]
        if self.filter is None:
            x = F.conv2d(x, kernel, padding=self.pad)
        else:
            # A transposed convolution turns its kernels around.
            turned = kernel.flip(2, 3).transpose(0, 1)
            x = self.filter.smoothed(F.conv_transpose2d(x, turned, stride=2), 1)
        if not self.demodulates:
            return x
        norms = styles.square() @ kernel.square().sum((2, 3)).T
        return x * (norms + 1e-8).rsqrt()[:, :, None, None]


class Styled(nn.Module):
    """A modulated convolution, noise, biases and a leaky ReLU."""

    def __init__(self, fan_in: int, features: int, width: int, doubles: bool) -> None:
        super().__init__()
        self.styles = Linear(width, fan_in)
        self.convolution = Modulated(fan_in, features, 3, doubles, True)
        self.noise = nn.Parameter(torch.empty(()))
        self.bias = nn.Parameter(torch.empty(features))

    def forward(self, x: Tensor, latents: Tensor, noise: Tensor) -> Tensor:
        x = self.convolution(x, self.styles(latents))
        noise = (self.noise * noise).view(len(x), 1, *x.shape[2:])
        return activated(x + noise + self.bias[:, None, None])


class Colours(nn.Module):
    """From features to what they add to an image."""

    def __init__(self, fan_in: int, width: int) -> None:
        super().__init__()
        self.styles = Linear(width, fan_in)
        self.convolution = Modulated(fan_in, 3, 1, False, False)
        self.bias = nn.Parameter(torch.empty(3))

    def forward(self, x: Tensor, latents: Tensor) -> Tensor:
        return self.convolution(x, self.styles(latents)) + self.bias[:, None, None]


class Mapping(nn.Module):
    """From noise and a class, or a class alone, to a vector."""

    def __init__(self, classes: int, width: int, layers: int, noise: bool) -> None:
        super().__init__()
        self.classes, self.layers = Linear(classes, width), layers
        for number in range(layers):
            fan_in = 2 * width if noise and not number else width
            self.add_module(f"layer{number}", Linear(fan_in, width, 0.01))

    def forward(self, classes: Tensor, noise: Tensor | None = None) -> Tensor:
        x = normalised(self.classes(classes))
        if noise is not None:
            x = torch.cat([normalised(noise), x], 1)
        for number in range(self.layers):
            x = activated(self.get_submodule(f"layer{number}")(x))
        return x


class Generator(nn.Module):
    """From noise and a class to an image; see `jaxbias.models.stylegan2`."""

    def __init__(
        self, features: Sequence[int], width: int, classes: int, layers: int = 2
    ) -> None:
        super().__init__()
        self.width = width
        self.mapping = Mapping(classes, width, layers, True)
        self.constant = nn.Parameter(torch.empty(features[-1], 4, 4))
        self.sides = [4 << level for level in range(len(features))]
        self.doubling = Filter(3, 4)
        now = features[-1]
        for side, own in zip(self.sides, features[::-1], strict=True):
            for number in range(2):
                if side > 4 or number:
                    layer = Styled(now, own, width, number == 0)
                    self.add_module(f"layer{side}_{number}", layer)
                now = own
            self.add_module(f"colours{side}", Colours(own, width))

    def forward(self, noise: Tensor, classes: Tensor, added: Tensor) -> Tensor:
        latents = self.mapping(classes, noise)
        x = self.constant.expand(len(noise), -1, -1, -1)
        picture, first = None, 0
        for side in self.sides:
            for number in range(2):
                if side > 4 or number:
                    own = added[:, first : first + side**2]
                    first += side**2
                    x = self.get_submodule(f"layer{side}_{number}")(x, latents, own)
            more = self.get_submodule(f"colours{side}")(x, latents)
            picture = more if picture is None else self.doubling.doubled(picture) + more
        assert picture is not None
        return picture


def with_spread(x: Tensor) -> Tensor:
    """Features, and one more: how far those of a group of images are apart."""
    count, _, rows, columns = x.shape
    group = max(n for n in range(1, min(GROUP, count) + 1) if count % n == 0)
    grouped = x.reshape(-1, group, x[0].numel())
    apart = grouped - grouped.mean(1, keepdim=True)
    spread = (apart.square().mean(1) + 1e-8).sqrt().mean(1)
    planes = spread.repeat_interleave(group)[:, None, None, None]
    return torch.cat([x, planes.expand(-1, 1, rows, columns)], 1)


class Discriminator(nn.Module):
    """From an image and a class to the logit of its being real."""

    def __init__(
        self, features: Sequence[int], width: int, classes: int, layers: int = 8
    ) -> None:
        super().__init__()
        self.width, last = width, features[-1]
        self.colours, self.halving = Convolution(3, features[0], 1), []
        for level, own in enumerate(features[:-1]):
            side = 4 << (len(features) - 1 - level)
            for number, (out, halves) in enumerate(
                ((own, False), (features[level + 1], True))
            ):
                name = f"layer{side}_{number}"
                self.add_module(name, Convolution(own, out, 3, halves))
                self.halving.append(name)
        self.last, self.flat = Convolution(last + 1, last), Linear(16 * last, last)
        self.seen = Linear(last, width)
        self.mapping = Mapping(classes, width, layers, False)

    def forward(self, images: Tensor, classes: Tensor) -> Tensor:
        x = self.colours(images)
        for name in self.halving:
            x = self.get_submodule(name)(x)
        x = self.last(with_spread(x)).permute(0, 2, 3, 1).flatten(1)
        x = self.seen(activated(self.flat(x)))
        return (x * self.mapping(classes)).sum(1) / math.sqrt(self.width)


def as_theirs(value: Any) -> np.ndarray:
    """A Flax weight in PyTorch's order of axes; the constant's too."""
    value = np.asarray(value)
    orders = {2: (1, 0), 3: (2, 0, 1), 4: (3, 2, 0, 1)}
    return value.transpose(orders.get(value.ndim)).copy()


@torch.no_grad()
def fill(module: nn.Module, params: Any) -> None:
    """Give a module the weights of a Flax module, as NumPy arrays."""
    for path, weights in module.named_parameters():
        weights.copy_(torch.tensor(as_theirs(at(params, path))))
