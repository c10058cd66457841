"""Answers of people and networks to images, in model-vs-human's files of trials.

A file is CSV with a row for each trial, and is named
<experiment>_<observer>_session-<number>.csv (or _session_<number>.csv). Columns: subj,
session, trial, rt (seconds), object_response, category, condition, imagename. Files of
texture-vs-shape are the same; those of networks have NaN for what networks have not.
"""

import csv
import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from jaxbias.data.cue_conflict import Cues, cues_of, numbered
from jaxbias.data.sixteen_categories import CATEGORIES
from jaxbias.files import UsageError, write_atomic

COLUMNS = (
    *("subj", "session", "trial", "rt"),
    *("object_response", "category", "condition", "imagename"),
)
NEEDED = ("subj", "session", "object_response", "category", "imagename")
"""Columns that are read; in any order and case, among any others."""

NO_ANSWER = -1
"""Number of the answer where none was given."""

_NOTHING = ("", "na", "nan", "none")
_SESSION = re.compile(r"_session[-_][0-9]+$")
_PERSON = re.compile(r"subject[-_]?[0-9]+", re.IGNORECASE)

MOST_BYTES = 2**28
"""Largest file that is read."""


@dataclass(frozen=True)
class Trials:
    """Trials of one observer.

    Attributes:
        name: The observer's, as in the column subj; or that of the file, where the folder
            has several of that name.
        subject: As in the column subj.
        cues: Of each trial's image.
        answers: Number of the category that was answered, int32; `NO_ANSWER` for none.
        experiment: First part of the files' names; empty where they have no such name.
        files: Names of the files, without .csv.
    """

    name: str
    subject: str
    cues: tuple[Cues, ...]
    answers: np.ndarray
    experiment: str = ""
    files: tuple[str, ...] = ()

    @property
    def is_person(self) -> bool:
        """Whether the observer is named as people are: subject-01."""
        return bool(_PERSON.fullmatch(self.subject))

    @property
    def shapes(self) -> np.ndarray:
        """Category of each shape, int32."""
        return numbered(one.shape for one in self.cues)

    @property
    def textures(self) -> np.ndarray:
        """Category of each texture, int32; -1 where an image has one cue."""
        return numbered(one.texture for one in self.cues)


@dataclass(frozen=True)
class _Row:
    subject: str
    session: str
    cues: Cues
    answer: int


def _lines(path: Path) -> list[list[str]]:
    """A file's lines as lists of values, blank ones as empty lists."""
    try:
        if path.stat().st_size > MOST_BYTES:
            raise UsageError(f"{path}: over {MOST_BYTES} bytes")
        text = path.read_text(encoding="utf-8-sig")
        return [row if any(row) else [] for row in csv.reader(io.StringIO(text))]
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror or error}") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise UsageError(f"{path}: not a CSV file: {error}") from error


def _rows(path: Path, conflict: bool) -> Iterator[_Row]:
    """A file's trials.

    Raises:
        UsageError: Naming file and line.
    """
    header, *lines = _lines(path) or [[]]
    names = [name.strip().lower() for name in header]
    for name in NEEDED:
        if names.count(name) != 1:
            count = "no column" if name not in names else "more than one column"
            raise UsageError(f"{path}, line 1: {count} {name}")
    for number, values in enumerate(lines, 2):
        if not values:
            continue
        where = f"{path}, line {number}"
        if len(values) != len(names):
            raise UsageError(f"{where}: {len(values)} values, {len(names)} columns")
        yield _row(
            dict(zip(names, map(str.strip, values), strict=True)), where, conflict
        )


def _row(values: dict[str, str], where: str, conflict: bool) -> _Row:
    """One trial, checked."""
    try:
        cues = cues_of(values["imagename"], conflict=conflict)
    except ValueError as error:
        raise UsageError(f"{where}: {error}") from error
    if values["category"] != cues.shape:
        raise UsageError(
            f"{where}: category {values['category']!r}, but the image is {cues.name}"
        )
    answer = values["object_response"]
    if answer not in CATEGORIES and answer.lower() not in _NOTHING:
        raise UsageError(
            f"{where}: {answer!r} is none of the sixteen categories, or na"
        )
    if not values["subj"]:
        raise UsageError(f"{where}: no subj")
    number = CATEGORIES.index(answer) if answer in CATEGORIES else NO_ANSWER
    return _Row(values["subj"], values["session"], cues, number)


def _experiment(path: Path, subjects: set[str]) -> str:
    """The experiment of a file's name, if it has one.

    Raises:
        UsageError: If the name is of an observer who is not in the file.
    """
    before, count = _SESSION.subn("", path.stem)
    if not count:
        return ""
    alike = before.lower().replace("_", "-")
    for subject in subjects:
        # Names of files have underscores where the column has hyphens.
        end = subject.lower().replace("_", "-")
        if alike == end:
            return ""
        if alike.endswith(f"-{end}"):
            return before[: -len(end) - 1]
    raise UsageError(
        f"{path}: named of another observer than its subj, {min(subjects)}"
    )


def read_file(path: str | Path, *, conflict: bool = True) -> list[Trials]:
    """Read a file of trials; one with several observers gives each apart.

    Args:
        path: The file.
        conflict: Whether images have two cues; edges and silhouettes have one.

    Raises:
        UsageError: In one line, with the file and the line, for what is damaged or named
            wrongly.
    """
    return [trials for trials, _ in _read(Path(path), conflict)]


def _read(path: Path, conflict: bool) -> list[tuple[Trials, frozenset[str]]]:
    """The trials of a file by observer, and the sessions that they are from."""
    rows: dict[str, list[_Row]] = {}
    for row in _rows(path, conflict):
        rows.setdefault(row.subject, []).append(row)
    if not rows:
        raise UsageError(f"{path}: no trials are in it")
    experiment = _experiment(path, set(rows))
    found = []
    for subject, own in rows.items():
        answers = np.asarray([row.answer for row in own], np.int32)
        cues = tuple(row.cues for row in own)
        trials = Trials(subject, subject, cues, answers, experiment, (path.stem,))
        found.append((trials, frozenset(row.session for row in own)))
    return found


def read_folder(folder: str | Path, *, conflict: bool = True) -> list[Trials]:
    """Read all files of trials in a folder, a `Trials` for each observer, sorted by name.

    Files of one observer are joined if they are sessions of one experiment. Otherwise (two
    networks that are both called alexnet, a person in two experiments) each is an observer
    of its own, called as the file is.

    Raises:
        UsageError: As `read_file`, or if there are none.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise UsageError(f"{folder}: not a folder")
    paths = sorted(
        path
        for path in folder.iterdir()
        if path.suffix.lower() == ".csv" and not path.name.startswith(".")
    )
    if not paths:
        raise UsageError(f"{folder}: no files of trials (.csv) are in it")
    parts: dict[str, list[tuple[Trials, frozenset[str]]]] = {}
    for path in paths:
        for part in _read(path, conflict):
            parts.setdefault(part[0].subject, []).append(part)
    found = [trials for own in parts.values() for trials in _joined(own)]
    return sorted(found, key=lambda trials: trials.name)


def _joined(parts: list[tuple[Trials, frozenset[str]]]) -> list[Trials]:
    """Sessions of one observer as one, or each under the name of its file."""
    each = [trials for trials, _ in parts]
    sessions = [session for _, own in parts for session in own]
    one_experiment = len({trials.experiment for trials in each}) == 1
    if not one_experiment or len(set(sessions)) < len(sessions):
        return [replace(trials, name=trials.files[0]) for trials in each]
    whole = replace(
        each[0],
        cues=tuple(one for trials in each for one in trials.cues),
        answers=np.concatenate([trials.answers for trials in each]),
        files=tuple(file for trials in each for file in trials.files),
    )
    return [whole]


def file_name(experiment: str, observer: str, session: int = 1) -> str:
    """The name that model-vs-human gives a network's file."""
    return f"{experiment}_{observer}_session-{session}.csv"


def write_file(
    path: str | Path,
    observer: str,
    images: Sequence[str],
    answers: np.ndarray,
    *,
    session: int = 1,
    conflict: bool = True,
) -> None:
    """Write a network's answers as a file of trials, whole or not at all.

    Args:
        path: Best in a folder of the experiment, named by `file_name`.
        observer: The network's name.
        images: File names of the images, in the order of trials.
        answers: Number of the category that was answered; -1 is written as na.
        session: Number of the session.
        conflict: Whether images have two cues.

    Raises:
        ValueError: If a name is not that of a stimulus, or lengths differ.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for trial, (image, answer) in enumerate(zip(images, answers, strict=True), 1):
        word = CATEGORIES[answer] if answer >= 0 else "na"
        shape = cues_of(image, conflict=conflict).shape
        writer.writerow([observer, session, trial, "NaN", word, shape, "NaN", image])
    write_atomic(path, text.getvalue().encode())
