"""What the generator experiment can be asked: options, presets, limits."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

from jaxbias.files import UsageError
from jaxbias.settings import at_least, at_most, check_seed, positive

Kind = Literal["cdcgan", "edm", "stylegan2"]

PRESETS_BY = "kind"
"""Field that has other defaults for each value."""

SIZE = 32
"""Side of the images in pixels."""


@dataclass(frozen=True, kw_only=True)
class Config:
    """What is trained on what, and what is drawn from it."""

    kind: Kind = "cdcgan"
    """cdcgan: a generator against a discriminator, both told the class; edm: a denoiser
    that is followed from noise to an image, told the class; stylegan2: a generator by
    styles against a discriminator that sees augmented images, both told the class."""
    data: str = "shapes"
    """Labelled images: cifar10:DIR, folder:DIR and so on, or shapes, which are drawn
    here."""
    most_images: int | None = None
    """Train on no more than this many images, as many of each class as it allows."""
    width: int = 128
    """Features: of cdcgan's generator before its last layer, twice those of the
    discriminator's first; of edm's first layer; of stylegan2 where its factor is 1."""
    factors: tuple[int, ...] = (2, 2, 2)
    """Of edm's and stylegan2's features at each resolution, the full one first; stylegan2
    has four, and latents as its last features."""
    blocks: int = 4
    """Of edm at each resolution."""
    attended: tuple[int, ...] = (16,)
    """Sides in pixels at which edm attends over all pixels."""
    dropout: float = 0.13
    """Of edm."""
    augmented: float = 0.0
    """Chance of each of the geometric changes by which edm's images are augmented and of
    which it is told; 0: half of the images are mirrored, and it is told nothing."""
    epochs: float | int = 200
    """Times that the images are seen."""
    batch: int = 64
    """Images of a step."""
    rate: float = 2e-4
    """Learning rate of Adam."""
    rise: float = 0.0
    """Share of the steps in which the rate rises from 0."""
    average: float | None = None
    """Half-life, in images seen, of the average of edm's or stylegan2's weights from which
    is drawn."""
    penalty: float = 0.01
    """Weight of R1, the squared slope of stylegan2's discriminator at real images."""
    target: float = 0.6
    """Mean sign of stylegan2's logits of real images to which augmentation is adapted; 1:
    no augmentation."""
    span: float = 500_000.0
    """Images in which the probability of stylegan2's augmentation can rise from 0 to 1."""
    steps: int = 18
    """Levels of noise of edm's sampler; the network is called 2 steps - 1 times."""
    churn: float = 0.0
    """Noise that edm's sampler adds on the way; 0: none."""
    one_class: bool = False
    """Draw from cdcgan in batches of 500 images of one class, normalised by their own
    statistics, as the released code does, and not by running ones."""
    samples: int = 50_000
    """Images that are drawn in the end, as many of each class, and written."""
    measured: int = 2_000
    """Of these, and of images that were not trained on, for distances."""
    inception: str = ""
    """PyTorch weights of the Inception network of FID, which distances are then taken on
    too: pytorch-fid's pt_inception-2015-12-05-6726825d.pth, or safetensors."""
    seed: int = 0
    """Seed of all random numbers, 0 to 2^32 - 1."""


CDCGAN: Mapping[str, Config] = {
    "smoke": replace(
        Config(),
        width=8,
        most_images=200,
        epochs=2,
        batch=50,
        samples=100,
        measured=100,
    ),
    "quick": replace(
        Config(), width=32, most_images=4_000, epochs=70, samples=10_000, measured=1_000
    ),
    "paper": Config(),
}

_EDM = replace(
    Config(),
    kind="edm",
    augmented=0.12,
    epochs=4_000,
    batch=512,
    rate=1e-3,
    rise=0.05,
    average=500_000.0,
)

EDM: Mapping[str, Config] = {
    "smoke": replace(
        _EDM,
        width=16,
        factors=(1, 1),
        blocks=1,
        attended=(),
        augmented=0.0,
        most_images=200,
        epochs=2,
        batch=50,
        average=None,
        steps=4,
        samples=20,
        measured=20,
    ),
    "quick": replace(
        _EDM,
        width=16,
        factors=(1, 2, 4),
        blocks=1,
        attended=(8,),
        dropout=0.0,
        augmented=0.0,
        most_images=4_000,
        epochs=14,
        batch=32,
        rate=2e-3,
        average=4_000.0,
        samples=400,
        measured=400,
    ),
    "paper": _EDM,
}

_STYLEGAN2 = replace(
    Config(),
    kind="stylegan2",
    width=512,
    factors=(1, 1, 1, 1),
    epochs=2_000,
    rate=2.5e-3,
    average=500_000.0,
)

STYLEGAN2: Mapping[str, Config] = {
    "smoke": replace(
        _STYLEGAN2,
        width=4,
        factors=(1, 2, 2, 4),
        most_images=200,
        epochs=2,
        batch=50,
        average=None,
        span=1_000.0,
        samples=20,
        measured=20,
    ),
    "quick": replace(
        _STYLEGAN2,
        width=16,
        factors=(1, 2, 4, 8),
        most_images=5_000,
        epochs=18,
        average=10_000.0,
        span=100_000.0,
        samples=2_000,
        measured=1_000,
    ),
    "paper": _STYLEGAN2,
}

PRESETS: Mapping[str, Mapping[str, Config]] = {
    "cdcgan": CDCGAN,
    "edm": EDM,
    "stylegan2": STYLEGAN2,
}
"""Defaults by kind and preset; paper has the published sizes and lengths."""


def check_values(config: Config) -> None:
    """Raise `UsageError`, in one line, for what can be told without JAX."""
    at_least(config, width=4, blocks=1, batch=2, steps=2, churn=0, samples=10)
    at_least(config, measured=10, dropout=0, augmented=0, rise=0, most_images=10)
    at_least(config, penalty=0, target=-1)
    at_most(config, width=1_024, blocks=32, batch=2**14, steps=1_000, samples=10**8)
    at_most(config, measured=50_000, epochs=10**6, rise=0.9, augmented=1, target=1)
    positive(config, "epochs", "rate", "average", "span")
    if not config.dropout < 1:
        raise UsageError(f"--dropout: below 1, got {config.dropout}")
    if not 1 <= len(config.factors) <= 4 or min(config.factors) < 1:
        raise UsageError("--factors: one to four whole numbers of 1 or more")
    if config.kind == "stylegan2" and len(config.factors) != 4:
        raise UsageError("--factors: four for stylegan2, of 32, 16, 8 and 4 pixels")
    if config.kind == "edm" and config.width % 4:
        raise UsageError(f"--width: a multiple of 4, got {config.width}")
    if config.kind == "cdcgan" and config.width % 2:
        raise UsageError(f"--width: even, got {config.width}")
    if config.measured > config.samples:
        raise UsageError(f"--measured: {config.measured} of {config.samples} samples")
    check_seed(config)
