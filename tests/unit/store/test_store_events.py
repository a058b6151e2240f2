"""Events are found by what they concern, in both orders, and only so many are kept."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from pgherd.store import events
from pgherd.store.store import Store
from pgherd.store.values import Event

NOW = datetime(2026, 5, 4, 12, 3, 4, 567890, tzinfo=UTC)
CART = "production/cart"


def reasons(found: list[Event]) -> list[str]:
    return [event.reason for event in found]


@pytest.fixture
def told(store: Store) -> Store:
    store.add_event(NOW, "scale", "1", database=CART)
    store.add_event(NOW + timedelta(hours=1), "failover", "2", database="staging/cart")
    store.add_event(NOW + timedelta(hours=2), "repair", "3", environment="production")
    store.add_event(NOW + timedelta(hours=3), "scale", "4")
    return store


def test_an_event_is_read_as_it_was_written(store: Store) -> None:
    details = {"from": 2, "to": 4, "why": ["cpu", None, True], "share": 0.91}
    event = store.add_event(NOW, "scale", "cpu 91%", database=CART, details=details)
    assert event == Event(1, NOW, "scale", "cpu 91%", "production", CART, details)
    assert store.events() == [event]


def test_times_of_other_zones_are_read_in_utc(store: Store) -> None:
    from datetime import timezone

    event = store.add_event(NOW.astimezone(timezone(timedelta(hours=5))), "scale", "")
    assert event.at == NOW
    assert event.at.tzinfo is UTC


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ({}, "4321"),
        ({"limit": 2}, "43"),
        ({"database": CART}, "1"),
        ({"environment": "production"}, "31"),
        ({"kinds": ["scale", "repair"]}, "431"),
        ({"kinds": []}, ""),
        ({"since": NOW + timedelta(hours=2)}, "43"),
        ({"after_id": 2}, "34"),
        ({"after_id": 0, "limit": 2}, "12"),
        ({"after_id": 4}, ""),
        ({"after_id": 1, "kinds": {"scale"}}, "4"),
        ({"after_id": -(2**80)}, "1234"),
    ],
)
def test_events_are_found(told: Store, wanted: dict[str, Any], found: str) -> None:
    assert "".join(reasons(told.events(**wanted))) == found


def test_who_followed_a_former_history_gets_all_of_the_new_one(told: Store) -> None:
    assert reasons(told.events(after_id=500)) == ["1", "2", "3", "4"]
    assert reasons(told.events(after_id=2**80)) == ["1", "2", "3", "4"]


def test_an_outcome_comes_to_the_details(store: Store) -> None:
    event = store.add_event(NOW, "scale", "", details={"to": 4, "before": 10})
    amended = store.amend_event(event.id, {"after": 20, "before": 11})
    assert amended
    assert amended.details == {"to": 4, "before": 11, "after": 20}
    assert store.events() == [amended]
    assert store.amend_event(99, {}) is None
    assert store.amend_event(2**80, {}) is None


def test_whatever_others_wrote_can_be_kept(store: Store) -> None:
    event = store.add_event(
        NOW, "scale", "a\0b\ud800", database="x\0/y", details={"p": object, "\ud800": "\0"}
    )
    assert event.reason == "a\N{REPLACEMENT CHARACTER}b?"
    assert event.details["p"] == str(object)
    assert store.events(database="x\0/y") == [event]


def test_no_event_fills_the_disk(store: Store) -> None:
    details = {"small": 1, "large": "x" * 100_000, "last": 2}
    event = store.add_event(NOW, "scale", "y" * 100_000, details=details)
    assert event.details == {"small": 1, "last": 2, "cut": True}
    assert len(event.reason) == events.LONGEST


def test_old_events_are_removed_a_batch_at_a_time(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "BATCH", 2)
    for day in range(5):
        store.add_event(NOW + timedelta(days=day), "scale", str(day))
    later = NOW + timedelta(days=93, seconds=1)
    store.tidy(later)
    assert reasons(store.events()) == ["4", "3", "2"]
    store.tidy(later)
    store.tidy(later)
    assert reasons(store.events()) == ["4"]


def test_the_number_of_an_event_is_not_given_again(store: Store) -> None:
    first = store.add_event(NOW, "scale", "")
    store.tidy(NOW + timedelta(days=91))
    assert store.events() == []
    assert store.add_event(NOW, "scale", "").id == first.id + 1


def test_only_so_many_are_kept(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "MOST", 3)
    for number in range(3):
        store.add_event(NOW, "scale", str(number))
    store.tidy(NOW)
    assert len(store.events()) == 3
    for number in range(3, 6):
        store.add_event(NOW, "scale", str(number))
    store.tidy(NOW)
    assert reasons(store.events()) == ["5", "4", "3"]
