"""Image generations: a whole tiny run, what each generator sees, verdicts, refusals."""

from dataclasses import replace

import numpy as np
import pytest
from whole_runs import finished

from jaxbias.data.archives import ImageSet, SourceError
from jaxbias.files import UsageError
from jaxbias.studies.generative_augmentation.image_generations import (
    chains,
    experiment,
    published,
)
from jaxbias.studies.generative_augmentation.image_generations.chains import (
    FIRST,
    Images,
)
from jaxbias.studies.generative_augmentation.image_generations.config import (
    PRESETS,
    check_values,
)

TINY = replace(
    PRESETS["cdcgan"]["smoke"],
    **{"width": 4, "most_images": 20, "samples": 20, "batch": 10, "epochs": 1},
    **{"measured": 20, "generations": 2},
)


def test_a_run_leaves_what_it_promises(tmp_path):
    directory = finished(experiment, TINY, tmp_path / "run")
    table = directory.read_table()
    # Real images, the first generator, and two more of each scheme; two features.
    assert len(table["kid"]) == 2 * (1 + 1 + 3 * 2)
    assert np.isfinite(table["kid"]).all() and np.isfinite(table["vendi"]).all()
    assert (table["images_each"] == 20).all()
    found = {row["id"]: row["outcome"] for row in directory.read_verdicts()}
    assert found == dict.fromkeys(("collapses", "real-images-keep-it"), "not judged")
    drawn = {path.stem for path in (directory.path / "figures").glob("*.png")}
    assert drawn == {"curves"} | {f"images_{name}" for name in TINY.schemes}


def some(number, count=4):
    pixels = np.full((count, 2, 2, 3), number, np.uint8)
    return Images(pixels, np.arange(count) % 2)


def test_what_the_next_generator_sees():
    known, last, fresh = some(0, 8), some(1), some(2)
    kinds = {
        scheme: chains.follows(scheme, known, last, fresh).pixels[:, 0, 0, 0].tolist()
        for scheme in ("replace", "accumulate", "fresh")
    }
    assert kinds == {
        "replace": [1] * 4,
        "accumulate": [0] * 8 + [1] * 4,
        "fresh": [2] * 4 + [1] * 4,
    }


def test_fresh_images_are_new_in_each_generation():
    pixels = np.arange(60, dtype=np.uint8)[:, None, None, None] + np.zeros(
        (1, 32, 32, 3), np.uint8
    )
    training = ImageSet(pixels, np.arange(60) // 30, ("a", "b"))
    parts = chains.real_images(replace(TINY, most_images=20), training)
    assert [len(part.pixels) for part in parts] == [20, 20, 20]
    seen = np.concatenate([part.pixels[:, 0, 0, 0] for part in parts])
    assert len(set(seen.tolist())) == 60
    assert all(np.bincount(part.labels).tolist() == [10, 10] for part in parts)
    once = replace(TINY, schemes=("replace",), most_images=60)
    assert len(chains.real_images(once, training)) == 1
    with pytest.raises(SourceError, match="60 images, 90 are needed: 30 for each of 3"):
        chains.real_images(replace(TINY, most_images=30), training)


def test_generators_of_a_run_draw_other_noise():
    names = ["first-0", "replace-1", "replace-2", "fresh-1"]
    seeds = [chains.seed_of(seed, name) for seed in (0, 1) for name in names]
    assert len(set(seeds)) == 8 and max(seeds) < 2**32
    assert seeds[0] == chains.seed_of(0, "first-0")


def columns(last):
    """A table with these kernel distances and recalls after three generations."""
    rows = [
        (scheme, generation, feature, kid, recall)
        for scheme, generation, kid, recall in (
            ("real", -1, 0.001, 0.9),
            (FIRST, 0, 0.1, 0.5),
            *((name, 1, 0.1, 0.5) for name in last),
            *((name, 3, *values) for name, values in last.items()),
        )
        for feature in ("hog-4", "random-pooled")
    ]
    names = ("scheme", "generation", "feature", "kid", "recall")
    return {
        name: np.asarray(values)
        for name, values in zip(names, zip(*rows, strict=True), strict=True)
    }


def test_verdicts_go_either_way():
    config = replace(TINY, generations=3)

    def judged(config=config, **last):
        evidence = published.Evidence(config, columns(last))
        return {row["id"]: row["outcome"] for row in published.judge(evidence)}

    worse, kept, better = (0.4, 0.1), (0.2, 0.4), (0.05, 0.6)
    assert set(judged(replace=worse, accumulate=kept, fresh=kept).values()) == {
        "reproduced"
    }
    assert set(judged(replace=better, accumulate=kept, fresh=kept).values()) == {
        "not reproduced"
    }
    assert set(judged(replace(config, generations=2), replace=worse).values()) == {
        "not judged"
    }


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"schemes": ()}, "--schemes: one or more"),
        ({"generations": 0}, "--generations: must be >= 1"),
        ({"most_images": None}, "--most-images: how many each generator"),
        ({"most_images": 40}, "--samples: 20 images, of which the next generator"),
        ({"width": 5}, "--width: even"),
    ],
)
def test_what_cannot_be_done_is_one_line(changes, message):
    with pytest.raises(UsageError) as error:
        experiment.check(replace(TINY, **changes))
    assert message in str(error.value) and "\n" not in str(error.value)


def test_every_preset_is_in_order():
    for kind, by_preset in PRESETS.items():
        for config in by_preset.values():
            check_values(config)
            assert config.kind == kind
