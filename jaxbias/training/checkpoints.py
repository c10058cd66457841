"""Checkpoints that are whole, durable and checked, or not there.

A step is a folder that Orbax writes beside the training, and, written last, a file of the
same name with the SHA-256 of everything in the folder. A step without that file does not
exist; one whose bytes differ from it is named and the step before it used. Orbax itself
restores a checkpoint with a flipped bit without a word.
"""

import errno
import hashlib
import json
import logging
import os
import re
import shutil
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import numpy as np
import orbax.checkpoint as ocp

from jaxbias import devices
from jaxbias.files import json_bytes, write_atomic
from jaxbias.runs import RunDirectory

SUFFIX = ".json"
PIECE = 2**22
"""Bytes that are read at once to be hashed."""

logger = logging.getLogger(__name__)


class CheckpointError(Exception):
    """No step can be restored although some are there; the message names the files."""


@dataclass(frozen=True)
class Restored:
    """What a step held.

    Attributes:
        step: Its number.
        state: The arrays, where the template had them.
    """

    step: int
    state: Any


class Checkpoints:
    """The steps of one training, in a folder; every process of a run calls every method.

    Saving goes on while training does. What of it fails is raised by the next call.
    """

    def __init__(
        self,
        folder: Path,
        *,
        keep_last: int = 2,
        keep_best: int = 1,
        said: Callable[[int], None] = lambda step: None,
    ) -> None:
        """Open a folder, and remove what a killed process left unfinished there.

        Args:
            folder: Where the steps are; on a disk that all processes see.
            keep_last: Newest steps that are kept; two, so that one may be damaged.
            keep_best: Steps of the highest score that are kept besides.
            said: Called with a step's number once the step is durable.
        """
        self.folder = folder.absolute()
        self._keep_last, self._keep_best, self._said = keep_last, keep_best, said
        self._writer = devices.is_writer()
        self._orbax = ocp.StandardCheckpointer()
        self._thread: threading.Thread | None = None
        self._error: BaseException | None = None
        if self._writer:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._clear()
        devices.together("checkpoint folder")

    def save(self, step: int, state: Any, *, score: float | None = None) -> None:
        """Begin to save a step; the state is read before this returns.

        Args:
            step: Steps taken; a step that is already there is left as it is.
            state: A tree of arrays and keys.
            score: Higher is better, of what is kept as best; None was not scored.

        Raises:
            OSError: If this or the step before could not be written.
        """
        self.wait()
        if devices.as_the_writer_says(int(self._manifest(step).exists())):
            return
        self._orbax.save(self._place(step), state)
        tree = {name: _kind(leaf) for name, leaf in _leaves(state)}
        body = {"step": step, "score": score, "tree": tree}
        self._thread = threading.Thread(target=self._complete, args=(step, body))
        self._thread.start()

    def wait(self) -> None:
        """Wait until the step that is being saved is durable.

        Raises:
            OSError: If it could not be written.
        """
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        if self._error is not None:
            error, self._error = self._error, None
            if isinstance(error, OSError):
                raise error
            # The system's own error is at the end of a long text of Orbax's.
            found = re.search(r"os_error_code='(\d+)'", str(error))
            code = int(found.group(1)) if found else errno.EIO
            raise OSError(code, os.strerror(code), str(self.folder)) from error

    def close(self) -> None:
        """Wait, and end Orbax's threads."""
        try:
            self.wait()
        finally:
            self._orbax.close()

    def _complete(self, step: int, body: dict[str, Any]) -> None:
        """Wait for Orbax, then write the manifest and let older steps go."""
        try:
            self._orbax.wait_until_finished()
            if self._writer:
                files = {
                    path.relative_to(self._place(step)).as_posix(): _digest(path)
                    for path in sorted(self._place(step).rglob("*"))
                    if path.is_file()
                }
                body = json.loads(json_bytes(body | {"files": files}))
                sealed = {"sha256": _seal(body), **body}
                write_atomic(self._manifest(step), json_bytes(sealed))
                self._said(step)
                self._retire()
        except BaseException as error:  # Raised in the training's own thread.
            self._error = error

    def restore(self, template: Any) -> Restored | None:
        """Restore the newest step that is whole.

        Args:
            template: A state of the shapes, dtypes and shardings that are wanted.

        Returns:
            None where no step was ever saved.

        Raises:
            CheckpointError: If steps are there and none can be used.
        """
        self.wait()
        chosen, reasons = -1, []
        if self._writer:
            for step in reversed(self.steps()):
                wrong = self._wrong(step, template)
                if wrong is None:
                    chosen = step
                    break
                reasons.append(wrong)
                logger.warning("%s: the step before it is used", wrong)
        chosen = devices.as_the_writer_says(-2 if chosen < 0 and reasons else chosen)
        if chosen == -2:
            raise CheckpointError(
                "; ".join(reasons) or f"{self.folder}: process 0 found no whole step"
            )
        if chosen < 0:
            return None
        abstract = jax.tree.map(ocp.utils.to_shape_dtype_struct, template)
        state = self._orbax.restore(self._place(chosen), abstract)
        return Restored(chosen, state)

    def steps(self) -> list[int]:
        """The steps that were completed, damaged ones included."""
        found = self.folder.glob(f"[0-9]*{SUFFIX}")
        return sorted(int(path.stem) for path in found if path.stem.isdecimal())

    def _place(self, step: int) -> Path:
        return self.folder / f"{step:08d}"

    def _manifest(self, step: int) -> Path:
        return self.folder / f"{step:08d}{SUFFIX}"

    def _read(self, step: int) -> dict[str, Any]:
        """A step's manifest.

        Raises:
            ValueError: If it is damaged.
        """
        data = self._manifest(step).read_bytes()
        body = json.loads(data)
        # Byte for byte, so that a cut file is never taken for a whole one.
        if not isinstance(body, dict) or json_bytes(body) != data:
            raise ValueError("not what was written")
        if body.pop("sha256", None) != _seal(body):
            raise ValueError("its own checksum differs")
        return body

    def _wrong(self, step: int, template: Any) -> str | None:
        """What is wrong with a step, in one line that begins with the file's name."""
        try:
            body = self._read(step)
        except (OSError, ValueError) as error:
            return f"{self._manifest(step)}: damaged: {error}"
        place = self._place(step)
        for name, expected in body["files"].items():
            try:
                if _digest(place / name) != expected:
                    return f"{place / name}: damaged: its SHA-256 differs"
            except OSError as error:
                return f"{place / name}: damaged: {error.strerror}"
        for name, leaf in _leaves(template):
            if (there := body["tree"].get(name)) != _kind(leaf):
                return f"{place}: {name} is {there}, not {_kind(leaf)}"
        return None

    def _retire(self) -> None:
        """Remove the steps that are neither among the last nor among the best."""
        scores: dict[int, float] = {}
        for step in self.steps():
            try:
                score = self._read(step)["score"]
            except (OSError, ValueError):
                score = None
            scores[step] = -np.inf if score is None else score
        kept = set(sorted(scores)[-self._keep_last :])
        best = sorted(scores, key=lambda step: (scores[step], step))
        kept |= set(best[len(best) - self._keep_best :])
        for step in set(scores) - kept:
            # In this order: a step that is half removed must not look whole.
            self._manifest(step).unlink()
            shutil.rmtree(self._place(step))

    def _clear(self) -> None:
        """Remove folders that have no manifest, Orbax's unfinished ones among them."""
        whole = {self._place(step) for step in self.steps()}
        for path in self.folder.iterdir():
            if path.is_dir() and path not in whole:
                logger.warning("%s: was not finished, and is removed", path)
                shutil.rmtree(path)
            elif path.is_file() and path.suffix != SUFFIX:
                path.unlink()


def load(folder: Path, step: int | None = None) -> dict[str, Any]:
    """Read a step's arrays, whatever devices they were saved from.

    Args:
        folder: Of a training's checkpoints, such as `RUN/checkpoints/seed-0`.
        step: Which one; None takes the newest that is whole.

    Returns:
        "params", "batch_stats", "ema" and the rest of a `TrainState`, as NumPy arrays in
        dictionaries and lists.

    Raises:
        CheckpointError: If there is no such step, or it is damaged.
    """
    kept = Checkpoints.__new__(Checkpoints)
    kept.folder = folder.absolute()
    reasons = []
    for number in [step] if step is not None else reversed(kept.steps()):
        if (wrong := kept._wrong(number, {})) is None:
            return _arrays(kept._place(number))
        reasons.append(wrong)
    raise CheckpointError("; ".join(reasons) or f"{folder}: no checkpoints are there")


def _arrays(place: Path) -> dict[str, Any]:
    with ocp.Checkpointer(ocp.PyTreeCheckpointHandler()) as orbax:
        tree = orbax.metadata(place).item_metadata.tree
        host = jax.tree.map(lambda _: ocp.RestoreArgs(restore_type=np.ndarray), tree)
        return orbax.restore(place, args=ocp.args.PyTreeRestore(restore_args=host))


def _digest(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(PIECE):
            digest.update(piece)
    return digest.hexdigest()


def _seal(body: dict[str, Any]) -> str:
    """The checksum of a manifest's other entries."""
    return hashlib.sha256(json_bytes(body)).hexdigest()


def _leaves(state: Any) -> list[tuple[str, Any]]:
    found, _ = jax.tree.flatten_with_path(state)
    return [(jax.tree_util.keystr(path), leaf) for path, leaf in found]


def _kind(leaf: Any) -> str:
    """Shape and dtype, which Orbax would change silently."""
    return f"{leaf.dtype}{list(leaf.shape)}"


def kept_or_made(
    name: str, directory: RunDirectory, make: Callable[[], dict[str, np.ndarray]]
) -> dict[str, np.ndarray] | None:
    """Arrays that came of a training: those of an earlier run, or made now and kept.

    The checkpoints in the folder of that name are removed once they are. None in a process
    that does not see yet what the writer has kept.
    """
    columns = directory.load_chunk(name)
    there = bool(devices.as_the_writer_says(int(columns is not None)))
    if not there:
        columns = make()
        directory.save_chunk(name, columns)
    # Also what was left by a run that was cut right here.
    if directory.writer:
        shutil.rmtree(directory.path / "checkpoints" / name, ignore_errors=True)
    return columns
