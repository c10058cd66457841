"""StyleGAN2: sizes, layers as naive sums, gradients of both networks, what is adapted."""

from functools import partial
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax
from scipy import signal

from jaxbias.models import adaptive_adversaries, stylegan2
from jaxbias.models.adaptive_adversaries import PENALTY, AdaptiveAdversaries
from jaxbias.models.adversaries import FAKE, FOOLED, REAL
from jaxbias.models.convolution import NHWC, transposed
from jaxbias.models.style_layers import Linear, Modulated, doubled, smoothed
from jaxbias.models.stylegan2 import Discriminator, Generator, with_spread
from jaxbias.training.objectives import adversarial_with_penalty

try:
    import torch
    from torch.nn import functional as F

    from benchmarks import torch_stylegan2 as styles
    from benchmarks.torch_image_networks import at
except ImportError:
    torch = None

needs_torch = pytest.mark.skipif(torch is None, reason="PyTorch is not installed")

BINOMIAL = np.outer([1, 3, 3, 1], [1, 3, 3, 1]) / 64
FEATURES, WIDTH, CLASSES, COUNT, SIDE = (5, 6), 7, 3, 4, 8
GAMMA, CHANCE = 2.0, 0.25


def mirrored(keys, images, probability):
    """In place of augmentation: linear, and by the probability."""
    assert len(keys) == len(images)
    return (1 - probability) * images[:, :, ::-1]


MODEL = AdaptiveAdversaries(
    Generator(FEATURES, WIDTH),
    Discriminator(FEATURES, WIDTH, layers=2),
    CLASSES,
    change=mirrored,
    gamma=GAMMA,
    span=1_000,
)


def normal(seed, *shape):
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape), jnp.float32)


def count(module, *shapes):
    given = [jnp.zeros(shape) for shape in shapes]
    found = jax.eval_shape(lambda: module.init(jax.random.key(0), *given))
    return sum(leaf.size for leaf in jax.tree.leaves(found["params"]))


def test_weights_are_as_many_as_the_description_has():
    generator = Generator()
    shapes = (2, 512), (2, 10), (2, generator.pixels)
    linear, three = 512 * 512 + 512, 9 * 512 * 512
    mapping = 10 * 512 + 512 + 2 * 512 * 512 + 512 + linear
    layers, colours = 7 * (linear + three + 512 + 1), 4 * (linear + 3 * 512 + 3)
    assert count(generator, *shapes) == mapping + layers + colours + 16 * 512
    assert count(generator, *shapes) == 20_215_315
    whole = 4 * 512 + 6 * (three + 512) + three + 9 * 512 + 512
    whole += 16 * 512 * 512 + 512 + linear + 10 * 512 + 512 + 8 * linear
    assert count(Discriminator(), (2, 32, 32, 3), (2, 10)) == whole == 23_089_664


def test_weights_are_float32_whatever_the_arithmetic():
    generator = Generator((8, 8), 8, dtype=jnp.bfloat16)
    given = [jnp.zeros(shape) for shape in ((2, 8), (2, 3), (2, generator.pixels))]
    images, variables = jax.eval_shape(
        lambda: generator.init_with_output(jax.random.key(0), *given)
    )
    assert {leaf.dtype for leaf in jax.tree.leaves(variables)} == {jnp.dtype("float32")}
    assert images.shape == (2, 8, 8, 3) and images.dtype == jnp.float32


def test_weights_are_drawn_with_deviation_1_and_used_scaled():
    given = normal(0, 200, 50)
    for rate in (1, 0.01):
        layer = Linear(60, 1, rate)
        found, variables = jax.jit(layer.init_with_output)(jax.random.key(0), given)
        kernel = variables["params"]["kernel"]
        assert float(kernel.std()) == pytest.approx(1 / rate, rel=0.05)
        assert float(found.std()) == pytest.approx(1, rel=0.1)
        assert float(found.mean()) == pytest.approx(1, abs=0.1)


@pytest.mark.parametrize("demodulates", [True, False])
@pytest.mark.parametrize("doubles", [True, False])
def test_modulation_is_a_kernel_for_each_image(doubles, demodulates):
    x, styles = normal(1, 2, 4, 4, 3), normal(2, 2, 3)
    module = Modulated(5, doubles=doubles, demodulates=demodulates)
    begin = jax.jit(module.init_with_output)
    found, variables = begin(jax.random.key(0), x, styles)
    for number in range(2):
        kernel = np.asarray(variables["params"]["kernel"], float) / 27**0.5
        kernel = kernel * np.asarray(styles[number])[None, None, :, None]
        if demodulates:
            kernel /= np.sqrt((kernel**2).sum((0, 1, 2)))
        expected = np.zeros((*found.shape[1:3], 5))
        for i in range(3):
            for o in range(5):
                image, own = np.asarray(x[number, :, :, i]), kernel[:, :, i, o]
                if doubles:
                    wide = np.zeros((7, 7))
                    wide[::2, ::2] = image
                    wide = np.pad(signal.correlate2d(np.pad(wide, 2), own, "valid"), 1)
                    part = signal.correlate2d(wide, 4 * BINOMIAL, "valid")
                else:
                    part = signal.correlate2d(image, own, "same")
                expected[:, :, o] += part
        np.testing.assert_allclose(found[number], expected, atol=1e-4)


def test_filters_are_binomial():
    x = normal(3, 1, 6, 6, 2)
    smooth, double = jax.jit(lambda x: (smoothed(x, 2), doubled(x)))(x)
    for channel in range(2):
        image = np.asarray(x[0, :, :, channel])
        expected = signal.correlate2d(np.pad(image, 2), BINOMIAL, "valid")
        np.testing.assert_allclose(smooth[0, ..., channel], expected, atol=1e-6)
        wide = np.zeros((12, 12))
        wide[::2, ::2] = image
        wide = np.pad(wide, ((2, 1), (2, 1)))
        expected = signal.correlate2d(wide, 4 * BINOMIAL, "valid")
        np.testing.assert_allclose(double[0, ..., channel], expected, atol=1e-6)


def test_zeros_between_pixels_are_left_out():
    x, kernel, g = normal(6, 2, 4, 4, 3), normal(7, 3, 3, 3, 5), normal(8, 2, 9, 9, 5)

    def dilated(x, kernel):
        return lax.conv_general_dilated(
            *(x, kernel, (1, 1), ((2, 2), (2, 2))),
            lhs_dilation=(2, 2),
            dimension_numbers=NHWC,
        )

    @jax.jit
    def both(x, kernel, g):
        forms = partial(transposed, stride=2, pad=0), dilated
        found = [jax.vjp(form, x, kernel) for form in forms]
        return [(y, *back(g)) for y, back in found]

    for ours, plain in zip(*both(x, kernel, g), strict=True):
        np.testing.assert_allclose(ours, plain, atol=1e-4)


@pytest.mark.parametrize(("images", "group"), [(6, 3), (4, 2), (5, 1), (2, 2)])
def test_the_spread_is_that_of_a_group(monkeypatch, images, group):
    monkeypatch.setattr(stylegan2, "GROUP", 3)
    x = normal(4, images, 4, 4, 2)
    found = np.asarray(with_spread(x))
    np.testing.assert_array_equal(found[..., :2], x)
    for first in range(0, images, group):
        own = np.asarray(x)[first : first + group]
        expected = np.sqrt(own.var(0) + 1e-8).mean()
        np.testing.assert_allclose(
            found[first : first + group, ..., 2], expected, rtol=1e-5
        )


@pytest.fixture(scope="module")
def given():
    """Weights that are all random, images, classes, and the slopes of a loss."""
    images = normal(5, COUNT, SIDE, SIDE, 3)
    targets = jax.nn.one_hot(jnp.arange(COUNT) % CLASSES, CLASSES)
    shapes = jax.eval_shape(MODEL.init, jax.random.key(0), images)["params"]
    seeds = iter(range(100))

    def weights(path, leaf):
        name = jax.tree_util.keystr(path, simple=True, separator="/")
        # As they are drawn: those of slow layers are a hundred times as large.
        slow = "mapping/layer" in name
        return (100 if slow else 1) * normal(next(seeds), *leaf.shape)

    @jax.jit
    def losses(params, stats):
        (logits, found), updated = MODEL.apply(
            {"params": params, "batch_stats": stats},
            *(images, True),
            keys=jax.random.split(jax.random.key(7), COUNT),
            targets=targets,
            mutable=["batch_stats"],
        )
        each, _ = adversarial_with_penalty(logits, found, targets)
        return each.mean(), (logits, found["made"], updated["batch_stats"])

    return SimpleNamespace(
        images=images,
        targets=targets,
        params=jax.tree_util.tree_map_with_path(weights, shapes),
        slopes=jax.jit(jax.value_and_grad(losses, has_aux=True)),
    )


def with_stats(steps=0, sign=0.0, probability=CHANCE):
    return {
        "steps": jnp.int32(steps),
        "sign": jnp.float32(sign),
        "probability": jnp.float32(probability),
    }


def test_few_pay_the_penalty_for_all(given, monkeypatch):
    """As if the others paid what these do: the mean is that of the few."""

    @partial(jax.jit, static_argnums=0)
    def paid(few):
        monkeypatch.setattr(adaptive_adversaries, "FEWEST", few)
        logits, _ = MODEL.apply(
            {"params": given.params, "batch_stats": with_stats()},
            *(given.images, True),
            keys=jax.random.split(jax.random.key(7), COUNT),
            targets=given.targets,
            mutable=["batch_stats"],
        )[0]
        return logits[:, PENALTY]

    for few in (1, 2):
        found = np.asarray(paid(few))
        assert (found > 0).tolist() == [number < few for number in range(COUNT)]
    # One image alone is in no group: its slope is that of its own logit.
    alone = jax.grad(
        lambda image: MODEL.discriminator.apply(
            {"params": given.params["discriminator"]},
            mirrored(given.targets[:1], image, CHANCE),
            given.targets[:1],
        ).sum()
    )(given.images[:1])
    expected = GAMMA / 2 * COUNT * float(jnp.sum(alone**2))
    assert float(paid(1)[0]) == pytest.approx(expected, rel=1e-3)


def test_the_penalty_is_the_slope_of_differences(given):
    (_, (logits, _, _)), _ = given.slopes(given.params, with_stats())
    judge = {"params": given.params["discriminator"]}

    @jax.jit
    def real(images):
        shown = mirrored(given.targets, images, CHANCE)
        return MODEL.discriminator.apply(judge, shown, given.targets).sum()

    slope = jax.grad(real)(given.images)
    length = float(jnp.sqrt(jnp.sum(slope**2)))
    step = 0.05 * slope / length
    steepest = float(real(given.images + step) - real(given.images - step)) / 0.1
    paid = float(logits[:, PENALTY].sum()) / (GAMMA / 2)
    assert paid == pytest.approx(steepest**2, rel=0.02)


def test_augmentation_rises_above_the_target_and_falls_below(given):
    step = 4 * COUNT / 1_000
    for steps, sign, start, expected in (
        (3, 10.0, CHANCE, CHANCE + step),
        (3, -10.0, CHANCE, CHANCE - step),
        (2, 10.0, CHANCE, CHANCE),
        (3, -10.0, 0.001, 0.0),
        (7, 10.0, 0.999, 1.0),
    ):
        stats = with_stats(steps, sign, start)
        (_, (logits, _, found)), _ = given.slopes(given.params, stats)
        assert float(found["probability"]) == pytest.approx(expected, abs=1e-6)
        assert int(found["steps"]) == steps + 1
        mean = sign + float(jnp.sign(logits[:, REAL]).mean()) / 4
        assert float(found["sign"]) == pytest.approx(0.0 if steps % 4 == 3 else mean)


@needs_torch
def test_losses_and_gradients_are_those_of_another_program(given):
    (loss, (logits, made, _)), slopes = given.slopes(given.params, with_stats())
    networks = {
        "generator": styles.Generator(FEATURES, WIDTH, CLASSES),
        "discriminator": styles.Discriminator(FEATURES, WIDTH, CLASSES, layers=2),
    }
    theirs = torch.nn.ModuleDict(networks)
    styles.fill(theirs, jax.tree.map(np.asarray, given.params))
    generated, judged = networks.values()
    drawn = [
        stylegan2.random_inputs(
            jax.random.split(key, 3)[0],
            CLASSES,
            width=WIDTH,
            pixels=MODEL.generator.pixels,
        )
        for key in jax.random.split(jax.random.key(7), COUNT)
    ]
    noise, classes, added = (
        torch.tensor(np.stack([np.asarray(x) for x in each]))
        for each in zip(*drawn, strict=True)
    )
    images = torch.tensor(np.asarray(given.images).transpose(0, 3, 1, 2))
    images.requires_grad_(True)
    targets = torch.tensor(np.asarray(given.targets))
    see = lambda x: (1 - CHANCE) * x.flip(3)  # noqa: E731

    pictures = generated(noise, classes, added)
    judged.requires_grad_(False)
    fooled = judged(see(pictures), classes)
    judged.requires_grad_(True)
    real = judged(see(images), targets)
    fake = judged(see(pictures).detach(), classes)
    (slope,) = torch.autograd.grad(real.sum(), images, create_graph=True)
    penalty = GAMMA / 2 * slope.pow(2).sum((1, 2, 3))
    total = F.softplus(-fooled) + F.softplus(-real) + F.softplus(fake) + penalty
    total.mean().backward()

    expected = pictures.detach().numpy().transpose(0, 2, 3, 1)
    np.testing.assert_allclose(made, expected, atol=1e-4)
    columns = [(FOOLED, fooled), (REAL, real), (FAKE, fake), (PENALTY, penalty)]
    for number, own in columns:
        np.testing.assert_allclose(logits[:, number], own.detach().numpy(), atol=1e-4)
    assert float(loss) == pytest.approx(float(total.detach().mean()), abs=1e-4)

    for path, own in theirs.named_parameters():
        assert own.grad is not None and float(own.grad.abs().max()) > 0
        ours = styles.as_theirs(at(slopes, path))
        np.testing.assert_allclose(ours, own.grad.numpy(), atol=1e-4, rtol=1e-4)
    count = len(jax.tree.leaves(slopes))
    assert count == len(list(theirs.parameters()))
