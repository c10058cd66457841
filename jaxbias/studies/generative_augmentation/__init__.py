"""Generative data augmentation (Zheng et al., NeurIPS 2023): when generated data help."""

TITLE = "Toward Understanding Generative Data Augmentation: when generated data help"

EXPERIMENTS = {
    "gaussian-mixture": (
        "jaxbias.studies.generative_augmentation.mixture.experiment",
        "the paper's Figure 1: gap, losses, exact law and bound on a Gaussian mixture",
    ),
    "generations": (
        "jaxbias.studies.generative_augmentation.generations.experiment",
        "fit, draw, fit again: when a generator of generated data dies out",
    ),
    "mixture-variants": (
        "jaxbias.studies.generative_augmentation.variants.experiment",
        "beyond the paper: classes, covariances, classifiers, weights, bad generators",
    ),
    "generator": (
        "jaxbias.studies.generative_augmentation.generator.experiment",
        "train cDCGAN, EDM or StyleGAN2 on small images, and draw images from it",
    ),
    "image-generations": (
        "jaxbias.studies.generative_augmentation.image_generations.experiment",
        "generators of images that are trained on what generators drew",
    ),
    "images": (
        "jaxbias.studies.generative_augmentation.images.experiment",
        "classifiers on real and generated images: gains, gaps, with and without "
        "augmentation",
    ),
}
"""Experiments by name: the module that has Config, PRESETS and run, and one line."""

DEFAULT = "gaussian-mixture"
