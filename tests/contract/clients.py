"""What the contract's tests write and read with: a client of a database, by its id."""

from __future__ import annotations

import asyncio
import time
from typing import Protocol

import psycopg

from pgherd.contract.access import AccessRole
from pgherd.contract.engine import Engine
from pgherd.fleet.desired import DatabaseId
from pgherd.testing.world import World


class Client(Protocol):
    """Rows in, rows out."""

    async def write(self, id: DatabaseId, row: str) -> None: ...

    async def rows(self, id: DatabaseId) -> list[str]: ...


class MemoryClient:
    """Of the in-memory engine, past its contract, as its access leads nowhere."""

    def __init__(self, world: World) -> None:
        self._world = world

    async def write(self, id: DatabaseId, row: str) -> None:
        self._world.write(id, row)

    async def rows(self, id: DatabaseId) -> list[str]:
        return self._world.rows(id)


class PsycopgClient:
    """Of an engine with real databases: connects as the service that the database belongs to.

    A service tries again for a while where a failover cuts its connection.
    """

    def __init__(self, engine: Engine, patience: float = 20.0) -> None:
        self._engine = engine
        self._patience = patience

    async def write(self, id: DatabaseId, row: str) -> None:
        await self._run(id, "CREATE TABLE IF NOT EXISTS note (line text PRIMARY KEY)")
        # The same row again is no error: the first answer may have been lost.
        await self._run(id, "INSERT INTO note VALUES (%s) ON CONFLICT DO NOTHING", row)

    async def rows(self, id: DatabaseId) -> list[str]:
        return await self._run(id, "SELECT line FROM note ORDER BY line")

    async def _run(self, id: DatabaseId, query: str, *parameters: str) -> list[str]:
        give_up = time.monotonic() + self._patience
        while True:
            try:
                return await self._once(id, query, parameters)
            except psycopg.OperationalError:
                if time.monotonic() > give_up:
                    raise
                await asyncio.sleep(0.1)

    async def _once(self, id: DatabaseId, query: str, parameters: tuple[str, ...]) -> list[str]:
        access = await self._engine.access(id, AccessRole.SERVICE)
        async with await psycopg.AsyncConnection.connect(
            access.uri(), autocommit=True, connect_timeout=5
        ) as connection:
            cursor = await connection.execute(query.encode(), parameters)
            return [line for (line,) in await cursor.fetchall()] if cursor.description else []
