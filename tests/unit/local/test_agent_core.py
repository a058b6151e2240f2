"""What the agent decides, played without a clock: stories, interruptions everywhere, and laws."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from agent_world import Broken, Core, World
from hypothesis import given, settings
from hypothesis import strategies as st

from pgherd.engines.local.agent.condition import Condition, is_so
from pgherd.engines.local.agent.core import (
    HOLD_SECONDS,
    SETTLE_SECONDS,
    next_moves,
)
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
from pgherd.engines.local.agent.parts import LAG_LIMIT, Instance, Leader, Replication, Target
from pgherd.engines.local.agent.seen import Seen
from pgherd.engines.local.postgres import ClusterState
from pgherd.engines.local.processes import Identity

FIRST, SECOND, THIRD = "order-1", "order-2", "order-3"


def made(names: tuple[str, ...] = (FIRST, SECOND, THIRD)) -> World:
    """A database that serves, and an agent that has seen all of it."""
    world = World(names)
    world.begin()
    world.settle()
    world.made.clear()
    assert world.seen.serving == names[0]
    return world


def kinds(moves: list[Move]) -> list[type]:
    return [type(move) for move in moves if not isinstance(move, Wait)]


# Failover, step by step


def test_a_dead_primary_is_fenced_and_its_key_given_back_while_clients_wait() -> None:
    world = made()
    world.kill_server(FIRST)
    world.look_at(FIRST)
    assert world.moves() == [Fence(FIRST), Look(world.seen.leader)]  # type: ignore[arg-type]
    world.run([Fence(FIRST)])
    key = world.key
    assert key
    assert set(world.moves()) == {GiveBack(key), Hold(), Wait(world.now + HOLD_SECONDS)}
    world.run(world.moves())
    assert world.key is None
    assert world.paused_at is not None
    world.hear_etcd()
    assert kinds(world.moves()) == []
    world.patroni(SECOND)
    world.hear_etcd()
    key = world.key
    assert key
    assert key.name == SECOND
    assert kinds(world.moves()) == [Look]
    world.run([Look(key)])
    assert kinds(world.moves()) == [Route]
    world.run(world.moves())
    assert world.loaded == SECOND
    assert kinds(world.moves()) == [Hasten, Release]
    world.run(world.moves())
    assert world.paused_at is None
    assert kinds(world.moves()) == []


def test_a_database_with_one_instance_is_started_again_at_once() -> None:
    world = made((FIRST,))
    world.kill_server(FIRST)
    world.settle()
    assert kinds(world.made) == [Fence, GiveBack, Hold, Hasten]
    world.patroni(FIRST)
    world.settle()
    world.patroni(FIRST)
    world.settle()
    assert world.seen.serving == FIRST
    assert world.paused_at is None


def test_a_primary_that_cannot_say_what_it_was_is_fenced_where_it_leads() -> None:
    world = made()
    world.truths[FIRST].control = None
    world.kill_server(FIRST)
    world.look_at(FIRST)
    assert Fence(FIRST) in world.moves()


def test_a_primary_that_shut_down_is_not_fenced() -> None:
    world = made()
    world.stop_server(FIRST)
    world.look_at(FIRST)
    assert kinds(world.moves()) == [Look]


def test_a_replica_that_died_is_not_fenced_and_nobody_is_sent_there() -> None:
    world = made()
    assert world.seen.target == Target(FIRST, frozenset({SECOND, THIRD}))
    world.kill_server(SECOND)
    world.look_at(SECOND)
    assert kinds(world.moves()) == [Route]
    assert world.seen.target == Target(FIRST, frozenset({THIRD}))


def test_what_recovers_a_dead_replica_does_not_make_it_a_dead_primary() -> None:
    world = made()
    world.kill_server(SECOND)
    world.look_at(SECOND)
    world.truths[SECOND].control = ClusterState.IN_PRODUCTION
    world.look_at(SECOND)
    assert Fence(SECOND) not in world.moves()


def test_a_server_that_stands_still_is_dead_after_a_while() -> None:
    world = made()
    world.freeze_server(FIRST)
    world.look_at(FIRST)
    assert kinds(world.moves()) == []
    world.tick(3.0)
    frozen = world.truths[FIRST].postmaster
    assert Fence(FIRST, frozen) in world.moves()
    world.settle()
    world.patroni(SECOND)
    world.settle()
    assert world.seen.serving == SECOND


def test_a_replica_that_stands_still_is_ended_alone() -> None:
    world = made()
    world.freeze_server(SECOND)
    world.look_at(SECOND)
    world.tick(3.0)
    frozen = world.truths[SECOND].postmaster
    assert frozen
    assert kinds(world.moves()) == [EndServer]
    world.run(world.moves())
    world.settle()
    assert world.seen.serving == FIRST


def test_a_replica_that_says_nothing_is_ended_alone() -> None:
    world = made()
    world.examine()
    world.tick(30.0)
    world.examine()
    world.mute = {SECOND}
    world.examine()
    assert kinds(world.moves()) == []
    world.tick(15.0)
    assert kinds(world.moves()) == []  # it was not asked
    world.examine()
    assert kinds(world.moves()) == []
    world.tick(15.0)
    world.examine()
    postmaster = world.truths[SECOND].postmaster
    assert postmaster
    assert world.moves() == [EndServer(SECOND, postmaster)]
    world.run(world.moves())
    world.patroni(SECOND)
    world.settle()
    assert world.truths[SECOND].postmaster not in (None, postmaster)
    assert kinds(world.moves()) == []


def test_one_that_has_said_nothing_yet_is_not_mute() -> None:
    silent = Replication("streaming", 0, None)
    seen = Seen({}).replicating({SECOND: silent}, 100.0).replicating({SECOND: silent}, 200.0)
    assert seen.replication == {SECOND: silent}


def test_one_that_moves_again_is_left_alone() -> None:
    world = made()
    world.freeze_server(FIRST)
    world.look_at(FIRST)
    world.truths[FIRST].stopped_at = None
    world.tick(3.0)
    world.look_at(FIRST)
    assert kinds(world.moves()) == []


def test_news_of_a_death_that_comes_late_ends_nobody() -> None:
    """The agent stood still while a postmaster died and Patroni started another."""
    world = made((FIRST,))
    world.kill_server(FIRST)
    world.look_at(FIRST)
    decided = world.moves()
    assert Fence(FIRST) in decided
    world.truths[FIRST].strays = False
    world.patroni(FIRST)
    healthy = world.truths[FIRST].postmaster
    world.run(decided)
    assert world.truths[FIRST].postmaster == healthy
    world.settle()
    assert world.truths[FIRST].postmaster == healthy
    assert world.seen.serving == FIRST


def test_a_death_that_nobody_saw_is_seen_by_what_is_missing() -> None:
    world = made()
    world.tick(60.0)
    world.key_until = world.now + 30
    world.kill_server(FIRST)
    world.new_agent()
    world.hear_everything()
    assert Fence(FIRST) not in world.moves()
    world.tick(3.0)
    world.hear_everything()
    assert Fence(FIRST) in world.moves()


def test_a_young_patroni_is_given_time_to_start_its_server() -> None:
    world = made()
    world.kill_server(FIRST)
    world.start_patroni(FIRST)
    world.new_agent()
    world.tick(5.0)
    world.hear_everything()
    assert Fence(FIRST) not in world.moves()
    assert Wait(world.truths[FIRST].patroni_began + 20.0) in world.moves()


def test_a_key_is_not_given_back_by_an_agent_that_does_not_see_etcd() -> None:
    world = made()
    world.etcd = False
    world.hear_etcd()
    world.kill_server(FIRST)
    world.look_at(FIRST)
    world.run([Fence(FIRST)])
    assert GiveBack not in kinds(world.moves())
    world.tick(5.0)
    assert Hasten(FIRST) in world.moves()


def test_clients_are_let_go_when_nobody_comes() -> None:
    world = made()
    world.kill_server(FIRST)
    for name in (SECOND, THIRD):
        world.truths[name].stopped_at = world.now
    world.settle()
    assert world.paused_at is not None
    world.tick(HOLD_SECONDS)
    assert Release() in world.moves()
    world.run(world.moves())
    assert world.paused_at is None
    assert Hold() not in world.moves()


def test_patronis_that_choose_nobody_are_woken() -> None:
    world = made()
    world.kill_server(FIRST)
    world.settle()
    assert kinds(world.moves()) == []
    world.tick(0.3)
    assert kinds(world.moves()) == [Wake, Wake]
    world.patroni(THIRD)
    world.hear_everything()
    assert Wake not in kinds(world.moves())


def test_a_pooler_that_is_begun_anew_holds_again() -> None:
    world = made()
    world.kill_server(FIRST)
    world.settle()
    world.restart_pooler()
    world.hear_pooler()
    assert Hold() in world.moves()


def test_a_new_agent_goes_on_holding_no_longer_than_the_first_would_have() -> None:
    world = made()
    world.kill_server(FIRST)
    world.settle()
    begun = world.paused_at
    assert begun is not None
    world.tick(15.0)
    world.new_agent()
    world.hear_everything()
    assert Release() not in world.moves()
    world.tick(5.0)
    assert Release() in world.moves()


def test_a_silent_leader_gets_another_patroni() -> None:
    world = made()
    world.tick(60.0)
    world.key_until = world.now + 7.0
    world.hear_etcd()
    patroni = world.truths[FIRST].patroni
    assert patroni
    assert world.moves() == [RestartPatroni(FIRST, patroni)]
    world.run(world.moves())
    world.hear_everything()
    assert kinds(world.moves()) == []


def test_one_that_was_not_made_to_its_end_is_not_looked_at_again() -> None:
    world = made((FIRST,))
    world.seen = replace(world.seen, writable=None, is_half_made=True)
    assert kinds(world.moves()) == []


def test_a_leader_that_is_not_ours_is_left_alone() -> None:
    seen = Seen({FIRST: Instance()}, is_current=True, leader=Leader("other-1", 4))
    assert next_moves(seen, 0.0) == frozenset()


def test_a_replica_without_a_server_is_copied_again_after_a_while() -> None:
    world = made()
    world.tick(60.0)
    world.key_until = world.now + 30
    world.kill_server(SECOND)
    world.truths[SECOND].control = None
    world.hear_everything()
    assert CopyAgain not in kinds(world.moves())
    world.tick(20.0)
    assert CopyAgain(SECOND) in world.moves()
    world.run([CopyAgain(SECOND)])
    assert CopyAgain(SECOND) not in world.moves()


def test_a_damaged_replica_is_copied_again_soon() -> None:
    world = made()
    world.tick(60.0)
    world.seen = world.seen.without_server(SECOND, None, world.now, is_damaged=True)
    world.tick(3.0)
    assert CopyAgain(SECOND) in world.moves()


def test_a_replica_that_receives_nothing_is_copied_again_and_not_at_once_once_more() -> None:
    world = made()
    world.astray.add(SECOND)
    world.hear_everything()
    assert CopyAgain not in kinds(world.moves())
    world.tick(60.0)
    world.key_until = world.now + 30
    assert CopyAgain(SECOND) in world.moves()
    world.run([CopyAgain(SECOND)])
    world.astray.add(SECOND)
    world.patroni(SECOND)
    world.hear_everything()
    world.tick(120.0)
    assert CopyAgain not in kinds(world.moves())
    world.tick(600.0)
    assert CopyAgain(SECOND) in world.moves()


def test_one_that_came_back_is_copied_again_when_it_is_lost_again() -> None:
    world = made()
    world.tick(60.0)
    world.key_until = world.now + 30
    for _ in range(2):
        world.seen = world.seen.without_server(SECOND, None, world.now, is_damaged=True)
        world.tick(23.0)
        world.key_until = world.now + 30
        assert CopyAgain(SECOND) in world.moves()
        world.run([CopyAgain(SECOND)])
        world.patroni(SECOND)
        world.hear_everything()


def test_one_that_gets_on_is_given_time() -> None:
    world = made()
    world.astray.add(SECOND)
    world.hear_everything()
    world.tick(60.0)
    world.seen = world.seen.getting_on(SECOND, world.now)
    assert CopyAgain not in kinds(world.moves())


def test_nothing_is_copied_again_while_nobody_serves() -> None:
    world = made()
    world.astray.add(SECOND)
    world.hear_everything()
    world.tick(60.0)
    world.seen = replace(world.seen, writable=None)
    assert CopyAgain not in kinds(world.moves())


def test_one_without_a_patroni_waits_for_it() -> None:
    world = made()
    world.tick(60.0)
    world.kill_server(SECOND)
    world.kill_patroni(SECOND)
    world.hear_everything()
    world.tick(60.0)
    assert CopyAgain not in kinds(world.moves())


def test_a_server_is_given_time_to_make_its_socket() -> None:
    world = made()
    world.truths[SECOND].has_socket = False
    world.hear_everything()
    assert world.moves() == [Wait(world.now + 3.0)]
    world.tick(3.0)
    assert kinds(world.moves()) == [RestartServer]
    world.kill_patroni(SECOND)
    world.hear_everything()
    assert kinds(world.moves()) == []


def test_a_pooler_that_answers_nobody_is_begun_again() -> None:
    world = made()
    world.seen = world.seen.pooler_answered(world.now, answers=False)
    assert kinds(world.moves()) == []
    world.tick(2.0)
    world.seen = world.seen.pooler_answered(world.now, answers=False)
    world.tick(1.0)
    assert kinds(world.moves()) == [RestartPooler]
    world.run(world.moves())
    world.settle()
    assert world.seen.serving == FIRST
    assert world.seen == world.seen.pooler_answered(world.now, answers=True)


def test_those_whose_sockets_are_gone_are_begun_again_one_after_the_other() -> None:
    world = made()
    world.has_pooler_socket = False
    for truth in world.truths.values():
        truth.has_socket = False
    world.hear_everything()
    assert kinds(world.moves()) == []
    world.tick(3.0)
    world.settle()
    begun = [move for move in world.made if isinstance(move, RestartPooler | RestartServer)]
    assert [type(move) for move in begun] == [RestartPooler, *[RestartServer] * 3]
    assert [m.instance for m in begun if isinstance(m, RestartServer)][-1] == FIRST
    assert world.seen.serving == FIRST


# Switchover, step by step


def test_a_switchover_holds_clients_asks_and_lets_them_go() -> None:
    world = made()
    world.want(SECOND)
    world.run(world.moves())
    assert kinds(world.made) == [Checkpoint]
    world.run(world.moves())
    assert kinds(world.made) == [Checkpoint, Hold]
    world.run(world.moves())
    world.run(world.moves())
    assert kinds(world.made) == [Checkpoint, Hold, Settle, Ask]
    world.patroni(FIRST)
    world.hear_everything()
    assert Fence(FIRST) not in world.moves()
    world.patroni(SECOND)
    world.settle()
    assert kinds(world.made)[-3:] == [Look, Route, Release]
    assert world.seen.serving == SECOND
    assert world.seen.switch is None
    assert not world.given_up


def test_a_switchover_gives_up_where_a_transaction_stays_open() -> None:
    world = made()
    world.transaction_open = True
    world.want(SECOND)
    world.settle()
    assert world.paused_at is not None
    world.tick(SETTLE_SECONDS)
    world.settle()
    assert [g.message for g in world.given_up] == ["a transaction has been open for more than 5 s"]
    assert world.paused_at is None
    assert world.seen.serving == FIRST


def test_a_switchover_waits_for_a_replica_that_has_every_commit() -> None:
    world = made()
    world.want(SECOND)
    world.seen = replace(world.seen, must_be_synchronous=True, synchronous=frozenset({THIRD}))
    assert kinds(world.moves()) == []
    world.tick(30.0)
    assert kinds(world.moves()) == [GiveUp]
    world.seen = replace(world.seen, synchronous=frozenset({SECOND}))
    assert kinds(world.moves()) == [Checkpoint]


def test_a_switchover_gives_up_where_another_began_to_lead() -> None:
    world = made()
    world.want(SECOND)
    world.promote(THIRD)
    world.hear_etcd()
    assert GiveUp in kinds(world.moves())


def test_a_switchover_to_who_begins_to_lead_by_itself_is_one() -> None:
    world = made()
    world.want(SECOND)
    world.truths[FIRST].writes = False
    world.promote(SECOND)
    world.hear_etcd()
    assert kinds(world.moves()) == [Look]
    world.settle()
    assert world.seen.switch is None
    assert not world.given_up


def test_a_switchover_that_patroni_does_not_carry_out_ends() -> None:
    world = made()
    world.want(SECOND)
    world.settle()
    assert world.handed_to == SECOND
    world.handed_to = None
    world.tick(HOLD_SECONDS)
    world.settle()
    assert [g.message for g in world.given_up] == [f"{SECOND} is not the primary yet"]
    assert world.paused_at is None


def test_a_forced_failover_asks_at_once() -> None:
    world = made()
    world.want(SECOND, forced=True)
    assert world.moves() == [Ask(SECOND, None)]
    world.run(world.moves())
    world.hear_etcd()
    world.patroni(SECOND)
    world.settle()
    assert world.seen.serving == SECOND


def test_a_forced_failover_needs_one_that_runs() -> None:
    world = made()
    world.want(SECOND, forced=True)
    world.seen = replace(world.seen, running=frozenset())
    world.tick(30.0)
    assert world.moves() == [GiveUp(f"{SECOND} does not run")]


def test_clients_wait_while_patroni_switches_over_for_an_agent_that_ended() -> None:
    world = made()
    world.want(SECOND)
    world.settle()
    assert world.handed_to == SECOND
    world.new_agent()
    world.settle()
    assert world.paused_at is not None
    world.patroni(FIRST)
    world.patroni(SECOND)
    world.settle()
    assert world.paused_at is None
    assert world.loaded == SECOND


# What is known


def test_who_may_be_read_from() -> None:
    assert Replication("streaming", LAG_LIMIT).is_fresh
    assert not Replication("streaming", LAG_LIMIT + 1).is_fresh
    assert not Replication("catchup", 0).is_fresh


def test_the_best_replica_is_the_least_behind() -> None:
    world = made()
    seen = {SECOND: Replication("streaming", 9), THIRD: Replication("streaming", 4)}
    assert replace(world.seen, replication=seen).best_replica == THIRD
    assert replace(world.seen, replication={}).best_replica is None


def test_conditions_follow_from_one_another() -> None:
    world = made()
    seen = world.seen
    assert is_so(seen, Condition.DURABLE)
    assert not is_so(replace(seen, synchronous=frozenset()), Condition.DURABLE)
    assert is_so(replace(seen, synchronous=frozenset()), Condition.COMPLETE)
    assert not is_so(replace(seen, running=frozenset({FIRST, SECOND})), Condition.COMPLETE)
    assert is_so(replace(seen, running=frozenset()), Condition.LED)
    assert not is_so(replace(seen, writable=None), Condition.LED)
    assert is_so(replace(seen, synchronous=frozenset()), Condition.ASYNCHRONOUS)
    assert not is_so(seen, Condition.ASYNCHRONOUS)


def test_another_server_of_the_primary_is_not_known_to_take_writes() -> None:
    world = made()
    another = world.seen.serves(FIRST, Identity(999, 999))
    assert another.serving is None
    assert world.seen.serves(SECOND, Identity(999, 999)).serving == FIRST


# Interrupted after each move, and begun again by an agent that knows nothing


def fail_over(world: World) -> None:
    world.kill_server(FIRST)


def freeze(world: World) -> None:
    world.freeze_server(FIRST)


def switch_over(world: World) -> None:
    world.want(SECOND)


def lose_the_pooler_too(world: World) -> None:
    world.kill_server(FIRST)
    world.restart_pooler()


def lose_its_patroni_too(world: World) -> None:
    world.kill_server(FIRST)
    world.kill_patroni(FIRST)


STORIES = [fail_over, freeze, switch_over, lose_the_pooler_too, lose_its_patroni_too]


@pytest.mark.parametrize(
    ("story", "names"),
    [
        (story, (FIRST, SECOND, THIRD)[:count])
        for story in STORIES
        for count in (1, 2, 3)
        if story is not switch_over or count > 1
    ],
)
def test_a_story_comes_to_the_same_end_wherever_it_is_interrupted(
    story: Callable[[World], None], names: tuple[str, ...]
) -> None:
    steps = 0
    while play(story, names, interrupted_after=steps):
        steps += 1
    assert steps > 3


def play(story: Callable[[World], None], names: tuple[str, ...], interrupted_after: int) -> bool:
    """Play a story whose agent ends after so many moves; whether it made as many."""
    world = made(names)
    world.tick(60.0)
    world.key_until = world.now + 30
    story(world)
    left = interrupted_after
    for _ in range(60):
        world.hear_everything()
        for move in world.moves():
            if isinstance(move, Wait) or move not in world.moves():
                continue
            world.run([move])
            if left == 0:
                world.new_agent()
                world.hear_everything()
            left -= 1
        for name in names:
            world.patroni(name)
        world.tick(0.5)
    world.check_health()
    return left < 0


# Laws


def act_late(world: World, name: str) -> None:
    """What was decided is done after an instance's Patroni has had its turn."""
    moves = world.moves()
    world.patroni(name)
    for move in moves:
        if move in world.moves():
            world.make(move)


EVENTS: dict[str, Callable[[World, str], None]] = {
    "kill_server": World.kill_server,
    "freeze_server": World.freeze_server,
    "kill_patroni": World.kill_patroni,
    "hang_patroni": World.hang_patroni,
    "mute": lambda world, name: world.mute.add(name),
    "examine": lambda world, _: world.examine(),
    "restart_pooler": lambda world, _: world.restart_pooler(),
    "stop_server": World.stop_server,
    "patroni": World.patroni,
    "etcd goes": lambda world, _: setattr(world, "etcd", False),
    "etcd comes": lambda world, _: setattr(world, "etcd", True),
    "agent ends": lambda world, _: setattr(world, "lives", False),
    "agent begins": lambda world, _: world.new_agent(),
    "want": World.want,
    "force": lambda world, name: world.want(name, forced=True),
    "transaction": lambda world, _: setattr(world, "transaction_open", not world.transaction_open),
    "hear etcd": lambda world, _: world.hear_etcd(),
    "hear pooler": lambda world, _: world.hear_pooler(),
    "look": World.look_at,
    "hear everything": lambda world, _: world.hear_everything(),
    "second": lambda world, _: world.tick(1.0),
    "seconds": lambda world, _: world.tick(6.0),
    "act": lambda world, _: world.run(world.moves()),
    "act on old news": act_late,
}


def live(names: tuple[str, ...], events: list[tuple[str, int]], decide: Core = next_moves) -> World:
    world = made(names)
    world.decide = decide
    for event, number in events:
        EVENTS[event](world, names[number % len(names)])
        world.run([])
    world.check_health()
    return world


@settings(max_examples=250, deadline=None)
@given(
    st.sampled_from([(FIRST,), (FIRST, SECOND), (FIRST, SECOND, THIRD)]),
    st.lists(st.tuples(st.sampled_from(sorted(EVENTS)), st.integers(0, 2)), max_size=60),
)
def test_the_laws_hold(names: tuple[str, ...], events: list[tuple[str, int]]) -> None:
    live(names, events)


def routes_before_it_looks(seen: Seen, now: float) -> frozenset[Move]:
    if seen.leader and seen.writable != seen.leader.revision and seen.pooler.process:
        return frozenset({Route(seen.leader, Target(seen.leader.name))})
    return next_moves(seen, now)


def holds_for_ever(seen: Seen, now: float) -> frozenset[Move]:
    return next_moves(seen, now) - {Release()}


def gives_back_before_it_fences(seen: Seen, now: float) -> frozenset[Move]:
    moves = next_moves(seen, now)
    if seen.leader and Fence(seen.leader.name) in moves:
        return moves - {Fence(seen.leader.name)} | {GiveBack(seen.leader)}
    return moves


def fences_whoever_leads(seen: Seen, now: float) -> frozenset[Move]:
    """By its name: whatever server it has by now."""
    moves = next_moves(seen, now)
    name = seen.leader.name if seen.leader else FIRST
    server = seen.instances[name].postmaster
    return moves | {Fence(name, server)} if seen.instances[name].postmaster else moves


def lets_nobody_come_back(seen: Seen, now: float) -> frozenset[Move]:
    return frozenset(move for move in next_moves(seen, now) if not isinstance(move, Hasten))


def copies_whoever_has_no_server(seen: Seen, now: float) -> frozenset[Move]:
    idle = (name for name, instance in seen.instances.items() if instance.postmaster is None)
    return next_moves(seen, now) | {CopyAgain(name) for name in idle}


def replaces_whoever_is_not_heard(seen: Seen, now: float) -> frozenset[Move]:
    """At once."""
    return next_moves(seen, now) | {
        ReplacePatroni(name, instance.patroni)
        for name, instance in seen.instances.items()
        if instance.patroni and instance.unheard_since is not None
    }


def test_replacing_who_has_hardly_begun_breaks_a_law() -> None:
    events = [("hang_patroni", 1), *[("seconds", 0)] * 6, ("hear everything", 0), ("act", 0)]
    live((FIRST, SECOND), events)
    with pytest.raises(Broken):
        live((FIRST, SECOND), events, replaces_whoever_is_not_heard)


CARELESS = [
    copies_whoever_has_no_server,
    routes_before_it_looks,
    holds_for_ever,
    gives_back_before_it_fences,
    fences_whoever_leads,
    lets_nobody_come_back,
]


@pytest.mark.parametrize("careless", CARELESS)
def test_a_careless_core_breaks_a_law(careless: Core) -> None:
    """In one of the stories that the good one is played through, so the laws see something."""
    events = [
        ("second", 0),
        ("kill_server", 0),
        ("hear everything", 0),
        ("act", 0),
        ("act on old news", 0),
        ("hear etcd", 0),
        ("patroni", 1),
        ("hear everything", 0),
        ("act", 0),
        ("seconds", 0),
    ]
    live((FIRST, SECOND), events)
    with pytest.raises(Broken):
        live((FIRST, SECOND), events, careless)
