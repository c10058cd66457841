"""airbench's network: whitening, what is trained and when, PyTorch's numbers."""

from dataclasses import replace
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxbias.models import airbench
from jaxbias.training import build, steps
from jaxbias.training.recipes import RECIPES

try:
    import torch
except ImportError:
    torch = None

needs_torch = pytest.mark.skipif(torch is None, reason="PyTorch is not installed")

WIDTHS = (32, 40, 40)


def smooth(count, size=12, channels=3, seed=0):
    """Images whose neighbouring pixels and channels are alike, as those of photographs."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(count, size, size, channels))
    x = x.cumsum(1).cumsum(2) / size + rng.normal(size=(count, 1, 1, 1))
    return jnp.asarray(x, jnp.float32)


def patches(images):
    """Every patch as a row, one by one: (row, column, channel) of the kernel."""
    x = np.asarray(images, np.float64)
    rows, columns = x.shape[1] - 1, x.shape[2] - 1
    found = [
        x[:, i : i + 2, j : j + 2].reshape(len(x), -1)
        for i in range(rows)
        for j in range(columns)
    ]
    return np.concatenate(found)


@pytest.mark.parametrize("channels", [1, 3])
def test_what_the_whitening_gives_is_uncorrelated_and_of_one_scale(channels):
    images = smooth(200, channels=channels)
    kernel = np.asarray(airbench.whitening_kernel(images), np.float64)
    half = 4 * channels
    assert kernel.shape == (2, 2, channels, 2 * half)
    np.testing.assert_array_equal(kernel[..., half:], -kernel[..., :half])
    rows = patches(images)
    filtered = rows @ kernel[..., :half].reshape(half, half)
    values = np.linalg.eigvalsh(rows.T @ rows / len(rows))[::-1]
    expected = np.diag(values / (values + airbench.WHITENING_EPSILON))
    found = filtered.T @ filtered / len(rows)
    np.testing.assert_allclose(found, expected, atol=2e-3)
    # The epsilon takes next to nothing off where there is variance.
    assert values[0] > 1 and found[0, 0] == pytest.approx(1, abs=2e-3)


def test_a_direction_without_variance_is_not_blown_up():
    images = jnp.broadcast_to(smooth(50, channels=1), (50, 12, 12, 3))
    kernel = np.asarray(airbench.whitening_kernel(images))
    assert np.isfinite(kernel).all()
    assert np.abs(kernel).max() <= 1.01 / airbench.WHITENING_EPSILON**0.5


def network(size=12, **options):
    model = airbench.Airbench(WIDTHS, classes=4, **options)
    images = smooth(8, size)
    return model, jax.jit(model.init)(jax.random.key(0), images), images


def test_whitening_changes_the_first_kernel_alone():
    model, variables, images = network()
    before = variables["params"]
    kept = jax.tree.map(np.array, before)
    after = airbench.whiten(before, images)
    kernel = after["whiten"].pop("kernel")
    first = kept["whiten"].pop("kernel")
    assert not np.array_equal(kernel, first)
    jax.tree.map(np.testing.assert_array_equal, after, kept)
    kept["whiten"]["kernel"] = first
    assert "kernel" in before["whiten"]
    logits, _ = jax.jit(model.apply)({**variables, "params": kept}, images)
    kept["whiten"]["kernel"] = kernel
    other, _ = jax.jit(model.apply)({**variables, "params": kept}, images)
    assert np.abs(np.asarray(logits - other)).max() > 1e-3


@pytest.mark.parametrize(("fan_in", "fan_out"), [(5, 9), (6, 6), (9, 5)])
def test_the_first_filters_pass_their_input_through(fan_in, fan_out):
    init = jax.jit(airbench.dirac, static_argnums=1)
    kernel = init(jax.random.key(0), (3, 3, fan_in, fan_out))
    x = smooth(2, channels=fan_in)
    y = jax.lax.conv_general_dilated(
        *(x, kernel, (1, 1), "SAME"), dimension_numbers=("NHWC", "HWIO", "NHWC")
    )
    same = min(fan_in, fan_out)
    np.testing.assert_array_equal(y[..., :same], x[..., :same])
    if others := fan_out - fan_in if fan_out > fan_in else 0:
        rest = np.asarray(kernel[..., -others:])
        bound = 1 / (9 * fan_in) ** 0.5
        assert 0.9 * bound < np.abs(rest).max() <= bound


def test_statistics_are_float32_where_the_arithmetic_is_not():
    model, variables, images = network(dtype=jnp.bfloat16)
    apply = jax.jit(partial(model.apply, train=True, mutable=["batch_stats"]))
    (logits, found), updated = apply(variables, images)
    assert logits.dtype == jnp.float32 and found["group1"].dtype == jnp.bfloat16
    assert {leaf.dtype for leaf in jax.tree.leaves(updated)} == {jnp.dtype("float32")}
    assert "scale" not in variables["params"]["group1"]["norm1"]


@pytest.mark.parametrize(("size", "left"), [(9, 1), (24, 2), (32, 3), (48, 5)])
def test_other_sizes_are_pooled_to_one_place(size, left):
    model = airbench.Airbench(WIDTHS)
    images = jnp.zeros((2, size, size, 3))
    variables = jax.eval_shape(model.init, jax.random.key(0), images)
    logits, found = jax.eval_shape(model.apply, variables, images)
    assert found["group3"].shape == (2, left, left, 40)
    assert found["features"].shape == (2, 40) and logits.shape == (2, 10)


def test_images_that_vanish_on_the_way_are_refused():
    with pytest.raises(ValueError, match="9 x 9 or larger"):
        airbench.Airbench().init(jax.random.key(0), jnp.zeros((1, 8, 8, 3)))


# Training

EPOCH = 4
"""Steps."""


def pixels(count=96, size=12):
    x = np.asarray(smooth(count, size))
    x = (x - x.min()) / (x.max() - x.min()) * 255
    labels = np.argsort(np.argsort(x.mean((1, 2, 3)))) * 4 // count
    return jnp.asarray(x.astype(np.uint8)), jnp.asarray(labels)


def task(**changes):
    """The recipe's, on a narrow network, in batches of 24 images without augmentation."""
    recipe = replace(
        RECIPES["fast"],
        augment=(),
        batch=24,
        dtype="float32",
        **{"epochs": 3} | changes,
    )
    made = build.task(
        recipe,
        classes=4,
        size=12,
        epoch_steps=EPOCH,
        mean=(0.5, 0.5, 0.5),
        sd=(0.2, 0.2, 0.2),
    )
    return replace(made, model=airbench.Airbench(WIDTHS, classes=4))


def trained(made, count, start=None):
    """Weights and statistics at the start and after each step; batches follow in turn."""
    x, y = pixels()
    create = partial(steps.create, made, size=12, first=x[:50])
    state = create(jax.random.key(0)) if start is None else start
    step = jax.jit(partial(steps.step, made))
    found = [state]
    for number in range(count):
        part = slice(24 * (number % EPOCH), 24 * (number % EPOCH) + 24)
        state, _ = step(state, x[part], y[part], jax.random.key(number))
        found.append(state)
    return [jax.tree.map(np.asarray, (s.params, s.batch_stats)) for s in found], found


def test_a_fresh_state_is_whitened_and_the_same_every_time():
    made = task()
    x, _ = pixels()
    state = steps.create(made, jax.random.key(0), 12, first=x[:50])
    expected = airbench.whitening_kernel(made.normalised(steps.as_floats(x[:50])))
    np.testing.assert_array_equal(state.params["whiten"]["kernel"], expected)
    np.testing.assert_array_equal(state.slow[0]["whiten"]["kernel"], expected)
    again = steps.create(made, jax.random.key(0), 12, first=x[:50])
    jax.tree.map(np.testing.assert_array_equal, state, again)


@pytest.mark.slow
def test_the_whitening_stays_and_its_bias_is_trained_at_first_alone():
    found, _ = trained(task(early_epochs=0.75, lookahead=False), 6)
    layers = [params["whiten"] for params, _ in found]
    for layer in layers[1:]:
        np.testing.assert_array_equal(layer["kernel"], layers[0]["kernel"])
    moved = [
        not np.array_equal(one["bias"], two["bias"])
        for one, two in zip(layers, layers[1:], strict=False)
    ]
    assert moved == [True, True, True, False, False, False]
    heads = [params["head"]["kernel"] for params, _ in found]
    assert not np.array_equal(heads[-1], heads[-2])
    # Lookahead leaves what is not trained to the bit, too.
    with_lookahead = trained(task(), 6)[0][-1][0]["whiten"]
    np.testing.assert_array_equal(with_lookahead["kernel"], layers[0]["kernel"])


def test_the_network_is_the_average_at_the_very_end():
    _, states = trained(task(), 12)
    last, before = states[-1], states[-2]
    jax.tree.map(
        np.testing.assert_array_equal, (last.params, last.batch_stats), last.slow
    )
    # 12 is no multiple of 5: the average is that of step 10.
    jax.tree.map(np.testing.assert_array_equal, last.slow, before.slow)
    assert not np.array_equal(
        before.params["head"]["kernel"], before.slow[0]["head"]["kernel"]
    )


def as_torch(params):
    """Leaves of PyTorch's layout, by path; all of them may be trained."""
    found = {}
    for keys, leaf in jax.tree_util.tree_leaves_with_path(params):
        name = jax.tree_util.keystr(keys, simple=True, separator="/")
        order = {4: (3, 2, 0, 1), 2: (1, 0), 1: (0,)}[leaf.ndim]
        value = np.asarray(leaf).transpose(order).copy()
        found[name] = torch.nn.Parameter(torch.from_numpy(value))
    return found


def torch_logits(weights, images, means):
    """The network as its author has it; adds the running means' update to `means`."""
    F = torch.nn.functional
    x = F.gelu(F.conv2d(images, weights["whiten/kernel"], weights["whiten/bias"]))
    for group in ("group1", "group2", "group3"):
        for number in (1, 2):
            x = F.conv2d(x, weights[f"{group}/conv{number}/kernel"], padding="same")
            if number == 1:
                x = F.max_pool2d(x, 2)
            mean = means.setdefault(f"{group}/norm{number}", torch.zeros(x.shape[1]))
            bias = weights[f"{group}/norm{number}/bias"]
            x = F.batch_norm(
                *(x, mean, torch.ones_like(mean), None, bias),
                training=True,
                momentum=0.4,
                eps=1e-12,
            )
            x = F.gelu(x)
    return F.linear(x.amax((2, 3)), weights["head/kernel"]) / 9


def torch_training(weights, images, labels, total, count):
    """The author's loop, in his units: yields weights and running means after a step."""
    scale = 1024 * (1 + 1 / (1 - 0.85))
    rate, decay = 11.5 / scale, 0.0153 * 24 / scale
    norms = [w for name, w in weights.items() if "norm" in name]
    others = [w for n, w in weights.items() if "norm" not in n and n != "whiten/kernel"]
    groups = [
        {"params": norms, "lr": 64 * rate, "weight_decay": decay / (64 * rate)},
        {"params": others, "lr": rate, "weight_decay": decay / rate},
    ]
    optimiser = torch.optim.SGD(groups, momentum=0.85, nesterov=True)
    turn = int(0.23 * total)
    shape = lambda s: np.interp(s, [0, turn, total], [0.2, 1, 0.07])  # noqa: E731
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimiser, shape)
    loss_of = torch.nn.CrossEntropyLoss(label_smoothing=0.2, reduction="sum")
    means = {}
    weights["whiten/kernel"].requires_grad = False
    slow = {name: w.detach().clone() for name, w in weights.items()}
    for step in range(1, count + 1):
        part = slice(24 * ((step - 1) % EPOCH), 24 * ((step - 1) % EPOCH) + 24)
        loss = loss_of(torch_logits(weights, images[part], means), labels[part])
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
        scheduler.step()
        for name in means:
            slow.setdefault(name, torch.zeros_like(means[name]))
        if step % 5 == 0:
            with torch.no_grad():
                for name, now in (weights | means).items():
                    slow[name].lerp_(now, 1 - 0.95**5 * (step / total) ** 3)
                    now.copy_(slow[name])
        yield weights, means


@needs_torch
def test_a_training_is_pytorch_s():
    made = task()
    found, states = trained(made, 7)
    weights = as_torch(states[0].params)
    x, y = pixels()
    images = np.array(made.normalised(steps.as_floats(x)).transpose(0, 3, 1, 2))
    images, labels = torch.from_numpy(images), torch.from_numpy(np.array(y, np.int64))
    theirs = torch_training(weights, images, labels, 3 * EPOCH, 7)
    for (params, stats), (expected, means) in zip(found[1:], theirs, strict=True):
        for name, value in as_torch(params).items():
            np.testing.assert_allclose(
                value.detach(), expected[name].detach(), rtol=1e-3, atol=2e-4
            )
        for name, mean in means.items():
            group, norm = name.split("/")
            np.testing.assert_allclose(
                stats[group][norm]["mean"], mean, rtol=1e-3, atol=1e-3
            )
