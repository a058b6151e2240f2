"""A day of stalls in which nothing should stir, played: the agent's rules, then the autopilot.

No server runs and time is played. The agent looks after one database with two replicas, whose
servers, Patronis, pooler and etcd stand still now and then, and the agent itself, for less than
the time after which they count as dead. The autopilot keeps thirty databases under the loads of
`pgherd simulate`; measurements and looks come late or not at all, and requests are refused.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import random
import selectors
import sys
import tempfile
import time
import tracemalloc
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path
from typing import Any, cast

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests/unit/local"))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests/unit/autopilot"))
sys.path.insert(0, str(Path(__file__).resolve().parent))

from agent_world import World as AgentWorld
from measure import Report, arguments, say
from played_controller import PlayedHelper

from pgherd.autopilot import backing, controller, notifying
from pgherd.autopilot.archive import Archive
from pgherd.autopilot.helper_link import HelperLink
from pgherd.autopilot.requests import Request, Resize
from pgherd.autopilot.telling import Telling
from pgherd.contract.meter import Usage
from pgherd.contract.observed import Observation
from pgherd.control.up import converge
from pgherd.decide.sizing import COOLDOWN_SECONDS
from pgherd.engines.local.agent.moves import (
    CopyAgain,
    EndServer,
    Fence,
    ReplacePatroni,
    RestartPatroni,
    RestartPooler,
    RestartServer,
)
from pgherd.errors import Busy, TryLater
from pgherd.fleet.desired import Database, DatabaseId
from pgherd.shapes.file import read_shape
from pgherd.shapes.shape import load
from pgherd.store import reader
from pgherd.store.store import Store
from pgherd.testing import world as memory_world
from pgherd.testing.clock import FakeClock
from pgherd.testing.fleets import database, environment, fleet
from pgherd.testing.memory.engine import MemoryEngine
from pgherd.testing.world import World

KIB = 1024
MONDAY = datetime(2026, 11, 2, tzinfo=UTC).timestamp()
SHAPES = ("day-week", "noise", "square-wave")
LOAD_SECONDS = 60.0
DISRUPTIVE = (
    Fence,
    EndServer,
    CopyAgain,
    RestartPatroni,
    ReplacePatroni,
    RestartPooler,
    RestartServer,
)
PATIENCE = {
    "agent": 20.0,
    "server": 2.5,
    "Patroni": 8.0,
    "etcd": 8.0,
    "pooler's socket": 2.0,
    "server's socket": 2.0,
    "mute replica": 15.0,
    "replica without WAL": 50.0,
}
"""What stands still, and for how many seconds at most."""
SETTLED = 0.2
"""After so much of the day all is loaded that is loaded once."""


# The agent


class Stall:
    """One thing that stands still until `until`."""

    def __init__(self, world: AgentWorld, kind: str, name: str, until: float) -> None:
        self.world, self.kind, self.name, self.until = world, kind, name, until
        self._set(is_still=True)

    def end(self) -> None:
        """It goes on."""
        self._set(is_still=False)

    def _set(self, *, is_still: bool) -> None:
        world, truth = self.world, self.world.truths[self.name]
        match self.kind:
            case "server":
                truth.stopped_at = world.now if is_still else None
            case "Patroni":
                truth.is_hung = is_still
            case "etcd":
                world.etcd = not is_still
            case "pooler's socket":
                world.has_pooler_socket = not is_still
            case "server's socket":
                truth.has_socket = not is_still
            case "mute replica":
                (world.mute.add if is_still else world.mute.discard)(self.name)
            case "replica without WAL":
                (world.astray.add if is_still else world.astray.discard)(self.name)
            case _:
                pass


def play_agent(hours: float, chance: random.Random) -> tuple[Counter[str], Counter[str], int]:
    """What stood still, what was done about it, and how often another instance led."""
    world = AgentWorld()
    world.begin()
    world.settle()
    world.made.clear()
    led_by, failovers = world.key, 0
    stalls: Counter[str] = Counter()
    moves: Counter[str] = Counter()
    stall: Stall | None = None
    next_at = world.now + 30.0
    end = world.now + 3600 * hours
    while world.now < end:
        if stall and world.now >= stall.until:
            stall.end()
            stall, next_at = None, world.now + chance.uniform(5.0, 60.0)
        elif stall is None and world.now >= next_at:
            kind = chance.choice(list(PATIENCE))
            name = chance.choice(world.names[1:] if "replica" in kind else world.names)
            until = world.now + chance.uniform(0.2, 1.0) * PATIENCE[kind]
            stall = Stall(world, kind, name, until)
            stalls[kind] += 1
        if int(world.now * 2) % 10 == 0:
            for name in world.names:
                world.patroni(name)
        if stall is None or stall.kind != "agent":
            world.hear_everything()
            world.run(world.moves())
        moves.update(type(move).__name__ for move in world.made if isinstance(move, DISRUPTIVE))
        world.made.clear()
        failovers += world.key != led_by
        led_by = world.key
        world.tick(0.5)
    return stalls, moves, failovers


# The autopilot


class PlayedTime:
    """A clock that jumps to when something is due. All else sees no other."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        """Seconds."""
        return self.now

    def time(self) -> float:
        """The same, since 1970."""
        return MONDAY + self.now

    def clock_gettime(self, _clock: int) -> float:
        """The same for each clock that only goes on."""
        return self.now

    def datetime(self) -> type[datetime]:
        """What says so where modules ask for an aware time."""
        played = self

        class Played(datetime):
            @classmethod
            def now(cls, tz: tzinfo | None = None) -> datetime:
                return datetime.fromtimestamp(played.time(), tz)

        return Played

    def loop(self) -> asyncio.AbstractEventLoop:
        """It waits for nothing but what is ready, and jumps."""
        loop = asyncio.SelectorEventLoop(_Jumping(self))
        loop.set_default_executor(_AtOnce())
        return loop


class _Jumping(selectors.DefaultSelector):  # type: ignore[misc, valid-type]
    def __init__(self, played: PlayedTime) -> None:
        super().__init__()
        self._played = played

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise RuntimeError("nothing will ever happen")
        found = super().select(0)
        if not found:
            self._played.now += max(0.0, timeout)
        return found


class _AtOnce(ThreadPoolExecutor):
    def submit(self, call: Callable[..., Any], /, *rest: Any, **more: Any) -> Future[Any]:
        future: Future[Any] = Future()
        try:
            future.set_result(call(*rest, **more))
        except Exception as error:
            future.set_exception(error)
        return future


@contextmanager
def played_time() -> Iterator[PlayedTime]:
    """All of the autopilot sees it."""
    played = PlayedTime()
    modules = (controller, backing, notifying, reader, memory_world)
    clocks = ("monotonic", "time", "clock_gettime")
    real = {name: getattr(time, name) for name in clocks}
    for name in clocks:
        setattr(time, name, getattr(played, name))
    for module in modules:
        module.datetime = played.datetime()  # type: ignore[attr-defined]
    try:
        yield played
    finally:
        for name in clocks:
            setattr(time, name, real[name])
        for module in modules:
            module.datetime = datetime  # type: ignore[attr-defined]


class Loads:
    """What databases use, as the engine measures it; now and then it does not."""

    def __init__(self, world: World, databases: Sequence[Database], hours: float) -> None:
        self._world = world
        self._loads = {
            d.id: load(
                read_shape(SHAPES[place % len(SHAPES)]),
                d.ocpus.max,
                seconds=LOAD_SECONDS,
                days=(hours + 1) / 24,
                seed=str(d.id),
            ).ocpus
            for place, d in enumerate(databases)
        }
        self.missing: Collection[DatabaseId] = ()
        self.trouble = ""

    async def usage(self, since: timedelta) -> Mapping[DatabaseId, Sequence[Usage]]:
        """One of each database that is measured."""
        if self.trouble:
            raise TryLater(self.trouble)
        return {
            id: [self._usage(id)]
            for id in self._world.databases
            if id in self._loads and id not in self.missing
        }

    def _usage(self, id: DatabaseId) -> Usage:
        loads, ocpus = self._loads[id], self._world.databases[id].ocpus
        wanted = loads[min(len(loads) - 1, int(time.monotonic() / LOAD_SECONDS))]
        cpu = min(100.0, 100.0 * wanted / ocpus)
        at = datetime.fromtimestamp(time.time(), UTC)
        return Usage(at, cpu, 30.0, ocpus=ocpus, seconds=2.0, transactions_per_second=10 * cpu)

    def counters(self) -> Mapping[DatabaseId, Any]:
        """Nobody asks for them."""
        return {}

    def happenings(self) -> None:
        """Nothing happens by itself."""


class StallingEngine(MemoryEngine):
    """Sometimes it cannot be seen."""

    trouble = ""

    async def observe(self, *, roles: bool = True) -> Observation:
        """All that is there, as a rule."""
        if self.trouble == "slow":
            await asyncio.sleep(15.0)
        if self.trouble:
            raise TryLater(self.trouble)
        return await super().observe(roles=roles)


@dataclass
class DayHelper(PlayedHelper):
    """Carries sizes out, unless somebody else is at work."""

    world: World | None = None
    is_busy: bool = False

    async def carry_out(self, request: Request) -> float:
        """A third of a second."""
        if self.is_busy:
            raise Busy("another command runs")
        self.asked.append(request)
        await asyncio.sleep(0.3)
        if isinstance(request, Resize) and self.world:
            stored = self.world.databases[DatabaseId.parse(request.database)]
            stored.ocpus = request.ocpus
            for instance in stored.instances.values():
                instance.ocpus = request.ocpus
        return 0.3


@dataclass(frozen=True)
class Grown:
    """What the process held, once all was loaded and at the end."""

    bytes: tuple[int, int]
    descriptors: tuple[int, int]
    tasks: tuple[int, int]


async def trouble(
    engine: StallingEngine,
    loads: Loads,
    helper: DayHelper,
    chance: random.Random,
    seen: Counter[str],
) -> None:
    """One after another, for ever."""
    ids = sorted(engine.world.databases)
    while True:
        await asyncio.sleep(chance.uniform(10.0, 120.0))
        kind = chance.choice(("unseen", "slow", "unmeasured", "partly measured", "hidden", "busy"))
        seen[kind] += 1
        match kind:
            case "unseen" | "slow":
                engine.trouble = kind
            case "unmeasured":
                loads.trouble = kind
            case "partly measured":
                loads.missing = chance.sample(ids, len(ids) // 3)
            case "hidden":
                engine.world.hide(chance.choice(ids))
            case _:
                helper.is_busy = True
        await asyncio.sleep(chance.uniform(1.0, 60.0))
        engine.trouble = loads.trouble = ""
        loads.missing, helper.is_busy = (), False
        engine.world._hidden.clear()


async def play_autopilot(
    hours: float, count: int, chance: random.Random, path: Path
) -> tuple[Counter[str], Counter[str], Counter[str], Grown]:
    """Troubles, what was asked for, scale-downs of each database, and how it grew."""
    place = environment("production", engine="memory")
    wanted = [database(f"s{n}", place, ocpus=(2, 32), replicas=(1, 1)) for n in range(count)]
    engine = StallingEngine(World())
    whole = fleet(*wanted)
    assert (await converge(whole, {"memory": engine}, clock=FakeClock())).is_complete
    loads = Loads(engine.world, wanted, hours)
    engine.meter = cast("Any", loads)
    helper = DayHelper(whole, world=engine.world)
    store, _ = Store.open(path)
    pilot = controller.Controller(
        cast("HelperLink", helper),
        Telling(Archive.of(store)),
        lambda _: whole,
        lambda _: {"memory": engine},
    )
    seen: Counter[str] = Counter()
    tracemalloc.start()
    tasks = [
        asyncio.create_task(pilot.run()),
        asyncio.create_task(trouble(engine, loads, helper, chance, seen)),
    ]
    await asyncio.sleep(3600 * hours * SETTLED)
    helper.beats.clear()
    first = _held()
    asked: Counter[str] = Counter()
    downs: Counter[str] = Counter()
    sizes = {d.id: d.ocpus.initial for d in wanted}

    def count_up() -> None:
        for request in helper.asked:
            asked[type(request).__name__] += 1
            if isinstance(request, Resize):
                id = DatabaseId.parse(request.database)
                downs[str(id)] += request.ocpus < sizes[id]
                sizes[id] = request.ocpus
        helper.asked.clear()
        helper.beats.clear()

    for hour in range(1, int(hours * (1 - SETTLED)) + 1):
        await asyncio.sleep(3600)
        count_up()
        if hour % 4 == 0:
            say(f"autopilot: {hour} hours, {dict(asked)}")
    last = _held()
    tracemalloc.stop()
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    count_up()
    store.close()
    return seen, asked, downs, Grown(*((a, b) for a, b in zip(first, last, strict=True)))


def _held() -> tuple[int, int, int]:
    gc.collect()
    descriptors = sum(1 for _ in Path("/proc/self/fd").iterdir())
    return tracemalloc.get_traced_memory()[0], descriptors, len(asyncio.all_tasks())


def main() -> int:
    """Run it."""
    parser = arguments(__doc__ or "")
    parser.add_argument("--hours", type=float, default=24, help="how long")
    parser.add_argument("--databases", type=int, default=30, help="of the autopilot")
    parser.add_argument("--seed", type=int, default=1, help="of what stands still, and when")
    options = parser.parse_args()
    logging.getLogger("pgherd").setLevel(logging.ERROR)
    report = Report("day")
    chance = random.Random(options.seed)
    stalls, moves, failovers = play_agent(options.hours, chance)
    report.add("agent: stalls", stalls.total())
    report.add("agent: failovers", failovers, target=0)
    note = ", ".join(f"{n} {kind}" for kind, n in moves.items())
    report.add("agent: restarts and the like", moves.total(), target=0, note=note)
    with tempfile.TemporaryDirectory(prefix="b-") as folder, played_time() as played:
        loop = played.loop()
        troubles, asked, downs, grown = loop.run_until_complete(
            play_autopilot(options.hours, options.databases, chance, Path(folder) / "history.db")
        )
    resizes = asked.pop(Resize.__name__, 0)
    report.samples |= {"stalls": stalls, "troubles": troubles, "scale-downs": downs}
    report.add("autopilot: troubles", troubles.total())
    report.add("autopilot: sizes changed", resizes)
    most = max(downs.values(), default=0)
    cooldowns = 3600 * options.hours / COOLDOWN_SECONDS
    report.add("autopilot: scale-downs of one database at most", most, target=cooldowns)
    note = ", ".join(f"{n} {kind}" for kind, n in asked.items())
    report.add("autopilot: repairs, restarts and the like", asked.total(), target=0, note=note)
    report.add("autopilot: memory grown", (grown.bytes[1] - grown.bytes[0]) / KIB, "KiB", target=64)
    report.add("descriptors grown", grown.descriptors[1] - grown.descriptors[0], target=0)
    report.add("tasks grown", grown.tasks[1] - grown.tasks[0], target=0)
    return report.finish(options.json)


if __name__ == "__main__":
    sys.exit(main())
