"""A session with a server that is kept, for one question at a time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import psycopg

from pgherd.engines.local.sessions import Connection


class KeptSession:
    """Nobody closes it under another one's question, nor finds it in the middle of one."""

    def __init__(self) -> None:
        self._turn = asyncio.Lock()
        self._session: Connection | None = None
        self._with: object = None

    @property
    def is_open(self) -> bool:
        """Somebody has asked in it, and nothing has gone wrong since."""
        return self._session is not None and not self._session.closed

    @asynccontextmanager
    async def turn(
        self, other: object, open: Callable[[], Awaitable[Connection]]
    ) -> AsyncIterator[Connection]:
        """The session with `other`, for as long as this lasts; it is opened where there is none.

        One in which a question has only waited for a lock is kept: somebody may have locked what a
        login needs.
        """
        async with self._turn:
            try:
                if self._session is None or self._session.closed or self._with != other:
                    await self._end()
                    self._session, self._with = await open(), other
                yield self._session
            except psycopg.errors.LockNotAvailable:
                raise
            except BaseException:
                await self._end()  # it may be in the middle of a question
                raise

    async def close(self) -> None:
        """Let go of the server, once who asks has asked."""
        async with self._turn:
            await self._end()

    async def _end(self) -> None:
        session, self._session = self._session, None
        if session:
            await session.close()
