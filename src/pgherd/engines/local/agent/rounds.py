"""What the agent looks at again and again, since nobody reports it.

Most news comes by itself: exits from the kernel, keys from etcd. The rest is looked for once a
second, or less often where it costs more.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection, Mapping

from pgherd.engines.local import logs
from pgherd.engines.local.agent.cluster import Cluster
from pgherd.engines.local.agent.environments import Environments
from pgherd.engines.local.agent.supervisor import Supervisor
from pgherd.engines.local.layout import Layout
from pgherd.fleet.desired import DatabaseId

log = logging.getLogger(__name__)

SECONDS = 1.0
CLIENT_ROUNDS = 5
"""Each database is asked so often by the door of its clients; in each round while it is silent."""
LEASE_ROUNDS = 5
LOG_ROUNDS = 2
EXAMINE_ROUNDS = 30
"""Primaries are asked for their replicas so often; in each round while one is missing."""


async def look_around(
    layout: Layout,
    supervisor: Supervisor,
    clusters: Mapping[DatabaseId, Cluster],
    environments: Environments,
) -> None:
    """Round after round, for ever."""
    number = 0
    looking: asyncio.Task[None] | None = None
    while True:
        await asyncio.sleep(SECONDS)
        number += 1
        supervisor.end_frozen()
        found = list(clusters.values())
        for cluster in found:
            cluster.look()
        if number % LOG_ROUNDS == 0:
            logs.rotate(layout.log)
        await environments.mend_all()
        if looking is None or looking.done():
            looking = asyncio.create_task(_ask(found, environments.watched, number))


async def _ask(clusters: Collection[Cluster], watched: Collection[str], number: int) -> None:
    """Ask the servers, which may take a while: the looks above don't wait for it."""
    is_round = number % EXAMINE_ROUNDS == 0
    looks = [
        cluster.examine() if is_round or cluster.is_short else cluster.guard()
        for cluster in clusters
    ]
    looks += [
        cluster.ask_as_client()
        for place, cluster in enumerate(clusters)
        if (number + place) % CLIENT_ROUNDS == 0 or cluster.is_in_trouble
    ]
    if number % LEASE_ROUNDS == 0:
        looks += [c.look_at_lease() for c in clusters if c.id.environment in watched]
    if is_round:
        looks += [cluster.guard_replicas() for cluster in clusters]
    await asyncio.gather(*looks, return_exceptions=True)
