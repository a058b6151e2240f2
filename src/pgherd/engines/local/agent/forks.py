"""Asking the fork server to start programs, and a new fork server where it does not answer.

What a fork server is for: see `pgherd.engines.local.forkserver`.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
import subprocess
from pathlib import Path

from pgherd.engines.local import lowered
from pgherd.engines.local.agent.watchers import Watchers
from pgherd.engines.local.forkserver import Start

log = logging.getLogger(__name__)

ANSWER_SECONDS = 5.0
"""A fork server that has not answered by then is ended, and another one started."""
LOAD_SECONDS = 30.0
"""The first answer takes longer: it loads Patroni, on a machine that may be busy."""


class Forks:
    """One fork server. It is one of those who watch over the agent of the fleet below `root`."""

    def __init__(self, root: Path, watchers: Watchers) -> None:
        self._root = root
        self._watchers = watchers
        self._asking = asyncio.Lock()
        self._connection: socket.socket | None = None
        self._has_answered = False

    async def start(self, start: Start) -> int:
        """Start a program; its process id. OSError where that cannot be."""
        async with self._asking:
            asked = self._connection
            try:
                return await self._ask(start)
            except (OSError, ValueError) as error:
                if self._connection is asked:
                    log.warning("the fork server does not answer (%r): another one begins", error)
                    self.begin()
                return await self._ask(start)

    def begin(self) -> None:
        """Start a fork server, in place of one that there may be. What that started runs on."""
        self.close()
        ours, theirs = socket.socketpair()
        watched, watching = socket.socketpair()
        with theirs, watching:
            started = subprocess.Popen(
                lowered.python(
                    "pgherd.engines.local.forkserver",
                    str(theirs.fileno()),
                    str(watching.fileno()),
                    str(os.getpid()),
                    str(self._root),
                ),
                pass_fds=[theirs.fileno(), watching.fileno()],
                start_new_session=True,
                cwd="/",
                # One arena for all threads: each Patroni has ten, and uses little memory in any.
                env={**lowered.environment(Path("/")), "MALLOC_ARENA_MAX": "1"},
            )
        ours.setblocking(False)
        self._connection = ours
        self._has_answered = False
        self._watchers.add("fork server", started.pid, watched, self.begin)

    def close(self) -> None:
        """Ask it for nothing any more."""
        if self._connection:
            with contextlib.suppress(OSError):
                self._connection.shutdown(socket.SHUT_RDWR)  # whoever waits for an answer hears it
            self._connection.close()
        self._connection = None

    async def _ask(self, start: Start) -> int:
        if self._connection is None:
            self.begin()
        connection = self._connection
        assert connection  # noqa: S101 - it has just been made
        loop = asyncio.get_running_loop()
        patience = ANSWER_SECONDS if self._has_answered else LOAD_SECONDS
        async with asyncio.timeout(patience):
            await loop.sock_sendall(connection, start.encode())
            answer = await loop.sock_recv(connection, 32)
        self._has_answered = True
        return int(answer)
