"""The history does on a PostgreSQL server what it does in a file.

It is kept in a service's database for as long as the test takes, through its pooler.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from running_fleet import connect
from sqlalchemy import URL

from pgherd.store.store import Store
from pgherd.store.values import Alert, Sample, Tier

pytestmark = pytest.mark.integration

NOW = datetime(2026, 5, 4, 12, 0, tzinfo=UTC)
CART = "production/cart"
TABLES = ("events", "samples", "alerts", "kept", "revision")


@pytest.fixture
def url(auth: dict[str, str]) -> Iterator[str]:
    """A database for a history. The tables are removed afterwards."""
    yield URL.create("postgresql+psycopg", query=auth).render_as_string(hide_password=False)
    with connect(auth) as connection:
        for table in TABLES:
            connection.execute(f"DROP TABLE IF EXISTS pgherd_{table}".encode())


def test_a_history_is_kept_on_a_server(url: str) -> None:
    store, lost = Store.open(url, lambda: NOW)
    assert lost is None
    event = store.add_event(NOW, "scale", "a\0b", database=CART, details={"to": 4})
    amended = store.amend_event(event.id, {"after": 2})
    assert amended
    assert amended.details == {"to": 4, "after": 2}
    assert store.events(environment="production", kinds=["scale"]) == [amended]
    assert store.events(after_id=event.id) == []
    for cpu in (None, 4, 2):
        store.add_samples(NOW, {CART: Sample(cpu=cpu), "production/auth": Sample(memory=cpu)})
    for tier in Tier:
        (slot,) = store.samples(CART, NOW, resolution=tier)
        assert (slot.count, slot.mean, slot.cpu_max) == (3, Sample(cpu=3.0), 4.0)
    (begun,), _ = store.set_alerts(NOW, {("late", CART): ("so", "do")})
    assert begun == Alert("late", CART, NOW, "so", "do")
    assert store.set_alerts(NOW, {("late", CART): ("so", "do")}) == ([], [])
    store.remember("key", b"\0\xff")
    store.remember("key", b"\xff\0")
    store.close()

    again, lost = Store.open(url, lambda: NOW)
    assert lost is None
    assert again.renew() is None
    assert again.recall("key") == b"\xff\0"
    again.forget("key")
    assert again.recall("key") is None
    _, (ended,) = again.set_alerts(NOW, {})
    assert ended.ended_at == NOW
    again.tidy(NOW + timedelta(days=91))
    assert again.events() == []
    assert again.alerts(open_only=False) == []
    assert again.samples(CART, NOW, resolution=Tier.TEN_MINUTES) == []
    again.close()
