"""Processes learn of each other's end, and of nothing else: not that one is slow."""

import select
import signal
import socket
import subprocess
import sys
import time

import pytest
from processes import ROOT

from jaxbias import presence
from jaxbias.last_line import LOST as LINE

CHILD = """
import pathlib, sys, time
from jaxbias import presence
number, folder = int(sys.argv[1]), pathlib.Path(sys.argv[2])

def share(data):
    if number == 0:
        (folder / "part").write_bytes(data)
        (folder / "part").rename(folder / "address")
    while not (folder / "address").exists():
        time.sleep(0.01)
    return (folder / "address").read_bytes()

here = presence.join(number, share, "localhost")
print(here.watching, flush=True)
for order in sys.stdin:
    getattr(here, order.strip())()
    print(order.strip(), flush=True)
"""

SECONDS = 20
"""For what takes a tenth of one."""


class Child:
    """A process of a run, which does what it is told by lines."""

    def __init__(self, number, folder):
        self.process = subprocess.Popen(
            [sys.executable, "-c", CHILD, str(number), str(folder)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def tell(self, order):
        self.process.stdin.write(f"{order}\n")
        self.process.stdin.flush()
        assert self.process.stdout.readline() == f"{order}\n"

    def kill(self):
        self.process.kill()

    def end(self):
        """Exit code and what is on stderr, once it has ended by itself."""
        code = self.process.wait(SECONDS)
        return code, self.process.stderr.read()

    def lives(self):
        return self.process.poll() is None

    def close(self):
        self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout, self.process.stderr):
            pipe.close()


@pytest.fixture
def three(tmp_path):
    """Three processes that have found each other."""
    found = [Child(number, tmp_path) for number in range(3)]
    assert [one.process.stdout.readline() for one in found] == ["True\n"] * 3
    # Process 0 has yet to look at who has come.
    time.sleep(0.3)
    yield found
    for one in found:
        one.close()


LOST = (1, f"{LINE}\n")


@pytest.mark.parametrize("number", [0, 2])
def test_the_end_of_one_ends_the_others_in_one_line(three, number):
    three[number].kill()
    others = (one for one in three if one is not three[number])
    assert [one.end() for one in others] == [LOST, LOST]


def test_a_process_that_is_held_up_is_not_taken_for_dead(three):
    three[1].process.send_signal(signal.SIGSTOP)
    time.sleep(1)
    assert three[0].lives() and three[2].lives()
    three[1].process.send_signal(signal.SIGCONT)
    for one in (three[1], three[2], three[0]):
        one.tell("done")
        one.process.stdin.close()
        assert one.end() == (0, "")


def test_one_that_is_done_may_end_but_not_before_process_0_is(three):
    three[2].tell("done")
    three[2].process.stdin.close()
    assert three[2].end() == (0, "")
    three[1].tell("done")
    assert three[0].lives() and three[1].lives()
    three[0].kill()
    assert three[1].end() == LOST


def test_all_wait_for_process_0(three):
    three[1].tell("done")
    three[1].process.stdin.write("wait\n")
    three[1].process.stdin.flush()
    ready, _, _ = select.select([three[1].process.stdout], [], [], 0.5)
    assert not ready
    three[0].tell("done")
    assert three[1].process.stdout.readline() == "wait\n"
    three[0].tell("wait")


def test_when_process_0_is_done_the_end_of_another_is_no_failure(three):
    three[0].tell("done")
    three[1].kill()
    assert three[0].end() == (0, "")
    three[2].tell("done")
    three[2].process.stdin.close()
    assert three[2].end() == (0, "")


def test_one_that_says_why_it_ends_says_nothing_else(three):
    three[1].tell("leaving")
    three[0].kill()
    assert three[2].end() == LOST
    assert three[1].lives()
    three[1].process.stdin.close()
    assert three[1].end() == (0, "")


def test_strangers_change_nothing(three, tmp_path):
    address = (tmp_path / "address").read_bytes()
    port = int.from_bytes(address[presence.TOKEN_BYTES :][:2], "big")
    for said in (b"", b"GET / HTTP/1.1\r\n", address[:3], b"\0" * 99):
        with socket.create_connection(("localhost", port)) as stranger:
            stranger.sendall(said)
    time.sleep(0.3)
    assert all(one.lives() for one in three)
    three[1].kill()
    assert three[0].end() == LOST


def test_where_no_connection_can_be_made_nobody_watches():
    unreachable = bytes(presence.TOKEN_BYTES) + (1).to_bytes(2, "big") + b"localhost"
    for given in (bytes(presence.ADDRESS_BYTES), unreachable):
        found = presence.join(1, lambda _, given=given: given)
        assert not found.watching
        found.done()
        found.leaving()


# What is left on standard error

ABORT = """\
E1127 22:04:34.973953   17964 coordination_service.cc:1520] Shutdown barrier has failed:
INTERNAL: Barrier failed because: task is set to ERROR
E1127 22:04:34.973953   17964 coordination_service_agent.cc:289] Polled an error
F1127 22:04:34.973972   17964 client.h:80] Terminating process because the JAX \
distributed service detected fatal errors. absl::Status: UNAVAILABLE: Failed
RPC: /tensorflow.CoordinationService/PollForError
*** Check failure stack trace: ***
    @     0x7fef25440634  absl::lts_20260107::log_internal::LogMessage::SendToLog()
"""

OTHER = "E1127 22:04:34.973953   17964 coordination_service.cc:9] news\nand its end"


@pytest.mark.parametrize(
    ("written", "left"),
    [
        ("a warning\n" + ABORT, f"a warning\n{LINE}\n"),
        (f"{LINE}\n{ABORT}", f"{LINE}\n"),
        (ABORT + f"{LINE}\n", f"{LINE}\n"),
        (OTHER, OTHER),
        ("a bar\r a bar\rdone\r\n\n", "a bar\r a bar\rdone\r\n\n"),
        ("", ""),
    ],
)
def test_the_line_stands_in_place_of_an_abort_and_all_else_is_kept(written, left):
    code = (
        "import os, sys; from jaxbias import last_line; last_line.watch()\n"
        "os.write(2, sys.stdin.buffer.read()); os._exit(3)"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        input=written.encode(),
        capture_output=True,
    )
    assert (ran.returncode, ran.stderr.decode()) == (3, left)
