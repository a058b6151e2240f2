"""What the agent tells of what it did, played without a clock."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from agent_world import World
from hypothesis import given, settings
from hypothesis import strategies as st

from pgherd.engines.local.agent.core import SETTLE_SECONDS
from pgherd.engines.local.agent.moves import CopyAgain
from pgherd.engines.local.agent.parts import Instance
from pgherd.engines.local.agent.witness import PATRONI, PGBOUNCER, POSTGRESQL, Deed, Witness

FIRST, SECOND, THIRD = "order-1", "order-2", "order-3"


@dataclass
class Told(World):
    """A world whose agent has a witness."""

    witness: Witness = field(default_factory=Witness)
    deeds: list[Deed] = field(default_factory=list)

    def __setattr__(self, name: str, value: Any) -> None:
        before = self.__dict__.get(name)
        super().__setattr__(name, value)
        if name == "seen" and before is not None and "deeds" in self.__dict__:
            self.deeds += self.witness.follow(before, value, self.now)

    def kinds(self) -> list[str]:
        return [deed.kind.value for deed in self.deeds]


def made(names: tuple[str, ...] = (FIRST, SECOND, THIRD)) -> Told:
    world = Told(names)
    world.begin()
    world.settle()
    assert world.deeds == [], "a new agent tells nothing of what it finds"
    return world


def phases(deed: Deed) -> dict[str, float]:
    return {name: round(seconds, 3) for name, seconds in deed.phases}


def test_a_failover_is_told_when_clients_are_served_with_when_each_move_was_made() -> None:
    world = made()
    world.kill_server(FIRST)
    world.look_at(FIRST)
    world.tick(0.002)
    world.run(world.moves())
    world.tick(0.010)
    world.run(world.moves())
    world.hear_etcd()
    world.tick(0.1)
    world.patroni(SECOND)
    world.hear_etcd()
    assert world.kinds() == ["fence"], "it is not over"
    world.tick(0.2)
    world.settle()
    assert world.kinds() == ["fence", "failover"]
    fence, failover = world.deeds
    assert (fence.instance, fence.reason, phases(fence)) == (
        FIRST,
        "process ended",
        {"fenced": 0.002},
    )
    assert (failover.before, failover.after) == (FIRST, SECOND)
    assert failover.reason == "primary's process ended"
    said = phases(failover)
    assert said == {
        "noticed": 0.002,
        "fenced": 0.002,
        "held": 0.012,
        "leader": 0.112,
        "writable": 0.312,
        "routed": 0.312,
        "released": 0.312,
    }
    assert list(said.values()) == sorted(said.values())


def test_the_old_primary_that_comes_back_as_a_replica_is_no_restart() -> None:
    world = made()
    world.kill_server(FIRST)
    world.settle()
    world.patroni(SECOND)
    world.settle()
    world.deeds.clear()
    world.start_server(FIRST)
    world.settle()
    assert world.deeds == []


def test_an_only_instance_is_restarted_and_does_not_fail_over() -> None:
    world = made((FIRST,))
    world.kill_server(FIRST)
    world.settle()
    world.tick(1.0)
    world.patroni(FIRST)
    world.settle()
    world.patroni(FIRST)
    world.settle()
    assert world.kinds() == ["fence", "restart"]
    restart = world.deeds[-1]
    assert (restart.instance, restart.program) == (FIRST, POSTGRESQL)
    assert phases(restart)["released"] == 1.0


def test_a_frozen_primary_is_told_from_when_it_stood_still() -> None:
    world = made()
    world.freeze_server(FIRST)
    world.settle()
    world.tick(4.0)
    world.settle()
    world.patroni(SECOND)
    world.settle()
    failover = world.deeds[-1]
    assert failover.reason == "primary's process stood still"
    assert phases(failover)["noticed"] == 4.0


def test_a_planned_switchover_is_told_step_by_step() -> None:
    world = made()
    world.want(SECOND)
    world.tick(0.1)
    world.settle()
    world.tick(0.4)
    world.patroni(FIRST)
    world.settle()
    world.patroni(SECOND)
    world.settle()
    assert world.kinds() == ["switchover"]
    (deed,) = world.deeds
    assert (deed.before, deed.after) == (FIRST, SECOND)
    said = phases(deed)
    assert said.keys() >= {"checkpointed", "held", "settled", "asked", "writable", "released"}
    assert (said["held"], said["released"]) == (0.1, 0.5)


def test_a_switchover_that_is_given_up_says_why() -> None:
    world = made()
    world.transaction_open = True
    world.want(SECOND)
    world.settle()
    world.tick(SETTLE_SECONDS + 1)
    world.witness.failed("a transaction is open")
    world.settle()
    assert world.kinds() == ["switchover-failed"]
    assert world.deeds[0].reason == "another was asked for; a transaction is open"
    assert world.deeds[0].instance == FIRST


def test_a_forced_one_is_a_failover() -> None:
    world = made()
    world.want(SECOND, forced=True)
    world.settle()
    world.patroni(SECOND)
    world.settle()
    assert [(d.kind.value, d.before, d.after) for d in world.deeds] == [("failover", FIRST, SECOND)]
    assert world.deeds[0].reason == "another primary was forced"


def test_who_leads_instead_without_the_agent_is_told_too() -> None:
    world = made()
    world.seen = world.seen.led_by(None)
    world.tick(2.0)
    world.promote(SECOND)
    world.truths[FIRST].writes = False
    world.settle()
    (deed,) = world.deeds
    assert (deed.kind.value, deed.reason) == ("failover", "its leader key was gone")
    assert phases(deed)["leader"] == 2.0


def test_a_leader_that_comes_back_is_nothing_to_tell() -> None:
    world = made()
    world.seen = world.seen.led_by(None)
    world.settle()
    world.promote(FIRST)
    world.settle()
    assert world.deeds == []


def test_clients_that_an_earlier_agent_holds_are_a_hold() -> None:
    world = made()
    world.witness, world.seen = Witness(), replace(world.seen)
    world.seen = world.seen.found_held(world.now - 3.0)
    world.tick(1.0)
    world.seen = world.seen.routed(world.seen.target)  # type: ignore[arg-type]
    world.seen = world.seen.released()
    (deed,) = world.deeds
    assert (deed.kind.value, deed.reason) == ("hold", "an earlier agent made clients wait")
    assert phases(deed)["released"] == 4.0


@pytest.mark.parametrize(
    ("program", "instance", "end", "begin"),
    [
        (POSTGRESQL, SECOND, World.kill_server, World.start_server),
        (PATRONI, SECOND, World.kill_patroni, World.start_patroni),
    ],
)
def test_a_program_that_ended_and_runs_again_is_a_restart(
    program: str,
    instance: str,
    end: Callable[[World, str], None],
    begin: Callable[[World, str], None],
) -> None:
    world = made()
    end(world, instance)
    world.look_at(instance)
    world.tick(0.5)
    assert world.deeds == []
    begin(world, instance)
    world.look_at(instance)
    (deed,) = world.deeds
    assert (deed.kind.value, deed.instance, deed.program) == ("restart", instance, program)
    assert (deed.reason, phases(deed)) == ("its process ended", {"started": 0.5})


def test_a_restart_that_the_agent_wanted_says_why() -> None:
    world = made()
    world.witness.because(None, PGBOUNCER, "it did not answer")
    world.restart_pooler()
    world.settle()
    assert [(d.program, d.reason) for d in world.deeds] == [(PGBOUNCER, "it did not answer")]


def test_a_server_that_was_shut_down_says_so() -> None:
    world = made()
    world.stop_server(SECOND)
    world.look_at(SECOND)
    world.start_server(SECOND)
    world.look_at(SECOND)
    assert [d.reason for d in world.deeds] == ["it was shut down"]


def test_what_is_stopped_as_wanted_is_not_told_when_it_is_started_again() -> None:
    world = made()
    world.kill_server(SECOND)
    world.look_at(SECOND)
    world.seen = world.seen.with_instance(SECOND, Instance())
    world.start_server(SECOND)
    world.look_at(SECOND)
    assert world.deeds == []


def test_a_copy_is_told_when_it_begins_and_when_it_streams() -> None:
    world = made()
    world.kill_server(SECOND)
    world.look_at(SECOND)
    world.make(CopyAgain(SECOND))
    assert world.kinds() == ["rebuild"]
    world.tick(9.0)
    world.start_server(SECOND)
    world.settle()
    assert world.kinds() == ["rebuild", "rebuilt"]
    assert phases(world.deeds[1]) == {"streaming": 9.0}


@given(st.lists(st.sampled_from(range(9)), max_size=30))
@settings(max_examples=200, deadline=None)
def test_whatever_happens_phases_grow_and_nothing_is_told_of_a_primary_that_stayed(
    happened: list[int],
) -> None:
    world = Told()
    world.begin()
    world.settle()
    acts: list[Callable[[], object]] = [
        lambda: world.kill_server(FIRST),
        lambda: world.freeze_server(SECOND),
        lambda: world.kill_patroni(SECOND),
        world.restart_pooler,
        lambda: world.want(SECOND),
        lambda: world.want(FIRST, forced=True),
        lambda: world.patroni(SECOND),
        lambda: world.patroni(FIRST),
        lambda: world.tick(1.0),
    ]
    for number in happened:
        acts[number]()
        world.settle()
    for deed in world.deeds:
        seconds = [moment for _, moment in deed.phases]
        assert seconds == sorted(seconds)
        assert all(moment >= 0 for moment in seconds)
        assert deed.before is None or deed.before != deed.after
        assert deed.began <= world.now
