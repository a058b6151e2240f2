"""Those who watch over the agent, as it sees them: each hears once a second that it goes on.

One that has ended or stands still is followed by another, so that two of three may be lost at once.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import socket
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pgherd.engines.local import lowered, processes
from pgherd.engines.local.agent.ward import GOES_ON, LEAVES, READY, STOPPED_LOOKS
from pgherd.engines.local.processes import Process

log = logging.getLogger(__name__)

SECONDS = 1.0
LEFT_LOOKS = 10
"""So often a new agent looks for those whom an earlier one left."""
SILENT_SECONDS = 15.0
"""One that has said nothing for so long is ended: a busy machine makes it late, not silent."""


@dataclass(slots=True)
class Watcher:
    """One of them: its process, and our end of the socket between us."""

    process: Process
    connection: socket.socket
    heard_at: float
    stopped_looks: int = 0

    def end(self) -> None:
        """It has ended."""
        self.process.signal(signal.SIGKILL)
        self.process.close()
        self.connection.close()


class Watchers:
    """The keeper and the fork server, by name, each with the way to begin another one."""

    def __init__(self) -> None:
        self._watchers: dict[str, Watcher] = {}
        self._begin: dict[str, Callable[[], None]] = {}

    def add(
        self, name: str, pid: int, connection: socket.socket, begin: Callable[[], None]
    ) -> None:
        """It watches from now on. `begin` starts another one, and adds it."""
        connection.setblocking(False)
        self._begin[name] = begin
        if old := self._watchers.pop(name, None):
            old.end()
        if process := Process.of(pid):
            now = asyncio.get_running_loop().time()
            self._watchers[name] = Watcher(process, connection, now)
        else:
            connection.close()

    def tell_ready(self) -> None:
        """Others can ask from now on."""
        self._say(READY)

    def tell_leave(self) -> None:
        """This agent ends because it is right to."""
        self._say(LEAVES)

    async def run(self) -> None:
        """Tell them, and look after them, for ever."""
        while True:
            self._say(GOES_ON)
            await asyncio.sleep(SECONDS)
            for name, begin in list(self._begin.items()):
                if trouble := self._trouble(name):
                    log.warning("the %s %s: another one begins", name, trouble)
                    if watcher := self._watchers.pop(name, None):
                        watcher.end()
                    begin()

    def _say(self, word: bytes) -> None:
        for watcher in self._watchers.values():
            with contextlib.suppress(OSError):
                watcher.connection.send(word)

    def _trouble(self, name: str) -> str:
        if (watcher := self._watchers.get(name)) is None:
            return "is not there"
        now = asyncio.get_running_loop().time()
        try:
            said = watcher.connection.recv(1024)
        except BlockingIOError:
            said = b""
        except OSError:
            return "has ended"
        else:
            if not said:
                return "has ended"
            watcher.heard_at = now
        is_stopped = processes.is_stopped(watcher.process.pid)
        watcher.stopped_looks = watcher.stopped_looks + 1 if is_stopped else 0
        if watcher.stopped_looks >= STOPPED_LOOKS or now - watcher.heard_at > SILENT_SECONDS:
            return "stands still"
        return ""


async def end_left_over(root: Path) -> None:
    """End those who watched over an earlier agent and stand still: nobody else looks after them.

    One that goes on sees that there is another agent, and leaves.
    """
    looks: dict[int, int] = {}
    for _ in range(LEFT_LOOKS):
        await asyncio.sleep(SECONDS)
        still = [pid for pid in processes.working_in(Path("/")) if _stands_still(pid, root)]
        looks = {pid: looks.get(pid, 0) + 1 for pid in still}
        for pid in still:
            process = Process.of(pid) if looks[pid] >= STOPPED_LOOKS else None
            if process and _stands_still(pid, root):
                log.warning("process %d of an earlier agent stands still: ended", pid)
                process.signal(signal.SIGKILL)
            if process:
                process.close()


def _stands_still(pid: int, root: Path) -> bool:
    """Whether it is an agent of this fleet, or watches over one, and is stopped."""
    words = processes.title(pid).split("\0")
    is_ours = any(word.startswith("pgherd.engines.local.") for word in words)
    return is_ours and str(root) in words and processes.is_stopped(pid)


def begin_keeper(root: Path, watchers: Watchers) -> None:
    """Start a keeper for this agent, in place of one that has gone."""
    ours, theirs = socket.socketpair()
    with theirs:
        started = subprocess.Popen(
            lowered.python(
                "pgherd.engines.local.agent.keeper",
                str(root),
                str(os.getpid()),
                str(theirs.fileno()),
            ),
            pass_fds=[theirs.fileno()],
            start_new_session=True,
            cwd="/",
            env=lowered.environment(root),
        )
    watchers.add("keeper", started.pid, ours, lambda: begin_keeper(root, watchers))
