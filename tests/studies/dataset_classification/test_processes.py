"""Whole commands: over two processes, killed and resumed."""

import numpy as np
import pyarrow.parquet
import pytest
from processes import (
    Command,
    cluster,
    no_process_outlives_its_test,  # noqa: F401, a fixture of every test
    said,
)

SETTINGS = {"study": "dataset_classification", "networks": 2_000}


@pytest.fixture(scope="module")
def sources(tmp_path_factory):
    """Two sources of 8 x 8, one brighter than the other."""
    folder = tmp_path_factory.mktemp("sources")
    rng = np.random.default_rng(0)
    for number, name in enumerate("AB"):
        images = (rng.integers(0, 200, (600, 8, 8, 3)) + 25 * number).astype(np.uint8)
        np.savez(folder / f"{name}.npz", images=images, labels=np.zeros(600, int))
    return "--sources", *(f"{name}={folder / name}.npz" for name in "AB")


def table(out, name="results"):
    return pyarrow.parquet.read_table(out / f"{name}.parquet").to_pydict()


@pytest.mark.slow
@pytest.mark.parametrize("count", [2, 4])
def test_several_processes_are_one(tmp_path, sources, count):
    alone, together = tmp_path / "alone", tmp_path / "together"
    short = {"study": "dataset_classification", "networks": 400}
    argv = *sources, "--no-control"
    code, _, err = Command(alone, *argv, devices=2, **short).result()
    assert (code, err) == (0, "")
    commands = cluster(together, *argv, count=count, **short)
    results = [command.result() for command in commands]
    assert [code for code, _, _ in results] == [0] * count, results
    assert said(results[1][1]) == ""
    first, second = table(alone), table(together)
    assert first["case"] == second["case"] == ["sources"]
    np.testing.assert_allclose(second["loss"], first["loss"], rtol=1e-3)
    np.testing.assert_allclose(second["accuracy"], first["accuracy"], atol=0.02)
    assert second["baseline"] == first["baseline"]
    for name in ("audit_sources", "audit_classifiers"):
        one, two = ((out / f"{name}.parquet").read_bytes() for out in (alone, together))
        assert one == two


@pytest.mark.slow
def test_a_killed_run_ends_with_the_same_bytes(tmp_path, sources):
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    assert Command(whole, *sources, **SETTINGS).result()[0] == 0
    command = Command(cut, *sources, **SETTINGS)
    saved = cut / "checkpoints" / "sources" / "seed-0"
    assert command.wait_for(lambda: list(saved.glob("0*.json")))
    command.process.kill()
    command.result()
    assert Command(cut, *sources, **SETTINGS).result()[0] == 0
    for name in ("results.parquet", "predictions.parquet", "verdicts.json"):
        assert (cut / name).read_bytes() == (whole / name).read_bytes()
