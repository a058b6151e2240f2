"""One database as the agent sees it: who leads, who streams, where its pooler points.

What etcd says is kept up to date by the agent's watch. From it the pooler is made to follow the
primary, a primary that died is fenced and its leader key given back, and a switchover is done
without a failed query. Nothing here outlives the agent: a new one reads it all again.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg

from pgherd.engines.local import (
    patroni,
    pooler,
    postgres,
    processes,
    programs,
    reader,
    sessions,
    whole,
)
from pgherd.engines.local.etcd_client import EtcdClient, KeyValue
from pgherd.engines.local.layout import Layout
from pgherd.engines.local.manifest import DatabaseManifest, InstanceManifest
from pgherd.engines.local.supervisor import Supervisor
from pgherd.errors import PgherdError, TryLater
from pgherd.files import Owner, write
from pgherd.fleet.desired import Pooling
from pgherd.fleet.names import pooled_name

log = logging.getLogger(__name__)

HOLD_SECONDS = 20.0
"""The longest that clients are made to wait for a new primary before they see errors."""
LAG_LIMIT = 64 * 1024 * 1024
"""Bytes of WAL by which a replica may be behind and still be read from."""
LOOK_SECONDS = 5.0
"""A server that has not answered a look by then is not asked any longer."""
CHECKPOINT_SECONDS = 600.0


@dataclass(frozen=True, slots=True)
class Replication:
    """What the primary says of one replica."""

    state: str
    lag_bytes: int | None


class Cluster:
    """The running side of one database."""

    def __init__(
        self,
        layout: Layout,
        manifest: DatabaseManifest,
        supervisor: Supervisor,
        owner: Owner,
        tls: ssl.SSLContext,
    ) -> None:
        self.layout = layout
        self.tls = tls
        """How to speak to its Patronis."""
        self.manifest = manifest
        self.replication: dict[str, Replication] = {}
        self.schema_revision: str | None = None
        self._connected_for: str | None = None
        """The revision that connections for transactions were last opened anew for."""
        self.routed: str | None = None
        """The leader that the pooler points to, once that takes writes."""
        self._supervisor = supervisor
        self._owner = owner
        self._keys: dict[str, KeyValue] = {}
        self._held = True  # an earlier agent may have left it so
        self._awaits_change = False
        """Clients are held until another leads, or the same one anew."""
        self._reloaded = False
        self._changed = asyncio.Event()
        self.arrivals = asyncio.Event()
        """Set when an instance has joined: its primary should look, and make it a slot."""
        self.is_short = False
        """A replica was lost, and does not stream yet again."""
        self._fencing: set[int] = set()
        self.is_half_made = False
        """It leads without having been made to its end: to be begun anew."""
        self._holds: list[asyncio.Task[None]] = []
        self._reader: int | None = None
        """The OID of the read-only role."""
        self._opening = asyncio.Lock()
        self._session: sessions.Connection | None = None
        """The superuser's session with the leader."""
        self._session_leader: str | None = None

    # What etcd says

    def learn(self, keys: list[KeyValue]) -> None:
        """Forget all and know these."""
        self._keys = {}
        self.update(keys)

    def update(self, events: list[KeyValue]) -> None:
        """Some keys are new, changed or gone."""
        prefix = patroni.scope_prefix(self.manifest.service)
        before = self.leader
        for event in events:
            name = event.key.removeprefix(prefix)
            if event.value is None:
                self._keys.pop(name, None)
            else:
                if name.startswith("members/") and name not in self._keys:
                    self.arrivals.set()
                self._keys[name] = event
        if self.leader != before:
            log.info("%s: leader %s -> %s", self.manifest.id, before, self.leader)
            self.replication = {}
            self._awaits_change = False
        self.touch()

    def touch(self) -> None:
        """Look again: something may have changed."""
        self._changed.set()

    @property
    def leader(self) -> str | None:
        """The instance that holds the leader key."""
        return key.value if (key := self._keys.get("leader")) else None

    @property
    def leader_lease(self) -> int | None:
        """The lease of the leader key."""
        return key.lease if (key := self._keys.get("leader")) else None

    @property
    def synchronous_replicas(self) -> set[str]:
        """The replicas that have every acknowledged commit (one of them, with quorum commit)."""
        key = self._keys.get("sync")
        content = json.loads(key.value) if key and key.value else {}
        return set(filter(None, (content.get("sync_standby") or "").split(",")))

    @property
    def replicas(self) -> set[str]:
        """The instances that do not lead."""
        names = {self.manifest.instance_name(i.number) for i in self.manifest.instances}
        return names - {self.leader}

    @property
    def streaming(self) -> set[str]:
        """The replicas that streamed when the primary was last asked."""
        return {name for name, seen in self.replication.items() if seen.state == "streaming"}

    def member(self, name: str) -> dict[str, Any]:
        """What an instance says of itself; empty where it says nothing."""
        key = self._keys.get(f"members/{name}")
        return dict(json.loads(key.value)) if key and key.value else {}

    # Following the primary

    async def follow(self) -> None:
        """Keep the pooler pointed at the primary, for ever."""
        while True:
            await self._changed.wait()
            self._changed.clear()
            try:
                await self._route()
            except (psycopg.Error, OSError, PgherdError) as error:
                log.debug("%s: pooler not ready: %s", self.manifest.id, error)
                await asyncio.sleep(0.1)
                self.touch()

    async def _route(self) -> None:
        leader = self.leader
        instance = self.manifest.numbered(leader) if leader else None
        if not leader or not instance or self._awaits_change:
            return
        if self.routed != leader:
            self.routed = None
            await self._until_writable(leader, instance)
        if self.leader != leader:
            return
        route = pooler.Route(instance.address, self._healthy_replicas(leader))
        text = pooler.databases(self.manifest, route)
        if write(self.layout.routes(self.manifest.id), text) or not self._reloaded:
            await self._reload_pooler()
            self._reloaded = True
        if self._held:
            await self.release()
        if self.routed != leader:
            self.routed = leader
            log.info("%s: pooler follows %s", self.manifest.id, leader)

    def _healthy_replicas(self, leader: str) -> tuple[str, ...]:
        return tuple(
            instance.address
            for instance in self.manifest.instances
            if (name := self.manifest.instance_name(instance.number)) != leader
            and (seen := self.replication.get(name))
            and seen.state == "streaming"
            and (seen.lag_bytes or 0) <= LAG_LIMIT
        )

    async def _until_writable(self, leader: str, instance: InstanceManifest) -> None:
        """It takes writes, and is a cluster that was made to its end."""
        while self.leader == leader:
            try:
                session = await self._superuser(leader, instance)
                while self.leader == leader:
                    cursor = await session.execute(
                        "SELECT pg_catalog.pg_is_in_recovery(), EXISTS (SELECT FROM"
                        " pg_catalog.pg_database WHERE datname = 'postgres'"
                        " AND pg_catalog.shobj_description(oid, 'pg_database') = %s)",
                        (postgres.COMPLETE,),
                    )
                    in_recovery, is_complete = await cursor.fetchone() or (True, False)
                    if not in_recovery:
                        self._judge(instance, is_complete=is_complete)
                        return
                    await asyncio.sleep(0.01)
            except psycopg.Error:
                await self.end_session()
                await asyncio.sleep(0.02)

    def _judge(self, instance: InstanceManifest, *, is_complete: bool) -> None:
        """Mark a primary as whole before anybody is let in; TryLater where it is not."""
        kept = self.layout.kept_by(self.manifest.id, instance.number)
        if not (is_complete or self.manifest.made or whole.is_made(kept.parent)):
            self.is_half_made = True
            raise TryLater(f"{self.manifest.id} was interrupted while it was made")
        if not whole.is_whole(kept):
            whole.mark(kept)

    async def examine(self) -> None:
        """Ask the primary which replicas stream and how far they are, and mend its reader.

        Raises TryLater when there is no primary that answers.
        """
        leader, instance = self._primary()
        async with self._look(leader, instance) as session:
            cursor = await session.execute(
                "SELECT application_name, state, pg_catalog.pg_wal_lsn_diff("
                "pg_catalog.pg_current_wal_lsn(), replay_lsn)::pg_catalog.int8"
                " FROM pg_catalog.pg_stat_replication"
            )
            rows = await cursor.fetchall()
            self._reader = await reader.mend(session, self.manifest)
        if self.leader == leader:
            before = self._healthy_replicas(leader)
            self.replication = {name: Replication(state, lag) for name, state, lag in rows}
            self.is_short = self.is_short and not self.replicas <= self.streaming
            if self._healthy_replicas(leader) != before:
                self.touch()

    async def guard(self) -> None:
        """Let no reader hold its service up, where both share a server."""
        leader, instance = self._primary()
        if self._healthy_replicas(leader) or self.routed != leader:
            return
        try:
            held_up = await self._end_readers(leader, instance)
        except TryLater:
            data = self.layout.data(self.manifest.id, instance.number)
            held_up = reader.end_all_if_one_waits(self.manifest, data)
            if not held_up:
                raise
        if held_up:
            async with self._look(leader, instance) as session:
                await reader.keep_out(session, self.manifest)

    async def _end_readers(self, leader: str, instance: InstanceManifest) -> int:
        if self._reader is None:
            await self.examine()
        if self._reader is None:
            return 0
        async with self._look(leader, instance) as session:
            return await reader.end_sessions(session, self._reader)

    @asynccontextmanager
    async def _look(
        self, leader: str, instance: InstanceManifest
    ) -> AsyncIterator[sessions.Connection]:
        """The session with the leader, for a look; TryLater where it does not answer in time.

        One that has only waited for a lock is kept: a reader may have locked what a login needs.
        """
        try:
            async with asyncio.timeout(LOOK_SECONDS):
                yield await self._superuser(leader, instance)
        except (psycopg.Error, TimeoutError) as error:
            if not isinstance(error, psycopg.errors.LockNotAvailable):
                await self.end_session()
            raise TryLater(f"{self.manifest.id}: {error}".strip()) from error

    async def guard_replicas(self) -> None:
        """Let no reader keep a transaction open on a replica for ever."""
        for instance in self.manifest.instances:
            name = self.manifest.instance_name(instance.number)
            if name in self.streaming and self._reader is not None:
                with suppress(psycopg.Error, TimeoutError):
                    async with asyncio.timeout(LOOK_SECONDS):
                        session = await sessions.superuser(self.layout, self.manifest, instance)
                        async with session:
                            await reader.end_sessions(session, self._reader)

    async def read_revision(self) -> None:
        """Ask for the schema's revision, as the service; what was known stays if it is silent.

        Where it has changed, transactions get new connections: clients share prepared statements
        there, and what these return may have changed with a table.
        """
        _, instance = self._primary()
        try:
            async with asyncio.timeout(LOOK_SECONDS):
                connection = await sessions.tenant(self.layout, self.manifest, instance)
                async with connection:
                    self.schema_revision = await _schema_revision(connection)
                if self.schema_revision != self._connected_for:
                    doors = pooler.doors(self.manifest.service)
                    shared = (d.name for d in doors if d.pooling is Pooling.TRANSACTION)
                    await self._tell_pooler("RECONNECT", *shared)
                    self._connected_for = self.schema_revision
        except (psycopg.Error, TimeoutError) as error:
            raise TryLater(f"{self.manifest.id}: {error}".strip()) from error

    def _primary(self) -> tuple[str, InstanceManifest]:
        leader = self.leader
        instance = self.manifest.numbered(leader) if leader else None
        if not leader or not instance:
            raise TryLater(f"{self.manifest.id} has no primary")
        return leader, instance

    def missing(self, instance: InstanceManifest) -> None:
        """Send nobody to an instance that died, until the primary streams to it again."""
        if self.replication.pop(self.manifest.instance_name(instance.number), None):
            self.is_short = True
            self.touch()

    # Holding clients

    async def hold(self) -> None:
        """Make new transactions wait in the pooler; those under way end first.

        They wait until the leader has changed, or `release`.
        """
        self._held = self._awaits_change = True
        awaited = pooled_name(self.manifest.service, Pooling.TRANSACTION)
        await self._tell_pooler("PAUSE", awaited)
        if not self._awaits_change:  # released meanwhile
            return
        # The others wait too, but nobody waits for a session's end or a reader's transaction. A
        # PAUSE ends when all paused names are at rest, hence after the one that is waited for.
        self._holds = [
            asyncio.create_task(self._hold_unawaited(name)) for name in self._names - {awaited}
        ]

    async def _hold_unawaited(self, name: str) -> None:
        with suppress(psycopg.Error):
            await self._tell_pooler("PAUSE", name)

    async def sessions_settled(self) -> None:
        """The transactions that the service's sessions have open now have ended."""
        leader, instance = self._primary()
        before: set[tuple[int, datetime]] | None = None
        while before != set():
            session = await self._superuser(leader, instance)
            cursor = await session.execute(
                "SELECT pid, xact_start FROM pg_catalog.pg_stat_activity"
                " WHERE usename = %s AND xact_start IS NOT NULL",
                (self.manifest.service,),
            )
            now = set(await cursor.fetchall())
            before = now if before is None else before & now
            await asyncio.sleep(0.01)

    async def release(self) -> None:
        """Let them go on."""
        self._awaits_change = False
        for hold in self._holds:
            hold.cancel()
        # No PAUSE is on its way any more when RESUME follows.
        await asyncio.gather(*self._holds, return_exceptions=True)
        self._holds = []
        await self._tell_pooler("RESUME", *self._names)
        self._held = False

    # Losing a primary

    async def lost(self, instance: InstanceManifest, wake: EtcdClient) -> None:
        """PostgreSQL of an instance died: fence what is left, and let another one lead.

        Only when it was a primary that did not shut down: a replica's Patroni mends it.
        """
        manifest, number = self.manifest, instance.number
        data = self.layout.data(manifest.id, number)
        state = postgres.cluster_state(data)
        is_damaged = state is None and self.leader == manifest.instance_name(number)
        if state is not postgres.ClusterState.IN_PRODUCTION and not is_damaged:
            return
        if number in self._fencing:
            return
        self._fencing.add(number)
        try:
            name = manifest.instance_name(number)
            log.warning("%s: PostgreSQL of %s died: fencing it", manifest.id, name)
            if self.routed == name:
                self.routed = None
            hold = None
            if self.leader == name:
                hold = asyncio.create_task(self._if_possible(self.hold))
            program = programs.patroni_name(manifest.id, number)
            self._supervisor.kill(program, pause=5.0 if len(manifest.instances) > 1 else 0.0)
            await fence(data)
            if self.leader == name and await wake.delete_if(
                patroni.scope_prefix(manifest.service) + "leader", name
            ):
                log.warning("%s: leader key of %s given back", manifest.id, name)
            if await self.until(lambda: self.routed is not None, HOLD_SECONDS):
                self._supervisor.hasten(program)
            elif hold:
                await self._if_possible(self.release)
            if hold:
                hold.cancel()
        finally:
            self._fencing.discard(number)

    async def _if_possible(self, act: Callable[[], Awaitable[None]]) -> None:
        """Hold or release clients; a pooler that does not answer changes nothing else."""
        try:
            await act()
        except psycopg.Error as error:
            log.warning("%s: pooler does not %s: %s", self.manifest.id, act.__name__, error)

    async def until(self, condition: Callable[[], bool], seconds: float) -> bool:
        """Wait for `condition`; whether it came true in time."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + seconds
        while not condition():
            if loop.time() > deadline:
                return False
            await asyncio.sleep(0.01)
        return True

    # Talking to the database's own programs

    async def _superuser(self, leader: str, instance: InstanceManifest) -> sessions.Connection:
        """The session with the leader, opened when it is first needed, and for each leader."""
        async with self._opening:
            if self._session_leader != leader or self._session is None or self._session.closed:
                await self.end_session()
                self._session = await sessions.superuser(self.layout, self.manifest, instance)
                self._session_leader = leader
            return self._session

    async def end_session(self) -> None:
        """Let go of the leader's server; the next look opens another session."""
        session, self._session = self._session, None
        if session:
            await session.close()

    async def checkpoint(self) -> None:
        """Write a checkpoint on the primary, so that its last one is short."""
        _, instance = self._primary()
        connection = await sessions.superuser(
            self.layout, self.manifest, instance, seconds=CHECKPOINT_SECONDS
        )
        async with connection:
            await connection.execute("CHECKPOINT")

    async def _reload_pooler(self) -> None:
        async with self._console() as console:
            await console.execute("RELOAD")

    async def _tell_pooler(self, command: str, *names: str) -> None:
        """PAUSE, RESUME or RECONNECT some of the database's names."""
        async with self._console() as console:
            for name in names:
                try:
                    await console.execute(f'{command} "{name}"')
                except psycopg.DatabaseError as error:
                    # Already paused, or not paused: what was wanted is so.
                    if "paused" not in str(error):
                        raise

    @property
    def _names(self) -> set[str]:
        """The database's names in its pooler."""
        return {door.name for door in pooler.doors(self.manifest.service)}

    def _console(self) -> AbstractAsyncContextManager[sessions.Connection]:
        return sessions.console(self.layout, self.manifest, self._owner.name)


async def _schema_revision(connection: sessions.Connection) -> str | None:
    """All that is in this database may be the service's: it is cut to what a revision can be."""
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


async def fence(data: os.PathLike[str]) -> None:
    """No process works in the data directory any more. Backends outlive their postmaster."""
    while pids := processes.working_in(data):
        for pid in pids:
            if process := processes.Process.of(pid):
                process.signal(signal.SIGKILL)
                process.close()
        await asyncio.sleep(0.002)
