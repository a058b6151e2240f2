"""The metrics that the controller serves: what it saw in its last round, and where they are.

A fleet whose port somebody else has goes on without them; it is said once, and tried again.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import datetime
from typing import Protocol

from pgherd.autopilot import resizes
from pgherd.autopilot.telling import Telling
from pgherd.fleet.desired import Listen
from pgherd.metrics.families import document
from pgherd.metrics.picture import Picture

log = logging.getLogger(__name__)

STALE_SECONDS = 60.0
"""What was seen before that is not told any more."""
AGAIN_SECONDS = 60.0


class Server(Protocol):
    """What serves metrics."""

    def close(self) -> None:
        """It does so no longer."""
        ...


Open = Callable[[Listen, Callable[[], bytes]], Awaitable[Server]]


async def open_server(listen: Listen, text: Callable[[], bytes]) -> Server:
    """The real one."""
    from pgherd.autopilot.metrics_server import MetricsServer

    return await MetricsServer.open(listen, text)


class Exporter:
    """Those of one fleet. `clock` counts seconds."""

    def __init__(
        self,
        telling: Telling,
        open: Open = open_server,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._telling = telling
        self._open = open
        self._clock = clock
        self._picture: Picture | None = None
        self._taken = 0.0
        self._written: bytes | None = None
        self._resizes: dict[str, int] = {}
        self._is_recalled = False
        self._server: Server | None = None
        self._listen: Listen | None = None
        self._not_before = 0.0
        self._complained_of: Listen | None = None

    async def recall(self) -> None:
        """Go on with what was counted before."""
        if self._is_recalled:
            return
        before = resizes.decode(await self._telling.recall(resizes.KEY)) or {}
        if self._telling.is_there:
            for database, count in before.items():
                self._resizes[database] = self._resizes.get(database, 0) + count
            self._is_recalled = True

    async def resized(self, database: str) -> None:
        """A database has another size."""
        self._resizes[database] = self._resizes.get(database, 0) + 1
        if self._is_recalled:
            await self._telling.remember(resizes.KEY, resizes.encode(self._resizes))

    async def show(self, picture: Picture, at: datetime) -> None:
        """This is what is told from now on, where its fleet file says."""
        autopilot = replace(picture.autopilot, resizes=dict(self._resizes))
        self._picture = replace(picture, autopilot=autopilot)
        self._taken, self._written = self._clock(), None
        await self._serve(picture.fleet.monitoring, at)

    def text(self) -> bytes:
        """The document. It asks nobody, and is written once for each picture."""
        picture = self._picture
        if picture is None:
            return b""
        if self._clock() - self._taken > STALE_SECONDS:
            return document(replace(picture, seen={}, counters={})).encode()
        if self._written is None:
            self._written = document(picture).encode()
        return self._written

    async def _serve(self, listen: Listen | None, at: datetime) -> None:
        if listen != self._listen:
            self._listen, self._not_before = listen, 0.0
            if self._server is not None:
                self._server.close()
                self._server = None
        if listen is None or self._server is not None or self._clock() < self._not_before:
            return
        try:
            self._server = await self._open(listen, self.text)
        except OSError as error:
            self._not_before = self._clock() + AGAIN_SECONDS
            await self._complain(listen, error.strerror or str(error), at)
            return
        self._complained_of = None
        log.info("metrics are served at http://%s/metrics", listen)

    async def _complain(self, listen: Listen, why: str, at: datetime) -> None:
        if listen == self._complained_of:
            return
        self._complained_of = listen
        reason = f"{listen} cannot be used: {why}"
        log.warning("metrics are not served: %s", reason)
        await self._telling.event(at, "metrics-not-served", reason)
