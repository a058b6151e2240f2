"""A controller whose helper and store are played, on databases that are only remembered."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, cast

import msgspec
from msgspec import structs

from pgherd.autopilot.archive import Archive
from pgherd.autopilot.controller import Controller
from pgherd.autopilot.helper_link import HelperLink
from pgherd.autopilot.now import Now
from pgherd.autopilot.requests import Applied, Beat, Notify, Pause, Request
from pgherd.autopilot.telling import Telling
from pgherd.contract.engine import Engine
from pgherd.contract.meter import Usage
from pgherd.control.up import converge
from pgherd.errors import PgherdError
from pgherd.fleet.desired import Database, Fleet
from pgherd.store.store import Store
from pgherd.store.values import Event, NewEvent
from pgherd.testing.clock import FakeClock
from pgherd.testing.fleets import fleet
from pgherd.testing.memory.engine import MemoryEngine
from pgherd.testing.world import World


@dataclass
class PlayedHelper:
    """Carries out nothing; requests fail with `error`, and wait while `is_open` is not set."""

    fleet: Fleet
    number: int = 1
    pauses: tuple[Pause, ...] = ()
    error: PgherdError | None = None
    asked: list[Request] = field(default_factory=list)
    cpu: dict[str, list[int | None]] = field(default_factory=dict)
    notified: list[Notify] = field(default_factory=list)
    beats: list[tuple[float, int]] = field(default_factory=list)
    history: str = ""
    is_open: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.is_open.set()

    async def applied(self, number: int, digest: str) -> Applied:
        is_known = (number, digest) == (self.number, "code")
        resolved = msgspec.Raw(b"null" if is_known else b"{}")
        return Applied(self.number, "code", resolved, self.pauses)

    async def carry_out(self, request: Request) -> float:
        self.asked.append(request)
        await self.is_open.wait()
        if self.error:
            raise self.error
        return 1.5

    async def notify(self, request: Notify) -> None:
        self.notified.append(request)
        if self.error:
            raise self.error

    def beat(self, beat: Beat) -> None:
        self.cpu, self.history = beat.cpu, beat.history
        self.beats.append((beat.at, beat.alerts))

    def apply(self, *databases: Database) -> None:
        self.fleet, self.number = fleet(*databases), self.number + 1


@dataclass
class PlayedStore:
    """Remembers what it is told."""

    told: list[Event] = field(default_factory=list)
    open_alerts: Mapping[tuple[str, str], tuple[str, str]] = field(default_factory=dict)
    samples: Mapping[str, Any] = field(default_factory=dict)
    known: dict[str, bytes] = field(default_factory=dict)

    def add_event(self, at: datetime, kind: str, reason: str, **more: Any) -> Event:
        event = Event(len(self.told), at, kind, reason, **more)
        self.told.append(event)
        return event

    def add_news(
        self, key: str, news: Callable[[bytes | None], tuple[Sequence[NewEvent], bytes]]
    ) -> list[Event]:
        found, self.known[key] = news(self.known.get(key))
        return [self.add_event(**structs.asdict(event)) for event in found]

    def amend_event(self, id: int, details: Mapping[str, Any]) -> None:
        event = self.told[id]
        self.told[id] = structs.replace(event, details={**event.details, **details})

    def add_samples(self, at: datetime, samples: Mapping[str, Any]) -> None:
        self.samples = samples

    def set_alerts(self, now: datetime, current: Mapping[tuple[str, str], Any]) -> None:
        self.open_alerts = current

    def remember(self, key: str, value: bytes) -> None:
        self.known[key] = value

    def recall(self, key: str) -> bytes | None:
        return self.known.get(key)

    def tidy(self, now: datetime) -> None:
        """It keeps all."""


class Played:
    """All of it. Databases are up, and use little."""

    def __init__(self, *databases: Database) -> None:
        self.world = World()
        self.helper = PlayedHelper(fleet(*databases))
        self.store = PlayedStore()
        self.engines: dict[str, Engine] = {
            name: MemoryEngine(self.world if name == "memory" else World(), name=name)
            for name in dict.fromkeys(d.environment.engine for d in databases)
        }
        self.opened = 0
        self.controller = Controller(
            cast("HelperLink", self.helper),
            Telling(Archive.of(cast("Store", self.store))),
            lambda applied: self.helper.fleet,
            self._open,
        )

    def _open(self, fleet: Fleet) -> Mapping[str, Engine]:
        self.opened += 1
        return self.engines

    def memory(self, engine: str) -> MemoryEngine:
        """That engine, as a test may change it."""
        return cast("MemoryEngine", self.engines[engine])

    async def up(self) -> Played:
        outcome = await converge(self.helper.fleet, self.engines, clock=FakeClock())
        assert outcome.is_complete
        for database in self.helper.fleet.databases:
            self.use(database, 10.0)
        return self

    def use(self, database: Database, cpu: float | None, **more: Any) -> None:
        """So much is used from now on."""
        engine = self.memory(database.environment.engine)
        stored = engine.world.databases[database.id]
        now = datetime.now(UTC)
        plain = Usage(now, cpu, 10.0, ocpus=stored.ocpus, seconds=5.0, transactions_per_second=9.0)
        engine.world.usage[database.id] = [replace(plain, **more)]

    def grow(self, database: Database, ocpus: int) -> None:
        """It has that size."""
        self.world.databases[database.id].ocpus = ocpus

    async def rounds(self, count: int = 1) -> None:
        """Each tells what it sees, as a round does now and then."""
        for _ in range(count):
            self.controller._due.pop("tell", None)
            await self.controller.round()
            await self.settle()

    async def settle(self) -> None:
        """What was begun has gone on as far as it can: also through the store's threads."""
        for _ in range(4):
            await asyncio.sleep(0)
            await asyncio.to_thread(lambda: None)

    async def until(self, holds: Callable[[], bool]) -> None:
        async with asyncio.timeout(10):
            while not holds():
                await self.settle()

    @property
    def now(self) -> Now:
        """What `why` would say."""
        return msgspec.json.decode(self.store.known["now"], type=Now)

    def kinds(self) -> list[str]:
        """Of all that happened."""
        return [event.kind for event in self.store.told]
