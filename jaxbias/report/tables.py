"""The ledgers of many runs as one table: CSV for programs, Markdown for a README."""

import csv as files
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from pathlib import Path

from jaxbias.files import UsageError
from jaxbias.report.gathered import Found
from jaxbias.studies import STUDIES, described

COLUMNS: tuple[str, ...] = (
    "study",
    "experiment",
    "run",
    "id",
    "claim",
    "source",
    "expected",
    "here",
    "outcome",
)

HEADLINES = "headlines.json"
"""Beside records: by a record's name, the ids of the claims that a README shows."""


def csv(found: Iterable[Found]) -> str:
    """A row for each verdict of each finished run."""
    text = io.StringIO()
    writer = files.DictWriter(text, COLUMNS, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    for run in found:
        labels = {"study": run.study, "experiment": run.experiment, "run": run.name}
        writer.writerows(labels | verdict for verdict in run.verdicts)
    return text.getvalue()


def markdown(found: Sequence[Found]) -> str:
    """A table of three columns: published, here, verdict.

    Each run is a row with its command, device, time and how many claims held, under its
    study; below it are its claims, or, where a file `headlines.json` lies beside a record,
    those that the file names for it, in the file's order of records.
    """
    lines = ["| published | here | verdict |", "|---|---|---|"]
    finished = in_order(run for run in found if run.finished)
    chosen = _headlines_beside(finished)
    for study, runs in groupby(finished, lambda run: run.study):
        lines.append(f"| **{_cell(title_of(study))}** | | |")
        for run in runs:
            lines.append(
                f"| `{_cell(run.command)}` | {_cell(_where(run))} | {_held(run)} |"
            )
            lines += [_row(verdict) for verdict in _shown(run, chosen)]
    return "\n".join(lines) + "\n"


def in_order(runs: Iterable[Found]) -> list[Found]:
    """By study and experiment, or by study and what headlines name first."""
    runs, studies = list(runs), list(STUDIES)
    chosen = _headlines_beside(runs)

    def place(run: Found) -> tuple[int, int, int]:
        names = list(chosen[run.path.parent])
        experiments = []
        if run.study in studies:
            experiments = list(described(run.study).EXPERIMENTS)
        return (
            _index(studies, run.study),
            _index(names, run.name),
            _index(experiments, run.experiment),
        )

    return sorted(runs, key=place)


def _index(names: Sequence[str], name: str) -> int:
    return names.index(name) if name in names else len(names)


def _headlines_beside(runs: Iterable[Found]) -> dict[Path, dict[str, list[str]]]:
    """The headlines of every folder in which a run lies."""
    return {folder: headlines(folder) for folder in {run.path.parent for run in runs}}


def headlines(folder: Path) -> dict[str, list[str]]:
    """The claims that are shown of each record in a folder; empty if nothing says."""
    try:
        text = (folder / HEADLINES).read_text(encoding="utf-8")
    except OSError:
        return {}
    try:
        return {str(name): list(ids) for name, ids in json.loads(text).items()}
    except (ValueError, AttributeError, TypeError) as error:
        raise UsageError(f"{folder / HEADLINES}: damaged: {error}") from error


def _shown(
    run: Found, headlines: Mapping[Path, Mapping[str, list[str]]]
) -> list[dict[str, str]]:
    chosen = headlines[run.path.parent]
    if not chosen:
        return run.verdicts
    rows = {verdict["id"]: verdict for verdict in run.verdicts}
    wanted = chosen.get(run.name, [])
    if unknown := [name for name in wanted if name not in rows]:
        raise UsageError(f"{HEADLINES}: {run.name} has no claim {', '.join(unknown)}")
    return [rows[name] for name in wanted]


def title_of(study: str) -> str:
    """What a study calls itself; its name where it is none of ours."""
    return described(study).TITLE if study in STUDIES else study


def _where(run: Found) -> str:
    return f"{run.device}, {run.duration}" + (f", {run.preset}" if run.preset else "")


def _held(run: Found) -> str:
    counts = run.counts()
    judged = counts["reproduced"] + counts["not reproduced"]
    return f"{counts['reproduced']} of {judged} reproduced" if judged else "not judged"


def _row(verdict: dict[str, str]) -> str:
    outcome = verdict["outcome"]
    outcome = f"**{outcome}**" if outcome == "not reproduced" else outcome
    published = f"{verdict['claim']} ({verdict['source']})"
    return f"| {_cell(published)} | {_cell(verdict['here'])} | {outcome} |"


def _cell(text: str) -> str:
    """Text that stays in its cell and is taken for no markup."""
    text = " ".join(text.split()).replace("\\", "\\\\").replace("|", "\\|")
    return text.replace("<", "&lt;").replace("*", "\\*")
