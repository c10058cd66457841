"""That the processes of a run learn at once when one of them has ended, and end too.

JAX learns of it from missing signs of life, after a minute and a half, or from a failed
exchange; it then aborts with a trace of its own. Here each process holds a connection to
process 0. The kernel closes it when the process ends, however it ends; a process that is
slow, or busy compiling, or stopped, keeps it. A host that is gone is noticed by TCP's own
probes, which the kernel of a busy host answers too.
"""

import contextlib
import os
import secrets
import selectors
import socket
import threading
from collections.abc import Callable

from jaxbias.last_line import LOST

TOKEN_BYTES = 16
ADDRESS_BYTES = 300
"""What is exchanged when a run begins: token, port and name of process 0's host."""

CONNECT_SECONDS = 10.0

PROBES = {"TCP_KEEPIDLE": 10, "TCP_KEEPINTVL": 5, "TCP_KEEPCNT": 4}
"""A host that does not answer for half a minute is gone."""

_DONE = b"d"


class Presence:
    """This process's part in watching the others: one thread, which may end the process.

    Attributes:
        watching: Whether there is a connection: a network may forbid it, and then JAX's
            signs of life are all there is.
    """

    def __init__(
        self, run: Callable[["Presence"], None] | None = None, *, leads: bool = False
    ) -> None:
        self.watching, self._leads = run is not None, leads
        self._code: int | None = 1
        self._mine = threading.Lock()
        self._released = threading.Event()
        self._links: list[socket.socket] = []
        if run is not None:
            threading.Thread(
                target=run, args=(self,), daemon=True, name="presence"
            ).start()

    def done(self) -> None:
        """Say that this process has done its part: it may end, and the others go on.

        It still ends if process 0 does so before it is done too. Process 0 is the one that
        writes: once it has, the end of another one is no failure.
        """
        with self._mine:
            for link in self._links:
                _say_done(link)
            if self._leads:
                self._code = 0

    def wait(self) -> None:
        """Wait until process 0 is done, however long it draws and judges.

        JAX's own end waits five minutes for the others, and then aborts all of them.
        """
        if self.watching and not self._leads:
            self._released.wait()

    def leaving(self) -> None:
        """This process is about to end by itself, and says why: watch no longer."""
        with self._mine:
            self._code = None

    def _lost(self) -> None:
        with self._mine:
            code = self._code
            if code is None:
                return
            if code:
                # Not by sys.stderr, which the main thread may hold.
                with contextlib.suppress(OSError):
                    os.write(2, f"{LOST}\n".encode())
            os._exit(code)

    def _follow(self, link: socket.socket) -> None:
        """Wait for process 0's word that all is done, or for its end."""
        with self._mine:
            self._links.append(link)
        if _heard(link) != _DONE:
            self._lost()
        self._released.set()

    def _lead(self, listener: socket.socket, token: bytes) -> None:
        """Wait for the same of all others."""
        said: dict[socket.socket, bytes] = {}
        with selectors.DefaultSelector() as selector:
            selector.register(listener, selectors.EVENT_READ)
            while True:
                for key, _ in selector.select():
                    if key.fileobj is listener:
                        with contextlib.suppress(OSError):
                            link, _ = listener.accept()
                            _probed(link)
                            said[link] = b""
                            selector.register(link, selectors.EVENT_READ)
                        continue
                    link = key.fileobj
                    assert isinstance(link, socket.socket)
                    word = _heard(link)
                    known = said[link] == token
                    if not known:
                        said[link] += word
                        if said[link] == token:
                            with self._mine:
                                self._links.append(link)
                                if self._code == 0:
                                    _say_done(link)
                            continue
                        if word and token.startswith(said[link]):
                            continue
                    # Done, ended, or none of ours.
                    selector.unregister(link)
                    if known and word != _DONE:
                        self._lost()
                    elif not known:
                        link.close()


def _say_done(link: socket.socket) -> None:
    with contextlib.suppress(OSError):
        link.sendall(_DONE)


def _heard(link: socket.socket) -> bytes:
    """The next byte; none where the other side has ended or is out of reach."""
    try:
        return link.recv(1)
    except OSError:
        return b""


def _probed(link: socket.socket) -> None:
    link.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in PROBES.items():
        if hasattr(socket, name):  # Not all systems have them.
            link.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


def join(
    process: int, share: Callable[[bytes], bytes], host: str | None = None
) -> Presence:
    """Begin to watch the other processes of a run; called by all of them.

    Args:
        process: This process's number.
        share: Gives every process the `ADDRESS_BYTES` bytes that process 0 has.
        host: By what name others reach process 0; None takes its host's own.
    """
    if process == 0:
        try:
            listener = _listening()
        except OSError:
            share(bytes(ADDRESS_BYTES))
            return Presence()
        token, name = secrets.token_bytes(TOKEN_BYTES), host or socket.gethostname()
        port = listener.getsockname()[1]
        sent = token + port.to_bytes(2, "big") + name.encode()
        share(sent.ljust(ADDRESS_BYTES, b"\0"))
        return Presence(lambda presence: presence._lead(listener, token), leads=True)
    found = share(bytes(ADDRESS_BYTES))
    token, rest = found[:TOKEN_BYTES], found[TOKEN_BYTES:]
    port, name = int.from_bytes(rest[:2], "big"), rest[2:].rstrip(b"\0").decode()
    if not port:
        return Presence()
    try:
        link = socket.create_connection((name, port), CONNECT_SECONDS)
        link.sendall(token)
        link.settimeout(None)
        _probed(link)
    except OSError:
        return Presence()
    return Presence(lambda presence: presence._follow(link))


def _listening() -> socket.socket:
    """A socket at any free port of all the host's addresses."""
    if socket.has_dualstack_ipv6():
        with contextlib.suppress(OSError):
            return socket.create_server(
                ("", 0), family=socket.AF_INET6, dualstack_ipv6=True
            )
    return socket.create_server(("", 0))
