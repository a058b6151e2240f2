"""The agent's lasting tasks, each with a key: one that fails says so and is begun again."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

log = logging.getLogger(__name__)

AGAIN_SECONDS = 1.0


class Tasks:
    """Those that run now."""

    def __init__(self) -> None:
        self._tasks: dict[object, asyncio.Task[None]] = {}

    def keep(self, key: object, work: Callable[[], Awaitable[None]]) -> None:
        """Do this work from now on, in place of what was done by that key."""
        self.end(key)
        self._tasks[key] = asyncio.get_running_loop().create_task(_steadily(work))

    def is_busy(self, key: object) -> bool:
        """Whether that work is being done, and has not come to its end."""
        return key in self._tasks and not self._tasks[key].done()

    def end(self, key: object) -> None:
        """Do it no longer."""
        if task := self._tasks.pop(key, None):
            task.cancel()

    def end_all(self) -> None:
        """Do nothing any more."""
        for key in list(self._tasks):
            self.end(key)


async def _steadily(work: Callable[[], Awaitable[None]]) -> None:
    while True:
        try:
            return await work()
        except Exception:
            log.exception("a task of the agent failed: it begins again")
            await asyncio.sleep(AGAIN_SECONDS)


async def quietly(look: Awaitable[object]) -> None:
    """Look once; what went wrong is seen by the next look too, if it lasts."""
    try:
        await look
    except Exception as error:
        log.debug("a look failed: %s", error)
