"""README says what is so: its table is that of the records, its links and names exist."""

import re
import shlex
from pathlib import Path

import pytest

import jaxbias
from jaxbias.report import gather, tables
from jaxbias.studies import STUDIES, described

ROOT = Path(jaxbias.__file__).resolve().parents[1]
RESULTS = ROOT / "experiments" / "results"
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_table_is_that_of_the_committed_records():
    """If this fails: jaxbias report experiments/results --out report --readme README.md"""
    found = README.split("<!-- results -->\n")[1].split("<!-- /results -->")[0]
    assert found == tables.markdown(gather([RESULTS]))


def test_every_record_is_of_an_experiment_that_there_is():
    runs = gather([RESULTS])
    assert {run.study for run in runs} >= set(STUDIES) - {"train"}
    for run in runs:
        assert run.experiment in described(run.study).EXPERIMENTS
        assert run.name.startswith(f"{run.study}-")
        assert run.command and run.seconds and run.begun and run.preset
        # What is kept is small, and of a source that was committed.
        assert run.path.stat().st_size < 50_000
        assert run.manifest["environment"]["commit"]
    headlined = tables.headlines(RESULTS)
    assert set(headlined) <= {run.name for run in runs}


def test_the_first_screen_has_two_commands_after_the_table():
    start = README.split("<!-- /results -->")[1]
    commands = re.findall(r"```sh\n(.*?)```", start, re.DOTALL)[:2]
    for command in commands:
        assert command.count("\n") == 1
        assert command.startswith("python3 -m venv .venv && .venv/bin/python -m pip")
    assert "experiments.neural_redshift" in commands[0] and "pytest" in commands[1]


def test_links_lead_somewhere():
    headings = re.findall(r"^#+ (.*)$", README, re.MULTILINE)
    anchors = {re.sub(r"[^\w -]", "", h.lower()).replace(" ", "-") for h in headings}
    targets = re.findall(r"\]\(([^)]+)\)", README) + re.findall(
        r'src="([^"]+)"', README
    )
    assert len(targets) > 20
    for target in targets:
        if target.startswith("#"):
            assert target[1:] in anchors, target
        elif "://" not in target:
            assert (ROOT / target).exists(), target


def test_every_figure_is_shown():
    shown = set(re.findall(r"\.github/figures/([\w-]+\.png)", README))
    assert shown == {path.name for path in (ROOT / ".github" / "figures").iterdir()}


LINES = sorted(
    set(re.findall(r"(?:python -m experiments\.|jaxbias )(\w+ [a-z-]+|\w+)", README))
)


@pytest.mark.parametrize("line", LINES)
def test_commands_name_what_there_is(line):
    study, *rest = shlex.split(line)
    if study in ("report", "STUDY"):
        return
    assert study in STUDIES
    if rest and not rest[0].startswith("-"):
        assert rest[0] in described(study).EXPERIMENTS
