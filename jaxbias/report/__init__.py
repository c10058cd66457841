"""Any set of runs as one page to look at, one table to read on, and records to keep.

Finished runs are shown with their figures and the ledger "published | here | verdict"; runs
of one experiment stand side by side, with what differs between them. A run that is not
finished, or whose files are damaged, is named with the reason and shown no further.
"""

import re
from collections.abc import Sequence
from pathlib import Path

from jaxbias.files import UsageError, write_atomic, write_json
from jaxbias.report import page, records, tables
from jaxbias.report.gathered import Found, gather

__all__ = ["Found", "gather", "write"]

_BETWEEN = re.compile(r"(<!-- results -->\n).*?(<!-- /results -->)", re.DOTALL)


def write(
    paths: Sequence[Path],
    out: Path,
    *,
    kept: Path | None = None,
    readme: Path | None = None,
) -> list[Found]:
    """Write `index.html`, `verdicts.csv` and `results.md`, and keep records if asked.

    Args:
        paths: Run directories, folders of such at any depth, and records.
        out: Folder to write to; made if absent.
        kept: Folder to which a record of each finished run is written, a small JSON file
            named after its study and directory; None: nowhere.
        readme: A file in which what `results.md` holds is put between the lines
            `<!-- results -->` and `<!-- /results -->`; None: none.

    Returns:
        What was found, damaged and unfinished runs included.

    Raises:
        UsageError: If a path holds no run, or what is to be written cannot be.
    """
    found = gather(paths)
    table = tables.markdown(found)
    texts = {
        "verdicts.csv": tables.csv(found),
        "results.md": table,
        "index.html": page.html(found),
    }
    for folder, option in ((out, "--out"), (kept, "--records")):
        try:
            if folder is not None:
                folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UsageError(f"{option} {folder}: {error.strerror}") from error
    if readme is not None:
        _put(readme, table)
    for name, text in texts.items():
        write_atomic(out / name, text.encode())
    if kept is not None:
        for run in filter(lambda run: run.finished, found):
            record = records.record(run.manifest, run.command, run.verdicts)
            write_json(kept / f"{run.study}-{run.name}.json", record)
    return found


def _put(readme: Path, table: str) -> None:
    try:
        text = readme.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"--readme {readme}: not readable") from error
    if not _BETWEEN.search(text):
        raise UsageError(f"--readme {readme}: no lines <!-- results -->")
    text = _BETWEEN.sub(lambda between: between[1] + table + between[2], text)
    write_atomic(readme, text.encode())
