"""What a run is: its manifest, the software it ran on, and where two runs differ."""

import importlib.metadata
import json
import logging
import os
import platform
import socket
import subprocess
import sys
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jaxbias
from jaxbias.files import LOCK, TEMPORARY, UsageError, plain

MANIFEST = "manifest.json"
FORMAT = "jaxbias run"
SCHEMA = 1
"""Version of what the files of a run directory mean; raise it when that changes."""

logger = logging.getLogger(__name__)


def new_manifest(
    study: str, experiment: str, config: Mapping, dtypes: Mapping
) -> dict[str, Any]:
    """Make the manifest of a run that has not begun; the order is the file's."""
    return {
        "format": FORMAT,
        "schema": SCHEMA,
        "study": study,
        "experiment": experiment,
        "status": "running",
        "config": plain(config),
        "dtypes": plain(dtypes),
        "tables": [],
        "sessions": [],
    }


def read_manifest(folder: Path) -> dict[str, Any] | None:
    """Read the manifest of a folder, or None where there is none of ours."""
    try:
        manifest = json.loads((folder / MANIFEST).read_bytes())
    except (FileNotFoundError, ValueError, RecursionError):
        return None
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        return None
    return new_manifest("", "", {}, {}) | manifest


def refuse_foreign(folder: Path) -> None:
    """Raise UsageError if a folder has files in it and no manifest of ours."""
    if read_manifest(folder) is None:
        for name in sorted(os.listdir(folder)):
            if name != LOCK and not name.startswith(TEMPORARY):
                raise UsageError(
                    f"{folder}: not a run directory: it holds {name!r} and no "
                    f"{MANIFEST} of jaxbias; nothing in it was touched"
                )


def refuse_difference(
    folder: Path,
    there: dict[str, Any],
    here: dict[str, Any],
    session: dict[str, Any],
    not_compared: Iterable[str],
) -> None:
    """Raise UsageError if the run in a folder is not the one that is asked for.

    Args:
        folder: Named in the message.
        there: The folder's manifest.
        here: The manifest of the run that is asked for.
        session: What `new_session` gives; its versions count for unfinished runs only.
        not_compared: Fields of the config that may differ, with all below them.
    """
    lines = _differences(there, here, ("study", "experiment"))
    if not lines:
        lines = _differences(there, here, ("schema", "dtypes"))
        fields = (there["config"] | here["config"]).keys() - set(not_compared)
        lines += _differences(there["config"], here["config"], fields)
        if there["status"] != "done":
            # Results of different versions never go into one table.
            before = (there["sessions"] or [session])[-1]
            lines += _differences(before, session, ("versions",))
            if before.get("commit") != session["commit"]:
                logger.warning("%s: the source has changed since it was begun", folder)
    if lines:
        raise UsageError(
            f"{folder}: holds another run: {'; '.join(lines)}; "
            "overwrite it or choose another folder"
        )


def _differences(
    there: dict[str, Any], here: dict[str, Any], fields: Iterable[str]
) -> list[str]:
    """Say in which of the fields two values differ, nested ones with dots."""
    there, here = (
        leaves_of({field: side[field] for field in sorted(fields) if field in side})
        for side in (there, here)
    )
    return [
        f"{name}: there {_text(there, name)}, here {_text(here, name)}"
        for name in here | there
        if not (name in there and name in here and there[name] == here[name])
    ]


def leaves_of(value: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Values by name, those of nested dictionaries by names with dots."""
    leaves = {}
    for key, item in value.items():
        nested = isinstance(item, dict) and item
        leaves |= leaves_of(item, f"{prefix}{key}.") if nested else {prefix + key: item}
    return leaves


def _text(leaves: dict[str, Any], name: str) -> str:
    if name not in leaves:
        return "none"
    return json.dumps(leaves[name], ensure_ascii=False)[:200]


def new_session() -> dict[str, Any]:
    """Describe the present process for a manifest: when, on what, from which source."""
    started = datetime.now(UTC).isoformat(timespec="seconds")
    return {"started": started, **environment()}


def environment() -> dict[str, Any]:
    """Describe the software, the source and the host of this process, not devices."""
    versions: dict[str, str | None] = {"jaxbias": jaxbias.__version__}
    for package in ("jax", "jaxlib", "flax", "numpy"):
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            versions[package] = None
    commit = _git("rev-parse", "HEAD")
    changes = _git("status", "--porcelain", "--", "jaxbias")
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "versions": versions,
        "commit": commit,
        "dirty": None if commit is None or changes is None else bool(changes),
        "argv": list(sys.argv),
        "hostname": socket.gethostname(),
        "pid": os.getpid(),
        "cpus": os.cpu_count(),
    }


def _git(*arguments: str) -> str | None:
    root = Path(__file__).resolve().parents[1]
    if not (root / ".git").exists():
        # An installed copy may lie inside somebody else's checkout.
        return None
    try:
        answer = subprocess.run(
            ["git", "--no-optional-locks", "-C", str(root), *arguments],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=3,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return answer.stdout.decode(errors="replace").strip()
