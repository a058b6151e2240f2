"""Whether a database's instances have read their configuration."""

from __future__ import annotations

import asyncio
import json

import psycopg

from pgherd.engines.local import patroni, sessions
from pgherd.engines.local.cluster import Cluster
from pgherd.engines.local.manifest import InstanceManifest
from pgherd.engines.local.patroni_api import wake


async def settled(cluster: Cluster, seconds: float) -> bool:
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
            await wake(cluster, cluster.manifest.instance_name(instance.number))
        await asyncio.sleep(0.3)
    return False


async def _has_read(cluster: Cluster, instance: InstanceManifest, mark: str) -> bool:
    """Whether an instance has read this configuration, and Patroni knows what that changed.

    It is Patroni's word on pending restarts that others go by, and it comes a little later
    than PostgreSQL's.
    """
    try:
        connection = await sessions.superuser(cluster.layout, cluster.manifest, instance)
        async with connection:
            cursor = await connection.execute(
                "SELECT pg_catalog.current_setting(%s, true),"
                " EXISTS (SELECT FROM pg_catalog.pg_settings WHERE pending_restart)",
                (patroni.MARK,),
            )
            row = await cursor.fetchone()
    except psycopg.Error:
        return False
    said = cluster.member(cluster.manifest.instance_name(instance.number)).get("pending_restart")
    return row == (mark, bool(said))


def _mark(cluster: Cluster, instance: InstanceManifest) -> str:
    """What names the configuration that an instance should have read."""
    path = cluster.layout.instance(cluster.manifest.id, instance.number) / "patroni.yml"
    return str(json.loads(path.read_text())["postgresql"]["parameters"][patroni.MARK])
