"""The rows of `top`: what is unknown is blank and comes last, and a width has its columns."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Any

import pytest

from pgherd.autopilot.reading import History, Load, ReadAlert, ReadEvent
from pgherd.contract.meter import InstanceUsage, Usage
from pgherd.contract.observed import (
    DatabaseState,
    InstanceState,
    ObservedDatabase,
    ObservedInstance,
    Role,
)
from pgherd.report.status import Sight
from pgherd.report.top import (
    LONGEST,
    MOST_EVENTS,
    MOST_POINTS,
    Order,
    Picked,
    TopRow,
    top_rows,
)
from pgherd.report.top_columns import COLUMNS, EVENT, TRAIL, count, laid, short_duration
from pgherd.report.top_detail import instances, past, trails, why
from pgherd.report.top_words import interval_after, next_interval, summary
from pgherd.testing.fleets import database, environment

AT = datetime(2026, 5, 4, 12, 3, 4, tzinfo=UTC)
STAGING = environment("staging", network="10.1.0.0/16")
CELLS = {column.title: column.cell for column in COLUMNS}


def sight(name: str, state: DatabaseState = DatabaseState.RUNNING, env: Any = None) -> Sight:
    wanted = database(name, env, ocpus=(2, 8)) if env else database(name, ocpus=(2, 8))
    primary = ObservedInstance(f"{name}-1", Role.PRIMARY, InstanceState.RUNNING, 1)
    replica = ObservedInstance(f"{name}-2", Role.REPLICA, InstanceState.STREAMING, 2, 1000)
    seen = ObservedDatabase(wanted.id, state, (primary, replica), ocpus=4)
    return Sight(wanted.id, wanted, seen, state.value)


def row(name: str, **used: Any) -> TopRow:
    return TopRow(sight(name), Usage(AT, **used) if used else None)


def names(picked: Picked, *rows: TopRow) -> list[str]:
    return [row.sight.id.service for row in picked.rows(rows)]


def test_a_size_stands_with_its_bounds() -> None:
    assert CELLS["OCPUS"](row("auth")) == "4 of 2..8"
    assert CELLS["OCPUS"](row("auth", ocpus=8)) == "8 of 2..8"
    assert CELLS["STORAGE"](row("auth", storage_bytes=2_500_000)).startswith("2.50MB of ")


def test_what_is_not_measured_is_blank_and_never_zero() -> None:
    for one in (row("auth"), row("auth", ocpus=2), row("auth", cpu_percent=math.nan)):
        for title in ("CPU", "MEM", "CONN", "WAIT", "TPS", "STORAGE", "LAST EVENT"):
            assert CELLS[title](one) == ""
    lost = TopRow(Sight(sight("auth").id, None, None, "unknown", "it does not answer"))
    assert CELLS["OCPUS"](lost) == ""
    assert CELLS["LAST EVENT"](lost) == "it does not answer"


def test_who_waits_is_shown_with_the_longest_wait() -> None:
    assert CELLS["WAIT"](row("auth", waiting_clients=0, longest_wait_seconds=0.0)) == "0"
    assert CELLS["WAIT"](row("auth", waiting_clients=3, longest_wait_seconds=1.25)) == "3 1.2s"
    assert CELLS["WAIT"](row("auth", waiting_clients=3)) == "3"


def test_the_lag_is_the_largest_that_anybody_says() -> None:
    assert CELLS["LAG"](row("auth")) == "1.00kB"
    more = row("auth", instances={"auth-2": InstanceUsage(lag_bytes=5000)})
    assert CELLS["LAG"](more) == "5.00kB"


@pytest.mark.parametrize(
    ("order", "field"),
    [
        (Order.CPU, "cpu_percent"),
        (Order.MEMORY, "memory_percent"),
        (Order.TRANSACTIONS, "transactions_per_second"),
        (Order.CLIENTS, "clients"),
        (Order.WAITING, "waiting_clients"),
    ],
)
def test_the_largest_comes_first_and_the_unknown_last_either_way(order: Order, field: str) -> None:
    rows = (row("a"), row("b", **{field: 1}), row("c", **{field: 5}), row("d", **{field: 0}))
    assert names(Picked(order=order), *rows) == ["c", "b", "d", "a"]
    assert names(Picked(order=order, is_reversed=True), *rows) == ["d", "b", "c", "a"]


def test_by_name_and_as_in_the_file() -> None:
    rows = (row("order"), row("auth"))
    assert names(Picked(), *rows) == ["order", "auth"]
    assert names(Picked(order=Order.NAME), *rows) == ["auth", "order"]
    assert names(Picked(order=Order.NAME, is_reversed=True), *rows) == ["order", "auth"]


def test_all_words_have_to_be_there() -> None:
    event = ReadEvent(AT, "scale", "CPU is busy")
    rows = (TopRow(sight("auth"), event=event), row("order"))
    assert names(Picked(words="BUSY auth"), *rows) == ["auth"]
    assert names(Picked(words="running"), *rows) == ["auth", "order"]
    assert names(Picked(words="running nowhere"), *rows) == []


def test_environments_come_one_after_the_other() -> None:
    rows = (row("auth"), TopRow(sight("auth", env=STAGING)))
    picked, seen = Picked(), []
    for _ in range(3):
        picked = picked.next_environment(["production", "staging"])
        seen.append((picked.environment, len(picked.rows(rows))))
    assert seen == [("production", 1), ("staging", 1), (None, 2)]
    assert Picked("gone").next_environment(["production"]).environment == "production"


def test_each_database_has_its_newest_event_and_both_kinds_of_points() -> None:
    id, other = "production/auth", "production/order"
    events = [ReadEvent(AT, "b", "new", database=id), ReadEvent(AT, "a", "old", database=id)]
    told = History(events, loads={id: [Load(1.0, 5.0)], other: [Load(1.0, 7.0)]})
    found, _ = top_rows([sight("auth"), sight("order")], {}, told, {id: [Load(2.0, 6.0)]})
    assert found.event is events[0]
    assert [point.cpu_percent for point in found.loads] == [5.0, 6.0]


def test_no_text_and_no_past_holds_the_screen_up() -> None:
    id, long = "production/auth", "x" * 10**6
    told = History(
        [ReadEvent(AT, long, long, database=id)] * 1000,
        [ReadAlert("odd", id, AT, long, long)] * 1000,
        loads={id: [Load(float(n), 1.0) for n in range(10_000)]},
    )
    (found,) = top_rows([sight("auth")], {}, told, {})
    assert len(found.loads) == MOST_POINTS
    texts = [CELLS["LAST EVENT"](found), *past(found, told), *why(found, told, 0.0)]
    assert max(map(len, texts)) == LONGEST
    assert len(texts) <= 2 * MOST_EVENTS + 2


def test_80_columns_have_all_that_is_needed_and_wider_ones_more() -> None:
    longest = [len(column.cell(row("inventory", waiting_clients=3))) for column in COLUMNS]
    narrow = laid(longest, 80)
    shown = {column.title for column in narrow.columns}
    assert shown >= {"DATABASE", "STATE", "OCPUS", "CPU", "10 MIN", "MEM", "CONN", "WAIT", "TPS"}
    assert sum(narrow.widths) + len(narrow.widths) - 1 <= 80
    wide = laid(longest, 160)
    assert {column.title for column in wide.columns} == {column.title for column in COLUMNS}
    assert sum(wide.widths) + len(wide.widths) - 1 == 160
    assert wide.width_of(EVENT) > 24


@pytest.mark.parametrize("width", [1, 5, 20, 40, 60, 79, 81, 119, 120, 121, 400])
def test_no_width_is_too_small(width: int) -> None:
    found = laid([300, *[5] * (len(COLUMNS) - 1)], width)
    assert found.columns
    assert sum(found.widths) + len(found.widths) - 1 <= max(width, 1)


def test_the_line_goes_before_what_is_less_needed() -> None:
    assert laid([15] * len(COLUMNS), 30).width_of(TRAIL) == 0


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, ""),
        (0, "0"),
        (0.44, "0.4"),
        (9.96, "10"),
        (37.2, "37"),
        (9999, "9999"),
        (12_345, "12.3k"),
        (999_499, "999k"),
        (4_500_000, "4.5M"),
        (9e14, "900T"),
    ],
)
def test_counts_are_short(value: float | None, text: str) -> None:
    assert count(value) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.04, "0.0s"), (9, "9.0s"), (21, "21s"), (300, "5m"), (1e6, "12d")]
)
def test_waits_are_short(seconds: float, text: str) -> None:
    assert short_duration(seconds) == text


def test_the_summary_leaves_out_what_nobody_knows() -> None:
    used = row("auth", ocpus=2, clients=5, waiting_clients=1, transactions_per_second=10.0)
    assert summary([used, row("order")]) == (
        "2 databases: 2 running; 6 OCPUs; 5 clients, 1 waiting; 10 tps"
    )
    lost = TopRow(Sight(sight("auth").id, None, None, "unknown"))
    assert summary([lost]) == "1 database: 1 unknown"
    assert summary([]) == "no database"


def test_instances_are_those_that_are_seen_and_those_that_are_measured() -> None:
    primary = InstanceUsage(cpu_percent=50.0, throttled_percent=12.0, connections=3)
    used = {"auth-1": primary, "auth-3": InstanceUsage(is_primary=False)}
    found = {line[0]: line[1:] for line in instances(row("auth", instances=used)).rows}
    assert found["auth-1"] == ("primary", "running", "1", "50%", "12%", "", "3", "", "")
    assert found["auth-2"] == ("replica", "streaming", "2", "", "", "", "", "", "1.00kB")
    assert found["auth-3"][:2] == ("replica", "")


def test_three_lines_tell_the_last_minutes() -> None:
    loads = (Load(900.0, 50.0, 10.0, 4.0), Load(950.0, 100.0, 20.0, 4.0))
    found = list(trails(TopRow(sight("auth"), loads=loads), 1000.0, 80, "_.-:=+*#"))
    assert [text.split()[0] for text in found] == ["CPU", "transactions", "connections"]
    assert found[0].endswith("most 100%")
    assert found[1].endswith("most 20")
    assert "#" in found[0]
    assert all(len(text) <= 80 for text in found)


def test_intervals_go_up_and_down_and_round() -> None:
    assert [interval_after(2.0, 1), interval_after(2.0, -1)] == [5.0, 1.0]
    assert [interval_after(60.0, 1), interval_after(1.0, -1)] == [60.0, 1.0]
    assert interval_after(3.0, -1) == 2.0
    assert [next_interval(2.0), next_interval(60.0)] == [5.0, 1.0]
