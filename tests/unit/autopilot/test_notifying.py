"""The controller notes, asks and remembers; the helper's ledger sends nothing twice."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import msgspec
import pytest
from played_controller import PlayedHelper, PlayedStore

from pgherd.autopilot.archive import Archive
from pgherd.autopilot.checks import receiver_of
from pgherd.autopilot.helper_link import HelperLink
from pgherd.autopilot.ledger import MOST_AT_ONCE, MOST_TRIES, MOST_TRIES_OF_ALL, Ledger
from pgherd.autopilot.notice import LONGEST_SUBJECT, notice_of
from pgherd.autopilot.notifying import Notifying, request, unsure
from pgherd.autopilot.requests import LONGEST_LINE, Asked, Notify, ToldAlert
from pgherd.autopilot.telling import Telling
from pgherd.contract.observed import (
    DatabaseState,
    Observation,
    ObservedDatabase,
    Unknown,
)
from pgherd.decide.alerts import Alert
from pgherd.decide.notifications import HOUR, Known, Message, OpenAlert
from pgherd.errors import InputError, TryLater
from pgherd.fleet.receivers import Receiver
from pgherd.store.store import Store
from pgherd.testing.fleets import database, fleet

AT = datetime(2026, 11, 27, 12, tzinfo=UTC)
DATABASE = database()
ID = str(DATABASE.id)
ENVIRONMENT = DATABASE.environment.name
FULL = Alert("storage", ID, "storage is nearly full", "free some")
FLEET = replace(
    fleet(DATABASE),
    notifications=(
        Receiver("pager", command=("/bin/page",)),
        Receiver("mail", url="mailto://x", environments=("elsewhere",)),
    ),
)


class Desk:
    """A controller's part, with a helper and a store that are played."""

    def __init__(self) -> None:
        self.helper = PlayedHelper(FLEET)
        self.store = PlayedStore()
        self.at = AT
        self.begin()

    def begin(self) -> None:
        telling = Telling(Archive.of(cast("Store", self.store)))
        self.notifying = Notifying(cast("HelperLink", self.helper), telling)

    async def restart(self) -> None:
        self.begin()
        await self.notifying.recall()

    async def rounds(self, count: int, *alerts: Alert, **how: Any) -> None:
        await self.notifying.recall()
        for _ in range(count):
            self.at += timedelta(seconds=10)
            where = how.get("fleet", FLEET)
            await self.notifying.round(where, alerts, how.get("unsure", ()), self.at)
            for task in list(self.notifying._busy.values()):
                await task


async def test_who_hears_of_it_is_told_once_and_of_its_end_once() -> None:
    desk = Desk()
    await desk.rounds(10, FULL)
    await desk.restart()
    await desk.rounds(10, FULL)
    (asked,) = desk.helper.notified
    assert (asked.receiver, asked.environment, asked.number) == ("pager", ENVIRONMENT, 1)
    assert [a.subject for a in asked.firing] == [ID]
    await desk.rounds(40)
    await desk.restart()
    await desk.rounds(40)
    assert [len(n.ended) for n in desk.helper.notified] == [0, 1]
    reasons = [e.reason for e in desk.store.told if e.kind == "notification"]
    assert reasons == ["pager was told: 1 open, 0 resolved", "pager was told: 0 open, 1 resolved"]


async def test_what_is_not_taken_is_an_event_once_and_asked_for_again() -> None:
    desk = Desk()
    desk.helper.error = TryLater("pager (/bin/page) has not taken a message: it ended with 1")
    await desk.rounds(40, FULL)
    assert [e.kind for e in desk.store.told] == ["notification-failed"]
    assert len(desk.helper.notified) >= 2
    desk.helper.error = None
    desk.at += timedelta(minutes=10)
    await desk.rounds(1, FULL)
    assert [e.kind for e in desk.store.told] == ["notification-failed", "notification"]


async def test_without_receivers_nothing_is_asked_or_remembered() -> None:
    desk = Desk()
    await desk.rounds(20, FULL, fleet=fleet(DATABASE))
    assert desk.helper.notified == []
    assert desk.store.known == {}


def test_what_is_unknown_is_not_over() -> None:
    engine, id = DATABASE.environment.engine, DATABASE.id

    def found(one: Any, measured: tuple[str, ...] = (ID,)) -> set[str]:
        seen = one if isinstance(one, Unknown) else Observation(databases={id: one} if one else {})
        return unsure(FLEET, {engine: seen}, measured, {engine: True})

    running = ObservedDatabase(id, DatabaseState.RUNNING)
    assert unsure(FLEET, {}, (), {}) == {ID}
    assert found(Unknown("away")) == {ID}
    assert found(running) == set()
    assert found(running, ()) == {ID}
    assert found(ObservedDatabase(id, DatabaseState.STOPPED), ()) == set()
    assert found(None, ()) == set()


def test_a_request_fits_however_much_is_open() -> None:
    subject, summary = f"{ENVIRONMENT}/{'y' * 500}", "\N{SNOWMAN}" * 5000
    alert = OpenAlert("x" * 90, subject, summary, "z\ud800\n" * 999)
    known = tuple(Known(alert, 1.8e9) for _ in range(100))
    asked = request(Message("pager", ENVIRONMENT, 1, known, known))
    line = msgspec.json.encode(Asked(1, asked))
    assert len(line) < LONGEST_LINE
    assert msgspec.json.decode(line, type=Asked).what == asked
    assert (asked.more_firing, asked.more_ended) == (90, 90)


@pytest.mark.parametrize(
    ("receiver", "environment", "subject", "said"),
    [
        ("nobody", ENVIRONMENT, ID, "is not a receiver"),
        ("pager", "nowhere", ID, "is not an environment"),
        ("pager", ENVIRONMENT, "other/auth", "is not in"),
        ("mail", ENVIRONMENT, ID, "does not hear of"),
    ],
)
def test_what_the_fleet_does_not_have_is_refused(
    receiver: str, environment: str, subject: str, said: str
) -> None:
    told = ToldAlert("storage", subject, 1.0, "full", "free some")
    with pytest.raises(InputError, match=said):
        receiver_of(Notify(receiver, environment, 1, firing=(told,)), FLEET)


TOLD = ToldAlert("storage", "production/cart", 1.8e9, "storage is nearly full", "free some")


@pytest.mark.parametrize(
    ("asked", "subject"),
    [
        (Notify("p", "production", 1, (TOLD,)), "production/cart: storage is nearly full"),
        (
            Notify("p", "production", 1, (TOLD,), is_repeat=True),
            "still: production/cart: storage is nearly full",
        ),
        (
            Notify("p", "production", 1, (), (TOLD,)),
            "resolved: production/cart: storage is nearly full",
        ),
        (Notify("p", "production", 1, (TOLD,) * 3, (TOLD,)), "production: 3 alerts, 1 resolved"),
        (Notify("p", "production", 1, (), (TOLD,) * 2), "resolved: production: 2 alerts"),
        (Notify("p", "production", 1, (TOLD,) * 10, more_firing=5), "production: 15 alerts"),
    ],
)
def test_subjects(asked: Notify, subject: str) -> None:
    notice = notice_of(asked, "shop")
    assert notice.subject == f"pgherd shop: {subject}"
    assert notice.is_good == (not asked.firing)


def test_a_hostile_text_is_on_one_line_and_short() -> None:
    evil = "a\r\nBcc: b\x00\u202e\u2028" + "c" * 300
    notice = notice_of(Notify("p", "e", 1, (ToldAlert(evil[:90], evil, 1, evil, evil),)), "shop")
    assert len(notice.subject) <= LONGEST_SUBJECT
    assert notice.subject.isprintable()
    assert all(line.isprintable() for line in notice.body.split("\n"))
    assert len(notice.body.split("\n")) == 3


class Time:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_what_was_taken_is_not_sent_again_and_what_was_not_is() -> None:
    ledger = Ledger(Time())
    asked = Notify("pager", "production", 1, (TOLD,))
    assert ledger.answer(1, asked) is None
    ledger.begin(asked)
    on_its_way = ledger.answer(2, asked)
    assert on_its_way
    assert on_its_way.failure
    ledger.end(asked, is_taken=False)
    assert ledger.answer(3, asked) is None
    ledger.begin(asked)
    ledger.end(asked, is_taken=True)
    taken = ledger.answer(4, asked)
    assert taken
    assert taken.failure is None
    assert ledger.answer(5, msgspec.structs.replace(asked, number=2)) is None


def test_nobody_is_flooded() -> None:
    time = Time()
    ledger = Ledger(time)

    def sent(receiver: str, number: int) -> bool:
        asked = Notify(receiver, "production", number)
        if ledger.answer(1, asked):
            return False
        ledger.begin(asked)
        ledger.end(asked, is_taken=True)
        return True

    assert sum(sent("pager", n) for n in range(1000)) == MOST_TRIES
    assert sum(sent(f"r{n}", n) for n in range(1000)) == MOST_TRIES_OF_ALL - MOST_TRIES
    time.now += HOUR + 1
    assert sent("pager", 2000)
    for number in range(MOST_AT_ONCE):
        ledger.begin(Notify("mail", "production", number))
    refused = ledger.answer(1, Notify("mail", "production", 99))
    assert refused
    assert refused.failure


def test_what_stays_does_not_load_apprise() -> None:
    """It takes tens of megabytes: only the process that sends has it."""
    program = "import sys, pgherd.autopilot.main; print('apprise' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-I", "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout == "False\n"
