"""Generate: files, shards, resumption, the table, verdicts, refusals."""

import shutil
from dataclasses import replace

import numpy as np
import pytest
import whole_runs
from PIL import Image

from jaxbias.data import sources
from jaxbias.files import UsageError
from jaxbias.runs import RunDirectory
from jaxbias.studies.synthetic_shape_bias.generate import experiment, making, published
from jaxbias.studies.synthetic_shape_bias.generate.config import (
    PRESETS,
    Config,
    check_values,
)

TINY = Config(data="coloured-noise", n=20, size=16, programs=3, piece=8)


def files(directory):
    folder = directory.path / "images"
    paths = [path for path in folder.rglob("*") if path.is_file()]
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


@pytest.fixture(scope="module")
def directory(tmp_path_factory):
    return whole_runs.finished(experiment, TINY, tmp_path_factory.mktemp("r") / "run")


def test_folders_are_classes_and_the_table_has_a_row_for_each(directory):
    rows = directory.read_table()
    assert rows["number"].tolist() == list(range(20))
    assert rows["program"].tolist() == [i % 3 for i in range(20)]
    source = sources.open_source(str(directory.path / "images"))
    assert len(source) == 20 and source.classes == ("00000", "00001", "00002")
    assert np.bincount(source.labels).tolist() == [7, 7, 6]
    number = [int(source.name(i).split("/")[-1].split(".")[0]) for i in range(20)]
    pixels = np.stack([source[i][0] for i in range(20)])[np.argsort(number)]
    grey = pixels @ np.asarray([0.299, 0.587, 0.114]) / 255
    np.testing.assert_allclose(rows["mean"], grey.mean((1, 2)), atol=1e-3)
    np.testing.assert_allclose(rows["deviation"], grey.std((1, 2)), atol=1e-3)
    assert len(np.unique(pixels.reshape(20, -1), axis=0)) == 20
    assert (directory.path / "figures" / "sheet.png").stat().st_size > 5_000
    assert directory.read_verdicts() == []


def test_shards_hold_the_same_images_whatever_the_pieces(directory, tmp_path):
    config = replace(TINY, form="tar", piece=12, n=15)
    shards = whole_runs.finished(experiment, config, tmp_path / "tar")
    names = [f"coloured-noise-{n:06d}.tar" for n in range(2)]
    assert sorted(files(shards)) == names
    tar = sources.open_source(str(shards.path / "images"))
    plain = files(directory)
    assert tar.labels.tolist() == [i % 3 for i in range(15)]
    for number in range(15):
        path = directory.path / "images" / f"{number % 3:05d}" / f"{number:08d}.png"
        assert str(path.relative_to(directory.path / "images")) in plain
        np.testing.assert_array_equal(np.asarray(Image.open(path)), tar[number][0])


def test_a_cut_run_goes_on_and_ends_with_the_same_files(
    directory, tmp_path, monkeypatch
):
    write, count = making._write, []

    def cut(*args):
        count.append(args[1]["number"][0])
        if len(count) == 2:
            raise KeyboardInterrupt
        write(*args)

    monkeypatch.setattr(making, "_write", cut)
    with pytest.raises(KeyboardInterrupt):
        whole_runs.finished(experiment, TINY, tmp_path / "run")
    again = whole_runs.finished(experiment, TINY, tmp_path / "run")
    assert count == [0, 8, 8, 16]
    assert files(again) == files(directory)
    table = "results.parquet"
    assert (again.path / table).read_bytes() == (directory.path / table).read_bytes()


def test_what_an_overwritten_run_left_is_removed(directory, tmp_path):
    copy = tmp_path / "run"
    shutil.copytree(directory.path, copy)
    config = replace(TINY, n=5, programs=None)
    with RunDirectory.open(
        copy,
        study="synthetic_shape_bias",
        experiment="x",
        config=whole_runs.plain(config),
        overwrite=True,
    ) as run:
        experiment.run(config, run, whole_runs.Reporter(quiet=True))
        run.finish()
    assert sorted(files(run)) == [f"coloured-noise/{n:08d}.png" for n in range(5)]


def test_jpegs_are_near_and_webp_is_exact():
    image = np.random.default_rng(0).integers(0, 255, (16, 16, 3), np.uint8)
    image = np.repeat(np.repeat(image[::4, ::4], 4, 0), 4, 1)
    for encoding, most in (("png", 0), ("webp", 0), ("jpeg", 12)):
        data = making.encoded(image, encoding)
        whole = making.io.BytesIO(data)
        found = np.asarray(Image.open(whole).convert("RGB"), int)
        assert np.abs(found - image).mean() <= most


def test_slopes_are_judged_where_they_are_known():
    config = Config(data="dead-leaves-mixed")
    rows = {"slope": np.full(100, -2.0)}
    (verdict,) = published.judge(config, rows)
    assert verdict["outcome"] == "reproduced"
    (verdict,) = published.judge(config, {"slope": np.full(100, -2.4)})
    assert verdict["outcome"] == "not reproduced"
    (verdict,) = published.judge(replace(config, size=32), rows)
    assert verdict["outcome"] == "not judged"
    (verdict,) = published.judge(config, {"slope": np.full(20, -2.0)})
    assert verdict["outcome"] == "not judged" and "64 images" in verdict["here"]
    assert published.judge(Config(data="fractal"), rows) == []


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"n": 0}, "--n: must be >= 1"),
        ({"programs": 50}, "--programs: 50 of them for 20 images"),
        ({"size": 8}, "--size: must be >= 16"),
        ({"data": "x"}, "--data: no generator 'x': one of stylegan-random"),
    ],
)
def test_what_cannot_be_done_is_one_line(changes, message):
    with pytest.raises(UsageError) as error:
        experiment.check(replace(TINY, **changes))
    assert message in str(error.value) and "\n" not in str(error.value)


def test_every_preset_is_in_order():
    for config in PRESETS.values():
        check_values(config)
