"""Letting a database's programs read what lies on disk anew, and seeing that they have."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import Collection

import psycopg

from pgherd.engines.local import patroni, programs, sessions
from pgherd.engines.local.agent import served
from pgherd.engines.local.agent.cluster import Cluster
from pgherd.engines.local.agent.supervisor import Supervisor
from pgherd.engines.local.manifest import InstanceManifest

SETTLED_PAUSE = 0.3
SERVED_PAUSE = 0.2
TOLD_LOOKS = 10
"""Who serves an old certificate is told again after so many looks."""


async def reload(cluster: Cluster, supervisor: Supervisor, seconds: float) -> bool:
    """All of its programs read their configuration and certificates; whether all have."""
    everything = {p.name for p in programs.of_database(cluster.layout, cluster.manifest)}
    await _tell(cluster, supervisor, everything)
    return await until_settled(cluster, seconds)


async def until_settled(cluster: Cluster, seconds: float) -> bool:
    """Every instance has read its configuration, and says whether it waits for a restart."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + seconds
    waiting = list(cluster.manifest.instances)
    while loop.time() < deadline:
        marks = {i.number: _mark(cluster, i) for i in waiting}
        waiting = [i for i in waiting if not await _has_read(cluster, i, marks[i.number])]
        if not waiting:
            return True
        for instance in waiting:
            await cluster.patronis.wake(cluster.manifest.instance_name(instance.number))
        await asyncio.sleep(SETTLED_PAUSE)
    return False


async def serve_certificates(cluster: Cluster, supervisor: Supervisor, seconds: float) -> bool:
    """All of its programs serve the certificates that lie on disk; whether all do."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + seconds
    looks = 0
    while stale := await served.stale(cluster.layout, cluster.manifest):
        if loop.time() > deadline:
            return False
        if looks % TOLD_LOOKS == 0:
            await _tell(cluster, supervisor, stale)
        looks += 1
        await asyncio.sleep(SERVED_PAUSE)
    return True


async def _tell(cluster: Cluster, supervisor: Supervisor, names: Collection[str]) -> None:
    for name in names:
        supervisor.signal(name, signal.SIGHUP)
    for instance in cluster.manifest.instances:
        if programs.patroni_name(cluster.id, instance.number) in names:
            await cluster.patronis.wake(cluster.manifest.instance_name(instance.number))


async def _has_read(cluster: Cluster, instance: InstanceManifest, mark: str) -> bool:
    """Whether an instance has read this configuration, and Patroni knows what that changed.

    It is Patroni's word on pending restarts that others go by, and it comes a little later
    than PostgreSQL's.
    """
    try:
        connection = await sessions.superuser(cluster.layout, cluster.manifest, instance)
        async with connection:
            cursor = await connection.execute(
                "SELECT pg_catalog.current_setting(%s, true), ARRAY(SELECT name::pg_catalog.text"
                " FROM pg_catalog.pg_settings WHERE pending_restart)",
                (patroni.MARK,),
            )
            known_mark, waiting = await cursor.fetchone() or (None, [])
    except psycopg.Error:
        return False
    name, keys = cluster.manifest.instance_name(instance.number), cluster.keys
    return known_mark == mark and set(waiting) - keys.lowered(name) == keys.waiting(name)


def _mark(cluster: Cluster, instance: InstanceManifest) -> str:
    """What names the configuration that an instance should have read."""
    path = cluster.layout.instance(cluster.id, instance.number) / "patroni.yml"
    return str(json.loads(path.read_text())["postgresql"]["parameters"][patroni.MARK])
