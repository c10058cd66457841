"""Weights that PyTorch has trained, as parameters of our models.

State dicts of torchvision, timm and the ConvNeXt authors are understood for AlexNet, VGG,
ResNet, ViT and ConvNeXt, and those of pytorch-fid for Inception. Files are read without
executing anything that is in them.
"""

import io
import math
import pickle
import re
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from flax import traverse_util

State = Mapping[str, np.ndarray]

MOST_BYTES = 2**34
"""Largest file that is read."""


class WeightsError(ValueError):
    """A file or a state dict that cannot be used; the message says where and why."""


# Files


def read_state(path: Path) -> dict[str, np.ndarray]:
    """Read a state dict from `.safetensors`, or from `torch.save`'s zip format.

    Wrappers ("state_dict", "model") and the prefix "module." are taken off.

    Returns:
        Float32 arrays by name.

    Raises:
        WeightsError: If the file is absent, damaged, or holds anything but tensors.
    """
    try:
        if path.stat().st_size > MOST_BYTES:
            raise WeightsError(f"{path}: more than {MOST_BYTES} bytes")
        if path.suffix == ".safetensors":
            found = _read_safetensors(path)
        else:
            found = _read_pickled(path)
    except WeightsError:
        raise
    except OSError as error:
        raise WeightsError(f"{path}: {error.strerror or error}") from error
    except Exception as error:  # Whatever a damaged or forged file makes them raise.
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        raise WeightsError(f"{path}: not a state dict: {reason}") from error
    for wrapper in ("state_dict", "model"):
        if isinstance(found.get(wrapper), dict):
            found = found[wrapper]
    arrays = {
        name.removeprefix("module."): np.asarray(value, np.float32)
        for name, value in found.items()
        if isinstance(value, np.ndarray)
    }
    if not arrays:
        raise WeightsError(f"{path}: holds no tensors")
    return arrays


def _read_safetensors(path: Path) -> dict[str, Any]:
    from safetensors.flax import load_file

    return {name: np.asarray(value) for name, value in load_file(path).items()}


_STORAGES = {
    "FloatStorage": np.dtype("<f4"),
    "DoubleStorage": np.dtype("<f8"),
    "HalfStorage": np.dtype("<f2"),
    "LongStorage": np.dtype("<i8"),
    "IntStorage": np.dtype("<i4"),
    "ByteStorage": np.dtype("u1"),
    "BoolStorage": np.dtype("?"),
}


def _rebuild_tensor(
    storage: np.ndarray, offset: int, size: tuple, stride: tuple, *_: Any
) -> np.ndarray:
    """A tensor as a view of its storage; refuses one that reaches outside it."""
    last = offset + sum((n - 1) * s for n, s in zip(size, stride, strict=True))
    if min((offset, *size, *stride)) < 0 or (math.prod(size) and last >= len(storage)):
        raise WeightsError("a tensor reaches outside its storage")
    steps = [s * storage.itemsize for s in stride]
    view = np.lib.stride_tricks.as_strided(storage[offset:], size, steps)
    return np.array(view)


_ALLOWED: dict[tuple[str, str], Any] = {
    ("collections", "OrderedDict"): OrderedDict,
    ("torch._utils", "_rebuild_tensor_v2"): _rebuild_tensor,
    ("torch._utils", "_rebuild_parameter"): lambda data, *_: data,
}


class _TensorUnpickler(pickle.Unpickler):
    """Knows tensors and nothing else: any other name in the pickle is an error."""

    def __init__(self, archive: zipfile.ZipFile, root: str) -> None:
        super().__init__(io.BytesIO(archive.read(f"{root}/data.pkl")))
        self._archive, self._root = archive, root

    def find_class(self, module: str, name: str) -> Any:
        if module == "torch" and name in _STORAGES:
            return _STORAGES[name]
        if (module, name) in _ALLOWED:
            return _ALLOWED[module, name]
        raise WeightsError(f"holds {module}.{name}, not only tensors")

    def persistent_load(self, pid: Any) -> np.ndarray:
        kind, dtype, key, _, _ = pid
        if kind != "storage" or not re.fullmatch(r"\w+", str(key)):
            raise WeightsError("holds something that is not a storage")
        data = self._archive.read(f"{self._root}/data/{key}")
        return np.frombuffer(data, dtype)


def _read_pickled(path: Path) -> dict[str, Any]:
    if not zipfile.is_zipfile(path):
        raise WeightsError(
            f"{path}: not in torch.save's zip format; load and save it again with a "
            "PyTorch of 1.6 or newer, or as safetensors"
        )
    with zipfile.ZipFile(path) as archive:
        if sum(entry.file_size for entry in archive.infolist()) > MOST_BYTES:
            raise WeightsError(f"{path}: unpacks to more than {MOST_BYTES} bytes")
        (pickled,) = [n for n in archive.namelist() if n.endswith("/data.pkl")]
        found = _TensorUnpickler(archive, pickled.removesuffix("/data.pkl")).load()
    if not isinstance(found, dict):
        raise WeightsError(f"{path}: holds {type(found).__name__}, not a state dict")
    return found


# Names

Rule = tuple[str, str | Callable[[re.Match], str]]


_RESNET: list[Rule] = [
    (r"conv1", "stem_conv"),
    (r"bn1", "stem_norm"),
    (
        r"layer(\d)\.(\d+)\.(?:conv(\d)|bn(\d))",
        lambda m: (
            f"stage{m[1]}_block{int(m[2]) + 1}/"
            + (f"conv{m[3]}" if m[3] else f"norm{m[4]}")
        ),
    ),
    (
        r"layer(\d)\.(\d+)\.downsample\.([01])",
        lambda m: (
            f"stage{m[1]}_block{int(m[2]) + 1}/shortcut_{('conv', 'norm')[int(m[3])]}"
        ),
    ),
    (r"fc", "head"),
]

_VIT_PARTS = {
    "norm1": "norm1",
    "ln_1": "norm1",
    "norm2": "norm2",
    "ln_2": "norm2",
    "attn.qkv": "attention/qkv",
    "self_attention.in_proj": "attention/qkv",
    "attn.proj": "attention/out",
    "self_attention.out_proj": "attention/out",
    "mlp.fc1": "wide",
    "mlp.0": "wide",
    "mlp.linear_1": "wide",
    "mlp.fc2": "narrow",
    "mlp.3": "narrow",
    "mlp.linear_2": "narrow",
}

_VIT: list[Rule] = [
    (r"cls_token|class_token", "token"),
    (r"pos_embed|encoder\.pos_embedding", "positions"),
    (r"patch_embed\.proj|conv_proj", "patches"),
    (
        r"(?:blocks\.|encoder\.layers\.encoder_layer_)(\d+)\.("
        + "|".join(map(re.escape, _VIT_PARTS))
        + ")",
        lambda m: f"block{int(m[1]) + 1}/{_VIT_PARTS[m[2]]}",
    ),
    (r"norm|encoder\.ln", "norm"),
    (r"head|heads\.head", "head"),
]

_CONVNEXT_PARTS = {
    "conv_dw": "depthwise",
    "dwconv": "depthwise",
    "block.0": "depthwise",
    "norm": "norm",
    "block.2": "norm",
    "mlp.fc1": "wide",
    "pwconv1": "wide",
    "block.3": "wide",
    "mlp.fc2": "narrow",
    "pwconv2": "narrow",
    "block.5": "narrow",
    "gamma": "scale",
    "layer_scale": "scale",
}
_CONVNEXT_PART = "|".join(map(re.escape, _CONVNEXT_PARTS))


def _convnext_block(match: re.Match, stage: int) -> str:
    part = _CONVNEXT_PARTS[match[3]]
    return f"stage{stage}_block{int(match[2]) + 1}/{part}"


def _convnext_down(stage: int, part: int) -> str:
    """The layer norm (part 0) and convolution (1) before a stage; a stem's are swapped."""
    if stage == 1:
        return ("stem", "stem_norm")[part]
    return (f"down{stage}_norm", f"down{stage}")[part]


_CONVNEXT: list[Rule] = [
    # timm
    (r"stem\.([01])", lambda m: _convnext_down(1, int(m[1]))),
    (
        r"stages\.(\d)\.downsample\.([01])",
        lambda m: _convnext_down(int(m[1]) + 1, int(m[2])),
    ),
    (
        rf"stages\.(\d)\.blocks\.(\d+)\.({_CONVNEXT_PART})",
        lambda m: _convnext_block(m, int(m[1]) + 1),
    ),
    (r"head\.norm|classifier\.0", "norm"),
    (r"head\.fc|classifier\.2", "head"),
    # The authors
    (
        r"downsample_layers\.(\d)\.([01])",
        lambda m: _convnext_down(int(m[1]) + 1, int(m[2])),
    ),
    (
        rf"stages\.(\d)\.(\d+)\.({_CONVNEXT_PART})",
        lambda m: _convnext_block(m, int(m[1]) + 1),
    ),
    (r"norm", "norm"),
    (r"head", "head"),
    # torchvision: stages at odd places, what lies before them at even ones
    (
        rf"features\.([1357])\.(\d+)\.({_CONVNEXT_PART})",
        lambda m: _convnext_block(m, (int(m[1]) + 1) // 2),
    ),
    (
        r"features\.([0246])\.([01])",
        lambda m: _convnext_down(int(m[1]) // 2 + 1, int(m[2])),
    ),
]


def _plain(state: State) -> list[Rule]:
    """AlexNet and VGG: layers are numbered among activations and pooling."""
    places = {kind: set() for kind in ("features", "classifier")}
    for name in state:
        kind, number, *_ = name.split(".")
        places[kind].add(int(number))
    convs, dense = (sorted(places[kind]) for kind in ("features", "classifier"))
    targets = [*(f"dense{i + 1}" for i in range(len(dense) - 1)), "head"]
    return [
        (r"features\.(\d+)", lambda m: f"conv{convs.index(int(m[1])) + 1}"),
        (r"classifier\.(\d+)", lambda m: targets[dense.index(int(m[1]))]),
    ]


_INCEPTION: list[Rule] = [
    (r"fc", "head"),
    (r"(.+)", lambda m: m[1].replace(".", "/")),
]

FAMILIES: dict[str, Callable[[State], list[Rule]]] = {
    "resnet": lambda state: _RESNET,
    "vit": lambda state: _VIT,
    "convnext": lambda state: _CONVNEXT,
    "alexnet": _plain,
    "vgg": _plain,
    "inception": lambda state: _INCEPTION,
}
"""How names translate, by the beginning of a model's name in the catalogue."""

_LEAF = re.compile(
    r"(?P<layer>.*?)[._]?(?P<leaf>weight|bias|running_mean|running_var)?"
)


def _target(name: str, rules: list[Rule]) -> tuple[str, str] | None:
    """Our path of a layer, and the kind of its array; None if there is none."""
    match = _LEAF.fullmatch(name)
    assert match is not None
    layer, leaf = match["layer"], match["leaf"] or ""
    for pattern, replacement in rules:
        found = re.fullmatch(pattern, layer)
        if found:
            path = replacement if isinstance(replacement, str) else replacement(found)
            return path, leaf
    return None


def _leaf_path(path: str, leaf: str, known: Mapping[str, Any]) -> str:
    """The path of an array among our variables."""
    if leaf.startswith("running_"):
        return f"batch_stats/{path}/{'mean' if leaf == 'running_mean' else 'var'}"
    for last in ("kernel", "scale") if leaf == "weight" else (leaf,) if leaf else ():
        if f"params/{path}/{last}" in known:
            return f"params/{path}/{last}"
    return f"params/{path}"


def _fitted(value: np.ndarray, path: str, shape: tuple[int, ...]) -> np.ndarray:
    """Lay an array out as ours is: images are NHWC, and dense layers act on rows."""
    if path.endswith("/kernel"):
        if value.ndim == 4:
            value = value.transpose(2, 3, 1, 0)
        elif value.ndim == 2:
            value = value.T
    if value.shape != shape and value.size == math.prod(shape):
        value = value.reshape(shape)
    return value


def convert(name: str, state: State, variables: Any) -> Any:
    """Turn a state dict into variables of one of our models.

    Args:
        name: The model's name in the catalogue.
        state: Arrays by PyTorch's names, see `read_state`.
        variables: Of the model, or their shapes (`jax.eval_shape` of `init`).

    Returns:
        Variables of the same structure, float32, on the host.

    Raises:
        WeightsError: If names are missing, left over, or of another shape: another
            model, or another number of classes.
    """
    family = next((f for f in FAMILIES if name.startswith(f)), None)
    if family is None:
        raise WeightsError(f"{name}: no PyTorch weights are known for it")
    state = {n: a for n, a in state.items() if not n.endswith("num_batches_tracked")}
    leaves: Any = traverse_util.flatten_dict(dict(variables), sep="/")
    shapes = {path: leaf.shape for path, leaf in leaves.items()}
    try:
        rules = FAMILIES[family](state)
    except (KeyError, ValueError) as error:
        raise WeightsError(f"{name}: these are the weights of another model") from error
    found, strange = {}, []
    for theirs, value in state.items():
        target = _target(theirs, rules)
        path = _leaf_path(*target, shapes) if target else ""
        if path not in shapes:
            strange.append(theirs)
            continue
        if family in ("alexnet", "vgg") and path == "params/dense1/kernel":
            value = _from_channels_first(value, state)
        value = _fitted(value, path, shapes[path])
        if value.shape != shapes[path]:
            raise WeightsError(
                f"{name}: {theirs} has shape {value.shape}, ours {shapes[path]}"
            )
        found[path] = value
    missing = shapes.keys() - found.keys()
    if missing or strange:
        raise WeightsError(
            f"{name}: {len(missing)} arrays are missing ({_some(missing)}), "
            f"{len(strange)} left over ({_some(strange)})"
        )
    return traverse_util.unflatten_dict(found, sep="/")


def _from_channels_first(value: np.ndarray, state: State) -> np.ndarray:
    """Reorder the first dense layer's inputs, which PyTorch flattens channels first."""
    last = max((n for n in state if n.startswith("features.")), key=_place)
    channels = len(state[last])
    side = math.isqrt(value.shape[1] // channels)
    by_pixel = value.reshape(-1, channels, side, side).transpose(0, 2, 3, 1)
    return by_pixel.reshape(value.shape)


def _place(name: str) -> int:
    return int(name.split(".")[1])


def _some(names: Any) -> str:
    return ", ".join(sorted(names)[:3]) or "none"
