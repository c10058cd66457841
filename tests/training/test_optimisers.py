"""Schedules and optimisers: PyTorch's numbers, with and without PyTorch at hand."""

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
