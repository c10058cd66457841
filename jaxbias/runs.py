"""A run directory: one experiment's manifest, table, metrics, verdicts and chunks.

Every file is written whole under a temporary name, forced to disk and renamed, so that
a run killed at any moment, or a full disk, leaves the last whole version of each. One
process at a time writes a directory, and only if it runs what the directory holds.
"""

import contextlib
import json
import logging
import os
import re
import shutil
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jaxbias import tables
from jaxbias.files import (
    TEMPORARY,
    BusyError,
    MetricsLog,
    UsageError,
    json_bytes,
    keep_metrics,
    lock_folder,
    plain,
    read_metrics,
    unlock_folder,
    write_atomic,
    write_json,
)
from jaxbias.manifest import (
    MANIFEST,
    SCHEMA,
    environment,
    new_manifest,
    new_session,
    read_manifest,
    refuse_difference,
    refuse_foreign,
)

__all__ = [
    "BusyError",
    "MetricsLog",
    "RunDirectory",
    "UsageError",
    "environment",
    "keep_metrics",
    "plain",
    "read_metrics",
    "write_atomic",
    "write_json",
]

STATUSES = ("running", "done", "failed", "interrupted")
RESULTS, METRICS, VERDICTS = "results.parquet", "metrics.jsonl", "verdicts.json"
CSV_BELOW_ROWS = 5_000
MAX_CHUNK_BYTES = 2**32

_OVERWRITTEN = "overwritten"  # The status while an old run is being removed.
_PLAIN_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.=+,-]{0,199}")

logger = logging.getLogger(__name__)


class RunDirectory:
    """The files of one run of one experiment; a context manager.

    Leaving the context before `finish` marks the run failed or interrupted, with the
    error in one line; leaving it at all gives the directory free. Where `writer` is
    False every method that writes does nothing, so that all processes of a run can
    share code; what such a process reads may be older than what process 0 has written.

    Attributes:
        path: The folder.
        writer: Whether this process writes.
    """

    def __init__(
        self,
        path: Path,
        manifest: dict[str, Any],
        *,
        not_compared: Iterable[str] = (),
        writer: bool = False,
    ):
        self.path = path
        self.writer = writer
        self._manifest = manifest
        self._not_compared = frozenset(not_compared)
        self._lock: int | None = None
        identity = [manifest[key] for key in ("study", "experiment", "dtypes")]
        config = manifest["config"].items()
        config = {key: value for key, value in config if key not in self._not_compared}
        self._owner = json.dumps([SCHEMA, *identity, config], sort_keys=True).encode()

    @classmethod
    def open(
        cls,
        path: str | os.PathLike,
        *,
        study: str,
        experiment: str,
        config: Mapping[str, Any],
        dtypes: Mapping[str, str] | None = None,
        not_compared: Iterable[str] = (),
        overwrite: bool = False,
        writer: bool = True,
    ) -> "RunDirectory":
        """Start a run in a new or empty folder, or take up the one that is there.

        Args:
            path: The folder; made with its parents.
            study: Name of the study.
            experiment: Name of the experiment.
            config: Every setting, possibly nested, in plain values.
            dtypes: Precisions that results depend on, by name; compared as well.
            not_compared: Top fields of `config` in which a resumed run may differ.
            overwrite: Remove the run that is there (only what is ours) and start anew.
            writer: False in processes that must neither lock nor write.

        Raises:
            UsageError: If the folder cannot be used, is not a run directory, or holds a
                run that differs from this one; the message names the fields.
            BusyError: If another process writes it.
        """
        path = Path(path)
        manifest = new_manifest(study, experiment, config, dtypes or {})
        run = cls(path, manifest, not_compared=not_compared, writer=writer)
        if not writer:
            return run
        try:
            if path.exists() and not path.is_dir():
                raise UsageError(f"{path}: not a run directory: it is a file")
            path.mkdir(parents=True, exist_ok=True)
            refuse_foreign(path)
            run._lock = lock_folder(path)
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else error
            raise UsageError(f"{path}: not writable: {reason}") from error
        try:
            run._take_up(overwrite)
        except BaseException:
            run.release()
            raise
        return run

    @classmethod
    def load(cls, path: str | os.PathLike) -> "RunDirectory":
        """Open a run for reading: nothing is compared, locked or written."""
        path = Path(path)
        try:
            manifest = read_manifest(path)
        except OSError as error:
            raise UsageError(f"{path}: not readable: {error.strerror}") from error
        if manifest is None:
            raise UsageError(f"{path}: not a run directory: no {MANIFEST} of jaxbias")
        return cls(path, manifest)

    def _take_up(self, overwrite: bool) -> None:
        """Settle, with the lock held, whether to start, resume, refuse or overwrite."""
        refuse_foreign(self.path)
        for folder in (self.path, self.path / "chunks", self.path / "figures"):
            for leftover in folder.glob(f"{TEMPORARY}*"):
                leftover.unlink()
        session = new_session()
        there = read_manifest(self.path)
        if there and (overwrite or there["status"] == _OVERWRITTEN):
            self._remove_everything(there)
        elif there:
            refuse_difference(
                self.path, there, self._manifest, session, self._not_compared
            )
            self._manifest = there
            if self.finished:
                self.clear_chunks()
                return
        sessions = [*self._manifest["sessions"], session]
        self.update_manifest(status="running", sessions=sessions)

    def _remove_everything(self, there: dict[str, Any]) -> None:
        # Marked first: a kill in between must not leave a finished run with holes.
        write_json(self.path / MANIFEST, there | {"status": _OVERWRITTEN})
        names = [METRICS, VERDICTS]
        for table in filter(_PLAIN_NAME.fullmatch, there["tables"]):
            names += [table, f"{Path(table).stem}.csv"]
        for name in names:
            (self.path / name).unlink(missing_ok=True)
        self._remove_files("chunks", "*.npz")
        self._remove_files("figures", "*.png")
        checkpoints = self.path / "checkpoints"
        if checkpoints.is_symlink():
            checkpoints.unlink()
        elif checkpoints.exists():
            shutil.rmtree(checkpoints)

    def _remove_files(self, folder: str, pattern: str) -> None:
        for path in (self.path / folder).glob(pattern):
            path.unlink()
        with contextlib.suppress(OSError):  # Not there, or with a file of the user's.
            (self.path / folder).rmdir()

    def release(self) -> None:
        """Give the directory free for other processes."""
        if self._lock is not None:
            descriptor, self._lock = self._lock, None
            unlock_folder(self.path, descriptor)

    def __enter__(self) -> "RunDirectory":
        return self

    def __exit__(self, kind: object, error: BaseException | None, _: object) -> None:
        try:
            if self.writer and not self.finished:
                self.update_manifest(
                    status="failed" if isinstance(error, Exception) else "interrupted",
                    error=_one_line(error) if error else "left before it was finished",
                )
        except OSError as problem:
            # The error that ended the run matters more, and is on its way up.
            logger.warning("the end of the run is not noted: %s", problem)
        finally:
            self.release()

    @property
    def manifest(self) -> dict[str, Any]:
        """What `manifest.json` holds."""
        if self.writer:
            return self._manifest
        return read_manifest(self.path) or self._manifest

    @property
    def finished(self) -> bool:
        """Whether the results are whole."""
        return self.manifest["status"] == "done"

    def update_manifest(self, **fields: Any) -> None:
        """Set fields of the manifest."""
        if fields.get("status", "running") not in STATUSES:
            raise ValueError(f"status {fields['status']!r} is none of {STATUSES}")
        if self.writer:
            manifest = self._manifest | plain(fields)
            if manifest["status"] in ("running", "done"):
                manifest.pop("error", None)
            write_json(self.path / MANIFEST, manifest)
            self._manifest = manifest

    def finish(self, **fields: Any) -> None:
        """Mark the run done, its results being written, and remove the chunks."""
        self.update_manifest(status="done", **fields)
        self.clear_chunks()

    def _write(self, path: Path, data: bytes) -> None:
        if self.writer:
            path.parent.mkdir(exist_ok=True)
            write_atomic(path, data)

    def figure_path(self, name: str) -> Path:
        """Where a figure goes; hand its bytes to `write_atomic`."""
        folder = self.path / "figures"
        if self.writer:
            folder.mkdir(exist_ok=True)
        return folder / f"{_plain_name(name).removesuffix('.png')}.png"

    def _chunk(self, name: str) -> tuple[Path, bytes]:
        path = self.path / "chunks" / f"{_plain_name(name)}.npz"
        return path, self._owner + name.encode()

    def save_chunk(self, name: str, arrays: Mapping[str, np.ndarray]) -> None:
        """Keep part of a sweep until the run is finished, as an uncompressed npz file.

        Raises:
            ValueError: If an array holds objects, or the whole is over 4 GiB.
        """
        path, owner = self._chunk(name)
        data = tables.pack_chunk(arrays, owner)
        if len(data) > MAX_CHUNK_BYTES:
            raise ValueError(f"chunk {name}: over {MAX_CHUNK_BYTES} bytes")
        self._write(path, data)

    def load_chunk(
        self, name: str, *, max_bytes: int = MAX_CHUNK_BYTES
    ) -> dict[str, np.ndarray] | None:
        """Read a chunk, or give None where it must be computed (again).

        A damaged chunk, or one that this run did not write under this name, is named in
        a warning and deleted. Nothing in it is executed.
        """
        path, owner = self._chunk(name)
        try:
            if path.stat().st_size > max_bytes:
                raise ValueError(f"more than {max_bytes} bytes")
            return tables.unpack_chunk(path.read_bytes(), owner, max_bytes)
        except FileNotFoundError:
            return None
        except Exception as error:  # Whatever is wrong, it can be computed again.
            reason = _one_line(error)
            logger.warning("%s is damaged and computed again: %s", path, reason)
            if self.writer:
                path.unlink()
            return None

    def chunk_names(self) -> list[str]:
        """Name the chunks on disk, damaged ones included, in sorted order."""
        files = (self.path / "chunks").glob("[!.]*.npz")
        return sorted(path.name.removesuffix(".npz") for path in files)

    def clear_chunks(self) -> None:
        """Remove all chunks."""
        if self.writer:
            self._remove_files("chunks", "*.npz")

    def write_table(
        self, columns: Mapping[str, np.ndarray | Sequence], filename: str = RESULTS
    ) -> None:
        """Write a tidy table: the same data give the same bytes, in any process.

        A table of fewer than 5,000 rows is written as `.csv` beside it too.

        Args:
            columns: One value per row, by name: numbers, booleans or strings.
            filename: Plain name that ends in `.parquet`.

        Raises:
            ValueError: If columns differ in length or hold something else.
        """
        if not _plain_name(filename).endswith(".parquet"):
            raise ValueError(f"{filename!r} does not end in .parquet")
        # Neither times nor versions: a resumed run must give the same bytes.
        metadata = {key: self._manifest[key] for key in ("study", "experiment")}
        metadata["schema"] = SCHEMA
        table = tables.arrow_table(columns, json_bytes(metadata))
        if not self.writer:
            return
        if filename not in self._manifest["tables"]:
            self.update_manifest(tables=[*self._manifest["tables"], filename])
        path = self.path / filename
        self._write(path, tables.parquet_bytes(table))
        if table.num_rows < CSV_BELOW_ROWS:
            self._write(path.with_suffix(".csv"), tables.csv_bytes(table))
        else:
            path.with_suffix(".csv").unlink(missing_ok=True)

    def read_table(self, filename: str = RESULTS) -> dict[str, np.ndarray]:
        """Read a table back; strings come as NumPy strings.

        Raises:
            UsageError: If it is absent or damaged.
        """
        return tables.read_parquet(self.path / _plain_name(filename))

    def verify_table(self, filename: str = RESULTS) -> None:
        """Raise `UsageError` if a table is absent or damaged."""
        tables.verify_parquet(self.path / _plain_name(filename))

    def write_verdicts(self, verdicts: list[dict[str, Any]]) -> None:
        """Write what the run makes of the published outcomes."""
        self._write(self.path / VERDICTS, json_bytes(verdicts, indent=2))

    def read_verdicts(self) -> list[dict[str, Any]]:
        """Read the verdicts; none where none are written."""
        try:
            return json.loads((self.path / VERDICTS).read_bytes())
        except FileNotFoundError:
            return []


def _one_line(error: BaseException) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())[:500]


def _plain_name(name: str) -> str:
    if not _PLAIN_NAME.fullmatch(name):
        raise ValueError(f"{name!r} is not a plain file name")
    return name
