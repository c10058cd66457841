"""Files that are whole or absent: atomic writes, JSON, logs of whole lines; a lock."""

import contextlib
import errno
import fcntl
import json
import logging
import math
import os
import secrets
import socket
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

TEMPORARY = ".jaxbias-tmp-"
"""How the names of unfinished files begin; a killed process leaves one behind."""

LOCK = ".lock"

logger = logging.getLogger(__name__)


class UsageError(Exception):
    """The arguments or the data are not usable; one line says what and where."""

    exit_code = 2


class BusyError(UsageError):
    """Another live process writes the same folder."""

    exit_code = 3


def write_atomic(path: str | os.PathLike, data: bytes) -> None:
    """Write a file whole or not at all, and durably.

    Raises:
        OSError: With the file's name; what was there before is then untouched.
    """
    path = Path(path)
    unique = f"{TEMPORARY}{os.getpid()}-{secrets.token_hex(4)}"
    temporary = path.with_name(unique)
    try:
        try:
            with open(temporary, "xb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, path)
        except BaseException:
            with contextlib.suppress(OSError):
                temporary.unlink()
            raise
        _sync_folder(path.parent)
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from error


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        # Some network file systems have no such call for folders.
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise
    finally:
        os.close(descriptor)


def plain(value: Any) -> Any:
    """Turn a nested value into what JSON holds; NaN becomes None, infinity "inf"."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, np.generic | np.ndarray):
        return plain(value.tolist())
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, float) and not math.isfinite(value):
        return None if math.isnan(value) else str(value)
    return value


def json_bytes(value: Any, indent: int | None = None) -> bytes:
    """Encode a value as JSON and a newline; without an indent, as one line."""
    text = json.dumps(plain(value), indent=indent, ensure_ascii=False, allow_nan=False)
    # An undecodable byte of an argument is a lone surrogate: JSON writes it "\udc80".
    return f"{text}\n".encode(errors="backslashreplace")


def write_json(path: str | os.PathLike, value: Any) -> None:
    """Write a value as JSON, atomically, keys in their own order."""
    write_atomic(path, json_bytes(value, indent=2))


class MetricsLog:
    """Append-only JSON lines; a line is there whole or not at all.

    Args:
        path: The file; a torn last line in it, left by a killed run, is cut.
        sync_every: Number of rows after which they are forced to disk.
    """

    def __init__(self, path: str | os.PathLike, *, sync_every: int = 100):
        self.path = Path(path)
        self._sync_every = sync_every
        self._rows = 0
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND
        self._file = os.open(self.path, flags, 0o666)
        self._size = _whole_lines(self._file)
        torn = os.fstat(self._file).st_size - self._size
        if torn:
            logger.warning("%s: cut a torn last line of %d bytes", self.path, torn)
            os.ftruncate(self._file, self._size)

    def append(self, row: Mapping[str, Any]) -> None:
        """Add one row by one write; on OSError the log is as it was before."""
        line = rest = json_bytes(row)
        try:
            while rest:  # A second turn only asks a full disk for its error.
                rest = rest[os.write(self._file, rest) :]
        except OSError as error:
            with contextlib.suppress(OSError):
                os.ftruncate(self._file, self._size)
            raise OSError(error.errno, error.strerror, str(self.path)) from error
        self._size += len(line)
        self._rows += 1
        if self._rows % self._sync_every == 0:
            os.fsync(self._file)

    def close(self) -> None:
        """Force all rows to disk and close the file."""
        if self._file >= 0:
            descriptor, self._file = self._file, -1
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)

    def __enter__(self) -> "MetricsLog":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _whole_lines(descriptor: int) -> int:
    """Measure the part of a file that ends with its last newline, in bytes."""
    end = os.fstat(descriptor).st_size
    while end:
        start = max(0, end - 65_536)
        newline = os.pread(descriptor, end - start, start).rfind(b"\n")
        if newline >= 0:
            return start + newline + 1
        end = start
    return 0


def read_metrics(path: str | os.PathLike) -> list[dict[str, Any]]:
    """Read a metrics log; a torn last line is reported by a warning and left out.

    Raises:
        ValueError: If another line is broken; the message has its number.
    """
    *lines, torn = Path(path).read_bytes().split(b"\n")
    if torn:
        logger.warning("%s: line %d is torn and left out", path, len(lines) + 1)
    rows = []
    for number, line in enumerate(lines, 1):
        try:
            row = json.loads(line)
        except ValueError as error:
            raise ValueError(f"{path}: line {number} is broken: {error}") from error
        if not isinstance(row, dict):
            raise ValueError(f"{path}: line {number} is broken: not an object")
        rows.append(row)
    return rows


def keep_metrics(path: str | os.PathLike, keep: Callable[[dict], bool]) -> None:
    """Drop rows, say those after the checkpoint that training goes on from."""
    rows = [row for row in read_metrics(path) if keep(row)]
    write_atomic(path, b"".join(map(json_bytes, rows)))


def lock_folder(folder: Path) -> int:
    """Lock a folder; the lock ends with the process, however that ends.

    Returns:
        The open lock file, for `unlock_folder`.

    Raises:
        BusyError: If a live process holds the lock; names its number and host.
    """
    path = folder / LOCK
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o666)
        try:
            _flock(descriptor, folder)
            # A holder removes the file when it ends: ours may be the removed one.
            if _is_at(descriptor, path):
                os.ftruncate(descriptor, 0)
                os.write(descriptor, f"{os.getpid()} {socket.gethostname()}".encode())
                return descriptor
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)


def _flock(descriptor: int, folder: Path) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        holder = os.pread(descriptor, 500, 0).decode(errors="replace")
        pid, _, host = holder.partition(" ")
        raise BusyError(
            f"{folder}: in use by process {pid or '?'} on {host or 'this host'}"
        ) from error
    except OSError as error:
        if error.errno not in (errno.ENOSYS, errno.ENOTSUP, errno.ENOLCK):
            raise
        logger.warning("%s: this file system has no locks; run one at a time", folder)


def is_locked(folder: Path) -> bool:
    """Whether a live process holds a folder's lock; nothing is written."""
    try:
        descriptor = os.open(folder / LOCK, os.O_RDONLY | os.O_NOFOLLOW)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:  # A file system without locks does not tell.
        return False
    finally:
        os.close(descriptor)
    return False


def _is_at(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(path))
    except FileNotFoundError:
        return False


def unlock_folder(folder: Path, descriptor: int) -> None:
    """Give back a lock and remove its file."""
    with contextlib.suppress(OSError):
        # Closing is not enough: a forked child may still have the descriptor.
        if _is_at(descriptor, folder / LOCK):
            (folder / LOCK).unlink()
    os.close(descriptor)
