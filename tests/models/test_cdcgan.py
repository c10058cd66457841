"""cDCGAN: published sizes, and the same numbers as a PyTorch module of the same layers."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxbias.models.cdcgan import NOISE, Discriminator, Generator

try:
    import torch
    from torch import nn
except ImportError:
    torch = None

needs_torch = pytest.mark.skipif(torch is None, reason="PyTorch is not installed")


def given(count=6, classes=10):
    random = np.random.default_rng(0)
    noise = random.normal(size=(count, NOISE)).astype(np.float32)
    labels = np.eye(classes, dtype=np.float32)[np.arange(count) % classes]
    images = random.uniform(-1, 1, (count, 32, 32, 3)).astype(np.float32)
    return jnp.asarray(noise), jnp.asarray(labels), jnp.asarray(images)


def count(module, *inputs):
    shapes = jax.eval_shape(lambda: module.init(jax.random.key(0), *inputs))
    return sum(leaf.size for leaf in jax.tree.leaves(shapes["params"]))


def test_weights_are_as_many_as_published():
    noise, labels, images = given()
    assert count(Generator(), noise, labels) == 3_079_936
    assert count(Discriminator(), images, labels) == 2_644_480


def test_weights_begin_as_published():
    noise, labels, images = given()
    for module, inputs in (
        (Generator(width=16), (noise, labels)),
        (Discriminator(width=16), (images, labels)),
    ):
        params = module.init(jax.random.key(0), *inputs)["params"]
        leaves = jax.tree_util.tree_leaves_with_path(params)
        for path, leaf in leaves:
            name = jax.tree_util.keystr(path, simple=True, separator="/")
            if name.endswith("kernel") and leaf.size > 1_000:
                assert abs(float(leaf.std()) - 0.02) < 0.002, name
            if name.endswith("scale"):
                assert 0.005 < float(leaf.std()) < 0.04, name
                assert abs(float(leaf.mean()) - 1) < 0.02, name


def test_images_are_in_range_and_statistics_are_of_the_batch_or_kept():
    noise, labels, images = given()
    module = Generator(width=8)
    variables = module.init(jax.random.key(0), noise, labels)
    made = module.apply(variables, noise, labels)
    assert made.shape == (6, 32, 32, 3) and float(jnp.abs(made).max()) <= 1
    batch, updated = module.apply(
        variables, noise, labels, train=True, mutable=["batch_stats"]
    )
    assert float(jnp.abs(batch - made).max()) > 0.01
    # A batch of one class has nothing left of the class but what its shape says.
    alone = jnp.broadcast_to(labels[:1], labels.shape)
    other = module.apply(variables, noise, alone, train=True, mutable=["batch_stats"])
    assert np.isfinite(np.asarray(other[0])).all()
    assert set(updated["batch_stats"]) == {
        *("noise_norm", "classes_norm", "norm1", "norm2")
    }


def weights_of(module, flat):
    """PyTorch's layers in order, given Flax's weights in the same order."""
    layers = [
        one
        for one in module.modules()
        if isinstance(one, (nn.Conv2d, nn.ConvTranspose2d, nn.BatchNorm2d))
    ]
    assert len(layers) == len(flat)
    for layer, own in zip(layers, flat, strict=True):
        with torch.no_grad():
            if isinstance(layer, nn.BatchNorm2d):
                layer.weight.copy_(torch.tensor(np.asarray(own["scale"])))
                layer.bias.copy_(torch.tensor(np.asarray(own["bias"])))
            else:
                kernel = np.asarray(own["kernel"])
                if isinstance(layer, nn.ConvTranspose2d):
                    if kernel.ndim == 2:
                        kernel = kernel.reshape(len(kernel), 4, 4, -1)
                        kernel = kernel.transpose(0, 3, 1, 2)
                    else:
                        kernel = kernel[::-1, ::-1].transpose(2, 3, 0, 1)
                else:
                    kernel = kernel.transpose(3, 2, 0, 1)
                layer.weight.copy_(torch.tensor(kernel.copy()))


@needs_torch
def test_the_generator_is_the_released_one():
    width = 8

    class Theirs(nn.Module):
        def __init__(self):
            super().__init__()
            up = lambda a, b, s, p: nn.ConvTranspose2d(a, b, 4, s, p, bias=False)  # noqa: E731
            self.a = nn.Sequential(
                up(NOISE, 2 * width, 1, 0), nn.BatchNorm2d(2 * width), nn.ReLU()
            )
            self.b = nn.Sequential(
                up(10, 2 * width, 1, 0), nn.BatchNorm2d(2 * width), nn.ReLU()
            )
            self.rest = nn.Sequential(
                up(4 * width, 2 * width, 2, 1),
                nn.BatchNorm2d(2 * width),
                nn.ReLU(),
                up(2 * width, width, 2, 1),
                nn.BatchNorm2d(width),
                nn.ReLU(),
                up(width, 3, 2, 1),
                nn.Tanh(),
            )

        def forward(self, noise, labels):
            both = self.a(noise[:, :, None, None]), self.b(labels[:, :, None, None])
            return self.rest(torch.cat(both, 1))

    noise, labels, _ = given()
    module = Generator(width=width)
    variables = module.init(jax.random.key(1), noise, labels)
    params = variables["params"]
    names = ("noise", "noise_norm", "classes", "classes_norm", "up1", "norm1")
    theirs = Theirs()
    weights_of(theirs, [params[name] for name in (*names, "up2", "norm2", "up3")])
    for train in (True, False):
        theirs.train(train)
        found = module.apply(
            variables, noise, labels, train=train, mutable=["batch_stats"]
        )[0]
        if not train:
            # Running statistics are as they were at first.
            for one in theirs.modules():
                if isinstance(one, nn.BatchNorm2d):
                    one.reset_running_stats()
        expected = theirs(
            torch.tensor(np.asarray(noise)), torch.tensor(np.asarray(labels))
        )
        expected = expected.detach().numpy().transpose(0, 2, 3, 1)
        np.testing.assert_allclose(found, expected, atol=1e-5)


@needs_torch
def test_the_discriminator_is_the_released_one():
    width = 8

    class Theirs(nn.Module):
        def __init__(self):
            super().__init__()
            down = lambda a, b, s=2, p=1: nn.Conv2d(a, b, 4, s, p, bias=False)  # noqa: E731
            self.a, self.b = down(3, width), down(10, width)
            self.rest = nn.Sequential(
                nn.LeakyReLU(0.2),
                down(2 * width, 4 * width),
                nn.BatchNorm2d(4 * width),
                nn.LeakyReLU(0.2),
                down(4 * width, 8 * width),
                nn.BatchNorm2d(8 * width),
                nn.LeakyReLU(0.2),
                down(8 * width, 1, 1, 0),
            )

        def forward(self, images, planes):
            return self.rest(torch.cat([self.a(images), self.b(planes)], 1)).flatten()

    _, labels, images = given()
    module = Discriminator(width=width)
    variables = module.init(jax.random.key(1), images, labels)
    params = variables["params"]
    theirs = Theirs()
    names = ("image", "classes", "down1", "norm1", "down2", "norm2", "real")
    weights_of(theirs, [params[name] for name in names])

    def loss(params, images):
        logits, _ = module.apply(
            {**variables, "params": params},
            *(images, labels),
            train=True,
            mutable=["batch_stats"],
        )
        return jnp.sum(jax.nn.softplus(logits)), logits

    (_, found), slope = jax.value_and_grad(loss, argnums=1, has_aux=True)(
        params, images
    )
    pixels = torch.tensor(np.asarray(images).transpose(0, 3, 1, 2), requires_grad=True)
    planes = torch.tensor(np.asarray(labels))[:, :, None, None].expand(-1, -1, 32, 32)
    expected = theirs(pixels, planes)
    nn.functional.softplus(expected).sum().backward()
    np.testing.assert_allclose(found, expected.detach().numpy(), atol=1e-4)
    theirs_slope = pixels.grad.numpy().transpose(0, 2, 3, 1)
    np.testing.assert_allclose(slope, theirs_slope, atol=1e-5)
