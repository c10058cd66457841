"""What the transformers experiment can be asked: options, presets, limits.

Nothing here loads JAX: the command line reads its options before any device starts.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

from jaxbias.files import UsageError
from jaxbias.settings import at_least, at_most, check_seed, positive, refuse_repeats
from jaxbias.studies.neural_redshift.random_networks.config import ACTIVATIONS

Setting = Literal["paper", "author_code"]

NAMED = ("gelu", "relu", "selu", "tanh", "gaussian", "sine")
"""The activations that the paper speaks of."""

AUTHOR_GAMMAS = tuple(round(10 ** (i / 12 - 1), 4) for i in range(25))
"""0.1 to 10, log-spaced: the authors' code."""

GAMMAS = (0.1, 0.15, 0.2, 0.3, 0.5, 0.7, 1.0, 1.5, 2.0, 3.0, 5.0, 7.0, 10.0)

MOST_SEQUENCES = 10**8
"""Rows of the results table, which is held in memory."""


@dataclass(frozen=True, kw_only=True)
class Config:
    """Which networks to draw and what to let them write."""

    setting: Setting = "paper"
    """Published setting that the defaults come from: "paper" (new weights for each
    sequence, a random first token, 100 tokens) or "author_code" (the first tokens 0, 1,
    ... for each of five draws of weights, 50 tokens)."""
    activations: tuple[str, ...] = NAMED
    """Activations of the blocks' perceptrons, by name or the import path of any function
    (jax.nn.gelu is GPT-2's own GELU, by tanh; "gelu" is exact, as in the authors' code)."""
    gammas: tuple[float, ...] = GAMMAS
    """Scales of the blocks' layer norms; 1 is GPT-2's."""
    depths: tuple[int, ...] = (1, 3, 6, 9, 12)
    """Blocks in use; the others are cut off."""
    tokens: int = 100
    """Tokens to write after the first."""
    draws: int = 1000
    """Draws of weights. All activations, scales and depths share them."""
    prompts: int = 1
    """First tokens for each draw."""
    first_tokens: Literal["random", "numbered"] = "random"
    """Random first tokens, or the tokens 0, 1, 2, ... for every draw."""
    scale_final: bool = False
    """Whether the scale holds for the layer norm after the blocks too."""
    gaussian_width: float = 0.7071068
    """Width w of the Gaussian activation exp(-x^2 / (2 w^2)); the default is exp(-x^2)."""
    layers: int = 12
    """Blocks of the network before any is cut off."""
    width: int = 768
    """Channels."""
    heads: int = 12
    """Attention heads; divides the width."""
    vocabulary: int = 50_257
    """Tokens that there are."""
    init_std: float = 0.02
    """Standard deviation of the blocks' weights. Where the width is not 768,
    0.02 sqrt(768 / width) keeps what layers give as it is in GPT-2."""
    seed: int = 0
    """Seed of all random numbers, 0 to 2^32 - 1."""


PAPER = Config()
AUTHOR_CODE = Config(
    setting="author_code",
    activations=ACTIVATIONS,
    gammas=AUTHOR_GAMMAS,
    tokens=50,
    draws=5,
    prompts=1000,
    first_tokens="numbered",
)

SMALL: Mapping[str, object] = {
    "layers": 6,
    "width": 96,
    "heads": 3,
    "vocabulary": 1000,
    # What layers give is as in 768 channels.
    "init_std": 0.0566,
    "draws": 4,
    "prompts": 2,
    "depths": (1, 6),
}

PRESETS_BY = "setting"
"""The option that presets go by, besides `--preset`."""

PRESETS: Mapping[str, Mapping[str, Config]] = {
    "paper": {
        "smoke": replace(PAPER, gammas=(0.2, 1.0, 5.0), tokens=60, **SMALL),
        "quick": replace(
            PAPER,
            gammas=(0.2, 0.5, 1.0, 2.0, 5.0, 10.0),
            depths=(1, 6, 12),
            tokens=60,
            draws=8,
            prompts=2,
        ),
        "paper": PAPER,
    },
    "author_code": {
        "smoke": replace(AUTHOR_CODE, gammas=AUTHOR_GAMMAS[::12], **SMALL),
        "quick": replace(
            AUTHOR_CODE,
            gammas=AUTHOR_GAMMAS[::4],
            depths=(3, 12),
            draws=4,
            prompts=3,
        ),
        "paper": AUTHOR_CODE,
    },
}
"""Defaults by setting and preset."""


def check_values(config: Config) -> None:
    """Raise `UsageError`, in one line, for what can be told without JAX."""
    refuse_repeats(config)
    positive(config, "gammas", "gaussian_width", "init_std")
    at_least(
        config,
        **{"depths": 1, "tokens": 2, "draws": 1, "prompts": 1, "layers": 1},
        **{"width": 2, "heads": 1, "vocabulary": 2},
    )
    at_most(
        config,
        **{"depths": config.layers, "tokens": 1023, "draws": 10**6, "prompts": 10**6},
        **{"layers": 1000, "width": 2**14, "vocabulary": 2**20},
    )
    check_seed(config)
    if config.width % config.heads:
        raise UsageError(
            f"--heads: must divide the width, got {config.heads} of {config.width}"
        )
    if config.first_tokens == "numbered" and config.prompts > config.vocabulary:
        raise UsageError(
            f"--prompts: {config.prompts:,} numbered tokens of {config.vocabulary:,}"
        )
    conditions = len(config.activations) * len(config.gammas) * len(config.depths)
    sequences = conditions * config.draws * config.prompts
    if sequences > MOST_SEQUENCES:
        raise UsageError(
            f"--draws: {sequences:,} sequences in all, at most {MOST_SEQUENCES:,}"
        )
