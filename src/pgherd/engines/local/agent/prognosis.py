"""Whether waiting for a database makes sense: says at once what will not pass by itself.

A program that ends again and again, a primary that cannot start and a full disk are a person's to
see to. A replica that does not come back is not: it is copied again.
"""

from __future__ import annotations

import asyncio
import logging
import shutil
from collections.abc import Iterable
from pathlib import Path

from pgherd.engines.local import listeners, logs, postgres, programs, whole
from pgherd.engines.local.agent.cluster import Cluster
from pgherd.engines.local.agent.supervisor import Program, Supervisor
from pgherd.engines.local.layout import Layout
from pgherd.engines.local.manifest import EnvironmentManifest, InstanceManifest
from pgherd.errors import NeedsHuman, TryLater

log = logging.getLogger(__name__)

QUICK_EXITS = 5
"""A program that ended so often in a row, each time soon after its start, will do so again."""
FAILED_SECONDS = 20.0
"""Patroni tries again every 10 s to start a PostgreSQL that does not."""
FULL_BYTES = 4 * 1024 * 1024
"""With less room than this on its disk, PostgreSQL stops as soon as it writes."""
COPIED_SECONDS = 60.0
"""A replica that cannot start so long after its data was taken away will not do so by itself."""
CANNOT_START = "start failed"
"""Patroni's word for it."""


def check_environment(
    layout: Layout, manifest: EnvironmentManifest, supervisor: Supervisor
) -> None:
    """Raise NeedsHuman where an environment's etcd cannot run, whatever data it has."""
    _look_at_disk(layout)
    program = programs.of_environment(layout, manifest)
    if supervisor.quick_exits(program.name):
        for port in (manifest.etcd_port, manifest.etcd_peer_port):
            if taken := listeners.taken_by(manifest.etcd_address, port):
                raise NeedsHuman(
                    f"{program.name} ends again and again: {taken}",
                    "end that program, then run `pgherd up`",
                )


def _look_at_disk(layout: Layout) -> None:
    if shutil.disk_usage(layout.root).free < FULL_BYTES:
        raise NeedsHuman(
            f"the disk of {layout.root} is full", "free some space, then run `pgherd up`"
        )


def _give_up(program: Program, addresses: Iterable[tuple[str, int]], hint: str) -> None:
    taken = next(filter(None, (listeners.taken_by(*address) for address in addresses)), "")
    reason = taken or logs.telling_line([Path(program.start.log)])
    raise NeedsHuman(
        f"{program.name} ends again and again: {reason}", f"{hint}, then run `pgherd up`"
    )


class Prognosis:
    """What is to be expected of one database while somebody waits for it."""

    def __init__(self, layout: Layout, cluster: Cluster, supervisor: Supervisor) -> None:
        self._layout = layout
        self._cluster = cluster
        self._supervisor = supervisor
        self._failing_since: dict[int, float] = {}

    def check(self) -> None:
        """Raise an error where waiting is in vain."""
        _look_at_disk(self._layout)
        self._look_at_programs()
        for instance in self._cluster.manifest.instances:
            self._look_at(instance)

    def _look_at_programs(self) -> None:
        manifest = self._cluster.manifest
        id = manifest.id
        for program in programs.of_database(self._layout, manifest):
            if self._supervisor.quick_exits(program.name) >= QUICK_EXITS:
                _give_up(program, self._addresses(program.name), f"see `pgherd logs {id}`")

    def _look_at(self, instance: InstanceManifest) -> None:
        cluster, number = self._cluster, instance.number
        id, name = cluster.manifest.id, cluster.manifest.instance_name(number)
        data = self._layout.data(id, number)
        damaged = postgres.damage(data) if data.is_dir() else None
        is_damaged = damaged is not None
        is_made = cluster.manifest.made or whole.is_made(self._layout.kept(id))
        patroni = programs.patroni_name(id, number)
        if not is_made and (cluster.seen.is_half_made or self._was_killed(patroni, is_damaged)):
            raise TryLater(f"{id} was interrupted while it was made", "it is begun anew")
        if is_damaged and is_made and len(cluster.manifest.instances) == 1:
            raise NeedsHuman(
                f"{id}: {data} is damaged: {damaged} cannot be read",
                f"restore it from a backup, or give the data up with `pgherd destroy {id}`",
            )
        if cluster.keys.member(name).get("state") != CANNOT_START or self._is_mended(name):
            self._failing_since.pop(number, None)
            return
        now = asyncio.get_running_loop().time()
        if now - self._failing_since.setdefault(number, now) > FAILED_SECONDS:
            folder = self._layout.database_log(id)
            reason = listeners.taken_by(instance.address, cluster.manifest.postgresql_port)
            reason = reason or logs.telling_line(
                [folder / f"{name}.postgresql.log", folder / f"{name}.patroni.log"]
            )
            raise NeedsHuman(
                f"{id}: PostgreSQL of {name} cannot start: {reason}",
                f"see `pgherd logs {id} --instance {name}`, then run `pgherd up`",
            )

    def _is_mended(self, name: str) -> bool:
        """Whether it is a replica that is copied again, if it does not come back by itself."""
        seen = self._cluster.seen
        copied_at = seen.instances[name].copied_at
        now = asyncio.get_running_loop().time()
        was_in_vain = copied_at is not None and now > copied_at + COPIED_SECONDS
        return seen.serving not in (None, name) and not was_in_vain

    def _was_killed(self, patroni: str, is_damaged: bool) -> bool:
        """Whether a Patroni has ended while it made a cluster: the next cannot go on."""
        return is_damaged and self._supervisor.quick_exits(patroni) > 0

    def _addresses(self, program: str) -> Iterable[tuple[str, int]]:
        manifest = self._cluster.manifest
        if program == programs.pooler_name(manifest.id):
            return [(manifest.pooler_address, manifest.pooler_port)]
        return [
            (instance.address, manifest.patroni_port)
            for instance in manifest.instances
            if program == programs.patroni_name(manifest.id, instance.number)
        ]
