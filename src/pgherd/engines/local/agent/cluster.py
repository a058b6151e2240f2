"""One database of the agent: sees it, and makes the moves that `core` decides.

`seen` is replaced by whatever happens, here and in nobody else's hands; after each change it is
decided anew. A move that fails is made again after a moment, as long as it is wanted. Nothing here
outlives the agent: a new one looks again.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Iterable
from dataclasses import replace

import psycopg

from pgherd.engines.local import pooler, programs, whole
from pgherd.engines.local.agent.console import Console
from pgherd.engines.local.agent.core import next_moves
from pgherd.engines.local.agent.keys import Keys
from pgherd.engines.local.agent.looks import Looks
from pgherd.engines.local.agent.moves import (
    Ask,
    Checkpoint,
    EndServer,
    Fence,
    GiveBack,
    GiveUp,
    Hasten,
    Hold,
    Look,
    Move,
    Release,
    RestartPatroni,
    Route,
    Settle,
    Wait,
)
from pgherd.engines.local.agent.patroni_api import Patronis
from pgherd.engines.local.agent.seen import Instance, Leader, Seen, Switch, Target
from pgherd.engines.local.agent.servers import Servers
from pgherd.engines.local.agent.supervisor import Supervisor
from pgherd.engines.local.etcd_client import EtcdClient, KeyValue
from pgherd.engines.local.layout import Layout
from pgherd.engines.local.manifest import DatabaseManifest, InstanceManifest
from pgherd.engines.local.processes import Identity
from pgherd.errors import PgherdError, TryLater
from pgherd.files import Owner

log = logging.getLogger(__name__)

AGAIN_SECONDS = 0.1
"""A move that failed is not made again before."""


class Cluster:
    """One database, from the moment when it is wanted until it is not."""

    def __init__(
        self,
        layout: Layout,
        manifest: DatabaseManifest,
        supervisor: Supervisor,
        owner: Owner,
        tls: ssl.SSLContext,
        etcd: EtcdClient,
    ) -> None:
        self.layout = layout
        self.id = manifest.id
        self.seen = Seen({}, must_be_synchronous=manifest.is_synchronous)
        self.schema_revision: str | None = None
        self.looks = Looks(layout, manifest)
        self.patronis = Patronis(manifest, tls)
        self.servers = Servers(layout, manifest.id, self._server_ended)
        self.console = Console(layout, manifest, owner.name)
        self._supervisor = supervisor
        self._etcd = etcd
        self.keys = Keys(manifest.service)
        self._connected_for: str | None = None
        """The revision that connections for transactions were last opened anew for."""
        self._changed = asyncio.Event()
        self._making: dict[Move, asyncio.Task[None]] = {}
        self._not_before: dict[Move, float] = {}
        self._waking: asyncio.Task[None] | None = None
        self._switched: asyncio.Future[str] | None = None
        self.want(manifest)

    def want(self, manifest: DatabaseManifest) -> None:
        """This is wanted of it from now on."""
        self.manifest = self.looks.manifest = self.patronis.manifest = manifest
        names = [manifest.instance_name(i.number) for i in manifest.instances]
        instances = {name: self.seen.instances.get(name, Instance()) for name in names}
        self.seen = replace(
            self.seen, instances=instances, must_be_synchronous=manifest.is_synchronous
        )
        self.touch()

    def touch(self) -> None:
        """Decide again: something may have changed."""
        self._changed.set()

    # What etcd says

    def learn(self, keys: Iterable[KeyValue]) -> None:
        """etcd is watched, and has these keys of it and no others."""
        self.keys.learn(keys)
        self._understand()

    def update(self, events: Iterable[KeyValue]) -> None:
        """Some keys are new, changed or gone."""
        known = self.keys.members
        self.keys.update(events)
        self._understand()
        if not self.keys.members <= known:
            self.wake_primary()  # who joins needs a replication slot there

    def lose_sight(self) -> None:
        """etcd does not answer: what it said last may not be so any more."""
        self.seen = replace(self.seen, is_current=False)

    def begin_anew(self) -> None:
        """Nothing is left of it."""
        self.seen = replace(self.seen, is_half_made=False)

    def _understand(self) -> None:
        before, leader = self.seen.leader, self.keys.leader
        self.seen = replace(
            self.seen.led_by(leader),
            is_current=True,
            is_handed_over=self.keys.is_handed_over,
            running=self.keys.running,
            synchronous=self.keys.synchronous,
        )
        if leader != before:
            names = [known.name if known else None for known in (before, leader)]
            log.info("%s: leader %s -> %s", self.id, *names)
        self.touch()

    def wake_primary(self) -> None:
        """Let the primary's Patroni look soon."""
        if self.seen.leader and (self._waking is None or self._waking.done()):
            waking = self.patronis.wake(self.seen.leader.name)
            self._waking = asyncio.get_running_loop().create_task(waking)

    # What the kernel says

    def look(self) -> None:
        """Look at each instance's server."""
        for instance in self.manifest.instances:
            self._look_at(instance.number)

    def _look_at(self, number: int) -> None:
        name = self.manifest.instance_name(number)
        if name not in self.seen.instances:
            return
        now = asyncio.get_running_loop().time()
        if postmaster := self.servers.look(number):
            seen = self.seen.serves(name, postmaster)
            is_stopped = self.servers.is_stopped(number)
            seen = seen.standing_still(name, now, is_stopped=is_stopped)
        else:
            seen = self.seen.without_server(name, self.servers.state(number), now)
        if seen != self.seen:
            self.seen = seen
            self.touch()

    def _server_ended(self, number: int) -> None:
        log.warning("%s: PostgreSQL of %s ended", self.id, self.manifest.instance_name(number))
        self._look_at(number)

    def forget(self, number: int) -> None:
        """An instance is about to be stopped: its end is no accident."""
        self.servers.forget(number)
        name = self.manifest.instance_name(number)
        if name in self.seen.instances:
            self.seen = self.seen.with_instance(name, Instance())

    def _look_at_programs(self, now: float) -> None:
        seen = self.seen
        for instance in self.manifest.instances:
            name = self.manifest.instance_name(instance.number)
            process = self._supervisor.process(programs.patroni_name(self.id, instance.number))
            if process != seen.instances[name].patroni:
                seen = seen.looked_after_by(name, process, now - process.age if process else now)
        process = self._supervisor.process(programs.pooler_name(self.id))
        if process != seen.pooler.process:
            seen = seen.pooled_by(process)
            held = self.console.held_by(process) if process else None
            if held is not None:
                seen = seen.found_held(now - held)
        self.seen = seen

    # Making moves

    async def run(self) -> None:
        """Decide and act, again after each change, for ever."""
        try:
            while True:
                self._changed.clear()
                until = self._step()
                try:
                    async with asyncio.timeout_at(until):
                        await self._changed.wait()
                except TimeoutError:
                    pass
        finally:
            for task in self._making.values():
                task.cancel()

    def _step(self) -> float | None:
        """Begin what is to be done and is not under way, end what is not wanted any more.

        Until when nothing changes by itself.
        """
        now = asyncio.get_running_loop().time()
        self._look_at_programs(now)
        self._end_switch()
        moves = next_moves(self.seen, now)
        for move, task in self._making.items():
            if move not in moves and isinstance(move, Look | Settle | Checkpoint):
                task.cancel()
        due = [move.until for move in moves if isinstance(move, Wait)]
        for move in moves - self._making.keys():
            if isinstance(move, Wait) or (isinstance(move, Hold) and Release() in self._making):
                continue
            if (soonest := self._not_before.get(move, now)) > now:
                due.append(soonest)
                continue
            self._making[move] = asyncio.create_task(self._attempt(move))
        return min((moment for moment in due if moment > now), default=None)

    async def _attempt(self, move: Move) -> None:
        loop = asyncio.get_running_loop()
        try:
            await self._make(move)
            self._not_before.pop(move, None)
        except (psycopg.Error, OSError, PgherdError) as error:
            log.debug("%s: %s: %s", self.id, move, error)
            self._not_before[move] = loop.time() + AGAIN_SECONDS
        except Exception:
            log.exception("%s: %s failed", self.id, move)
            self._not_before[move] = loop.time() + 10 * AGAIN_SECONDS
        finally:
            self._making.pop(move, None)
            self.touch()

    async def _make(self, move: Move) -> None:
        match move:
            case Hold():
                await self._hold()
            case Release():
                await self._release()
            case Look(leader):
                await self._look_until_writable(leader)
            case Route(leader, target):
                await self._route(leader, target)
            case Fence(name, postmaster):
                await self._fence(name, postmaster)
            case GiveBack(leader):
                await self._give_back(leader)
            case Hasten(name):
                self._supervisor.hasten(self._patroni(name))
            case EndServer(name, postmaster):
                await self._end_server(name, postmaster)
            case RestartPatroni(name, process):
                log.warning(
                    "%s: Patroni of %s is silent: killed, to be started again", self.id, name
                )
                self.seen = replace(self.seen, lease_left=None)
                self._supervisor.kill(self._patroni(name), process)
            case Checkpoint():
                await self.looks.checkpoint(self.primary)
                self._change_switch(is_checkpointed=True)
            case Settle():
                await self.looks.until_settled(self.primary)
                self.seen = replace(self.seen, pooler=replace(self.seen.pooler, is_settled=True))
            case Ask(target, leader):
                await self._ask(target, leader)
            case GiveUp(message, hint):
                self._fail_switch(TryLater(f"{self.id}: {message}", hint))
            case Wait():
                pass

    async def _hold(self) -> None:
        """Paused when those of the name for transactions are at rest; the others wait beside."""
        process = self.seen.pooler.process
        if process is None:
            return
        self.seen = self.seen.holding(asyncio.get_running_loop().time())
        self.console.note_hold(process)
        try:
            await self.console.pause_transactions()
        except Exception:
            self.seen = self.seen.released()
            raise
        self.seen = replace(self.seen, pooler=replace(self.seen.pooler, is_paused=True))
        self.touch()
        await self.console.pause_others()

    async def _release(self) -> None:
        if hold := self._making.get(Hold()):
            hold.cancel()
            await asyncio.wait([hold])  # no PAUSE is on its way any more when RESUME follows
        await self.console.resume()
        self.seen = self.seen.released()

    async def _look_until_writable(self, leader: Leader) -> None:
        """And see to it that nobody is let in to a cluster that was not made to its end."""
        instance = self._instance(leader.name)
        is_complete = await self.looks.until_writable(instance)
        if self.seen.leader != leader:
            return
        kept = self.layout.kept_by(self.id, instance.number)
        if not (is_complete or self.manifest.made or whole.is_made(kept.parent)):
            self.seen = replace(self.seen, is_half_made=True)
            return
        if not whole.is_whole(kept):
            whole.mark(kept)
        self._look_at(instance.number)
        self.seen = self.seen.taking_writes(leader)

    async def _route(self, leader: Leader, target: Target) -> None:
        if self.seen.leader != leader:
            return
        process = self.seen.pooler.process
        addresses = {
            self.manifest.instance_name(i.number): i.address for i in self.manifest.instances
        }
        replicas = tuple(a for name, a in addresses.items() if name in target.replicas)
        await self.console.send_to(pooler.Route(addresses[target.primary], replicas), self.manifest)
        if self.seen.pooler.process == process:
            was_serving = self.seen.serving
            self.seen = self.seen.routed(target)
            if self.seen.serving and not was_serving:
                log.info("%s: pooler follows %s", self.id, target.primary)

    async def _fence(self, name: str, postmaster: Identity | None) -> None:
        """First nobody can start another server; then there is none."""
        number = self._instance(name).number
        if self._has_begun_anew(number, postmaster):
            return
        log.warning("%s: PostgreSQL of %s is dead: fencing it", self.id, name)
        self.seen = self.seen.losing(name, asyncio.get_running_loop().time())
        self.touch()
        await self._supervisor.keep_out(self._patroni(name))
        if self._has_begun_anew(number, postmaster):
            self._supervisor.hasten(self._patroni(name))
            return
        self.servers.forget(number)
        await self.servers.end_all(number)
        self.seen = self.seen.fenced(name, asyncio.get_running_loop().time())

    def _has_begun_anew(self, number: int, postmaster: Identity | None) -> bool:
        """Whether a server works there that is not dead."""
        known = self.servers.look(number)
        is_dead = known is None or (known == postmaster and self.servers.is_stopped(number))
        if not is_dead:
            self._look_at(number)
        return not is_dead

    async def _give_back(self, leader: Leader) -> None:
        if await self._etcd.delete_unchanged(self.keys.leader_key, leader.revision):
            log.warning("%s: leader key of %s given back", self.id, leader.name)

    async def _end_server(self, name: str, postmaster: Identity) -> None:
        number = self._instance(name).number
        if self._has_begun_anew(number, postmaster):
            return
        log.warning("%s: PostgreSQL of %s is frozen: ended, to be started again", self.id, name)
        await self.servers.end_all(number)
        await self.patronis.wake(name)

    def _patroni(self, name: str) -> str:
        return programs.patroni_name(self.id, self._instance(name).number)

    def _instance(self, name: str) -> InstanceManifest:
        if (instance := self.manifest.numbered(name)) is None:
            raise TryLater(f"{name} is not an instance of {self.id} any more")
        return instance

    @property
    def primary(self) -> InstanceManifest:
        """Who leads; TryLater where nobody does."""
        if self.seen.leader is None:
            raise TryLater(f"{self.id} has no primary")
        return self._instance(self.seen.leader.name)

    # Letting another one lead

    async def switch(self, target: str, *, forced: bool) -> None:
        """Let that instance lead; TryLater where it cannot, or another one is to lead already."""
        if self._switched:
            raise TryLater(f"{self.id} is being switched over already", "see `pgherd status`")
        loop = asyncio.get_running_loop()
        leader = self.seen.leader
        switch = Switch(target, leader.revision if leader else None, loop.time(), forced)
        self.seen = replace(self.seen, switch=switch)
        self._switched = loop.create_future()
        self.touch()
        try:
            await self._switched
        finally:
            self._switched = None
            self.seen = replace(self.seen, switch=None)
            self.touch()

    async def _ask(self, target: str, leader: Leader | None) -> None:
        """Patroni answers when the old primary is down; the leader key tells it sooner."""
        self._change_switch(asked_at=asyncio.get_running_loop().time())
        try:
            if leader is None:
                await self.patronis.ask(target, "POST", "failover", {"candidate": target})
            else:
                body = {"leader": leader.name, "candidate": target}
                await self.patronis.ask(leader.name, "POST", "switchover", body)
        except PgherdError as error:
            if self.seen.leader is None or self.seen.leader.name != target:
                self._fail_switch(error)

    def _change_switch(
        self, *, is_checkpointed: bool = True, asked_at: float | None = None
    ) -> None:
        if switch := self.seen.switch:
            switch = replace(switch, is_checkpointed=is_checkpointed, asked_at=asked_at)
            self.seen = replace(self.seen, switch=switch)
            self.touch()

    def _fail_switch(self, error: PgherdError) -> None:
        self.seen = replace(self.seen, switch=None)
        if self._switched and not self._switched.done():
            self._switched.set_exception(error)

    def _end_switch(self) -> None:
        switch = self.seen.switch
        if switch and self.seen.serving == switch.target and self._switched:
            if not self._switched.done():
                self._switched.set_result(switch.target)
            self.seen = replace(self.seen, switch=None)

    # What is looked at now and then

    async def examine(self) -> None:
        """Ask the primary which replicas stream, and how far they are; TryLater if it is silent."""
        leader = self.seen.leader
        replication = await self.looks.replication(self.primary)
        if self.seen.leader == leader and replication != self.seen.replication:
            self.seen = replace(self.seen, replication=replication)
            self.touch()

    async def guard(self) -> None:
        """Let no reader hold its service up, where both share a server."""
        target = self.seen.pooler.loaded
        if self.seen.serving and target and not target.replicas:
            await self.looks.guard(self.primary)

    async def guard_replicas(self) -> None:
        """Let no reader keep a transaction open on a replica for ever."""
        for name in self.seen.streaming & self.seen.instances.keys():
            await self.looks.guard_replica(self._instance(name))

    async def read_revision(self) -> None:
        """Ask for the schema's revision; what was known stays if nobody answers.

        Where it has changed, transactions get new connections: clients share prepared statements
        there, and what these return may have changed with a table.
        """
        self.schema_revision = await self.looks.revision(self.primary)
        if self.schema_revision != self._connected_for:
            try:
                await self.console.reconnect_transactions()
            except (psycopg.Error, OSError) as error:
                raise TryLater(f"{self.id}: {error}".strip()) from error
            self._connected_for = self.schema_revision

    async def look_at_lease(self) -> None:
        """Ask etcd how long the leader's lease is good for."""
        leader = self.seen.leader
        if leader and leader.lease:
            left = await self._etcd.time_to_live(leader.lease)
            if self.seen.leader == leader:
                self.seen = replace(self.seen, lease_left=float(left))
                self.touch()

    @property
    def is_short(self) -> bool:
        """A replica does not stream, or has not been seen to."""
        return not self.seen.replicas <= self.seen.streaming

    async def close(self) -> None:
        """Let go of it; what runs, runs on."""
        self.servers.forget_all()
        await self.looks.end_session()
