"""A shop whose commands are run as a user runs them, on databases that are only remembered."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

from click.testing import CliRunner, Result

from pgherd.autopilot.client import Autopilot
from pgherd.autopilot.notice import Notice
from pgherd.autopilot.questions import State
from pgherd.autopilot.reading import History, ReadEvent, Told, Wanted
from pgherd.autopilot.requests import Pause
from pgherd.cli.main import cli
from pgherd.cli.surroundings import Surroundings
from pgherd.contract.access import Reach
from pgherd.contract.engine import Engine
from pgherd.control.act import Migrations
from pgherd.control.clock import Clock
from pgherd.control.importing.judging import Checked, Inventory, Moved, Verdict
from pgherd.control.importing.moving import Differs, Seen, Telling, Wish
from pgherd.errors import PgherdError
from pgherd.fleet.desired import DatabaseId, Fleet
from pgherd.fleet.receivers import Receiver
from pgherd.testing.clock import FakeClock
from pgherd.testing.memory.engine import MemoryEngine
from pgherd.testing.memory.migrations import MemoryMigrations
from pgherd.testing.world import World

FLEET = """\
fleet: shop
services: [auth, order]
environments:
  production:
    network: 10.0.0.0/16
    availability_domains: 3
    ocpus: 2..8
    storage: 1TB
    replicas: 1..2
    deletion_protection: true
  staging: {network: 10.1.0.0/16, ocpus: 2, storage: 1TB, autoscale: false}
"""
NOW = datetime(2026, 5, 4, 12, 3, 4, tzinfo=UTC)
AUTH = DatabaseId("production", "auth")
SOURCE = Inventory(
    version=15,
    bytes=50_000_000,
    encoding="UTF8",
    name="old",
    schemas=("public",),
    extensions=(),
    trusted=frozenset(),
    tables=(),
    views=(),
    foreign=(),
    left_out=(("event trigger", "audit"),),
    objects=0,
    comment=None,
)
MOVED = Moved(
    database=AUTH,
    source="old at db.example.com",
    version=15,
    bytes=50_000_000,
    tables=(Checked("public", "accounts", Verdict.SAME, 3, 3),),
    sequences=1,
    sequences_behind=(),
    left_out=(),
    written=True,
    is_read_only=False,
    seconds={"copy": 1.5},
)


class RememberedAutopilot:
    """An autopilot that runs or does not, and what it has told."""

    def __init__(self) -> None:
        self.running: State | None = None
        self.paused: list[Pause] = []
        self.ran: list[tuple[str, bool]] = []
        self.told = History()
        self.asked: list[Wanted] = []
        self.trouble: PgherdError | None = None
        self.sent: list[tuple[str, str]] = []
        self.signed_in: set[str] = set()
        self.refusals: dict[str, PgherdError] = {}

    def state(self) -> State | None:
        return self.running

    def keep_variables(self, fleet: Fleet, found: Mapping[str, str]) -> None:
        self.signed_in = {environment.engine for environment in fleet.environments}

    def begin(self) -> None:
        self.running = State(7, "1", False, bool(self.paused), 8, NOW.timestamp() - 3, 0)

    def ensure_running(self) -> None:
        self.begin()

    def run(self, fleet: str, dry_run: bool) -> None:
        self.ran.append((fleet, dry_run))

    def end(self) -> bool:
        if self.trouble:
            raise self.trouble
        was_running, self.running = self.running is not None, None
        return was_running

    def pauses(self) -> tuple[Pause, ...]:
        return tuple(self.paused)

    def pause(self, pause: Pause) -> None:
        self.paused = [*(p for p in self.paused if p.subject != pause.subject), pause]

    def resume(self, subject: str) -> bool:
        left = [p for p in self.paused if subject and not f"{p.subject}/".startswith(f"{subject}/")]
        was_paused, self.paused = len(left) != len(self.paused), left
        return was_paused

    def send(self, receiver: Receiver, notice: Notice) -> None:
        self.sent.append((receiver.name, notice.subject))
        if refusal := self.refusals.get(receiver.name):
            raise refusal

    def read(self, wanted: Wanted) -> History:
        self.asked.append(wanted)
        return self.told

    async def watch(self, wanted: Wanted) -> AsyncIterator[History]:
        yield self.read(wanted)

    def follow(self, wanted: Wanted) -> Iterator[ReadEvent]:
        self.asked.append(wanted)
        yield from reversed(self.told.events)


class Shop:
    """A shop's fleet file and world, and whoever runs commands on them."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "fleet.yaml"
        self.lock = folder / "shop.lock"
        self.now = NOW
        self.world = World(now=lambda: self.now)
        self.heads: dict[DatabaseId, str] = {}
        self.started: list[tuple[str, Sequence[str], Mapping[str, str]]] = []
        self.is_interactive = False
        self.autopilot = RememberedAutopilot()
        self.wishes: list[Wish] = []
        self.seen = Seen(SOURCE, replace(SOURCE, left_out=()), "")
        self.moved = MOVED
        self.write(FLEET)

    def write(self, text: str) -> None:
        self.file.write_text(text)

    def engine(self, name: str) -> Engine:
        return MemoryEngine(self.world, name=name)

    def migrations(self) -> Migrations:
        return MemoryMigrations(self.world, self.heads)

    async def move_in(self, wish: Wish, reach: Reach, clock: Clock, telling: Telling) -> Moved:
        """An import that tells what is `seen` and ends as `moved`; nothing is copied."""
        self.wishes.append(wish)
        telling.ensure_agreed(self.seen)
        telling.begins("copying rows")
        moved = replace(self.moved, database=wish.id, is_read_only=wish.stops_writes)
        if moved.problems():
            raise Differs(moved)
        return moved

    def surroundings(self) -> Surroundings:
        return Surroundings(
            open_engines=lambda fleet: {"local": self.engine("local")},
            open_engine=lambda name, fleet, environments: self.engine(name),
            migrations=self.migrations,
            clock=FakeClock,
            now=lambda: self.now,
            lock_path=lambda fleet: self.lock,
            applied_folder=lambda fleet: self.lock.with_name(f"{fleet}.applied"),
            autopilot=lambda fleet: cast("Autopilot", self.autopilot),
            told=lambda fleet: cast("Told", self.autopilot),
            run_autopilot=self.autopilot.run,
            send=self.autopilot.send,
            move_in=lambda: self.move_in,
            user=lambda: "alice",
            replace_process=lambda *call: self.started.append(call),
            is_interactive=lambda: self.is_interactive,
        )

    def run(self, *arguments: str, typed: str | None = None, **how: Any) -> Result:
        variables = {"PGHERD_FILE": str(self.file)}
        runner = CliRunner(env=variables)
        return runner.invoke(cli, arguments, obj=self.surroundings(), input=typed, **how)

    def out(self, *arguments: str, exit_code: int = 0) -> str:
        """What a command prints that ends as it should."""
        result = self.run(*arguments)
        assert result.exit_code == exit_code, result.output
        return result.stdout

    def json(self, *arguments: str, exit_code: int = 0) -> Any:
        return json.loads(self.out(*arguments, "--json", exit_code=exit_code))

    def err(self, *arguments: str, exit_code: int, typed: str | None = None) -> str:
        """What a command complains that ends as it should."""
        result = self.run(*arguments, typed=typed)
        assert result.exit_code == exit_code, result.output
        return result.stderr
