"""The leak audit: what differs is found, and what does not is not."""

import io

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from jaxbias import tables
from jaxbias.data.headers import read_header
from jaxbias.data.images import decode
from jaxbias.studies.dataset_classification.audit import (
    CONTROL,
    LOW_LEVEL,
    Score,
    audit,
)

SIDE = 16

# Every test has as many images: they share their programs.


def photographs(count, seed, width=SIDE, height=SIDE):
    """Smooth noise: all sources have the same content."""
    noise = np.random.default_rng(seed).normal(size=(count, height, width, 3))
    smooth = ndimage.gaussian_filter(noise, (0, 1, 1, 0))
    return np.clip(128 + 150 * smooth, 0, 255).astype(np.uint8)


def saved(pixels, quality=75, **options):
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=quality, **options)
    return file.getvalue()


def audited(files, names=("plain", "other"), **options):
    """The audit of two sources of which every file is given."""
    pixels = [np.stack([decode(f)[:SIDE, :SIDE] for f in source]) for source in files]
    half = [len(source) // 2 for source in files]
    parts = [(p[:n], p[n:]) for p, n in zip(pixels, half, strict=True)]
    train, held = (np.concatenate([part[i] for part in parts]) for i in (0, 1))
    labels = [np.repeat(np.arange(2), [len(part[i]) for part in parts]) for i in (0, 1)]
    headers = [[read_header(f) for f in source] for source in files]
    return audit(names, headers, train, labels[0], held, labels[1], **options)


@pytest.fixture(scope="module")
def by_quality():
    first, second = photographs(200, 0), photographs(200, 1)
    return audited([[saved(p, 90) for p in first], [saved(p, 60) for p in second]])


def test_qualities_are_told_by_their_table(by_quality):
    tables_alone = by_quality.score("JPEG tables")
    assert tables_alone.accuracy == 1 and tables_alone.images == 200
    text = "\n".join(by_quality.warnings)
    assert (
        "one JPEG quantisation table" in text and "re-encode all sources alike" in text
    )
    assert "tells plain from the others in 100 % of the images" in text
    assert by_quality.score("native size").accuracy == 0.5
    # Their marks are left in the pixels.
    assert by_quality.score("noise").clear and by_quality.score(LOW_LEVEL).clear
    assert not by_quality.score(CONTROL).clear


def test_encoded_again_alike_they_are_not():
    files = [
        [saved(decode(saved(p, 75)), 30) for p in photographs(200, seed)]
        for seed in (0, 1)
    ]
    found = audited(files)
    assert found.warnings == ()
    for score in found.scores:
        low, high = score.interval
        # Nine intervals of 95 %.
        assert low - 0.04 < 0.5 < high + 0.04, score
    assert found.score("JPEG tables").accuracy == 0.5


def test_sizes_and_colour_modes_are_told():
    wide = [saved(p) for p in photographs(200, 0, width=24)]
    grey = [
        saved(np.asarray(Image.fromarray(p).convert("L"))) for p in photographs(100, 1)
    ]
    small = [saved(p) for p in photographs(100, 2)]
    found = audited([wide, grey + small])
    assert found.score("native size").accuracy == 1
    assert any(
        "native sizes alone tell the source of 100 %" in w for w in found.warnings
    )
    modes = found.files["value"][found.files["property"] == "mode"]
    assert modes.tolist() == ["RGB", "L", "RGB"] or modes.tolist() == [
        "RGB",
        "RGB",
        "L",
    ]
    assert found.sources["mode_share"].tolist() == [1, 0.5]
    assert found.sources["width_50"].tolist() == [24, 16]
    assert found.sources["aspect_95"].tolist() == [1.5, 1]


def test_tables_can_be_written_and_counts_are_right(by_quality):
    sources, rows = by_quality.sources, by_quality.classifiers
    for table in (sources, by_quality.files, rows):
        assert tables.arrow_table(table, b"").num_rows == len(
            next(iter(table.values()))
        )
    assert sources["training"].tolist() == sources["validation"].tolist() == [100, 100]
    assert sources["table_distinct"].tolist() == [1, 1]
    assert sources["table"][0] != sources["table"][1]
    assert sources["subsampling"].tolist() == ["4:2:0"] * 2
    assert rows["classifier"][-1] == CONTROL and (rows["chance"] == 0.5).all()
    assert (rows["low"] <= rows["accuracy"]).all()


def test_arrays_have_pixels_alone():
    pixels, labels = photographs(200, 3), np.arange(200) % 2
    pixels[labels == 1] //= 2
    found = audit("ab", [[], []], pixels, labels, pixels, labels)
    assert found.score("mean colour").accuracy == 1
    assert "native size" not in found.classifiers["classifier"]
    assert found.warnings == () and np.isnan(found.sources["width_50"]).all()
    assert len(found.files["source"]) == 0


def test_enlarged_images_and_absent_files_are_mentioned():
    headers = [read_header(saved(p)) for p in photographs(4, 0, width=12)]
    pixels, labels = photographs(200, 3), np.arange(200) % 2
    found = audit("ab", [headers, []], pixels, labels, pixels, labels)
    absent, enlarged = found.warnings
    assert absent.startswith("b: no files are kept")
    assert enlarged.startswith("100 % of the images of a have a side below 16 pixels")
    assert found.sources["enlarged"][0] == 1


def test_the_combination_of_the_most_votes_wins():
    # A source of two encoders, one of which is the other source's own.
    first = [
        saved(p, q)
        for p, q in zip(photographs(200, 0), [90] * 150 + [60] * 50, strict=True)
    ]
    second = [saved(p, 60) for p in photographs(200, 1)]
    found = audited([first, second])
    assert found.score("JPEG tables").correct == 75 + 100
    text = "\n".join(found.warnings)
    assert "tells plain from the others in 88 % of the images" in text


def test_an_interval_and_a_margin():
    score = Score(classifier="x", correct=60, images=100, chance=0.5, features=1)
    assert score.interval == pytest.approx((0.5020, 0.6906), abs=1e-4)
    assert not score.clear
    with pytest.raises(ValueError, match="2 sources, headers of 1"):
        pixels, labels = photographs(4, 0), np.arange(4) % 2
        audit("ab", [[]], pixels, labels, pixels, labels)
