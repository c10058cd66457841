"""The other side of a comparison, in a process of its own.

A process that holds JAX never imports torch: their threads get in each other's way. This
module imports neither.
"""

import os
import subprocess
import sys
import traceback
from collections.abc import Callable, Mapping
from multiprocessing.connection import Connection, Pipe
from pathlib import Path
from typing import Any


class OtherSide:
    """A module that calls `serve`, running; a context manager."""

    def __init__(self, module: str) -> None:
        self.connection, theirs = Pipe()
        root = str(Path(__file__).resolve().parents[1])
        path = os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH")]))
        # Waiting OpenMP threads would spin beside ours: in both sides' favour.
        environment = {"GOMP_SPINCOUNT": "1000"} | os.environ | {"PYTHONPATH": path}
        self.process = subprocess.Popen(
            [sys.executable, "-m", module, str(theirs.fileno())],
            pass_fds=[theirs.fileno()],
            env=environment,
        )
        theirs.close()

    def __enter__(self) -> "OtherSide":
        return self

    def __exit__(self, *_: object) -> None:
        self.connection.close()
        try:
            self.process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self.process.kill()

    def ask(self, task: str, /, **request: Any) -> Any:
        """The answer to one request.

        Raises:
            RuntimeError: With the other side's traceback.
        """
        self.connection.send((task, request))
        answer, error = self.connection.recv()
        if error is not None:
            raise RuntimeError(error)
        return answer


def serve(tasks: Mapping[str, Callable[..., Any]]) -> None:
    """Answer requests until the other end closes; an error is an answer too."""
    connection = Connection(int(sys.argv[1]))
    while True:
        try:
            task, request = connection.recv()
        except EOFError:
            return
        try:
            reply = tasks[task](**request), None
        except Exception:
            reply = None, traceback.format_exc()
        connection.send(reply)
