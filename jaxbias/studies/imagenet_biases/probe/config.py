"""What the probe experiment can be asked: options, presets, limits."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, get_args

from jaxbias.files import UsageError
from jaxbias.settings import at_least, at_most, check_seed, once, one_or_more, positive

Part = Literal[
    "clean",
    "shape",
    "spectral",
    "critical-band",
    "corruptions",
    "c-bar",
    "adversarial",
    "ood",
    "cues",
]
PARTS: tuple[Part, ...] = get_args(Part)
"""clean: validation images as they are; spectral to adversarial: the same, changed; ood:
sets of other images of the same classes; shape and cues: sixteen categories."""

CHANGED: tuple[Part, ...] = PARTS[2:7]
"""Parts that show each validation image many times."""

NEEDED: Mapping[Part, tuple[str, ...]] = {
    "clean": ("imagenet",),
    "shape": ("cue_conflict",),
    **{part: ("imagenet",) for part in CHANGED},
    "ood": ("v2", "real", "imagenet_a", "imagenet_r", "sketch"),
    "cues": ("edges", "silhouettes", "stylized"),
}
"""Options of which a part needs one."""

RADIUS, STEP = 0.5 / 255, 2 / 255
"""The published attack: largest change of a pixel, and length of a step."""

SIZES = (224, 256)
"""Published `size` and `resize`."""

SMALLEST, LARGEST = 16, 1024
"""Of images, in pixels."""


@dataclass(frozen=True, kw_only=True)
class Config:
    """Which networks to measure, and on what."""

    weights: tuple[str, ...] = ()
    """PyTorch weights, .safetensors or .pth: one file a network. All are shown the same
    stimuli."""
    model: str = "resnet50"
    """Architecture of all of them, by its name in the catalogue."""
    imagenet: str = ""
    """Validation images: a folder with val/ or of class folders, tar:DIR, tfds:NAME or any
    other source; its classes, sorted, are numbered as the networks' are."""
    v2: str = ""
    """ImageNet-V2: folders named by class, or by its number, zero-padded or not."""
    real: str = ""
    """ReaL labels (real.json): a list of classes for each validation image."""
    imagenet_a: str = ""
    """ImageNet-A; folders named as those of the validation images."""
    imagenet_r: str = ""
    """ImageNet-R, likewise."""
    sketch: str = ""
    """ImageNet-Sketch, likewise."""
    cue_conflict: str = ""
    """Cue-conflict images, in sixteen folders by shape."""
    edges: str = ""
    """Edge images, in sixteen folders."""
    silhouettes: str = ""
    """Filled silhouettes, in sixteen folders."""
    stylized: str = ""
    """Stylised images, in sixteen folders."""
    categories: str = "imagenet"
    """Which classes are in each of the sixteen categories: imagenet, cifar10, itself (the
    classes are the categories), or a JSON file of class numbers by category."""
    parts: tuple[Part, ...] = PARTS
    """What to measure; parts without their images are left out."""
    images: int = 2_000
    """Validation images that are changed, drawn at random; 0: all."""
    clean_images: int = 0
    """Validation images that are shown as they are, and images of each other set at most,
    drawn at random; 0: all."""
    size: int = 224
    """Side of the central square that networks see, in pixels."""
    resize: int = 256
    """The shorter side is first brought to this."""
    batch: int = 64
    """Images that are decoded and sent to the devices at once."""
    mean: tuple[float, float, float] | None = None
    """Subtracted from channels on the scale 0 to 1; None: the catalogue's."""
    sd: tuple[float, float, float] | None = None
    """Channels are divided by it; None: the catalogue's."""
    precision: Literal["highest", "default"] = "highest"
    """Of the networks' products: float32, or what the device takes by default, which is
    faster on a GPU and coarser. Stimuli are always made at the highest."""
    pgd_steps: int = 40
    """Steps of the attack."""
    pgd_radius: float = RADIUS
    """Largest change of a pixel, on the scale 0 to 1."""
    pgd_step: float = STEP
    """Length of a step, likewise."""
    band_strength: float = 1.0
    """Contrast and noise of the critical band's images, over the published ones."""
    chance: float = 0.0
    """Accuracy of guessing, which is taken off where accuracies are held against clean
    ones. Published: 0, as that of 1,000 classes is near."""
    aggregation: Literal["mean", "sum", "max"] = "mean"
    """How probabilities of a category's classes are brought together."""
    resamples: int = 2_000
    """Resamples of source images for the interval of shape bias."""
    published: Literal["", "tv_resnet50"] = ""
    """Row of the published table that the weights should give; it is judged if all of the
    images were used."""
    seed: int = 0
    """Seed of all random numbers, 0 to 2^32 - 1."""


PRESETS: Mapping[str, Config] = {
    "smoke": replace(Config(), images=2, clean_images=16, batch=2, pgd_steps=2),
    "quick": Config(),
    "paper": replace(Config(), images=0, resamples=10_000),
}
"""Defaults by preset; paper shows every image."""


def check_values(config: Config) -> None:
    """Raise `UsageError`, in one line, for what can be told without JAX."""
    once(config, "weights")
    names = names_of(config)
    if len(set(names)) < len(names):
        raise UsageError(
            "--weights: two files of one name; the network is called by it"
        )
    if config.published and len(names) > 1:
        raise UsageError(f"--published: of one network, got {len(names)} --weights")
    one_or_more(config, "parts")
    at_least(config, images=0, clean_images=0, size=SMALLEST, resize=config.size)
    at_least(config, batch=1, pgd_steps=1, resamples=100)
    at_most(config, size=LARGEST, resize=2 * LARGEST, batch=2**14, pgd_steps=10**4)
    at_most(config, pgd_radius=1, pgd_step=1, resamples=10**6, band_strength=5)
    positive(config, "pgd_radius", "pgd_step", "sd", "band_strength")
    at_least(config, chance=0)
    at_most(config, chance=0.9)
    check_seed(config)
    for field in NEEDED["ood"]:
        if getattr(config, field) and not config.imagenet:
            raise UsageError(
                f"--{field.replace('_', '-')}: needs --imagenet, whose classes it has"
            )


def check_given(config: Config) -> None:
    """Raise `UsageError`, naming the option, if there is nothing to measure."""
    if not config.weights:
        raise UsageError("--weights: a file of weights is needed, one for each network")
    if not measured(config):
        raise UsageError(
            "--imagenet: no images for any of the parts; give it, or --cue-conflict"
        )


def names_of(config: Config) -> tuple[str, ...]:
    """The networks' names: those of the files, without their ends."""
    return tuple(Path(path).stem for path in config.weights)


def measured(config: Config) -> tuple[Part, ...]:
    """The parts that there are images for."""
    return tuple(
        part
        for part in PARTS
        if part in config.parts and any(getattr(config, f) for f in NEEDED[part])
    )


def left_out(config: Config) -> tuple[str, ...]:
    """What is asked for and cannot be measured, each with the options it needs."""
    found = []
    for part in config.parts:
        absent = [f for f in NEEDED[part] if not getattr(config, f)]
        if absent:
            options = " ".join(f"--{field.replace('_', '-')}" for field in absent)
            found.append(f"{part} ({options})")
    return tuple(found)
