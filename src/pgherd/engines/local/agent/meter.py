"""What databases use and how they fare, asked every few seconds for as long as somebody wants it.

The kernel is asked when an answer is wanted, servers and poolers beforehand, each in its own time:
one that does not answer is missing from the answer, and delays nobody. Servers are asked as a role
that may see statistics and nothing else, in the database that has nothing of a tenant.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import astuple
from functools import partial
from typing import Any

import psycopg

from pgherd.engines.local import control_groups, door, processes, sessions
from pgherd.engines.local.agent.cluster import Cluster
from pgherd.engines.local.agent.committed import Committed, Committing
from pgherd.engines.local.agent.disks import disk_of, waiting_bytes
from pgherd.engines.local.agent.kept_session import KeptSession
from pgherd.engines.local.agent.record import Record
from pgherd.engines.local.layout import Layout
from pgherd.engines.local.manifest import InstanceManifest
from pgherd.engines.local.measured import (
    Measured,
    MeasuredDatabase,
    MeasuredInstance,
    MeasuredPooler,
    SaidByServer,
    UsedByServer,
    now,
)
from pgherd.engines.local.processes import Identity
from pgherd.fleet.desired import DatabaseId

SECONDS = 5.0
WANTED_SECONDS = 30.0
"""So long after somebody asked, servers are asked too."""
LOOK_SECONDS = 3.0
STALE_SECONDS = 15.0
"""What a server said before that is not told any more."""
POOLER = "pooler"
"""In place of an instance's name, which has a number."""
SIZE_SECONDS = 60.0
"""The size of a database is asked for so often: PostgreSQL looks at each of its files."""
QUESTION = """\
SELECT NOT pg_catalog.pg_is_in_recovery() AS is_primary,
       a.connections, a.active, a.idle_in_transaction, a.blocked, a.oldest_transaction_seconds,
       d.xact_commit + d.xact_rollback AS transactions,
       d.tup_returned + d.tup_fetched AS rows_read,
       d.tup_inserted + d.tup_updated + d.tup_deleted AS rows_written,
       d.blks_hit AS blocks_hit, d.blks_read AS blocks_read,
       d.temp_bytes AS temporary_bytes, d.deadlocks,
       (SELECT pg_catalog.max(pg_catalog.age(datfrozenxid)) FROM pg_catalog.pg_database)
           AS transaction_age,
       CASE WHEN pg_catalog.pg_is_in_recovery() THEN NULL ELSE
           pg_catalog.pg_wal_lsn_diff(pg_catalog.pg_current_wal_lsn(), '0/0')::pg_catalog.int8
       END AS wal_bytes,
       CASE WHEN pg_catalog.pg_is_in_recovery() THEN NULL ELSE
           (SELECT pg_catalog.max(pg_catalog.pg_wal_lsn_diff(
                       pg_catalog.pg_current_wal_lsn(), restart_lsn))::pg_catalog.int8
              FROM pg_catalog.pg_replication_slots)
       END AS slot_bytes,
       CASE WHEN pg_catalog.pg_is_in_recovery() THEN pg_catalog.pg_wal_lsn_diff(
           pg_catalog.pg_last_wal_receive_lsn(), pg_catalog.pg_last_wal_replay_lsn()
       )::pg_catalog.int8 END AS lag_bytes,
       CASE WHEN pg_catalog.pg_is_in_recovery() THEN
           CASE WHEN pg_catalog.pg_last_wal_receive_lsn() = pg_catalog.pg_last_wal_replay_lsn()
                THEN 0 ELSE pg_catalog.extract('epoch', pg_catalog.clock_timestamp()
                    - pg_catalog.pg_last_xact_replay_timestamp())::pg_catalog.float8
           END
       END AS lag_seconds,
       CASE WHEN pg_catalog.pg_is_in_recovery() THEN NULL ELSE
           pg_catalog.pg_wal_lsn_diff(
               pg_catalog.pg_current_wal_insert_lsn(), '0/0')::pg_catalog.int8
       END AS wal_position,
       pg_catalog.pg_current_snapshot()::pg_catalog.text AS snapshot,
       w.last_archived_wal AS archived,
       COALESCE(w.last_failed_time > w.last_archived_time, w.failed_count > 0) AS fails,
       r.pid AS receiver, r.received
  FROM pg_catalog.pg_stat_database d CROSS JOIN pg_catalog.pg_stat_archiver w
       LEFT JOIN (
           SELECT pid, pg_catalog.pg_wal_lsn_diff(flush_lsn, '0/0')::pg_catalog.int8 AS received
             FROM pg_catalog.pg_stat_replication
            WHERE application_name = 'pgherd.stream' AND flush_lsn IS NOT NULL
            ORDER BY flush_lsn DESC LIMIT 1) r ON true,
       (SELECT pg_catalog.count(*) AS connections,
               pg_catalog.count(*) FILTER (WHERE state = 'active') AS active,
               pg_catalog.count(*) FILTER (WHERE state LIKE 'idle in transaction%%')
                   AS idle_in_transaction,
               pg_catalog.count(*) FILTER (WHERE wait_event_type = 'Lock') AS blocked,
               pg_catalog.extract('epoch', pg_catalog.clock_timestamp()
                   - pg_catalog.min(xact_start))::pg_catalog.float8 AS oldest_transaction_seconds
          FROM pg_catalog.pg_stat_activity
         WHERE datname = %s AND backend_type = 'client backend') a
 WHERE d.datname = %s"""
COMMITTING = ("snapshot", "wal_position", "archived", "fails", "receiver", "received")
"""Its columns for `Committing`."""
SIZE = "SELECT pg_catalog.pg_database_size(%s)"


class Meter:
    """That of all databases in `clusters`, which others add to and take from."""

    def __init__(
        self, layout: Layout, clusters: Mapping[DatabaseId, Cluster], record: Record
    ) -> None:
        self._layout = layout
        self._clusters = clusters
        self._record = record
        self._groups = control_groups.found(layout.root)
        self._wanted_at = -WANTED_SECONDS
        self._asking: dict[tuple[DatabaseId, str], asyncio.Task[None]] = {}
        self._sessions: dict[tuple[DatabaseId, str], KeptSession] = {}
        self._said: dict[tuple[DatabaseId, str], SaidByServer] = {}
        self._poolers: dict[DatabaseId, MeasuredPooler] = {}
        self._sizes: dict[tuple[DatabaseId, str], tuple[float, int]] = {}
        self._committed: dict[DatabaseId, Committed] = {}

    async def answer(self, asked: door.Measure) -> Measured:
        """All that is known now, and what was done lately; servers are asked from now on."""
        self._wanted_at = now()
        found = {str(id): self._measured(cluster) for id, cluster in self._clusters.items()}
        return Measured(now(), found, self._record.after(asked.source, asked.after))

    async def look_at(self, asked: door.LookAt) -> None:
        """Nothing is said of a primary that does not answer, or that nobody is sent to."""
        cluster = self._clusters.get(DatabaseId.parse(asked.database))
        if cluster and (instance := cluster.manifest.numbered(cluster.seen.serving or "")):
            name = cluster.manifest.instance_name(instance.number)
            if (server := cluster.seen.instances[name].postmaster) is not None:
                await self._ask(cluster, instance, server)

    async def committed_until(self, asked: door.CommittedUntil) -> float | None:
        """Seconds since the machine was started; None where nobody knows."""
        committed = self._committed.get(DatabaseId.parse(asked.database))
        return committed.until(asked.position) if committed else None

    async def run(self) -> None:
        """Ask, round after round, while somebody wants to know; for ever."""
        while True:
            await asyncio.sleep(SECONDS)
            if now() - self._wanted_at < WANTED_SECONDS:
                self._ask_all()
            elif self._sessions:
                await self._close_all()

    def _ask_all(self) -> None:
        self._asking = {key: task for key, task in self._asking.items() if not task.done()}
        self._forget_others()
        for cluster in self._clusters.values():
            asked = {
                cluster.manifest.instance_name(i.number): i for i in cluster.manifest.instances
            }
            for name, instance in asked.items():
                if (server := cluster.seen.instances[name].postmaster) is not None:
                    self._begin(cluster.id, name, partial(self._ask, cluster, instance, server))
            if (process := cluster.seen.pooler.process) is not None:
                self._begin(cluster.id, POOLER, partial(self._ask_pooler, cluster, process))

    def _begin(self, id: DatabaseId, name: str, ask: Any) -> None:
        """One question at a time to each."""
        if (id, name) not in self._asking:
            self._asking[id, name] = asyncio.create_task(ask())

    async def _ask(self, cluster: Cluster, instance: InstanceManifest, server: Identity) -> None:
        name = cluster.manifest.instance_name(instance.number)
        key, service = (cluster.id, name), cluster.manifest.service
        session = self._sessions.setdefault(key, KeptSession())
        opened = partial(sessions.monitor, self._layout, cluster.manifest, instance)
        size = self._sizes.get(key)
        asked = now()
        try:
            async with asyncio.timeout(LOOK_SECONDS), session.turn(server, opened) as connection:
                cursor = await connection.execute(QUESTION, (service, service), prepare=True)
                columns = [column.name for column in cursor.description or ()]
                row = await cursor.fetchone()
                if size is None or now() - size[0] > SIZE_SECONDS:
                    cursor = await connection.execute(SIZE, (service,))
                    bytes = (await cursor.fetchone() or (0,))[0]
                    size = self._sizes[key] = (now(), bytes)
        except (psycopg.Error, OSError, TimeoutError):
            return
        if row is not None:
            said = dict(zip(columns, row, strict=True))
            snapshot, position, *kept = (said.pop(column) for column in COMMITTING)
            if position is not None and name == cluster.seen.serving:
                committing = Committing(snapshot, position, *kept)
                self._committed.setdefault(cluster.id, Committed()).look(
                    asked, _name(server), committing
                )
            for column in ("lag_bytes", "lag_seconds", "slot_bytes", "oldest_transaction_seconds"):
                if said[column] is not None:
                    said[column] = max(0, said[column])
            self._said[key] = SaidByServer(
                taken=now(), server=_name(server), database_bytes=size[1], **said
            )

    async def _ask_pooler(self, cluster: Cluster, process: Identity) -> None:
        session = self._sessions.setdefault((cluster.id, POOLER), KeptSession())
        if found := await cluster.console.clients(session, process):
            self._poolers[cluster.id] = MeasuredPooler(now(), *astuple(found))

    def _measured(self, cluster: Cluster) -> MeasuredDatabase:
        instances = {}
        for instance in cluster.manifest.instances:
            name = cluster.manifest.instance_name(instance.number)
            server = cluster.seen.instances[name].postmaster
            disk = disk_of(self._layout.kept_by(cluster.id, instance.number))
            waiting = waiting_bytes(self._layout.data(cluster.id, instance.number))
            if server is None:
                instances[name] = MeasuredInstance(disk=disk, waiting_bytes=waiting)
                continue
            said = self._said.get((cluster.id, name))
            is_known = said and said.server == _name(server) and _is_fresh(said.taken)
            used = self._used(cluster.id, instance.number, server)
            instances[name] = MeasuredInstance(used, said if is_known else None, disk, waiting)
        pooler = self._poolers.get(cluster.id)
        committed = self._committed.get(cluster.id)
        until = committed.kept_until() if committed else None
        return MeasuredDatabase(
            cluster.seen.serving,
            instances,
            pooler if pooler and _is_fresh(pooler.taken) else None,
            unarchived_seconds=None if until is None else max(0.0, now() - until),
        )

    def _used(self, id: DatabaseId, number: int, server: Identity) -> UsedByServer:
        """By its control group, where it is in one; else by its processes."""
        if self._groups is None or not self._groups.holds(id, number, server.pid):
            return UsedByServer(now(), f"{_name(server)} alone", processes.cpu_seconds(server.pid))
        used = self._groups.used(id, number)
        return UsedByServer(
            now(),
            _name(server),
            used.cpu_seconds,
            used.throttled_seconds,
            used.throttled_periods,
            used.periods,
            used.waited_seconds,
            used.memory_bytes,
        )

    def _forget_others(self) -> None:
        """What is not there any more is not remembered; its sessions have ended with it."""
        known = {
            (id, cluster.manifest.instance_name(instance.number))
            for id, cluster in self._clusters.items()
            for instance in cluster.manifest.instances
        } | {(id, POOLER) for id in self._clusters}
        for kept in (self._sessions, self._said, self._sizes):
            for key in kept.keys() - known:
                del kept[key]
        for id in self._poolers.keys() - self._clusters.keys():
            del self._poolers[id]
        for id in self._committed.keys() - self._clusters.keys():
            del self._committed[id]

    async def _close_all(self) -> None:
        opened, self._sessions = self._sessions, {}
        self._said.clear()
        self._poolers.clear()
        for session in opened.values():
            await session.close()


def _name(server: Identity) -> str:
    return f"{server.pid}:{server.started}"


def _is_fresh(taken: float) -> bool:
    return now() - taken < STALE_SECONDS
