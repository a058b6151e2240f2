"""Which incarnation of a database a time lies in, and which have outlived all of their times."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from pgherd.contract.backups import BackupState, Latest, Moment, ObservedBackup, Window
from pgherd.engines.local.backup.incarnations import (
    incarnations,
    lies_in,
    new_archive,
    outlived,
    windows,
)
from pgherd.engines.local.backup.pgbackrest import Stanza

NOON = datetime(2026, 11, 26, 12, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
SECOND = timedelta(seconds=1)
FIRST, THEN, NOW = "order-00000001", "order-ffffffff", "order-00000003"


def stanza(*hours: int, state: BackupState = BackupState.AVAILABLE) -> Stanza:
    return Stanza(tuple(ObservedBackup(f"{h}", NOON + h * HOUR, state, "full") for h in hours))


STANZAS = {
    THEN: stanza(10, 12),
    FIRST: stanza(0, 8),
    NOW: stanza(20),
    "order-copy-00000004": stanza(1),
    "order-00000005": Stanza(),
    "order-00000006": stanza(2, state=BackupState.FAILED),
    "cart-00000001": stanza(3),
    "order-0000000g": stanza(4),
}
FOUND = incarnations(STANZAS, "order")


def test_those_of_a_service_that_can_be_restored_are_found_the_oldest_first() -> None:
    assert [one.archive for one in FOUND] == [FIRST, THEN, NOW]
    assert [one.archive for one in incarnations(STANZAS, "order-copy")] == ["order-copy-00000004"]
    assert incarnations(STANZAS, "or") == []


def test_a_new_one_is_found_by_its_name() -> None:
    name = new_archive("order")
    assert [one.archive for one in incarnations({name: stanza(0)}, "order")] == [name]


@pytest.mark.parametrize(
    ("archive", "hour", "where"),
    [
        (NOW, 21, None),
        (NOW, 19, THEN),
        (NOW, 11, THEN),
        (NOW, 9, FIRST),
        (NOW, -1, FIRST),
        ("", 30, NOW),
        ("order-00000005", 11, THEN),
        (THEN, 21, None),  # it was taken up again: what came after it is undone
        (THEN, 9, FIRST),
        (FIRST, -1, None),
    ],
)
def test_a_time_is_that_of_the_last_one_that_had_begun(
    archive: str, hour: int, where: str | None
) -> None:
    found = lies_in(FOUND, archive, Moment(NOON + hour * HOUR))
    assert (found and found.archive) == where


def test_what_is_no_time_is_that_of_now() -> None:
    assert lies_in(FOUND, NOW, Latest()) is None


def test_no_window_reaches_into_the_next() -> None:
    late = {**STANZAS, FIRST: stanza(0, 11)}
    ends = (NOON + 10 * HOUR + SECOND, NOON + 12 * HOUR)
    begins = (NOON + SECOND, NOON + 10 * HOUR + SECOND)
    expected = tuple(Window(*span) for span in zip(begins, ends, strict=True))
    assert windows(incarnations(late, "order"), NOW) == expected
    assert windows(FOUND, FIRST) == windows([], FIRST) == ()
    assert [w.end for w in windows(FOUND, "")] == [
        NOON + 8 * HOUR,
        NOON + 12 * HOUR,
        NOON + 20 * HOUR + SECOND,
    ]


@pytest.mark.parametrize(
    ("days", "hours", "gone"),
    [
        (7, 10, ()),
        (7, 11, (FIRST,)),  # it ended where the second one could be restored to
        (7, 21, (FIRST, THEN)),
        (7, 1000, (FIRST, THEN)),
        (30, 21, ()),
    ],
)
def test_one_goes_once_none_of_its_times_is_in_the_retention(
    days: int, hours: int, gone: tuple[str, ...]
) -> None:
    now = NOON + 7 * DAY + hours * HOUR
    assert outlived(FOUND, {NOW}, days, now) == gone


def test_the_last_one_of_a_database_that_is_gone_has_a_day_of_wal_more() -> None:
    at = NOON + 20 * HOUR + 8 * DAY
    assert NOW not in outlived(FOUND, set(), 7, at)
    assert NOW in outlived(FOUND, set(), 7, at + SECOND)
    assert FIRST not in outlived(FOUND, {FIRST}, 7, at)
