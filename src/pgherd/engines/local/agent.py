"""The agent: the one process of pgherd that stays. It belongs to the data plane.

It starts what the manifests want and keeps it running (supervisor), watches each environment's
etcd, lets poolers follow their primaries (cluster), and fences primaries that died (watchdog).
It decides nothing about the fleet. When it dies, everything runs on; a keeper starts the next
one, which adopts it all.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import json
import logging
import os
import shutil
import signal
import ssl
import sys
import time
from collections.abc import Awaitable, Callable, Collection, Iterable
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from pgherd.engines.local import (
    certificates,
    etcd,
    identity,
    leftovers,
    patroni,
    pooler,
    postgres,
    processes,
    programs,
    rpc,
    served,
    whole,
)
from pgherd.engines.local.cluster import Cluster, fence
from pgherd.engines.local.etcd_client import EtcdClient, KeyValue, operator_tls
from pgherd.engines.local.layout import Layout, data_plane_owner
from pgherd.engines.local.manifest import (
    DatabaseManifest,
    EnvironmentManifest,
    InstanceManifest,
    read_database,
    read_databases,
    read_environment,
    read_environments,
)
from pgherd.engines.local.patroni_api import ask, wake
from pgherd.engines.local.prognosis import Prognosis, check_environment
from pgherd.engines.local.settings import settled
from pgherd.engines.local.supervisor import Program, Supervisor
from pgherd.engines.local.switching import switch
from pgherd.engines.local.watchdog import Watchdog
from pgherd.errors import InputError, NeedsHuman, TryLater
from pgherd.files import ensure_directory, write
from pgherd.fleet.desired import DatabaseId

log = logging.getLogger(__name__)

SETTLE_SECONDS = 30.0
PROGNOSIS_SECONDS = 1.0
PAUSE_SECONDS = 0.2
"""Between an agent that was killed and the next."""
DUE_SECONDS = 60.0
REFRESH_LOOKS = 10
"""Who serves an old certificate is told again after so many looks, 0.2 s apart."""
EXAMINE_SECONDS = 1.0
EXAMINE_ROUNDS = 30
"""Primaries are asked for their replicas in each round of so many, in each while one is lost.

In the others it is looked whether a reader holds up the service that it shares a server with."""


class Agent:
    """All of one fleet on this machine."""

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self.owner = data_plane_owner()
        self.supervisor = Supervisor()
        self.environments: dict[str, EnvironmentManifest] = {}
        self.clusters: dict[DatabaseId, Cluster] = {}
        self.etcds: dict[str, EtcdClient] = {}
        self.seen: set[str] = set()
        """The environments whose etcd is being watched right now."""
        self._begun_anew: set[str] = set()
        """The environments whose etcd was, once."""
        self._keys: dict[str, dict[str, KeyValue]] = {}
        self._tls: dict[str, ssl.SSLContext] = {}
        self._tasks: dict[object, asyncio.Task[None]] = {}
        self._due: dict[str, tuple[float, bool]] = {}
        self._converging: dict[DatabaseId, asyncio.Lock] = {}
        self._watchdog = Watchdog(layout, self.supervisor, self.clusters, self.etcds)
        self._version = rpc.version()
        self._leaving = asyncio.Event()
        self._stack = AsyncExitStack()

    async def run(self, ready: Callable[[], None]) -> None:
        """Work until asked to leave; `ready` is called once others can ask."""
        processes.become_subreaper()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._leaving.set)
        loop.add_signal_handler(signal.SIGCHLD, processes.reap)
        async with self._stack:
            for environment in list(read_environments(self.layout)):
                await self.converge_environment(environment.name)
            for database in list(read_databases(self.layout)):
                await self._resume(database)
            handlers: dict[str, rpc.Handler] = {
                "ping": self.ping,
                "converge_environment": self.converge_environment,
                "converge_database": self.converge_database,
                "mend_environment": self.mend_environment,
                "wait_for_environment": self.wait_for_environment,
                "status": self.status,
                "certificates_due": self.certificates_due,
                "wait": self.wait,
                "switchover": self.switchover,
                "reload": self.reload,
                "refresh": self.refresh,
                "configure": self.configure,
                "restart": self.restart,
                "leave": self.leave,
            }
            server = await rpc.serve(self.layout.agent_socket, handlers)
            for name, work in (("watchdog", self._watchdog.run), ("examine", self._examine)):
                self._keep(name, work)
            log.info("agent %s runs", self._version)
            ready()
            await self._leaving.wait()
            server.close()
            for task in self._tasks.values():
                task.cancel()
            self.supervisor.close()

    # What others ask for

    async def ping(self) -> dict[str, Any]:
        """Which agent this is."""
        return {"pid": os.getpid(), "version": self._version}

    async def leave(self) -> None:
        """End; everything runs on."""
        self._leaving.set()

    async def converge_environment(self, environment: str) -> None:
        """Run, or stop, an environment's etcd as its manifest wants."""
        manifest = read_environment(self.layout, environment)
        if manifest and manifest.running:
            await self._ensure_environment(manifest)
        elif environment in self.environments:
            await self._drop_environment(environment)
        elif manifest:
            program = programs.of_environment(self.layout, manifest)
            await self._stop_left_over([program])

    async def converge_database(self, database: str) -> None:
        """Run, or stop, a database's pooler and instances as its manifest wants.

        One that was interrupted while it was made is made anew.
        """
        id = DatabaseId.parse(database)
        async with self._converging.setdefault(id, asyncio.Lock()):
            manifest = read_database(self.layout, id)
            wanted = manifest if manifest and manifest.running else None
            if cluster := self.clusters.get(id):
                await self._stop_unwanted(cluster, wanted)
                # What serves beside a new replica is from now on reached by another list of hosts.
                if wanted and 1 < len(cluster.manifest.instances) < len(wanted.instances):
                    await self.refresh(database, SETTLE_SECONDS)
            elif manifest and not wanted:
                await self._stop_left_over(programs.of_database(self.layout, manifest))
            if wanted:
                if self._is_half_made(wanted):
                    await self._begin_anew(wanted)
                elif not whole.has_data(self.layout.kept(id)):
                    raise self._lost(wanted)
                self._ensure_database(wanted)

    async def _resume(self, manifest: DatabaseManifest) -> None:
        """Go on with a database as an earlier agent left it; one half made awaits a command."""
        if not manifest.running:
            await self._stop_left_over(programs.of_database(self.layout, manifest))
            return
        runs = self.supervisor.adopt(_by_name(programs.of_database(self.layout, manifest)))
        if runs or whole.has_data(self.layout.kept(manifest.id)):
            self._ensure_database(manifest)

    def _is_half_made(self, manifest: DatabaseManifest) -> bool:
        """Whether nothing of it is whole, and nothing that is there may turn out to be."""
        if manifest.made:
            return False
        cluster = self.clusters.get(manifest.id)
        is_known = cluster is not None and cluster.is_half_made
        return is_known or not whole.may_be_made(self.layout.kept(manifest.id))

    def _lost(self, manifest: DatabaseManifest) -> NeedsHuman:
        """It has served, and there is no data that a server can start with."""
        data = self.layout.data(manifest.id, manifest.instances[0].number)
        what = f"{postgres.damage(data)} cannot be read" if data.is_dir() else "it is not there"
        return NeedsHuman(
            f"{manifest.id}: {data} is damaged: {what}",
            "bring it back (a disk that is not mounted, a backup), or give the data up with"
            f" `pgherd destroy {manifest.id}`",
        )

    async def _begin_anew(self, manifest: DatabaseManifest) -> None:
        """Nothing is left of a database that was never made to its end, in etcd neither."""
        id = manifest.id
        self.supervisor.adopt(_by_name(programs.of_database(self.layout, manifest)))
        for instance in manifest.instances:
            await self._stop_instance(id, instance, at_once=True)
            await fence(self.layout.data(id, instance.number))
            leftovers.end_helpers(self.layout.instance(id, instance.number))
        kept = self.layout.kept(id)
        if kept.exists():
            log.warning("%s was interrupted while it was made: begun anew", id)
            await asyncio.to_thread(shutil.rmtree, kept)
        await self.etcds[id.environment].delete(patroni.scope_prefix(id.service))
        if cluster := self.clusters.get(id):
            cluster.is_half_made = False

    async def mend_environment(self, environment: str) -> None:
        """Begin an etcd anew that has never served; NeedsHuman where it will not run by itself.

        One that was killed while it made its data answers nobody, for ever.
        """
        manifest = self.environments.get(environment)
        if manifest is None:
            return
        is_empty = not any(d.environment == environment for d in read_databases(self.layout))
        if is_empty and environment not in self.seen | self._begun_anew:
            self._begun_anew.add(environment)
            log.warning("etcd of %s was interrupted while it was made: begun anew", environment)
            await self.supervisor.stop(programs.etcd_name(environment), at_once=True)
            data = self.layout.etcd_data(environment)
            await asyncio.to_thread(shutil.rmtree, data, ignore_errors=True)
            await self._ensure_environment(manifest)
            return
        check_environment(self.layout, manifest, self.supervisor)

    async def wait_for_environment(self, environment: str, seconds: float) -> bool:
        """Wait until an environment's etcd is watched; whether it is."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + seconds
        while loop.time() < deadline:
            if environment in self.seen:
                return True
            await asyncio.sleep(0.02)
        return False

    async def _stop_left_over(self, unwanted: Iterable[Program]) -> None:
        """Stop what an earlier agent started and did not live to stop."""
        left = self.supervisor.adopt(_by_name(unwanted))
        await asyncio.gather(*(self.supervisor.stop(name) for name in left))

    async def status(self) -> dict[str, Any]:
        """All that the agent sees, for `LocalEngine.observe`."""
        clusters = list(self.clusters.values())
        looks = [cluster.read_revision() for cluster in clusters]
        looks += [cluster.examine() for cluster in clusters if len(cluster.manifest.instances) > 1]
        await asyncio.gather(*looks, return_exceptions=True)
        return {
            "environments": {name: name in self.seen for name in self.environments},
            "databases": {str(id): self._database_status(id) for id in self.clusters},
            "due": [name for name in self.environments if await self.certificates_due(name)],
        }

    async def certificates_due(self, environment: str) -> bool:
        """Whether a certificate of an environment is to be renewed; looked at once a minute."""
        now = time.monotonic()
        known = self._due.get(environment)
        if known is None or now - known[0] > DUE_SECONDS:
            found = certificates.of_environment(self.layout, self.environments[environment])
            is_due = any(c.due_at is not None and c.due_at < datetime.now(UTC) for c in found)
            known = self._due[environment] = (now, is_due)
        return known[1]

    async def wait(self, database: str, condition: str, seconds: float) -> bool:
        """Wait until a database is so; whether it is.

        `led`: its pooler reaches a primary that takes writes. `complete`: and all replicas stream.
        `durable`: and all of them count for synchronous commits. Raises NeedsHuman as soon as
        waiting is in vain.
        """
        cluster = self._cluster(database)
        loop = asyncio.get_running_loop()
        deadline = loop.time() + seconds
        prognosis = Prognosis(self.layout, cluster, self.supervisor)
        next_check = loop.time()
        while loop.time() < deadline:
            if loop.time() >= next_check:
                await prognosis.check()
                next_check = loop.time() + PROGNOSIS_SECONDS
            if cluster.routed and cluster.routed == cluster.leader:
                if await self._is(cluster, condition):
                    return True
                await asyncio.sleep(0.2)
            await asyncio.sleep(0.02)
        return False

    async def switchover(self, database: str, target: str | None, *, forced: bool = False) -> str:
        """Let another instance lead; clients wait in the pooler meanwhile. Its name."""
        return await switch(self._cluster(database), target, forced=forced)

    async def reload(self, database: str, seconds: float) -> bool:
        """Let a database's programs read their configuration and certificates; whether all have."""
        cluster = self._cluster(database)
        everything = {p.name for p in programs.of_database(self.layout, cluster.manifest)}
        await self._tell_to_reload(cluster, everything)
        return await settled(cluster, seconds)

    async def refresh(self, database: str, seconds: float) -> bool:
        """Let a database's programs serve the certificates that lie on disk; whether all do."""
        cluster = self._cluster(database)
        self._due.pop(cluster.manifest.environment, None)
        loop = asyncio.get_running_loop()
        deadline = loop.time() + seconds
        looks = 0
        while stale := await served.stale(self.layout, cluster.manifest):
            if loop.time() > deadline:
                return False
            if looks % REFRESH_LOOKS == 0:
                await self._tell_to_reload(cluster, stale)
            looks += 1
            await asyncio.sleep(0.2)
        return True

    async def _tell_to_reload(self, cluster: Cluster, names: Collection[str]) -> None:
        id = cluster.manifest.id
        for name in names:
            self.supervisor.signal(name, signal.SIGHUP)
        for instance in cluster.manifest.instances:
            if programs.patroni_name(id, instance.number) in names:
                await wake(cluster, cluster.manifest.instance_name(instance.number))

    async def configure(self, database: str, configuration: dict[str, Any]) -> None:
        """Change what all instances of a database share (Patroni's dynamic configuration)."""
        cluster = self._cluster(database)
        if cluster.leader is None:
            raise TryLater(f"{database} has no primary")
        await ask(cluster, cluster.leader, "PATCH", "config", configuration)

    async def restart(self, database: str, instance: str) -> None:
        """Restart PostgreSQL of one instance, if its settings wait for that."""
        cluster = self._cluster(database)
        if cluster.manifest.numbered(instance) is None:
            raise InputError(f"{instance} is not an instance of {database}", "see `pgherd status`")
        if cluster.member(instance).get("pending_restart"):
            await ask(cluster, instance, "POST", "restart", {"restart_pending": True})
            await settled(cluster, SETTLE_SECONDS)

    # Environments and databases

    async def _ensure_environment(self, manifest: EnvironmentManifest) -> None:
        program = programs.of_environment(self.layout, manifest)
        ensure_directory(Path(program.start.log).parent)
        self.supervisor.want({program.name: program})
        if self.environments.get(manifest.name) == manifest:
            place = identity.operator_place(self.layout, manifest.name)
            self._tls[manifest.name].load_cert_chain(place.certificate, place.key)
            return
        self.environments[manifest.name] = manifest
        self._tls[manifest.name] = operator_tls(self.layout, manifest.name)
        client = EtcdClient(etcd.url(manifest), self._tls[manifest.name])
        self.etcds[manifest.name] = await self._stack.enter_async_context(client)
        self._keep(manifest.name, partial(self._watch, manifest.name))

    async def _drop_environment(self, name: str) -> None:
        self._tasks.pop(name).cancel()
        await self.etcds.pop(name).__aexit__(None, None, None)
        self.seen.discard(name)
        del self.environments[name]
        await self.supervisor.stop(programs.etcd_name(name))

    def _ensure_database(self, manifest: DatabaseManifest) -> None:
        cluster = self.clusters.get(manifest.id)
        if cluster is None:
            tls = self._tls[manifest.environment]
            cluster = Cluster(self.layout, manifest, self.supervisor, self.owner, tls)
            self.clusters[manifest.id] = cluster
            self._keep(manifest.id, cluster.follow)
            self._keep(("welcome", manifest.id), partial(self._welcome, cluster))
            self._teach(cluster)
        cluster.manifest = manifest
        self._make_room(manifest)
        self.supervisor.want(_by_name(programs.of_database(self.layout, manifest)))
        cluster.touch()

    def _make_room(self, manifest: DatabaseManifest) -> None:
        """The folders that its programs write to, and a pooler's routes, which lead nowhere yet."""
        id, layout = manifest.id, self.layout
        ensure_directory(layout.database_log(id))
        ensure_directory(layout.pooler_socket_folder(id))
        for instance in manifest.instances:
            ensure_directory(layout.kept_by(id, instance.number))
            ensure_directory(layout.socket_folder(id, instance.number))
        if not layout.routes(id).exists():
            write(layout.routes(id), pooler.databases(manifest, pooler.Route(None)))

    async def _stop_unwanted(self, cluster: Cluster, wanted: DatabaseManifest | None) -> None:
        """Stop the pooler, the replicas, then the primary, so that no replica takes over."""
        id = cluster.manifest.id
        kept = {i.number for i in wanted.instances} if wanted else set()
        going = [i for i in cluster.manifest.instances if i.number not in kept]
        if wanted is None:
            await self.supervisor.stop(programs.pooler_name(id))
        leader = cluster.manifest.numbered(cluster.leader or "")
        replicas = [self._stop_instance(id, i) for i in going if i != leader]
        stopping = asyncio.gather(*replicas)
        while not (await asyncio.wait([stopping], timeout=0.5))[0]:
            await wake(cluster)  # a synchronous replica waits until its primary lets it go
        stopping.result()
        if leader and leader in going:
            await self._stop_instance(id, leader)
        if wanted is None:
            for key in (id, ("welcome", id)):
                self._tasks.pop(key).cancel()
            await cluster.end_session()
            del self.clusters[id]

    async def _stop_instance(
        self, id: DatabaseId, instance: InstanceManifest, *, at_once: bool = False
    ) -> None:
        self._watchdog.forget(id, instance.number)
        await self.supervisor.stop(programs.patroni_name(id, instance.number), at_once=at_once)

    # Watching

    def _keep(self, key: object, work: Callable[[], Awaitable[None]]) -> None:
        """Do this work in a task of its own; when it fails, say so and begin it again."""
        self._tasks[key] = asyncio.get_running_loop().create_task(_steadily(work))

    async def _watch(self, environment: str) -> None:
        client = self.etcds[environment]
        prefix = patroni.scope_prefix()
        while True:
            try:
                revision, keys = await client.range(prefix)
                self._keys[environment] = {key.key: key for key in keys}
                for known in self.clusters.values():
                    if known.manifest.environment == environment:
                        self._teach(known)
                self.seen.add(environment)
                async for events in client.watch(prefix, revision + 1):
                    self._keys[environment].update({event.key: event for event in events})
                    for service in {_service(event.key) for event in events}:
                        if cluster := self.clusters.get(DatabaseId(environment, service)):
                            cluster.update([e for e in events if _service(e.key) == service])
            except TryLater as error:
                if environment in self.seen:
                    log.warning("%s: %s", environment, error)
                self.seen.discard(environment)
                await asyncio.sleep(0.2)

    def _teach(self, cluster: Cluster) -> None:
        """Let a cluster know what etcd is known to hold of it."""
        id = cluster.manifest.id
        prefix = patroni.scope_prefix(id.service)
        known = self._keys.get(id.environment, {}).values()
        cluster.learn([key for key in known if key.key.startswith(prefix)])

    async def _examine(self) -> None:
        rounds = 0
        while True:
            await asyncio.sleep(EXAMINE_SECONDS)
            rounds += 1
            is_round = rounds % EXAMINE_ROUNDS == 0
            clusters = list(self.clusters.values())
            looks = [
                cluster.examine() if is_round or cluster.is_short else cluster.guard()
                for cluster in clusters
            ]
            if is_round:
                looks += [cluster.guard_replicas() for cluster in clusters]
            await asyncio.gather(*looks, return_exceptions=True)

    # Details

    def _cluster(self, database: str) -> Cluster:
        cluster = self.clusters.get(DatabaseId.parse(database))
        if cluster is None:
            raise InputError(f"{database} does not run here", "run `pgherd up`")
        return cluster

    def _database_status(self, id: DatabaseId) -> dict[str, Any]:
        cluster = self.clusters[id]
        return {
            "leader": cluster.leader,
            "routed": cluster.routed,
            "schema_revision": cluster.schema_revision,
            "synchronous": sorted(cluster.synchronous_replicas),
            "pooler": self.supervisor.pid(programs.pooler_name(id)) is not None,
            "instances": {
                name: {
                    "process": self.supervisor.pid(programs.patroni_name(id, instance.number)),
                    "member": cluster.member(name),
                    "replication": seen.state if (seen := cluster.replication.get(name)) else None,
                    "lag_bytes": seen.lag_bytes if seen else None,
                }
                for instance in cluster.manifest.instances
                for name in [cluster.manifest.instance_name(instance.number)]
            },
        }

    async def _is(self, cluster: Cluster, condition: str) -> bool:
        if condition == "led":
            return True
        if any(cluster.member(name).get("state") != "running" for name in cluster.replicas):
            return False
        try:
            await cluster.examine()
        except TryLater:
            return False
        if not cluster.replicas <= cluster.streaming:
            return False
        if condition == "complete" or cluster.replicas <= cluster.synchronous_replicas:
            return True
        await wake(cluster)
        return False

    async def _welcome(self, cluster: Cluster) -> None:
        """Wake the primary for each instance that joins: it needs a replication slot there."""
        while True:
            await cluster.arrivals.wait()
            cluster.arrivals.clear()
            await wake(cluster)


def _by_name(found: Iterable[Program]) -> dict[str, Program]:
    return {program.name: program for program in found}


def _service(key: str) -> str:
    return key.removeprefix(patroni.scope_prefix()).partition("/")[0]


async def _steadily(work: Callable[[], Awaitable[None]]) -> None:
    while True:
        try:
            return await work()
        except Exception:
            log.exception("a task of the agent failed: it begins again")
            await asyncio.sleep(1)


def main(root: str) -> None:
    """Leave an agent behind for the fleet whose state is below `root`; exit 1 when that fails.

    A keeper stays with it, which starts another one when it is killed. What went wrong before it
    has opened its log is on standard error.
    """
    layout = Layout(Path(root))
    _write_to(layout.log / "agent.log")
    reader, writer = os.pipe()
    if os.fork():
        os.close(writer)
        os._exit(0 if os.read(reader, 1) else 1)
    os.close(reader)
    os.setsid()
    logging.basicConfig(
        format="%(asctime)s %(levelname)s %(message)s", level=logging.INFO, stream=sys.stderr
    )
    processes.become_subreaper()
    while (agent := os.fork()) != 0:
        if os.waitstatus_to_exitcode(_wait_for(agent)) >= 0:
            return
        log.error("the agent (process %d) was killed: starting another", agent)
        time.sleep(PAUSE_SECONDS)
    _become_agent(layout, writer)


def _write_to(log: Path) -> None:
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    os.close(descriptor)


def _wait_for(child: int) -> int:
    """The status that `child` ends with; orphans that come here are reaped on the way."""
    while True:
        pid, status = os.wait()
        if pid == child:
            return status


def _become_agent(layout: Layout, writer: int) -> None:
    def ready() -> None:
        with contextlib.suppress(OSError):  # whoever waited for the first agent is gone
            os.write(writer, b".")

    with (layout.run / "agent.lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            sys.exit("another agent runs this fleet")
        lock.truncate(0)  # only now: it names the agent that holds it
        lock.write(json.dumps({"pid": os.getpid()}))
        lock.flush()
        asyncio.run(Agent(layout).run(ready))


if __name__ == "__main__":
    main(sys.argv[1])
