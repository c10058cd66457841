"""Image models: sizes as published, conventions of PyTorch, dtypes, modes."""

from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxbias.models import layers
from jaxbias.models.airbench import Airbench
from jaxbias.models.catalogue import CATALOGUE, UnknownModelError, build
from jaxbias.models.convnext import ConvNeXt
from jaxbias.models.resnet import ResNet
from jaxbias.models.vit import ViT

# Parameters of the published models, 1000 classes (10 for small images); airbench's
# follow from the definition, below.
PUBLISHED = {
    "alexnet": 61_100_840,
    "vgg11": 132_863_336,
    "vgg16": 138_357_544,
    "resnet18": 11_689_512,
    "resnet34": 21_797_672,
    "resnet50": 25_557_032,
    "resnet101": 44_549_160,
    # Published as 0.08M and 0.27M, with 2,752 weights fewer in the shortcuts.
    "resnet8_cifar": 75_290 + 2_752,
    "resnet20_cifar": 269_722 + 2_752,
    "resnet18_cifar": 11_173_962,
    "resnet50_cifar": 23_520_842,
    "vit_tiny": 5_717_416,
    "vit_small": 22_050_664,
    "vit_base": 86_567_656,
    "airbench94": 1_971_640,
    "airbench95": 4_604_728,
    "convnext_nano": 15_593_560,
    "convnext_tiny": 28_589_128,
    "convnext_small": 50_223_688,
    "convnext_base": 88_591_464,
}


def shapes(model, size, classes_key=0):
    """Variables' shapes; nothing is computed."""
    images = jnp.zeros((1, size, size, 3))
    return jax.eval_shape(model.init, jax.random.key(classes_key), images)


@cache
def shapes_of(name):
    """The same of a model of the catalogue, of 10 classes if its images are small."""
    size = CATALOGUE[name].size
    return shapes(build(name, 10 if size == 32 else 1000), size)


def count(variables):
    return sum(leaf.size for leaf in jax.tree.leaves(variables["params"]))


@pytest.mark.parametrize("name", PUBLISHED)
def test_parameter_counts_are_the_published_ones(name):
    assert count(shapes_of(name)) == PUBLISHED[name]


@pytest.mark.parametrize(
    ("name", "widths"),
    [("airbench94", (64, 256, 256)), ("airbench95", (128, 384, 384))],
)
def test_parameters_of_airbench_by_its_definition(name, widths):
    whitening = 24 * (2 * 2 * 3) + 24
    groups = sum(
        9 * fan_in * width + 9 * width * width + 2 * width
        for fan_in, width in zip((24, *widths), widths, strict=False)
    )
    assert PUBLISHED[name] == whitening + groups + 10 * widths[-1]


@pytest.mark.parametrize(
    ("name", "classes", "low", "high"),
    [
        # As the follow-up on dataset bias gives them, for three classes.
        ("convnext_femto", 3, 4.75e6, 4.85e6),
        ("convnext_nano", 3, 14.9e6, 15.05e6),
        ("convnext_toy", 3, 6.5e3, 7.5e3),
        ("vit_32", 10, 22.05e6, 22.15e6),
    ],
)
def test_parameter_counts_that_are_known_to_three_digits(name, classes, low, high):
    found = count(shapes(build(name, classes), CATALOGUE[name].size))
    assert low <= found <= high, found


@pytest.mark.parametrize("name", CATALOGUE)
def test_every_model_gives_logits_and_named_intermediates(name):
    entry = CATALOGUE[name]
    variables = shapes_of(name)
    classes = 10 if entry.size == 32 else 1000
    model = build(name, classes, jnp.bfloat16)
    images = jnp.zeros((2, entry.size, entry.size, 3))
    logits, found = jax.eval_shape(model.apply, variables, images)
    assert (logits.shape, logits.dtype) == ((2, classes), jnp.float32)
    assert found["features"].ndim == 2 and found["features"].dtype == jnp.float32
    assert len(found) >= 3
    assert {leaf.dtype for leaf in jax.tree.leaves(variables)} == {jnp.dtype("float32")}
    assert entry.source


def test_an_unknown_model_is_refused_with_the_names():
    with pytest.raises(UnknownModelError, match="resnet51.*resnet50"):
        build("resnet51", 10)


SMALL = {
    "resnet": ResNet((1, 1, 1, 1), classes=5, stem="cifar", width=8),
    "bottleneck": ResNet((1, 1, 1, 1), classes=5, bottleneck=True, width=4),
    "convnext": ConvNeXt((1, 1, 1, 1), (4, 8, 8, 8), classes=5, drop_path=0.5),
    "vit": ViT(16, 2, 2, 8, classes=5, drop=0.2, drop_path=0.5),
    "airbench": Airbench((8, 8, 8), classes=5),
    "cnn4": build("cnn4", 5),
    "mlp": build("mlp", 5),
}


@pytest.fixture(scope="module")
def images():
    return jax.random.normal(jax.random.key(1), (4, 32, 32, 3))


@pytest.mark.parametrize("name", SMALL)
def test_training_mode_updates_statistics_and_drops(name, images):
    model = SMALL[name]
    variables = jax.jit(model.init)(jax.random.key(0), images)
    apply = jax.jit(
        lambda v, x, key: model.apply(
            v, x, train=True, rngs={"dropout": key}, mutable=["batch_stats"]
        )
    )
    (logits, _), updated = apply(variables, images, jax.random.key(2))
    assert bool(jnp.isfinite(logits).all())
    (again, _), _ = apply(variables, images, jax.random.key(3))
    if name in ("convnext", "vit"):
        # A branch of scale 1e-6, and a head of zeros, hide what is dropped in logits.
        assert updated == {} or not jax.tree.leaves(updated)
    else:
        np.testing.assert_array_equal(logits, again)
    if "batch_stats" in variables:
        changed = jax.tree.map(
            lambda a, b: bool((a != b).any()),
            variables["batch_stats"],
            updated["batch_stats"],
        )
        assert all(jax.tree.leaves(changed))


@pytest.mark.parametrize("name", SMALL)
def test_one_image_is_classified_as_in_a_batch(name, images):
    model = SMALL[name]
    variables = jax.jit(model.init)(jax.random.key(0), images)
    apply = jax.jit(lambda v, x: model.apply(v, x)[1]["features"])
    np.testing.assert_allclose(
        apply(variables, images)[1:2], apply(variables, images[1:2]), atol=1e-4
    )


def test_adaptive_pooling_is_pytorch_s():
    x = np.random.default_rng(0).normal(size=(1, 7, 10, 2)).astype(np.float32)
    found = np.asarray(layers.adaptive_average_pool(jnp.asarray(x), 3))
    for i, (top, bottom) in enumerate(((0, 3), (2, 5), (4, 7))):
        for j, (left, right) in enumerate(((0, 4), (3, 7), (6, 10))):
            expected = x[0, top:bottom, left:right].mean((0, 1))
            np.testing.assert_allclose(found[0, i, j], expected, rtol=1e-5)


def test_max_pooling_pads_with_what_never_wins():
    x = -jnp.ones((1, 4, 4, 1))
    assert (np.asarray(layers.max_pool(x, 3, 2, 1)) == -1).all()


def test_dropped_paths_keep_the_mean():
    class Probe(layers.nn.Module):
        @layers.nn.compact
        def __call__(self, x, train):
            return layers.drop_path(x, 0.25, train, self)

    x = jnp.ones((4000, 2, 3))
    found = Probe().apply({}, x, True, rngs={"dropout": jax.random.key(0)})
    kept = np.asarray(found)
    # Whole images, scaled up.
    assert set(np.unique(kept).round(4)) == {0.0, np.float32(1.3333)}
    assert (kept.reshape(4000, -1).std(1) == 0).all()
    assert kept.mean() == pytest.approx(1, abs=0.03)
    np.testing.assert_array_equal(Probe().apply({}, x, False), x)


def test_rates_of_stochastic_depth_rise_to_the_last():
    assert layers.linear_rates(0.3, 4) == pytest.approx([0, 0.1, 0.2, 0.3])
    assert layers.linear_rates(0.3, 1) == [0.0]
