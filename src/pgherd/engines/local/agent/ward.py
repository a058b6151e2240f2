"""The agent, as those see it who watch over it: its keeper and its fork server.

It tells each of them once a second that it goes on, by a byte over a socket, and hears a byte back:
so either side knows when the other has ended or stands still. Who watches ends an agent that stands
still, and sees to it that there is another.

Whoever holds the lock of the state folder itself is its agent: nobody can empty that away.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import socket
import time
from pathlib import Path

from pgherd.engines.local import processes
from pgherd.engines.local.processes import Process

GOES_ON = b"."
READY = b"r"
"""Said by an agent that others can ask from now on."""
LEAVES = b"q"
"""Said by an agent that ends because it was asked to, or because another one runs."""
LOOK_SECONDS = 1.0
STOPPED_LOOKS = 3
"""An agent that is seen stopped (by a signal, a debugger) so often in a row is ended."""
SILENT_SECONDS = 15.0
"""So is one that has said nothing for so long: a busy machine makes it late, not silent."""


class Ward:
    """One agent, watched over one end of a socket."""

    def __init__(self, agent: int, connection: socket.socket, patience: float = 1.0) -> None:
        """`patience`: how many times as long as others to wait before it is taken for frozen."""
        connection.setblocking(False)
        self._connection = connection
        self._process = Process.of(agent)
        self._patience = patience
        self._heard_at = time.monotonic()
        self._stopped_looks = 0
        self.was_ready = False
        """It has come so far that others could ask it."""
        self.has_left = False
        """It ends, and is right to: there is nothing left to watch over."""
        self.is_gone = self._process is None
        """It has ended."""

    def fileno(self) -> int:
        """Readable when it says something."""
        return self._connection.fileno()

    def listen(self) -> None:
        """Hear what it says, and answer."""
        try:
            said = self._connection.recv(1024)
        except BlockingIOError:
            return
        except OSError:
            said = b""
        self.was_ready = self.was_ready or READY in said
        self.has_left = self.has_left or LEAVES in said
        self.is_gone = self.is_gone or not said
        self._heard_at = time.monotonic()
        with contextlib.suppress(OSError):
            self._connection.send(GOES_ON)

    def look(self) -> None:
        """Look at it; to be called once a second."""
        is_stopped = self._process is not None and processes.is_stopped(self._process.pid)
        self._stopped_looks = self._stopped_looks + 1 if is_stopped else 0

    @property
    def stands_still(self) -> bool:
        """It has not ended, and does nothing."""
        silence = time.monotonic() - self._heard_at
        return (
            self._stopped_looks >= STOPPED_LOOKS * self._patience
            or silence >= SILENT_SECONDS * self._patience
        )

    def end(self) -> None:
        """It has ended, whatever it did."""
        if self._process:
            self._process.signal(signal.SIGKILL)
            while self._process.is_alive:
                time.sleep(0.01)
            self._process.close()
        self._process = None
        self._connection.close()


def lock(root: Path) -> int:
    """The lock of the state folder, which is held until this descriptor is closed.

    BlockingIOError where another agent holds it.
    """
    descriptor = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def has_agent(root: Path) -> bool:
    """Whether an agent holds the lock of the state folder; yes, where there is none any more."""
    try:
        os.close(lock(root))
    except OSError:
        return True
    return False
