"""Recipes as data: everything about a training that is not the images.

A recipe says what the published ones say, in their terms; `build` makes a task of it.
`Running` is how a training is run, which is nobody's recipe. Importing this module does
not load JAX.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Optimiser = Literal["sgd", "adamw"]
RateSchedule = Literal[
    "one-cycle", "one-cycle-epochs", "cosine", "triangular", "warm-up", "constant"
]
Change = Literal[
    "crop",
    "flip",
    "alternating-flip",
    "resized-crop",
    "randaugment",
    "timm-randaugment",
    "colour-jitter",
    "erasing",
    "mixup",
    "cutmix",
]
Normalisation = Literal["model", "data", "clip"]
Precision = Literal["float32", "bfloat16"]
Views = Literal["none", "flip", "flip-and-shift"]


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How a network is trained."""

    model: str = "cnn4"
    """A model of the catalogue."""
    epochs: int | float = 2
    """Times that the training set is gone through; part of one is rounded up to steps."""
    batch: int = 128
    """Images of a step, over all devices."""
    accumulate: int = 1
    """Parts that a batch is cut into, one after the other; a divisor of the batch."""
    optimiser: Optimiser = "sgd"
    """sgd with momentum, or adamw; both as PyTorch's."""
    rate: float = 0.2
    """Largest learning rate."""
    schedule: RateSchedule = "one-cycle"
    """Of the learning rate. one-cycle: PyTorch's OneCycleLR; one-cycle-epochs: the same,
    stepped once an epoch; cosine: after a linear warm-up; triangular: airbench's; warm-up:
    linear, and constant after it."""
    rise: float = 0.3
    """Share of the steps (or epochs) in which the rate rises, 0 to 1."""
    momentum: float = 0.9
    """Of SGD."""
    beta1: float = 0.9
    """Of AdamW: decay of the average of gradients."""
    beta2: float = 0.999
    """Of AdamW: decay of the average of squared gradients."""
    cycle_momentum: bool = False
    """Let one-cycle move the momentum from 0.95 to 0.85 and back, as PyTorch's does."""
    nesterov: bool = True
    """Nesterov's momentum."""
    weight_decay: float = 5e-4
    """Coefficient of the squared weights' gradient; for adamw the decoupled one."""
    decay_everything: bool = False
    """Decay biases and norms too."""
    forget: bool = False
    """Let every epoch begin with a new optimiser; at a constant rate."""
    decoupled: bool = False
    """Of SGD: the rate is that of 1,024 images before momentum makes steps longer, and
    the decay does not depend on it; airbench's units."""
    bias_rate: float = 1.0
    """Of SGD: factor on the learning rate of normalisations' biases."""
    early_epochs: int | float = 3
    """Epochs in which parameters are trained that the model lets go early: the bias of
    airbench's whitening."""
    lookahead: bool = False
    """Draw the weights back to their moving average every 5 steps, and end with it."""
    augment: tuple[Change, ...] = ("crop", "flip")
    """What is done to the images of a batch, in this order; give `--augment` alone for
    nothing. randaugment is torchvision's; timm-randaugment rand-m9-mstd0.5-inc1."""
    padding: int = 4
    """Pixels by which crop moves an image, at most."""
    reflect: bool = False
    """Let crop bring in reflections in place of zeros."""
    crop_area: tuple[float, float] = (0.08, 1.0)
    """Least and largest share of the area that resized-crop takes."""
    jitter: float = 0.4
    """Range of brightness, contrast and saturation in colour-jitter."""
    mixup_alpha: float = 0.8
    """Of mixup's Beta distribution."""
    cutmix_alpha: float = 1.0
    """Of cutmix's Beta distribution."""
    smoothing: float = 0.0
    """Share of a target that is spread over all classes."""
    ema_decay: float | None = None
    """Of the moving average of the weights, which is then what is scored."""
    ema_ramp: float | None = None
    """Let this average's half-life be no longer than this share of the steps taken."""
    normalise: Normalisation = "model"
    """Mean and spread of the channels: the model's own, those of the training set, or
    CLIP's."""
    dtype: Precision = "float32"
    """Of the arithmetic; parameters are float32."""
    views: Views = "none"
    """What a validation image is shown as: as it is, with its mirror image, or airbench's
    six views."""


@dataclass(frozen=True, kw_only=True)
class Running:
    """How a training is run."""

    seed: int = 0
    """Seed of all random numbers, 0 to 2^32 - 1."""
    n_seeds: int = 1
    """Trainings, with this seed and those that follow it."""
    seed_axis: Literal["auto", "map", "vmap", "devices"] = "auto"
    """map: one seed after the other, each over all devices; vmap: all at once; devices:
    each device trains its own. auto: vmap for the mlp, map for all others, as a vmapped
    convolution is slow."""
    size: int | None = None
    """Side of the images in pixels; None: that of the set's arrays, or the model's."""
    most_images: int | None = None
    """Train on no more than this many images, as many of each class as it allows."""
    validate_every: int = 1
    """Epochs between two evaluations."""
    save_every: int | None = None
    """Steps between two checkpoints; None: an epoch."""
    log_every: int = 1
    """Steps between two rows of metrics.jsonl."""
    resident: Literal["auto", "yes", "no"] = "auto"
    """Keep all images on the device, or stream them; auto: up to 4 GiB of pixels."""
    workers: int = 0
    """Processes that decode a stream's images; 0: threads of this process."""
    bad_images: Literal["raise", "skip"] = "raise"
    """What to do with an image that cannot be decoded: stop, or skip and count it."""
    most_bad: float = 0.01
    """Largest share of images that may be skipped, 0 to 1."""
    non_finite: Literal["raise", "skip-seed"] = "raise"
    """What to do when a loss is not finite: stop, or leave that seed as it was."""
    shard_parameters: bool = False
    """Cut the parameters over the devices instead of keeping them whole on each."""

    @property
    def seeds(self) -> tuple[int, ...]:
        """The seeds of all trainings."""
        return tuple(range(self.seed, self.seed + self.n_seeds))


RECIPES: Mapping[str, Recipe] = {
    "small": Recipe(padding=2),
    "plain": Recipe(
        model="resnet18_cifar",
        epochs=100,
        batch=512,
        schedule="one-cycle-epochs",
        rise=0.025,
        cycle_momentum=True,
        nesterov=False,
        decay_everything=True,
        normalise="clip",
    ),
    "modern": Recipe(
        model="convnext_femto",
        epochs=300,
        batch=4096,
        optimiser="adamw",
        rate=4e-3,
        schedule="cosine",
        rise=20 / 300,
        weight_decay=0.05,
        augment=(
            "resized-crop",
            "flip",
            "timm-randaugment",
            "erasing",
            "mixup",
            "cutmix",
        ),
        smoothing=0.1,
        ema_decay=0.9999,
        dtype="bfloat16",
    ),
    # Paper: float16, weights included; here bfloat16, and the weights are float32.
    "fast": Recipe(
        model="airbench94",
        epochs=9.9,
        batch=1024,
        rate=11.5,
        schedule="triangular",
        rise=0.23,
        momentum=0.85,
        weight_decay=0.0153,
        decay_everything=True,
        decoupled=True,
        bias_rate=64.0,
        lookahead=True,
        augment=("alternating-flip", "crop"),
        padding=2,
        reflect=True,
        smoothing=0.2,
        normalise="data",
        dtype="bfloat16",
        views="flip-and-shift",
    ),
}
"""small: a four-layer network for two CPU cores, ours. plain: ResNet-18 as Zheng et al.
(NeurIPS 2023) train it on CIFAR-10, in their code. modern: ConvNeXt's own (Liu et al.,
CVPR 2022, Table 5). fast: airbench94 (Jordan, arXiv 2404.00498), in the author's code."""
