"""Probe: counts against plain loops, whole runs on tiny networks, resume, refusals."""

import json
import re
from dataclasses import replace
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import whole_runs
from flax import traverse_util
from jax.sharding import Mesh
from PIL import Image
from safetensors.numpy import save_file

from jaxbias import tables
from jaxbias.data import imagenet_c, imagenet_c_bar
from jaxbias.data.sixteen_categories import CATEGORIES, CIFAR10
from jaxbias.data.trials import read_folder
from jaxbias.devices import NETWORKS
from jaxbias.files import UsageError
from jaxbias.models import catalogue
from jaxbias.models.resnet import ResNet
from jaxbias.numerics.statistics import wilson
from jaxbias.probes import adversarial, critical_band
from jaxbias.runs import RunDirectory
from jaxbias.studies.imagenet_biases.correlations.table import BIASES, Table
from jaxbias.studies.imagenet_biases.probe import (
    experiment,
    images,
    networks,
    parts,
    profile,
    published,
)
from jaxbias.studies.imagenet_biases.probe.config import (
    CHANGED,
    PARTS,
    PRESETS,
    Config,
    check_values,
)

SIDE, CLASSES = 32, 10
WNIDS = [f"n{number:08d}" for number in range(CLASSES)]
FEW = {"corruptions": ("gaussian_noise", "contrast"), "c-bar": ("plasma_noise",)}


# A network that reads the mean colour, against plain loops


def by_colour(params, shown):
    features = [jnp.mean(shown, axis=(1, 2)), jnp.std(shown, axis=(1, 2))]
    return jnp.matmul(jnp.concatenate(features, 1), params, precision="highest")


def seen(params, shown):
    """The same, by NumPy."""
    shown = np.asarray(shown, np.float64)
    features = [shown.mean(axis=(-3, -2)), shown.std(axis=(-3, -2))]
    return (np.concatenate(features, -1) @ params).argmax(axis=-1)


@pytest.fixture(scope="module")
def colours():
    """Two such networks, and images with their numbers and labels; one does not count."""
    random = np.random.default_rng(1)
    params = random.normal(size=(2, 6, 6)).astype(np.float32)
    params /= np.linalg.norm(params, axis=1, keepdims=True)
    pixels = random.integers(0, 256, (8, SIDE, SIDE, 3)).astype(np.uint8)
    pixels = (pixels * random.random((8, 1, 1, 3))).astype(np.uint8)
    numbers = random.permutation(50)[:8].astype(np.int32)
    # Half of the images are right for each of the two, before anything is changed.
    labels = np.where(np.arange(8) % 2, *(seen(p, pixels / 255) for p in params))
    return params, pixels, numbers, labels.astype(np.int32), np.arange(8) < 7


KEY = jax.random.key(7)


def counted(name, colours, config):
    part = parts.part(name, by_colour, config)
    mesh = Mesh(np.asarray(jax.devices()), (NETWORKS,))
    params, *batch = map(jnp.asarray, colours)
    found = parts.counter(part, mesh)(params, KEY, *batch)
    return part.conditions, np.asarray(found).sum(axis=0)


def plainly(colours, stimuli):
    """Right answers by network and condition, image after image."""
    params, pixels, numbers, labels, real = colours
    found = None
    for image, number, label, counts in zip(pixels, numbers, labels, real, strict=True):
        key = jax.random.fold_in(KEY, number)
        shown = stimuli(image / np.float32(255), key)
        right = np.stack([seen(own, shown) == label for own in params])
        found = (0 if found is None else found) + right * counts
    return found


SMALL = Config(weights=("x",), size=SIDE, resize=SIDE, images=8, batch=8)


def test_spectral_counts_are_those_of_a_plain_filter(colours):
    conditions, found = counted("spectral", colours, SMALL)
    frequency = np.fft.fftfreq(SIDE, 1 / SIDE)

    def stimuli(image, key):
        made = []
        for condition in conditions:
            kind, cut = condition.split()
            # As the steps of 0.1 come out in binary.
            cut = {"0.3": 0.1 * 3, "0.7": 0.7000000000000001}.get(cut, float(cut))
            half = int((cut if kind == "low" else 1 - cut) * (SIDE // 2))
            one = (-half <= frequency) & (frequency < half)
            keep = one[:, None] & one[None]
            spectrum = np.fft.fft2(image, axes=(0, 1))
            keep = keep if kind == "low" else ~keep
            left = np.fft.ifft2(spectrum * keep[..., None], axes=(0, 1)).real
            made.append(left.clip(0, 1))
        return np.stack(made)

    assert len(conditions) == 22
    np.testing.assert_array_equal(found[..., 0], plainly(colours, stimuli))
    assert not found[..., 1].any() and len(np.unique(found[..., 0])) > 2


def test_critical_band_counts_are_those_of_its_stimuli(colours):
    conditions, found = counted("critical-band", colours, SMALL)
    stimuli = jax.jit(critical_band.stimuli)
    assert len(conditions) == 17 and conditions[1] == "sd 0.02 band 0"
    np.testing.assert_array_equal(found[..., 0], plainly(colours, stimuli))


@pytest.mark.parametrize("name", ["corruptions", "c-bar"])
def test_corruptions_are_counted_by_severity(name, colours, monkeypatch):
    module = imagenet_c if name == "corruptions" else imagenet_c_bar
    table = {key: module.CORRUPTIONS[key] for key in FEW[name]}
    monkeypatch.setattr(module, "CORRUPTIONS", table)
    conditions, found = counted(name, colours, SMALL)
    jitted = {key: jax.jit(one) for key, one in table.items()}

    def stimuli(image, key):
        made = []
        for group, one in enumerate(jitted.values()):
            for severity in range(1, 6):
                own = jax.random.clone(jax.random.fold_in(key, group))
                made.append(one(own, jnp.asarray(image), jnp.int32(severity)))
        return np.stack(made)

    assert conditions[:5] == tuple(f"{FEW[name][0]}_{n}" for n in range(1, 6))
    np.testing.assert_array_equal(found[..., 0], plainly(colours, stimuli))
    assert found.shape == (2, 5 * len(table), 2)


def test_every_corruption_has_a_place():
    for name, count in (("corruptions", 19), ("c-bar", 10)):
        part = parts.part(name, by_colour, SMALL)
        assert len(part.conditions) == 5 * count and part.members == 5


def test_the_attack_is_a_plain_loop(colours):
    config = replace(SMALL, pgd_steps=3, pgd_radius=0.1, pgd_step=0.06)
    # What reads the mean alone has the same slope at every pixel.
    colours = (colours[0] * (np.arange(6) < 3)[:, None], *colours[1:])
    conditions, found = counted("adversarial", colours, config)
    params, pixels, numbers, labels, real = colours
    params = params[:, :3]
    robust, clean = np.zeros(2, int), np.zeros(2, int)
    for place in np.flatnonzero(real):
        image, label = pixels[place] / np.float32(255), labels[place]
        key = jax.random.fold_in(KEY, numbers[place])
        noise = adversarial.random_in_ball(key, jnp.asarray(image)[None], 0.1, "linf")
        for network, weights in enumerate(params):
            here = np.clip(image + np.asarray(noise)[0], 0, 1)
            for _ in range(3):
                logits = here.mean(axis=(0, 1)) @ weights
                slope = np.exp(logits) / np.exp(logits).sum() - np.eye(6)[label]
                moved = here + 0.06 * np.sign(weights @ slope)
                here = np.clip(image + np.clip(moved - image, -0.1, 0.1), 0, 1)
            before, after = (
                (x.mean(axis=(0, 1)) @ weights).argmax() == label for x in (image, here)
            )
            robust[network] += before and after
            clean[network] += before
    assert conditions == ("PGD-3",)
    np.testing.assert_array_equal(found[:, 0, 0], robust)
    assert robust.sum() < clean.sum(), "the attack breaks nothing: make it stronger"


def test_what_is_not_finite_is_counted_apart(colours):
    params, *others = colours
    broken = (np.stack([params[0], np.full_like(params[1], np.nan)]), *others)
    for name in ("spectral", "adversarial"):
        _, found = counted(name, broken, replace(SMALL, pgd_steps=2))
        assert (found[1] == [0, 7]).all() and not found[0, :, 1].any()
    row = profile._row("x", "clean", "imagenet", 3, 7, 1)
    assert np.isnan([row["accuracy"], row["low"], row["high"]]).all()


# Whole runs


def torch_names(variables):
    """A state dict as torchvision's ResNets have."""
    state = {}
    for path, value in traverse_util.flatten_dict(variables, sep="/").items():
        _, *layers, leaf = path.split("/")
        name = ".".join(layers)
        name = re.sub(r"stage(\d)_block(\d)", r"layer\1.\2", name)
        name = re.sub(r"(layer\d)\.(\d)", lambda m: f"{m[1]}.{int(m[2]) - 1}", name)
        for ours, theirs in {
            "stem_conv": "conv1",
            "stem_norm": "bn1",
            "shortcut_conv": "downsample.0",
            "shortcut_norm": "downsample.1",
            "head": "fc",
            ".norm": ".bn",
        }.items():
            name = name.replace(ours, theirs)
        value = np.asarray(value)
        if leaf == "kernel":
            value = value.transpose(3, 2, 0, 1) if value.ndim == 4 else value.T
        words = {"kernel": "weight", "scale": "weight", "mean": "running_mean"}
        words["var"] = "running_var"
        state[f"{name}.{words.get(leaf, leaf)}"] = np.ascontiguousarray(value)
    return state


def drawn(path, random, size=(SIDE, SIDE)):
    path.parent.mkdir(parents=True, exist_ok=True)
    coarse = random.integers(0, 256, (4, 4, 3)).astype(np.uint8)
    Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC).save(path)


@pytest.fixture(scope="module", autouse=True)
def tiny():
    """A small network of the catalogue's kind, and few corruptions."""
    patch = pytest.MonkeyPatch()
    entry = catalogue.Entry(
        make=lambda classes, dtype: ResNet((1, 1), classes=classes, width=8),
        size=SIDE,
        source="this test",
    )
    patch.setitem(catalogue.CATALOGUE, "resnet_tiny", entry)
    yield
    patch.undo()


def taught(found, seed):
    """Variables whose head is fitted to the validation images, as well as can be."""
    paths = sorted((found / "imagenet" / "val").glob("*/*.png"))
    shown = [images.central(np.asarray(Image.open(x)), 36, SIDE) for x in paths]
    moments = catalogue.IMAGENET_MEAN, catalogue.IMAGENET_SD
    mean, sd = (np.asarray(one, np.float32) for one in moments)
    inputs = (np.stack(shown) / np.float32(255) - mean) / sd
    module = catalogue.build("resnet_tiny", CLASSES)
    variables = jax.jit(module.init)(jax.random.key(seed), inputs)
    features = np.asarray(jax.jit(module.apply)(variables, inputs)[1]["features"])
    targets = np.eye(CLASSES)[np.arange(20) // 2]
    head = np.linalg.lstsq(features, targets, rcond=1e-3)[0]
    variables["params"]["head"]["kernel"] = head.astype(np.float32)
    return variables


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Weights of two networks, and every set of images."""
    found, random = tmp_path_factory.mktemp("probe"), np.random.default_rng(0)
    number = 0
    for wnid in WNIDS:
        for _ in range(2):
            name = f"ILSVRC2012_val_{number:08d}.png"
            drawn(found / "imagenet" / "val" / wnid / name, random, (44, 40))
            number = (number + 7) % 20
    for field, wnids in {
        "imagenet_a": WNIDS[1:4],
        "imagenet_r": WNIDS[4:6],
        "sketch": WNIDS,
        "v2": ["7", "12", *map(str, range(7)), "8"],
    }.items():
        for wnid in wnids:
            name = "9" if wnid == "12" else wnid
            drawn(found / field / name / "x.png", random)
    for place, shape in enumerate(CATEGORIES):
        for step in (0, 1, 3):
            texture = CATEGORIES[(place + step) % 16]
            drawn(found / "cue" / shape / f"{shape}{step + 1}-{texture}1.png", random)
        for field in ("edges", "silhouettes"):
            drawn(found / field / shape / f"{shape}1.png", random)
        drawn(found / "stylized" / shape / f"any name {place}.png", random)
    for seed, name in enumerate(("one", "two")):
        save_file(torch_names(taught(found, seed)), found / f"{name}.safetensors")
    real = [[place % CLASSES] if place % 4 else [] for place in range(20)]
    (found / "real.json").write_text(json.dumps(real))
    return found


@pytest.fixture(scope="module")
def config(folder):
    return Config(
        weights=(str(folder / "one.safetensors"), str(folder / "two.safetensors")),
        model="resnet_tiny",
        imagenet=str(folder / "imagenet"),
        real=str(folder / "real.json"),
        cue_conflict=str(folder / "cue"),
        categories="cifar10",
        v2=str(folder / "v2"),
        imagenet_a=str(folder / "imagenet_a"),
        imagenet_r=str(folder / "imagenet_r"),
        sketch=str(folder / "sketch"),
        edges=str(folder / "edges"),
        silhouettes=str(folder / "silhouettes"),
        stylized=str(folder / "stylized"),
        images=10,
        size=SIDE,
        resize=36,
        batch=8,
        pgd_steps=2,
        resamples=100,
    )


def shortened(patch):
    """Leave two corruptions and one."""
    for name, module in (("corruptions", imagenet_c), ("c-bar", imagenet_c_bar)):
        table = {key: module.CORRUPTIONS[key] for key in FEW[name]}
        patch.setattr(module, "CORRUPTIONS", table)
        where = "CORRUPTIONS" if name == "corruptions" else "BAR_CORRUPTIONS"
        patch.setattr(profile, where, table)


@pytest.fixture
def few(monkeypatch):
    shortened(monkeypatch)


def accuracy_by_hand(config, name, paths, classes, allowed=None):
    """Share of images that a network gets right, read and shown one by one."""
    found = networks.load(config, CLASSES)
    own = jax.tree.map(lambda leaf: leaf[found.names.index(name)], found.params)
    predict, right = jax.jit(found.predict), 0
    for path, label in zip(paths, classes, strict=True):
        image = Image.open(path)
        side = min(image.size)
        if side != config.resize:
            wide, high = (int(config.resize * n / side) for n in image.size)
            image = image.resize((wide, high), Image.Resampling.BILINEAR)
        # torchvision rounds halves to the even number.
        left, top = (round((n - config.size) / 2) for n in image.size)
        image = image.crop((left, top, left + config.size, top + config.size))
        pixels = np.asarray(image, np.float32)[None] / 255
        logits = np.array(predict(own, pixels))[0]
        if allowed is not None:
            logits[[n for n in range(CLASSES) if n not in allowed]] = -np.inf
        right += int(logits.argmax() == label)
    return right / len(paths)


@pytest.fixture(scope="module")
def run(config, tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        shortened(patch)
        out = tmp_path_factory.mktemp("run") / "run"
        return whole_runs.finished(experiment, config, out)


def rows_of(run, **wanted):
    columns = run.read_table("profile.parquet")
    keep = np.ones(len(columns["model"]), bool)
    for name, value in wanted.items():
        keep &= columns[name] == value
    return {name: values[keep] for name, values in columns.items()}


def test_every_part_is_in_both_tables(run):
    results, rows = run.read_table(), rows_of(run, model="one")
    assert results["model"].tolist() == ["one", "two"]
    assert set(rows["part"].tolist()) == set(PARTS)
    for columns in BIASES.values():
        assert set(columns) <= set(results)
    for part, count in (("spectral", 22), ("critical-band", 17), ("adversarial", 1)):
        assert (rows["part"] == part).sum() == count
    changed = np.isin(rows["part"], CHANGED)
    assert (rows["images"][changed] == 10).all()
    counts = zip(rows["right"].tolist(), rows["images"].tolist(), strict=True)
    for place, (right, count) in enumerate(counts):
        ends = rows["low"][place], rows["high"][place]
        assert rows["accuracy"][place] == right / count
        assert ends == wilson(float(right), count)


def test_columns_are_those_of_the_published_table(run, folder):
    results, row = run.read_table(), rows_of(run, model="two")
    share = {
        (part, condition): accuracy
        for part, condition, accuracy in zip(
            *(row[n].tolist() for n in ("part", "condition", "accuracy")), strict=True
        )
    }
    clean = share["clean", "imagenet, as changed"]
    assert results["top1_acc/imagenet"][1] == 100 * share["clean", "imagenet"]
    assert results["top1_acc/PGD-2/low"][1] == 100 * share["adversarial", "PGD-2"]
    ratio = share["spectral", "low 0.3"] / clean
    assert results["metric/bandpass/LFC/0.3"][1] == ratio
    assert results["top1_acc/contrast_4"][1] == 100 * share["corruptions", "contrast_4"]
    mean = np.mean([v for (part, _), v in share.items() if part == "corruptions"])
    assert results["top1_acc/imagenet-c"][1] == pytest.approx(100 * mean)
    names = {"edge", "silhouette", "stylized", "cue-conflict", "imagenet-v2"}
    names |= {"imagenet-a", "imagenet-r", "imagenet-sketch", "imagenet-real"}
    assert {f"top1_acc/{name}" for name in names} <= set(results)
    # A table of several profiles is what `correlations` reads.
    text = (run.path / "results.csv").read_text().splitlines()
    text += [text[1].replace("one", "three", 1)]
    (folder / "table.csv").write_text("\n".join(text) + "\n")
    of = {"adversarial_training": ["one"], "baseline": ["two", "three"]}
    (folder / "categories.json").write_text(json.dumps(of))
    table = Table.read(
        str(folder / "table.csv"), str(folder / "categories.json"), "baseline"
    )
    assert table.column("top1_acc/imagenet-sketch") is not None
    assert table.column("shape-bias") is not None


def test_accuracies_are_those_of_images_shown_one_by_one(run, config, folder):
    paths = sorted((folder / "imagenet" / "val").glob("*/*.png"))
    by_hand = partial(accuracy_by_hand, config, "one")
    found = rows_of(run, model="one", condition="imagenet")
    assert found["accuracy"] == by_hand(paths, np.arange(20) // 2)
    for condition, field, classes, allowed in (
        ("imagenet-v2", "v2", [*range(9), 9], None),
        ("imagenet-a", "imagenet_a", [1, 2, 3], [1, 2, 3]),
        ("imagenet-r", "imagenet_r", [4, 5], [4, 5]),
        ("imagenet-sketch", "sketch", range(10), None),
    ):
        paths = sorted((folder / field).glob("*/*.png"))
        found = rows_of(run, model="one", condition=condition)
        assert found["images"] == len(paths)
        assert found["accuracy"] == by_hand(paths, classes, allowed)


def test_real_labels_go_by_file_name_and_leave_no_batch_out(run, config, folder):
    real = json.loads((folder / "real.json").read_text())
    paths = sorted(
        (folder / "imagenet" / "val").glob("*/*.png"), key=lambda path: path.name
    )
    labelled = [(path, own[0]) for path, own in zip(paths, real, strict=True) if own]
    found = rows_of(run, model="two", condition="imagenet-real")
    assert found["images"] == 15
    assert found["accuracy"] == accuracy_by_hand(
        config, "two", *zip(*labelled, strict=True)
    )


def test_trials_are_written_and_give_the_shape_bias(run):
    observers = read_folder(run.path / "trials")
    assert [one.name for one in observers] == ["one", "two"]
    biases = run.read_table()["shape-bias"]
    for one, found in zip(observers, biases, strict=True):
        possible = [
            CIFAR10[cue.shape] != () != CIFAR10[cue.texture] for cue in one.cues
        ]
        conflict = (one.shapes != one.textures) & possible
        shape = (conflict & (one.answers == one.shapes)).sum()
        texture = (conflict & (one.answers == one.textures)).sum()
        assert len(one.cues) == 48 and shape + texture > 0
        assert found == pytest.approx(shape / (shape + texture))
        # Of categories without classes there are no answers.
        assert all(CIFAR10[CATEGORIES[answer]] for answer in one.answers)


def test_channels_are_of_the_bands_of_this_size(run):
    channels, results = run.read_table("channels.parquet"), run.read_table()
    assert len(channels["model"]) == 8
    rows = rows_of(run, model="one", part="critical-band")
    matrix = critical_band.accuracy_matrix(jnp.asarray(rows["accuracy"], jnp.float32))
    steps = np.asarray(critical_band.thresholds(matrix))
    own = (channels["model"] == "one") & channels["relative"] & ~channels["smooth"]
    assert channels["thresholds"][own] == "".join(f"{step:.0f}" for step in steps)
    channel = critical_band.fit_channel(steps, lowest=2.0)
    assert results["metric/criticalband/cf_norm"][0] == channel.centre
    assert np.isfinite(channel.centre)


def test_ratios_leave_out_what_guessing_gives():
    accuracies = {"spectral": {"low 0.1": 0.3, "high 0.1": 0.1}, "critical-band": {}}
    accuracies["clean"] = {profile.CHANGED_ONES: 0.5}
    for number in range(17):
        # A little above half of the clean accuracy, and below half of what is learned.
        accuracies["critical-band"][f"condition {number}"] = 0.28 if number else 0.5
    rows = [
        profile._row("x", part, condition, round(1000 * share), 1000, 0)
        for part, own in accuracies.items()
        for condition, share in own.items()
    ]
    found = profile.Profile({}, tables.columns_of(rows))
    for chance, low, high, steps in ((0.0, 0.6, 0.2, "0000"), (0.1, 0.5, 0.0, "4444")):
        config = replace(SMALL, chance=chance)
        row = profile._columns("x", found, [], None, config)
        assert row["metric/bandpass/LFC/0.1"] == pytest.approx(low)
        assert row["metric/bandpass/HFC/0.1"] == pytest.approx(high)
        channels = list(profile._channels("x", found, config))
        assert channels[0]["relative"] and channels[0]["thresholds"] == steps
        # Absolute accuracy stays absolute.
        assert channels[2]["thresholds"] == "4444"


def test_figures_are_drawn(run):
    names = {path.stem for path in (run.path / "figures").glob("*.png")}
    assert names == {"bandpass", "channel", "corruptions", "c-bar", "shape_bias"}


def test_nothing_is_judged_that_cannot_be(run):
    verdicts = run.read_verdicts()
    assert {row["outcome"] for row in verdicts} == {"not judged"}
    assert "--published" in verdicts[0]["here"]


class Killed(Exception):
    """What a test ends a run with."""


@pytest.mark.slow
def test_a_killed_run_goes_on_and_ends_the_same(
    run, config, tmp_path, few, monkeypatch
):
    saved, save = [], RunDirectory.save_chunk

    def interrupted(self, name, arrays):
        if len(saved) == 3:
            raise Killed
        saved.append(name)
        save(self, name, arrays)

    with monkeypatch.context() as patch:
        patch.setattr(RunDirectory, "save_chunk", interrupted)
        with pytest.raises(Killed):
            whole_runs.finished(experiment, config, tmp_path / "run")
    shown = []
    pixels = images.ImageSet.pixels

    def watched(self, start, stop):
        shown.append(f"{self.name}-{start:09d}-{stop:09d}")
        return pixels(self, start, stop)

    monkeypatch.setattr(images.ImageSet, "pixels", watched)
    again = whole_runs.finished(experiment, config, tmp_path / "run")
    assert not set(saved) & set(shown) and len(set(shown)) == len(shown)
    for name in ("results", "profile", "channels", "shape_bias", "categories"):
        file = f"{name}.parquet"
        assert (again.path / file).read_bytes() == (run.path / file).read_bytes()


def test_networks_of_one_run_are_as_they_are_alone(run, config, tmp_path):
    alone = replace(
        config, weights=config.weights[1:], parts=("spectral", "shape"), batch=4
    )
    found = whole_runs.finished(experiment, alone, tmp_path / "run")
    assert "top1_acc/imagenet" not in found.read_table()
    for part in ("spectral", "shape"):
        own, both = rows_of(found, part=part), rows_of(run, part=part, model="two")
        np.testing.assert_array_equal(own["right"], both["right"])


# Refusals


REFUSED = {
    "--weights: a file": {"weights": ()},
    "No such file": {"weights": ("none.safetensors",)},
    "--model": {"model": "resnet_none"},
    "--weights: .*resnet18: .*has shape": {"model": "resnet18"},
    "--weights: .*10 classes, 16": {"imagenet": "CUE", "parts": ("clean",)},
    "--images: 21 images, but --imagenet has 20": {"images": 21},
    "--clean-images: 30": {"clean_images": 30},
    "--imagenet: .*not there": {"imagenet": "nowhere"},
    "--sketch: .*not there": {"sketch": "nowhere"},
    "--imagenet-a: the folder airplane": {"imagenet_a": "CUE"},
    "--real: .*not a list": {"real": "CATEGORIES"},
    "--cue-conflict: .*none of the sixteen": {"cue_conflict": "V2"},
    "--edges: .*named as": {"edges": "CUE"},
    "--stylized: .*the sixteen": {"stylized": "V2"},
    "--categories: imagenet: classes must be 0 to 9": {"categories": "imagenet"},
    "--categories: .*each in one": {"categories": "CATEGORIES"},
    "--resize": {"resize": 20},
    "--pgd-radius": {"pgd_radius": 0.0},
    "--v2: needs --imagenet": {"imagenet": ""},
    "--parts": {"parts": ()},
    "--published": {"published": "tv_resnet50"},
    "--seed": {"seed": -1},
}


@pytest.mark.parametrize("message", REFUSED)
def test_what_cannot_be_is_refused_in_one_line(message, config, folder):
    (folder / "twice.json").write_text(json.dumps({"dog": [1, 2], "cat": [2]}))
    places = {
        "CUE": str(folder / "cue"),
        "V2": str(folder / "v2"),
        "CATEGORIES": str(folder / "twice.json"),
    }
    changes = {
        name: places.get(value, value) if isinstance(value, str) else value
        for name, value in REFUSED[message].items()
    }
    with pytest.raises(UsageError, match=message) as error:
        experiment.check(replace(config, **changes))
    assert "\n" not in str(error.value)


def test_a_damaged_image_is_named(config, folder, tmp_path):
    (tmp_path / "dog").mkdir()
    (tmp_path / "dog" / "broken.png").write_bytes(b"no image")
    alone = replace(config, imagenet=str(tmp_path), images=0)
    found, _ = images.validation(alone)
    with pytest.raises(UsageError, match="broken.png"):
        found.pixels(0, 1)


def test_weights_of_another_number_of_classes_are_told_from_another_model(config):
    with pytest.raises(UsageError, match="10 classes, 12 classes of the images"):
        networks.load(config, 12)


# Judging


def published_profile(**changes):
    """What the published network would give."""
    steps = "0123444"
    accuracies = {"sd 0 band 0": 0.4}
    for place, sd in enumerate(critical_band.SDS[1:]):
        # Above a half of that without noise for noise weaker than the threshold.
        for band, step in enumerate(steps):
            passes = int(step) <= 3 - place
            accuracies[f"sd {sd:g} band {band}"] = 0.39 if passes else 0.01
    rows = [
        profile._row("r", "critical-band", condition, round(50_000 * share), 50_000, 0)
        for condition, share in accuracies.items()
    ]
    for part in ("clean", "spectral", "adversarial"):
        rows.append(profile._row("r", part, "x", 1, 50_000, 0))
    rows.append(profile._row("r", "shape", "x", 1, 1_280, 0))
    results = {"model": "r", "top1_acc/imagenet": 76.3, "shape-bias": 0.211}
    results |= {"top1_acc/PGD-40/low": 18.4} | dict.fromkeys(
        BIASES["low_frequency"], 0.633
    )
    results |= dict.fromkeys(BIASES["high_frequency"], 0.0071) | changes
    columns = {name: np.asarray([value]) for name, value in results.items()}
    return profile.Profile(columns, tables.columns_of(rows), complete=True)


def test_the_published_network_is_recognised():
    config = Config(weights=("r.pth",), published="tv_resnet50")
    verdicts = published.judge(published_profile(), config)
    assert {row["outcome"] for row in verdicts} == {"reproduced"}, verdicts
    other = published_profile(**{"top1_acc/imagenet": 75.0, "shape-bias": 0.22})
    wrong = [
        row["id"]
        for row in published.judge(other, config)
        if row["outcome"] == "not reproduced"
    ]
    assert wrong == ["probe-top1", "probe-shape"]
    for changed, found in (
        (replace(config, published=""), published_profile()),
        (replace(config, size=32), published_profile()),
        (config, replace(published_profile(), complete=False)),
    ):
        rows = published.judge(found, changed)
        assert {row["outcome"] for row in rows} == {"not judged"}


def test_presets_are_in_order():
    for config in PRESETS.values():
        check_values(replace(config, weights=("x",), imagenet="y"))
    assert PRESETS["paper"].images == PRESETS["paper"].clean_images == 0
