"""What the agent does next for one database, decided from what it sees of it.

Pure: no clock, socket, file or process; `now` is an argument, in seconds of a clock that only goes
forward. What is seen may be late, and may be little: a new agent knows nothing and goes on from
what it finds. So each move follows from what is, may be repeated, and names what it is meant for
(a process with its start, a leader key with its revision); whoever makes it looks once more first.

    lost    the primary's server has ended, or stands still: Hold, Fence, GiveBack
    led     etcd has a new leader key: Look until its holder takes writes, Route, Release
    wanted  another instance is to lead: Checkpoint, Hold, Settle, Ask, and again as for `led`
"""

from __future__ import annotations

from collections.abc import Iterator

from pgherd.engines.local.agent.moves import (
    Ask,
    Checkpoint,
    CopyAgain,
    EndServer,
    Fence,
    GiveBack,
    GiveUp,
    Hasten,
    Hold,
    Look,
    Move,
    Release,
    ReplacePatroni,
    RestartPatroni,
    RestartPooler,
    RestartServer,
    Route,
    Settle,
    Wait,
    Wake,
)
from pgherd.engines.local.agent.parts import Instance, Switch
from pgherd.engines.local.agent.seen import Seen
from pgherd.engines.local.postgres import ClusterState

HOLD_SECONDS = 20.0
"""The longest that clients are made to wait for a primary before they see errors."""
SETTLE_SECONDS = 5.0
"""How long open transactions are waited for, while new ones wait for them."""
READY_SECONDS = 30.0
"""How long a replica that was just started is waited for, before it may lead."""
FROZEN_SECONDS = 3.0
"""A server that has been stopped (by a signal, a debugger) for so long is taken for dead."""
MISSED_SECONDS = 3.0
"""A primary's server that is gone for so long was not just restarted: its end went unnoticed."""
YOUNG_SECONDS = 20.0
"""A Patroni that runs for less is still about to start its server."""
FENCED_SECONDS = 5.0
"""How long a fenced instance is kept out when no other one leads."""
UNLED_SECONDS = 0.3
"""Patronis that know of it have chosen another leader by then."""
DAMAGED_SECONDS = 3.0
STUCK_SECONDS = 20.0
ASTRAY_SECONDS = 60.0
"""How long a replica whose data is damaged, that has no server, whose server receives no WAL, is
given to come back by itself, from when it was last seen to get on."""
COPIED_SECONDS = 600.0
"""A replica that was copied again is not copied once more before."""
MUTE_SECONDS = 20.0
"""A replica that has said nothing for so long is taken for frozen: it should each 10 s."""
UNHEARD_SECONDS = 60.0
"""A Patroni renews its word every 10 s, and it is good for 30: one that has none for so long after
that stands still inside."""
UNREACHABLE_SECONDS = 3.0
"""A server makes its Unix socket in less; a pooler that has not answered is asked again."""
SILENT_SECONDS = 8
"""A leader whose lease has less than this left (of 30, renewed every 10) has been silent."""


def next_moves(seen: Seen, now: float) -> frozenset[Move]:
    """All that is to be done now; what is being done and is not in it any more is left off."""
    return frozenset(
        [
            *_rescue(seen, now),
            *_listen(seen, now),
            *_mend(seen, now),
            *_reach(seen, now),
            *_follow(seen),
            *_switch(seen, now),
            *_hold(seen, now),
        ]
    )


def _rescue(seen: Seen, now: float) -> Iterator[Move]:
    """End what is dead or stands still, and let others lead."""
    for name, instance in seen.instances.items():
        leads = seen.leader is not None and seen.leader.name == name
        if instance.fenced_since is not None:
            yield from _after_fence(seen, name, instance.fenced_since, now)
        elif instance.postmaster is None:
            if _died_as_primary(instance, leads, now):
                yield Fence(name)
            elif leads and instance.control is ClusterState.IN_PRODUCTION and instance.patroni:
                yield Wait(_missed_at(instance))
        elif instance.stopped_since is not None:
            dead_at = instance.stopped_since + FROZEN_SECONDS
            if now < dead_at:
                yield Wait(dead_at)
            elif leads:
                yield Fence(name, instance.postmaster)
            else:
                yield EndServer(name, instance.postmaster)
        elif not leads and _is_mute(seen, name):
            yield EndServer(name, instance.postmaster)
    leader = seen.leader
    holder = seen.instances.get(leader.name) if leader else None
    if leader and holder and holder.patroni and _is_silent(seen, holder, now):
        yield RestartPatroni(leader.name, holder.patroni)


def _listen(seen: Seen, now: float) -> Iterator[Move]:
    """End Patronis that run and that etcd has not heard of for long.

    Who says something is left alone, also where nobody leads. Only a Patroni knows whether its
    data may lead, and while one begins again the others choose without asking what it has.
    """
    for name, instance in seen.instances.items():
        leads = seen.leader is not None and seen.leader.name == name
        if instance.patroni is None or instance.unheard_since is None or leads:
            continue
        young_until = instance.patroni_since + YOUNG_SECONDS
        due = max(instance.unheard_since, young_until, instance.moved_at) + UNHEARD_SECONDS
        yield ReplacePatroni(name, instance.patroni) if now >= due else Wait(due)


def _mend(seen: Seen, now: float) -> Iterator[Move]:
    """Copy replicas again that don't come back by themselves; there is a primary to copy from."""
    for name in seen.replicas - seen.streaming if seen.serving else ():
        instance = seen.instances[name]
        if instance.patroni is None:
            continue
        began = max(instance.moved_at, instance.patroni_since, instance.idle_since)
        if instance.postmaster:
            due = max(began, instance.astray_since or now) + ASTRAY_SECONDS
        else:
            due = began + (DAMAGED_SECONDS if instance.is_damaged else STUCK_SECONDS)
        if instance.copied_at is not None:
            due = max(due, instance.copied_at + COPIED_SECONDS)
        yield CopyAgain(name) if now >= due else Wait(due)


def _reach(seen: Seen, now: float) -> Iterator[Move]:
    """Begin those again that nobody reaches: the pooler, replicas, then the primary."""
    pooler = seen.pooler
    for since in (pooler.unreachable_since, pooler.unanswered_since):
        if pooler.process and since is not None:
            due = since + UNREACHABLE_SECONDS
            yield RestartPooler(pooler.process) if now >= due else Wait(due)
    if pooler.unreachable_since is not None:
        return
    lost = [n for n, i in seen.instances.items() if i.unreachable_since is not None]
    for name in sorted(lost, key=lambda name: name not in seen.replicas)[:1]:
        instance = seen.instances[name]
        due = (instance.unreachable_since or now) + UNREACHABLE_SECONDS
        if now < due:
            yield Wait(due)
        elif instance.postmaster and instance.patroni:
            yield RestartServer(name, instance.postmaster)


def _after_fence(seen: Seen, name: str, since: float, now: float) -> Iterator[Move]:
    """Its leader key goes first; it comes back when another leads, or nobody else does in time."""
    leads = seen.leader is not None and seen.leader.name == name
    if leads and seen.leader and seen.is_current:
        yield GiveBack(seen.leader)
    elif now >= since + FENCED_SECONDS or (
        not leads and (seen.serving is not None or len(seen.instances) == 1)
    ):
        yield Hasten(name)
    else:
        yield Wait(since + FENCED_SECONDS)
        if seen.leader is None and seen.is_current:
            yield from _wake(seen, name, since + UNLED_SECONDS, now)


def _wake(seen: Seen, fenced: str, at: float, now: float) -> Iterator[Move]:
    """Somebody has to lead: let those look again who could."""
    if now < at:
        yield Wait(at)
    else:
        yield from (Wake(name) for name in seen.running - {fenced})


def _died_as_primary(instance: Instance, leads: bool, now: float) -> bool:
    """Whether a server ended that was a primary, and nothing has been done about it.

    Where its end was not seen, one that leads and has a Patroni of some age should have a server.
    """
    was_seen = instance.ended is not None
    if instance.control is ClusterState.IN_PRODUCTION:
        return was_seen or (leads and _is_missed(instance, now))
    return instance.control is None and leads and was_seen


def _is_missed(instance: Instance, now: float) -> bool:
    return instance.patroni is not None and now >= _missed_at(instance)


def _missed_at(instance: Instance) -> float:
    return max(instance.idle_since + MISSED_SECONDS, instance.patroni_since + YOUNG_SECONDS)


def _is_mute(seen: Seen, name: str) -> bool:
    """Whether the leader waits for a replica's word in vain.

    PostgreSQL gives such a one up after a while, but for one case: where the replica's slot has
    used up its limit of WAL, a checkpoint ends the sender first and waits for it, and the sender
    waits for the replica to read that it was ended.
    """
    replication = seen.replication.get(name)
    return replication is not None and replication.silent >= MUTE_SECONDS


def _is_silent(seen: Seen, holder: Instance, now: float) -> bool:
    is_young = now < holder.patroni_since + YOUNG_SECONDS
    if is_young or not seen.is_current or seen.lease_left is None:
        return False
    return 0 <= seen.lease_left < SILENT_SECONDS


def _follow(seen: Seen) -> Iterator[Move]:
    """Let the pooler lead to whoever has the newest leader key, once that takes writes."""
    leader = seen.leader
    holder = seen.instances.get(leader.name) if leader else None
    if not leader or not holder or holder.fenced_since is not None or seen.is_half_made:
        return
    target = seen.target
    if target is None:
        yield Look(leader)
    elif seen.pooler.process and seen.pooler.loaded != target:
        yield Route(leader, target)


def _hold(seen: Seen, now: float) -> Iterator[Move]:
    """Clients wait as long as a primary is coming, and no longer than the limit."""
    pooler = seen.pooler
    until = _held_until(seen, now)
    if until is not None and now < until:
        yield Wait(until)
        if pooler.process and pooler.held_since is None:
            yield Hold()
    elif pooler.held_since is not None:
        yield Release()


def _held_until(seen: Seen, now: float) -> float | None:
    """How long clients are to wait at most; None where there is nothing to wait for."""
    switch = seen.switch
    if switch and switch.is_checkpointed and seen.serving != switch.target:
        return (now if switch.held_at is None else switch.held_at) + HOLD_SECONDS
    if seen.lost_since is None or (seen.serving and not seen.is_handed_over):
        return None
    return seen.lost_since + HOLD_SECONDS


def _switch(seen: Seen, now: float) -> Iterator[Move]:
    """Let the wanted instance lead, one step after the other."""
    switch = seen.switch
    if switch is None or seen.serving == switch.target:
        return
    if switch.asked_at is not None:
        yield from _awaited(
            switch.asked_at + HOLD_SECONDS, now, f"{switch.target} is not the primary yet"
        )
    elif not _may_lead(seen, switch):
        what = "does not run" if switch.forced else "cannot lead yet"
        yield from _awaited(switch.begun_at + READY_SECONDS, now, f"{switch.target} {what}")
    elif switch.forced:
        yield Ask(switch.target, None)
    elif seen.leader and seen.leader.name == switch.target:
        yield from _awaited(
            switch.begun_at + READY_SECONDS, now, f"{switch.target} is not the primary yet"
        )
    elif seen.leader is None or seen.leader.revision != switch.revision:
        yield GiveUp("another instance began to lead meanwhile")
    elif not switch.is_checkpointed:
        yield Checkpoint()
    elif seen.pooler.is_settled:
        yield Ask(switch.target, seen.leader)
    elif seen.pooler.held_since is not None:
        if seen.pooler.is_paused:
            yield Settle()
        until = seen.pooler.held_since + SETTLE_SECONDS
        if now < until:
            yield Wait(until)
        else:
            yield GiveUp(
                "a transaction has been open for more than 5 s", "try again when it has ended"
            )


def _awaited(until: float, now: float, message: str) -> Iterator[Move]:
    yield Wait(until) if now < until else GiveUp(message)


def _may_lead(seen: Seen, switch: Switch) -> bool:
    """Whether Patroni would take it: it runs, and has every commit where it must."""
    is_behind = seen.must_be_synchronous and switch.target not in seen.synchronous
    return switch.target in seen.running and (switch.forced or not is_behind)
