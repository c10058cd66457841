"""Gaussian mixtures with known classes, and generative models fitted to their points.

A class has a mean; all classes share a covariance. A fitted generator has the form of
factor analysis, covariance F F^T + diag(noise^2), which holds every kind of covariance: no
factors for isotropic and diagonal ones, a few for low rank, one for each point for the full
pooled covariance, which may be singular.

What draws takes standard normal numbers in place of a key: one draw for a whole trial,
sliced, compiles several times faster than one for each of its parts.
"""

from typing import Literal, NamedTuple, get_args

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from jaxbias.arrays import RandomKey

Covariance = Literal["isotropic", "diagonal", "low_rank", "full"]
COVARIANCES: tuple[Covariance, ...] = get_args(Covariance)

RANK = 2
"""Factors of a low-rank covariance."""

Points = Float[Array, "point dimension"]
Normals = Float[Array, "point number"]
Labels = Int[Array, " point"]


class Mixture(NamedTuple):
    """A true distribution: class means, and a factor L of the covariance L L^T."""

    means: Float[Array, "class dimension"]
    factor: Float[Array, "dimension dimension"]


class Generator(NamedTuple):
    """A fitted distribution: covariance F F^T + diag(noise^2) around class means."""

    means: Float[Array, "class dimension"]
    factors: Float[Array, "dimension factor"]
    noise: Float[Array, " dimension"]

    def covariance(self) -> Float[Array, "dimension dimension"]:
        return self.factors @ self.factors.T + jnp.diag(self.noise**2)


def centres(classes: int, dim: int) -> np.ndarray:
    """Class means at distance 1 from the origin, as far apart as can be.

    Two classes lie at -+1/sqrt(dim) in every coordinate; more at the corners of a regular
    simplex.

    Returns:
        Float32 array of shape (classes, dim), rows of length 1.

    Raises:
        ValueError: If there are fewer than two classes, or too many for the dimension.
    """
    if classes < 2:
        raise ValueError(f"{classes} classes, at least 2 are needed")
    if classes > dim + 1:
        raise ValueError(f"{classes} classes need {classes - 1} dimensions, got {dim}")
    if classes == 2:
        centre = np.full(dim, 1 / np.sqrt(dim))
        return np.stack([-centre, centre]).astype(np.float32)
    corners = np.eye(classes) - 1 / classes
    # Coordinates in the simplex' own space, one fewer than it has corners.
    _, _, basis = np.linalg.svd(corners)
    flat = corners @ basis[: classes - 1].T
    flat /= np.linalg.norm(flat, axis=1, keepdims=True)
    return np.pad(flat, ((0, 0), (0, dim - classes + 1))).astype(np.float32)


def covariance_factor(kind: Covariance, dim: int) -> np.ndarray:
    """Lower-triangular factor of a fixed covariance whose mean variance is 1.

    isotropic: the identity. diagonal: variances in geometric progression, the largest 16
    times the smallest. low_rank: two waves over the coordinates that carry 80 % of the
    variance, on isotropic noise. full: correlation 0.7^|i - j| between coordinates.

    Returns:
        Float32 array of shape (dim, dim).
    """
    if kind == "isotropic":
        covariance = np.eye(dim)
    elif kind == "diagonal":
        covariance = np.diag(np.geomspace(0.25, 4, dim)) if dim > 1 else np.eye(1)
    elif kind == "low_rank":
        angle = np.pi * (np.arange(dim) + 0.5) / dim
        waves = np.stack([np.cos(angle), np.cos(2 * angle)], axis=1)
        power = np.trace(waves @ waves.T) / dim
        covariance = 0.8 * waves @ waves.T / max(power, 1e-12) + 0.2 * np.eye(dim)
    elif kind == "full":
        place = np.arange(dim)
        covariance = 0.7 ** np.abs(place[:, None] - place)
    else:
        raise ValueError(f"{kind!r} is none of {', '.join(COVARIANCES)}")
    covariance = covariance * dim / np.trace(covariance)
    return np.linalg.cholesky(covariance).astype(np.float32)


def balanced_labels(count: int, classes: int) -> Labels:
    """Classes in turn, so that any multiple of `classes` first points is balanced."""
    return jnp.arange(count) % classes


def random_labels(key: RandomKey, count: int, classes: int) -> Labels:
    """Independent labels, every class as likely as another."""
    return jax.random.randint(key, (count,), 0, classes)


def sample(normals: Points, mixture: Mixture, labels: Labels) -> Points:
    """Draw one point of each label's class, from `dim` normal numbers each."""
    return mixture.means[labels] + normals @ mixture.factor.T


def fit(points: Points, labels: Labels, classes: int, kind: Covariance) -> Generator:
    """Fit class means and a pooled unbiased covariance of the given kind.

    low_rank is probabilistic principal component analysis (Tipping and Bishop 1999) of the
    pooled covariance. A class without points gets the mean of all points.

    Args:
        points: One a row, at least two more than there are classes.
        labels: Class of each point.
        classes: Number of classes.
        kind: What the generator assumes of the covariance.
    """
    count, dim = points.shape
    member = jax.nn.one_hot(labels, classes)
    sizes = member.sum(0)
    means = (member.T @ points) / jnp.maximum(sizes, 1)[:, None]
    means = jnp.where((sizes > 0)[:, None], means, points.mean(0)[None])
    residual = points - means[labels]
    # Each class that is there costs one degree of freedom.
    degrees = jnp.maximum(count - jnp.sum(sizes > 0), 1)
    none = jnp.zeros((dim, 1))
    if kind == "isotropic":
        variance = jnp.sum(residual**2) / (degrees * dim)
        return Generator(means, none, jnp.full(dim, jnp.sqrt(variance)))
    if kind == "diagonal":
        return Generator(means, none, jnp.sqrt(jnp.sum(residual**2, 0) / degrees))
    if kind == "full":
        return Generator(means, residual.T / jnp.sqrt(degrees), jnp.zeros(dim))
    rank = min(RANK, dim - 1)
    values, vectors = jnp.linalg.eigh(residual.T @ residual / degrees)
    rest = jnp.maximum(jnp.mean(values[: dim - rank]), 0.0)
    strength = jnp.sqrt(jnp.maximum(values[dim - rank :] - rest, 0.0))
    factors = vectors[:, dim - rank :] * strength[None] if rank else none
    return Generator(means, factors, jnp.full(dim, jnp.sqrt(rest)))


def degrade(generator: Generator, amount: Float[Array, ""]) -> Generator:
    """Move the class means towards one another: a generator that confuses the classes.

    Args:
        generator: What was fitted.
        amount: 0 leaves it as it is; 1 makes all classes alike.
    """
    centre = generator.means.mean(0)[None]
    return generator._replace(means=centre + (1 - amount) * (generator.means - centre))


def factor_count(kind: Covariance, count: int, dim: int) -> int:
    """Factors of a generator that was fitted to `count` points."""
    return {"low_rank": max(1, min(RANK, dim - 1)), "full": count}.get(kind, 1)


def generate(
    noise: Points, factors: Normals, generator: Generator, labels: Labels
) -> Points:
    """Draw one point of each label's class from a fitted generator.

    Args:
        noise: Normal numbers, as many as dimensions for each point.
        factors: Normal numbers, as many as the generator has factors for each point.
        generator: From `fit`.
        labels: The points' classes.
    """
    return (
        generator.means[labels]
        + factors @ generator.factors.T
        + noise * generator.noise[None]
    )


def total_variation(
    normals: Points, mixture: Mixture, generator: Generator
) -> Float[Array, ""]:
    """Total variation distance between the true and the generated first class, 0 to 1.

    An unbiased estimate, E max(0, 1 - q/p) over points of the true class, which are drawn
    from `normals`; exactly 1 where the generator's covariance is singular.
    """
    points = mixture.means[:1] + normals @ mixture.factor.T
    root = jnp.linalg.cholesky(generator.covariance())
    scaled = jax.scipy.linalg.solve_triangular(
        root, (points - generator.means[:1]).T, lower=True
    )
    log_q = -jnp.sum(scaled**2, 0) / 2 - jnp.sum(jnp.log(jnp.diag(root)))
    log_p = -jnp.sum(normals**2, 1) / 2 - jnp.sum(jnp.log(jnp.diag(mixture.factor)))
    overlap = jnp.mean(jnp.maximum(0.0, 1 - jnp.exp(log_q - log_p)))
    return jnp.where(jnp.isfinite(root).all() & jnp.isfinite(overlap), overlap, 1.0)
