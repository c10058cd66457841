"""The U-Net of DDPM++: published size, its parts, and a PyTorch module of the same law."""

import math

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxbias.models import unet
from jaxbias.models.unet import UNet

try:
    import torch
    from torch.nn import functional as F
except ImportError:
    torch = None

needs_torch = pytest.mark.skipif(torch is None, reason="PyTorch is not installed")

SMALL = UNet(width=16, factors=(1, 2), blocks=1, attended=(4,), dropout=0.1)


def given(count=2, size=8):
    random = np.random.default_rng(0)
    images = random.normal(size=(count, size, size, 3)).astype(np.float32)
    times = np.linspace(-1.5, 1.0, count).astype(np.float32)
    classes = np.eye(10, dtype=np.float32)[:count]
    augmented = random.normal(size=(count, 9)).astype(np.float32)
    return tuple(jnp.asarray(x) for x in (images, times, classes, augmented))


@pytest.fixture(scope="module")
def small():
    inputs = given()
    variables = jax.jit(SMALL.init)(jax.random.key(0), *inputs)
    # Ends of branches begin near 0: draw them anew, so that they are seen.
    random = np.random.default_rng(1)

    def draw(leaf):
        noise = random.normal(size=leaf.shape)
        return leaf + 0.1 * jnp.asarray(noise, jnp.float32)

    return jax.tree.map(draw, variables), inputs


def test_weights_are_as_many_as_published():
    inputs = given(1, 32)
    shapes = jax.eval_shape(lambda: UNet().init(jax.random.key(0), *inputs))
    assert sum(leaf.size for leaf in jax.tree.leaves(shapes["params"])) == 55_735_299


def test_it_begins_near_nothing_and_as_large_as_its_input():
    inputs = given()
    variables = jax.jit(SMALL.init)(jax.random.key(0), *inputs)
    found = SMALL.apply(variables, *inputs)
    assert found.shape == inputs[0].shape and found.dtype == jnp.float32
    assert float(jnp.abs(found).max()) < 1e-2


def test_what_is_known_of_an_image_counts(small):
    variables, (images, times, classes, augmented) = small
    found = SMALL.apply(variables, images, times, classes, augmented)
    for other in (
        (images, times + 0.3, classes, augmented),
        (images, times, classes[::-1], augmented),
        (images, times, classes, augmented + 1),
    ):
        assert float(jnp.abs(SMALL.apply(variables, *other) - found).max()) > 1e-2
    # Nothing is dropped but in training.
    again = SMALL.apply(variables, images, times, classes, augmented)
    np.testing.assert_array_equal(found, again)
    dropped = SMALL.apply(
        variables,
        *(images, times, classes, augmented),
        train=True,
        rngs={"dropout": jax.random.key(0)},
    )
    assert float(jnp.abs(dropped - found).max()) > 1e-2


@pytest.mark.parametrize("features", [8, 48, 256])
def test_groups_are_normalised_as_by_flax(features):
    random = np.random.default_rng(0)
    shape = (2, 4, 6, features)
    x = jnp.asarray(3 + 2 * random.normal(size=shape), jnp.float32)
    groups = min(32, features // 4)
    theirs = nn.GroupNorm(num_groups=groups, epsilon=unet.EPSILON)
    variables = theirs.init(jax.random.key(0), x)
    draw = lambda leaf: jnp.asarray(random.normal(size=leaf.shape), jnp.float32)  # noqa: E731
    variables = jax.tree.map(draw, variables)
    ours = unet.GroupNorm()
    slope = lambda module: jax.grad(  # noqa: E731
        lambda v: jnp.sum(jnp.sin(module.apply(v, x)))
    )(variables)
    expected = theirs.apply(variables, x)
    np.testing.assert_allclose(ours.apply(variables, x), expected, atol=1e-5)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, atol=2e-3),
        *(slope(ours), slope(theirs)),
    )


def test_resolution_changes_by_means_and_copies():
    x = jnp.asarray(np.random.default_rng(0).normal(size=(2, 4, 6, 3)), jnp.float32)
    expected = nn.avg_pool(x, (2, 2), strides=(2, 2))
    np.testing.assert_allclose(unet.halved(x), expected, atol=1e-6)
    wide = np.repeat(np.repeat(np.asarray(x), 2, axis=1), 2, axis=2)
    np.testing.assert_array_equal(unet.doubled(x), wide)


def test_waves_go_from_a_radian_to_slow_ones():
    times = jnp.asarray([0.0, 1.0, 2.5])
    found = np.asarray(unet.waves(times, 8))
    speeds = 10_000.0 ** -(np.arange(4) / 3)
    angles = np.asarray(times)[:, None] * speeds
    np.testing.assert_allclose(
        found, np.concatenate([np.sin(angles), np.cos(angles)], 1), atol=1e-6
    )


def theirs(params, images, times, classes, augmented):
    """The same function in PyTorch, read off the paper's description."""
    get = lambda *path: torch.tensor(np.asarray(_at(params, path)))  # noqa: E731

    def dense(x, *path, bias=True):
        return F.linear(x, get(*path, "kernel").T, get(*path, "bias") if bias else None)

    def conv(x, *path):
        kernel = get(*path, "kernel").permute(3, 2, 0, 1)
        return F.conv2d(x, kernel, get(*path, "bias"), padding=kernel.shape[-1] // 2)

    def norm(x, *path):
        groups = min(32, x.shape[1] // 4)
        return F.group_norm(x, groups, get(*path, "scale"), get(*path, "bias"), 1e-6)

    def block(x, known, name, resample=None):
        y = F.silu(norm(x, name, "norm0"))
        if resample == "down":
            x, y = F.avg_pool2d(x, 2), F.avg_pool2d(y, 2)
        if resample == "up":
            x, y = (
                F.interpolate(one, scale_factor=2, mode="nearest") for one in (x, y)
            )
        y = conv(y, name, "conv0") + dense(known, name, "embedding")[:, :, None, None]
        y = conv(F.silu(norm(y, name, "norm1")), name, "conv1")
        if "skip" in params[name]:
            x = conv(x, name, "skip")
        x = (x + y) * math.sqrt(0.5)
        if "attention" not in params[name]:
            return x
        query, key, value = conv(norm(x, name, "norm2"), name, "attention").chunk(3, 1)
        query, key, value = (one.flatten(2) for one in (query, key, value))
        alike = torch.einsum("ncq,nck->nqk", query, key / math.sqrt(key.shape[1]))
        seen = torch.einsum("nqk,nck->ncq", alike.softmax(-1), value)
        return (conv(seen.reshape(x.shape), name, "projection") + x) * math.sqrt(0.5)

    half = SMALL.width // 2
    angles = times[:, None] * (1 / 10_000) ** (torch.arange(half) / (half - 1))[None]
    known = torch.cat([angles.sin(), angles.cos()], 1)
    known = known + dense(classes * math.sqrt(10), "classes")
    known = known + dense(augmented, "augmented", bias=False)
    known = F.silu(dense(F.silu(dense(known, "known0")), "known1"))
    x = conv(images, "first")
    skips = [x]
    skips.append(x := block(x, known, "down0_0"))
    skips.append(x := block(x, known, "down1", "down"))
    skips.append(x := block(x, known, "down1_0"))
    x = block(block(x, known, "middle0"), known, "middle1")
    for name in ("up1_0", "up1_1"):
        x = block(torch.cat([x, skips.pop()], 1), known, name)
    x = block(x, known, "up0", "up")
    for name in ("up0_0", "up0_1"):
        x = block(torch.cat([x, skips.pop()], 1), known, name)
    return conv(F.silu(norm(x, "norm")), "last")


def _at(tree, path):
    for name in path:
        tree = tree[name]
    return tree


@needs_torch
def test_it_is_a_pytorch_module_of_the_same_law(small):
    variables, inputs = small
    images, times, classes, augmented = inputs

    def loss(images):
        found = SMALL.apply(variables, images, times, classes, augmented)
        return jnp.sum(found**2) / 2, found

    (_, found), slope = jax.value_and_grad(loss, has_aux=True)(images)
    pixels = torch.tensor(np.asarray(images).transpose(0, 3, 1, 2), requires_grad=True)
    rest = (torch.tensor(np.asarray(x)) for x in (times, classes, augmented))
    expected = theirs(variables["params"], pixels, *rest)
    (expected**2).sum().div(2).backward()
    scale = float(jnp.abs(found).max())
    expected = expected.detach().numpy().transpose(0, 2, 3, 1)
    np.testing.assert_allclose(found, expected, atol=1e-4 * scale)
    theirs_slope = pixels.grad.numpy().transpose(0, 2, 3, 1)
    scale = float(np.abs(theirs_slope).max())
    np.testing.assert_allclose(slope, theirs_slope, atol=1e-4 * scale)
    # Attention is only where it was asked for.
    attends = {name for name, own in variables["params"].items() if "attention" in own}
    assert attends == {"down1_0", "middle0", "up1_1"}
