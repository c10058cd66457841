"""Records: what is kept of a run where its tables and figures are too much to keep.

A record is a JSON file of some kilobytes with the verdicts, the configuration, the command,
the device and the time. Reports are made of records as of runs.
"""

import json
import re
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jaxbias.files import UsageError
from jaxbias.ledger import OUTCOMES

FORMAT = "jaxbias record"

VERDICT = ("id", "source", "claim", "expected", "certainty", "outcome", "here")
"""What a row of a ledger has, at least."""

_KEPT = ("study", "experiment", "preset", "config", "dtypes", "environment", "timings")
_OF_ENVIRONMENT = ("python", "platform", "versions", "commit", "cpus", "device")


def record(
    manifest: dict[str, Any], command: str, verdicts: list[dict[str, str]]
) -> dict[str, Any]:
    """What is kept of a finished run: nothing that tells whose machine it was."""
    kept = {key: manifest[key] for key in _KEPT if key in manifest}
    environment = kept.get("environment", {})
    kept["environment"] = {
        key: environment[key] for key in _OF_ENVIRONMENT if key in environment
    }
    sessions = manifest.get("sessions") or [{}]
    session = {
        "started": sessions[0].get("started", ""),
        "argv": shlex.split(command),
    }
    return {"format": FORMAT, **kept, "sessions": [session], "verdicts": verdicts}


def read(path: Path) -> dict[str, Any] | None:
    """Read a record, or give None where a file is none of ours.

    Raises:
        UsageError: If it is one and is damaged.
    """
    try:
        kept = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return None
    if not isinstance(kept, dict) or kept.get("format") != FORMAT:
        return None
    try:
        if not all(isinstance(kept.get(key), str) for key in ("study", "experiment")):
            raise ValueError("no study or experiment")
        check_verdicts(kept.get("verdicts"))
    except ValueError as error:
        raise UsageError(f"{path}: damaged record: {error}") from error
    return kept


def check_verdicts(verdicts: Any) -> None:
    """Raise `ValueError` if something is not a list of a ledger's rows."""
    if not isinstance(verdicts, list):
        raise ValueError("not a list of verdicts")
    for row in verdicts:
        if not isinstance(row, dict) or not all(
            isinstance(row.get(key), str) for key in VERDICT
        ):
            raise ValueError("a verdict without " + ", ".join(VERDICT))
        if row["outcome"] not in OUTCOMES:
            raise ValueError(f"an outcome {row['outcome']!r}")


def command(study: str, experiment: str, argv: Sequence[str]) -> str:
    """The line that a person types, of a process's arguments; empty where none are known.

    Args:
        study: Name of the study.
        experiment: Name of the experiment; a line may leave the default one out.
        argv: As the process had it, its program first, or as a record has it.
    """
    if not argv or argv[0] == "python":
        return shlex.join(argv)
    rest = list(argv[2 if Path(argv[0]).name == "jaxbias" else 1 :])
    if rest[:1] != [experiment]:
        rest = [experiment, *rest]
    line = re.sub(r" --out[= ]\S+| --overwrite\b| --quiet\b", "", shlex.join(rest))
    return f"python -m experiments.{study} {line}"
