"""Convolutions equal XLA's own, and so do their gradients, in every form and shape."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax
from jax.sharding import AxisType

from jaxbias.models import convolution, layers

NHWC = ("NHWC", "HWIO", "NHWC")

# Size, stride, padding, channels in and out, groups, height and width: every kind that
# the models have, with small images, and what is at the border between two forms.
KINDS = {
    "stem": (3, 1, 1, 3, 64, 1, (8, 8)),
    "few channels": (3, 1, 1, 64, 64, 1, (8, 6)),
    "few to many": (3, 1, 1, 64, 96, 1, (6, 6)),
    "many to few": (3, 1, 1, 96, 64, 1, (5, 6)),
    "winograd": (3, 1, 1, 192, 200, 1, (4, 6)),
    "winograd, one tile": (3, 1, 1, 192, 192, 1, (2, 2)),
    "odd side": (3, 1, 1, 192, 192, 1, (7, 7)),
    "one pixel": (3, 1, 1, 192, 192, 1, (1, 1)),
    "one pixel, few channels": (3, 1, 1, 32, 32, 1, (1, 1)),
    "two pixels, few channels": (3, 1, 1, 32, 32, 1, (2, 1)),
    "stride 2": (3, 2, 1, 16, 24, 1, (8, 8)),
    "stride 2, odd": (3, 2, 1, 16, 24, 1, (7, 9)),
    "imagenet stem": (7, 2, 3, 3, 64, 1, (16, 16)),
    "alexnet stem": (11, 4, 2, 3, 64, 1, (31, 31)),
    "alexnet 5 x 5": (5, 1, 2, 16, 24, 1, (6, 6)),
    "1 x 1": (1, 1, 0, 16, 24, 1, (5, 4)),
    "shortcut": (1, 2, 0, 16, 24, 1, (8, 8)),
    "shortcut, odd": (1, 2, 0, 16, 24, 1, (7, 7)),
    "patches": (4, 4, 0, 3, 16, 1, (16, 12)),
    "patches, cut": (4, 4, 0, 3, 16, 1, (19, 17)),
    "halving": (2, 2, 0, 8, 16, 1, (8, 8)),
    "depthwise": (7, 1, 3, 12, 12, 12, (9, 8)),
    "depthwise, small": (7, 1, 3, 12, 12, 12, (1, 2)),
    "depthwise 3 x 3": (3, 1, 1, 6, 6, 6, (5, 5)),
    "one channel": (3, 1, 1, 1, 1, 1, (5, 5)),
    "depthwise, stride 2": (3, 2, 1, 6, 6, 6, (6, 6)),
    "groups": (3, 1, 1, 8, 12, 4, (5, 5)),
    "no padding": (3, 1, 0, 8, 8, 1, (6, 6)),
}


def plain(stride, pad, groups):
    return partial(
        lax.conv_general_dilated,
        window_strides=(stride, stride),
        padding=((pad, pad), (pad, pad)),
        dimension_numbers=NHWC,
        feature_group_count=groups,
    )


def own(stride, pad, groups):
    return lambda x, w: convolution.convolve(
        x,
        w,
        (stride, stride),
        ((pad, pad), (pad, pad)),
        dimension_numbers=lax.ConvDimensionNumbers(
            (0, 3, 1, 2), (3, 2, 0, 1), (0, 3, 1, 2)
        ),
        feature_group_count=groups,
    )


def operands(kind, images=3, dtype=jnp.float32):
    size, stride, pad, fan_in, fan_out, groups, side = KINDS[kind]
    rng = np.random.default_rng(len(kind))
    draw = lambda *shape: jnp.asarray(rng.normal(size=shape), dtype)  # noqa: E731
    x = draw(images, *side, fan_in)
    w = draw(size, size, fan_in // groups, fan_out)
    g = draw(*jax.eval_shape(plain(stride, pad, groups), x, w).shape)
    return (stride, pad, groups), x, w, g


def all_three(function, x, w, g):
    y, back = jax.vjp(function, x, w)
    return y, *back(g)


def close(found, expected, tolerance):
    for a, b in zip(found, expected, strict=True):
        assert a.shape == b.shape and a.dtype == b.dtype
        a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
        assert np.abs(a - b).max() <= tolerance * np.abs(b).max()


@pytest.mark.parametrize("kind", KINDS)
def test_values_and_both_gradients_are_those_of_xla(kind):
    settings, x, w, g = operands(kind)
    found = jax.jit(partial(all_three, own(*settings)))(x, w, g)
    expected = jax.jit(partial(all_three, plain(*settings)))(x, w, g)
    close(found, expected, 5e-6)


@pytest.mark.parametrize("images", [1, 2, 16])
def test_a_depthwise_gradient_adds_every_image(images):
    settings, x, w, g = operands("depthwise", images)
    found = jax.jit(partial(all_three, own(*settings)))(x, w, g)
    close(found, all_three(plain(*settings), x, w, g), 5e-6)


MAIN = ("few channels", "winograd", "patches", "shortcut", "depthwise", "stride 2")


@pytest.mark.parametrize("kind", MAIN)
def test_several_networks_at_once(kind):
    settings, x, w, g = operands(kind)
    x, w, g = (jnp.stack([a, -2 * a, a[::-1]]) for a in (x, w, g))
    found = jax.jit(jax.vmap(partial(all_three, own(*settings))))(x, w, g)
    expected = jax.jit(jax.vmap(partial(all_three, plain(*settings))))(x, w, g)
    close(found, expected, 5e-6)


@pytest.mark.parametrize("kind", MAIN)
def test_bfloat16_stays_bfloat16(kind):
    settings, x, w, g = operands(kind, dtype=jnp.bfloat16)
    found = jax.jit(partial(all_three, own(*settings)))(x, w, g)
    wide = (a.astype(jnp.float32) for a in (x, w, g))
    expected = jax.jit(partial(all_three, plain(*settings)))(*wide)
    assert {a.dtype for a in found} == {jnp.dtype("bfloat16")}
    close([a.astype(jnp.float32) for a in found], expected, 2e-2)


@pytest.mark.slow
@pytest.mark.parametrize("kind", MAIN)
def test_gradients_have_gradients(kind):
    settings, x, w, g = operands(kind)

    def norm(convolve, w):
        return sum(jnp.sum(a**2) for a in all_three(convolve, x, w, g)[1:])

    found = jax.jit(jax.grad(partial(norm, own(*settings))))(w)
    expected = jax.jit(jax.grad(partial(norm, plain(*settings))))(w)
    close([found], [expected], 1e-5)


def test_what_is_dilated_or_uneven_is_left_to_xla():
    x, w = jnp.ones((1, 6, 6, 2)), jnp.ones((3, 3, 2, 2))
    for settings in (
        {"padding": ((1, 1), (1, 1)), "rhs_dilation": (2, 2)},
        {"padding": ((0, 1), (1, 1))},
        {"padding": ((1, 1), (1, 1)), "precision": lax.Precision.HIGHEST},
    ):
        found = convolution.convolve(x, w, (1, 1), **settings)
        expected = lax.conv_general_dilated(
            x, w, (1, 1), **settings, dimension_numbers=NHWC
        )
        np.testing.assert_array_equal(found, expected)


def test_other_platforms_get_the_plain_convolution():
    settings, x, w, g = operands("winograd")
    lowered = jax.jit(partial(all_three, own(*settings))).trace(x, w, g)
    for platform, products in (("cpu", True), ("cuda", False), ("tpu", False)):
        text = lowered.lower(lowering_platforms=(platform,)).as_text()
        assert ("stablehlo.dot_general" in text) == products
        assert ("stablehlo.convolution" in text) != products


def test_gelu_is_exact():
    x = jnp.linspace(-12, 12, 4801)
    expected = jax.nn.gelu(x.astype(jnp.float32), approximate=False)
    np.testing.assert_allclose(layers.gelu(x), expected, rtol=2e-7, atol=1e-6)
    slopes = jax.vmap(jax.grad(layers.gelu))(x)
    plain_slopes = jax.vmap(jax.grad(partial(jax.nn.gelu, approximate=False)))(x)
    np.testing.assert_allclose(slopes, plain_slopes, rtol=2e-6, atol=1e-6)
    assert layers.gelu(x.astype(jnp.bfloat16)).dtype == jnp.bfloat16


@pytest.mark.parametrize(
    ("kind", "axis_type"),
    [*((kind, AxisType.Auto) for kind in MAIN), ("winograd", AxisType.Explicit)],
)
def test_images_may_lie_on_several_devices(kind, axis_type):
    settings, x, w, g = operands(kind, images=4)
    mesh = jax.make_mesh((4,), ("images",), axis_types=(axis_type,))
    spread, whole = (
        jax.NamedSharding(mesh, jax.P(*axes)) for axes in (("images",), ())
    )
    there = (
        jax.device_put(x, spread),
        jax.device_put(w, whole),
        jax.device_put(g, spread),
    )
    found = jax.jit(partial(all_three, own(*settings)))(*there)
    close(found, all_three(plain(*settings), x, w, g), 5e-6)


def test_padding_may_have_a_name():
    x, w = jnp.ones((1, 6, 6, 2)), jnp.ones((3, 3, 2, 2))
    for name in ("SAME", "VALID"):
        found = convolution.convolve(x, w, (1, 1), name)
        expected = lax.conv_general_dilated(x, w, (1, 1), name, dimension_numbers=NHWC)
        np.testing.assert_allclose(found, expected)


@pytest.mark.parametrize(
    ("size", "stride", "shape"), [(4, 2, (3, 5)), (2, 2, (4, 2)), (3, 1, (5, 4))]
)
def test_the_transpose_is_xla_s_and_so_are_its_gradients(size, stride, shape):
    rng = np.random.default_rng(0)
    x, kernel, g = (
        jnp.asarray(rng.normal(size=sides), jnp.float32)
        for sides in (
            (2, *shape, 6),
            (size, size, 6, 5),
            (2, *(stride * side for side in shape), 5),
        )
    )
    plain = lambda x, k: lax.conv_transpose(x, k, (stride, stride), "SAME")  # noqa: E731
    pad = (size - stride) // 2
    ours = lambda x, k: convolution.transposed(x, k, stride, pad)  # noqa: E731
    expected, back = jax.vjp(plain, x, kernel)
    found, own = jax.vjp(ours, x, kernel)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)
    for a, b in zip(own(g), back(g), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4)
