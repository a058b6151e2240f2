"""What the agent looks at again and again, since nobody reports it.

Most news comes by itself: exits from the kernel, keys from etcd. The rest is looked for once a
second, or less often where it costs more.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping

from pgherd.engines.local import logs
from pgherd.engines.local.agent.cluster import Cluster
from pgherd.engines.local.agent.environments import Environments
from pgherd.engines.local.agent.supervisor import Supervisor
from pgherd.engines.local.agent.tasks import quietly
from pgherd.engines.local.layout import Layout
from pgherd.fleet.desired import DatabaseId

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
    asking: dict[tuple[DatabaseId, str], asyncio.Task[None]] = {}
    try:
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
            asking = {key: task for key, task in asking.items() if not task.done()}
            for place, cluster in enumerate(found):
                for kind, ask in _due(cluster, number + place, environments.watched):
                    if (cluster.id, kind) not in asking:
                        asking[cluster.id, kind] = asyncio.create_task(quietly(ask()))
    finally:
        for task in asking.values():
            task.cancel()


def _due(
    cluster: Cluster, number: int, watched: Collection[str]
) -> Iterator[tuple[str, Callable[[], Awaitable[object]]]]:
    """What a server, a pooler or etcd is asked in this round.

    An answer may take a while, as a tenant likes: nothing waits for it but the next question of its
    own kind, of its own database.
    """
    is_round = number % EXAMINE_ROUNDS == 0
    if is_round or cluster.is_short:
        yield "examine", cluster.examine
    else:
        yield "guard", cluster.guard
    if is_round:
        yield "guard replicas", cluster.guard_replicas
    if number % CLIENT_ROUNDS == 0 or cluster.is_in_trouble:
        yield "client", cluster.ask_as_client
    if number % LEASE_ROUNDS == 0 and cluster.id.environment in watched:
        yield "lease", cluster.look_at_lease
