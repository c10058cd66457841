"""Neural Redshift (Teney et al., CVPR 2024): the complexity that networks prefer."""

TITLE = "Neural Redshift: the complexity that random networks prefer"

EXPERIMENTS = {
    "random-networks": (
        "jaxbias.studies.neural_redshift.random_networks.experiment",
        "complexity of random-weight networks over activation, scale, depth and variant",
    ),
    "modulo-addition": (
        "jaxbias.studies.neural_redshift.modulo.experiment",
        "which networks learn targets of rising frequency, by activation and prefactor",
    ),
    "modulo-search": (
        "jaxbias.studies.neural_redshift.modulo.search",
        "what it takes for the published outcome of modulo-addition",
    ),
    "shortcut": (
        "jaxbias.studies.neural_redshift.shortcut.experiment",
        "a digit or the colour beside it: what is learned, by complexity at the start",
    ),
    "collage": (
        "jaxbias.studies.neural_redshift.shortcut.collage",
        "a digit above a picture: which is learned, by activation and prefactor",
    ),
    "init-vs-trained": (
        "jaxbias.studies.neural_redshift.init_vs_trained.experiment",
        "whether complexity at random weights says what training ends with",
    ),
    "complex-start": (
        "jaxbias.studies.neural_redshift.complex_start.experiment",
        "gradient descent from weights of a complex function: does it stay complex?",
    ),
    "unbiased-training": (
        "jaxbias.studies.neural_redshift.unbiased_training.experiment",
        "the model without a bias, trained: it fits, and generalises to nothing",
    ),
    "guess-and-check": (
        "jaxbias.studies.neural_redshift.guess_and_check.experiment",
        "random networks that happen to fit a few points, and what else they get right",
    ),
    "transformers": (
        "jaxbias.studies.neural_redshift.transformers.experiment",
        "how complex is what an untrained GPT-2 writes, by activation, depth and scale",
    ),
    "boolean-prior": (
        "jaxbias.studies.neural_redshift.boolean_prior.experiment",
        "how often random networks compute a Boolean function, against its complexity",
    ),
    "sensitivity": (
        "jaxbias.studies.neural_redshift.sensitivity.experiment",
        "which single bits random transformers, LSTMs and MLPs listen to",
    ),
    "measures": (
        "jaxbias.studies.neural_redshift.measures.experiment",
        "where measures of complexity agree, old and new, and where not",
    ),
    "zero-mean-activations": (
        "jaxbias.studies.neural_redshift.zero_mean.experiment",
        "whether E[phi(z)] = 0 is what makes random networks complex",
    ),
}
"""Experiments by name: the module that has Config, PRESETS and run, and one line."""

DEFAULT = "random-networks"
