"""Backups that nobody has to ask for: begun in time, a few at once, and told of where they fail."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest

from pgherd.autopilot import backing
from pgherd.autopilot.backing import Backing
from pgherd.autopilot.helper_link import HelperLink
from pgherd.autopilot.requests import BackupsSeen, DropArchive, OfBackups, Pause, Prove
from pgherd.autopilot.telling import Telling
from pgherd.contract.backups import BackupState, ObservedBackup
from pgherd.contract.meter import InstanceUsage, Usage
from pgherd.contract.observed import DatabaseState, Observation, Observations, ObservedDatabase
from pgherd.contract.proofs import Proof
from pgherd.errors import NeedsHuman, PgherdError, TryLater
from pgherd.fleet.desired import Database, WhenFull
from pgherd.testing.fleets import PRODUCTION, database, environment, fleet

STAGING = environment("staging", network="10.1.0.0/16")
DEVELOPMENT = environment("development", network="10.2.0.0/16")
AUTH, ORDER = database("auth"), database("order")
AT = datetime(2026, 11, 28, 12, tzinfo=UTC)
FRESH = ObservedBackup("a", AT - timedelta(hours=1), BackupState.AVAILABLE, "full")


@dataclass
class PlayedHelper:
    """Knows these backups, and takes others while `is_open` is set."""

    known: dict[str, list[ObservedBackup]] = field(default_factory=dict)
    trouble: str = ""
    error: PgherdError | None = None
    asked: list[str] = field(default_factory=list)
    asked_to_prove: list[str] = field(default_factory=list)
    proven: dict[str, list[Proof]] = field(default_factory=dict)
    proves: bool = True
    given_up: list[str] = field(default_factory=list)
    looks: int = 0
    is_open: asyncio.Event = field(default_factory=asyncio.Event)

    async def backups(self, engine: str, database: str = "") -> dict[str, BackupsSeen]:
        self.looks += 1
        return {
            id: BackupsSeen(tuple(b), self.trouble, tuple(self.proven.get(id, ())))
            for id, b in self.known.items()
            if database in ("", id)
        }

    async def carry_out(self, request: OfBackups) -> float:
        if isinstance(request, DropArchive):
            self.given_up.append(request.database)
            return 0.1
        is_proof = isinstance(request, Prove)
        (self.asked_to_prove if is_proof else self.asked).append(request.database)
        await self.is_open.wait()
        if self.error:
            raise self.error
        if is_proof:
            self.proven[request.database] = [Proof(AT, ok=self.proves)]
        else:
            self.known[request.database] = [FRESH]
        if is_proof and not self.proves:
            raise NeedsHuman("its drill failed")
        return 2.0


class Played:
    """Databases that run, on an engine that takes no backups by itself."""

    def __init__(self, *databases: Database) -> None:
        self.fleet = fleet(*databases)
        self.helper = PlayedHelper({str(d.id): [] for d in databases})
        self.told: list[tuple[str, str, dict[str, Any]]] = []
        self.backing = Backing(cast("HelperLink", self.helper), cast("Telling", self))
        self.usages: dict[str, Usage] = {}
        self.states = {d.id: DatabaseState.RUNNING for d in databases}

    async def event(self, at: datetime, kind: str, reason: str, **more: Any) -> None:
        self.told.append((kind, more["database"], more["details"]))

    @property
    def seen(self) -> Observations:
        found = {id: ObservedDatabase(id, state) for id, state in self.states.items()}
        names = frozenset(e.name for e in self.fleet.environments)
        return {e.engine: Observation(names, found) for e in self.fleet.environments}

    async def rounds(self, count: int = 1, pauses: Sequence[Pause] = (), at: datetime = AT) -> None:
        engines = {e.engine for e in self.fleet.environments}
        for _ in range(count):
            self.backing.round(self.fleet, engines, self.seen, self.usages, pauses, at)
            for _ in range(5):
                await asyncio.sleep(0)


async def test_a_database_without_a_backup_gets_one_and_no_second() -> None:
    played = Played(AUTH)
    played.helper.is_open.set()
    await played.rounds(10)
    assert played.helper.asked == ["production/auth"]
    assert played.helper.asked_to_prove == ["production/auth"]
    assert played.told == [
        ("backup", "production/auth", {"seconds": 2.0}),
        ("drill", "production/auth", {"seconds": 2.0}),
    ]
    assert played.helper.looks == 3  # at first, and after each


async def test_what_is_backed_up_proven_and_archived_is_protected() -> None:
    played = Played(AUTH, ORDER)
    await played.rounds(2)
    assert played.backing.unprotected({}, AT)["production/auth"] == "it has no backup"
    played.helper.is_open.set()
    await played.rounds(20)
    usages = {"production/auth": Usage(AT, unarchived_seconds=2.0)}
    assert played.backing.unprotected(usages, AT) == {
        "production/auth": "",
        "production/order": "how far its WAL is archived is not known yet",
    }


async def test_a_drill_that_fails_is_told_of_and_waits_for_the_next_backup() -> None:
    played = Played(AUTH)
    played.helper.proves = False
    played.helper.is_open.set()
    await played.rounds(10)
    assert played.helper.asked_to_prove == ["production/auth"]
    assert played.told[-1] == (
        "drill-failed",
        "production/auth",
        {"failed": "its drill failed"},
    )
    usages = {"production/auth": Usage(AT, unarchived_seconds=2.0)}
    assert played.backing.unprotected(usages, AT) == {"production/auth": "its drill failed"}


async def test_three_of_an_environment_at_a_time_and_six_of_all() -> None:
    services = ("auth", "cart", "order", "stock")
    every = [database(s, e) for e in (PRODUCTION, STAGING, DEVELOPMENT) for s in services]
    played = Played(*every)
    await played.rounds(5)
    begun = Counter(name.partition("/")[0] for name in played.helper.asked)
    assert (begun.total(), max(begun.values())) == (6, 3)
    played.helper.is_open.set()
    await played.rounds(20)
    assert sorted(played.helper.asked) == sorted(str(d.id) for d in every)


async def test_a_drill_waits_while_a_first_backup_can_begin() -> None:
    bare = [database(service, PRODUCTION) for service in ("auth", "cart", "stock", "till")]
    played = Played(*bare, ORDER, database("order", STAGING))
    for id in ("production/order", "staging/order"):
        played.helper.known[id] = [FRESH]
    await played.rounds(5)
    assert len(played.helper.asked) == 3
    assert played.helper.asked_to_prove == []
    played.helper.is_open.set()
    await played.rounds(20)
    assert len(played.helper.asked) == 4
    assert {"production/order", "staging/order"} <= {*played.helper.asked_to_prove}


async def test_a_backup_that_fails_holds_no_drill_up() -> None:
    played = Played(AUTH, ORDER)
    played.helper.known["production/order"] = [FRESH]
    played.helper.is_open.set()
    played.helper.error = NeedsHuman("the disk is full")
    await played.rounds(5)
    assert played.helper.asked_to_prove == ["production/order"]


@pytest.mark.parametrize(
    "state",
    [DatabaseState.STOPPED, DatabaseState.UNAVAILABLE, DatabaseState.STARTING],
)
async def test_what_does_not_serve_is_not_backed_up(state: DatabaseState) -> None:
    played = Played(AUTH)
    played.states[AUTH.id] = state
    await played.rounds(5)
    assert played.helper.asked == []


async def test_what_is_paused_or_was_not_seen_is_left_alone() -> None:
    played = Played(AUTH)
    pause = Pause("production", "moving", 0.0)
    await played.rounds(5, [pause])
    assert played.helper.asked == []
    unknown = Played(AUTH)
    unknown.helper.known = {}
    await unknown.rounds(5)
    assert unknown.helper.asked == []
    assert unknown.backing.alerts({}, AT) == []


async def test_one_that_fails_is_told_once_and_tried_again_later() -> None:
    played = Played(AUTH)
    played.helper.is_open.set()
    played.helper.error = NeedsHuman("the disk is full")
    await played.rounds(5)
    assert played.helper.asked == ["production/auth"]
    assert played.told == [("backup-failed", "production/auth", {"failed": "the disk is full"})]


async def test_what_is_late_is_told_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    played = Played(AUTH, ORDER)
    usages = {str(d.id): Usage(AT, unarchived_seconds=2.0) for d in (AUTH, ORDER)}
    played.helper.known["production/order"] = [FRESH]
    played.helper.proven = {str(d.id): [Proof(AT, ok=True)] for d in (AUTH, ORDER)}
    played.helper.error = TryLater("busy")
    await played.rounds(2)
    assert played.backing.alerts(usages, AT) == []
    monkeypatch.setattr(backing, "PATIENCE_SECONDS", 0.0)
    (alert,) = played.backing.alerts(usages, AT)
    assert (alert.name, alert.subject) == ("not-protected", "production/auth")
    assert alert.summary == "it has no backup"
    monkeypatch.undo()
    played.helper.known["production/auth"] = [FRESH]
    played.backing._looked.clear()
    await played.rounds(2)
    monkeypatch.setattr(backing, "PATIENCE_SECONDS", 0.0)
    assert played.backing.alerts(usages, AT) == []


async def test_what_cannot_be_backed_up_is_told_of_and_not_asked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    played = Played(AUTH)
    played.helper.trouble = "pgBackRest is not installed"
    monkeypatch.setattr(backing, "PATIENCE_SECONDS", 0.0)
    await played.rounds(5)
    assert played.helper.asked == []
    (alert,) = played.backing.alerts({}, AT)
    assert alert.summary == "pgBackRest is not installed"


async def test_an_archive_is_given_up_where_the_fleet_file_says_so_and_the_disk_is_full() -> None:
    drops = replace(ORDER, backup=replace(ORDER.backup, when_full=WhenFull.DROP_ARCHIVE))
    played = Played(AUTH, drops)
    full = InstanceUsage(
        disk="8:1", disk_bytes=10**11, disk_free_bytes=10**8, unarchived_bytes=10**10
    )
    played.usages = {str(d.id): Usage(AT, instances={"one": full}) for d in (AUTH, drops)}
    paused = Pause("production/order", "by hand", 0.0)
    await played.rounds(2, [paused])
    assert played.helper.given_up == []
    await played.rounds()
    assert played.helper.given_up == ["production/order"]
    ((kind, database, _),) = [one for one in played.told if one[0] == "archive-dropped"]
    assert database == "production/order", kind
