"""The databases of the agent: each runs, or does not, as its manifest wants."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import shutil
from collections.abc import Collection, Iterable, Mapping
from functools import partial

from pgherd.engines.local import leftovers, patroni, postgres, programs, whole
from pgherd.engines.local.agent.acting import Acting
from pgherd.engines.local.agent.cluster import Cluster
from pgherd.engines.local.agent.core import HOLD_SECONDS
from pgherd.engines.local.agent.environments import Environments
from pgherd.engines.local.agent.exchanging import exchanged, held
from pgherd.engines.local.agent.newest import newest
from pgherd.engines.local.agent.record import Record
from pgherd.engines.local.agent.room import make_room
from pgherd.engines.local.agent.servers import end_all
from pgherd.engines.local.agent.serving import serve_certificates
from pgherd.engines.local.agent.supervisor import Program, Supervisor
from pgherd.engines.local.agent.tasks import Tasks
from pgherd.engines.local.layout import Layout
from pgherd.engines.local.manifest import DatabaseManifest, InstanceManifest, read_database
from pgherd.errors import InputError, NeedsHuman
from pgherd.files import Owner
from pgherd.fleet.desired import DatabaseId

log = logging.getLogger(__name__)

SERVED_SECONDS = 30.0
DRAIN_SECONDS = 30.0
"""Who still reads from a replica after that reads somewhere else."""
DRAIN_LOOK_SECONDS = 0.2
WAKE_SECONDS = 0.5
"""A primary is woken so often while its replicas are stopped."""


class Databases:
    """All that are wanted to run, in `clusters`, which others look at."""

    def __init__(
        self,
        layout: Layout,
        owner: Owner,
        supervisor: Supervisor,
        environments: Environments,
        clusters: dict[DatabaseId, Cluster],
        tasks: Tasks,
        record: Record,
    ) -> None:
        self._layout = layout
        self._owner = owner
        self._supervisor = supervisor
        self._environments = environments
        self._clusters = clusters
        self._tasks = tasks
        self._record = record
        self._converging: dict[DatabaseId, asyncio.Lock] = {}

    def cluster(self, database: str) -> Cluster:
        """One that runs; InputError where it does not."""
        cluster = self._clusters.get(DatabaseId.parse(database))
        if cluster is None:
            raise InputError(f"{database} does not run here", "run `pgherd up`")
        return cluster

    async def converge(self, id: DatabaseId) -> None:
        """Run it, or stop it, as its manifest wants.

        One that was interrupted while it was made is made anew.
        """
        async with self._converging.setdefault(id, asyncio.Lock()):
            manifest = read_database(self._layout, id)
            wanted = manifest if manifest and manifest.running else None
            if cluster := self._clusters.get(id):
                await self._stop_unwanted(cluster, wanted)
                # What serves beside a new replica is from now on reached by another list of hosts.
                if wanted and 1 < len(cluster.manifest.instances) < len(wanted.instances):
                    self._environments.forget_certificates(id.environment)
                    await serve_certificates(cluster, self._supervisor, SERVED_SECONDS)
            elif manifest and not wanted:
                await self._stop_left_over(programs.of_database(self._layout, manifest))
            if wanted:
                if self._is_half_made(wanted):
                    await self._begin_anew(wanted)
                elif not whole.has_data(self._layout.kept(id)):
                    raise self._lost(wanted)
                self._ensure(wanted)

    async def resume(self, manifest: DatabaseManifest) -> None:
        """Go on with it as an earlier agent left it; one half made awaits a command."""
        if not manifest.running:
            await self._stop_left_over(programs.of_database(self._layout, manifest))
            return
        runs = self._supervisor.adopt(_by_name(programs.of_database(self._layout, manifest)))
        if runs or whole.has_data(self._layout.kept(manifest.id)):
            self._ensure(manifest)

    def _is_half_made(self, manifest: DatabaseManifest) -> bool:
        """Whether nothing of it is whole, and nothing that is there may turn out to be."""
        if manifest.made:
            return False
        cluster = self._clusters.get(manifest.id)
        is_known = cluster is not None and cluster.seen.is_half_made
        return is_known or not whole.may_be_made(self._layout.kept(manifest.id))

    def _lost(self, manifest: DatabaseManifest) -> NeedsHuman:
        """It has served, and there is no data that a server can start with."""
        data = self._layout.data(manifest.id, manifest.instances[0].number)
        what = f"{postgres.damage(data)} cannot be read" if data.is_dir() else "it is not there"
        return NeedsHuman(
            f"{manifest.id}: {data} is damaged: {what}",
            "bring it back (a disk that is not mounted, a backup), or give the data up with"
            f" `pgherd destroy {manifest.id}`",
        )

    async def _begin_anew(self, manifest: DatabaseManifest) -> None:
        """Nothing is left of a database that was never made to its end, in etcd neither."""
        id = manifest.id
        self._supervisor.adopt(_by_name(programs.of_database(self._layout, manifest)))
        for instance in manifest.instances:
            await self._stop_instance(id, instance, at_once=True)
            await end_all(self._layout.data(id, instance.number))
            leftovers.end_helpers(self._layout.instance(id, instance.number))
        kept = self._layout.kept(id)
        if kept.exists():
            log.warning("%s was interrupted while it was made: begun anew", id)
            await asyncio.to_thread(shutil.rmtree, kept)
        await self._environments.client(id.environment).delete(patroni.scope_prefix(id.service))
        if cluster := self._clusters.get(id):
            cluster.begin_anew()

    async def forget(self, id: DatabaseId) -> None:
        """Nothing is left in etcd of one that does not run; InputError where it does."""
        if id in self._clusters:
            raise InputError(f"{id} runs", f"stop it with `pgherd down {id}`")
        await self._environments.client(id.environment).delete(patroni.scope_prefix(id.service))

    async def exchange(self, id: DatabaseId, number: int, *, is_undo: bool) -> bool:
        """An instance has other data, and the others none; whether what it had is kept.

        Nothing of it runs then but its pooler, where it did, for clients wait there.
        """
        async with self._converging.setdefault(id, asyncio.Lock()):
            manifest = read_database(self._layout, id)
            if manifest is None:
                raise InputError(f"{id} does not exist here", "run `pgherd up`")
            pooler = self._supervisor.process(programs.pooler_name(id))
            cluster = self._clusters.get(id)
            try:
                if cluster and pooler:
                    self._tasks.end(id)
                    self._tasks.keep(("held", id), partial(self._hold_no_longer, id))
                    async with held(cluster, pooler):
                        await self._end_servers(cluster, number)
                elif cluster:
                    await self._stop_unwanted(cluster, None)
                else:
                    await self._stop_left_over(programs.of_database(self._layout, manifest))
                await self.forget(id)
                kept = {i.number: self._layout.kept_by(id, i.number) for i in manifest.instances}
                change = partial(exchanged, kept.pop(number), kept.values(), is_undo=is_undo)
                return await asyncio.to_thread(change)
            except BaseException:
                self._tasks.end(("held", id))
                await self._supervisor.stop(programs.pooler_name(id))
                raise

    async def _end_servers(self, cluster: Cluster, kept: int) -> None:
        """All of its instances, well where what they have is kept, or nobody else has all of it."""
        id = cluster.id
        leader = cluster.seen.leader.name if cluster.seen.leader else None
        instances = cluster.manifest.instances
        well = [
            i for i in instances if i.number == kept or i == cluster.manifest.numbered(leader or "")
        ]
        for instance in instances:
            if instance not in well:
                await self._stop_instance(id, instance, at_once=True)
                await cluster.servers.end_all(instance.number)
        await asyncio.gather(*(self._stop_instance(id, instance) for instance in well))
        self._tasks.end(("begin", id))
        await cluster.close()
        del self._clusters[id]

    async def _hold_no_longer(self, id: DatabaseId) -> None:
        """Clients whom nobody comes to let go are told so after a while."""
        await asyncio.sleep(HOLD_SECONDS)
        await self._supervisor.stop(programs.pooler_name(id))

    async def _stop_left_over(self, unwanted: Iterable[Program]) -> None:
        """Stop what an earlier agent started and did not live to stop."""
        left = self._supervisor.adopt(_by_name(unwanted))
        await asyncio.gather(*(self._supervisor.stop(name) for name in left))

    def _ensure(self, manifest: DatabaseManifest) -> None:
        id = manifest.id
        cluster = self._clusters.get(id)
        self._tasks.end(("held", id))
        make_room(self._layout, manifest)
        if cluster is None:
            etcd = self._environments.client(id.environment)
            tls = self._environments.tls(id.environment)
            cluster = Cluster(
                self._layout, manifest, self._supervisor, self._owner, tls, etcd, self._record
            )
            self._clusters[id] = cluster
            self._tasks.keep(id, Acting(cluster, self._supervisor, etcd).run)
            self._environments.teach(cluster)
        else:
            cluster.want(manifest)
        wanted = _by_name(programs.of_database(self._layout, manifest))
        runs = self._supervisor.adopt(wanted) | (wanted.keys() & self._supervisor.names())
        instances = {programs.patroni_name(id, i.number) for i in manifest.instances}
        is_begun = bool(runs & instances) and not self._tasks.is_busy(("begin", id))
        if is_begun or len(manifest.instances) == 1 or not whole.is_made(self._layout.kept(id)):
            self._supervisor.want(wanted)
        else:
            self._tasks.keep(("begin", id), partial(self._begin, cluster, wanted))
        cluster.look()

    async def _begin(self, cluster: Cluster, wanted: Mapping[str, Program]) -> None:
        """Start all, once it is known whether etcd knows who led.

        Where it does not, the instance with the newest data is the first, and leads.
        """
        id = cluster.id
        self._supervisor.want({name: wanted[name] for name in [programs.pooler_name(id)]})
        await cluster.until(lambda seen: seen.is_current)
        numbers = [instance.number for instance in cluster.manifest.instances]
        first = None if cluster.keys.are_there else newest(self._layout.kept(id), numbers)
        if first is not None:
            log.warning("etcd knows nothing of %s: instance %d, the newest, leads", id, first)
            name = programs.patroni_name(id, first)
            self._supervisor.want({name: wanted[name]})
            await cluster.until(lambda seen: seen.serving is not None)
        self._supervisor.want(wanted)

    async def _stop_unwanted(self, cluster: Cluster, wanted: DatabaseManifest | None) -> None:
        """Stop the pooler, the replicas, then the primary, so that no replica takes over."""
        id = cluster.id
        kept = {i.number for i in wanted.instances} if wanted else set()
        going = [i for i in cluster.manifest.instances if i.number not in kept]
        if wanted is None:
            await self._supervisor.stop(programs.pooler_name(id))
        leader = cluster.manifest.numbered(cluster.seen.leader.name if cluster.seen.leader else "")
        if wanted is not None and going:
            await _drain(cluster, going)
        stopping = asyncio.gather(*(self._stop_instance(id, i) for i in going if i != leader))
        while not (await asyncio.wait([stopping], timeout=WAKE_SECONDS))[0]:
            # A synchronous replica waits until its primary lets it go.
            cluster.wake_primary()
        stopping.result()
        if leader and leader in going:
            await self._stop_instance(id, leader)
        if wanted is None:
            left = [n for n in self._supervisor.names() if programs.database_of(n) == id]
            await asyncio.gather(*(self._supervisor.stop(name) for name in left))
            self._tasks.end(id)
            self._tasks.end(("begin", id))
            await cluster.close()
            del self._clusters[id]

    async def _stop_instance(
        self, id: DatabaseId, instance: InstanceManifest, *, at_once: bool = False
    ) -> None:
        if cluster := self._clusters.get(id):
            cluster.forget(instance.number)
        await self._supervisor.stop(programs.patroni_name(id, instance.number), at_once=at_once)


async def _drain(cluster: Cluster, going: Collection[InstanceManifest]) -> None:
    """Send no reader to these any more, and wait, not for ever, until those there have left."""
    names = {cluster.manifest.instance_name(instance.number) for instance in going}
    cluster.send_no_reader_to(names)
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(DRAIN_SECONDS):
            await cluster.until(
                lambda seen: not (seen.pooler.loaded and seen.pooler.loaded.replicas & names)
            )
            addresses = {instance.address for instance in going}
            while True:
                if not await cluster.console.servers_at(addresses):
                    return
                await asyncio.sleep(DRAIN_LOOK_SECONDS)


def _by_name(found: Iterable[Program]) -> dict[str, Program]:
    return {program.name: program for program in found}
