"""Image models by name: how they are made, what they expect, where they come from."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import flax.linen as nn
import jax.numpy as jnp

from jaxbias.arrays import Params
from jaxbias.files import UsageError
from jaxbias.models import airbench
from jaxbias.models.convnext import ConvNeXt
from jaxbias.models.layers import Images
from jaxbias.models.plain import VGG, AlexNet, ImageMLP, SmallCNN
from jaxbias.models.resnet import ResNet, Stem
from jaxbias.models.vit import ViT

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_SD = (0.229, 0.224, 0.225)
CIFAR_MEAN = (0.4914, 0.4822, 0.4465)
CIFAR_SD = (0.2470, 0.2435, 0.2616)
HALF = (0.5, 0.5, 0.5)


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One model of the catalogue.

    Attributes:
        make: From the number of classes and the arithmetic's dtype to a module whose
            `__call__(images, train)` gives logits and named intermediates.
        size: Side of the images that it was made for, in pixels.
        mean: Of the channels, on the scale 0 to 1; subtracted from images.
        sd: Of the channels; images are divided by it.
        source: Who published the architecture, and whose sizes these are.
        prepare: From fresh parameters and normalised training images to the parameters
            that training starts from; None where images have no say.
        fixed: Parameters that are not trained, as paths: module/name.
        early: Parameters that are trained at the beginning alone.
    """

    make: Callable[[int, Any], nn.Module]
    size: int
    mean: tuple[float, float, float] = IMAGENET_MEAN
    sd: tuple[float, float, float] = IMAGENET_SD
    source: str
    prepare: Callable[[Params, Images], Params] | None = None
    fixed: tuple[str, ...] = ()
    early: tuple[str, ...] = ()


def _vgg(layers: int):
    return Entry(
        make=lambda classes, dtype: VGG(layers, classes=classes, dtype=dtype),
        size=224,
        source="Simonyan and Zisserman, ICLR 2015; sizes of torchvision (BSD-3)",
    )


def _resnet(stages: tuple[int, ...], *, bottleneck: bool = False, cifar: bool = False):
    return Entry(
        make=lambda classes, dtype: ResNet(
            stages,
            classes=classes,
            bottleneck=bottleneck,
            stem="cifar" if cifar else "imagenet",
            dtype=dtype,
        ),
        size=32 if cifar else 224,
        source="He et al., CVPR 2016; sizes of torchvision (BSD-3)"
        if not cifar
        else "He et al., CVPR 2016; stem of kuangliu/pytorch-cifar (MIT)",
    )


def _small_resnet(blocks: int, stem: Stem = "cifar"):
    """He et al.'s networks for CIFAR-10: 6 n + 2 layers, 16, 32 and 64 channels."""
    # Paper: shortcuts that halve the image pad with zeros (A); here they are convolutions
    # (B), which adds 2,752 weights.
    own = (
        ""
        if stem == "cifar"
        else ", with a first convolution of stride 2: this project"
    )
    return Entry(
        make=lambda classes, dtype: ResNet(
            (blocks,) * 3, classes=classes, stem=stem, width=16, dtype=dtype
        ),
        size=32,
        mean=CIFAR_MEAN,
        sd=CIFAR_SD,
        source=f"He et al., CVPR 2016, section 4.2{own}",
    )


def _vit(width: int, heads: int):
    return Entry(
        make=lambda classes, dtype: ViT(
            width=width, heads=heads, classes=classes, dtype=dtype
        ),
        size=224,
        mean=HALF,
        sd=HALF,
        source="Dosovitskiy et al., ICLR 2021; sizes of timm (Apache-2.0)",
    )


def _convnext(depths: tuple[int, ...], widths: tuple[int, ...]):
    return Entry(
        make=lambda classes, dtype: ConvNeXt(
            depths, widths, classes=classes, dtype=dtype
        ),
        size=224,
        source="Liu et al., CVPR 2022; sizes of the authors (MIT) and of timm "
        "(Apache-2.0)",
    )


def _airbench(widths: tuple[int, ...]):
    return Entry(
        make=lambda classes, dtype: airbench.Airbench(
            widths, classes=classes, dtype=dtype
        ),
        size=32,
        mean=CIFAR_MEAN,
        sd=CIFAR_SD,
        source="Jordan, arXiv 2404.00498; sizes of KellerJordan/cifar10-airbench (MIT)",
        prepare=airbench.whiten,
        fixed=airbench.FIXED,
        early=airbench.EARLY,
    )


CATALOGUE: Mapping[str, Entry] = {
    "alexnet": Entry(
        make=lambda classes, dtype: AlexNet(classes=classes, dtype=dtype),
        size=224,
        source="Krizhevsky, arXiv 1404.5997; sizes of torchvision (BSD-3)",
    ),
    "vgg11": _vgg(11),
    "vgg16": _vgg(16),
    "resnet18": _resnet((2, 2, 2, 2)),
    "resnet34": _resnet((3, 4, 6, 3)),
    "resnet50": _resnet((3, 4, 6, 3), bottleneck=True),
    "resnet101": _resnet((3, 4, 23, 3), bottleneck=True),
    "resnet8_small": _small_resnet(1, "halving"),
    "resnet8_cifar": _small_resnet(1),
    "resnet20_cifar": _small_resnet(3),
    "resnet18_cifar": _resnet((2, 2, 2, 2), cifar=True),
    "resnet50_cifar": _resnet((3, 4, 6, 3), bottleneck=True, cifar=True),
    "vit_tiny": _vit(192, 3),
    "vit_small": _vit(384, 6),
    "vit_base": _vit(768, 12),
    "vit_32": Entry(
        make=lambda classes, dtype: ViT(
            width=512,
            depth=7,
            heads=8,
            patch=4,
            hidden=2048,
            classes=classes,
            small_image_quirks=True,
            dtype=dtype,
        ),
        size=32,
        mean=HALF,
        sd=HALF,
        source="omihub777/ViT-CIFAR, as Harnessing Synthetic Datasets (2023) uses it",
    ),
    "vit_32_small": Entry(
        make=lambda classes, dtype: ViT(
            width=128, depth=4, heads=4, patch=4, classes=classes, dtype=dtype
        ),
        size=32,
        mean=HALF,
        sd=HALF,
        source="this project; the encoder of mae_32",
    ),
    "convnext_toy": _convnext((1, 1, 1, 1), (4, 6, 12, 15)),
    "convnext_femto": _convnext((2, 2, 6, 2), (48, 96, 192, 384)),
    "convnext_nano": _convnext((2, 2, 8, 2), (80, 160, 320, 640)),
    "convnext_tiny": _convnext((3, 3, 9, 3), (96, 192, 384, 768)),
    "convnext_small": _convnext((3, 3, 27, 3), (96, 192, 384, 768)),
    "convnext_base": _convnext((3, 3, 27, 3), (128, 256, 512, 1024)),
    "airbench94": _airbench(airbench.WIDTHS_94),
    "airbench95": _airbench(airbench.WIDTHS_95),
    "cnn4": Entry(
        make=lambda classes, dtype: SmallCNN(classes=classes, dtype=dtype),
        size=32,
        source="this project",
    ),
    "cnn4_narrow": Entry(
        make=lambda classes, dtype: SmallCNN(width=16, classes=classes, dtype=dtype),
        size=32,
        source="this project",
    ),
    "mlp": Entry(
        make=lambda classes, dtype: ImageMLP(classes=classes, dtype=dtype),
        size=32,
        source="this project",
    ),
}
"""Every image model, by the name that the command line takes."""


class UnknownModelError(ValueError):
    """No model of that name; the message lists those that there are."""


def entry(name: str) -> Entry:
    """Find a model.

    Raises:
        UnknownModelError: If there is no such model.
    """
    if name not in CATALOGUE:
        raise UnknownModelError(f"no model {name!r}: one of {', '.join(CATALOGUE)}")
    return CATALOGUE[name]


def check(*names: str, option: str = "--model") -> None:
    """Raise `UsageError`, naming the option, if one of these models is not there."""
    for name in names:
        try:
            entry(name)
        except UnknownModelError as error:
            raise UsageError(f"{option}: {error}") from error


def build(name: str, classes: int, dtype: Any = jnp.float32) -> nn.Module:
    """Make a model of the catalogue.

    Args:
        name: A name of `CATALOGUE`.
        classes: Number of outputs.
        dtype: Of the arithmetic; parameters are float32.

    Raises:
        UnknownModelError: If there is no such model.
    """
    return entry(name).make(classes, dtype)
