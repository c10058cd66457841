"""The images experiment: a whole tiny run, its parts, its sums, its verdicts, refusals."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from whole_runs import finished

from jaxbias.data.archives import ImageSet, SourceError
from jaxbias.data.shapes import shapes
from jaxbias.files import UsageError, read_metrics
from jaxbias.numerics.statistics import calibration_error
from jaxbias.runs import RunDirectory
from jaxbias.studies.generative_augmentation.images import (
    experiment,
    pools,
    published,
    results,
    trainings,
)
from jaxbias.studies.generative_augmentation.images.config import (
    PRESETS,
    Config,
    amounts_of,
    check_values,
    generators_of,
    recipe_of,
)
from jaxbias.studies.generative_augmentation.images.pools import Mixture, Real
from jaxbias.studies.generative_augmentation.images.trainings import (
    Case,
    Outcome,
    plan,
)
from jaxbias.terminal import Reporter
from jaxbias.training import feeds
from jaxbias.training.sets import Prepared
from jaxbias.training.steps import Seen, unchanged

TINY = replace(
    PRESETS["small"]["smoke"],
    **{"size": 8, "real": 40, "validation": 20, "amounts": ("0", "20", "40")},
    **{"model": "mlp", "batch": 20, "epochs": 1, "scored": 30, "measured": 20},
)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A run of everything that can be asked for, on a file of our own."""
    folder = tmp_path_factory.mktemp("sweep")
    made = shapes("train", size=8, count=120, seed=5)
    np.savez(folder / "made.npz", image=made.images, label=made.labels)
    config = replace(
        TINY,
        generated=(f"edm={folder / 'made.npz'}",),
        amounts=("0", "40"),
        lengths="steps",
        weights=(1.0, 0.5),
        real_shares=(0.5,),
        keeps=(1.0, 0.5),
        alone=True,
    )
    return config, finished(experiment, config, folder / "run")


def test_a_run_leaves_what_it_promises(whole):
    config, directory = whole
    table, gains = directory.read_table(), directory.read_table("gains.parquet")
    cases = plan(config)
    # Real images; two keeps and weights each; generated alone: by augmentation.
    assert len(cases) == 2 * (1 + 4 + 1)
    assert len(table["seed"]) == 2 * len(cases) and len(gains["gain"]) == 10
    assert np.isfinite(table["test_accuracy"]).all()
    assert np.isnan(table["real_accuracy"]).tolist() == table["alone"].tolist()
    assert np.isnan(table["generated_loss"]).tolist() == results.none(table).tolist()
    # As many steps whatever is added, and half of the images are real.
    assert set(table["steps"].tolist()) == {2}
    added = ~table["alone"] & ~results.none(table)
    assert (table["images"][added] == 2 * table["amount"][added]).all()
    assert (gains["low"] <= gains["gain"]).all() and (
        gains["gain"] <= gains["high"]
    ).all()
    found = {row["id"]: row["outcome"] for row in directory.read_verdicts()}
    assert set(found.values()) == {"not judged"}
    drawn = {path.stem for path in (directory.path / "figures").glob("*.png")}
    assert drawn >= {"gains", "accuracies", "gaps", "classes", "images_edm"}
    quality = directory.read_table("quality.parquet")
    assert set(quality["generator"].tolist()) == {"edm"}
    assert (quality["least_of_a_class"] <= 4).all()
    assert (quality["most_of_a_class"] >= 4).all()


def test_seeds_are_paired(whole):
    """Networks begin alike: the first loss of images that are common to both is one."""
    _, directory = whole
    rows = read_metrics(directory.path / "metrics.jsonl")
    losses = {
        (row["case"], row["seed"]): row["loss"]
        for row in rows
        if row["kind"] == "validation"
    }
    assert len(losses) == 24
    chosen = directory.read_table("chosen.parquet")
    assert len(chosen["amount"]) == 2 and set(chosen["generator"].tolist()) == {"edm"}


def test_one_program_serves_all_amounts(tmp_path):
    feeds._program.cache_clear()
    config = replace(TINY, augmentations=("none",), n_seeds=1, epochs=2)
    finished(experiment, config, tmp_path / "run")
    assert feeds._program.cache_info().misses == 1


# Which images


@pytest.fixture(scope="module")
def real():
    return Real.read(TINY)


def test_real_images_are_parted_class_by_class(real):
    assert [len(part) for part in (real.training, real.validation, real.test)] == [
        *(40, 20, 500)
    ]
    assert np.bincount(real.validation.labels).tolist() == [2] * 10
    seen = {image.tobytes() for image in real.training.images}
    assert not seen & {image.tobytes() for image in real.validation.images}


def test_fewer_generated_images_are_among_more(real):
    mixture = Mixture.read("fresh", real, TINY)
    kept = mixture.kept(1.0, None)
    few, many = (
        mixture.numbers(amount, kept, share=None, alone=False) for amount in (20, 40)
    )
    assert set(few) < set(many) and len(few) == 60 and len(many) == 80
    np.testing.assert_array_equal(few[:40], np.arange(40))
    part = mixture.part(few)
    pixels, labels = next(part.batches(100))
    np.testing.assert_array_equal(pixels[:40], real.training.images)
    np.testing.assert_array_equal(labels[40:], mixture.generated.labels[:20])
    alone = mixture.numbers(20, kept, share=None, alone=True)
    assert len(alone) == 20 and alone.min() == 40


@pytest.mark.parametrize("share", [0.2, 0.5, 0.8])
def test_real_images_have_the_share_that_is_asked_for(real, share):
    config = replace(TINY, real_shares=(share,), lengths="steps")
    mixture = Mixture.read("fresh", real, config)
    numbers = mixture.numbers(40, np.arange(40), share=share, alone=False)
    assert np.mean(numbers < 40) == pytest.approx(share)
    assert len(numbers) <= mixture.pool.most
    # Each real image as often as any other, but for what does not divide.
    counts = np.bincount(numbers[numbers < 40], minlength=40)
    assert counts.max() - counts.min() <= 1
    assert len(mixture.scored(numbers)["real"]) == min(30, (counts > 0).sum())


def test_what_is_believed_most_is_kept_of_each_class(real):
    config = replace(TINY, keeps=(0.5,))
    mixture = Mixture.read("mislabelled", real, config)
    labels = mixture.generated.labels
    assert len(labels) == 80
    losses = np.random.default_rng(0).random(len(labels))
    kept = mixture.kept(0.5, losses)
    for label in range(10):
        own = labels == label
        among = np.isin(np.arange(len(labels)), kept) & own
        assert among.sum() == max(1, round(own.sum() / 2))
        assert losses[among].max() < losses[own & ~among].min()
    assert (np.diff(kept) > 0).all()


def test_a_third_of_the_worse_stand_in_has_a_drawn_label():
    config = replace(TINY, seed=3)
    fresh, worse = (pools.stand_in(name, 2_000, config) for name in generators_of(TINY))
    np.testing.assert_array_equal(fresh.images, worse.images)
    wrong = np.mean(fresh.labels != worse.labels)
    assert wrong == pytest.approx(0.3, abs=0.04)


def test_a_file_with_too_few_images_is_one_line(real, tmp_path):
    made = shapes("train", size=8, count=30, seed=5)
    np.savez(tmp_path / "few.npz", image=made.images, label=made.labels)
    config = replace(TINY, generated=(f"few={tmp_path / 'few.npz'}",))
    with pytest.raises(SourceError, match="few: 30 images, of which 100% are used; 40"):
        Mixture.read("few", real, config)
    halved = replace(config, amounts=("20",), keeps=(0.5,))
    with pytest.raises(SourceError, match=r"of which 50% are used; 20 are asked for"):
        Mixture.read("few", real, halved)
    # Before any training, though it is the last of the generators.
    np.savez(tmp_path / "most.npz", image=made.images, label=made.labels)
    both = replace(
        config,
        amounts=("20",),
        generated=(f"most={tmp_path / 'most.npz'}", f"few={tmp_path / 'no.npz'}"),
    )
    with RunDirectory.open(
        tmp_path / "run", study="s", experiment="e", config={}
    ) as run:
        sweep = trainings.Sweep(both, real, run, Reporter(quiet=True))
        with pytest.raises(SourceError, match="no.npz"):
            next(sweep.run())
        assert not run.chunk_names() and not (run.path / "checkpoints").exists()


# How they count


def test_weights_scale_losses_to_a_weighted_mean():
    change = trainings.weighted(unchanged, 0.25, 3)
    assert change is trainings.weighted(unchanged, 0.25, 3)
    seen = Seen(jax.random.key(0), jnp.array([5, 0, 2, 3]), jnp.int32(0))
    targets = jax.nn.one_hot(jnp.array([0, 1, 2, 0]), 3)
    images, found = change(jax.random.key(1), jnp.zeros((4, 2, 2, 3)), targets, seen)
    expected = np.array([0.25, 1, 1, 0.25]) * 4 / 2.5
    np.testing.assert_allclose(found.sum(1), expected, rtol=1e-6)
    assert found.argmax(1).tolist() == [0, 1, 2, 0] and not images.any()
    nothing = trainings.weighted(unchanged, 0.0, 0)
    _, found = nothing(jax.random.key(1), images, targets, seen)
    assert np.isfinite(found).all()


def test_recipes_are_the_published_ones_without_smoothing():
    plain = recipe_of(PRESETS["plain"]["paper"], "base")
    assert (plain.model, plain.epochs, plain.batch, plain.rate) == (
        *("resnet18_cifar", 100, 512, 0.2),
    )
    assert plain.schedule == "one-cycle-epochs" and plain.cycle_momentum
    assert recipe_of(PRESETS["plain"]["paper"], "none").augment == ()
    fast = recipe_of(PRESETS["fast"]["paper"], "base")
    assert (fast.smoothing, fast.views) == (0.0, "none")
    assert amounts_of(PRESETS["plain"]["paper"]) == (
        *(100_000, 300_000, 500_000, 700_000, 1_000_000),
    )


# Sums


def outcome(case, right, loss=1.0, confidence=0.5):
    """A case whose test images are right where it is said, (seed, image)."""
    right = np.asarray(right)
    labels = np.arange(right.shape[1]) % 2
    number = len(right)
    found = {
        "test_predicted": np.where(right, labels, 1 - labels),
        "test_losses": np.full(right.shape, loss),
        "test_confidences": np.full(right.shape, confidence),
        "test_labels": labels,
        "validation_right": right.mean(1),
        "real_loss": np.full(number, 0.2),
        "real_accuracy": np.full(number, 0.9),
        "generated_loss": np.full(number, 0.4 if case.amount else np.nan),
        "generated_accuracy": np.full(number, 0.5 if case.amount else np.nan),
        "images": np.asarray(100 + case.amount),
        "steps": np.asarray(7),
        "parameters": np.asarray(5),
    }
    return Outcome(case, found)


def drawn(share, seeds=3, images=400, seed=0):
    return np.random.default_rng(seed).random((seeds, images)) < share


def test_gaps_are_of_all_images_that_were_trained_on():
    config = replace(TINY, n_seeds=3)
    right = drawn(0.6)
    table = results.trainings(
        [
            outcome(Case(augmentation="none"), right),
            outcome(Case(augmentation="none", generator="edm", amount=300), right),
        ],
        config,
    )
    np.testing.assert_allclose(table["train_accuracy"], [0.9] * 3 + [0.6] * 3)
    np.testing.assert_allclose(table["train_loss"], [0.2] * 3 + [0.35] * 3)
    np.testing.assert_allclose(table["gap_loss"], [0.8] * 3 + [0.65] * 3)
    np.testing.assert_allclose(table["test_accuracy"][:3], right.mean(1))
    np.testing.assert_allclose(
        table["gap_accuracy"][3:], 0.6 - right.mean(1), rtol=1e-6
    )
    worst = np.minimum(right[:, ::2].mean(1), right[:, 1::2].mean(1))
    np.testing.assert_allclose(table["worst_class"][:3], worst)
    np.testing.assert_allclose(
        table["calibration"][:3], np.abs(right.mean(1) - 0.5), atol=1e-9
    )


def test_calibration_by_hand():
    confidences = np.array([0.95, 0.95, 0.55, 0.55, 1.0])
    right = np.array([True, False, True, True, True])
    # Two bins of two, and one that ends at 1.
    expected = (2 * abs(0.95 - 0.5) + 2 * abs(0.55 - 1.0) + 0.0) / 5
    assert calibration_error(confidences, right, bins=20) == pytest.approx(
        (2 * 0.45 + 2 * 0.45 + 0.0) / 5
    )
    assert expected == pytest.approx(0.36)
    assert calibration_error(np.full(10, 0.7), np.arange(10) < 7) == pytest.approx(0)


def test_gains_are_paired_and_their_intervals_cover():
    config = replace(TINY, n_seeds=4, resamples=400)
    bare = drawn(0.5, seeds=4)
    better = bare | drawn(0.3, seeds=4, seed=1)
    cases = [
        outcome(Case(augmentation="none"), bare),
        outcome(Case(augmentation="none", generator="edm", amount=20), better),
        outcome(Case(augmentation="none", generator="same", amount=20), bare),
    ]
    gains = results.gains(cases, config)
    apart = better.mean() - bare.mean()
    assert gains["gain"][0] == pytest.approx(apart, abs=1e-6)
    assert 0.08 < gains["low"][0] < apart < gains["high"][0] < 0.22
    assert gains["seeds_above"].tolist() == [4, 0] and gains["gain"][1] == 0
    # An interval is as wide as the spread of means over independent sets of images.
    values = np.random.default_rng(2).normal(0.1, 1.0, (5, 2_000))
    means = results.resampled(values, 2_000, 0)
    assert means.mean() == pytest.approx(values.mean(), abs=0.003)
    assert means.std() == pytest.approx(1 / np.sqrt(10_000) * np.sqrt(3), rel=0.3)


def test_validation_images_choose_the_amount():
    config = replace(TINY, n_seeds=3, augmentations=("none",))
    cases = [
        outcome(Case(augmentation="none"), drawn(0.5)),
        outcome(Case(augmentation="none", generator="edm", amount=20), drawn(0.9)),
        outcome(Case(augmentation="none", generator="edm", amount=40), drawn(0.7)),
    ]
    # What validation says decides, whatever the test images say.
    cases[2].found["validation_right"] = np.full(3, 0.99)
    chosen = results.chosen(results.trainings(cases, config), config)
    assert chosen["amount"].tolist() == [40]
    assert chosen["test_accuracy"][0] == pytest.approx(drawn(0.7).mean())
    assert chosen["test_without"][0] == pytest.approx(drawn(0.5).mean())


def judged(shares, config):
    """Verdicts where accuracies are those given, by generator, augmentation, amount."""
    cases = [
        outcome(
            Case(augmentation=augmentation, generator=generator, amount=amount),
            drawn(share, images=4_000, seed=7),
        )
        for (generator, augmentation, amount), share in shares.items()
    ]
    table, gains = results.trainings(cases, config), results.gains(cases, config)
    found = published.judge(published.Evidence(config, table, gains, 20))
    return {row["id"]: row["outcome"] for row in found}


def test_verdicts_go_either_way():
    config = replace(TINY, n_seeds=3, data="cifar10:X", generated=("edm=x",))
    bare = {("", "none", 0): 0.5, ("", "base", 0): 0.7}
    as_published = {
        ("cdcgan", "none", 20): 0.55,
        ("cdcgan", "base", 20): 0.68,
        ("stylegan2", "none", 20): 0.6,
        ("stylegan2", "base", 20): 0.66,
        ("stylegan2", "base", 80): 0.7,
        ("edm", "none", 20): 0.7,
        ("edm", "base", 20): 0.75,
    }
    found = judged(bare | as_published, config)
    assert found.pop("accuracies") == "not judged"
    assert set(found.values()) == {"reproduced"}
    other = {
        ("cdcgan", "none", 20): 0.5,
        ("cdcgan", "base", 20): 0.75,
        ("stylegan2", "none", 20): 0.5,
        ("stylegan2", "base", 20): 0.75,
        ("edm", "none", 20): 0.5,
        ("edm", "base", 20): 0.65,
    }
    found = judged(bare | other, config)
    assert found["more-without-augmentation"] == "not reproduced"
    assert found["poor-images-help-without-augmentation"] == "not reproduced"
    assert found["stylegan2-hurts-with-augmentation"] == "not reproduced"
    assert found["edm-helps-with-augmentation"] == "not reproduced"
    few = judged(bare | as_published, replace(config, data="shapes"))
    assert few["edm-helps-with-augmentation"] == "not judged"


# Refusals


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"amounts": ("0", "1x")}, "--amounts: such as 500, 100k or 1M, got '1x'"),
        ({"amounts": ("0",)}, "--amounts: one above 0"),
        ({"data": "cifar10:X"}, "--generated: NAME=FILE of generated images; none"),
        ({"generated": ("edm",)}, "--generated: NAME=FILE, got 'edm'"),
        ({"generated": ("a/b=x",)}, "--generated: NAME=FILE, got 'a/b=x'"),
        ({"generated": ("a=x", "a=y")}, "--generated: a twice"),
        ({"generated": ("a=/no/where",)}, "--generated: a: no /no/where"),
        ({"real_shares": (0.5,)}, "--real-shares: goes with --lengths steps"),
        ({"real_shares": (1.0,), "lengths": "steps"}, "--real-shares: above 0"),
        ({"keeps": (1.5,)}, "--keeps: must be at most 1"),
        ({"weights": (-1.0,)}, "--weights: must be >= 0"),
        ({"recipe": "plain", "epochs": 1}, "--epochs: plain needs at least 2"),
        ({"model": "nothing"}, "no model 'nothing'"),
    ],
)
def test_what_cannot_be_done_is_one_line(changes, message):
    with pytest.raises(UsageError) as error:
        experiment.check(replace(TINY, **changes))
    assert message in str(error.value) and "\n" not in str(error.value)


def test_every_preset_is_in_order():
    assert Config().recipe == "small"
    for recipe, by_preset in PRESETS.items():
        for config in by_preset.values():
            check_values(replace(config, generated=("edm=x",)))
            assert config.recipe == recipe


def test_all_of_a_small_set_is_held_out_is_one_line(monkeypatch):
    few = ImageSet(np.zeros((10, 8, 8, 3), np.uint8), np.arange(10), ("a",) * 10)
    monkeypatch.setattr(pools, "_splits", lambda config: (few, few))
    with pytest.raises(SourceError, match="--validation: 20 of 10 images"):
        Real.read(replace(TINY, data="npz:x"))
    pixels = np.zeros((10, 8, 8, 1), np.uint8)
    grey = Prepared.of(ImageSet(pixels, np.arange(10), few.classes))
    monkeypatch.setattr(pools.sets, "prepare", lambda *given: grey)
    with pytest.raises(SourceError, match="--data: 1 channels"):
        Real.read(replace(TINY, data="npz:x"))
