"""A process of many whose end is one line on its standard error, whoever writes there.

Where process 0 ends, JAX's client aborts the others from a thread of its own, with a trace
and at the same moment at which `presence` would say it in a line. What goes to the standard
error of such a process passes through a small process, this file run as a script, which
puts the line in the trace's place. All else it hands on as it comes.
"""

import contextlib
import os
import re
import select
import signal
import subprocess
import sys
import time

LOST = "error: another process of this run has ended; the same command resumes"

_ABORT = re.compile(
    rb"Terminating process because the JAX distributed service.*"
    rb"(UNAVAILABLE|ABORTED|heartbeat|unhealthy|barrier has failed)",
    re.IGNORECASE,
)
_BEFORE = re.compile(rb"^E\d{4} .*coordination_service")
"""What JAX logs of it before, over several lines; if no abort follows, it is news."""

HELD_SECONDS = 2.0


_filters: list[subprocess.Popen] = []


def watch() -> None:
    """Pass this process's standard error through a filter, from now to its end."""
    read, write = os.pipe()
    # Kept, as one that is let go of warns that it still runs.
    started = subprocess.Popen(
        [sys.executable, "-I", "-S", __file__],
        stdin=read,
        stdout=subprocess.DEVNULL,
        start_new_session=True,  # Ctrl-C is not for it.
    )
    _filters.append(started)
    os.dup2(write, 2)
    os.close(read)
    os.close(write)


def passed(read: int, write: int) -> None:
    """Hand on what comes, up to the line.

    Args:
        read: A descriptor, read to its end.
        write: Another one.
    """
    held, rest, over, since = b"", b"", False, 0.0

    def say(text: bytes) -> None:
        while text:
            text = text[os.write(write, text) :]

    while True:
        if not select.select([read], [], [], HELD_SECONDS)[0]:
            if not over:
                say(held + rest)
            held = rest = b""
            continue
        data = os.read(read, 65536)
        *lines, rest = (rest + data).splitlines(keepends=True) or [b""]
        if not data or rest.endswith((b"\n", b"\r")):
            lines, rest = [*lines, rest], b""
        for line in lines:
            if over:
                continue
            if LOST.encode() in line or _ABORT.search(line):
                say(LOST.encode() + b"\n")
                over = True
            elif held or _BEFORE.search(line):
                since = since if held else time.monotonic()
                held += line
            else:
                say(line)
        if held and time.monotonic() - since > HELD_SECONDS:
            say(held)
            held = b""
        if not data:
            if not over:
                say(held)
            return


if __name__ == "__main__":
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    with contextlib.suppress(OSError):
        passed(0, 2)
