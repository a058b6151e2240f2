"""Until when all that was committed lies before a place in the WAL, from what a primary says."""

from __future__ import annotations

from random import Random

import pytest

from pgherd.engines.local.agent.committed import (
    MOST,
    SETTLED_SECONDS,
    Committed,
    Committing,
    record_end,
)
from pgherd.engines.local.timelines import SEGMENT, segment_end

FIRST = "000000010000000000000001"
SECOND = "000000010000000000000002"


def look(
    committed: Committed,
    at: float,
    transactions: str,
    position: int,
    archived: str | None = None,
    *,
    server: str = "1:1",
    fails: bool = False,
) -> None:
    committed.look(at, server, Committing(transactions, position, archived, fails))


def test_nothing_is_known_before_a_look() -> None:
    committed = Committed()
    assert committed.until(2**60) is None
    assert committed.kept_until() is None


def test_a_copy_up_to_a_look_has_what_was_committed_until_then() -> None:
    committed = Committed()
    look(committed, 10.0, "5:5:", 100)
    look(committed, 15.0, "6:6:", 200)
    assert committed.until(99) is None
    assert committed.until(100) == committed.until(199) == 10.0
    assert committed.until(200) == 15.0


def test_where_nothing_was_committed_in_between_it_has_all_of_later_too() -> None:
    committed = Committed()
    look(committed, 10.0, "5:5:", 100)
    look(committed, 15.0, "5:5:", 150)  # notes of PostgreSQL's own
    look(committed, 20.0, "5:5:", 160)
    assert committed.until(100) == 20.0


def test_a_transaction_that_ends_counts_without_a_newer_one() -> None:
    committed = Committed()
    look(committed, 10.0, "5:7:5", 100)
    look(committed, 15.0, "7:7:", 120)
    assert committed.until(110) == 10.0


def test_another_server_begins_anew() -> None:
    committed = Committed()
    look(committed, 10.0, "5:5:", 100)
    look(committed, 15.0, "5:5:", 180, server="2:2")
    assert committed.until(150) == 10.0
    assert committed.until(180) == 15.0


def test_what_was_archived_tells_until_when() -> None:
    committed = Committed()
    look(committed, 10.0, "5:5:", 2 * SEGMENT + 100, FIRST)
    assert committed.kept_until() is None
    look(committed, 15.0, "6:6:", 2 * SEGMENT + 200, SECOND)
    assert committed.kept_until() == 15.0
    look(committed, 20.0, "7:7:", 3 * SEGMENT + 200, SECOND)
    look(committed, 25.0, "7:7:", 3 * SEGMENT + 300, "00000002.history")
    assert committed.kept_until() == 15.0
    look(committed, 30.0, "7:7:", 4 * SEGMENT + 100, "000000020000000000000003")
    assert committed.kept_until() == 30.0


def received(
    committed: Committed, at: float, position: int, of: tuple[int, int] | None, archived: str
) -> None:
    """A look in which there was a commit; `of` is who receives, and how far."""
    who, end = of or (None, None)
    committed.look(at, "1:1", Committing(f"{at}", position, archived, False, who, end))


def test_what_was_received_counts_from_the_end_of_the_archive_on() -> None:
    committed, base = Committed(), 2 * SEGMENT
    received(committed, 10.0, base + 100, (7, base + 100), FIRST)
    assert committed.kept_until() is None, "what came before it may be missing"
    received(committed, 15.0, base + 300, (7, base + 300), FIRST)
    assert committed.kept_until() is None
    received(committed, 20.0, base + SEGMENT + 500, (7, base + SEGMENT + 500), SECOND)
    assert committed.kept_until() == 20.0
    received(committed, 25.0, base + SEGMENT + 900, (7, base + SEGMENT + 899), SECOND)
    assert committed.kept_until() == 20.0
    received(committed, 30.0, base + SEGMENT + 999, (8, base + SEGMENT + 999), SECOND)
    assert committed.kept_until() == 15.0, "another one may have missed something"
    received(committed, 35.0, base + SEGMENT + 999, None, SECOND)
    assert committed.kept_until() == 15.0


@pytest.mark.parametrize(
    ("position", "end"),
    [
        (3 * SEGMENT + 40, 3 * SEGMENT),
        (3 * SEGMENT + 8192 + 24, 3 * SEGMENT + 8192),
        (3 * SEGMENT + 24, 3 * SEGMENT + 24),
        (3 * SEGMENT + 8192 + 40, 3 * SEGMENT + 8192 + 40),
        (3 * SEGMENT, 3 * SEGMENT),
        (100, 100),
    ],
)
def test_the_header_of_a_page_yet_to_come_is_no_record(position: int, end: int) -> None:
    assert record_end(position) == end


@pytest.mark.parametrize("fails", [False, True])
def test_who_looks_late_at_an_idle_database_learns_that_all_is_archived(fails: bool) -> None:
    """The notes that PostgreSQL makes for itself are never handed over by themselves."""
    committed = Committed()
    for at in range(0, int(SETTLED_SECONDS), 5):
        look(committed, at, "5:5:", 5 * SEGMENT, FIRST, fails=fails)
        assert committed.kept_until() is None
    later = SETTLED_SECONDS + 5.0
    look(committed, later, "5:5:", 5 * SEGMENT, FIRST, fails=fails)
    assert committed.kept_until() == (None if fails else later)


def test_it_keeps_a_bounded_number_and_never_says_too_much() -> None:
    committed, random = Committed(), Random(1)
    true: list[tuple[float, int]] = []
    position = 0
    for number in range(5000):
        position += random.randrange(1, 1000)
        at = 5.0 * number
        true.append((at, position))
        look(committed, at, f"{number}:{number}:", position)
    assert len(committed._marks) <= MOST
    for at, position in true:
        if (until := committed.until(position)) is not None:
            assert until <= at
    recent = [(at, position) for at, position in true if at > true[-1][0] - 500]
    assert all(committed.until(position) == at for at, position in recent)
    hours_ago = true[-1][0] - 3 * 3600
    at, position = next(one for one in true if one[0] >= hours_ago)
    found = committed.until(position)
    assert found is not None
    assert at - found < 120.0


@pytest.mark.parametrize(
    ("name", "position"),
    [
        ("000000010000000000000000", SEGMENT),
        ("0000000A00000002000000FF", (2 << 32) + 256 * SEGMENT),
        ("000000010000000000000003.00000028.backup", 4 * SEGMENT),
        ("00000002.history", None),
        ("", None),
        (None, None),
    ],
)
def test_where_a_segment_ends(name: str | None, position: int | None) -> None:
    assert segment_end(name) == position
