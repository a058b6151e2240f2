"""What the agent keeps in memory of what it did: little, and only what is new is told."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from pgherd.contract.happenings import HappeningKind
from pgherd.engines.local.agent.parts import Leader
from pgherd.engines.local.agent.record import Record, RecordOfDatabase
from pgherd.engines.local.agent.seen import Seen
from pgherd.engines.local.agent.witness import PATRONI, Deed, Witness
from pgherd.engines.local.happened import LONGEST, MOST, MOST_OF_DATABASE
from pgherd.fleet.desired import DatabaseId

FIRST = "order-1"
ORDER, AUTH = DatabaseId("lab", "order"), DatabaseId("lab", "auth")
AT = datetime(2026, 11, 27, 12, tzinfo=UTC)


def deed(kind: HappeningKind = HappeningKind.RESTART, began: float = 100.0) -> Deed:
    return Deed(kind, began, "its process ended", FIRST, PATRONI, phases=(("started", 0.1234),))


def test_it_is_told_with_the_time_of_the_day_and_in_milliseconds() -> None:
    record = Record()
    record.add(ORDER, deed(), 102.0, AT)
    (found,) = record.after("", 0).found
    assert found.at == AT - timedelta(seconds=2)
    assert (found.number, found.database, found.phases) == (1, "lab/order", {"started_ms": 123.4})


def test_only_so_many_are_kept_and_no_database_takes_the_place_of_others() -> None:
    record = Record()
    record.add(AUTH, deed(), 100.0, AT)
    for _ in range(3 * MOST):
        record.add(ORDER, deed(), 100.0, AT)
    found = record.after("", 0).found
    assert [one.database for one in found].count("lab/order") == MOST_OF_DATABASE
    assert [one.database for one in found].count("lab/auth") == 1
    for number in range(2 * MOST):
        record.add(DatabaseId("lab", f"s{number}"), deed(), 100.0, AT)
    assert len(record.after("", 0).found) == MOST


def test_who_knows_some_is_told_the_rest_and_who_knows_another_agent_all() -> None:
    record = Record()
    for _ in range(3):
        record.add(ORDER, deed(), 100.0, AT)
    assert [one.number for one in record.after(record.source, 1).found] == [2, 3]
    assert [one.number for one in record.after(Record().source, 2).found] == [1, 2, 3]


def test_texts_are_cut() -> None:
    record = Record()
    record.add(ORDER, replace(deed(), reason="x" * 1000), 100.0, AT)
    assert len(record.after("", 0).found[0].reason) == LONGEST


def test_a_witness_that_fails_fails_alone(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object) -> list[Deed]:
        raise ValueError("odd")

    monkeypatch.setattr(Witness, "follow", fail)
    RecordOfDatabase(ORDER, Record()).follow(Seen({}), Seen({}, leader=Leader(FIRST, 1)), 1.0)
    assert "is not told" in caplog.text
