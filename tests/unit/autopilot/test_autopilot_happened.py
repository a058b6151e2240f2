"""What engines did by themselves is in the history once, whoever was restarted meanwhile."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import cast

import pytest
from played_controller import Played

from pgherd.autopilot.archive import Archive
from pgherd.autopilot.controller import Controller
from pgherd.autopilot.happened import KEY, MOST_A_MINUTE, Happened, decode
from pgherd.autopilot.helper_link import HelperLink
from pgherd.autopilot.telling import Telling
from pgherd.contract.happenings import Happening, HappeningKind, Happenings
from pgherd.fleet.desired import DatabaseId
from pgherd.store.store import Store
from pgherd.store.values import Event
from pgherd.testing.fleets import database, fleet

CART = database("cart")
FLEET = fleet(database("auth"), database("order"))
AUTH, ORDER = (d.id for d in FLEET.databases)
AT = datetime(2026, 11, 27, 12, tzinfo=UTC)
FAILOVER = Happening(
    1,
    AT,
    HappeningKind.FAILOVER,
    AUTH,
    "primary's process ended",
    before="auth-1",
    after="auth-2",
    phases={"held_ms": 12.0, "released_ms": 402.5},
)
RESTART = Happening(
    1, AT, HappeningKind.RESTART, AUTH, "its process ended", "auth-2", "Patroni", phases={}
)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "history.db")


def anew(store: Store) -> Happened:
    """That of a controller that has just begun."""
    return Happened(Telling(Archive.of(store)))


async def tell(
    happened: Happened, *found: Happening, source: str = "a", now: float = 100.0
) -> None:
    happened.hear("local", Happenings(source, found))
    await happened.tell(FLEET, AT + timedelta(seconds=5), now)


def kept(store: Store) -> list[Event]:
    """The oldest first."""
    return list(reversed(store.events(limit=1000)))


def several(one: Happening, count: int, seconds: float = 1.0) -> Sequence[Happening]:
    return [
        replace(one, number=n + 1, at=AT + timedelta(seconds=n * seconds)) for n in range(count)
    ]


async def test_it_is_kept_with_its_phases(store: Store) -> None:
    await tell(anew(store), FAILOVER)
    (event,) = kept(store)
    assert (event.at, event.kind, event.database) == (AT, "failover", str(AUTH))
    assert event.reason == "primary's process ended"
    assert event.details == {
        "engine": "local",
        "from": "auth-1",
        "to": "auth-2",
        "phases": {"held_ms": 12.0, "released_ms": 402.5},
    }


async def test_it_is_told_once_by_one_controller_and_by_the_next(store: Store) -> None:
    happened = anew(store)
    for _ in range(3):
        await tell(happened, FAILOVER)
    await tell(anew(store), FAILOVER, replace(FAILOVER, number=2))
    await tell(anew(store), FAILOVER, replace(FAILOVER, number=2))
    assert len(kept(store)) == 2


async def test_what_another_agent_tells_is_all_new(store: Store) -> None:
    await tell(anew(store), FAILOVER, replace(FAILOVER, number=2))
    await tell(anew(store), FAILOVER, source="b")
    assert len(kept(store)) == 3


async def test_engines_count_each_for_themselves(store: Store) -> None:
    happened = anew(store)
    happened.hear("local", Happenings("a", [FAILOVER]))
    happened.hear("other", Happenings("a", [FAILOVER]))
    await happened.tell(FLEET, AT, 100.0)
    happened.hear("local", Happenings("a", [FAILOVER]))
    await happened.tell(FLEET, AT, 102.0)
    assert [event.details["engine"] for event in kept(store)] == ["local", "other"]
    assert decode(store.recall(KEY)).keys() == {"local", "other"}


async def test_what_is_not_taken_is_told_in_the_next_round(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pgherd.errors import TryLater

    def full(*_: object) -> None:
        raise TryLater("the disk is full")

    happened = anew(store)
    with monkeypatch.context() as patch:
        patch.setattr(store, "add_news", full)
        await tell(happened, FAILOVER)
    assert kept(store) == []
    await tell(happened, FAILOVER)
    assert len(kept(store)) == 1


async def test_where_one_is_not_kept_none_is_and_nothing_counts_as_told(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pgherd.errors import TryLater
    from pgherd.store import learnt

    def full(*_: object) -> None:
        raise TryLater("the disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(learnt, "remember", full)
        await tell(anew(store), FAILOVER)
    assert kept(store) == []


async def test_several_restarts_within_a_minute_are_one_event_with_a_count(store: Store) -> None:
    happened = anew(store)
    found = several(RESTART, 5)
    await tell(happened, *found[:3])
    (event,) = kept(store)
    assert event.details["count"] == 3
    await tell(happened, *found)
    (event,) = kept(store)
    assert event.details["count"] == 5


async def test_those_of_others_and_of_later_are_events_of_their_own(store: Store) -> None:
    others = [
        replace(RESTART, number=2, database=ORDER),
        replace(RESTART, number=3, instance="auth-1"),
        replace(RESTART, number=4, reason="it was silent"),
    ]
    await tell(anew(store), RESTART, *others)
    assert len(kept(store)) == 4
    late = replace(RESTART, number=5, at=AT + timedelta(seconds=61))
    happened = anew(store)
    happened.hear("local", Happenings("a", [RESTART, *others, late]))
    await happened.tell(FLEET, AT + timedelta(seconds=70), 100.0)
    assert len(kept(store)) == 5
    assert all("count" not in event.details for event in kept(store))


async def test_each_failover_is_an_event(store: Store) -> None:
    await tell(anew(store), *several(FAILOVER, 3))
    assert len(kept(store)) == 3


async def test_who_tells_without_end_is_not_believed_it_all(store: Store) -> None:
    happened = anew(store)
    for source in "abc":
        await tell(happened, *several(FAILOVER, 150, 0.0), source=source)
    assert len(kept(store)) == MOST_A_MINUTE
    await tell(happened, *several(FAILOVER, 10, 0.0), source="d", now=161.0)
    assert len(kept(store)) == MOST_A_MINUTE + 10


async def test_databases_that_the_fleet_has_not_are_not_told_of(store: Store) -> None:
    await tell(anew(store), replace(FAILOVER, database=DatabaseId("lab", "other")))
    assert kept(store) == []


@pytest.mark.parametrize(
    ("at", "kept_at"),
    [
        (AT + timedelta(days=400), AT + timedelta(seconds=5)),
        (AT - timedelta(days=400), AT + timedelta(seconds=5) - timedelta(days=1)),
    ],
)
async def test_a_clock_that_is_wrong_is_not_believed(
    store: Store, at: datetime, kept_at: datetime
) -> None:
    await tell(anew(store), replace(FAILOVER, at=at))
    assert kept(store)[0].at == kept_at


@pytest.mark.parametrize("content", [b"", b"[", b"[1]", b'{"local": 7}', b"\xff"])
async def test_what_cannot_be_read_of_how_far_it_was_told_ends_nothing(
    store: Store, content: bytes
) -> None:
    store.remember(KEY, content)
    await tell(anew(store), FAILOVER)
    assert len(kept(store)) == 1


async def test_an_engine_that_tells_nothing_is_asked_nothing(store: Store) -> None:
    happened = anew(store)
    happened.hear("oci", None)
    await happened.tell(FLEET, AT, 100.0)
    assert store.recall(KEY) is None


async def test_what_an_engine_did_by_itself_is_told_once_over_a_restart() -> None:
    played = await Played(CART).up()
    happening = Happening(1, datetime.now(UTC), HappeningKind.FENCE, CART.id, "it died", "auth-1")
    played.world.happenings = Happenings("a", [happening])
    await played.rounds(2)
    assert played.kinds() == ["fence"]
    again = Played(CART)
    again.world.happenings = played.world.happenings
    again.store = played.store
    again.controller = Controller(
        cast("HelperLink", again.helper),
        Telling(Archive.of(cast("Store", played.store))),
        lambda applied: again.helper.fleet,
        lambda fleet: again.engines,
    )
    await again.rounds(2)
    assert played.kinds() == ["fence"]
