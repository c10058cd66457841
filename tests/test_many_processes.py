"""Every study as two and as four processes, beside one.

Each process has one CPU device, and so has the single one. Sweeps and simulations give the
same bytes, as each network and trial has random numbers of its own and is computed by
itself. Gradients are sums over the images of a batch: several devices add up shares, in
another order than one device adds images, and round otherwise. `test_training_runs` has the
same of a training by itself, and `dataset_classification/test_processes` of that study.
"""

import signal
from dataclasses import dataclass

import numpy as np
import pyarrow.parquet
import pytest
from processes import (
    PATIENCE,
    Command,
    cluster,
    digests,
    manifest,
    no_process_outlives_its_test,  # noqa: F401, a fixture of every test
    said,
)

from jaxbias.data.sixteen_categories import CATEGORIES
from jaxbias.data.trials import write_file

pytestmark = pytest.mark.timeout(20 * PATIENCE)


@dataclass(frozen=True)
class Case:
    """An experiment at a size of seconds.

    Attributes:
        study: Of `processes.OPTIONS`.
        value: Of the last option there.
        within: How far numbers may be apart, as a share of a column's largest; 0 where
            files must be the same byte for byte.
    """

    study: str
    value: int
    within: float = 0.0

    @property
    def settings(self):
        return {"study": self.study, "networks": self.value}


CASES = {
    "random-networks": Case("neural_redshift", 20),
    "boolean-prior": Case("neural_redshift boolean-prior", 2_000),
    "gaussian-mixture": Case("generative_augmentation", 60),
    "shape-bias-from-trials": Case("imagenet_biases trials", 100),
    # Of 40 to 50 images, of which one or two may be judged otherwise.
    "images": Case("generative_augmentation images", 40, 0.06),
    "small-world": Case("imagenet_biases small-world", 16, 0.15),
    "train": Case("synthetic_shape_bias", 100, 0.06),
}


@pytest.fixture(scope="module")
def trials(tmp_path_factory):
    """Answers of two observers, in model-vs-human's files."""
    folder = tmp_path_factory.mktemp("trials")
    images = [f"{a}1-{b}1.png" for a in CATEGORIES for b in CATEGORIES]
    for seed, name in enumerate(("subject-01", "resnet50")):
        answers = np.random.default_rng(seed).integers(0, 16, len(images))
        path = folder / f"cue-conflict_{name}_session-1.csv"
        write_file(path, name, images, answers)
    return str(folder)


def options(case, trials):
    return ("--trials", trials) if case.study.endswith("trials") else ()


@pytest.fixture(scope="module", params=CASES)
def alone(request, tmp_path_factory, trials):
    """A case, and the folder of a single process."""
    case = CASES[request.param]
    out = tmp_path_factory.mktemp("alone") / "run"
    command = Command(out, *options(case, trials), **case.settings)
    code, _, err = command.result(5 * PATIENCE)
    assert (code, err) == (0, "")
    return case, out


def tables(out):
    """Every table of a run, by file."""
    return {
        path.name: pyarrow.parquet.read_table(path).to_pydict()
        for path in sorted(out.glob("*.parquet"))
    }


def assert_close(found, expected, within):
    assert list(found) == list(expected)
    for name, columns in expected.items():
        assert list(found[name]) == list(columns)
        for column, values in columns.items():
            one, two = np.asarray(values), np.asarray(found[name][column])
            if one.dtype.kind != "f":
                if one.dtype.kind not in "iu":
                    assert one.tolist() == two.tolist(), (name, column)
                continue
            assert (np.isnan(one) == np.isnan(two)).all(), (name, column)
            largest = np.nanmax(np.abs(one), initial=0.0)
            worst = np.nanmax(np.abs(one - two), initial=0.0)
            assert worst <= within * max(largest, 1e-6), (name, column, worst, largest)


@pytest.mark.slow
@pytest.mark.parametrize("count", [2, 4])
def test_several_processes_are_one(tmp_path, alone, trials, count):
    case, expected = alone
    out = tmp_path / "run"
    given = options(case, trials)
    commands = cluster(out, *given, count=count, **case.settings)
    first, *others = [command.result(5 * PATIENCE) for command in commands]
    assert (first[0], said(first[2])) == (0, "")
    assert all(
        (code, said(text), said(err)) == (0, "", "") for code, text, err in others
    )
    assert manifest(out)["environment"]["device"]["processes"] == count
    if case.within:
        assert_close(tables(out), tables(expected), case.within)
    else:
        assert digests(out) == digests(expected)


@pytest.mark.slow
@pytest.mark.parametrize("alone", ["boolean-prior"], indirect=True)
def test_what_one_process_began_several_end(tmp_path, alone):
    """What is counted of all networks is counted in every process, and alike."""
    case, expected = alone
    out = tmp_path / "run"
    command = Command(out, **case.settings)
    command.wait_for_chunks(2)
    command.process.send_signal(signal.SIGKILL)
    assert command.result()[0] == -signal.SIGKILL
    commands = cluster(out, **case.settings)
    results = [command.result(5 * PATIENCE) for command in commands]
    assert [(code, said(err)) for code, _, err in results] == [(0, "")] * 2
    assert digests(out) == digests(expected)
