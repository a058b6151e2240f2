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
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import psycopg

from pgherd.engines.local import patroni, pooler, postgres, processes, programs
from pgherd.engines.local.etcd_client import EtcdClient, KeyValue
from pgherd.engines.local.layout import Layout
from pgherd.engines.local.manifest import DatabaseManifest, InstanceManifest
from pgherd.engines.local.supervisor import Supervisor
from pgherd.errors import PgherdError, TryLater
from pgherd.files import Owner, write
from pgherd.fleet.names import read_only_name

log = logging.getLogger(__name__)

HOLD_SECONDS = 20.0
"""The longest that clients are made to wait for a new primary before they see errors."""
LAG_LIMIT = 64 * 1024 * 1024
"""Bytes of WAL by which a replica may be behind and still be read from."""


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
    def is_initialized(self) -> bool:
        """Its data was made once: the key holds the system identifier, and nothing before."""
        return bool((key := self._keys.get("initialize")) and key.value)

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
        folder = self.layout.pooler(self.manifest.id)
        text = pooler.databases(self.manifest, route)
        if write(folder / "databases.ini", text, self._owner) or not self._reloaded:
            await self._tell_pooler("RELOAD")
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
        while self.leader == leader:
            try:
                async with self.connection(instance, "postgres") as connection:
                    while self.leader == leader:
                        cursor = await connection.execute("SELECT pg_is_in_recovery()")
                        if (row := await cursor.fetchone()) and row[0] is False:
                            return
                        await asyncio.sleep(0.01)
            except psycopg.Error:
                await asyncio.sleep(0.02)

    async def examine(self) -> None:
        """Ask the primary which replicas stream, how far they are, and for the schema's revision.

        Raises TryLater when there is no primary that answers.
        """
        leader = self.leader
        instance = self.manifest.numbered(leader) if leader else None
        if not leader or not instance:
            raise TryLater(f"{self.manifest.id} has no primary")
        try:
            async with self.connection(instance, self.manifest.service) as connection:
                cursor = await connection.execute(
                    "SELECT application_name, state,"
                    " pg_wal_lsn_diff(pg_current_wal_lsn(), replay_lsn)::bigint"
                    " FROM pg_stat_replication"
                )
                rows = await cursor.fetchall()
                self.schema_revision = await _schema_revision(connection)
        except psycopg.Error as error:
            raise TryLater(f"{self.manifest.id}: {error}".strip()) from error
        if self.leader == leader:
            before = self._healthy_replicas(leader)
            self.replication = {name: Replication(state, lag) for name, state, lag in rows}
            self.is_short = self.is_short and not self.replicas <= self.streaming
            if self._healthy_replicas(leader) != before:
                self.touch()

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
        await self._tell_pooler("PAUSE")

    async def release(self) -> None:
        """Let them go on."""
        await self._tell_pooler("RESUME")
        self._held = self._awaits_change = False

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
            await _fence(data)
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

    @asynccontextmanager
    async def connection(
        self, instance: InstanceManifest, database: str
    ) -> AsyncIterator[psycopg.AsyncConnection[Any]]:
        """As superuser over an instance's Unix socket."""
        connection = await psycopg.AsyncConnection.connect(
            host=str(self.layout.socket_folder(self.manifest.id, instance.number)),
            port=self.manifest.postgresql_port,
            dbname=database,
            user="postgres",
            application_name="pgherd",
            autocommit=True,
            connect_timeout=3,
        )
        async with connection:
            yield connection

    async def checkpoint(self) -> None:
        """Write a checkpoint on the primary, so that its last one is short."""
        leader = self.leader
        instance = self.manifest.numbered(leader) if leader else None
        if instance:
            async with self.connection(instance, "postgres") as connection:
                await connection.execute("CHECKPOINT")

    async def _tell_pooler(self, command: str) -> None:
        """RELOAD, or PAUSE or RESUME both of the database's names."""
        connection = await psycopg.AsyncConnection.connect(
            host=str(self.layout.pooler_socket_folder(self.manifest.id)),
            port=self.manifest.pooler_port,
            dbname="pgbouncer",
            user=self._owner.name,
            autocommit=True,
            connect_timeout=3,
            cursor_factory=psycopg.AsyncClientCursor,
        )
        async with connection:
            if command == "RELOAD":
                await connection.execute(command)
                return
            for name in (self.manifest.service, read_only_name(self.manifest.service)):
                try:
                    await connection.execute(f'{command} "{name}"')
                except psycopg.DatabaseError as error:
                    # Already paused, or not paused: what was wanted is so.
                    if "paused" not in str(error):
                        raise


async def _schema_revision(connection: psycopg.AsyncConnection[Any]) -> str | None:
    cursor = await connection.execute("SELECT to_regclass('public.alembic_version') IS NOT NULL")
    if (row := await cursor.fetchone()) is None or not row[0]:
        return None
    cursor = await connection.execute("SELECT version_num FROM public.alembic_version")
    row = await cursor.fetchone()
    return str(row[0]) if row else None


async def _fence(data: os.PathLike[str]) -> None:
    """No process works in the data directory any more. Backends outlive their postmaster."""
    while pids := processes.working_in(data):
        for pid in pids:
            if process := processes.Process.of(pid):
                process.signal(signal.SIGKILL)
                process.close()
        await asyncio.sleep(0.002)
