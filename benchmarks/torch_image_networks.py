"""Networks of small images in PyTorch: EDM's DDPM++, and the class-conditional DCGAN.

Layers are named as ours are, so that weights find their places. Imports no JAX.
"""

import math
from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F


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
        own = at(params, path)
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
            kept = at(statistics, path)
            values |= {"running_mean": kept["mean"], "running_var": kept["var"]}
        for name, value in values.items():
            getattr(layer, name).copy_(torch.tensor(np.ascontiguousarray(value)))


def at(tree: Any, path: str) -> Any:
    """What a tree of mappings has at a path with dots."""
    for name in path.split("."):
        tree = tree[name]
    return tree
