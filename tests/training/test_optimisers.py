"""Schedules and optimisers: PyTorch's numbers, with and without PyTorch at hand."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxbias.training import optimisers

try:
    import torch
except ImportError:
    torch = None

needs_torch = pytest.mark.skipif(torch is None, reason="PyTorch is not installed")


def test_one_cycle_of_the_cifar_recipe():
    """Values that PyTorch gives: 100 epochs, peak 0.2, 2.5 % of them rising."""
    rate = optimisers.one_cycle(0.2, 100, rise=0.025)
    decay = optimisers.cycled_momentum(100, rise=0.025)
    for epoch, lr, momentum in (
        (0, 0.008, 0.95),
        (1, 0.152, 0.875),
        (2, 0.19999, 0.85),
        (10, 0.1963, 0.8519),
        (50, 0.1008, 0.8996),
        (90, 0.00418, 0.9479),
        (99, 8e-7, 0.95),
    ):
        assert rate(epoch) == pytest.approx(lr, rel=2e-3)
        assert decay(epoch) == pytest.approx(momentum, abs=1e-4)


@needs_torch
@pytest.mark.parametrize(("steps", "rise"), [(100, 0.025), (37, 0.3), (10, 0.5)])
def test_one_cycle_is_pytorch_s(steps, rise):
    weight = torch.nn.Parameter(torch.zeros(1))
    optimiser = torch.optim.SGD([weight], lr=1.0, momentum=0.9)
    scheduler = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, max_lr=0.7, total_steps=steps, pct_start=rise
    )
    rate = optimisers.one_cycle(0.7, steps, rise=rise)
    decay = optimisers.cycled_momentum(steps, rise=rise)
    for step in range(steps):
        group = optimiser.param_groups[0]
        assert rate(step) == pytest.approx(group["lr"], rel=1e-4, abs=1e-8)
        assert decay(step) == pytest.approx(group["momentum"], rel=1e-5)
        optimiser.step()
        if step < steps - 1:
            scheduler.step()


def test_other_schedules_by_hand():
    warm = optimisers.warmup_cosine(2.0, 110, warmup=10, start=0.5, end=0.1)
    assert [float(warm(s)) for s in (0, 5, 10)] == pytest.approx([0.5, 1.25, 2.0])
    assert [float(warm(s)) for s in (60, 110, 500)] == pytest.approx([1.05, 0.1, 0.1])
    air = optimisers.triangular(10.0, 100, rise=0.2, start=0.2, end=0.07)
    assert [float(air(s)) for s in (0, 10, 20, 60, 100)] == pytest.approx(
        [2.0, 6.0, 10.0, 5.35, 0.7]
    )
    epochs = optimisers.per_epoch(warm, 7)
    assert epochs(34) == warm(4) and epochs(35) == warm(5)


@pytest.mark.parametrize(
    "make",
    [
        lambda: optimisers.one_cycle(0.1, 1),
        lambda: optimisers.one_cycle(0.1, 10, rise=1.0),
        lambda: optimisers.cycled_momentum(10, rise=0.0),
        lambda: optimisers.warmup_cosine(0.1, 10, warmup=10),
    ],
)
def test_impossible_schedules_are_refused(make):
    with pytest.raises(ValueError, match="steps"):
        make()


def test_schedules_can_be_traced():
    rate = optimisers.one_cycle(0.2, 50)
    steps = jnp.arange(50)
    together = jax.jit(jax.vmap(rate))(steps)
    alone = [float(rate(int(step))) for step in steps]
    np.testing.assert_allclose(together, alone, rtol=1e-5, atol=1e-9)
    assert np.argmax(together) == 14


def test_decay_leaves_out_vectors():
    params = {
        "conv": {"kernel": jnp.zeros((3, 3, 2, 4)), "bias": jnp.zeros(4)},
        "norm": {"scale": jnp.zeros(4)},
        "token": jnp.zeros((1, 1, 8)),
        "positions": jnp.zeros((1, 5, 8)),
        "depthwise": jnp.zeros((7, 7, 1, 4)),
    }
    assert optimisers.decayed(params) == {
        "conv": {"kernel": True, "bias": False},
        "norm": {"scale": False},
        "token": False,
        "positions": True,
        "depthwise": True,
    }


def steps_of(optimiser, count=12):
    """Weights after each step on a fixed quadratic, and its gradient's parts."""
    rng = np.random.default_rng(0)
    start = {"w": rng.normal(size=(3, 2)), "b": rng.normal(size=2)}
    target = {"w": rng.normal(size=(3, 2)), "b": rng.normal(size=2)}
    params = jax.tree.map(lambda a: jnp.asarray(a, jnp.float32), start)
    state, found = optimiser.init(params), []

    @jax.jit
    def step(params, state):
        gradient = jax.tree.map(lambda p, t: 2 * (p - t), params, target)
        updates, state = optimiser.update(gradient, state, params)
        return optax.apply_updates(params, updates), state

    for _ in range(count):
        params, state = step(params, state)
        found.append(params)
    return start, target, found


def compared_with_torch(ours, make):
    start, target, found = steps_of(ours)
    weights = {k: torch.nn.Parameter(torch.tensor(v)) for k, v in start.items()}
    optimiser, scheduler = make(weights)
    for params in found:
        optimiser.zero_grad()
        loss = sum(((weights[k] - torch.tensor(target[k])) ** 2).sum() for k in weights)
        loss.backward()
        optimiser.step()
        if scheduler is not None:
            scheduler.step()
        for name, value in params.items():
            expected = weights[name].detach().numpy()
            np.testing.assert_allclose(value, expected, rtol=1e-4, atol=1e-5)


@needs_torch
@pytest.mark.parametrize("nesterov", [False, True])
def test_sgd_is_pytorch_s(nesterov):
    ours = optimisers.sgd(
        *(0.05,), nesterov=nesterov, weight_decay=0.1, decay_everything=True
    )
    compared_with_torch(
        ours,
        lambda w: (
            torch.optim.SGD(
                w.values(), 0.05, momentum=0.9, nesterov=nesterov, weight_decay=0.1
            ),
            None,
        ),
    )


@needs_torch
def test_the_one_cycle_recipe_is_pytorch_s():
    ours = optimisers.sgd(
        optimisers.one_cycle(0.1, 13),
        momentum_decay=optimisers.cycled_momentum(13),
        weight_decay=0.05,
    )

    def make(weights):
        groups = [
            {"params": [weights["w"]], "weight_decay": 0.05},
            {"params": [weights["b"]], "weight_decay": 0.0},
        ]
        optimiser = torch.optim.SGD(groups, lr=0.1, momentum=0.9)
        return optimiser, torch.optim.lr_scheduler.OneCycleLR(
            optimiser, max_lr=0.1, total_steps=13
        )

    compared_with_torch(ours, make)


@needs_torch
def test_adamw_is_pytorch_s():
    def make(weights):
        groups = [
            {"params": [weights["w"]], "weight_decay": 0.3},
            {"params": [weights["b"]], "weight_decay": 0.0},
        ]
        return torch.optim.AdamW(groups, lr=0.02), None

    compared_with_torch(optimisers.adamw(0.02, weight_decay=0.3), make)


def test_momentum_by_hand():
    transform = optimisers.momentum(lambda count: 0.5 + 0.1 * count, nesterov=True)
    state = transform.init(jnp.zeros(()))
    first, state = transform.update(jnp.float32(1.0), state)
    second, state = transform.update(jnp.float32(2.0), state)
    # v1 = 1, u1 = 1 + .5 v1; v2 = 2 + .6 v1, u2 = 2 + .6 v2.
    assert (float(first), float(second)) == pytest.approx((1.5, 3.56))
    assert int(state.count) == 2 and float(state.velocity) == pytest.approx(2.6)


def networks(*shapes):
    """A tree as a network's, with a normalisation, from its leaves' values or shapes."""
    kernel, bias, norm = shapes
    return {"conv": {"kernel": kernel, "bias": bias}, "norm1": {"bias": norm}}


def test_biases_of_normalisations_are_found_by_name():
    params = networks(*[jnp.zeros(2)] * 3) | {"head": {"bias": jnp.zeros(2)}}
    params["block"] = {"stem_norm": {"bias": jnp.zeros(2), "scale": jnp.zeros(2)}}
    expected = networks(False, False, True) | {"head": {"bias": False}}
    expected["block"] = {"stem_norm": {"bias": True, "scale": False}}
    assert optimisers.norm_biases(params) == expected


@needs_torch
@pytest.mark.parametrize("batch", [1024, 96])
def test_decoupled_units_are_the_author_s(batch):
    """A sum of losses in PyTorch, with a group for normalisations, as airbench has it."""
    rng = np.random.default_rng(0)
    start = [rng.normal(size=s).astype(np.float32) for s in ((3, 2), (2,), (4,))]
    pull = [rng.normal(size=(9, *leaf.shape)).astype(np.float32) for leaf in start]
    schedule = optimisers.triangular(1.0, 9, rise=0.23, start=0.2, end=0.07)
    rate, decay = optimisers.decoupled(11.5, 0.0153, momentum=0.85, batch=batch)
    ours = optimisers.sgd(
        lambda step: rate * schedule(step),
        momentum_decay=0.85,
        nesterov=True,
        weight_decay=decay,
        decay_everything=True,
        bias_rate=64.0,
    )
    scale = 1024 * (1 + 1 / (1 - 0.85))
    lr, wd = 11.5 / scale, 0.0153 * batch / scale
    weights = [torch.nn.Parameter(torch.tensor(leaf)) for leaf in start]
    groups = [
        {"params": weights[2:], "lr": 64 * lr, "weight_decay": wd / (64 * lr)},
        {"params": weights[:2], "lr": lr, "weight_decay": wd / lr},
    ]
    theirs = torch.optim.SGD(groups, momentum=0.85, nesterov=True)
    scheduler = torch.optim.lr_scheduler.LambdaLR(theirs, lambda s: float(schedule(s)))
    params = networks(*map(jnp.asarray, start))
    state = ours.init(params)
    for step in range(9):
        # Each example of the batch has this gradient: so has their mean.
        mean = networks(*(jnp.asarray(leaf[step]) for leaf in pull))
        updates, state = ours.update(mean, state, params)
        params = optax.apply_updates(params, updates)
        for weight, leaf in zip(weights, pull, strict=True):
            weight.grad = torch.tensor(leaf[step] * batch)
        theirs.step()
        scheduler.step()
        found = (
            params["conv"]["kernel"],
            params["conv"]["bias"],
            params["norm1"]["bias"],
        )
        for one, weight in zip(found, weights, strict=True):
            np.testing.assert_allclose(one, weight.detach(), rtol=1e-4, atol=1e-5)


def test_what_is_trained_for_a_while_stays_to_the_bit_after_it():
    ours = optax.chain(
        optimisers.sgd(0.1, weight_decay=0.5, decay_everything=True),
        optimisers.trained_for({"conv/kernel": 0, "conv/bias": 2}),
    )
    params = networks(*[jnp.full(2, 1.5)] * 3)
    state = ours.init(params)
    found = [params]
    for _ in range(4):
        updates, state = ours.update(jax.tree.map(jnp.ones_like, params), state, params)
        params = optax.apply_updates(params, updates)
        found.append(params)
    moved = [
        jax.tree.map(lambda a, b: bool((a != b).any()), one, two)
        for one, two in zip(found, found[1:], strict=False)
    ]
    assert moved == [networks(False, step < 2, True) for step in range(4)]
    with pytest.raises(ValueError, match="no parameters conv/other"):
        optimisers.trained_for({"conv/other": 1}).init(params)


def test_what_forgets_is_made_anew_for_every_epoch():
    make = lambda: optimisers.adamw(0.1, weight_decay=0.0)  # noqa: E731
    ours, plain = optimisers.forgetting(make(), 3), make()
    rng = np.random.default_rng(0)
    params = other = {"w": jnp.asarray(rng.normal(size=(2, 2)), jnp.float32)}
    state, own = ours.init(params), plain.init(params)
    update = jax.jit(ours.update)
    for step in range(7):
        gradient = {"w": jnp.asarray(rng.normal(size=(2, 2)), jnp.float32)}
        updates, state = update(gradient, state, params)
        params = optax.apply_updates(params, updates)
        if step % 3 == 0:
            own = plain.init(other)
        updates, own = plain.update(gradient, own, other)
        other = optax.apply_updates(other, updates)
        np.testing.assert_allclose(params["w"], other["w"], rtol=1e-6)


@pytest.mark.parametrize("total", [13, 15])
def test_lookahead_is_a_loop_by_hand(total):
    rng = np.random.default_rng(0)
    moves = rng.normal(size=(total, 3))
    ahead = optimisers.Lookahead()
    update = jax.jit(partial(ahead.update, total=total))
    fast = slow = {"w": jnp.zeros(3)}
    own, average = np.zeros(3), np.zeros(3)
    for step in range(1, total + 1):
        fast = {"w": fast["w"] + jnp.asarray(moves[step - 1], jnp.float32)}
        fast, slow = update(jnp.int32(step), fast, slow)
        own = own + moves[step - 1]
        if step % 5 == 0:
            keep = 0.95**5 * (step / total) ** 3
            average = keep * average + (1 - keep) * own
            own = average.copy()
        if step == total:
            own = average.copy()
        np.testing.assert_allclose(fast["w"], own, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(slow["w"], average, rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(fast["w"], slow["w"])
