"""Certificates that a command wrote and did not live to tell of: programs are told here.

What lies on disk is looked at by its time alone, which costs nothing. Where that is another than
when all were seen to serve it, they are told, and looked at.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping
from pathlib import Path

from pgherd.engines.local import identity
from pgherd.engines.local.agent import served
from pgherd.engines.local.agent.cluster import Cluster
from pgherd.engines.local.agent.environments import Environments
from pgherd.engines.local.agent.serving import serve_certificates
from pgherd.engines.local.agent.supervisor import Supervisor
from pgherd.engines.local.layout import Layout
from pgherd.fleet.desired import DatabaseId

log = logging.getLogger(__name__)

LOOK_SECONDS = 30.0
WRITTEN_SECONDS = 30.0
"""Whoever wrote a file tells of it sooner, if it lives."""
SERVED_SECONDS = 30.0


class Freshness:
    """That of all databases and environments of one agent."""

    def __init__(
        self,
        layout: Layout,
        supervisor: Supervisor,
        environments: Environments,
        clusters: Mapping[DatabaseId, Cluster],
    ) -> None:
        self._layout = layout
        self._supervisor = supervisor
        self._environments = environments
        self._clusters = clusters
        self._seen: dict[DatabaseId | str, tuple[int, ...]] = {}

    async def run(self) -> None:
        """Look again and again."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            for name in list(self._environments.manifests):
                place = identity.operator_place(self._layout, name)
                if self._is_new(name, times := _times(place.certificate)):
                    self._environments.read_certificates(name)
                    self._seen[name] = times
            for id, cluster in list(self._clusters.items()):
                found = served.listeners(self._layout, cluster.manifest)
                times = _times(*(listener.certificate for listener in found))
                if self._is_new(id, times) and await self._serve(cluster):
                    self._seen[id] = times

    def _is_new(self, of: DatabaseId | str, times: tuple[int, ...]) -> bool:
        is_written = time.time_ns() - max(times) > WRITTEN_SECONDS * 1e9
        return is_written and self._seen.get(of) != times

    async def _serve(self, cluster: Cluster) -> bool:
        try:
            return await serve_certificates(cluster, self._supervisor, SERVED_SECONDS)
        except OSError as error:  # as when it is being removed
            log.debug("certificates of %s cannot be read: %s", cluster.id, error)
            return False


def _times(*files: Path) -> tuple[int, ...]:
    """When each was written; 0 for one that is not there."""
    return tuple(file.stat().st_mtime_ns if file.exists() else 0 for file in files)
