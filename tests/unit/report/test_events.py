"""What the history says, as lines, tables and JSON; odd words in it end nothing."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from pgherd.autopilot.now import Now, NowOfDatabase
from pgherd.autopilot.reading import History, ReadAlert, ReadEvent
from pgherd.report.events import (
    STALE_SECONDS,
    alerts_json,
    alerts_table,
    event_json,
    event_line,
    events_json,
    events_table,
    why_json,
    why_lines,
)

AT = datetime(2026, 5, 4, 12, 3, 4, tzinfo=UTC)
AUTH = "production/auth"
CHANGE = {"ocpus": {"from": 2, "to": 4}}
EVENT = ReadEvent(AT, "scale", "busy", "production", AUTH, CHANGE)
SIZE = NowOfDatabase(2, 2, "stays", "1.2 of 2 OCPUs are needed", 2, 8, True, None, 1.0, 1.0, 1.0)


def first_line(one: NowOfDatabase, age: float = 0.0) -> list[str]:
    found = History(now=Now(AT.timestamp(), {AUTH: one}))
    return list(why_lines(AUTH, found, AT + timedelta(seconds=age)))


def what(event: ReadEvent) -> str:
    return events_table([event]).rows[0][2]


def effect(**details: Any) -> str:
    (_, line) = why_lines(AUTH, History([replace(EVENT, details=CHANGE | details)]), AT)
    return line.partition("busy")[2]


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({}, "2 OCPUs of 2..8: 1.2 of 2 OCPUs are needed"),
        ({"wanted": 4}, "2 OCPUs of 2..8, to be 4: 1.2 of 2 OCPUs are needed"),
        ({"wanted": None, "why": ""}, "2 OCPUs of 2..8: nothing is known of its load"),
        ({"ocpus": None, "wanted": None}, "unknown size of 2..8: 1.2 of 2 OCPUs are needed"),
        ({"ocpus": 1}, "1 OCPU of 2..8, to be 2: 1.2 of 2 OCPUs are needed"),
        (
            {"is_scaled": False},
            "2 OCPUs of 2..8, never changed: the fleet file says autoscale: false",
        ),
        ({"paused": "an audit", "wanted": 4}, "2 OCPUs of 2..8, left alone: an audit"),
        ({"paused": ""}, "2 OCPUs of 2..8, left alone: "),
    ],
)
def test_why_says_how_a_database_is(changes: dict[str, Any], line: str) -> None:
    assert first_line(replace(SIZE, **changes)) == [f"{AUTH}: {line}"]


def test_what_is_old_is_said_to_be() -> None:
    assert len(first_line(SIZE, STALE_SECONDS)) == 1
    (_, line) = first_line(SIZE, STALE_SECONDS + 60)
    assert line.startswith("this was 90.0 s ago")


def test_a_database_that_was_not_measured_says_so() -> None:
    for known in (None, Now(AT.timestamp(), {})):
        (line,) = why_lines(AUTH, History(now=known), AT)
        assert line == f"{AUTH}: the autopilot has not measured it yet"
        assert why_json(AUTH, History(now=known))["bounds"] is None


@pytest.mark.parametrize(
    ("details", "line"),
    [
        ({"seconds": 2}, ", done in 2.0 s"),
        ({"throughput": {"before": 10, "after": 20.4}}, ", throughput 10 → 20/s"),
        ({"throughput": {"before": None, "after": 20}}, ""),
        ({"throughput": {"before": 10}}, ""),
        ({"failed": "no room"}, ", no room"),
        ({"seconds": "2", "throughput": [1, 2], "failed": {"a": 1}}, ""),
        ({"seconds": True}, ""),
        ({"seconds": 10**400, "throughput": {"before": 10**400, "after": 1e308}}, ""),
    ],
)
def test_what_came_of_it(details: dict[str, Any], line: str) -> None:
    assert effect(**details) == line


@pytest.mark.parametrize(
    ("details", "text"),
    [
        (CHANGE, "ocpus 2 → 4"),
        (CHANGE | {"failed": "no room"}, "ocpus 2 → 4 failed"),
        ({}, "scale"),
        ({"ocpus": 4}, "scale"),
        ({"ocpus": {}}, "ocpus None → None"),
    ],
)
def test_what_was_done(details: dict[str, Any], text: str) -> None:
    assert what(replace(EVENT, details=details)) == text


def test_whose_an_event_is() -> None:
    events = [EVENT, replace(EVENT, database=None), replace(EVENT, database=None, environment=None)]
    assert [row[1] for row in events_table(events).rows] == [AUTH, "production", ""]
    subjects = [event_line(event).split()[2] for event in events]
    assert subjects == [f"{AUTH}:", "production:", "fleet:"]


def test_details_never_hide_what_every_event_has() -> None:
    lie = dict.fromkeys(("at", "kind", "environment", "database", "reason", "more"), "lie")
    found = event_json(replace(EVENT, details=lie))
    assert found == {
        "at": AT.isoformat(),
        "kind": "scale",
        "environment": "production",
        "database": AUTH,
        "reason": "busy",
        "more": "lie",
    }
    assert events_json([replace(EVENT, details=lie)]) == {"events": [found]}
    assert events_json([]) == {"events": []}


@pytest.mark.parametrize("zone", ["UTC", "America/New_York", "Pacific/Kiritimati"])
@pytest.mark.parametrize("at", [datetime.min, datetime.max])
@pytest.mark.parametrize("is_aware", [True, False])
def test_the_first_and_the_last_time_there_is_end_nothing(
    zone: str, at: datetime, is_aware: bool, local_zone: Any
) -> None:
    local_zone(zone)
    event = replace(EVENT, at=at.replace(tzinfo=UTC) if is_aware else at)
    assert event_line(event).endswith("ocpus 2 → 4: busy")
    assert event_json(event)["at"]


@pytest.fixture
def local_zone(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Sets the zone of this process, until the test is over."""
    import time

    def settle(name: str) -> None:
        monkeypatch.setenv("TZ", name)
        time.tzset()

    yield settle
    monkeypatch.undo()
    time.tzset()


def test_times_are_those_of_the_reader(local_zone: Any) -> None:
    local_zone("Asia/Tokyo")
    assert event_line(EVENT).startswith("2026-05-04 21:03:04 ")


def test_alerts() -> None:
    alert = ReadAlert("degraded", AUTH, AT, "one is gone", "wait")
    assert alerts_table([alert]).rows[0][1:] == (AUTH, "one is gone", "wait")
    (found,) = alerts_json([alert])["alerts"]
    assert list(found) == ["name", "database", "since", "summary", "remedy"]
    assert (found["database"], found["since"]) == (AUTH, AT.isoformat())


# What a place did by itself

FAILOVER = ReadEvent(
    AT,
    "failover",
    "primary's process ended",
    "production",
    AUTH,
    {
        "from": "auth-1",
        "to": "auth-2",
        "phases": {"noticed_ms": 0.4, "held_ms": 12.2, "writable_ms": 310, "released_ms": 402},
    },
)


def test_a_failover_is_one_line_with_its_phases() -> None:
    said = "held after 12 ms, promoted after 310 ms, served after 402 ms"
    line = f"production/auth: failover auth-1 → auth-2: primary's process ended; {said}"
    assert event_line(FAILOVER).endswith(line)
    (row,) = events_table([FAILOVER]).rows
    assert row[2:] == ("failover auth-1 → auth-2", f"primary's process ended; {said}")
    (_, why) = why_lines(AUTH, History([FAILOVER]), AT)
    assert why.endswith(f"failover auth-1 → auth-2: primary's process ended; {said}")
    assert event_json(FAILOVER)["phases"]["writable_ms"] == 310


@pytest.mark.parametrize(
    ("kind", "details", "words"),
    [
        ("fence", {"instance": "auth-1"}, "fence auth-1"),
        ("restart", {"program": "PgBouncer"}, "restart PgBouncer"),
        ("restart", {"program": "Patroni", "instance": "auth-2"}, "restart Patroni of auth-2"),
        ("restart", {"program": "Patroni", "count": 3}, "restart Patroni (3 times)"),
        ("hold", {}, "hold"),
        ("hold", {"count": True, "from": 1, "to": [], "instance": {}, "program": 7}, "hold"),
        ("hold", {"count": 10**400}, "hold"),
    ],
)
def test_what_happened_is_named_by_whom_it_concerns(
    kind: str, details: dict[str, Any], words: str
) -> None:
    assert what(replace(FAILOVER, kind=kind, details=details)) == words


@pytest.mark.parametrize(
    ("phases", "words"),
    [
        ({"held_ms": 12}, "x; held after 12 ms"),
        ({"routed_ms": 40}, "x; served after 40 ms"),
        ({"streaming_ms": 61_000}, "x; streaming after 61.0 s"),
        (
            {"released_ms": 30_000, "errors_ms": 20_000.0},
            "x; hold given up after 20.0 s, served after 30.0 s",
        ),
        ({"noticed_ms": 1, "odd_ms": 1}, "x"),
        ({"held_ms": "12", "writable_ms": None, "released_ms": True, "routed_ms": -1}, "x"),
        ({"held_ms": float("nan"), "released_ms": 10**400}, "x"),
        ("odd", "x"),
        (None, "x"),
        ([1], "x"),
    ],
)
def test_phases_that_are_odd_are_not_shown(phases: Any, words: str) -> None:
    event = replace(FAILOVER, reason="x", details={"phases": phases})
    assert events_table([event]).rows[0][3] == words
