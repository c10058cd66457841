"""PyTorch's weights: the same logits as the original, and files that are not trusted."""

import io
import pickle
import zipfile

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from safetensors.numpy import save_file

from jaxbias.models.catalogue import build
from jaxbias.models.convnext import ConvNeXt
from jaxbias.models.resnet import ResNet
from jaxbias.models.torch_weights import WeightsError, convert, read_state
from jaxbias.models.vit import ViT

try:
    import torch
    from torch import nn
except ImportError:
    torch = None

needs_torch = pytest.mark.skipif(torch is None, reason="PyTorch is not installed")


def modules():
    """The originals, as torchvision and the ConvNeXt authors lay them out, small."""

    class Block(nn.Module):
        def __init__(self, inputs, width, stride, bottleneck):
            super().__init__()
            wide = 4 * width if bottleneck else width
            sizes = (1, 3, 1) if bottleneck else (3, 3)
            channels = [inputs, *[width] * (len(sizes) - 1), wide]
            strided = 1 if bottleneck else 0
            for i, size in enumerate(sizes):
                conv = nn.Conv2d(
                    *(channels[i], channels[i + 1], size),
                    stride=stride if i == strided else 1,
                    padding=size // 2,
                    bias=False,
                )
                setattr(self, f"conv{i + 1}", conv)
                setattr(self, f"bn{i + 1}", nn.BatchNorm2d(channels[i + 1]))
            self.count = len(sizes)
            self.downsample = None
            if stride > 1 or inputs != wide:
                self.downsample = nn.Sequential(
                    nn.Conv2d(inputs, wide, 1, stride=stride, bias=False),
                    nn.BatchNorm2d(wide),
                )

        def forward(self, x):
            h = x
            for i in range(1, self.count + 1):
                h = getattr(self, f"bn{i}")(getattr(self, f"conv{i}")(h))
                h = h.relu() if i < self.count else h
            return (h + (self.downsample(x) if self.downsample else x)).relu()

    class TorchResNet(nn.Module):
        def __init__(self, stages, width, bottleneck, classes):
            super().__init__()
            self.conv1 = nn.Conv2d(3, width, 7, stride=2, padding=3, bias=False)
            self.bn1 = nn.BatchNorm2d(width)
            inputs = width
            for s, count in enumerate(stages):
                blocks = []
                for i in range(count):
                    stride = 2 if s and not i else 1
                    blocks.append(Block(inputs, width * 2**s, stride, bottleneck))
                    inputs = width * 2**s * (4 if bottleneck else 1)
                setattr(self, f"layer{s + 1}", nn.Sequential(*blocks))
            self.fc = nn.Linear(inputs, classes)

        def forward(self, x):
            x = self.bn1(self.conv1(x)).relu()
            x = nn.functional.max_pool2d(x, 3, 2, 1)
            for s in range(1, 5):
                x = getattr(self, f"layer{s}")(x)
            return self.fc(x.mean((2, 3)))

    class Layer(nn.Module):
        def __init__(self, width, heads):
            super().__init__()
            self.ln_1 = nn.LayerNorm(width, eps=1e-6)
            self.self_attention = nn.MultiheadAttention(width, heads, batch_first=True)
            self.ln_2 = nn.LayerNorm(width, eps=1e-6)
            self.mlp = nn.Sequential(
                nn.Linear(width, 4 * width),
                nn.GELU(),
                nn.Dropout(0.0),
                nn.Linear(4 * width, width),
            )

        def forward(self, x):
            h = self.ln_1(x)
            x = x + self.self_attention(h, h, h, need_weights=False)[0]
            return x + self.mlp(self.ln_2(x))

    class TorchViT(nn.Module):
        def __init__(self, width, depth, heads, patch, size, classes):
            super().__init__()
            self.class_token = nn.Parameter(torch.randn(1, 1, width))
            self.conv_proj = nn.Conv2d(3, width, patch, stride=patch)
            self.encoder = nn.Module()
            tokens = (size // patch) ** 2 + 1
            self.encoder.pos_embedding = nn.Parameter(torch.randn(1, tokens, width))
            self.encoder.layers = nn.Sequential()
            for i in range(depth):
                layer = Layer(width, heads)
                self.encoder.layers.add_module(f"encoder_layer_{i}", layer)
            self.encoder.ln = nn.LayerNorm(width, eps=1e-6)
            self.heads = nn.Sequential()
            self.heads.add_module("head", nn.Linear(width, classes))

        def forward(self, x):
            x = self.conv_proj(x).flatten(2).transpose(1, 2)
            x = torch.cat([self.class_token.expand(len(x), -1, -1), x], 1)
            x = self.encoder.layers(x + self.encoder.pos_embedding)
            return self.heads(self.encoder.ln(x)[:, 0])

    class ChannelsFirstNorm(nn.LayerNorm):
        def forward(self, x):
            return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)

    class ConvNeXtLayer(nn.Module):
        def __init__(self, width):
            super().__init__()
            self.dwconv = nn.Conv2d(width, width, 7, padding=3, groups=width)
            self.norm = nn.LayerNorm(width, eps=1e-6)
            self.pwconv1 = nn.Linear(width, 4 * width)
            self.pwconv2 = nn.Linear(4 * width, width)
            self.gamma = nn.Parameter(torch.randn(width))

        def forward(self, x):
            h = self.norm(self.dwconv(x).permute(0, 2, 3, 1))
            h = self.gamma * self.pwconv2(nn.functional.gelu(self.pwconv1(h)))
            return x + h.permute(0, 3, 1, 2)

    class TorchConvNeXt(nn.Module):
        def __init__(self, depths, widths, classes):
            super().__init__()
            stem = nn.Conv2d(3, widths[0], 4, stride=4)
            norm = ChannelsFirstNorm(widths[0], eps=1e-6)
            self.downsample_layers = nn.ModuleList([nn.Sequential(stem, norm)])
            for a, b in zip(widths, widths[1:], strict=False):
                norm = ChannelsFirstNorm(a, eps=1e-6)
                conv = nn.Conv2d(a, b, 2, stride=2)
                self.downsample_layers.append(nn.Sequential(norm, conv))
            self.stages = nn.ModuleList(
                nn.Sequential(*(ConvNeXtLayer(w) for _ in range(d)))
                for d, w in zip(depths, widths, strict=True)
            )
            self.norm = nn.LayerNorm(widths[-1], eps=1e-6)
            self.head = nn.Linear(widths[-1], classes)

        def forward(self, x):
            for down, stage in zip(self.downsample_layers, self.stages, strict=True):
                x = stage(down(x))
            return self.head(self.norm(x.mean((2, 3))))

    class TorchAlexNet(nn.Module):
        def __init__(self, classes):
            super().__init__()
            self.features = nn.Sequential(
                *(nn.Conv2d(3, 64, 11, 4, 2), nn.ReLU(), nn.MaxPool2d(3, 2)),
                *(nn.Conv2d(64, 192, 5, padding=2), nn.ReLU(), nn.MaxPool2d(3, 2)),
                *(nn.Conv2d(192, 384, 3, padding=1), nn.ReLU()),
                *(nn.Conv2d(384, 256, 3, padding=1), nn.ReLU()),
                *(nn.Conv2d(256, 256, 3, padding=1), nn.ReLU(), nn.MaxPool2d(3, 2)),
            )
            self.classifier = nn.Sequential(
                *(nn.Dropout(), nn.Linear(256 * 36, 4096), nn.ReLU()),
                *(nn.Dropout(), nn.Linear(4096, 4096), nn.ReLU()),
                nn.Linear(4096, classes),
            )

        def forward(self, x):
            x = nn.functional.adaptive_avg_pool2d(self.features(x), 6)
            return self.classifier(x.flatten(1))

    return {
        "resnet18": (
            TorchResNet((2, 1, 1, 1), 8, False, 5),
            ResNet((2, 1, 1, 1), classes=5, width=8),
            64,
        ),
        "resnet50": (
            TorchResNet((1, 2, 1, 1), 8, True, 5),
            ResNet((1, 2, 1, 1), classes=5, width=8, bottleneck=True),
            64,
        ),
        "vit_tiny": (
            TorchViT(24, 2, 3, 8, 32, 5),
            ViT(24, 2, 3, 8, classes=5),
            32,
        ),
        "convnext_tiny": (
            TorchConvNeXt((1, 2, 1, 1), (8, 12, 16, 24), 5),
            ConvNeXt((1, 2, 1, 1), (8, 12, 16, 24), classes=5),
            64,
        ),
        "alexnet": (TorchAlexNet(5), build("alexnet", 5), 96),
    }


def shapes(model, size):
    images = jnp.zeros((1, size, size, 3))
    return jax.eval_shape(model.init, jax.random.key(0), images)


def state_of(module):
    return {name: value.numpy() for name, value in module.state_dict().items()}


@needs_torch
@pytest.mark.parametrize(
    "name", ["resnet18", "resnet50", "vit_tiny", "convnext_tiny", "alexnet"]
)
def test_logits_are_those_of_the_original(name):
    torch.manual_seed(0)
    original, ours, size = modules()[name]
    images = torch.randn(3, 3, size, size)
    with torch.no_grad():
        original.train()(images)  # Running statistics that are not 0 and 1.
        expected = original.eval()(images).numpy()
    variables = convert(name, state_of(original), shapes(ours, size))
    found, _ = jax.jit(ours.apply)(variables, images.numpy().transpose(0, 2, 3, 1))
    np.testing.assert_allclose(found, expected, atol=1e-4 * max(1, abs(expected).max()))
    assert np.ptp(expected, axis=0).max() > 1e-3


@needs_torch
@pytest.mark.parametrize("wrapped", [False, True])
def test_saved_files_are_read_as_pytorch_reads_them(tmp_path, wrapped):
    torch.manual_seed(0)
    state = {
        "module.a": torch.randn(3, 4).T,  # Not contiguous.
        "module.b": torch.arange(5),
        "module.c": torch.randn(2).half(),
        "module.d": torch.tensor(3.0),
        "module.e": nn.Parameter(torch.randn(2, 2)),
    }
    torch.save(
        {"state_dict": state, "epoch": 3} if wrapped else state, tmp_path / "w.pth"
    )
    found = read_state(tmp_path / "w.pth")
    assert found.keys() == {"a", "b", "c", "d", "e"}
    for name, value in state.items():
        expected = value.detach().float().numpy()
        np.testing.assert_array_equal(found[name.removeprefix("module.")], expected)


def test_safetensors_are_read(tmp_path):
    state = {"a": np.eye(3, dtype=np.float16), "b": np.arange(4)}
    save_file(state, tmp_path / "w.safetensors")
    found = read_state(tmp_path / "w.safetensors")
    for name, value in state.items():
        assert found[name].dtype == np.float32
        np.testing.assert_array_equal(found[name], value)


class Harmful:
    ran = False

    def __reduce__(self):
        return setattr, (Harmful, "ran", True)


def pickled(value):
    return pickle.dumps(value, protocol=2)


def zipped(path, data, **storages):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", data)
        for key, content in storages.items():
            archive.writestr(f"archive/data/{key}", content)


def tensor(size, stride, offset=0, key="k0", kind=b"FloatStorage"):
    """A state dict of one tensor "w", in the opcodes that torch.save writes."""
    out = io.BytesIO()
    out.write(b"\x80\x02}X\x01\x00\x00\x00w")
    out.write(b"ctorch._utils\n_rebuild_tensor_v2\n(")
    out.write(b"(X\x07\x00\x00\x00storagectorch\n" + kind + b"\n")
    out.write(b"X" + len(key).to_bytes(4, "little") + key.encode())
    out.write(b"X\x03\x00\x00\x00cpuK\x04tQ")
    for value in (offset, size, stride):
        body = pickle.dumps(value, protocol=2)[2:-1]
        out.write(body)
    out.write(b"\x89)ts.".replace(b")ts.", b"NtRs."))
    return out.getvalue()


def test_a_tensor_is_read_without_pytorch(tmp_path):
    values = np.arange(6, dtype="<f4")
    zipped(tmp_path / "w.pth", tensor((2, 3), (3, 1)), k0=values.tobytes())
    found = read_state(tmp_path / "w.pth")
    np.testing.assert_array_equal(found["w"], values.reshape(2, 3))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (tensor((3, 3), (3, 1)), "outside its storage"),
        (tensor((2,), (-1,), 1), "outside its storage"),
        (tensor((2,), (1,), -1), "outside its storage"),
        (tensor((2,), (10**15,)), "outside its storage"),
        (tensor((2,), (1,), key="../x"), "not a storage"),
        (tensor((2,), (1,), key="none"), "not a state dict"),
        (tensor((2,), (1,), kind=b"load"), "torch.load, not only tensors"),
        (pickled({"w": Harmful()}), "builtins__.setattr|builtin.*setattr"),
        (pickled([1, 2]), "holds list"),
        (pickled({"w": 3}), "no tensors"),
        (b"\x80\x02}", "not a state dict"),
        (b"", "not a state dict"),
    ],
)
def test_forged_files_are_refused_and_run_nothing(tmp_path, data, message):
    path = tmp_path / "w.pth"
    zipped(path, data, k0=np.arange(6, dtype="<f4").tobytes())
    with pytest.raises(WeightsError, match=message):
        read_state(path)
    assert not Harmful.ran


def test_files_that_are_none_are_refused(tmp_path):
    with pytest.raises(WeightsError, match="No such file"):
        read_state(tmp_path / "absent.pth")
    (tmp_path / "old.pth").write_bytes(pickled({}))
    with pytest.raises(WeightsError, match="zip format"):
        read_state(tmp_path / "old.pth")
    (tmp_path / "w.safetensors").write_bytes(b"\xff" * 20)
    with pytest.raises(WeightsError, match="not a state dict"):
        read_state(tmp_path / "w.safetensors")


# Names and shapes, without PyTorch


def torchvision_resnet(classes=5, width=8):
    """Names and shapes of a ResNet of one basic block a stage."""
    rng = np.random.default_rng(0)
    state = {"conv1.weight": rng.normal(size=(width, 3, 7, 7))}
    norms = {"bn1": width}
    inputs = width
    for s in range(4):
        outputs = width * 2**s
        block = f"layer{s + 1}.0"
        state[f"{block}.conv1.weight"] = rng.normal(size=(outputs, inputs, 3, 3))
        state[f"{block}.conv2.weight"] = rng.normal(size=(outputs, outputs, 3, 3))
        norms |= {f"{block}.bn1": outputs, f"{block}.bn2": outputs}
        if s:
            name = f"{block}.downsample"
            state[f"{name}.0.weight"] = rng.normal(size=(outputs, inputs, 1, 1))
            norms[f"{name}.1"] = outputs
        inputs = outputs
    for name, size in norms.items():
        for leaf in ("weight", "bias", "running_mean", "running_var"):
            state[f"{name}.{leaf}"] = rng.normal(size=size)
        state[f"{name}.num_batches_tracked"] = np.asarray(7)
    state["fc.weight"] = rng.normal(size=(classes, inputs))
    state["fc.bias"] = rng.normal(size=classes)
    return state


SMALL = ResNet((1, 1, 1, 1), classes=5, width=8)


def test_every_array_finds_its_place():
    state = torchvision_resnet()
    found = convert("resnet18", state, shapes(SMALL, 32))
    kernel = found["params"]["stage2_block1"]["conv1"]["kernel"]
    np.testing.assert_array_equal(
        kernel, state["layer2.0.conv1.weight"].transpose(2, 3, 1, 0)
    )
    statistics = found["batch_stats"]["stage3_block1"]["shortcut_norm"]
    np.testing.assert_array_equal(
        statistics["var"], state["layer3.0.downsample.1.running_var"]
    )
    np.testing.assert_array_equal(
        found["params"]["head"]["kernel"], state["fc.weight"].T
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: s.pop("fc.bias"), "1 arrays are missing .params/head/bias"),
        (lambda s: s.update({"layer5.0.bn1.weight": np.ones(3)}), "1 left over"),
        (lambda s: s.update({"fc.weight": np.ones((9, 64))}), "fc.weight has shape"),
    ],
)
def test_other_models_weights_are_refused(change, message):
    state = torchvision_resnet()
    change(state)
    with pytest.raises(WeightsError, match=message):
        convert("resnet18", state, shapes(SMALL, 32))


def test_models_without_published_weights_are_named():
    with pytest.raises(WeightsError, match="cnn4"):
        convert("cnn4", {}, {})
    with pytest.raises(WeightsError, match="another model"):
        convert("alexnet", torchvision_resnet(), shapes(SMALL, 32))
