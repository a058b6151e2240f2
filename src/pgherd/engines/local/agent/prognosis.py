"""Whether waiting for a database makes sense: says at once what will not pass by itself.

A program that ends again and again, a PostgreSQL that cannot start and a full disk are a
person's to see to. A replica with a damaged data directory is not: it is copied again.
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
CANNOT_START = "start failed"
"""Patroni's word for it."""


def check_environment(
    layout: Layout, manifest: EnvironmentManifest, supervisor: Supervisor
) -> None:
    """Raise NeedsHuman where an environment's etcd will not run by itself."""
    _look_at_disk(layout)
    program = programs.of_environment(layout, manifest)
    if supervisor.quick_exits(program.name) >= QUICK_EXITS:
        ports = (manifest.etcd_port, manifest.etcd_peer_port)
        _give_up(
            program,
            [(manifest.etcd_address, port) for port in ports],
            f"see {program.start.log}; what etcd keeps in {layout.etcd_data(manifest.name)} may be"
            " moved away, it is found anew",
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
        self._copied: set[int] = set()

    async def check(self) -> None:
        """Raise an error where waiting is in vain; have a damaged replica copied again."""
        _look_at_disk(self._layout)
        self._look_at_programs()
        for instance in self._cluster.manifest.instances:
            await self._look_at(instance)

    def _look_at_programs(self) -> None:
        manifest = self._cluster.manifest
        id = manifest.id
        for program in programs.of_database(self._layout, manifest):
            if self._supervisor.quick_exits(program.name) >= QUICK_EXITS:
                _give_up(program, self._addresses(program.name), f"see `pgherd logs {id}`")

    async def _look_at(self, instance: InstanceManifest) -> None:
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
        leader = cluster.seen.leader
        is_copyable = leader is not None and leader.name != name and number not in self._copied
        # While it is being copied, it is not whole.
        was_whole = whole.is_whole(self._layout.kept_by(id, number))
        if is_damaged and was_whole and is_copyable:
            await self._copy_again(name, number)
            return
        if cluster.keys.member(name).get("state") != CANNOT_START:
            self._failing_since.pop(number, None)
            return
        now = asyncio.get_running_loop().time()
        failing = now - self._failing_since.setdefault(number, now)
        if is_damaged and is_copyable:
            await self._copy_again(name, number)
        elif failing > FAILED_SECONDS:
            folder = self._layout.database_log(id)
            reason = listeners.taken_by(instance.address, cluster.manifest.postgresql_port)
            reason = reason or logs.telling_line(
                [folder / f"{name}.postgresql.log", folder / f"{name}.patroni.log"]
            )
            raise NeedsHuman(
                f"{id}: PostgreSQL of {name} cannot start: {reason}",
                f"see `pgherd logs {id} --instance {name}`, then run `pgherd up`",
            )

    def _was_killed(self, patroni: str, is_damaged: bool) -> bool:
        """Whether a Patroni has ended while it made a cluster: the next cannot go on."""
        return is_damaged and self._supervisor.quick_exits(patroni) > 0

    async def _copy_again(self, name: str, number: int) -> None:
        try:
            await self._cluster.patronis.ask(name, "POST", "reinitialize", {"force": True})
        except TryLater as error:
            log.info("%s is not copied again yet: %s", name, error)
            return
        log.warning("%s: data of %s is damaged: copied again", self._cluster.manifest.id, name)
        self._copied.add(number)
        self._failing_since.pop(number, None)

    def _addresses(self, program: str) -> Iterable[tuple[str, int]]:
        manifest = self._cluster.manifest
        if program == programs.pooler_name(manifest.id):
            return [(manifest.pooler_address, manifest.pooler_port)]
        return [
            (instance.address, manifest.patroni_port)
            for instance in manifest.instances
            if program == programs.patroni_name(manifest.id, instance.number)
        ]
