"""What lies in the folders that a report is made of: runs, whole or not, and records."""

import json
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from jaxbias.files import UsageError, is_locked
from jaxbias.ledger import OUTCOMES
from jaxbias.manifest import MANIFEST
from jaxbias.report import records
from jaxbias.runs import RunDirectory

DAMAGED = "damaged"

_PNG, _PNG_END = b"\x89PNG\r\n\x1a\n", b"IEND\xaeB`\x82"


@dataclass(frozen=True, kw_only=True)
class Found:
    """A run, as far as it can be shown.

    Attributes:
        path: The run directory, or the file of a record.
        name: What tells it from other runs of its experiment.
        state: The manifest's status: done, failed, interrupted, or running, if a process
            is at it; "killed" if none is; or "damaged".
        problem: Why it is not shown, in one line; empty if it is.
        manifest: The manifest's fields, or the record's.
        verdicts: Rows of the ledger.
        figures: PNG files by name.
    """

    path: Path
    name: str
    state: str
    problem: str = ""
    manifest: dict[str, Any] = field(default_factory=dict)
    verdicts: list[dict[str, str]] = field(default_factory=list)
    figures: dict[str, bytes] = field(default_factory=dict)

    @property
    def finished(self) -> bool:
        """Whether the results are whole."""
        return self.state == "done"

    @property
    def study(self) -> str:
        return self.manifest.get("study", "")

    @property
    def experiment(self) -> str:
        return self.manifest.get("experiment", "")

    @property
    def preset(self) -> str:
        """The preset that the configuration began from; empty where nobody noted it."""
        return self.manifest.get("preset", "")

    @property
    def device(self) -> str:
        """What it was computed on, in words."""
        environment = self.manifest.get("environment", {})
        device = environment.get("device", {})
        count = device.get("devices", "?")
        if device.get("platform") == "cpu":
            # However many devices they are taken for.
            count, kind = environment.get("cpus", count), "CPU core"
        else:
            kind = str(device.get("kind", "unknown device"))
        hosts = device.get("processes", 1)
        return f"{count} {kind}{'' if count == 1 else 's'}" + (
            f", {hosts} processes" if hosts > 1 else ""
        )

    @property
    def seconds(self) -> float | None:
        """Time of the last session; an interrupted run took longer."""
        return self.manifest.get("timings", {}).get("total_seconds")

    @property
    def duration(self) -> str:
        """The same in words."""
        if self.seconds is None:
            return "? s"
        unit, length = "h", 3_600
        if self.seconds < 7_200:
            unit, length = ("s", 1) if self.seconds < 120 else ("min", 60)
        number = self.seconds / length
        return f"{number:.1f} {unit}" if number < 10 else f"{number:.0f} {unit}"

    @property
    def _sessions(self) -> list[dict[str, Any]]:
        return self.manifest.get("sessions") or [{}]

    @property
    def begun(self) -> str:
        """Day on which it was begun."""
        first, *_ = self._sessions
        try:
            return datetime.fromisoformat(first["started"]).date().isoformat()
        except (KeyError, ValueError):
            return ""

    @property
    def command(self) -> str:
        """The line that made it, without where it was to go."""
        argv = self._sessions[-1].get("argv", [])
        return records.command(self.study, self.experiment, argv)

    def counts(self) -> dict[str, int]:
        """How many verdicts there are of each outcome."""
        outcomes = [verdict["outcome"] for verdict in self.verdicts]
        return {outcome: outcomes.count(outcome) for outcome in OUTCOMES}


def gather(paths: Sequence[Path]) -> list[Found]:
    """Find the runs in folders, and read what is to be shown of each.

    Args:
        paths: Run directories, folders that hold such at any depth, and records.

    Returns:
        One each, in the order of the paths and, below a folder, of names. A run that is
        not whole is there too, with the reason.

    Raises:
        UsageError: If a path is not there, or neither is nor holds a run.
    """
    found = []
    for path in dict.fromkeys(paths):
        if not path.exists():
            raise UsageError(f"{path}: there is no such file or folder")
        runs = [_read(place) for place in _places(path)]
        runs = [run for run in runs if run is not None]
        if not runs:
            raise UsageError(f"{path}: not a run directory, and none is below it")
        found += runs
    return found


def _places(path: Path) -> Iterator[Path]:
    """Files and folders at or below a path that may be records or runs."""
    if path.is_file() or (path / MANIFEST).exists():
        yield path
        return
    for folder, below, files in os.walk(path):
        below.sort()
        if MANIFEST in files:
            below.clear()
            yield Path(folder)
        else:
            named = sorted(name for name in files if name.endswith(".json"))
            yield from (Path(folder, name) for name in named)


def _read(path: Path) -> Found | None:
    """A run or record as far as it can be read; None if it is nothing of ours."""
    if path.is_file():
        kept = records.read(path)
        if kept is None:
            return None
        verdicts = kept.pop("verdicts")
        return Found(
            path=path, name=path.stem, state="done", manifest=kept, verdicts=verdicts
        )
    try:
        run = RunDirectory.load(path)
    except UsageError as error:
        if _is_foreign(path / MANIFEST):
            return None
        return Found(path=path, name=path.name, state=DAMAGED, problem=str(error))
    manifest = run.manifest
    begun = Found(path=path, name=path.name, state="", manifest=manifest)
    if not run.finished:
        return replace(begun, **_unfinished(path, manifest))
    try:
        verdicts = _verdicts(run)
        for name in manifest["tables"]:
            run.verify_table(name)
        figures = dict(_figures(run))
    except (OSError, ValueError, UsageError) as error:
        return replace(begun, state=DAMAGED, problem=" ".join(str(error).split()))
    return replace(begun, state="done", verdicts=verdicts, figures=figures)


def _is_foreign(path: Path) -> bool:
    """Whether a manifest is whole and another program's."""
    try:
        return isinstance(json.loads(path.read_bytes()), dict)
    except (OSError, ValueError, RecursionError):
        return False


def _unfinished(path: Path, manifest: dict[str, Any]) -> dict[str, str]:
    status = manifest["status"]
    if is_locked(path):
        return {"state": "running", "problem": "a process is at it"}
    if status == "running":
        return {"state": "killed", "problem": "the same command resumes it"}
    return {"state": status, "problem": manifest.get("error", "")}


def _verdicts(run: RunDirectory) -> list[dict[str, str]]:
    try:
        verdicts = run.read_verdicts()
        records.check_verdicts(verdicts)
    except ValueError as error:
        raise ValueError(f"{run.path}: damaged verdicts: {error}") from error
    return verdicts


def _figures(run: RunDirectory) -> Iterable[tuple[str, bytes]]:
    for path in sorted((run.path / "figures").glob("*.png")):
        data = path.read_bytes()
        if not (data.startswith(_PNG) and data.endswith(_PNG_END)):
            raise ValueError(f"{path}: damaged: not a whole PNG file")
        yield path.stem, data
