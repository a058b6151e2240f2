"""One client's way into one database, which survives that the database fails over.

A transaction is tried again until it is acknowledged or the time is over. A connection that
breaks during COMMIT leaves open whether it happened, so whatever is written through a door
carries ids that the client chose, and doing it twice is the same as doing it once.

psycopg runs with its defaults: it prepares what it executes more than five times, which a
pooler in transaction mode has to bear.
"""

from __future__ import annotations

import asyncio
import os
import random
import socket
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

import psycopg
from meter import Meter
from psycopg.conninfo import make_conninfo

Connection = psycopg.AsyncConnection[tuple[Any, ...]]
T = TypeVar("T")

CONNECT_SECONDS = 3.0
ATTEMPT_SECONDS = 10.0
BACKOFF_SECONDS = (0.005, 0.1)

# Syntax, data and constraints: asking again changes nothing.
REFUSALS = ("22", "23", "42", "0A", "P0")
# The server wants this transaction to be tried again, on the same connection.
CONFLICTS = ("40001", "40P01", "55P03")


class TimeOver(Exception):
    """The run is over before the database acknowledged; whether it was done is not known."""


class Refused(Exception):
    """The database does not accept this, however often it is asked."""


class Limit:
    """When the run is over."""

    def __init__(self, clock: Callable[[], float], seconds: float) -> None:
        self.clock = clock
        self.end = clock() + seconds

    @property
    def is_over(self) -> bool:
        return self.clock() >= self.end

    def stop(self) -> None:
        """End the run now."""
        self.end = min(self.end, self.clock())


class Door:
    """A connection that is opened when it is needed, and again when it breaks."""

    def __init__(
        self, parameters: dict[str, str], meter: Meter, limit: Limit, rng: random.Random
    ) -> None:
        self._conninfo = make_conninfo(application_name="customers", **parameters)
        self._meter = meter
        self._limit = limit
        self._rng = rng
        self._connection: Connection | None = None
        self._timed_out = False

    async def query(self, statement: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """The rows of one statement, which is a transaction of its own."""

        async def work(connection: Connection) -> list[tuple[Any, ...]]:
            return await (await connection.execute(statement, parameters)).fetchall()

        return await self._until_acknowledged(work)

    async def transact(self, work: Callable[[Connection], Awaitable[T]]) -> T:
        """The result of `work`, when its transaction is committed."""

        async def transaction(connection: Connection) -> T:
            async with connection.transaction():
                return await work(connection)

        return await self._until_acknowledged(transaction)

    def hang_up(self) -> None:
        """Let whatever waits for an answer fail now."""
        # Cancelling would first ask the server to stop, which may be what does not answer.
        # Closing the socket's both ways wakes the waiting coroutine with an end of file.
        self._timed_out = True
        if self._connection is not None and not self._connection.closed:
            with socket.socket(fileno=os.dup(self._connection.fileno())) as duplicate:
                try:
                    duplicate.shutdown(socket.SHUT_RDWR)
                except OSError:
                    return  # the other side was faster

    async def close(self) -> None:
        """Give the connection back."""
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.close()

    async def _until_acknowledged(self, work: Callable[[Connection], Awaitable[T]]) -> T:
        if self._limit.is_over:
            raise TimeOver
        delay, longest_delay = BACKOFF_SECONDS
        with self._meter.waiting():
            while not self._limit.is_over:
                try:
                    return await self._attempt(work)
                except (psycopg.Error, TimeoutError) as error:
                    await self._failed(error)
                await asyncio.sleep(delay * self._rng.uniform(0.5, 1.5))
                delay = min(delay * 2, longest_delay)
            self._meter.unacknowledged += 1
            raise TimeOver

    async def _attempt(self, work: Callable[[Connection], Awaitable[T]]) -> T:
        self._timed_out = False
        if self._connection is None:
            async with asyncio.timeout(CONNECT_SECONDS):
                self._connection = await psycopg.AsyncConnection.connect(
                    self._conninfo, autocommit=True
                )
        watchdog = asyncio.get_running_loop().call_later(ATTEMPT_SECONDS, self.hang_up)
        began = self._meter.clock()
        try:
            result = await work(self._connection)
        finally:
            watchdog.cancel()
        self._meter.acknowledged(self._meter.clock() - began)
        return result

    async def _failed(self, error: psycopg.Error | TimeoutError) -> None:
        state = getattr(error, "sqlstate", None)
        if self._connection is None:
            kind = "connect"
        elif self._timed_out:
            kind = "timeout"
        else:
            kind = state or "connection"
        self._meter.failed(kind)
        if state is not None and state[:2] in REFUSALS and kind != "timeout":
            raise Refused(str(error)) from error
        if state not in CONFLICTS:
            await self.close()
