"""Sequence models against NumPy's recurrence and PyTorch's own modules."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxbias.models.priors import Prior, draw
from jaxbias.models.sequence import EncoderClassifier, LSTMClassifier
from jaxbias.numerics import boolean

BITS = boolean.cube(5)[3::4]


def weights(module, key, scale=1.5):
    template = jax.eval_shape(module.init, jax.random.key(0), jnp.asarray(BITS))[
        "params"
    ]
    prior = Prior(family="normal", bias_range=0.5)
    return jax.tree.map(lambda leaf: leaf * scale, draw(key, template, prior))


@pytest.fixture(scope="module")
def lstm():
    module = LSTMClassifier(width=8, depth=3)
    return module, weights(module, jax.random.key(1))


@pytest.fixture(scope="module")
def encoder():
    module = EncoderClassifier(width=12, depth=2, heads=3, expansion=2)
    return module, weights(module, jax.random.key(2))


def evaluated(pair, bits=BITS):
    module, params = pair
    apply = jax.jit(lambda p, x: module.apply({"params": p}, x)[0])
    return np.asarray(apply(params, jnp.asarray(bits)))


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def by_hand(params, string):
    """The LSTM in float64: one string, one token, one layer after another."""
    p = {name: np.asarray(leaf, np.float64) for name, leaf in params.items()}
    depth, width = p["input_kernel"].shape[:2]
    h, c = np.zeros((depth, width)), np.zeros((depth, width))
    for bit in string:
        x = p["embedding_kernel"][int(bit)]
        for layer in range(depth):
            gates = x @ p["input_kernel"][layer] + h[layer] @ p["hidden_kernel"][layer]
            i, f, g, o = (gates + p["gate_bias"][layer]).reshape(4, width)
            c[layer] = sigmoid(f) * c[layer] + sigmoid(i) * np.tanh(g)
            h[layer] = x = sigmoid(o) * np.tanh(c[layer])
    return h[-1] @ p["output_kernel"][:, 0] + p["output_bias"][0]


def test_the_lstm_is_the_recurrence(lstm):
    expected = [by_hand(lstm[1], string) for string in BITS]
    np.testing.assert_allclose(evaluated(lstm), expected, rtol=1e-4, atol=1e-5)


def test_the_lstm_is_pytorch_s(lstm):
    torch = pytest.importorskip("torch")
    p = jax.tree.map(np.array, lstm[1])
    depth, width = p["input_kernel"].shape[:2]
    theirs = torch.nn.LSTM(width, width, depth, batch_first=True)
    state = {}
    for i in range(depth):
        state[f"weight_ih_l{i}"] = p["input_kernel"][i].T
        state[f"weight_hh_l{i}"] = p["hidden_kernel"][i].T
        state[f"bias_ih_l{i}"] = p["gate_bias"][i]
        state[f"bias_hh_l{i}"] = np.zeros(4 * width, np.float32)
    theirs.load_state_dict({k: torch.tensor(v) for k, v in state.items()})
    with torch.no_grad():
        states, _ = theirs(torch.tensor(p["embedding_kernel"][BITS.astype(int)]))
    expected = states[:, -1].numpy() @ p["output_kernel"][:, 0] + p["output_bias"][0]
    np.testing.assert_allclose(evaluated(lstm), expected, rtol=1e-4, atol=1e-5)


def test_the_encoder_is_pytorch_s(encoder):
    torch = pytest.importorskip("torch")
    module, params = encoder
    p = jax.tree.map(np.array, params)
    layer = torch.nn.TransformerEncoderLayer(
        *(module.width, module.heads, module.expansion * module.width),
        **{"dropout": 0.0, "batch_first": True},
    )
    theirs = torch.nn.TransformerEncoder(
        layer, module.depth, enable_nested_tensor=False
    ).eval()
    names = {
        "qkv": "self_attn.in_proj_",
        "out": "self_attn.out_proj.",
        "mlp_in": "linear1.",
        "mlp_out": "linear2.",
    }
    state = theirs.state_dict()
    for i in range(module.depth):
        for ours, name in names.items():
            kernel, bias = p[f"{ours}_kernel"][i], p[f"{ours}_bias"][i]
            state[f"layers.{i}.{name}weight"] = torch.tensor(kernel.T.copy())
            state[f"layers.{i}.{name}bias"] = torch.tensor(bias.copy())
    theirs.load_state_dict(state)
    tokens = np.concatenate([np.full((len(BITS), 1), 2), BITS], axis=1).astype(int)
    x = p["embedding_kernel"][tokens] + p["position_kernel"]
    with torch.no_grad():
        last = theirs(torch.tensor(x))[:, 0].numpy()
    expected = last @ p["output_kernel"][:, 0] + p["output_bias"][0]
    np.testing.assert_allclose(evaluated(encoder), expected, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("name", ["lstm", "encoder"])
def test_strings_do_not_see_each_other(name, request):
    pair = request.getfixturevalue(name)
    whole = evaluated(pair)
    assert np.ptp(whole) > 0.005
    np.testing.assert_allclose(
        evaluated(pair, BITS[2:5]), whole[2:5], rtol=1e-4, atol=1e-5
    )
    module, params = pair
    eager, _ = module.apply({"params": params}, jnp.asarray(BITS))
    np.testing.assert_allclose(eager, whole, rtol=1e-4, atol=1e-5)


def test_the_encoder_knows_where_a_bit_is(encoder):
    one = evaluated(encoder, np.eye(5, dtype=np.float32))
    assert len(set(one.round(5))) == 5
    # Without positions the order of tokens would not matter.
    module, params = encoder
    blind = module, params | {"position_kernel": 0 * params["position_kernel"]}
    np.testing.assert_allclose(
        np.ptp(evaluated(blind, np.eye(5, dtype=np.float32))), 0, atol=1e-5
    )


def test_flax_s_own_initialisation_is_glorot_s(key):
    module = LSTMClassifier(width=64, depth=2)
    params = jax.jit(module.init)(key, jnp.asarray(BITS))["params"]
    kernel = np.asarray(params["hidden_kernel"])
    limit = np.sqrt(6 / (64 + 256))
    assert np.abs(kernel).max() == pytest.approx(limit, rel=0.01)
    assert kernel.std() == pytest.approx(limit / np.sqrt(3), rel=0.05)
