"""The agent: the one process of pgherd that stays. It belongs to the data plane.

It starts what the manifests want and keeps it running (supervisor), watches each environment's
etcd, lets poolers follow their primaries and fences primaries that died (cluster, core). It decides
nothing about the fleet. When it dies, everything runs on; a keeper starts the next one, which
adopts it all.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
from collections.abc import Callable
from contextlib import AsyncExitStack
from functools import partial
from typing import Any

from pgherd.engines.local import door, patroni, processes, programs, rpc
from pgherd.engines.local.agent import serving
from pgherd.engines.local.agent.cluster import Cluster
from pgherd.engines.local.agent.condition import Condition, is_so
from pgherd.engines.local.agent.databases import Databases
from pgherd.engines.local.agent.disks import Reserve
from pgherd.engines.local.agent.environments import Environments
from pgherd.engines.local.agent.forks import Forks
from pgherd.engines.local.agent.freshness import Freshness
from pgherd.engines.local.agent.heir import heir, require_instance
from pgherd.engines.local.agent.meter import Meter
from pgherd.engines.local.agent.prognosis import Prognosis
from pgherd.engines.local.agent.record import Record
from pgherd.engines.local.agent.rounds import look_around
from pgherd.engines.local.agent.supervisor import Supervisor
from pgherd.engines.local.agent.tasks import Tasks, quietly
from pgherd.engines.local.agent.watchers import Watchers, begin_keeper, end_left_over
from pgherd.engines.local.layout import Layout, data_plane_owner
from pgherd.engines.local.manifest import read_databases, read_environment, read_environments
from pgherd.errors import TryLater
from pgherd.fleet.desired import DatabaseId

log = logging.getLogger(__name__)

SETTLE_SECONDS = 30.0
PROGNOSIS_SECONDS = 1.0
DOOR_SECONDS = 1.0
STATUS_SECONDS = 3.0
"""How long databases are asked for what is not known of them, before it is said without it."""


class Agent:
    """All of one fleet on this machine."""

    def __init__(self, layout: Layout, keeper: int, connection: socket.socket) -> None:
        """`connection` is with its keeper, the process `keeper`."""
        self.layout = layout
        self.clusters: dict[DatabaseId, Cluster] = {}
        self.watchers = Watchers()
        self._keeper = (keeper, connection)
        self._forks = Forks(layout.root, self.watchers)
        self.supervisor = Supervisor(self._forks, self._program_changed)
        self._tasks = Tasks()
        record = Record()
        self._meter = Meter(layout, self.clusters, record)
        self._leaving = asyncio.Event()
        self._door: asyncio.Server | None = None
        self._stack = AsyncExitStack()
        self.environments = Environments(
            layout, self.supervisor, self.clusters, self._tasks, self._stack
        )
        self.databases = Databases(
            layout,
            data_plane_owner(),
            self.supervisor,
            self.environments,
            self.clusters,
            self._tasks,
            record,
        )

    async def run(self, ready: Callable[[], None]) -> None:
        """Work until asked to leave; `ready` is called once others can ask."""
        processes.become_subreaper()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._leaving.set)
        loop.add_signal_handler(signal.SIGCHLD, processes.reap)
        begin = partial(begin_keeper, self.layout.root, self.watchers)
        self.watchers.add("keeper", *self._keeper, begin)
        self._tasks.keep("watchers", self.watchers.run)
        self._tasks.keep("left over", partial(end_left_over, self.layout.root))
        async with self._stack:
            self._forks.begin()
            for environment in list(read_environments(self.layout)):
                await self._converge_environment(environment.name)
            for database in list(read_databases(self.layout)):
                await self.databases.resume(database)
            await self._listen()
            look = partial(
                look_around,
                self.layout,
                self.supervisor,
                self.clusters,
                self.environments,
            )
            self._tasks.keep("rounds", look)
            self._tasks.keep("door", self._keep_door)
            freshness = Freshness(self.layout, self.supervisor, self.environments, self.clusters)
            self._tasks.keep("freshness", freshness.run)
            self._tasks.keep("meter", self._meter.run)
            self._tasks.keep("reserve", Reserve(self.layout.run / "reserve").run)
            log.info("agent %s runs", rpc.version())
            self.watchers.tell_ready()
            ready()
            await self._leaving.wait()
            self.watchers.tell_leave()
            self._close_door()
            self._tasks.end_all()
            self.supervisor.close()

    async def _listen(self) -> None:
        self._door = await rpc.serve(self.layout.agent_socket, self._handlers())

    def _close_door(self) -> None:
        if self._door:
            self._door.close()

    async def _keep_door(self) -> None:
        """Listen again where somebody has removed the socket."""
        while True:
            await asyncio.sleep(DOOR_SECONDS)
            if not self.layout.agent_socket.exists():
                log.warning("the agent's socket is gone: it listens again")
                self._close_door()
                await self._listen()

    def _program_changed(self, name: str) -> None:
        id = programs.database_of(name)
        if id and (cluster := self.clusters.get(id)):
            cluster.touch()

    # What others ask for

    def _handlers(self) -> dict[type[door.Request[Any]], rpc.Handler]:
        return {
            door.Ping: self.ping,
            door.Leave: self.leave,
            door.Observe: self.observe,
            door.Measure: self._meter.answer,
            door.LookAt: self._meter.look_at,
            door.CommittedUntil: self._meter.committed_until,
            door.ConvergeEnvironment: self.converge_environment,
            door.MendEnvironment: self.mend_environment,
            door.Forget: self.forget,
            door.Exchange: self.exchange,
            door.AwaitEnvironment: self.await_environment,
            door.ConvergeDatabase: self.converge_database,
            door.AwaitDatabase: self.await_database,
            door.Configure: self.configure,
            door.Restart: self.restart,
            door.Reload: self.reload,
            door.ServeCertificates: self.serve_certificates,
            door.SwitchOver: self.switch_over,
        }

    async def ping(self, _: door.Ping) -> door.AgentInfo:
        """Say who this is."""
        return door.AgentInfo(os.getpid(), rpc.version())

    async def leave(self, _: door.Leave) -> None:
        """End; everything runs on."""
        self._leaving.set()

    async def observe(self, asked: door.Observe) -> door.FleetStatus:
        """Say how everything is; who does not answer soon is told of as it was last seen."""
        clusters = list(self.clusters.values())
        looks = [cluster.read_revision() for cluster in clusters]
        looks += [c.examine() for c in clusters if len(c.manifest.instances) > 1]
        if tasks := [asyncio.create_task(quietly(look)) for look in looks]:
            _, late = await asyncio.wait(tasks, timeout=STATUS_SECONDS)
            for task in late:
                task.cancel()
        environments = self.environments
        return door.FleetStatus(
            environments={name: name in environments.watched for name in environments.manifests},
            databases={str(id): _status(cluster) for id, cluster in self.clusters.items()},
            due=environments.due(),
        )

    async def converge_environment(self, asked: door.ConvergeEnvironment) -> None:
        """Run an environment's etcd, or stop it."""
        await self._converge_environment(asked.environment)

    async def _converge_environment(self, name: str) -> None:
        manifest = read_environment(self.layout, name)
        if manifest and manifest.running:
            await self.environments.ensure(manifest)
        elif name in self.environments.manifests:
            await self.environments.drop(name)
        elif manifest:
            both = (
                programs.of_environment(self.layout, manifest),
                programs.of_archive(self.layout, manifest),
            )
            for left in self.supervisor.adopt(
                {program.name: program for program in both if program}
            ):
                await self.supervisor.stop(left)

    async def forget(self, asked: door.Forget) -> None:
        """Nothing of it is left in etcd."""
        await self.databases.forget(DatabaseId.parse(asked.database))

    async def exchange(self, asked: door.Exchange) -> bool:
        """Other data, while clients wait."""
        id = DatabaseId.parse(asked.database)
        return await self.databases.exchange(id, asked.number, is_undo=asked.is_undo)

    async def mend_environment(self, asked: door.MendEnvironment) -> None:
        """Begin its etcd anew, where it will not run otherwise."""
        manifests = read_databases(self.layout)
        is_empty = not any(d.environment == asked.environment for d in manifests)
        await self.environments.mend(asked.environment, is_empty=is_empty)

    async def await_environment(self, asked: door.AwaitEnvironment) -> bool:
        """Wait until its etcd is watched."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + asked.seconds
        while loop.time() < deadline:
            if asked.environment in self.environments.watched:
                return True
            await asyncio.sleep(0.02)
        return False

    async def converge_database(self, asked: door.ConvergeDatabase) -> None:
        """Run a database's programs, or stop them."""
        await self.databases.converge(DatabaseId.parse(asked.database))

    async def await_database(self, asked: door.AwaitDatabase) -> bool:
        """Wait until it is so, as long as there is hope."""
        cluster = self.databases.cluster(asked.database)
        loop = asyncio.get_running_loop()
        deadline = loop.time() + asked.seconds
        prognosis = Prognosis(self.layout, cluster, self.supervisor)
        next_check = loop.time()
        while loop.time() < deadline:
            if loop.time() >= next_check:
                prognosis.check()
                next_check = loop.time() + PROGNOSIS_SECONDS
            if cluster.seen.serving:
                if await _is_so(cluster, asked.condition):
                    return True
                await asyncio.sleep(0.2)
            await asyncio.sleep(0.02)
        return False

    async def switch_over(self, asked: door.SwitchOver) -> str:
        """Let another instance lead: the target, or the replica that is the least behind."""
        cluster = self.databases.cluster(asked.database)
        leader = cluster.seen.leader.name if cluster.seen.leader else None
        if not asked.forced:
            if leader is None:
                raise TryLater(
                    f"{asked.database} has no primary",
                    f"run `pgherd failover {asked.database}` to force one",
                )
            await cluster.examine()
        target = heir(asked.database, cluster.seen, asked.target)
        if target != leader:
            await cluster.switch(target, forced=asked.forced)
        return target

    async def reload(self, asked: door.Reload) -> bool:
        """Tell all of a database's programs, and look whether they did."""
        cluster = self.databases.cluster(asked.database)
        return await serving.reload(cluster, self.supervisor, asked.seconds)

    async def serve_certificates(self, asked: door.ServeCertificates) -> bool:
        """Tell those that serve old ones, and look whether they did."""
        cluster = self.databases.cluster(asked.database)
        self.environments.forget_certificates(cluster.id.environment)
        return await serving.serve_certificates(cluster, self.supervisor, asked.seconds)

    async def configure(self, asked: door.Configure) -> None:
        """Change Patroni's dynamic configuration, where it is another."""
        cluster = self.databases.cluster(asked.database)
        leader = cluster.manifest.instance_name(cluster.primary.number)
        wanted = patroni.dynamic_configuration(cluster.manifest)
        await cluster.patronis.ask(leader, "PATCH", "config", wanted)

    async def restart(self, asked: door.Restart) -> None:
        """Have Patroni restart PostgreSQL, and wait until it has read everything."""
        cluster = self.databases.cluster(asked.database)
        require_instance(asked.database, cluster.seen, asked.instance)
        if cluster.keys.waiting(asked.instance):
            body = {"restart_pending": True}
            await cluster.patronis.ask(asked.instance, "POST", "restart", body)
            await serving.until_settled(cluster, SETTLE_SECONDS)


async def _is_so(cluster: Cluster, condition: Condition) -> bool:
    """Whether it is, once its primary has been asked; it is woken where that may help."""
    if condition in (Condition.LED, Condition.ASYNCHRONOUS):
        if not is_so(cluster.seen, condition):
            cluster.wake_primary()
        return is_so(cluster.seen, condition)
    if not cluster.seen.replicas <= cluster.seen.running:
        return False
    try:
        await cluster.examine()
    except TryLater:
        return False
    if is_so(cluster.seen, condition):
        return True
    if is_so(cluster.seen, Condition.COMPLETE):
        cluster.wake_primary()
    return False


def _status(cluster: Cluster) -> door.DatabaseStatus:
    seen = cluster.seen
    instances = {}
    for name, instance in seen.instances.items():
        said, replication = cluster.keys.member(name), seen.replication.get(name)
        instances[name] = door.InstanceStatus(
            has_process=instance.patroni is not None,
            has_failed="failed" in str(said.get("state", "")),
            waits_for_restart=bool(cluster.keys.waiting(name)),
            replication=replication.state if replication else None,
            lag_bytes=replication.lag_bytes if replication else None,
        )
    return door.DatabaseStatus(
        leader=seen.leader.name if seen.leader else None,
        serving=seen.serving,
        schema_revision=cluster.schema_revision,
        synchronous=tuple(sorted(seen.synchronous)),
        has_pooler=seen.pooler.process is not None,
        instances=instances,
        client=_client(cluster),
    )


def _client(cluster: Cluster) -> door.ClientStatus | None:
    found = cluster.probe.found
    if found is None:
        return None
    return door.ClientStatus(asyncio.get_running_loop().time() - found.at, found.trouble)
