"""Run benchmarks by name, or show what they have measured.

    python -m benchmarks                              # all of them, one after the other
    python -m benchmarks random_networks transforms   # some
    python -m benchmarks --list                       # what there is, and how long it takes
    python -m benchmarks --markdown [FOLDER]          # results/ (or another) as one table

Each runs in a process of its own, as they start the devices in different ways. Its own
options are those of `python -m benchmarks.NAME --help`. Exit codes: 0 done; 1 one of them
failed; 2 the arguments are not usable; 130 interrupted.
"""

import argparse
import ast
import csv
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NoReturn

HERE = Path(__file__).parent
RESULTS = HERE / "results"

SETTING = (
    *("part", "benchmark", "name", "model", "case", "sampler", "activation", "depth"),
    *("variant", "sigma_w", "resolution", "source", "reader", "size", "batch", "way"),
    *("form", "networks", "points", "trials", "conditions", "tokens", "steps", "other"),
    "devices",
)
"""Columns that say what was measured, in the order in which they are shown."""

HEADINGS = (
    *("benchmark", "measured", "on", "speed", "ratio to the peer"),
    *("ratio to the machine's limit", "memory, MB"),
)

SPEEDS = {
    "ours_trainings_per_s": "trainings/s",
    "ours_tokens_per_s": "tokens/s",
    "ours_images_per_s": "images/s",
    "networks_per_s": "networks/s",
    "read_images_per_s": "images/s",
    "answers_per_s": "answers/s",
    "images_per_s": "images/s",
    "trials_per_s": "trials/s",
    "map answers_per_s": "answers/s",
    "warm_s": "s",
    "ours_s_per_sequence": "s a sequence",
    "hours_one": "h a model",
}
"""Columns of our own speed, of which a row's first is shown, and their units."""

LIMITS = ("share_of_", "bytes_of_")
"""Beginnings of columns with the machine's own time for the same work, over ours."""

NOT_LIMITS = ("share_of_stimuli",)


class _Parser(argparse.ArgumentParser):
    """A parser whose errors are one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"error: {message}\n")


def benchmarks() -> dict[str, str]:
    """The docstring of each module here that has a `main`, by name; imports none."""
    found = {}
    for path in sorted(HERE.glob("[!_]*.py")):
        module = ast.parse(path.read_text(encoding="utf-8"))
        if any(
            isinstance(x, ast.FunctionDef) and x.name == "main" for x in module.body
        ):
            found[path.stem] = ast.get_docstring(module) or ""
    return found


def line(name: str, described: str) -> str:
    """A benchmark in one line: name, what it measures, and its time as its text says."""
    text = " ".join(described.split())
    took = re.search(r"\b(Takes|Should take) (?:about )?([^;.,]*)", text)
    reckoned = "reckoned: " if took and took.group(1) != "Takes" else ""
    time = f" ({reckoned}{took.group(2)})" if took else ""
    return f"{name:17} {described.splitlines()[0]}{time}"


def run(names: Sequence[str]) -> int:
    """Run benchmarks one after the other; gives 1 if one of them failed, else 0."""
    failed = []
    for name in names:
        print(f"--- {name}", flush=True)
        command = [sys.executable, "-m", f"benchmarks.{name}"]
        if subprocess.run(command, cwd=HERE.parent, check=False).returncode:
            failed.append(name)
    if failed:
        print(f"error: failed: {', '.join(failed)}", file=sys.stderr)
    return int(bool(failed))


def _listed(found: Mapping[str, str]) -> str:
    """Numbers with what they are of, where there is something to tell apart."""
    return "; ".join(f"{label} {value}".strip() for label, value in found.items())


def cells(benchmark: str, row: Mapping[str, str]) -> list[str]:
    """A row of a result table as one of the Markdown table, in the order of `HEADINGS`."""
    given = {key: value for key, value in row.items() if value}
    setting = [f"{key} {given[key]}" for key in SETTING if key in given]
    speed = next((f"{given[k]} {unit}" for k, unit in SPEEDS.items() if k in given), "")
    place = f"{given.get('device', '')}, JAX {given.get('jax', '')}"
    ratios = {
        key.removeprefix("ratio").strip(" _"): value
        for key, value in given.items()
        if key.startswith(("ratio", "efficiency"))
    }
    limits = {
        key.split("_of_", 1)[1]: value
        for key, value in given.items()
        if key.startswith(LIMITS) and key not in NOT_LIMITS
    }
    memory = {
        key.removesuffix("memory_mb").strip("_"): value
        for key, value in given.items()
        if key.endswith("memory_mb")
    }
    parts = (_listed(ratios), _listed(limits), _listed(memory))
    return [benchmark, ", ".join(setting), place, speed, *parts]


def markdown(folder: Path) -> str:
    """One Markdown table of all CSV files of a folder, a row for each of theirs.

    Speeds and ratios are medians; a ratio above 1 says that ours is the faster. The last
    three columns are empty where a benchmark did not measure them.
    """
    rows = [HEADINGS, ("---",) * len(HEADINGS)]
    for path in sorted(folder.glob("*.csv")):
        benchmark = re.sub(r"-(?:cpu|gpu|tpu)-jax.*", "", path.stem)
        with path.open(newline="", encoding="utf-8") as file:
            rows += [cells(benchmark, row) for row in csv.DictReader(file)]
    return "\n".join(
        "| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |"
        for row in rows
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Do what the arguments say; gives the exit code."""
    parser = _Parser(
        prog="python -m benchmarks", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help="default: all")
    parser.add_argument("--list", action="store_true", help="what there is, in a line")
    parser.add_argument(
        "--markdown",
        nargs="?",
        type=Path,
        const=RESULTS,
        metavar="FOLDER",
        help="print the CSV files of a folder (default: results/) as one table",
    )
    arguments = parser.parse_args(argv)
    if (folder := arguments.markdown) is not None:
        if not any(folder.glob("*.csv")):
            parser.error(f"--markdown: no CSV files in {folder}")
        print(markdown(folder))
        return 0
    there = benchmarks()
    if arguments.list:
        print(*(line(name, text) for name, text in there.items()), sep="\n")
        return 0
    names = [name.replace("-", "_") for name in arguments.names]
    if unknown := [name for name in names if name not in there]:
        one_of = ", ".join(there)
        parser.error(f"no benchmark {', '.join(unknown)}: one of {one_of}")
    try:
        return run(names or list(there))
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
