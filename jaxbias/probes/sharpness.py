"""Curvature of a loss: the ends of its Hessian's spectrum, by Lanczos' method.

The Hessian is never built: a handful of its products with vectors gives its largest and
smallest eigenvalues, and how far off they are.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float

from jaxbias.arrays import Params, RandomKey
from jaxbias.probes.paths import Function

Matvec = Callable[[Float[Array, " entry"]], Float[Array, " entry"]]

BREAKDOWN = 1e-5
"""A new direction shorter than this share of the matrix's size is rounding."""


class Extremes(NamedTuple):
    """The ends of a symmetric matrix's spectrum, as far as Lanczos' method has come.

    Attributes:
        largest: Most positive eigenvalue, approached from below.
        smallest: Most negative one, approached from above.
        largest_residual: |A v - lambda v| of the unit vector that goes with `largest`:
            some eigenvalue lies no farther from it than that.
        smallest_residual: The same for `smallest`.
        finite: Whether all numbers met on the way were.
    """

    largest: Float[Array, ""]
    smallest: Float[Array, ""]
    largest_residual: Float[Array, ""]
    smallest_residual: Float[Array, ""]
    finite: Array

    def top(self) -> Float[Array, ""]:
        """The eigenvalue of largest size, with its sign."""
        down = jnp.abs(self.smallest) > jnp.abs(self.largest)
        return jnp.where(down, self.smallest, self.largest)


def lanczos(
    matvec: Matvec,
    start: Float[Array, " entry"],
    num_steps: int,
    *,
    reorthogonalise: bool = True,
) -> tuple[Float[Array, " step"], Float[Array, " step"]]:
    """Reduce a symmetric matrix to a tridiagonal one, by products with vectors alone.

    Args:
        matvec: Product of the matrix with a vector.
        start: First direction, not 0.
        num_steps: Products to take.
        reorthogonalise: Keep every direction and make each new one orthogonal to all:
            `num_steps` times the memory, and no eigenvalue found twice.

    Returns:
        The diagonal, and below it what each step leaves over; the last of these is what
        the reduction leaves out. Where the directions run out early, the rest is a block
        of its own that holds the first entry of the diagonal, a number between the
        smallest and the largest eigenvalue.
    """
    start = start / jnp.linalg.norm(start)
    kept = num_steps if reorthogonalise else 1
    basis = jnp.zeros((kept, start.shape[0])).at[0].set(start)

    def step(state: tuple, number: Array) -> tuple[tuple, tuple[Array, Array]]:
        basis, previous, current, beta, size, first = state
        product = matvec(current)
        alpha = jnp.vdot(current, product, precision=lax.Precision.HIGHEST)
        alive = jnp.any(current != 0)
        first = jnp.where(number == 0, alpha, first)
        rest = product - alpha * current - beta * previous
        if reorthogonalise:
            # Once is not enough where the first subtraction has cancelled much.
            for _ in range(2):
                along = jnp.matmul(basis, rest, precision=lax.Precision.HIGHEST)
                rest = rest - jnp.matmul(along, basis, precision=lax.Precision.HIGHEST)
        left = jnp.linalg.norm(rest)
        size = jnp.maximum(size, jnp.maximum(jnp.abs(alpha), left))
        left = jnp.where(left > BREAKDOWN * size, left, 0.0)
        following = rest / jnp.where(left > 0, left, 1.0) * (left > 0)
        if reorthogonalise:
            # Past the end the index is clipped, and the last direction is not needed.
            basis = lax.cond(
                number + 1 < num_steps,
                lambda: basis.at[number + 1].set(following),
                lambda: basis,
            )
        state = (basis, current, following, left, size, first)
        return state, (jnp.where(alive, alpha, first), left)

    zero = jnp.float32(0)
    state = (basis, jnp.zeros_like(start), start, zero, zero, zero)
    _, (diagonal, below) = lax.scan(step, state, jnp.arange(num_steps))
    return diagonal, below


def extreme_eigenvalues(
    matvec: Matvec,
    start: Float[Array, " entry"],
    num_steps: int,
    *,
    reorthogonalise: bool = True,
) -> Extremes:
    """Both ends of a symmetric matrix's spectrum; arguments as those of `lanczos`."""
    num_steps = min(num_steps, start.shape[0])
    diagonal, below = lanczos(matvec, start, num_steps, reorthogonalise=reorthogonalise)
    finite = jnp.all(jnp.isfinite(diagonal)) & jnp.all(jnp.isfinite(below))
    # An eigenvalue solver may not return from what is not finite.
    diagonal, below = (jnp.where(finite, x, 0.0) for x in (diagonal, below))
    reduced = jnp.diag(diagonal)
    if num_steps > 1:
        reduced += jnp.diag(below[:-1], 1) + jnp.diag(below[:-1], -1)
    values, vectors = jnp.linalg.eigh(reduced)
    residuals = below[-1] * jnp.abs(vectors[-1])
    found = (values[-1], values[0], residuals[-1], residuals[0])
    largest, smallest, *residuals = (jnp.where(finite, x, jnp.nan) for x in found)
    return Extremes(largest, smallest, residuals[0], residuals[1], finite)


def hessian_extremes(
    loss: Callable[[Params], Float[Array, ""]],
    params: Params,
    key: RandomKey,
    *,
    num_steps: int = 20,
    reorthogonalise: bool = True,
) -> Extremes:
    """Largest and smallest eigenvalue of a loss' Hessian by the parameters.

    Args:
        loss: Pure, twice differentiable almost everywhere. A network whose depth is
            traced cannot be differentiated backwards: give it as a plain number.
        params: Where; float32 leaves.
        key: Of the first direction.
        num_steps: Hessian-vector products to take, each about four times the cost of
            the loss; the residuals say whether they were enough.
        reorthogonalise: See `lanczos`.

    Returns:
        The eigenvalues and their residuals, in units of the loss per squared unit of
        the parameters. A ReLU network's second derivatives are those where they exist.
    """
    flat, restore = ravel_pytree(params)
    gradient = jax.grad(lambda vector: loss(restore(vector)))

    def product(vector: Array) -> Array:
        with jax.default_matmul_precision("highest"):
            return jax.jvp(gradient, (flat,), (vector,))[1]

    start = jax.random.normal(key, flat.shape)
    return extreme_eigenvalues(
        product, start, num_steps, reorthogonalise=reorthogonalise
    )


def function_sharpness(
    predict: Function,
    params: Params,
    inputs: Float[Array, "point *shape"],
    key: RandomKey,
    *,
    num_steps: int = 20,
    reorthogonalise: bool = True,
) -> Extremes:
    """Curvature at the network's own function: how fast it moves with the parameters.

    The loss is the mean squared distance from what the network gives here and now, over
    twice the variance of that over the data. It needs no targets, its minimum is where
    the network stands, and its Hessian is the Gauss-Newton matrix of any targets that
    are fitted perfectly.

    Args:
        predict: Pure function of parameters and a batch of inputs.
        params: Its parameters.
        inputs: Points of the data.
        key: Of the first direction.
        num_steps: Of Lanczos' method.
        reorthogonalise: See `lanczos`.

    Returns:
        See `hessian_extremes`; not finite for a function that is constant on the data.
    """
    with jax.default_matmul_precision("highest"):
        here = lax.stop_gradient(predict(params, inputs))
        centre = jnp.mean(here, axis=0, keepdims=True)
        variance = jnp.sum(jnp.mean((here - centre) ** 2, axis=0))

        def residuals(vector: Array) -> Array:
            return predict(restore(vector), inputs)

        flat, restore = ravel_pytree(params)
        _, push = jax.linearize(residuals, flat)
        pull = jax.linear_transpose(push, flat)

    def product(vector: Array) -> Array:
        # The residuals vanish here, and with them the part of second derivatives.
        with jax.default_matmul_precision("highest"):
            return pull(push(vector))[0] / (variance * inputs.shape[0])

    start = jax.random.normal(key, flat.shape)
    return extreme_eigenvalues(
        product, start, num_steps, reorthogonalise=reorthogonalise
    )
