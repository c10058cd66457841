"""The 19 corruptions of ImageNet-C (Hendrycks and Dietterich 2019) by name.

Fifteen make up the benchmark; speckle noise, Gaussian blur, spatter and saturate are its
extra ones. See `severities` for what all share and for small images.
"""

from jaxbias.data import (
    corruption_blur,
    corruption_digital,
    corruption_noise,
    corruption_spatter,
    corruption_weather,
)
from jaxbias.data.severities import Corruption

CORRUPTIONS: dict[str, Corruption] = {
    "gaussian_noise": corruption_noise.gaussian_noise,
    "shot_noise": corruption_noise.shot_noise,
    "impulse_noise": corruption_noise.impulse_noise,
    "speckle_noise": corruption_noise.speckle_noise,
    "gaussian_blur": corruption_blur.gaussian_blur,
    "defocus_blur": corruption_blur.defocus_blur,
    "glass_blur": corruption_blur.glass_blur,
    "motion_blur": corruption_blur.motion_blur,
    "zoom_blur": corruption_blur.zoom_blur,
    "snow": corruption_weather.snow,
    "frost": corruption_weather.frost,
    "fog": corruption_weather.fog,
    "spatter": corruption_spatter.spatter,
    "brightness": corruption_digital.brightness,
    "contrast": corruption_digital.contrast,
    "saturate": corruption_digital.saturate,
    "elastic_transform": corruption_digital.elastic_transform,
    "pixelate": corruption_digital.pixelate,
    "jpeg_compression": corruption_digital.jpeg_compression,
}
"""From the names of the benchmark's columns to (key, image, severity) -> image."""
