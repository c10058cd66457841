"""Inception v3 of FID: its weights' names and numbers, and PyTorch's features."""

import jax
import numpy as np
import pytest

from jaxbias.models import inception
from jaxbias.models.torch_weights import WeightsError, convert
from jaxbias.probes.features import extract


@pytest.fixture(scope="module")
def state():
    """A state dict with the names and shapes of the published one, drawn here."""
    rng = np.random.default_rng(0)
    found = {}

    def unit(name, given, width, high, wide):
        scale = (2 / (given * high * wide)) ** 0.5
        found[f"{name}.conv.weight"] = rng.normal(0, scale, (width, given, high, wide))
        found[f"{name}.bn.weight"] = rng.uniform(0.5, 1.5, width)
        found[f"{name}.bn.bias"] = rng.normal(0, 0.1, width)
        found[f"{name}.bn.running_mean"] = rng.normal(0, 0.1, width)
        found[f"{name}.bn.running_var"] = rng.uniform(0.5, 1.5, width)
        found[f"{name}.bn.num_batches_tracked"] = np.array(0)

    shapes = jax.tree_util.tree_flatten_with_path(inception.shapes()["params"])[0]
    for path, leaf in shapes:
        names = [part.key for part in path]
        if names[-2:] == ["conv", "kernel"]:
            high, wide, given, width = leaf.shape
            unit(".".join(names[:-2]), given, width, high, wide)
    found["fc.weight"] = rng.normal(0, 0.02, (1008, 2048))
    found["fc.bias"] = rng.normal(0, 0.02, 1008)
    return {name: np.asarray(value, np.float32) for name, value in found.items()}


def test_it_has_as_many_weights_as_published():
    """torchvision's inception_v3 has 23,834,568 without its auxiliary part; this has 8
    classes more."""
    leaves = jax.tree.leaves(inception.shapes()["params"])
    assert sum(leaf.size for leaf in leaves) == 23_834_568 + 8 * 2_049


def test_layers_have_pytorchs_names():
    params = inception.shapes()["params"]
    blocks = [f"Mixed_{n}" for n in "5b 5c 5d 6a 6b 6c 6d 6e 7a 7b 7c".split()]
    assert set(blocks) <= set(params)
    assert set(params["Mixed_7c"]) == {
        *("branch1x1", "branch3x3_1", "branch3x3_2a", "branch3x3_2b"),
        *("branch3x3dbl_1", "branch3x3dbl_2", "branch3x3dbl_3a", "branch3x3dbl_3b"),
        "branch_pool",
    }
    widths = {"Mixed_5b": 192, "Mixed_5c": 256, "Mixed_5d": 288, "Mixed_6b": 768}
    widths |= {"Mixed_7b": 1280, "Mixed_7c": 2048}
    for name, width in widths.items():
        assert params[name]["branch1x1"]["conv"]["kernel"].shape[2] == width


def test_other_weights_are_refused(state):
    less = {name: value for name, value in state.items() if "Mixed_7c" not in name}
    with pytest.raises(WeightsError, match="arrays are missing"):
        convert("inception", less, inception.shapes())
    with pytest.raises(WeightsError, match="has shape"):
        wrong = state | {"fc.bias": np.zeros(1000, np.float32)}
        convert("inception", wrong, inception.shapes())


def test_features_are_those_of_pytorch(state):
    torch = pytest.importorskip("torch")
    F = torch.nn.functional
    tensors = {name: torch.from_numpy(value) for name, value in state.items()}

    def unit(x, name, stride=1, pad=0):
        x = F.conv2d(x, tensors[f"{name}.conv.weight"], stride=stride, padding=pad)
        parts = ("running_mean", "running_var", "weight", "bias")
        found = [tensors[f"{name}.bn.{part}"] for part in parts]
        return F.relu(F.batch_norm(x, *found, eps=1e-3))

    def average(x):
        return F.avg_pool2d(x, 3, 1, 1, count_include_pad=False)

    def a(x, n):
        dbl = unit(unit(x, f"{n}.branch3x3dbl_1"), f"{n}.branch3x3dbl_2", 1, 1)
        return torch.cat(
            [
                unit(x, f"{n}.branch1x1"),
                unit(unit(x, f"{n}.branch5x5_1"), f"{n}.branch5x5_2", 1, 2),
                unit(dbl, f"{n}.branch3x3dbl_3", 1, 1),
                unit(average(x), f"{n}.branch_pool"),
            ],
            1,
        )

    def c(x, n):
        wide, tall = (0, 3), (3, 0)
        seven = unit(unit(x, f"{n}.branch7x7_1"), f"{n}.branch7x7_2", 1, wide)
        dbl = unit(x, f"{n}.branch7x7dbl_1")
        for number, pad in ((2, tall), (3, wide), (4, tall), (5, wide)):
            dbl = unit(dbl, f"{n}.branch7x7dbl_{number}", 1, pad)
        return torch.cat(
            [
                unit(x, f"{n}.branch1x1"),
                unit(seven, f"{n}.branch7x7_3", 1, tall),
                dbl,
                unit(average(x), f"{n}.branch_pool"),
            ],
            1,
        )

    def e(x, n, pool):
        three = unit(x, f"{n}.branch3x3_1")
        dbl = unit(unit(x, f"{n}.branch3x3dbl_1"), f"{n}.branch3x3dbl_2", 1, 1)
        return torch.cat(
            [
                unit(x, f"{n}.branch1x1"),
                unit(three, f"{n}.branch3x3_2a", 1, (0, 1)),
                unit(three, f"{n}.branch3x3_2b", 1, (1, 0)),
                unit(dbl, f"{n}.branch3x3dbl_3a", 1, (0, 1)),
                unit(dbl, f"{n}.branch3x3dbl_3b", 1, (1, 0)),
                unit(pool(x), f"{n}.branch_pool"),
            ],
            1,
        )

    images = np.random.default_rng(1).integers(0, 256, (3, 32, 40, 3)).astype(np.uint8)
    with torch.no_grad():
        x = torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255
        x = F.interpolate(x, (299, 299), mode="bilinear", align_corners=False)
        x = unit(2 * x - 1, "Conv2d_1a_3x3", 2)
        x = unit(unit(x, "Conv2d_2a_3x3"), "Conv2d_2b_3x3", 1, 1)
        x = unit(F.max_pool2d(x, 3, 2), "Conv2d_3b_1x1")
        x = F.max_pool2d(unit(x, "Conv2d_4a_3x3"), 3, 2)
        for name in ("Mixed_5b", "Mixed_5c", "Mixed_5d"):
            x = a(x, name)
        n = "Mixed_6a"
        dbl = unit(unit(x, f"{n}.branch3x3dbl_1"), f"{n}.branch3x3dbl_2", 1, 1)
        parts = [unit(x, f"{n}.branch3x3", 2), unit(dbl, f"{n}.branch3x3dbl_3", 2)]
        x = torch.cat([*parts, F.max_pool2d(x, 3, 2)], 1)
        for name in ("Mixed_6b", "Mixed_6c", "Mixed_6d", "Mixed_6e"):
            x = c(x, name)
        n = "Mixed_7a"
        three = unit(unit(x, f"{n}.branch3x3_1"), f"{n}.branch3x3_2", 2)
        seven = unit(x, f"{n}.branch7x7x3_1")
        seven = unit(seven, f"{n}.branch7x7x3_2", 1, (0, 3))
        seven = unit(seven, f"{n}.branch7x7x3_3", 1, (3, 0))
        parts = [three, unit(seven, f"{n}.branch7x7x3_4", 2)]
        x = torch.cat([*parts, F.max_pool2d(x, 3, 2)], 1)
        x = e(x, "Mixed_7b", average)
        x = e(x, "Mixed_7c", lambda x: F.max_pool2d(x, 3, 1, 1))
        wanted = x.mean((2, 3)).numpy()
    variables = convert("inception", state, inception.shapes())
    found = extract(inception.layers, variables, [images])
    assert found.shape == (3, inception.WIDTH) and wanted.std() > 0.1
    np.testing.assert_allclose(found, wanted, atol=1e-4 * np.abs(wanted).max())
