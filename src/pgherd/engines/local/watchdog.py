"""Sees what nobody reports: a PostgreSQL that died, a Patroni that is frozen or silent.

A postmaster's end is seen at once (pidfd); a new one is found by looking, once a second.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping

from pgherd.engines.local import logs, postgres, processes, programs
from pgherd.engines.local.cluster import Cluster
from pgherd.engines.local.etcd_client import EtcdClient
from pgherd.engines.local.layout import Layout
from pgherd.engines.local.manifest import InstanceManifest
from pgherd.engines.local.supervisor import Supervisor
from pgherd.errors import TryLater
from pgherd.fleet.desired import DatabaseId

log = logging.getLogger(__name__)

LOOK_SECONDS = 1.0
FROZEN_LOOKS = 4
"""A Patroni that is seen stopped this many times in a row is killed and started again."""
SILENT_SECONDS = 8
"""A leader whose lease has less than this left (of 30, renewed every 10) has been silent."""


class Watchdog:
    """Looks after the instances of `clusters`, which others add to and take from."""

    def __init__(
        self,
        layout: Layout,
        supervisor: Supervisor,
        clusters: Mapping[DatabaseId, Cluster],
        etcds: Mapping[str, EtcdClient],
    ) -> None:
        self._layout = layout
        self._supervisor = supervisor
        self._clusters = clusters
        self._etcds = etcds
        self._postmasters: dict[tuple[DatabaseId, int], processes.Process] = {}
        self._stopped_looks: dict[str, int] = {}
        self._rescues: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Look again and again."""
        looks = 0
        while True:
            looks += 1
            for cluster in list(self._clusters.values()):
                for instance in cluster.manifest.instances:
                    self._look_at(cluster, instance)
            if looks % 5 == 0:
                await self._look_for_silence()
            if looks % 2 == 0:
                logs.rotate(self._layout.log)
            await asyncio.sleep(LOOK_SECONDS)

    def _look_at(self, cluster: Cluster, instance: InstanceManifest) -> None:
        id = cluster.manifest.id
        key = (id, instance.number)
        pid = postgres.postmaster_pid(self._layout.data(*key))
        known = self._postmasters.get(key)
        if pid and (known is None or known.pid != pid):
            self.forget(*key)
            if process := processes.Process.of(pid):
                self._postmasters[key] = process
                loop = asyncio.get_running_loop()
                loop.add_reader(process.descriptor, self._postmaster_died, cluster, instance)
        name = programs.patroni_name(*key)
        patroni_pid = self._supervisor.pid(name)
        frozen = patroni_pid is not None and processes.is_stopped(patroni_pid)
        self._stopped_looks[name] = self._stopped_looks.get(name, 0) + 1 if frozen else 0
        if self._stopped_looks[name] >= FROZEN_LOOKS:
            log.warning("%s is frozen: killed, to be started again", name)
            self._supervisor.kill(name)

    def forget(self, id: DatabaseId, number: int) -> None:
        """An instance is about to be stopped: its end is no accident."""
        if process := self._postmasters.pop((id, number), None):
            asyncio.get_running_loop().remove_reader(process.descriptor)
            process.close()

    def _postmaster_died(self, cluster: Cluster, instance: InstanceManifest) -> None:
        id = cluster.manifest.id
        self.forget(id, instance.number)
        processes.reap()
        cluster.missing(instance)
        if client := self._etcds.get(id.environment):
            task = asyncio.get_running_loop().create_task(cluster.lost(instance, client))
            self._rescues.add(task)
            task.add_done_callback(self._rescued)

    async def _look_for_silence(self) -> None:
        """Kill a Patroni that leads and no longer renews its lease, while it still holds it."""
        for id, cluster in list(self._clusters.items()):
            leader = cluster.manifest.numbered(cluster.leader or "")
            lease = cluster.leader_lease
            if leader is None or not lease or id.environment not in self._etcds:
                continue
            try:
                left = await self._etcds[id.environment].time_to_live(lease)
            except TryLater:
                continue
            if 0 <= left < SILENT_SECONDS:
                name = programs.patroni_name(id, leader.number)
                log.warning("%s is silent: killed, to be started again", name)
                self._supervisor.kill(name)

    def _rescued(self, task: asyncio.Task[None]) -> None:
        self._rescues.discard(task)
        if not task.cancelled() and (error := task.exception()):
            log.error("a lost primary could not be dealt with", exc_info=error)
