"""A Patroni that runs and says nothing is replaced; one that says something never is."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

from agent_world import LEASE, World

from pgherd.engines.local.agent.core import UNHEARD_SECONDS, YOUNG_SECONDS
from pgherd.engines.local.agent.moves import Move, ReplacePatroni, Wait
from pgherd.engines.local.agent.seen import Seen
from pgherd.engines.local.processes import Identity

FIRST, SECOND, THIRD = "order-1", "order-2", "order-3"


def made(names: tuple[str, ...] = (FIRST, SECOND, THIRD)) -> World:
    world = World(names)
    world.begin()
    world.settle()
    world.made.clear()
    return world


def pass_time(world: World, seconds: float) -> None:
    """All who are well do their rounds, and the agent looks each second."""
    for _ in range(int(seconds)):
        world.tick(1.0)
        for name in world.names:
            world.patroni(name)
        world.settle()


def replaced(moves: list[Move]) -> list[str]:
    return [move.instance for move in moves if isinstance(move, ReplacePatroni)]


def test_one_that_stands_still_inside_is_replaced_and_its_server_runs_on() -> None:
    world = made()
    before = world.truths[SECOND].postmaster
    world.hang_patroni(SECOND)
    pass_time(world, LEASE + UNHEARD_SECONDS)
    assert replaced(world.made) == []
    pass_time(world, 5)
    assert replaced(world.made) == [SECOND]
    assert world.truths[SECOND].postmaster == before
    assert world.seen.serving == FIRST
    pass_time(world, 2 * UNHEARD_SECONDS)
    assert replaced(world.made) == [SECOND]
    assert world.seen.instances[SECOND].unheard_since is None


def test_one_that_hangs_again_and_again_is_given_time_each_time() -> None:
    world = made()
    times = []
    for _ in range(300):
        world.hang_patroni(SECOND)
        pass_time(world, 1)
        times += [world.now] * len(replaced(world.made))
        world.made.clear()
    assert len(times) == 3
    gaps = [after - before for before, after in pairwise(times)]
    assert min(gaps) >= YOUNG_SECONDS + UNHEARD_SECONDS


def test_where_etcd_does_not_answer_nobody_is_replaced() -> None:
    world = made()
    world.hang_patroni(SECOND)
    pass_time(world, LEASE + UNHEARD_SECONDS - 10)
    assert world.seen.instances[SECOND].unheard_since is not None
    world.etcd = False
    for _ in range(300):
        world.tick(1.0)
        world.settle()
    assert replaced(world.made) == []
    assert world.seen.instances[SECOND].unheard_since is None
    # What was missed meanwhile does not count.
    world.etcd = True
    pass_time(world, UNHEARD_SECONDS)
    assert replaced(world.made) == []
    pass_time(world, 5)
    assert replaced(world.made) == [SECOND]


def test_one_that_says_something_in_the_last_moment_is_left_alone() -> None:
    world = made()
    world.hang_patroni(SECOND)
    pass_time(world, LEASE + UNHEARD_SECONDS - 5)
    world.truths[SECOND].is_hung = False
    pass_time(world, UNHEARD_SECONDS)
    assert replaced(world.made) == []


def test_what_is_decided_on_old_news_comes_to_nothing() -> None:
    world = made()
    pass_time(world, UNHEARD_SECONDS)
    patroni = world.truths[SECOND].patroni
    assert patroni
    world.make(ReplacePatroni(SECOND, patroni))
    assert world.truths[SECOND].patroni == patroni


def test_where_nobody_leads_who_stands_still_is_replaced_and_leads() -> None:
    world = made((FIRST,))
    world.hang_patroni(FIRST)
    world.key = None
    pass_time(world, LEASE + UNHEARD_SECONDS + 5)
    assert replaced(world.made) == [FIRST]
    pass_time(world, 5)
    assert world.seen.serving == FIRST


def seen(world: World, name: str = SECOND, **changes: object) -> Seen:
    """As the world is seen, and one Patroni has not been heard of for very long."""
    known = replace(world.seen.instances[name], unheard_since=0.0, **changes)  # type: ignore[arg-type]
    return world.seen.with_instance(name, known)


def moves(world: World, seen: Seen, now: float) -> list[str]:
    return replaced(list(world.decide(seen, now)))


def test_where_nobody_leads_those_who_say_something_are_left_alone() -> None:
    """They know whether they may lead, and who begins again is not asked what it has."""
    world = made()
    pass_time(world, YOUNG_SECONDS)
    unled = world.seen.led_by(None)
    assert moves(world, unled, world.now + 3600.0) == []
    assert moves(world, seen(world).led_by(None), world.now + 3600.0) == [SECOND]


def test_who_leads_is_judged_by_its_lease() -> None:
    world = made()
    assert moves(world, seen(world, FIRST), 1000.0) == []
    assert moves(world, seen(world, SECOND), 1000.0) == [SECOND]


def test_who_gets_on_has_just_begun_or_has_no_process_is_left_alone() -> None:
    world = made()
    now = 1000.0
    assert moves(world, seen(world, moved_at=now - UNHEARD_SECONDS + 1), now) == []
    assert moves(world, seen(world, moved_at=now - UNHEARD_SECONDS), now) == [SECOND]
    began = now - UNHEARD_SECONDS - YOUNG_SECONDS
    assert moves(world, seen(world, patroni_since=began + 1), now) == []
    assert moves(world, seen(world, patroni_since=began), now) == [SECOND]
    assert moves(world, seen(world, patroni=None), now) == []


def test_it_is_decided_again_in_time() -> None:
    world = made()
    due = 900.0 + UNHEARD_SECONDS
    waits = world.decide(seen(world, patroni_since=900.0 - YOUNG_SECONDS), 901.0)
    assert Wait(due) in waits


def test_what_is_known_of_one_that_is_not_heard() -> None:
    known = made().seen
    missed = known.heard(SECOND, 7.0, is_heard=False)
    assert missed.instances[SECOND].unheard_since == 7.0
    assert missed.heard(SECOND, 9.0, is_heard=False).instances[SECOND].unheard_since == 7.0
    assert missed.heard(SECOND, 9.0, is_heard=True) == known
    blind = replace(missed, is_current=False).heard(SECOND, 9.0, is_heard=False)
    assert blind.instances[SECOND].unheard_since is None
    ended = known.looked_after_by(SECOND, None, 8.0).heard(SECOND, 9.0, is_heard=False)
    assert ended.instances[SECOND].unheard_since is None
    another = missed.looked_after_by(SECOND, Identity(99, 99), 8.0)
    assert another.instances[SECOND].patroni_since == 8.0
