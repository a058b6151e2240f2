"""The store as the controller has it: opened when that can be, and waited for only so long.

A server may be away, be moved, or stand still. Then there is no history meanwhile, and everything
else goes on.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, TypeVar

from pgherd.autopilot.place import AutopilotPlace
from pgherd.autopilot.requests import HistoryAt
from pgherd.errors import PgherdError, TryLater
from pgherd.store.server import Line
from pgherd.store.store import Store
from pgherd.store.values import Lost, Whose

log = logging.getLogger(__name__)

T = TypeVar("T")
OPEN_SECONDS = 15.0
"""Then what is being opened is cut off."""
FIRST_SECONDS = 6.0
"""So long the first round waits for it."""
CALL_SECONDS = 8.0
"""Longer than SQLite waits for another process."""
CUT_SECONDS = 1.0
AGAIN_SECONDS = 10.0
"""Between two tries to open it."""

Find = Callable[[], Awaitable[HistoryAt]]
Open = Callable[[HistoryAt, Line], tuple[Store, Lost | None]]


def opening(place: AutopilotPlace) -> Open:
    """How it is opened: on its server, else in its file at `place`."""

    def open_store(at: HistoryAt, line: Line) -> tuple[Store, Lost | None]:
        if not at.url:
            return Store.open(place.store)
        return Store.open(at.url, whose=Whose(at.fleet, at.services), line=line)

    return open_store


class Archive:
    """That of one fleet. `find` asks for its place each time before it is opened."""

    def __init__(self, find: Find, open_store: Open) -> None:
        self._find = find
        self._open_store = open_store
        self._store: Store | None = None
        self._is_remote = False
        self._line = Line()
        self._turn = asyncio.Lock()
        self._opening: asyncio.Task[None] | None = None
        self._late: asyncio.Future[Any] | None = None
        self._not_before = 0.0
        self._moves = 0
        self.trouble = ""
        """Why nothing is kept now; empty where it is."""

    @classmethod
    def of(cls, store: Store) -> Archive:
        """Of one that is open."""

        async def find() -> HistoryAt:
            return HistoryAt("")

        archive = cls(find, lambda _at, _line: (store, None))
        archive._store = store
        return archive

    @property
    def is_there(self) -> bool:
        """It is open."""
        return self._store is not None

    async def begin(self) -> None:
        """Open it, where that does not take long; else that goes on."""
        self._begin_opening()
        if self._opening:
            await asyncio.wait([self._opening], timeout=FIRST_SECONDS)

    async def move(self) -> None:
        """It may be elsewhere from now on."""
        async with self._turn:
            self._moves += 1
            self._not_before = 0.0
            await self._let_go()

    async def call(self, call: Callable[[Store], T]) -> T:
        """Ask the store, in a thread, one call at a time; an error of pgherd where that fails."""
        async with self._turn:
            store = self._store
            if store is None:
                self._begin_opening()
                raise TryLater(self.trouble or "it is not open yet")
            if self._late and not self._late.done():
                raise TryLater(self.trouble)
            try:
                found = await self._bounded(lambda: call(store), CALL_SECONDS)
            except PgherdError as error:
                self.trouble = error.message
                if self._is_remote:
                    self._not_before = time.monotonic() + AGAIN_SECONDS
                    await self._let_go()
                raise
            self.trouble = ""
            return found

    async def _bounded(self, call: Callable[[], T], seconds: float) -> T:
        """TryLater where it takes longer, and goes on beside the others."""
        running = asyncio.ensure_future(asyncio.to_thread(call))
        done, _ = await asyncio.wait([running], timeout=seconds)
        if not done and self._is_remote:
            await asyncio.to_thread(self._line.cut)
            done, _ = await asyncio.wait([running], timeout=CUT_SECONDS)
        if not done:
            running.add_done_callback(_heard)
            self._late = running
            raise TryLater(f"it has not answered for {seconds:.0f} s")
        return running.result()

    def _begin_opening(self) -> None:
        """Nothing is begun again beside a disk that does not answer: threads are few."""
        is_late = self._late and not self._late.done() and not self._is_remote
        if is_late or self._store or self._opening or time.monotonic() < self._not_before:
            return
        self._late = None
        self._opening = asyncio.create_task(self._open())

    async def _open(self) -> None:
        moves, line = self._moves, Line()
        try:
            at = await self._find()
            self._line, self._is_remote = line, bool(at.url)
            store, lost = await self._bounded(lambda: self._open_store(at, line), OPEN_SECONDS)
        except PgherdError as error:
            self.trouble = error.message
            self._not_before = time.monotonic() + AGAIN_SECONDS
        except Exception as error:
            log.exception("the history is not opened")
            self.trouble = f"unexpected: {type(error).__name__}"
            self._not_before = time.monotonic() + AGAIN_SECONDS
        else:
            if lost:
                log.warning("history: %s", lost)
            if moves == self._moves:
                self._store, self.trouble = store, ""
            else:
                await asyncio.to_thread(store.close)
        finally:
            self._opening = None

    async def _let_go(self) -> None:
        store, self._store = self._store, None
        if store is None:
            return
        late, self._late = self._late, None
        if late and not late.done():
            self._line.cut()  # it holds the store's lock: nothing here may wait for that
            return
        with suppress(PgherdError):
            await asyncio.to_thread(store.close)


def _heard(late: asyncio.Future[T]) -> None:
    """Nobody waits for it any more, and it is no news that it failed."""
    if not late.cancelled():
        late.exception()
