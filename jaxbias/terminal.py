"""What a run says while it works, on a terminal or in a log.

A progress bar with the time that is left where there is a terminal, a line now and then
where there is none, and the table of verdicts at the end.
"""

import contextlib
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

LOG_SECONDS = 10.0
"""Time between progress lines where the output is not a terminal."""

COLOURS = {"reproduced": "green", "not reproduced": "red", "not judged": "yellow"}


@dataclass
class Progress:
    """Progress of a piece of work whose total is known; this one shows nothing."""

    items: int = 0
    cost: float = 0.0
    total_cost: float = 0.0

    def start(self, total_cost: float, items: int, cost: float) -> None:
        """Begin, with what an earlier run has already done."""
        self.total_cost, self.items, self.cost = total_cost, items, cost
        self.show()

    def advance(self, items: int, cost: float) -> None:
        """Count finished items and their share of the total cost."""
        self.items += items
        self.cost += cost
        self.show()

    def note(self, message: str) -> None:
        """Tell something that happened on the way."""

    def show(self) -> None:
        """Bring the display up to date."""


class _BarProgress(Progress):
    """A bar with rate and remaining time, for a terminal."""

    def __init__(self, bar: Any, task: Any, noun: str) -> None:
        super().__init__()
        self._bar, self._task, self._noun = bar, task, noun
        self._first: tuple[float, int] | None = None

    def note(self, message: str) -> None:
        self._bar.console.print(message)

    def show(self) -> None:
        now = time.monotonic()
        if self._first is None:
            self._first = (now, self.items)
        elapsed = now - self._first[0]
        rate = (self.items - self._first[1]) / elapsed if elapsed > 0 else 0.0
        text = f"{self.items:,} {self._noun}, {rate:,.0f}/s"
        self._bar.update(
            self._task, total=self.total_cost, completed=self.cost, description=text
        )


class _LineProgress(Progress):
    """A line now and then, for a log file."""

    def __init__(self, noun: str) -> None:
        super().__init__()
        self._noun = noun
        self._began = self._last = time.monotonic()
        self._first: tuple[int, float] | None = None

    def note(self, message: str) -> None:
        print(message, flush=True)

    def show(self) -> None:
        now = time.monotonic()
        if self._first is None:
            self._first, self._began = (self.items, self.cost), now
        finished = self.cost >= self.total_cost
        if now - self._last < LOG_SECONDS and not finished:
            return
        self._last = now
        elapsed = now - self._began
        done = self.cost - self._first[1]
        share = self.cost / self.total_cost if self.total_cost else 1.0
        left = (self.total_cost - self.cost) / done * elapsed if done else 0.0
        rate = (self.items - self._first[0]) / elapsed if elapsed else 0.0
        print(
            f"{self.items:,} {self._noun} ({share:.0%}), {rate:,.0f}/s, "
            f"{left:.0f} s left",
            flush=True,
        )


class Reporter:
    """Writes a run's messages, progress and result table to standard output."""

    def __init__(self, *, quiet: bool = False) -> None:
        from rich.console import Console

        self.quiet = quiet
        self.console = Console(
            quiet=quiet,
            highlight=False,
            # A log has no width; rich would cut the table to 80 columns.
            width=None if sys.stdout.isatty() else 120,
            soft_wrap=not sys.stdout.isatty(),
        )

    def say(self, message: str) -> None:
        """Print one line."""
        self.console.print(message, markup=False)

    @contextlib.contextmanager
    def progress(self, noun: str) -> Iterator[Progress]:
        """Show progress while the block runs."""
        if self.quiet:
            yield Progress()
        elif not self.console.is_terminal:
            yield _LineProgress(noun)
        else:
            from rich import progress as bars

            with bars.Progress(
                bars.SpinnerColumn(),
                bars.BarColumn(),
                bars.TaskProgressColumn(),
                bars.TextColumn("{task.description}"),
                bars.TimeElapsedColumn(),
                bars.TextColumn("left"),
                bars.TimeRemainingColumn(),
                console=self.console,
            ) as bar:
                yield _BarProgress(bar, bar.add_task("compiling", total=None), noun)

    @contextlib.contextmanager
    def status(self, message: str) -> Iterator[None]:
        """Say what is going on while the block runs."""
        if self.console.is_terminal:
            with self.console.status(message):
                yield
        else:
            yield

    def table(self, headings: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Print a table; the first column is text, the others are numbers."""
        from rich.table import Table

        table = Table(show_lines=False, pad_edge=False)
        for number, heading in enumerate(headings):
            table.add_column(heading, justify="right" if number else "left")
        for row in rows:
            table.add_row(*row)
        self.console.print(table)

    def verdicts(self, rows: Sequence[dict[str, str]]) -> None:
        """Print the table "published | here | verdict" and its totals."""
        from rich.table import Table

        table = Table(show_lines=False, pad_edge=False)
        for heading in ("published", "here", "verdict"):
            table.add_column(heading, overflow="fold")
        for row in rows:
            colour = COLOURS[row["outcome"]]
            table.add_row(
                f"{row['claim']} [dim]({row['source']})[/dim]",
                row["here"],
                f"[{colour}]{row['outcome']}[/{colour}]",
            )
        self.console.print(table)
        counts = {name: 0 for name in COLOURS}
        for row in rows:
            counts[row["outcome"]] += 1
        self.say(", ".join(f"{count} {name}" for name, count in counts.items()))
