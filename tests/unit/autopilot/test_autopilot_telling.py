"""What the controller tells the store: one that takes nothing costs history, and no more."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import pytest

from pgherd.autopilot.archive import Archive
from pgherd.autopilot.telling import Telling
from pgherd.errors import NeedsHuman, PgherdError, TryLater
from pgherd.store.store import Store
from pgherd.store.values import Event, Lost, Sample, StoreDamaged

AT = datetime(2026, 5, 4, tzinfo=UTC)
EVENT = Event(1, AT, "scale", "busy")
Call = Callable[[Telling], Awaitable[Any]]


class TroubledStore:
    """Every call of it fails, and so may its renewal."""

    def __init__(self, error: PgherdError, renewal: Lost | PgherdError | None = None) -> None:
        self._error = error
        self._renewal = renewal
        self.renewals = 0

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def fail(*_: Any, **__: Any) -> Any:
            raise self._error

        return fail

    def renew(self) -> Lost | None:
        self.renewals += 1
        if isinstance(self._renewal, PgherdError):
            raise self._renewal
        return self._renewal


CALLS: dict[str, Call] = {
    "event": lambda told: told.event(AT, "scale", "busy", database="production/auth"),
    "news": lambda told: told.news("happenings", lambda _: ((), b"1")),
    "amend": lambda told: told.amend(EVENT, {"a": 1}),
    "samples": lambda told: told.samples(AT, {"production/auth": Sample(cpu=1)}, b"{}"),
    "alerts": lambda told: told.alerts(AT, {("a", "b"): ("c", "d")}),
    "remember": lambda told: told.remember("sizes", b"1"),
    "recall": lambda told: told.recall("sizes"),
    "tidy": lambda told: told.tidy(AT),
}


def telling(store: TroubledStore) -> Telling:
    return Telling(Archive.of(cast("Store", store)))


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
@pytest.mark.parametrize("error", [TryLater("the disk is full"), NeedsHuman("the disk is gone")])
async def test_no_trouble_of_the_store_comes_through(call: Call, error: PgherdError) -> None:
    store = TroubledStore(error)
    assert not await call(telling(store))
    assert store.renewals == 0


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
@pytest.mark.parametrize(
    "renewal", [None, Lost("it was damaged", Path("aside")), TryLater("the disk is full")]
)
async def test_a_store_that_is_damaged_is_renewed(
    call: Call, renewal: Lost | PgherdError | None, caplog: pytest.LogCaptureFixture
) -> None:
    store = TroubledStore(StoreDamaged("it is no database"), renewal)
    assert not await call(telling(store))
    assert store.renewals == 1
    assert f"it is no database; {renewal or 'begun anew'}" in caplog.text


async def test_trouble_that_stays_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    told = telling(TroubledStore(TryLater("the disk is full")))
    for call in CALLS.values():
        await call(told)
    assert [record.message for record in caplog.records] == ["history: the disk is full"]


async def test_what_was_never_told_is_not_amended() -> None:
    store = TroubledStore(StoreDamaged("it is asked for nothing"))
    await telling(store).amend(None, {"a": 1})
    assert store.renewals == 0


async def test_what_is_told_is_in_the_store_even_after_it_was_damaged(tmp_path: Path) -> None:
    store = Store(tmp_path / "history.db")
    told = Telling(Archive.of(store))
    try:
        assert await told.event(AT, "scale", "before")
        store.close()
        (tmp_path / "history.db").write_bytes(b"no database" * 1000)
        for wal in tmp_path.glob("history.db-*"):
            wal.unlink()
        await told.event(AT, "scale", "lost")
        event = await told.event(AT, "scale", "after", database="production/auth")
        await told.amend(event, {"seconds": 1})
        await told.remember("sizes", b"1")
        await told.samples(AT, {}, b"{}")
        assert await told.recall("sizes") == b"1"
        assert await told.recall("now") == b"{}"
        (found,) = [e for e in store.events() if e.reason == "after"]
        assert found.details == {"seconds": 1}
    finally:
        store.close()
