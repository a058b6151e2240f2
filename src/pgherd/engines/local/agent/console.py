"""Telling a database's pooler what to do, over its admin console.

That clients are held is also written beside the pooler's socket, with the process that holds them
and since when: an agent that begins anew goes on from there, and nobody waits twice as long.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Collection
from contextlib import AbstractAsyncContextManager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import psycopg

from pgherd.engines.local import pooler, sessions
from pgherd.engines.local.agent.kept_session import KeptSession
from pgherd.engines.local.layout import Layout
from pgherd.engines.local.manifest import DatabaseManifest
from pgherd.engines.local.processes import Identity
from pgherd.files import write
from pgherd.fleet.desired import Pooling
from pgherd.fleet.names import pooled_name

PING_SECONDS = 2.0
ANSWER_SECONDS = 5.0
"""A pooler that does not answer by then is not asked any longer."""


@dataclass(frozen=True, slots=True)
class Clients:
    """How many there are, how many of them wait, and for how long the first one has.

    `readers` are those of the read-only name for sessions who are its role, `service_readers` those
    who are the service.
    """

    clients: int
    waiting: int
    longest_wait_seconds: float
    readers: int
    service_readers: int


class Console:
    """The pooler of one database; `operator` is the login that may use its console."""

    def __init__(self, layout: Layout, manifest: DatabaseManifest, operator: str) -> None:
        self._layout = layout
        self._manifest = manifest
        self._operator = operator
        self._service = manifest.service

    async def send_to(self, route: pooler.Route, manifest: DatabaseManifest) -> None:
        """Its names lead there from now on."""
        write(self._layout.routes(manifest.id), pooler.databases(manifest, route))
        async with asyncio.timeout(ANSWER_SECONDS), self._open() as console:
            await console.execute("RELOAD")

    async def pause_transactions(self) -> None:
        """New transactions of the name for transactions wait; those that are open have ended."""
        await self._tell("PAUSE", self._awaited)

    async def pause_others(self) -> None:
        """New ones of all other names wait. Ends when those that are open have ended, if ever.

        A PAUSE ends when all paused names are at rest, so this comes after the one that is
        waited for: nobody waits for a session's end or a reader's transaction.
        """
        names = self._names - {self._awaited}
        await asyncio.gather(*(self._tell("PAUSE", name) for name in names))

    async def resume(self) -> None:
        """Let clients of all names go on."""
        async with asyncio.timeout(ANSWER_SECONDS):
            await self._tell("RESUME", *self._names)
        with suppress(OSError):
            self._stamp.unlink(missing_ok=True)

    async def reconnect(self) -> None:
        """Let clients of all names have new connections, each once the old one is free."""
        async with asyncio.timeout(ANSWER_SECONDS):
            await self._tell("RECONNECT", *self._names)

    @property
    def is_reachable(self) -> bool:
        """Whether there is a Unix socket over which it could be told."""
        folder = self._layout.pooler_socket_folder(self._manifest.id)
        return (folder / f".s.PGSQL.{self._manifest.pooler_port}").exists()

    async def answers(self) -> bool:
        """Whether it says anything at all."""
        try:
            async with asyncio.timeout(PING_SECONDS), self._open() as console:
                await console.execute("SHOW VERSION")
        except (psycopg.Error, OSError):
            return False
        return True

    async def clients(self, session: KeptSession, process: Identity) -> Clients | None:
        """The service's, as that process says in a session that is kept; None where it does not."""
        opened = partial(sessions.open_console, self._layout, self._manifest, self._operator)
        all_pools = await self._pools(session.turn(process, opened))
        pools = [pool for pool in all_pools if pool["user"] == self._service]
        if not pools:
            return None
        waiting = sum(pool["cl_waiting"] for pool in pools)
        seconds = (pool["maxwait"] + pool["maxwait_us"] / 1e6 for pool in pools)
        reading = pooled_name(self._service, Pooling.SESSION, read_only=True)
        found = {
            pool["user"]: pool["cl_active"] + pool["cl_waiting"]
            for pool in all_pools
            if pool["database"] == reading
        }
        return Clients(
            sum(p["cl_active"] for p in pools) + waiting,
            waiting,
            max(seconds),
            found.get(self._manifest.read_only_role, 0),
            found.get(self._service, 0),
        )

    async def servers_at(self, addresses: Collection[str]) -> int | None:
        """How many connections to servers there it has; None where it does not say."""
        try:
            async with asyncio.timeout(PING_SECONDS), self._open() as console:
                found = await _rows(await console.execute("SHOW SERVERS"))
        except (psycopg.Error, OSError):
            return None
        return sum(row["addr"] in addresses for row in found)

    async def waiting(self) -> str:
        """Why clients of the service wait for a server, if it says so; empty where none does."""
        name = self._awaited
        for pool in await self._pools(self._open()):
            if (pool["database"], pool["user"]) == (name, self._service) and pool["cl_waiting"]:
                return (
                    f"{pool['cl_waiting']} clients wait for one of {pool['sv_active']} connections"
                    f" that are busy, the first for {pool['maxwait']} s"
                )
        return ""

    # Since when clients are held

    def note_hold(self, process: Identity) -> None:
        """That process makes clients wait from now on; what is noted of it already stays."""
        if self.held_by(process) is None:
            note = {"pid": process.pid, "started": process.started, "since": _now()}
            write(self._stamp, json.dumps(note) + "\n")

    def held_by(self, process: Identity) -> float | None:
        """For how many seconds that process has made clients wait; None where it has not."""
        try:
            note = json.loads(self._stamp.read_text())
            known, since = Identity(note["pid"], note["started"]), float(note["since"])
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return max(0.0, _now() - since) if known == process else None

    @property
    def _stamp(self) -> Path:
        return self._layout.pooler_socket_folder(self._manifest.id) / "held.json"

    # Details

    @property
    def _awaited(self) -> str:
        return pooled_name(self._service, Pooling.TRANSACTION)

    @property
    def _names(self) -> set[str]:
        return {door.name for door in pooler.doors(self._service)}

    async def _pools(
        self, session: AbstractAsyncContextManager[sessions.Connection]
    ) -> list[dict[str, Any]]:
        """What it says of each pair of name and user; nothing where it does not answer."""
        try:
            async with asyncio.timeout(PING_SECONDS), session as console:
                return await _rows(await console.execute("SHOW POOLS"))
        except (psycopg.Error, OSError):
            return []

    async def _tell(self, command: str, *names: str) -> None:
        async with self._open() as console:
            for name in names:
                try:
                    await console.execute(f'{command} "{name}"')
                except psycopg.DatabaseError as error:
                    # Already paused, or not paused: what was wanted is so.
                    if "paused" not in str(error):
                        raise

    def _open(self) -> AbstractAsyncContextManager[sessions.Connection]:
        return sessions.console(self._layout, self._manifest, self._operator)


async def _rows(cursor: psycopg.AsyncCursor[Any]) -> list[dict[str, Any]]:
    columns = [column.name for column in cursor.description or ()]
    return [dict(zip(columns, row, strict=True)) for row in await cursor.fetchall()]


def _now() -> float:
    """Seconds since the machine was started, sleep included."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)
