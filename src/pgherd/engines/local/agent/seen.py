"""What is seen of one database at one moment, and how that changes by what happens to it.

Frozen values: `Seen` is replaced, by one task of the agent, and what is decided from it is decided
from one moment. What is unknown is None.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from pgherd.engines.local.agent.parts import (
    Instance,
    Leader,
    Pooler,
    Replication,
    Switch,
    Target,
)
from pgherd.engines.local.postgres import ClusterState
from pgherd.engines.local.processes import Identity


@dataclass(frozen=True, slots=True)
class Seen:
    """All that is known of one database at one moment."""

    instances: Mapping[str, Instance]
    is_current: bool = False
    """etcd is being watched: `leader` and what else is etcd's is the newest that there is."""
    leader: Leader | None = None
    lease_left: float | None = None
    """Seconds that the leader's lease had left when it was last asked for."""
    is_handed_over: bool = False
    """Patroni has been asked to let another one lead, and has not come to the end of it."""
    running: frozenset[str] = frozenset()
    """The instances that say of themselves that they run."""
    synchronous: frozenset[str] = frozenset()
    """Those that etcd lists as having every acknowledged commit."""
    must_be_synchronous: bool = False
    leaving: frozenset[str] = frozenset()
    """Those that are to go: no reader is sent there any more."""
    replication: Mapping[str, Replication] = field(default_factory=dict)
    replicating_at: float = 0.0
    """When the primary last said so."""
    writable: int | None = None
    """The leader key under which its holder was last seen to take writes."""
    is_half_made: bool = False
    """It leads without having been made to its end: to be begun anew."""
    pooler: Pooler = field(default_factory=Pooler)
    lost_since: float | None = None
    """When the primary was lost; None once clients reach one."""
    switch: Switch | None = None

    @property
    def serving(self) -> str | None:
        """The primary that clients reach: it takes writes, and the pooler leads there."""
        leader, loaded = self.leader, self.pooler.loaded
        if leader and self.writable == leader.revision and loaded and loaded.primary == leader.name:
            return leader.name
        return None

    @property
    def replicas(self) -> frozenset[str]:
        """The instances that do not lead."""
        return frozenset(self.instances) - {self.leader.name if self.leader else None}

    @property
    def streaming(self) -> frozenset[str]:
        """The replicas that streamed when the primary was last asked."""
        return frozenset(name for name, seen in self.replication.items() if seen.streams)

    @property
    def target(self) -> Target | None:
        """Where the pooler is to send its clients; None where there is no such place."""
        if self.leader is None or self.writable != self.leader.revision:
            return None
        fresh = (name for name, seen in self.replication.items() if seen.is_fresh)
        return Target(self.leader.name, frozenset(fresh) & self.replicas - self.leaving)

    @property
    def best_replica(self) -> str | None:
        """The replica that is the least behind."""
        lags = {n: s.lag_bytes or 0 for n, s in self.replication.items() if s.streams}
        candidates = self.replicas & lags.keys()
        return min(candidates, key=lambda name: (lags[name], name), default=None)

    # What has happened to it

    def with_instance(self, name: str, instance: Instance) -> Seen:
        """One instance is so."""
        if self.instances.get(name) == instance:
            return self
        return replace(self, instances={**self.instances, name: instance})

    def led_by(self, leader: Leader | None) -> Seen:
        """etcd has this leader key now. What the old primary said of its replicas is forgotten."""
        if leader == self.leader:
            return self
        return replace(self, leader=leader, lease_left=None, replication={}, is_half_made=False)

    def serves(self, name: str, postmaster: Identity) -> Seen:
        """A server runs there. Whether it takes writes is not known where it is another one."""
        known = self.instances[name]
        if known.postmaster == postmaster:
            return self
        instance = replace(
            known,
            postmaster=postmaster,
            ended=None,
            idle_since=0.0,
            stopped_since=None,
            fenced_since=None,
            is_damaged=False,
        )
        seen = self.with_instance(name, instance)
        is_another = known.postmaster is not None or known.ended is not None
        return seen._unwritable(name) if is_another else seen

    def without_server(
        self, name: str, control: ClusterState | None, now: float, *, is_damaged: bool = False
    ) -> Seen:
        """No server runs there; where one did, it has ended. Nobody is sent there to read."""
        known = self.instances[name]
        if known.postmaster is None:
            # Patroni may recover it meanwhile, in a server that takes no connections.
            said = control if known.ended is None else known.control
            since = known.idle_since or now
            instance = replace(known, control=said, idle_since=since, is_damaged=is_damaged)
            return self.with_instance(name, instance)
        instance = replace(
            known,
            postmaster=None,
            ended=known.postmaster,
            control=control,
            idle_since=now,
            stopped_since=None,
            is_damaged=is_damaged,
            astray_since=None,
        )
        seen = self.with_instance(name, instance)
        others = {n: r for n, r in seen.replication.items() if n != name}
        return replace(seen, replication=others)._unwritable(name)

    def standing_still(self, name: str, now: float, *, is_stopped: bool) -> Seen:
        """Whether its server is stopped, as by a signal or a debugger."""
        known = self.instances[name]
        since = (known.stopped_since or now) if is_stopped else None
        if since == known.stopped_since:
            return self
        return self.with_instance(name, replace(known, stopped_since=since))

    def reached(self, name: str, now: float, *, is_reachable: bool) -> Seen:
        """Whether the Unix socket of its server is there."""
        known = self.instances[name]
        is_lost = known.postmaster is not None and not is_reachable
        since = (known.unreachable_since or now) if is_lost else None
        if since == known.unreachable_since:
            return self
        return self.with_instance(name, replace(known, unreachable_since=since))

    def pooler_reached(self, now: float, *, is_reachable: bool) -> Seen:
        """Whether the Unix socket of the pooler is there."""
        known = self.pooler
        is_lost = known.process is not None and not is_reachable
        since = (known.unreachable_since or now) if is_lost else None
        return (
            self
            if since == known.unreachable_since
            else replace(self, pooler=replace(known, unreachable_since=since))
        )

    def pooler_answered(self, now: float, *, answers: bool) -> Seen:
        """Whether the pooler answered when it was asked."""
        known = self.pooler
        since = None if answers else (known.unanswered_since or now)
        if since == known.unanswered_since:
            return self
        return replace(self, pooler=replace(known, unanswered_since=since))

    def astray(self, name: str, now: float) -> Seen:
        """Whether its server receives WAL where it should, as far as the leader has said."""
        known = self.instances[name]
        is_astray = known.postmaster and name in self.replicas - self.streaming and self.serving
        since = (known.astray_since or now) if is_astray else None
        if since == known.astray_since:
            return self
        return self.with_instance(name, replace(known, astray_since=since))

    def getting_on(self, name: str, now: float) -> Seen:
        """It is about to serve, and comes nearer."""
        return self.with_instance(name, replace(self.instances[name], moved_at=now))

    def taken_away(self, name: str, now: float) -> Seen:
        """Its data is not there any more: it is to be copied."""
        return self.with_instance(name, Instance(copied_at=now))

    def looked_after_by(self, name: str, patroni: Identity | None, since: float) -> Seen:
        """Its Patroni is that process, begun at `since`; one that runs ends a fence."""
        known = self.instances[name]
        if known.patroni == patroni:
            return self
        fenced = known.fenced_since if patroni is None else None
        instance = replace(known, patroni=patroni, patroni_since=since, fenced_since=fenced)
        return self.with_instance(name, instance)

    def heard(self, name: str, now: float, *, is_heard: bool) -> Seen:
        """Whether etcd has a word of its Patroni. Without etcd that is not known."""
        known = self.instances[name]
        is_missed = self.is_current and known.patroni is not None and not is_heard
        since = (known.unheard_since or now) if is_missed else None
        return self.with_instance(name, replace(known, unheard_since=since))

    def _unwritable(self, name: str) -> Seen:
        if self.leader and self.leader.name == name:
            return replace(self, writable=None)
        return self

    def replicating(self, replication: Mapping[str, Replication], now: float) -> Seen:
        """The leader says so of its replicas. Who streams has come back, however it did."""
        passed = now - self.replicating_at
        heard = {
            name: one.after(self.replication.get(name), passed) for name, one in replication.items()
        }
        seen = replace(self, replication=heard, replicating_at=now)
        for name in seen.streaming & self.instances.keys():
            if seen.instances[name].copied_at is not None:
                seen = seen.with_instance(name, replace(seen.instances[name], copied_at=None))
        return seen

    def taking_writes(self, leader: Leader) -> Seen:
        """The holder of that key takes writes."""
        return replace(self, writable=leader.revision, is_half_made=False)

    def pooled_by(self, process: Identity | None) -> Seen:
        """The pooler is that process. Another one has been told nothing."""
        if process == self.pooler.process:
            return self
        return replace(self, pooler=Pooler(process))

    def holding(self, now: float) -> Seen:
        """Clients wait from now on."""
        seen = replace(self, pooler=replace(self.pooler, held_since=now))
        if self.switch and self.switch.held_at is None:
            seen = replace(seen, switch=replace(self.switch, held_at=now))
        return seen

    def paused(self) -> Seen:
        """No transaction of the names for transactions is open any more."""
        return replace(self, pooler=replace(self.pooler, is_paused=True))

    def settled(self) -> Seen:
        """Nor one that a session of the service had open."""
        return replace(self, pooler=replace(self.pooler, is_settled=True))

    def found_held(self, since: float) -> Seen:
        """An earlier agent has made clients wait since then, for whatever reason."""
        return replace(self, pooler=replace(self.pooler, held_since=since), lost_since=since)

    def released(self) -> Seen:
        """Clients go on."""
        pooler = replace(self.pooler, held_since=None, is_paused=False, is_settled=False)
        return replace(self, pooler=pooler)._reached()

    def _reached(self) -> Seen:
        """A primary that clients reach is not lost, unless it is about to be one no more."""
        is_reached = self.serving is not None and not self.is_handed_over
        return replace(self, lost_since=None) if is_reached else self

    def routed(self, target: Target) -> Seen:
        """The pooler sends its clients there."""
        return replace(self, pooler=replace(self.pooler, loaded=target))._reached()

    def losing(self, name: str, now: float) -> Seen:
        """An instance is about to be fenced. Where it was the primary, clients have lost it."""
        loaded = self.pooler.loaded
        is_primary = name in {self.leader and self.leader.name, loaded and loaded.primary}
        if not is_primary or self.lost_since is not None:
            return self
        return replace(self, lost_since=now, writable=None)

    def fenced(self, name: str, now: float) -> Seen:
        """Nothing of an instance runs."""
        copied_at = self.instances[name].copied_at
        return self.with_instance(name, Instance(fenced_since=now, copied_at=copied_at))
