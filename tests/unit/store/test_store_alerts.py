"""Alerts follow from what is told each time; kept values are there after a restart."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from pgherd.store import alerts
from pgherd.store.store import Store
from pgherd.store.values import Alert

NOW = datetime(2026, 5, 4, 12, 3, 4, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)
FULL = ("storage full", "production/cart")
LATE = ("late", "production/auth")
WORDS = ("97% of 2TB", "raise storage.max")


def test_an_alert_begins_once_and_ends_when_it_is_not_told(store: Store) -> None:
    begun, ended = store.set_alerts(NOW, {FULL: WORDS})
    assert (begun, ended) == ([Alert(*FULL, NOW, *WORDS)], [])
    assert store.set_alerts(LATER, {FULL: WORDS, LATE: WORDS}) == (
        [Alert(*LATE, LATER, *WORDS)],
        [],
    )
    over = Alert(*FULL, NOW, *WORDS, ended_at=LATER)
    assert store.set_alerts(LATER, {LATE: WORDS}) == ([], [over])
    assert store.alerts() == [Alert(*LATE, LATER, *WORDS)]
    assert store.alerts(open_only=False) == [Alert(*LATE, LATER, *WORDS), over]


def test_words_may_change_while_it_lasts(store: Store) -> None:
    store.set_alerts(NOW, {FULL: WORDS})
    assert store.set_alerts(LATER, {FULL: ("99%", "do")}) == ([], [])
    assert store.alerts() == [Alert(*FULL, NOW, "99%", "do")]


def test_what_comes_again_is_another_one(store: Store) -> None:
    store.set_alerts(NOW, {FULL: WORDS})
    store.set_alerts(NOW, {})
    (again,), _ = store.set_alerts(LATER, {FULL: WORDS})
    assert again.since == LATER
    assert len(store.alerts(open_only=False)) == 2


def test_nothing_ends_before_it_began(store: Store) -> None:
    store.set_alerts(LATER, {FULL: WORDS})
    _, (over,) = store.set_alerts(NOW, {})
    assert over.ended_at == LATER


def test_those_that_are_open_stay(path: Path, store: Store) -> None:
    store.set_alerts(NOW, {FULL: WORDS})
    store.close()
    again, lost = Store.open(path)
    assert lost is None
    assert again.set_alerts(LATER, {FULL: WORDS}) == ([], [])
    again.close()


def test_only_ended_ones_are_removed(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    store.set_alerts(NOW, {FULL: WORDS, LATE: WORDS})
    store.set_alerts(LATER, {FULL: WORDS})
    store.tidy(NOW + timedelta(days=90))
    assert len(store.alerts(open_only=False)) == 2
    store.tidy(LATER + timedelta(days=90, seconds=1))
    assert store.alerts(open_only=False) == [Alert(*FULL, NOW, *WORDS)]
    monkeypatch.setattr(alerts, "MOST", 2)
    for _ in range(4):
        store.set_alerts(LATER, {FULL: WORDS, LATE: WORDS})
        store.set_alerts(LATER, {FULL: WORDS})
    store.tidy(LATER)
    assert len(store.alerts(open_only=False)) == 1 + 2


def test_values_outlive_a_restart(path: Path, store: Store) -> None:
    store.remember("season/production/cart", b"\0\xff")
    store.remember("other", b"1")
    store.remember("other", b"")
    store.close()
    again, _ = Store.open(path)
    assert again.recall("season/production/cart") == b"\0\xff"
    assert again.recall("other") == b""
    again.forget("other")
    again.forget("never was")
    assert again.recall("other") is None
    again.close()
