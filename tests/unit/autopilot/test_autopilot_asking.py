"""Asking the helper: one thing at a time for each name, and what was refused is not asked again."""

from __future__ import annotations

import asyncio
from typing import cast

import pytest
from played_controller import PlayedHelper

from pgherd.autopilot import asking
from pgherd.autopilot.asking import Asking, Ended
from pgherd.autopilot.helper_link import HelperLink
from pgherd.autopilot.requests import Mend, Resize
from pgherd.errors import Busy, InputError, NeedsHuman, PgherdError, TryLater
from pgherd.testing.fleets import database, fleet

ID = "production/auth"
MEND = Mend(ID, "ill")


class Clock:
    now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(asking, "time", clock)
    return clock


class Asker:
    """Begins the same thing again and again."""

    def __init__(self) -> None:
        self.helper = PlayedHelper(fleet(database()))
        self.asking = Asking(cast("HelperLink", self.helper))
        self.ended: list[Ended] = []

    async def _work(self, request: Mend | Resize) -> None:
        self.ended.append(await self.asking.carry_out(ID, request))

    async def begin(self, request: Mend | Resize = MEND) -> bool:
        """Whether it was asked for."""
        before = len(self.helper.asked)
        self.asking.begin(ID, self._work(request))
        for _ in range(5):
            await asyncio.sleep(0)
        return len(self.helper.asked) > before


async def wait_of(asker: Asker, clock: Clock) -> float:
    """How long until it is asked for again."""
    began = clock.now
    while not await asker.begin():
        clock.now += 1.0
        assert clock.now - began < 2000
    return clock.now - began


async def test_what_succeeds_may_be_asked_again_at_once(clock: Clock) -> None:
    asker = Asker()
    assert await asker.begin()
    assert await asker.begin()
    assert asker.ended == [Ended(1.5), Ended(1.5)]


async def test_one_thing_at_a_time_and_beside_that_of_others(clock: Clock) -> None:
    asker = Asker()
    asker.helper.is_open.clear()
    assert await asker.begin()
    assert not await asker.begin()
    assert asker.asking.busy_in("production") == 1
    assert asker.asking.busy_in("prod") == 0
    other = asyncio.Event()
    asker.asking.begin("production/order", _set(other))
    asker.asking.later(_set(asyncio.Event()))
    await asyncio.wait_for(other.wait(), 10)
    asker.helper.is_open.set()
    assert not await asker.begin()  # it has only ended meanwhile
    assert asker.asking.busy_in("production") == 0
    assert await asker.begin()


async def _set(event: asyncio.Event) -> None:
    event.set()


@pytest.mark.parametrize("error", [InputError("no"), NeedsHuman("no")])
async def test_what_fails_waits_longer_each_time(clock: Clock, error: PgherdError) -> None:
    asker = Asker()
    asker.helper.error = error
    assert await asker.begin()
    waits = [await wait_of(asker, clock) for _ in range(7)]
    assert waits == [30, 60, 120, 240, 480, 600, 600]


async def test_one_success_ends_the_waiting(clock: Clock) -> None:
    asker = Asker()
    asker.helper.error = InputError("no")
    await asker.begin()
    await wait_of(asker, clock)
    clock.now += 60
    asker.helper.error = None
    assert await asker.begin()
    asker.helper.error = InputError("no")
    assert await asker.begin()
    assert await wait_of(asker, clock) == 30


async def test_where_somebody_else_is_at_work_the_wait_stays_short(clock: Clock) -> None:
    asker = Asker()
    asker.helper.error = TryLater("busy")
    await asker.begin()
    assert [await wait_of(asker, clock) for _ in range(20)] == [5] * 20
    asker.helper.error = InputError("no")
    await wait_of(asker, clock)
    assert await wait_of(asker, clock) == 30


async def test_the_same_refusal_is_news_once(
    clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    asker = Asker()

    async def again(error: PgherdError, request: Mend | Resize) -> bool:
        clock.now += 3600
        asker.helper.error = error
        assert await asker.begin(request)
        return asker.ended[-1].is_news

    assert await again(InputError("no"), MEND)
    assert not await again(InputError("no"), Mend(ID, "another reason"))
    assert await again(InputError("never"), MEND)
    assert await again(InputError("never"), Resize(ID, 4, ""))
    assert await again(InputError("never"), Resize(ID, 8, ""))
    assert len(caplog.records) == 4


async def test_what_has_left_the_fleet_is_forgotten(clock: Clock) -> None:
    asker = Asker()
    asker.helper.error = InputError("no")
    await asker.begin()
    asker.asking.forget_all_but({ID})
    assert not await asker.begin()
    assert asker.asking.in_turn([ID, "production/order"]) == ["production/order", ID]
    asker.asking.forget_all_but({"production"})
    assert asker.asking.in_turn([ID, "production/order"]) == [ID, "production/order"]
    assert await asker.begin()
    assert asker.ended[-1].is_news


async def test_somebody_at_work_is_told_of_only_where_that_lasts(clock: Clock) -> None:
    asker = Asker()
    asker.helper.error = Busy("pgherd up is at work")
    began, told = clock.now, []
    while clock.now - began < 3 * asking.BUSY_SECONDS:
        if await asker.begin() and asker.ended[-1].is_news:
            told.append(clock.now - began)
        clock.now += 1.0
    assert told == [asking.BUSY_SECONDS]
    assert len(asker.ended) > 2 * asking.BUSY_SECONDS / asking.SOON_SECONDS
    asker.helper.error = None
    await wait_of(asker, clock)
    asker.helper.error = Busy("pgherd up is at work")
    await wait_of(asker, clock)
    assert not asker.ended[-1].is_news
