"""Small world: its networks by category, its stimuli, whole tiny runs, refusals."""

from collections import Counter
from dataclasses import replace
from functools import partial

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import pytest
import whole_runs
from flax import traverse_util

from jaxbias.data import imagenet_c, imagenet_c_bar
from jaxbias.data.archives import CIFAR10_CLASSES
from jaxbias.data.shapes import shapes
from jaxbias.files import UsageError, read_metrics
from jaxbias.models import catalogue
from jaxbias.models.resnet import ResNet
from jaxbias.runs import RunDirectory
from jaxbias.studies.imagenet_biases.probe.images import VALIDATION
from jaxbias.studies.imagenet_biases.probe.profile import CHANGED_ONES, Profile
from jaxbias.studies.imagenet_biases.small_world import (
    evidence,
    experiment,
    figures,
    published,
    stimuli,
    training,
)
from jaxbias.studies.imagenet_biases.small_world.config import (
    PRESETS,
    Config,
    check_values,
)
from jaxbias.studies.imagenet_biases.small_world.zoo import (
    SMALLER,
    ZOO,
    Network,
    in_order,
)
from jaxbias.training import steps
from jaxbias.training.sets import Prepared, Skipped

PAPER = {
    "baseline": 1,
    "training_recipes": 10,
    "augmentation": 12,
    "stylized": 3,
    "adversarial_training": 15,
    "contrastive": 6,
    "freezing": 1,
}

TINY = Config(
    model="resnet_tiny",
    # The first three are one program.
    networks=("baseline", "l2_0", "stylised", "stylised_then_plain", "simclr_short"),
    epochs=1,
    batch=20,
    images=40,
    clean_images=200,
    conflicts=40,
    pgd_steps=2,
    resamples=100,
    permutations=100,
)


@pytest.fixture(scope="module", autouse=True)
def tiny():
    """A network of one block."""
    patch = pytest.MonkeyPatch()
    entry = catalogue.Entry(
        make=lambda classes, dtype: ResNet(
            (1,), classes=classes, stem="halving", width=4
        ),
        size=32,
        source="this test",
    )
    patch.setitem(catalogue.CATALOGUE, "resnet_tiny", entry)
    yield
    patch.undo()


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    """Few shapes, read from a file."""
    path = tmp_path_factory.mktemp("shapes") / "shapes.npz"
    first, second = shapes("train", count=60), shapes("test", count=200)
    np.savez(
        path,
        train_images=first.images,
        train_labels=first.labels,
        test_images=second.images,
        test_labels=second.labels,
    )
    return replace(TINY, data=str(path))


# Networks


def test_there_is_a_counterpart_of_each_published_network():
    assert Counter(one.category for one in ZOO.values()) == PAPER
    assert set(PRESETS["paper"].networks) == set(ZOO)
    # Some of every category; of the adversarial ones enough to be a subset of their own.
    some = Counter(ZOO[name].category for name in SMALLER)
    assert set(some) == set(PAPER) and some["adversarial_training"] >= 5


def test_recipes_differ_from_the_baseline_and_see_as_many_images():
    config = replace(TINY, epochs=0.8)
    recipes = {
        name: training.recipe_of(one, config, 2_000, 1_000) for name, one in ZOO.items()
    }
    own = {n: r for n, r in recipes.items() if ZOO[n].category == "training_recipes"}
    assert len(set(map(repr, own.values()))) == len(own)
    assert all(recipe != recipes["baseline"] for recipe in own.values())
    assert recipes["baseline"].epochs == pytest.approx(0.4)
    assert recipes["longer"].epochs == pytest.approx(0.8)


def test_networks_that_others_start_from_come_first():
    assert in_order(("stylised_then_plain", "mixup")) == (
        "stylised",
        "stylised_then_plain",
        "mixup",
    )
    assert in_order(("mixup", "stylised")) == ("mixup", "stylised")


def task_of(network, **changes):
    config = replace(TINY, **changes)
    recipe = training.recipe_of(network, config, 100, 100)
    options = {"classes": 10, "size": 32, "epoch_steps": 5, "start": {}}
    return training.task(
        network, recipe, config=config, mean=(0.5,) * 3, sd=(0.5,) * 3, **options
    )


def test_frozen_filters_stay_and_all_else_is_trained():
    task = task_of(ZOO["frozen_random"])
    data = shapes("train", count=20)
    state = steps.create(task, jax.random.key(0), 32)
    after, _ = jax.jit(partial(steps.step, task))(
        state,
        jnp.asarray(data.images),
        jnp.asarray(data.labels, jnp.int32),
        jax.random.key(1),
    )
    before, now = (
        traverse_util.flatten_dict(s.params, sep="/") for s in (state, after)
    )
    moved = {k for k in before if np.abs(np.asarray(before[k] - now[k])).max() > 0}
    filters = {k for k, leaf in before.items() if leaf.ndim == 4}
    assert len(filters) == 3 and moved == set(before) - filters


def test_attacks_have_the_networks_norm_and_radius():
    for name, norm in (("linf_8", np.inf), ("l2_5", 2)):
        task = task_of(ZOO[name])
        images = 0.3 + 0.4 * jax.random.uniform(jax.random.key(0), (4, 32, 32, 3))
        state = steps.create(task, jax.random.key(1), 32)
        predict = partial(steps._predicted, task, state.batch_stats)
        moved = task.attack(
            predict, state.params, images, jnp.arange(4), jax.random.key(2)
        )
        each = np.linalg.norm(np.asarray(moved - images).reshape(4, -1), norm, axis=1)
        np.testing.assert_allclose(each, ZOO[name].attack[1], rtol=1e-3)
    assert ZOO["l2_0"].attack is None and task_of(ZOO["l2_0"]).attack is None


def test_half_of_the_images_are_changed():
    network = Network(category="augmentation", change="grey", recipe={"augment": ()})
    task = task_of(network)
    images = jax.random.uniform(jax.random.key(0), (200, 32, 32, 3))
    targets = jnp.zeros((200, 10))
    seen = steps.Seen(jax.random.key(1), jnp.arange(200), jnp.int32(0))
    found, _ = task.augment(jax.random.key(2), images, targets, seen)
    grey = np.ptp(np.asarray(found), axis=-1).max(axis=(1, 2)) < 1e-6
    assert 70 < grey.sum() < 130
    np.testing.assert_array_equal(found[~grey], images[~grey])


def test_the_classifier_of_a_contrastive_network_is_the_fitted_one(monkeypatch):
    """Its standardisation and weights are one linear layer."""
    kept = {}

    def fit(features, labels, classes):
        kept["probe"] = probe = training_fit(
            features, labels, classes, penalties=(0.1,)
        )
        kept["features"] = features
        return probe

    training_fit = training.linear.fit
    monkeypatch.setattr(training.linear, "fit", fit)
    network = catalogue.build("resnet_tiny", 10)
    data = shapes("train", count=60)
    pixels = jnp.asarray(data.images, jnp.float32) / 255
    variables = jax.jit(network.init)(jax.random.key(0), pixels)
    whole = {kind: {"network": tree} for kind, tree in variables.items()}

    prepared = Prepared(data, data, 32, Skipped(data))
    found = training._with_classifier(whole, prepared, "resnet_tiny")
    entry = catalogue.entry("resnet_tiny")
    mean, sd = (np.asarray(x).reshape(1, 1, 1, 3) for x in (entry.mean, entry.sd))
    shown = (pixels - mean) / sd
    logits = jax.jit(network.apply)(found, shown.astype(jnp.float32))[0]
    np.testing.assert_allclose(
        logits, kept["probe"].logits(kept["features"]), atol=1e-3
    )


# Stimuli


@pytest.fixture(scope="module")
def pictures():
    data = shapes("test", count=400)
    return np.asarray(data.images), data.labels


def test_pairs_of_classes_come_equally_often(pictures):
    found = stimuli.conflicting(*pictures, 180, np.random.default_rng(0))
    counts = Counter(zip(found.shapes.tolist(), found.textures.tolist(), strict=True))
    assert len(counts) == 90 and set(counts.values()) == {2}
    made = found.made_from
    np.testing.assert_array_equal(made.shape_strata[made.shape], found.shapes)
    np.testing.assert_array_equal(made.texture_strata[made.texture], found.textures)
    assert len(made.shape_strata) <= 100 and len(made.texture_strata) <= 30
    assert (np.diff(made.shape_strata) >= 0).all()


def test_stylised_images_keep_the_layout_and_take_the_colours(pictures):
    pixels = pictures[0][:40]
    styles = pixels[::-1]
    found = stimuli.restyled(pixels, styles)
    assert found.dtype == np.uint8 and found.shape == pixels.shape
    colour = lambda x: x.reshape(len(x), -1, 3).mean(axis=1)  # noqa: E731
    to_style = np.abs(colour(found) - colour(styles)).mean()
    assert to_style < 0.2 * np.abs(colour(found) - colour(pixels)).mean()


def test_posters_have_few_levels_and_lines_two(pictures):
    posters = stimuli.posters(pictures[0][:20])
    assert set(np.unique(posters)) == {0, 85, 170, 255}
    lines = stimuli.lines(pictures[0][:20])
    assert set(np.unique(lines)) == {0, 255} and 0.6 < (lines == 255).mean() < 0.99


def test_hard_images_are_those_that_the_reference_gets_wrong(pictures):
    data = shapes("test", count=400)
    prepared = Prepared(data, data, 32, Skipped(data))
    known = {image.tobytes(): label for image, label in zip(*pictures, strict=True)}

    def answer(pixels):
        # Wrong of the first three classes.
        labels = np.asarray([known[image.tobytes()] for image in pixels])
        return np.where(labels < 3, 9, labels)

    config = replace(TINY, clean_images=100)
    found = stimuli.world(prepared, prepared, answer, config)
    sets = {one.name: one for one in found.sets}
    assert list(sets)[0] == "imagenet" and len(sets["imagenet"]) == 400
    hard = sets["hard"]
    assert (hard.labels < 3).all() and 15 < len(hard) < 45
    expected = [known[image.tobytes()] for image in hard.pixels(0, len(hard))]
    np.testing.assert_array_equal(hard.labels, expected)
    assert len(sets["posters"]) == len(sets["stylised"]) == 100


# Whole runs

FEW = {"corruptions": ("gaussian_noise", "contrast"), "c-bar": ("plasma_noise",)}


CUT = "posters-000000000-000000100"


@pytest.fixture(scope="module")
def run(config, tmp_path_factory):
    """A run that is cut while it measures, and taken up again."""
    patch = pytest.MonkeyPatch()
    for name, module in (("corruptions", imagenet_c), ("c-bar", imagenet_c_bar)):
        table = {key: module.CORRUPTIONS[key] for key in FEW[name]}
        patch.setattr(module, "CORRUPTIONS", table)
    folder = tmp_path_factory.mktemp("small-world") / "run"
    keep, kept = RunDirectory.save_chunk, []

    def cut(self, name, arrays):
        keep(self, name, arrays)
        kept.append(name)
        if name == CUT:
            raise KeyboardInterrupt

    try:
        with patch.context() as inner:
            inner.setattr(RunDirectory, "save_chunk", cut)
            with pytest.raises(KeyboardInterrupt):
                whole_runs.finished(experiment, config, folder, check=False)
            found = whole_runs.finished(experiment, config, folder)
        # Nothing was computed twice.
        assert len(set(kept)) == len(kept)
        yield found
    finally:
        patch.undo()


@pytest.mark.slow
def test_a_run_has_a_row_for_each_network(run):
    columns = run.read_table()
    assert columns["network"].tolist() == list(TINY.networks)
    assert columns["category"].tolist() == [ZOO[n].category for n in TINY.networks]
    wanted = {"test", "hard", "posters", "lines", "stylised", "corrupted"}
    wanted |= {"corrupted-bar", "gaussian_noise_1", "conflict", "PGD-2/2"}
    for name in wanted:
        values = columns[f"top1_acc/{name}"]
        assert ((values >= 0) & (values <= 100)).all(), name
    assert "top1_acc/imagenet" not in columns
    lows, highs = columns["shape-bias/low"], columns["shape-bias/high"]
    assert (lows <= columns["shape-bias"]).all() and (
        columns["shape-bias"] <= highs
    ).all()
    files = {path.stem for path in (run.path / "figures").glob("*.png")}
    assert {"networks", "stimuli", "heat_maps", "scatter", "channels"} <= files
    assert not (run.path / "checkpoints" / "weights-l2_0").exists()


@pytest.mark.slow
def test_all_seeds_and_the_reference_are_in_the_log(run):
    rows = read_metrics(run.path / "metrics.jsonl")
    seeds = {(row["case"], row["seed"]) for row in rows}
    assert ("weights-reference", 1) in seeds and ("weights-baseline", 0) in seeds
    assert ("weights-stylised_then_plain/0", 0) in seeds
    assert ("weights-stylised", 0) in seeds


@pytest.mark.slow
def test_shapes_are_not_judged(run):
    verdicts = run.read_verdicts()
    assert len(verdicts) == len(published.ENTRIES)
    assert {row["outcome"] for row in verdicts} == {"not judged"}
    assert all("CIFAR-10" in row["here"] for row in verdicts)


# Tables


def some_results(**changes):
    """Results of the smaller zoo, as if measured, two seeds each."""
    random = np.random.default_rng(0)
    names = np.repeat(np.asarray(SMALLER), 2)
    columns = {
        "network": names,
        "category": np.asarray([ZOO[name].category for name in names]),
        "seed": np.tile([0, 1], len(SMALLER)),
    }
    attacked = np.asarray([bool(ZOO[name].attack) for name in names])
    levels = {
        "shape-bias": 0.3 + 0.3 * attacked,
        "metric/criticalband/bw_norm": 2.0,
        "top1_acc/test": 60 - 20 * attacked,
        **{f"top1_acc/{n}": 30.0 for n in ("hard", "corrupted", "corrupted-bar")},
        **{f"top1_acc/{n}": 25.0 for n in ("posters", "lines", "stylised")},
        "top1_acc/PGD-10/2": 5 + 30.0 * attacked,
    }
    for kind, sign in (("LFC", 1), ("HFC", -1)):
        for cut in (0.1, 0.2, 0.3, 0.4, 0.5):
            levels[f"metric/bandpass/{kind}/{cut:g}"] = 0.5 + 0.2 * sign * attacked
    levels |= changes
    noise = {name: random.normal(size=len(names)) * 1e-3 for name in levels}
    columns |= {name: level + noise[name] for name, level in levels.items()}
    for end, step in (("low", -0.05), ("high", 0.05)):
        columns[f"shape-bias/{end}"] = columns["shape-bias"] + step
    return columns


def judged(results, classes=CIFAR10_CLASSES, images=5_000):
    config = Config(resamples=100, permutations=100)
    rows = {
        "part": np.asarray(["clean"] * 2),
        "condition": np.asarray([VALIDATION, CHANGED_ONES]),
        "accuracy": np.asarray([0.6, 0.6]),
        "images": np.asarray([images] * 2),
    }
    found = evidence.gathered(results, Profile({}, rows), config, classes)
    return found, {row["id"]: row["outcome"] for row in published.judge(found)}


def test_correlations_are_of_means_over_seeds():
    results = some_results()
    found, _ = judged(results)
    table = found.statistics.table
    assert table.models == SMALLER
    np.testing.assert_allclose(
        table.biases["shape"], results["shape-bias"].reshape(-1, 2).mean(axis=1)
    )
    assert list(table.groups) == ["ID", "Robustness", "Concepts", "Adversarial"]
    np.testing.assert_allclose(
        table.groups["Adversarial"],
        results["top1_acc/PGD-10/2"].reshape(-1, 2).mean(axis=1),
    )
    subsets = {row for row in found.statistics.cells["subset"].tolist()}
    assert subsets == {"Total", "AT", "Other"}


def test_every_seed_is_drawn():
    found, _ = judged(some_results())
    drawn = figures.networks(found)
    panel = drawn.axes[0]
    # The means, and both seeds of each.
    assert [len(dots.get_offsets()) for dots in panel.collections[1:]] == [17] * 3
    plt.close(drawn)


def test_verdicts_follow_the_numbers():
    styles = np.repeat([name == "stylised" for name in SMALLER], 2)
    results = some_results()
    results = {
        name: values + 0.3 * styles if name.startswith("shape-bias") else values
        for name, values in results.items()
    }
    _, right = judged(results)
    for name in ("shape", "low", "high", "accuracy"):
        assert right[f"small-adversarial-{name}"] == "reproduced"
    assert right["small-stylised-shape"] == "reproduced"
    assert right["small-none"] == "reproduced"
    _, wrong = judged(some_results(**{"shape-bias": 0.3, "top1_acc/test": 60.0}))
    assert wrong["small-stylised-shape"] == "not reproduced"
    assert wrong["small-adversarial-shape"] == "not reproduced"
    assert wrong["small-adversarial-accuracy"] == "not reproduced"
    # So few images that the differences may be chance.
    _, few = judged(results, images=20)
    assert few["small-adversarial-low"] == "not reproduced"
    dark = {f"metric/bandpass/HFC/{n:g}": 1e-3 for n in (0.1, 0.2, 0.3, 0.4, 0.5)}
    _, unseen = judged(some_results(**dark))
    assert unseen["small-high"] == unseen["small-adversarial-high"] == "not judged"
    _, poor = judged(some_results(**{"top1_acc/test": 20.0}))
    _, others = judged(results, ("a", "b"))
    assert set(poor.values()) == set(others.values()) == {"not judged"}


def test_shape_bias_is_counted_and_resampled(pictures):
    made = stimuli.conflicting(*pictures, 90, np.random.default_rng(0))
    random = np.random.default_rng(1)
    answers = random.integers(0, 10, (90, 2)).astype(np.int32)
    answers[:40, 0], answers[40:70, 0] = made.shapes[:40], made.textures[40:70]
    found = evidence.shape_biases(answers, made, TINY)
    for network in range(2):
        own = answers[:, network]
        shape, texture = (own == made.shapes).sum(), (own == made.textures).sum()
        assert found["shape-bias"][network] == pytest.approx(shape / (shape + texture))
        assert found["shape-bias/decided"][network] == pytest.approx(
            (shape + texture) / 90
        )
    low, high = found["shape-bias/low"], found["shape-bias/high"]
    assert (low < found["shape-bias"]).all() and (found["shape-bias"] < high).all()


# Refusals


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"networks": ("baseline",) * 2}, "--networks"),
        ({"networks": ("baseline", "nothing")}, "--networks: no 'nothing'"),
        ({"networks": ("baseline", "mixup")}, "--networks: 5 or more"),
        ({"model": "resnet51"}, "--model"),
        ({"data": "folder:/nowhere"}, "--data"),
        ({"images": 10_000}, "--images: 10,000 images"),
        ({"epochs": 0}, "--epochs"),
        ({"hold_out": 1.0}, "--hold-out"),
        ({"cue_conflict": "/nowhere"}, "--cue-conflict"),
        ({"size": 8}, "--size"),
        (
            {"size": 36, "networks": (*TINY.networks, "patch_shuffle")},
            "--size 36: patch",
        ),
        ({"batch": 61}, "--batch: 61, but there are 60"),
    ],
)
def test_what_cannot_be_run_is_refused(changes, words, config):
    with pytest.raises(UsageError, match=words):
        experiment.check(replace(config, **changes))


def test_presets_pass():
    for preset in PRESETS.values():
        check_values(preset)
