"""The paper's unbiased model: an inverse Fourier transform with free coefficients."""

import math

import flax.linen as nn
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float

from jaxbias.numerics.activations import ACTIVATIONS


def half_space(max_frequency: int, dimension: int) -> np.ndarray:
    """Whole-number frequency vectors up to a maximum, one of each pair {k, -k}, no 0."""
    line = np.arange(-max_frequency, max_frequency + 1)
    every = np.stack(np.meshgrid(*[line] * dimension, indexing="ij"), -1)
    every = every.reshape(-1, dimension)
    # Keep a vector if its first non-zero entry is positive.
    first = np.argmax(every != 0, axis=1)
    return every[every[np.arange(len(every)), first] > 0]


class UnbiasedModel(nn.Module):
    """f(x) = sum_k a_k sin(pi k.x + phase_k): no frequency is preferred.

    A network of one hidden layer with sine activation, whose input weights are fixed to
    one Fourier component a unit; amplitudes a_k and phases are its parameters.

    Attributes:
        max_frequency: Largest frequency along an axis, in periods over [-1, 1]. With
            half the resolution of a grid the spectrum is flat up to the grid's limit.
    """

    max_frequency: int = 32

    @nn.compact
    def __call__(
        self, x: Float[Array, "point dimension"]
    ) -> tuple[Float[Array, " point"], dict[str, Array]]:
        """Evaluate; the intermediates are the components before they are summed."""
        frequencies = half_space(self.max_frequency, x.shape[-1])
        count = len(frequencies)
        # The prior's U(-1, 1) biases are phases in half-turns.
        phase = self.param("bias", nn.initializers.zeros, (count,))
        amplitude = self.param("kernel", nn.initializers.normal(), (count, 1))
        fixed = np.asarray(frequencies.T * math.pi, np.float32)
        angle = jnp.dot(x, fixed, precision=lax.Precision.HIGHEST)
        angle = angle + math.pi * phase[None, :]
        waves = ACTIVATIONS["sine"](angle)
        output = jnp.dot(waves, amplitude, precision=lax.Precision.HIGHEST)[:, 0]
        return output, {"hidden1": waves}
