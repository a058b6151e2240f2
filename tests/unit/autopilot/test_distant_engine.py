"""An engine that only the helper may sign in to: what it saw last is known, and not for ever."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from pgherd.autopilot import distant
from pgherd.autopilot.distant import DistantEngine
from pgherd.autopilot.looked import Looked, newest
from pgherd.contract.meter import DatabaseCounters, Usage
from pgherd.contract.observed import DatabaseState, ObservedDatabase, Unknown
from pgherd.errors import PgherdError, TryLater
from pgherd.fleet.desired import DatabaseId

AUTH, ORDER = DatabaseId("production", "auth"), DatabaseId("production", "order")
AT = datetime(2026, 5, 4, 12, tzinfo=UTC)
USAGE = Usage(AT, 50.0, ocpus=2)
LOOKED = Looked(
    environments=frozenset({"production"}),
    databases={str(AUTH): ObservedDatabase(AUTH, DatabaseState.RUNNING, ocpus=2)},
    unknown={str(ORDER): "throttled"},
    usages={str(AUTH): USAGE},
    counters={str(AUTH): DatabaseCounters(cpu_percent=50.0)},
)


class PlayedHelper:
    """Says `found`, or fails with it; waits while `is_open` is not set."""

    def __init__(self) -> None:
        self.found: Looked | Exception = LOOKED
        self.asked: list[str] = []
        self.is_open = asyncio.Event()
        self.is_open.set()

    async def look(self, engine: str) -> Looked:
        self.asked.append(engine)
        await self.is_open.wait()
        if isinstance(self.found, Exception):
            raise self.found
        return self.found


class Clock:
    """Moved by hand."""

    now = 1000.0


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> type[Clock]:
    monkeypatch.setattr(Clock, "now", 1000.0)
    monkeypatch.setattr(distant.time, "monotonic", lambda: Clock.now)
    return Clock


@pytest.fixture
def helper() -> PlayedHelper:
    return PlayedHelper()


async def unseen(engine: DistantEngine) -> str:
    with pytest.raises(TryLater) as error:
        await engine.observe(roles=False)
    return error.value.message


async def settled() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_nothing_is_known_until_the_helper_has_looked(
    clock: Any, helper: PlayedHelper
) -> None:
    engine = DistantEngine("oci", helper)
    assert "nobody has looked yet" in await unseen(engine)
    await settled()
    seen = await engine.observe(roles=False)
    assert seen == LOOKED.observation
    assert seen.databases[ORDER] == Unknown("throttled")
    assert engine.meter
    assert await engine.meter.usage(timedelta(minutes=5)) == {AUTH: [USAGE]}
    assert engine.meter.counters() == {AUTH: DatabaseCounters(cpu_percent=50.0)}
    assert engine.meter.happenings() is None
    assert helper.asked == ["oci"]


async def test_it_is_looked_at_once_a_minute_and_never_twice_at_once(
    clock: Any, helper: PlayedHelper
) -> None:
    engine = DistantEngine("oci", helper)
    helper.is_open.clear()
    for _ in range(20):
        await unseen(engine)
        await settled()
        clock.now += 10.0
    assert len(helper.asked) == 1
    helper.is_open.set()
    await settled()
    for _ in range(12):
        engine.last()
        await settled()
        clock.now += 10.0
    assert len(helper.asked) == 3


async def test_what_was_seen_long_ago_is_not_known(clock: Any, helper: PlayedHelper) -> None:
    engine = DistantEngine("oci", helper)
    await unseen(engine)
    await settled()
    helper.found = TryLater("no route")
    for _ in range(5):
        clock.now += 60.0
        engine.last()
        await settled()
    clock.now += 1.0
    assert await unseen(engine) == "oci is not seen: no route"
    assert engine.meter
    with pytest.raises(TryLater):
        await engine.meter.usage(timedelta(minutes=5))
    assert engine.meter.counters() == {}
    helper.found = LOOKED
    clock.now += 60.0
    await unseen(engine)
    await settled()
    assert engine.last() == LOOKED


@pytest.mark.parametrize(
    ("error", "why"),
    [
        (PgherdError("no such profile"), "no such profile"),
        (ValueError("odd"), "unexpected: ValueError('odd')"),
    ],
)
async def test_why_nothing_is_seen_is_told(
    clock: Any, helper: PlayedHelper, error: Exception, why: str
) -> None:
    engine = DistantEngine("oci", helper)
    helper.found = error
    await unseen(engine)
    await settled()
    assert await unseen(engine) == f"oci is not seen: {why}"


def usage(minute: int, cpu: float | None, memory: float | None) -> Usage:
    return Usage(AT + timedelta(minutes=minute), cpu, memory)


def test_the_newest_that_is_whole_is_taken() -> None:
    whole, half = usage(0, 10.0, 20.0), usage(1, 11.0, None)
    assert newest([usage(-1, 9.0, 19.0), whole, half]) is whole
    assert newest([usage(0, None, 1.0), half]) is half
