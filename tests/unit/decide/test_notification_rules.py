"""Laws of what is told: by a clock that only the test moves."""

from __future__ import annotations

import random
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

import msgspec
import pytest

from pgherd.decide.notifications import (
    BETWEEN_SECONDS,
    GROUP_SECONDS,
    HOUR,
    MOST_AN_HOUR,
    PATIENCE,
    REPEAT_SECONDS,
    Listener,
    Message,
    Notices,
    OpenAlert,
    due,
    not_taken,
    noted,
    taken,
)

STEP = 10.0
FULL = OpenAlert("storage", "production/cart", "storage is nearly full", "free some")
WAITS = OpenAlert("unavailable", "production/auth", "it does not serve", "see logs")
OTHER = OpenAlert("unavailable", "staging/auth", "it does not serve", "see logs")


@dataclass
class Told:
    """A receiver that takes all, while it `takes`; each round is ten seconds after the last."""

    listeners: tuple[Listener, ...] = (Listener("pager", ("production", "staging")),)
    now: float = 1_800_000_000.0
    takes: bool = True
    notices: Notices = field(default_factory=Notices)
    messages: list[tuple[float, Message]] = field(default_factory=list)
    tries: int = 0

    def rounds(
        self, seconds: float, *alerts: OpenAlert, unsure: Collection[str] = ()
    ) -> list[Message]:
        """What is sent in that time, while these are open."""
        count = len(self.messages)
        for _ in range(int(seconds / STEP)):
            self.now += STEP
            self.notices = noted(self.notices, self.listeners, alerts, unsure, self.now)
            for message in due(self.notices, self.now):
                self.tries += 1
                if self.takes:
                    self.messages.append((self.now, message))
                    self.notices = taken(self.notices, message, self.now)
                else:
                    self.notices = not_taken(self.notices, message, "away", self.now)
        return [message for _, message in self.messages[count:]]

    def restart(self) -> None:
        """Only what is kept is known afterwards."""
        self.notices = msgspec.json.decode(msgspec.json.encode(self.notices), type=Notices)


def names(message: Message) -> tuple[list[str], list[str]]:
    return subjects(message.firing), subjects(message.ended)


def subjects(known: Iterable[object]) -> list[str]:
    return [one.alert.subject for one in known]  # type: ignore[attr-defined]


def test_nothing_is_told_at_once_and_then_all_of_an_environment_in_one_message() -> None:
    told = Told()
    assert told.rounds(20, FULL) == []
    (message,) = told.rounds(60, FULL, WAITS)
    assert names(message) == (["production/cart", "production/auth"], [])
    assert told.rounds(3600, FULL, WAITS) == []


def test_environments_are_told_apart() -> None:
    told = Told()
    found = told.rounds(60, FULL, OTHER)
    assert [(m.environment, names(m)[0]) for m in found] == [
        ("production", ["production/cart"]),
        ("staging", ["staging/auth"]),
    ]


def test_who_does_not_hear_of_an_environment_is_not_told() -> None:
    told = Told((Listener("pager", ("production",)), Listener("mail", ("staging",))))
    found = told.rounds(60, FULL, OTHER)
    assert {(m.receiver, m.environment) for m in found} == {
        ("pager", "production"),
        ("mail", "staging"),
    }


def test_its_end_is_told_once() -> None:
    told = Told()
    told.rounds(60, FULL)
    (message,) = told.rounds(4 * REPEAT_SECONDS)
    assert names(message) == ([], ["production/cart"])
    told.restart()
    assert told.rounds(4 * REPEAT_SECONDS) == []


def test_what_ends_before_it_was_told_is_never_told() -> None:
    told = Told()
    told.rounds(GROUP_SECONDS - STEP, FULL)
    assert told.rounds(REPEAT_SECONDS) == []


@pytest.mark.parametrize("name", PATIENCE)
def test_what_mostly_mends_itself_is_waited_for(name: str) -> None:
    told = Told()
    alert = OpenAlert(name, "production/cart", "half", "wait")
    assert told.rounds(PATIENCE[name], alert) == []
    assert len(told.rounds(STEP, alert)) == 1
    told = Told()
    (message,) = told.rounds(50, alert, FULL)
    assert names(message)[0] == ["production/cart"]
    assert message.firing[0].alert == FULL


def test_it_is_told_again_while_it_is_open() -> None:
    told = Told()
    told.rounds(60, FULL)
    found = told.rounds(3 * REPEAT_SECONDS, FULL)
    assert [m.is_repeat for m in found] == [True] * 3
    assert all(names(m) == (["production/cart"], []) for m in found)


def test_nothing_is_told_twice_after_restarts_at_any_time() -> None:
    told = Told()
    for _ in range(20):
        told.rounds(STEP, FULL)
        told.restart()
    assert len(told.messages) == 1
    for _ in range(20):
        told.rounds(STEP)
        told.restart()
    assert len(told.messages) == 2


def test_what_is_not_seen_has_not_ended() -> None:
    told = Told()
    told.rounds(60, FULL)
    assert told.rounds(1800, unsure=["production/cart"]) == []
    assert told.rounds(1800, FULL) == []
    assert len(told.rounds(300)) == 1


def test_what_is_not_taken_is_tried_again_later_and_later() -> None:
    told = Told(takes=False)
    told.rounds(3600, FULL)
    assert 8 <= told.tries <= 12
    told.takes = True
    (message,) = told.rounds(700, FULL)
    assert names(message) == (["production/cart"], [])
    assert told.rounds(3000, FULL) == []


def test_an_end_that_is_not_taken_stays_due() -> None:
    told = Told()
    told.rounds(60, FULL)
    told.takes = False
    told.rounds(3600)
    told.takes = True
    (message,) = told.rounds(700)
    assert names(message) == ([], ["production/cart"])


def test_what_flaps_is_told_a_few_times_and_no_more() -> None:
    """The worst that an alert can do is to end just as long as it must each time."""
    worst = 0
    for period in (70, 130, 250, 490, 970):
        told = Told()
        began = told.now
        while told.now - began < REPEAT_SECONDS:
            told.rounds(40, FULL)
            told.rounds(period)
        worst = max(worst, len(told.messages))
    assert 4 <= worst <= 16


def test_what_flaps_quicker_than_its_wait_is_told_once() -> None:
    told = Told()
    for _ in range(200):
        told.rounds(40, FULL)
        told.rounds(30)
    assert len(told.messages) == 1


def test_a_receiver_gets_so_many_an_hour_and_is_told_so() -> None:
    environments = tuple(f"e{n}" for n in range(40))
    told = Told((Listener("pager", environments),))
    alerts = [OpenAlert("storage", f"{name}/cart", "full", "free some") for name in environments]
    found = told.rounds(HOUR - 60, *alerts)
    assert len(found) == MOST_AN_HOUR
    assert [m.is_last for m in found] == [False] * (MOST_AN_HOUR - 1) + [True]
    assert len(told.rounds(HOUR, *alerts)) == MOST_AN_HOUR, "the others wait, and are not lost"


def test_a_clock_that_is_put_back_keeps_nobody_waiting() -> None:
    told = Told()
    told.rounds(60, FULL)
    told.now -= 10 * REPEAT_SECONDS
    assert len(told.rounds(2 * BETWEEN_SECONDS)) == 1
    told.takes = False
    told.rounds(60, WAITS)
    told.takes = True
    told.now -= 10 * REPEAT_SECONDS
    assert len(told.rounds(2 * BETWEEN_SECONDS, WAITS)) == 1


def test_a_receiver_that_left_is_forgotten() -> None:
    told = Told()
    told.rounds(60, FULL)
    told.listeners = ()
    told.rounds(60, FULL)
    assert told.notices == Notices((), {})


@pytest.mark.parametrize("seed", range(6))
def test_whatever_happens_beginnings_and_ends_alternate(seed: int) -> None:
    """Of each alert: told, then its end, then told, and so on; and at the end all that is open."""
    random_ = random.Random(seed)
    told = Told()
    alerts = [FULL, WAITS, OTHER, OpenAlert("degraded", "production/cart", "half", "wait")]
    for _ in range(150):
        told.takes = random_.random() < 0.7
        unsure = random_.sample(["production/cart", "staging/auth"], random_.randrange(3))
        chosen = random_.sample(alerts, random_.randrange(len(alerts) + 1))
        told.rounds(random_.choice([10, 30, 60, 120, 600]), *chosen, unsure=unsure)
        if random_.random() < 0.2:
            told.restart()
    told.takes = True
    told.rounds(3 * HOUR, FULL)
    is_open: dict[tuple[str, str], bool] = {}
    for _, message in told.messages:
        for one in message.ended:
            key = (one.alert.name, one.alert.subject)
            assert is_open[key], "an end of what nobody was told of"
            is_open[key] = False
        for one in message.firing:
            key = (one.alert.name, one.alert.subject)
            assert one.told_at is not None or not is_open.get(key), "told twice"
            is_open[key] = True
    assert [key for key, value in is_open.items() if value] == [(FULL.name, FULL.subject)]
