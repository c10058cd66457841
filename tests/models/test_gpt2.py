"""GPT-2: beside PyTorch, the published initialisation, and generation from a cache."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import special

from jaxbias.models import gpt2
from jaxbias.models.gpt2 import GPT2

TINY = GPT2(layers=3, width=24, heads=4, vocabulary=50, positions=32)
TOKENS = 9


def drawn(model, seed=0, **options):
    """Weights of the initialisation, and biases and norms that are not trivial."""
    params = gpt2.draw(jax.random.key(seed), model, **options)
    rng = np.random.default_rng(seed)

    def shaken(path, leaf):
        if not str(path[-1].key).endswith(("bias", "scale")):
            return leaf
        return leaf + 0.1 * rng.normal(size=leaf.shape).astype(np.float32)

    return jax.tree_util.tree_map_with_path(shaken, params)


def prompts(rows, length=1, seed=0, vocabulary=50):
    rng = np.random.default_rng(seed)
    return jnp.asarray(rng.integers(0, vocabulary, (rows, length)), jnp.int32)


def normalise(x, scale, bias):
    x = x - x.mean(-1, keepdims=True)
    return x / np.sqrt((x**2).mean(-1, keepdims=True) + 1e-5) * scale + bias


NUMPY = {
    "relu": lambda x: np.maximum(x, 0),
    "gelu": lambda x: x * special.ndtr(x),
    "tanh": np.tanh,
    "sine": np.sin,
    "jax.nn.gelu": lambda x: (
        0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))
    ),
}


def reference(params, model, tokens, *, activation, gamma=1.0, depth=None):
    """Logits of one sequence in float64, position by position."""
    p = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), params)
    tokens = np.asarray(tokens)
    x = p["wte"][tokens] + p["wpe"][: len(tokens)]
    size = model.width // model.heads
    for number in range(1, (depth or model.layers) + 1):
        b = p[f"block{number}"]
        h = normalise(x, gamma * b["ln_1_scale"], b["ln_1_bias"])
        qkv = h @ b["qkv_kernel"] + b["qkv_bias"]
        q, k, v = np.split(qkv, 3, axis=-1)
        mixed = np.zeros_like(x)
        for head in range(model.heads):
            at = slice(head * size, (head + 1) * size)
            for i in range(len(tokens)):
                w = special.softmax(k[: i + 1, at] @ q[i, at] / np.sqrt(size))
                mixed[i, at] = w @ v[: i + 1, at]
        x = x + mixed @ b["attention_out_kernel"] + b["attention_out_bias"]
        h = normalise(x, gamma * b["ln_2_scale"], b["ln_2_bias"])
        h = NUMPY[activation](h @ b["mlp_in_kernel"] + b["mlp_in_bias"])
        x = x + h @ b["mlp_out_kernel"] + b["mlp_out_bias"]
    return normalise(x, p["ln_f_scale"], p["ln_f_bias"]) @ p["wte"].T


def test_the_published_network_has_124_439_808_parameters():
    assert gpt2.parameters(GPT2()) == 124_439_808


def test_rows_differ_in_scale_activation_and_depth_by_group():
    """Four groups of two rows, each row with its own scale, against NumPy."""
    model = TINY.clone(activations=("relu", "sine"), depths=(3, 1))
    params = drawn(model, kernel_std=0.2)
    tokens = prompts(8, 6)
    gamma = jnp.asarray([0.3, 1.0, 2.0, 4.0] * 2)
    logits, found = jax.jit(model.apply)({"params": params}, tokens, gamma)
    assert logits.shape == (8, 6, 50) and len(found["cache"]) == 3
    cases = [(d, a) for d in (3, 1) for a in ("relu", "sine")]
    for row in range(8):
        depth, activation = cases[row // 2]
        expected = reference(
            *(params, model, tokens[row]),
            **{"activation": activation, "gamma": float(gamma[row]), "depth": depth},
        )
        np.testing.assert_allclose(logits[row], expected, atol=1e-4)


def test_the_last_norm_is_scaled_on_request():
    params = drawn(TINY)
    params["ln_f_bias"] *= 0
    gamma = jnp.full(2, 3.0)
    apply = {"params": params}, prompts(2, 4), gamma
    plain, _ = TINY.apply(*apply)
    scaled, _ = TINY.clone(scale_final=True).apply(*apply)
    np.testing.assert_allclose(scaled, 3 * plain, rtol=1e-4, atol=1e-5)


def test_the_initialisation_is_the_published_one(key):
    model = GPT2(layers=2, width=96, heads=2, vocabulary=3000)
    params = gpt2.draw(key, model)
    init = jax.eval_shape(model.init, jax.random.key(0), prompts(1))["params"]
    assert jax.tree.map(jnp.shape, params) == jax.tree.map(lambda s: s.shape, init)
    block = params["block2"]
    # sqrt(2 layers) = 2.
    for leaf, std in (
        *((params["wte"], 0.02), (params["wpe"], 0.02), (block["qkv_kernel"], 0.02)),
        *((block["mlp_in_kernel"], 0.02), (block["mlp_out_kernel"], 0.01)),
        (block["attention_out_kernel"], 0.01),
    ):
        error = 4 * std / np.sqrt(2 * leaf.size)
        assert float(leaf.std()) == pytest.approx(std, abs=error)
        assert abs(float(leaf.mean())) < 4 * std / np.sqrt(leaf.size)
    for name, leaf in block.items():
        if name.endswith(("bias", "scale")):
            np.testing.assert_array_equal(leaf, float(name.endswith("scale")))
    wide = gpt2.draw(jax.random.clone(key), model, kernel_std=0.04)
    np.testing.assert_array_equal(wide["wte"], params["wte"])
    np.testing.assert_allclose(
        wide["block1"]["qkv_kernel"], 2 * params["block1"]["qkv_kernel"]
    )


def test_flax_draws_from_the_same_distribution(key):
    params = TINY.init(key, prompts(1))["params"]
    out = params["block1"]["mlp_out_kernel"]
    assert float(out.std()) == pytest.approx(0.02 / np.sqrt(6), rel=0.05)
    assert float(params["block3"]["ln_1_scale"].min()) == 1


MIXED = TINY.clone(activations=("gelu", "tanh", "relu", "gaussian"), depths=(3, 2))


@jax.jit
def from_cache(params, first, gamma):
    return gpt2.generate(MIXED, params, first, tokens=TOKENS, gamma=gamma, stage=4)


@jax.jit
def all_logits(params, tokens, gamma):
    return MIXED.apply({"params": params}, tokens, gamma)[0]


@settings(max_examples=15, deadline=None)
@given(
    seed=st.integers(0, 2**31),
    exponents=st.lists(st.floats(-1, 1), min_size=8, max_size=8),
)
def test_generation_from_the_cache_is_the_uncached_argmax(seed, exponents):
    """Each token is the best one after all before it, whatever activation and scale."""
    params = drawn(MIXED, seed % 1000, kernel_std=0.2)
    gamma = jnp.asarray(10 ** np.asarray(exponents), jnp.float32)
    first = prompts(8, 1, seed)
    written = from_cache(params, first, gamma)
    assert written.shape == (8, TOKENS + 1)
    np.testing.assert_array_equal(written[:, :1], first)
    # The network is causal: one pass over all tokens has every step's logits.
    logits = np.asarray(all_logits(params, written, gamma))[:, :-1]
    taken = np.take_along_axis(logits, np.asarray(written)[:, 1:, None], axis=-1)
    # Two tokens within rounding of one another may change places.
    assert (taken[..., 0] >= logits.max(-1) - 1e-4).all()


@pytest.mark.slow
def test_token_by_token_without_a_cache():
    params = drawn(TINY, kernel_std=0.2)
    first = prompts(4, 3)
    step = jax.jit(lambda tokens: TINY.apply({"params": params}, tokens)[0])
    tokens = first
    for _ in range(5):
        best = jnp.argmax(step(tokens)[:, -1], axis=-1).astype(jnp.int32)
        tokens = jnp.concatenate([tokens, best[:, None]], axis=1)
    write = partial(gpt2.generate, TINY, tokens=5)
    np.testing.assert_array_equal(write(params, first), tokens)
    # Whatever the stages.
    np.testing.assert_array_equal(write(params, first, stage=1), tokens)
    np.testing.assert_array_equal(jax.jit(write)(params, first), tokens)


@pytest.mark.slow
def test_over_draws_vmap_is_one_by_one():
    keys = jax.random.split(jax.random.key(3), 3)
    write = lambda key: gpt2.generate(  # noqa: E731
        TINY, gpt2.draw(key, TINY, kernel_std=0.2), prompts(4), tokens=6
    )
    np.testing.assert_array_equal(
        jax.vmap(write)(keys), jax.lax.map(write, jax.random.clone(keys))
    )


def test_what_is_not_finite_stops_the_row():
    params = gpt2.draw(jax.random.key(0), TINY)
    params["wpe"] = params["wpe"].at[3].set(jnp.nan)
    written = gpt2.generate(TINY, params, prompts(2), tokens=7)
    assert (written[:, :4] >= 0).all()
    assert (written[:, 4:] == gpt2.STOPPED).all()


def test_beside_pytorch():
    """The same weights in a module of PyTorch's own parts: logits within 1e-4."""
    torch = pytest.importorskip("torch")
    from torch import nn

    model = GPT2(layers=2, width=64, heads=4, vocabulary=101, positions=16)
    params = drawn(model)
    tokens = prompts(3, 12, vocabulary=101)

    def tensor(leaf):
        return nn.Parameter(torch.tensor(np.asarray(leaf)))

    def linear(block, name):
        kernel = block[f"{name}_kernel"]
        layer = nn.Linear(*kernel.shape)
        layer.weight, layer.bias = tensor(kernel.T), tensor(block[f"{name}_bias"])
        return layer

    def norm(holder, name):
        layer = nn.LayerNorm(64, eps=1e-5)
        layer.weight = tensor(holder[f"{name}_scale"])
        layer.bias = tensor(holder[f"{name}_bias"])
        return layer

    with torch.no_grad():
        ids = torch.tensor(np.asarray(tokens)).long()
        table = tensor(params["wte"])
        x = table[ids] + tensor(params["wpe"])[:12]
        for number in (1, 2):
            block = params[f"block{number}"]
            qkv = linear(block, "qkv")(norm(block, "ln_1")(x))
            q, k, v = (
                part.reshape(3, 12, 4, 16).transpose(1, 2) for part in qkv.chunk(3, -1)
            )
            mixed = nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True)
            mixed = mixed.transpose(1, 2).reshape(3, 12, 64)
            x = x + linear(block, "attention_out")(mixed)
            h = linear(block, "mlp_in")(norm(block, "ln_2")(x))
            h = nn.functional.gelu(h, approximate="tanh")
            x = x + linear(block, "mlp_out")(h)
        expected = norm(params, "ln_f")(x) @ table.T
    logits, _ = model.apply({"params": params}, tokens)
    np.testing.assert_allclose(logits, expected.numpy(), atol=1e-4)


def test_the_best_token_is_the_first_largest():
    rng = np.random.default_rng(0)
    logits = rng.integers(0, 5, (20, 30)).astype(np.float32)
    found = gpt2._best(jnp.asarray(logits))
    np.testing.assert_array_equal(found, logits.argmax(axis=1))
    for bad in (np.nan, np.inf):
        logits[3, 7] = bad
        assert gpt2._best(jnp.asarray(logits))[3] == gpt2.STOPPED


@pytest.mark.filterwarnings("ignore")
def test_beside_hugging_face():
    """The published implementation: logits within 1e-4, and the same greedy tokens."""
    pytest.importorskip("transformers")
    torch = pytest.importorskip("torch")
    from benchmarks import hf_generation as hf

    model = GPT2(layers=2, width=64, heads=4, vocabulary=101, positions=16)
    params = drawn(model)
    leaves = jax.tree_util.tree_flatten_with_path(params)[0]
    named = {"/".join(str(k.key) for k in path): leaf for path, leaf in leaves}
    side = hf.Side()
    config = {"n_layer": 2, "n_embd": 64, "n_head": 4}
    found = side.take(
        {name: torch.tensor(np.asarray(leaf)) for name, leaf in named.items()},
        **config,
        **{"vocab_size": 101, "n_positions": 16},
    )
    assert found["parameters"] == gpt2.parameters(model)
    tokens = prompts(3, 12, vocabulary=101)
    with torch.no_grad():
        expected = side.model(torch.tensor(np.asarray(tokens)).long()).logits
    logits, _ = model.apply({"params": params}, tokens)
    np.testing.assert_allclose(logits, expected.numpy(), atol=1e-4)
    written = gpt2.generate(model, params, tokens[:, :1], tokens=14)
    theirs = side.generate(np.asarray(tokens[:, 0]), 14)["tokens"]
    np.testing.assert_array_equal(written, theirs)
