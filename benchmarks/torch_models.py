"""The image models of `benchmarks.training` as one writes them for speed in PyTorch.

ResNet-18 with a stem for small images, ViT-Ti/16 and ConvNeXt-Femto, with as many
parameters as ours. Images are channels-last, attention is
`scaled_dot_product_attention`, and the optimiser is the fused one.

    python -m benchmarks.torch_models DESCRIPTOR   # started by `training`, not by hand

Only this process imports torch: one that holds JAX never does.
"""

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from benchmarks.other_side import serve
from jaxbias.data.images import ImageFolder, squared


class Residual(nn.Module):
    """Two 3 x 3 convolutions beside a shortcut."""

    def __init__(self, fan_in: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(fan_in, width, 3, stride, 1, bias=False)
        self.conv2 = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.norm1, self.norm2 = nn.BatchNorm2d(width), nn.BatchNorm2d(width)
        self.shortcut = nn.Sequential()
        if stride != 1 or fan_in != width:
            conv = nn.Conv2d(fan_in, width, 1, stride, bias=False)
            self.shortcut = nn.Sequential(conv, nn.BatchNorm2d(width))

    def forward(self, x: Tensor) -> Tensor:
        h = F.relu(self.norm1(self.conv1(x)), inplace=True)
        return F.relu(self.norm2(self.conv2(h)) + self.shortcut(x), inplace=True)


def resnet18_cifar(classes: int) -> nn.Module:
    layers: list[nn.Module] = [
        nn.Conv2d(3, 64, 3, 1, 1, bias=False),
        nn.BatchNorm2d(64),
        nn.ReLU(inplace=True),
    ]
    fan_in = 64
    for stage, width in enumerate((64, 128, 256, 512)):
        layers.append(Residual(fan_in, width, 2 if stage else 1))
        layers.append(Residual(width, width, 1))
        fan_in = width
    pooled = nn.AdaptiveAvgPool2d(1), nn.Flatten()
    return nn.Sequential(*layers, *pooled, nn.Linear(512, classes))


class Encoder(nn.Module):
    """Attention and a perceptron of each token, each after a layer norm."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(width, 1e-6), nn.LayerNorm(width, 1e-6)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.wide, self.narrow = (
            nn.Linear(width, 4 * width),
            nn.Linear(4 * width, width),
        )

    def forward(self, x: Tensor) -> Tensor:
        images, tokens, width = x.shape
        split = self.qkv(self.norm1(x)).view(images, tokens, 3, self.heads, -1)
        query, key, value = split.permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(query, key, value)
        x = x + self.out(mixed.transpose(1, 2).reshape(images, tokens, width))
        return x + self.narrow(F.gelu(self.wide(self.norm2(x))))


class ViT(nn.Module):
    """A vision transformer with a class token and learned positions."""

    def __init__(self, classes: int, width: int = 192, heads: int = 3) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, width, 16, 16)
        self.token = nn.Parameter(torch.zeros(1, 1, width))
        self.positions = nn.Parameter(torch.randn(1, 197, width) * 0.02)
        self.blocks = nn.Sequential(*(Encoder(width, heads) for _ in range(12)))
        self.norm, self.head = nn.LayerNorm(width, 1e-6), nn.Linear(width, classes)

    def forward(self, images: Tensor) -> Tensor:
        x = self.patches(images).flatten(2).transpose(1, 2)
        x = torch.cat([self.token.expand(len(x), -1, -1), x], 1) + self.positions
        return self.head(self.norm(self.blocks(x)[:, 0]))


class NormChannels(nn.LayerNorm):
    """Layer norm over the channels of a channels-last image."""

    def forward(self, input: Tensor) -> Tensor:
        return super().forward(input.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class ConvNeXtBlock(nn.Module):
    """A 7 x 7 depthwise convolution and a perceptron of each pixel."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(width, width, 7, 1, 3, groups=width)
        self.norm = nn.LayerNorm(width, 1e-6)
        self.wide = nn.Linear(width, 4 * width)
        self.narrow = nn.Linear(4 * width, width)
        self.scale = nn.Parameter(torch.full((width,), 1e-6))

    def forward(self, x: Tensor) -> Tensor:
        h = self.norm(self.depthwise(x).permute(0, 2, 3, 1))
        h = self.narrow(F.gelu(self.wide(h))) * self.scale
        return x + h.permute(0, 3, 1, 2)


def convnext_femto(classes: int) -> nn.Module:
    depths, widths = (2, 2, 6, 2), (48, 96, 192, 384)
    layers: list[nn.Module] = [nn.Conv2d(3, 48, 4, 4), NormChannels(48, 1e-6)]
    for stage, (depth, width) in enumerate(zip(depths, widths, strict=True)):
        if stage:
            before = widths[stage - 1]
            layers += [NormChannels(before, 1e-6), nn.Conv2d(before, width, 2, 2)]
        layers += [ConvNeXtBlock(width) for _ in range(depth)]
    pooled = nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.LayerNorm(384, 1e-6)
    return nn.Sequential(*layers, *pooled, nn.Linear(384, classes))


MODELS: dict[str, Callable[[int], nn.Module]] = {
    "resnet18_cifar": resnet18_cifar,
    "vit_tiny": ViT,
    "convnext_femto": convnext_femto,
}


class Training:
    """One model in training on one batch of random images, which is uint8 as ours is."""

    def __init__(self, name: str, classes: int, batch: int, size: int) -> None:
        torch.manual_seed(0)
        model = MODELS[name](classes)
        self.model = model.to(memory_format=torch.channels_last)  # pyright: ignore
        pixels = torch.randint(0, 256, (batch, size, size, 3), dtype=torch.uint8)
        # Channels-last by its strides, without a copy.
        self.pixels = pixels.permute(0, 3, 1, 2)
        self.labels = torch.randint(0, classes, (batch,))
        if name == "resnet18_cifar":
            self.optimiser = torch.optim.SGD(
                self.model.parameters(), 1e-3, 0.9, weight_decay=5e-4, fused=True
            )
        else:
            self.optimiser = torch.optim.AdamW(
                self.model.parameters(), 1e-4, weight_decay=0.05, fused=True
            )
        self.forwards: dict[str, Callable[[], Tensor]] = {"eager": self.loss}
        self.mean = torch.tensor((0.485, 0.456, 0.406))[:, None, None]
        self.sd = torch.tensor((0.229, 0.224, 0.225))[:, None, None]

    def loss(self) -> Tensor:
        images = (self.pixels.float() / 255 - self.mean) / self.sd
        return F.cross_entropy(self.model(images), self.labels)

    def step(self, form: str) -> float:
        """Train on the batch; "eager" or "compiled". Returns the loss."""
        if form not in self.forwards:
            self.forwards[form] = torch.compile(self.loss, dynamic=False)
        self.optimiser.zero_grad(set_to_none=True)
        loss = self.forwards[form]()
        loss.backward()
        self.optimiser.step()
        return float(loss.detach())


def train(held: dict, *, steps: int, form: str, threads: int, **setting: Any) -> dict:
    """Take steps; see `timed`."""
    torch.set_num_threads(threads)
    if "training" not in held:
        held["training"] = Training(**setting)
    training = held["training"]
    return timed(training.model, partial(training.step, form), steps)


def timed(model: nn.Module, step: Callable[[], Any], steps: int) -> dict:
    """Take steps: seconds of each, parameters, megabytes of the process's peak."""
    seconds = []
    for _ in range(steps):
        start = time.perf_counter()
        step()
        seconds.append(time.perf_counter() - start)
    count = sum(p.numel() for p in model.parameters())
    # Not `getrusage`, which begins with what the process that started this one had.
    status = Path("/proc/self/status").read_text()
    peak = int(status.split("VmHWM:")[1].split()[0]) / 1024
    return dict(seconds=seconds, parameters=count, peak_mb=peak)


class Photographs(torch.utils.data.Dataset):
    """A folder of images, decoded and cut to squares by the same functions as ours."""

    def __init__(self, folder: str, size: int) -> None:
        self.source, self.size = ImageFolder.open(Path(folder)), size

    def __len__(self) -> int:
        return len(self.source)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        pixels, label = self.source[index]
        return torch.from_numpy(squared(pixels, self.size).copy()), label


def read(folder: str, size: int, batch: int, workers: int) -> dict:
    """Read a folder once, shuffled, in other processes; the start of these counts."""
    data = Photographs(folder, size)
    start = time.perf_counter()
    loader = torch.utils.data.DataLoader(
        data, batch, shuffle=True, num_workers=workers, drop_last=False
    )
    images = sum(len(labels) for _, labels in loader)
    return dict(seconds=[time.perf_counter() - start], images=images)


if __name__ == "__main__":
    serve({"train": partial(train, {}), "read": read})
