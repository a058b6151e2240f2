"""Asking the leader of one database: whether it takes writes, who streams from it, who holds it up.

One session with it is kept, as superuser in the database that has nothing of a tenant; the schema's
revision is read as the tenant. Each question raises TryLater when it is not answered in time.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import datetime
from functools import partial

import psycopg

from pgherd.engines.local import postgres, sessions
from pgherd.engines.local.agent import reader
from pgherd.engines.local.agent.kept_session import KeptSession
from pgherd.engines.local.agent.parts import Replication
from pgherd.engines.local.layout import Layout
from pgherd.engines.local.manifest import DatabaseManifest, InstanceManifest
from pgherd.errors import TryLater

LOOK_SECONDS = 5.0
"""A server that has not answered a look by then is not asked any longer."""
CHECKPOINT_SECONDS = 600.0


class Looks:
    """Questions to one database's servers. `manifest` is what is wanted of it now."""

    def __init__(self, layout: Layout, manifest: DatabaseManifest) -> None:
        self.manifest = manifest
        self._layout = layout
        self._reader: int | None = None
        """The OID of the read-only role."""
        self._session = KeptSession()

    async def until_writable(self, instance: InstanceManifest) -> bool:
        """Wait until it takes writes; whether its cluster was made to its end by us.

        Asks again and again, until this task is cancelled, in a session of its own: the one that
        is kept may hang in a server that nobody has found dead yet.
        """
        while True:
            with suppress(psycopg.Error, TimeoutError):
                async with asyncio.timeout(LOOK_SECONDS):
                    session = await sessions.superuser(self._layout, self.manifest, instance)
                    async with session:
                        return await _until_writable(session)
            await asyncio.sleep(0.02)

    async def replication(self, leader: InstanceManifest) -> dict[str, Replication]:
        """Which replicas receive WAL from it and how far they are. Mends its reader on the way."""
        async with self._look(leader) as session:
            cursor = await session.execute(
                "SELECT application_name, state, pg_catalog.pg_wal_lsn_diff("
                "pg_catalog.pg_current_wal_lsn(), replay_lsn)::pg_catalog.int8, reply_time"
                " FROM pg_catalog.pg_stat_replication"
            )
            rows = await cursor.fetchall()
            self._reader = await reader.mend(session, self.manifest)
        return {name: Replication(*said) for name, *said in rows}

    async def guard(self, leader: InstanceManifest) -> None:
        """Let no reader hold its service up, where both share this server."""
        try:
            held_up = await self._end_readers(leader)
        except TryLater:
            data = self._layout.data(self.manifest.id, leader.number)
            held_up = reader.end_all_if_one_waits(self.manifest, data)
            if not held_up:
                raise
        if held_up:
            async with self._look(leader) as session:
                await reader.keep_out(session, self.manifest)

    async def guard_replica(self, replica: InstanceManifest) -> None:
        """Let no reader keep a transaction open there for ever."""
        if self._reader is None:
            return
        with suppress(psycopg.Error, TimeoutError):
            async with asyncio.timeout(LOOK_SECONDS):
                session = await sessions.superuser(self._layout, self.manifest, replica)
                async with session:
                    await reader.end_sessions(session, self._reader)

    async def _end_readers(self, leader: InstanceManifest) -> int:
        if self._reader is None:
            await self.replication(leader)
        if self._reader is None:
            return 0
        async with self._look(leader) as session:
            return await reader.end_sessions(session, self._reader)

    async def revision(self, leader: InstanceManifest) -> str | None:
        """The newest migration of the schema, as its service says."""
        try:
            async with asyncio.timeout(LOOK_SECONDS):
                connection = await sessions.tenant(self._layout, self.manifest, leader)
                async with connection:
                    return await schema_revision(connection)
        except (psycopg.Error, TimeoutError) as error:
            raise TryLater(f"{self.manifest.id}: {error}".strip()) from error

    async def checkpoint(self, leader: InstanceManifest) -> None:
        """Write a checkpoint, and begin a WAL segment.

        A replica that follows another primary fetches its segment again from where it begins.
        """
        connection = await sessions.superuser(
            self._layout, self.manifest, leader, seconds=CHECKPOINT_SECONDS
        )
        async with connection:
            await connection.execute("CHECKPOINT")
            await connection.execute("SELECT pg_catalog.pg_switch_wal()")

    async def until_settled(self, leader: InstanceManifest) -> None:
        """Wait until the transactions have ended that the service's sessions have open now."""
        before: set[tuple[int, datetime]] | None = None
        while before != set():
            async with self._look(leader) as session:
                cursor = await session.execute(
                    "SELECT pid, xact_start FROM pg_catalog.pg_stat_activity"
                    " WHERE usename = %s AND xact_start IS NOT NULL",
                    (self.manifest.service,),
                )
                now = set(await cursor.fetchall())
            before = now if before is None else before & now
            await asyncio.sleep(0.01)

    async def close(self) -> None:
        """Let go of the server, once who looks has looked."""
        await self._session.close()

    @asynccontextmanager
    async def _look(self, instance: InstanceManifest) -> AsyncIterator[sessions.Connection]:
        """The session with that instance as superuser, for one look."""
        opened = partial(sessions.superuser, self._layout, self.manifest, instance)
        try:
            async with (
                asyncio.timeout(LOOK_SECONDS),
                self._session.turn(instance, opened) as session,
            ):
                yield session
        except (psycopg.Error, TimeoutError) as error:
            raise TryLater(f"{self.manifest.id}: {error}".strip()) from error


async def _until_writable(session: sessions.Connection) -> bool:
    while True:
        cursor = await session.execute(
            "SELECT pg_catalog.pg_is_in_recovery(), EXISTS (SELECT FROM"
            " pg_catalog.pg_database WHERE datname = 'postgres'"
            " AND pg_catalog.shobj_description(oid, 'pg_database') = %s)",
            (postgres.COMPLETE,),
        )
        in_recovery, is_complete = await cursor.fetchone() or (True, False)
        if not in_recovery:
            return bool(is_complete)
        await asyncio.sleep(0.01)


async def schema_revision(connection: sessions.Connection) -> str | None:
    """The newest migration, asked as the service in its database.

    All that is there may be the service's: it is cut to what a revision can be.
    """
    cursor = await connection.execute(
        "SELECT pg_catalog.to_regclass('public.alembic_version') IS NOT NULL"
    )
    if (row := await cursor.fetchone()) is None or not row[0]:
        return None
    cursor = await connection.execute(
        "SELECT pg_catalog.left(version_num::pg_catalog.text, 64)"
        " FROM public.alembic_version LIMIT 1"
    )
    row = await cursor.fetchone()
    return str(row[0]) if row else None
