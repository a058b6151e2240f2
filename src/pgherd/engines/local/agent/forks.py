"""Asking the fork server to start programs, and a new fork server where it does not answer.

What a fork server is for: see `pgherd.engines.local.forkserver`.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import subprocess
from pathlib import Path

from pgherd.engines.local import lowered
from pgherd.engines.local.forkserver import Start

log = logging.getLogger(__name__)

ANSWER_SECONDS = 5.0
"""A fork server that has not answered by then is ended, and another one started."""
LOAD_SECONDS = 30.0
"""The first answer takes longer: it loads Patroni, on a machine that may be busy."""


class Forks:
    """One fork server, begun when it is first needed."""

    def __init__(self) -> None:
        self._asking = asyncio.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._connection: socket.socket | None = None
        self._has_answered = False

    async def start(self, start: Start) -> int:
        """Start a program; its process id. OSError where that cannot be."""
        async with self._asking:
            try:
                return await self._ask(start)
            except (OSError, ValueError) as error:
                log.warning("the fork server does not answer (%r): a new one", error)
                self.close()
                return await self._ask(start)

    def close(self) -> None:
        """End the fork server; what it started runs on."""
        if self._connection:
            self._connection.close()
        if self._process:
            self._process.kill()
        self._connection = self._process = None
        self._has_answered = False

    async def _ask(self, start: Start) -> int:
        if self._connection is None:
            self._connection = self._begin()
        loop = asyncio.get_running_loop()
        patience = ANSWER_SECONDS if self._has_answered else LOAD_SECONDS
        async with asyncio.timeout(patience):
            await loop.sock_sendall(self._connection, start.encode())
            answer = await loop.sock_recv(self._connection, 32)
        self._has_answered = True
        return int(answer)

    def _begin(self) -> socket.socket:
        ours, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                lowered.python("pgherd.engines.local.forkserver", str(theirs.fileno())),
                pass_fds=[theirs.fileno()],
                start_new_session=True,
                cwd="/",
                # One arena for all threads: each Patroni has ten, and uses little memory in any.
                env={**lowered.environment(Path("/")), "MALLOC_ARENA_MAX": "1"},
            )
        ours.setblocking(False)
        return ours
