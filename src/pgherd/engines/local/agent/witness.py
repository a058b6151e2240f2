"""What became of one database, told from how it was seen: before and after each change.

Pure but for its memory of what is under way: it has no clock, asks nobody and changes nothing, so
that telling delays nothing. A change of the primary is told once clients reach one again.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from pgherd.contract.happenings import HappeningKind
from pgherd.engines.local.agent.parts import Instance
from pgherd.engines.local.agent.seen import Seen
from pgherd.engines.local.postgres import ClusterState

POSTGRESQL, PATRONI, PGBOUNCER = "PostgreSQL", "Patroni", "PgBouncer"
SHUT_DOWN = frozenset({ClusterState.SHUT_DOWN, ClusterState.SHUT_DOWN_IN_RECOVERY})
ENDED = "its process ended"


@dataclass(frozen=True, slots=True)
class Deed:
    """One thing that was done. `phases` are seconds from `began` on, in their order."""

    kind: HappeningKind
    began: float
    reason: str
    instance: str | None = None
    program: str | None = None
    before: str | None = None
    after: str | None = None
    phases: tuple[tuple[str, float], ...] = ()


@dataclass(slots=True)
class _Change:
    """The primary is lost, or about to be another one, or clients wait. `marks` are moments."""

    kind: HappeningKind
    began: float
    reason: str
    before: str | None = None
    is_lost: bool = False
    failed: str | None = None
    marks: dict[str, float] = field(default_factory=dict)

    @property
    def phases(self) -> tuple[tuple[str, float], ...]:
        found = ((name, max(0.0, at - self.began)) for name, at in self.marks.items())
        return tuple(sorted(found, key=lambda phase: phase[1]))


class Witness:
    """Of one database, as long as its agent looks after it."""

    def __init__(self) -> None:
        self._change: _Change | None = None
        self._ended: dict[tuple[str | None, str], tuple[float, str]] = {}
        """Programs that ended: when, and why."""
        self._because: dict[tuple[str | None, str], str] = {}
        self._failed: str | None = None
        self._copied: dict[str, float] = {}

    def because(self, instance: str | None, program: str, reason: str) -> None:
        """That program is about to be restarted, and this is why."""
        self._because[instance, program] = reason

    def failed(self, reason: str) -> None:
        """The switchover that is wanted does not come to pass, and this is why."""
        self._failed = reason

    def follow(self, before: Seen, seen: Seen, now: float) -> list[Deed]:
        """It was so, and is so now: what was done meanwhile."""
        self._begin_change(before, seen, now)
        deeds: list[Deed] = []
        for name in sorted(before.instances.keys() | seen.instances.keys()):
            was, instance = before.instances.get(name), seen.instances.get(name)
            if was is not instance:
                deeds += self._of_instance(name, was or Instance(), instance or Instance(), now)
        old, new = before.pooler.process, seen.pooler.process
        if old != new:
            deeds += self._of_program(None, PGBOUNCER, old, new, now)
        if change := self._change:
            self._mark(change, before, seen, now)
            if seen.serving and seen.switch is None and seen.pooler.held_since is None:
                self._change = None
                deeds += _told(change, seen.serving)
        return deeds

    # The primary

    def _begin_change(self, before: Seen, seen: Seen, now: float) -> None:
        leader = before.leader.name if before.leader else None
        if before.lost_since is None and seen.lost_since is not None:
            if before.pooler.held_since is None and seen.pooler.held_since is not None:
                reason = "an earlier agent made clients wait"
                change = _Change(HappeningKind.HOLD, seen.lost_since, reason, leader)
                self._change = self._change or change
            else:
                self._lose(seen, now)
        elif before.switch is None and (switch := seen.switch) and not self._is_under_way:
            kind = HappeningKind.FAILOVER if switch.forced else HappeningKind.SWITCHOVER
            reason = "another primary was forced" if switch.forced else "another was asked for"
            self._failed = None
            self._change = _Change(kind, switch.begun_at, reason, leader)
        elif leader and self._change is None and (not seen.leader or seen.leader.name != leader):
            is_asked = before.is_handed_over or seen.is_handed_over
            kind = HappeningKind.SWITCHOVER if is_asked else HappeningKind.FAILOVER
            reason = "Patroni was asked for it" if is_asked else "its leader key was gone"
            self._change = _Change(kind, now, reason, leader)

    @property
    def _is_under_way(self) -> bool:
        return self._change is not None and self._change.kind is not HappeningKind.HOLD

    def _lose(self, seen: Seen, now: float) -> None:
        """It began when its server was first seen to be gone, or to stand still."""
        loaded, leader = seen.pooler.loaded, seen.leader
        names = [leader.name if leader else None, loaded.primary if loaded else None]
        known = [(n, seen.instances[n]) for n in names if n is not None and n in seen.instances]
        dead = [(n, i) for n, i in known if i.postmaster is None or i.stopped_since is not None]
        name, instance = next(iter(dead or known), (None, Instance()))
        reason = _why_dead(instance)
        began = _dead_since(instance, now)
        change = self._change
        if change is None or change.kind is HappeningKind.HOLD:
            change = self._change = _Change(HappeningKind.FAILOVER, began, f"primary's {reason}")
        else:
            change.reason = f"{change.reason}; primary's {reason}"
            change.kind = HappeningKind.FAILOVER
        change.before, change.is_lost = change.before or name, True
        change.marks["noticed"] = now

    def _mark(self, change: _Change, before: Seen, seen: Seen, now: float) -> None:
        marks, pooler = change.marks, seen.pooler
        if seen.leader != before.leader and seen.leader:
            marks["leader"] = now
            for later in ("writable", "routed"):
                marks.pop(later, None)
        if seen.writable is not None and seen.writable != before.writable:
            marks["writable"] = now
        led = seen.leader.name if seen.leader else None
        if pooler.loaded != before.pooler.loaded and pooler.loaded and pooler.loaded.primary == led:
            marks.setdefault("routed", now)
        if pooler.held_since is not None and before.pooler.held_since is None:
            marks.setdefault("held", now)
            marks.pop("errors", None)
        if pooler.is_settled:
            marks.setdefault("settled", now)
        if pooler.held_since is None and before.pooler.held_since is not None:
            marks["released" if seen.serving else "errors"] = now
        if switch := seen.switch:
            if switch.is_checkpointed:
                marks.setdefault("checkpointed", now)
            if switch.asked_at is not None:
                marks.setdefault("asked", now)
        elif (wanted := before.switch) and before.serving != wanted.target:
            change.failed = self._failed or "nobody waits for it any more"

    # Instances and programs

    def _of_instance(
        self, name: str, was: Instance, instance: Instance, now: float
    ) -> Iterator[Deed]:
        if instance == Instance():
            self._forget(name)  # about to be stopped
        elif instance.fenced_since is not None and was.fenced_since is None:
            self._forget(name)
            yield self._fenced(name, was, now)
        elif instance.copied_at is not None and instance.copied_at != was.copied_at:
            self._forget(name)
            self._copied[name] = now
            reason = "it did not come back by itself"
            yield Deed(HappeningKind.REBUILD, now, reason, instance=name)
        else:
            if instance.copied_at is None and (copied := self._copied.pop(name, None)):
                reason, phases = "its data was copied again", (("streaming", now - copied),)
                yield Deed(HappeningKind.REBUILT, copied, reason, name, phases=phases)
            if was.patroni != instance.patroni:
                yield from self._of_program(name, PATRONI, was.patroni, instance.patroni, now)
            if was.postmaster != instance.postmaster:
                reason = "it was shut down" if instance.control in SHUT_DOWN else ENDED
                old, new = was.postmaster, instance.postmaster
                yield from self._of_program(name, POSTGRESQL, old, new, now, reason)

    def _fenced(self, name: str, was: Instance, now: float) -> Deed:
        began = _dead_since(was, now)
        if self._change and self._change.before == name:
            began = self._change.began
            self._change.marks["fenced"] = now
        phases = (("fenced", now - began),)
        return Deed(HappeningKind.FENCE, began, _why_dead(was), name, phases=phases)

    def _of_program(
        self,
        instance: str | None,
        program: str,
        old: object,
        new: object,
        now: float,
        reason: str = ENDED,
    ) -> Iterator[Deed]:
        """What ends while the primary changes is a part of that."""
        key = instance, program
        if old is not None and self._change is None:
            self._ended[key] = now, reason
        elif old is not None:
            self._because.pop(key, None)
        if new is not None and (ended := self._ended.pop(key, None)):
            began, reason = ended
            reason = self._because.pop(key, reason)
            phases = (("started", now - began),)
            yield Deed(HappeningKind.RESTART, began, reason, instance, program, phases=phases)

    def _forget(self, name: str) -> None:
        for program in (POSTGRESQL, PATRONI):
            self._ended.pop((name, program), None)
            self._because.pop((name, program), None)
        self._copied.pop(name, None)


def _told(change: _Change, serving: str) -> Iterator[Deed]:
    kind, before, after = change.kind, change.before, serving
    if kind is HappeningKind.HOLD and before in (None, after):
        yield Deed(kind, change.began, change.reason, phases=change.phases)
    elif before == after and change.failed is not None:
        is_planned = kind is HappeningKind.SWITCHOVER
        kind = HappeningKind.SWITCHOVER_FAILED if is_planned else HappeningKind.FAILOVER_FAILED
        reason = f"{change.reason}; {change.failed}"
        yield Deed(kind, change.began, reason, after, phases=change.phases)
    elif before == after and change.is_lost:
        kind = HappeningKind.RESTART
        yield Deed(kind, change.began, change.reason, after, POSTGRESQL, phases=change.phases)
    elif before != after:
        kind = HappeningKind.FAILOVER if kind is HappeningKind.HOLD else kind
        yield Deed(
            kind, change.began, change.reason, before=before, after=after, phases=change.phases
        )


def _dead_since(instance: Instance, now: float) -> float:
    return (instance.stopped_since if instance.postmaster else instance.idle_since) or now


def _why_dead(instance: Instance) -> str:
    return "process stood still" if instance.postmaster else "process ended"
