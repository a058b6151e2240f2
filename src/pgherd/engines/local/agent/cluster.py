"""One database of the agent: what it sees of it, and those whom it asks and tells.

`seen` is replaced by whatever happens, in the agent's one thread. Nothing here outlives the agent:
a new one looks again. What is done about what is seen: `acting`.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

import psycopg

from pgherd.engines.local import control_groups, programs
from pgherd.engines.local.agent.confinement import Confinement
from pgherd.engines.local.agent.console import Console
from pgherd.engines.local.agent.keys import Keys
from pgherd.engines.local.agent.looks import Looks
from pgherd.engines.local.agent.parts import Instance, Switch
from pgherd.engines.local.agent.patroni_api import Patronis
from pgherd.engines.local.agent.probe import Probe
from pgherd.engines.local.agent.record import Record, Recorded
from pgherd.engines.local.agent.seen import Seen
from pgherd.engines.local.agent.servers import Servers
from pgherd.engines.local.agent.supervisor import Supervisor
from pgherd.engines.local.etcd_client import EtcdClient, KeyValue
from pgherd.engines.local.layout import Layout
from pgherd.engines.local.manifest import DatabaseManifest, InstanceManifest
from pgherd.errors import PgherdError, TryLater
from pgherd.files import Owner

log = logging.getLogger(__name__)

LOOK_SECONDS = 0.02
"""So often is looked whether what is waited for is so."""


class Cluster(Recorded):
    """One database, from the moment when it is wanted until it is not."""

    def __init__(
        self,
        layout: Layout,
        manifest: DatabaseManifest,
        supervisor: Supervisor,
        owner: Owner,
        tls: ssl.SSLContext,
        etcd: EtcdClient,
        record: Record,
    ) -> None:
        seen = Seen({}, must_be_synchronous=manifest.is_synchronous)
        super().__init__(manifest.id, record, seen)
        self.layout = layout
        self.id = manifest.id
        self.schema_revision: str | None = None
        self.looks = Looks(layout, manifest)
        self.patronis = Patronis(manifest, tls)
        self.servers = Servers(layout, manifest.id, self._server_ended)
        self.console = Console(layout, manifest, owner.name)
        self.probe = Probe(layout)
        self.confinement = Confinement(control_groups.found(layout.root))
        self._supervisor = supervisor
        self._etcd = etcd
        self.keys = Keys(manifest.service)
        self._connected_for: str | None = None
        """The revision that connections were last opened anew for."""
        self.changed = asyncio.Event()
        self._waking: asyncio.Task[None] | None = None
        self._switched: asyncio.Future[str] | None = None
        self.want(manifest)

    def want(self, manifest: DatabaseManifest) -> None:
        """This is wanted of it from now on."""
        self.manifest = self.looks.manifest = self.patronis.manifest = manifest
        names = [manifest.instance_name(i.number) for i in manifest.instances]
        instances = {name: self.seen.instances.get(name, Instance()) for name in names}
        self.seen = replace(
            self.seen,
            instances=instances,
            must_be_synchronous=manifest.is_synchronous,
            leaving=frozenset(),
        )
        self.touch()

    def send_no_reader_to(self, names: Iterable[str]) -> None:
        """These are about to go."""
        self.seen = replace(self.seen, leaving=frozenset(names))
        self.touch()

    def touch(self) -> None:
        """Decide again: something may have changed."""
        self.changed.set()

    async def until(self, condition: Callable[[Seen], bool]) -> None:
        """Wait until what is seen is so."""
        while True:
            if condition(self.seen):
                return
            await asyncio.sleep(LOOK_SECONDS)

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
        """Look at each instance's server, and whether the pooler can be told anything."""
        for instance in self.manifest.instances:
            self.look_at(instance.number)
        self.confinement.follow(self.manifest, self.seen)
        now = asyncio.get_running_loop().time()
        seen = self.seen.pooler_reached(now, is_reachable=self.console.is_reachable)
        if seen is not self.seen:
            self.seen = seen
            self.touch()

    def look_at(self, number: int) -> None:
        """Look at one instance's server."""
        name = self.manifest.instance_name(number)
        if name not in self.seen.instances:
            return
        now = asyncio.get_running_loop().time()
        if postmaster := self.servers.look(number):
            seen = self.seen.serves(name, postmaster)
            is_stopped = self.servers.is_stopped(number)
            seen = seen.standing_still(name, now, is_stopped=is_stopped).astray(name, now)
            is_reachable = self.servers.is_reachable(number, self.manifest.postgresql_port)
            seen = seen.reached(name, now, is_reachable=is_reachable)
        else:
            seen = self.seen.without_server(
                name, self.servers.state(number), now, is_damaged=self.servers.is_damaged(number)
            )
        seen = seen.heard(name, now, is_heard=name in self.keys.members)
        if name in seen.replicas - seen.streaming and self.servers.is_getting_on(number):
            seen = seen.getting_on(name, now)
        if seen != self.seen:
            self.seen = seen
            self.touch()

    def _server_ended(self, number: int) -> None:
        log.warning("%s: PostgreSQL of %s ended", self.id, self.manifest.instance_name(number))
        self.look_at(number)

    def forget(self, number: int) -> None:
        """An instance is about to be stopped: its end is no accident."""
        self.servers.forget(number)
        name = self.manifest.instance_name(number)
        if name in self.seen.instances:
            self.seen = self.seen.with_instance(name, Instance())

    def look_at_programs(self, now: float) -> None:
        """Look which processes its pooler and its Patronis are."""
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

    def patroni_program(self, name: str) -> str:
        """What the program of an instance's Patroni is called."""
        return programs.patroni_name(self.id, self.instance(name).number)

    def instance(self, name: str) -> InstanceManifest:
        """The instance that is called so; TryLater where it is not wanted any more."""
        if (instance := self.manifest.numbered(name)) is None:
            raise TryLater(f"{name} is not an instance of {self.id} any more")
        return instance

    @property
    def primary(self) -> InstanceManifest:
        """Who leads; TryLater where nobody does."""
        if self.seen.leader is None:
            raise TryLater(f"{self.id} has no primary")
        return self.instance(self.seen.leader.name)

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

    def change_switch(self, **changes: Any) -> None:
        """So far has it come: what is different in `Switch`."""
        if switch := self.seen.switch:
            self.seen = replace(self.seen, switch=replace(switch, **changes))
            self.touch()

    def fail_switch(self, error: PgherdError) -> None:
        """The wanted instance does not come to lead."""
        self.record.failed(error.message)
        self.seen = replace(self.seen, switch=None)
        if self._switched and not self._switched.done():
            self._switched.set_exception(error)

    def end_switch(self) -> None:
        """Where the wanted instance serves, nothing is wanted any more."""
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
        if self.seen.leader == leader:
            self.seen = self.seen.replicating(replication, asyncio.get_running_loop().time())
            self.touch()

    async def guard(self) -> None:
        """Let no reader hold its service up, where both share a server."""
        target = self.seen.pooler.loaded
        if self.seen.serving and target and not target.replicas:
            await self.looks.guard(self.primary)

    async def guard_replicas(self) -> None:
        """Let no reader keep a transaction open on a replica for ever."""
        for name in self.seen.streaming & self.seen.instances.keys():
            await self.looks.guard_replica(self.instance(name))

    async def read_revision(self) -> None:
        """Ask for the schema's revision; what was known stays if nobody answers.

        By the door of its clients, where a connection is open already; else at the primary.
        Where it has changed, clients get new connections: they share prepared statements of
        transactions, and what these return may have changed with a table. Those that have migrated
        hold much memory, too.
        """
        if self.probe.is_open:
            self.schema_revision = await self.probe.schema_revision(self.manifest)
        else:
            self.schema_revision = await self.looks.revision(self.primary)
        if self.schema_revision != self._connected_for:
            try:
                await self.console.reconnect()
            except (psycopg.Error, OSError) as error:
                raise TryLater(f"{self.id}: {error}".strip()) from error
            self._connected_for = self.schema_revision

    async def ask_as_client(self) -> None:
        """Ask what its service asks; where nothing comes, see whether it is the pooler."""
        if not self.seen.serving:
            self.probe.found = None
            return
        found = await self.probe.ask(self.manifest)
        answers = not (found and found.timed_out) or await self.console.answers()
        if found and found.timed_out and answers and (waiting := await self.console.waiting()):
            self.probe.found = replace(found, trouble=waiting)
        now = asyncio.get_running_loop().time()
        seen = self.seen.pooler_answered(now, answers=answers)
        if seen is not self.seen:
            self.seen = seen
            self.touch()

    async def look_at_lease(self) -> None:
        """Ask etcd how long the leader's lease is good for."""
        leader = self.seen.leader
        if leader and leader.lease:
            left = await self._etcd.time_to_live(leader.lease)
            if self.seen.leader == leader:
                self.seen = replace(self.seen, lease_left=float(left))
                self.touch()

    @property
    def is_in_trouble(self) -> bool:
        """A client got no answer when one last asked."""
        return bool(self.probe.found and self.probe.found.trouble)

    @property
    def is_short(self) -> bool:
        """A replica does not stream, or has not been seen to."""
        return not self.seen.replicas <= self.seen.streaming

    async def close(self) -> None:
        """Let go of it; what runs, runs on."""
        self.servers.forget_all()
        await self.looks.close()
        await self.probe.close()
