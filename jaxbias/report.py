"""Runs as one HTML page and one table.

The page has each run's settings, verdicts and figures, and needs no other file.
"""

import base64
import csv
import io
from collections.abc import Sequence
from html import escape
from pathlib import Path

from jaxbias.runs import RunDirectory, UsageError, write_atomic

COLUMNS: tuple[str, ...] = (
    "study",
    "experiment",
    "id",
    "claim",
    "source",
    "expected",
    "here",
    "outcome",
)

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 72rem; margin: 2rem auto;
       padding: 0 1rem; color: #222; background: #fff; }
h1, h2 { font-weight: 600; }
table { border-collapse: collapse; width: 100%; margin: 1rem 0; }
th, td { text-align: left; vertical-align: top; padding: .35rem .6rem;
         border-bottom: 1px solid #ddd; }
.reproduced { color: #17692b; } .not-reproduced { color: #b3261e; font-weight: 600; }
.not-judged { color: #777; }
small { color: #666; } img { max-width: 100%; } figure { margin: 1.5rem 0; }
code { background: #f3f3f3; padding: .1rem .3rem; }
"""


def _row(verdict: dict[str, str]) -> str:
    kind = verdict["outcome"].replace(" ", "-")
    return (
        f"<tr><td>{escape(verdict['claim'])}<br><small>{escape(verdict['source'])}; "
        f"expected: {escape(verdict['expected'])} ({escape(verdict['certainty'])})"
        f"</small></td><td>{escape(verdict['here'])}</td>"
        f'<td class="{kind}">{escape(verdict["outcome"])}</td></tr>'
    )


def _section(run: RunDirectory) -> str:
    manifest = run.manifest
    device = manifest.get("environment", {}).get("device", {})
    config = ", ".join(f"{k}={v}" for k, v in manifest["config"].items())
    figures = []
    for path in sorted((run.path / "figures").glob("*.png")):
        data = base64.b64encode(path.read_bytes()).decode()
        name = path.stem.replace("_", " ")
        figures.append(
            f'<figure><img alt="{escape(name)}" src="data:image/png;base64,{data}">'
            f"<figcaption>{escape(name)}</figcaption></figure>"
        )
    rows = "".join(_row(verdict) for verdict in run.read_verdicts())
    return (
        f"<h2>{escape(manifest['study'])}: {escape(manifest['experiment'])}</h2>"
        f"<p>{escape(str(device.get('devices', '?')))} "
        f"{escape(str(device.get('kind', 'unknown')))} devices, "
        f"{manifest.get('timings', {}).get('total_seconds', '?')} s. "
        f"<small><code>{escape(config)}</code></small></p>"
        f"<table><tr><th>published</th><th>here</th><th>verdict</th></tr>{rows}</table>"
        + "".join(figures)
    )


def write(runs: Sequence[Path], out: Path) -> Path:
    """Write `index.html`, with all figures in it, and `verdicts.csv`.

    Args:
        runs: Directories of finished runs.
        out: Folder to write to; made if absent.

    Returns:
        The page's path.

    Raises:
        UsageError: If a run is not one, or not finished, or the folder is a file.
    """
    opened = [RunDirectory.load(path) for path in runs]
    for run in opened:
        if not run.finished:
            raise UsageError(f"{run.path}: not finished: {run.manifest['status']}")
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"--out {out}: {error.strerror}") from error
    table = io.StringIO()
    writer = csv.DictWriter(table, COLUMNS, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    for run in opened:
        labels = {key: run.manifest[key] for key in ("study", "experiment")}
        writer.writerows(labels | verdict for verdict in run.read_verdicts())
    write_atomic(out / "verdicts.csv", table.getvalue().encode())
    sections = "".join(_section(run) for run in opened)
    page = (
        '<!doctype html><html lang="en"><meta charset="utf-8">'
        f"<title>jaxbias report</title><style>{_STYLE}</style>"
        f"<h1>jaxbias report</h1>{sections}</html>"
    )
    write_atomic(out / "index.html", page.encode())
    return out / "index.html"
