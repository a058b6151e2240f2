"""Disks that are about to be full: which are told of, to whom, and how soon that is known."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgherd.contract.meter import InstanceUsage, Usage
from pgherd.decide.disks import Disk, Past, alerts, disks, remembered, seconds_left, to_give_up

AT = datetime(2026, 11, 28, tzinfo=UTC)
GB = 10**9


def usage(**instances: tuple[str | None, int | None, int | None, int | None]) -> Usage:
    found = {
        name: InstanceUsage(
            disk=disk, disk_bytes=size, disk_free_bytes=free, unarchived_bytes=waiting
        )
        for name, (disk, size, free, waiting) in instances.items()
    }
    return Usage(AT, instances=found)


def told(disk: Disk, past: Past = ()) -> list[tuple[str, str]]:
    return [(alert.subject, alert.summary) for alert in alerts(disk, past)]


def disk(free: int, *databases: str, waiting: Mapping[str, int] | None = None) -> Disk:
    return Disk(100 * GB, free, frozenset(databases or ("lab/auth",)), waiting or {})


def test_instances_that_share_a_disk_are_added_up() -> None:
    found = disks(
        {
            "lab/auth": usage(one=("8:1", 100, 40, 5), two=("8:2", 100, 70, None)),
            "lab/order": usage(one=("8:1", 100, 40, 2)),
            "lab/cart": usage(one=(None, None, None, 9), two=("8:3", 100, None, 9)),
        }
    )
    assert found == {
        "8:1": Disk(100, 40, frozenset({"lab/auth", "lab/order"}), {"lab/auth": 5, "lab/order": 2}),
        "8:2": Disk(100, 70, frozenset({"lab/auth"}), {"lab/auth": 0}),
    }


def test_what_is_free_is_remembered_once_a_minute_for_an_hour() -> None:
    past: Past = ()
    for second in range(0, 3 * 3600, 10):
        past = remembered(past, float(second), second)
    assert len(past) <= 62
    assert past[-1][0] - past[0][0] <= 3600
    assert {later[0] - earlier[0] for earlier, later in itertools.pairwise(past)} == {60.0}


@pytest.mark.parametrize(
    ("past", "seconds"),
    [
        ((), None),
        (((0.0, 100),), None),
        (((0.0, 100), (599.0, 50)), None),
        (((0.0, 100), (600.0, 50)), 600.0),
        (((0.0, 100), (600.0, 100)), None),
        (((0.0, 100), (600.0, 120)), None),
        (((0.0, 100), (600.0, 0)), 0.0),
    ],
)
def test_how_soon_it_is_full(past: Past, seconds: float | None) -> None:
    assert seconds_left(past) == seconds


def test_a_disk_that_is_all_but_full_is_told_of_without_a_past() -> None:
    assert told(disk(5 * GB)) == []
    ((subject, summary),) = told(disk(5 * GB - 1))
    assert subject == "lab/auth"
    assert summary == "its disk has 5.00GB of 100GB free"


def test_one_that_fills_soon_is_told_of_with_the_hours_and_the_wal() -> None:
    past = ((0.0, 24 * GB), (3600.0, 20 * GB))
    waiting = {"lab/auth": GB, "lab/order": 3 * GB}
    found = list(alerts(disk(20 * GB, "lab/auth", "lab/order", waiting=waiting), past))
    (alert,) = found
    assert alert.subject == "lab"
    assert "it is full in 5 h if it goes on like this" in alert.summary
    assert "4.00GB are WAL that is not archived, most of it of lab/order" in alert.summary
    assert alert.remedy.startswith("have it archived: see `pgherd backup list lab/order`")


def test_a_roomy_disk_that_fills_is_not_told_of() -> None:
    assert told(disk(31 * GB), ((0.0, 90 * GB), (3600.0, 31 * GB))) == []
    assert told(disk(29 * GB), ((0.0, 30 * GB), (3600.0, 29 * GB))) == []


def test_each_environment_of_a_disk_is_told() -> None:
    found = told(disk(GB, "a/auth", "a/order", "b/auth"))
    assert [subject for subject, _ in found] == ["a", "b"]


@pytest.mark.parametrize(
    ("free", "willing", "given_up"),
    [
        (2 * GB, {"lab/auth", "lab/order"}, None),
        (2 * GB - 1, {"lab/auth", "lab/order"}, "lab/order"),
        (2 * GB - 1, {"lab/auth", "lab/cart"}, "lab/auth"),
        (2 * GB - 1, {"lab/cart"}, None),
        (0, {"lab/user"}, None),
        (0, set(), None),
    ],
)
def test_whose_archive_is_given_up(free: int, willing: set[str], given_up: str | None) -> None:
    waiting = {"lab/auth": GB, "lab/order": 3 * GB, "lab/user": 255 * 2**20}
    assert to_give_up(disk(free, *waiting, waiting=waiting), willing) == given_up


@given(st.lists(st.tuples(st.floats(0, 1e6), st.integers(0, 2**50)), max_size=20))
def test_time_left_is_never_negative(found: list[tuple[float, int]]) -> None:
    left = seconds_left(sorted(found))
    assert left is None or left >= 0
