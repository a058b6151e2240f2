"""The live display: its numbers follow the events, and it keeps its height and its width."""

from io import StringIO

import pytest
from rich.console import Console

from pgherd.cli.headway import Headway
from pgherd.cli.progress import drawing, event_line, expected_instances
from pgherd.control.events import Event, Finished, Late, Parked, Planned, Retrying, Started, Waiting
from pgherd.control.up import converge
from pgherd.errors import NeedsHuman, TryLater
from pgherd.testing.clock import FakeClock
from pgherd.testing.fleets import database, ecommerce, fleet
from pgherd.testing.memory.engine import MemoryEngine
from pgherd.testing.world import World

AUTH = database("auth", replicas=(2, 5))
FLEET = fleet(AUTH, database("order", replicas=(1, 3)))


async def events_of(world: World, wanted: object = FLEET) -> list[Event]:
    events: list[Event] = []
    engines = {"memory": MemoryEngine(world)}
    await converge(wanted, engines, on_event=events.append, clock=FakeClock())  # type: ignore[arg-type]
    return events


def picture(headway: Headway, width: int) -> list[str]:
    console = Console(file=StringIO(), width=width, force_terminal=False)
    with console.capture() as capture:
        console.print(drawing(headway, 12.34, 20.0, width))
    return capture.get().splitlines()


async def test_the_counts_grow_from_none_to_all() -> None:
    headway = Headway(expected_instances(FLEET))
    seen = []
    for event in await events_of(World()):
        headway.on_event(event)
        (score,) = headway.scores()
        seen.append((score.databases, score.instances))
    assert seen[0] == (0, 0)
    assert seen[-1] == (2, 5)
    assert seen == sorted(seen)
    assert (score.of_databases, score.of_instances) == (2, 5)
    assert headway.activities == {}


async def test_what_runs_already_counts_from_the_start() -> None:
    world = World()
    await events_of(world)
    headway = Headway(expected_instances(FLEET))
    for event in await events_of(world):
        headway.on_event(event)
    (score,) = headway.scores()
    assert (score.databases, score.instances) == (2, 5)


async def test_a_parked_database_is_not_counted_as_done() -> None:
    world = World()
    world.fail_next("ensure_database", NeedsHuman("it is damaged"), id=AUTH.id)
    headway = Headway(expected_instances(FLEET))
    for event in await events_of(world):
        headway.on_event(event)
    (score,) = headway.scores()
    assert (score.databases, score.of_databases) == (1, 2)


@pytest.mark.parametrize("width", [60, 80, 120])
async def test_its_height_never_changes_and_its_lines_fit(width: int) -> None:
    wanted = ecommerce()
    headway = Headway(expected_instances(wanted))
    heights = set()
    for event in await events_of(World(), wanted):
        headway.on_event(event)
        lines = picture(headway, width)
        heights.add(len(lines))
        assert max(map(len, lines)) <= width
    assert len(heights) == 1


async def test_what_goes_on_and_what_waits_is_named() -> None:
    planned, started, *_ = await events_of(World())
    headway = Headway(expected_instances(FLEET))
    headway.on_event(planned)
    headway.on_event(started)
    headway.on_event(Retrying("production/auth", TryLater("it is busy"), 1, 0.5, 8.0))
    text = "\n".join(picture(headway, 80))
    assert "set up what its databases share" in text
    assert "it is busy" in text
    assert "12.0 s" in text
    assert text.rstrip().endswith("12.3 s")


async def test_what_is_waited_for_is_shown_until_it_is_there() -> None:
    _, started, finished, *_ = await events_of(World())
    headway = Headway(expected_instances(FLEET))
    headway.on_event(started)
    headway.on_event(Waiting("production/auth", "create goes on", 8.0))
    assert "waits" not in "\n".join(picture(headway, 80))
    headway.on_event(Waiting("production", "etcd does not answer", 8.0))
    assert "etcd does not answer" in "\n".join(picture(headway, 80))
    headway.on_event(finished)
    assert "etcd does not answer" not in "\n".join(picture(headway, 80))


async def test_each_event_has_its_line() -> None:
    lines = []
    events = [
        *await events_of(World()),
        Retrying("a/b", TryLater("busy"), 1, 0.5, 1.0),
        Parked("a/b", TryLater("busy"), 1.0),
        Late("a/b", 600.0, 1.0),
        Waiting("a/b", "create goes on; no instance leads", 1.0),
    ]
    for event in events:
        line = event_line(event)
        assert bool(line) is not isinstance(event, Planned | Started)
        if isinstance(event, Finished):
            assert line.endswith("s)")
        lines.append(line)
    assert lines[-4:] == [
        "a/b: tries again in 0.5 s: busy",
        "a/b: given up: busy",
        "a/b: not done after 10 min 0 s, still at it",
        "still waits for a/b: create goes on; no instance leads",
    ]
