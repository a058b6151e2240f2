"""When databases are backed up, and how."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgherd.contract.backups import BackupState, ObservedBackup
from pgherd.contract.proofs import Check, Proof
from pgherd.decide.backups import (
    FULL,
    LATE,
    QUIET_SECONDS,
    UNPROVEN,
    is_full_due,
    slot,
    why_due,
    why_to_prove,
    why_unprotected,
)
from pgherd.fleet.desired import DatabaseId

ID = DatabaseId("production", "auth")
EVERY = timedelta(days=7)
NOON = datetime(2026, 11, 28, 12, tzinfo=UTC)
DAY = timedelta(days=1)


def backup(
    ago: timedelta, kind: str = FULL, state: BackupState = BackupState.AVAILABLE
) -> ObservedBackup:
    return ObservedBackup("a", NOON - ago, state, kind)


def proof(ago: timedelta, *, ok: bool = True) -> Proof:
    checks = (Check("restored", ok=True), Check("tables", ok, "a page is damaged"))
    return Proof(NOON - ago, ok, 1.0, 0.0, None, checks)


PROVEN = proof(DAY)


def unprotected(
    backups: Sequence[ObservedBackup],
    now: datetime = NOON,
    *,
    proofs: Sequence[Proof] | None = (PROVEN,),
    unarchived: float | None = 3.0,
) -> str | None:
    return why_unprotected(backups, proofs, unarchived, EVERY, now)


@pytest.mark.parametrize(
    ("unarchived", "why"),
    [
        (299.0, None),
        (720.0, "its WAL of the last 12 min is not archived"),
        (None, "how far its WAL is archived is not known yet"),
    ],
)
def test_wal_that_is_not_handed_over_is_no_protection(
    unarchived: float | None, why: str | None
) -> None:
    assert unprotected([backup(DAY)], unarchived=unarchived) == why


@pytest.mark.parametrize(
    ("proofs", "why"),
    [
        ([proof(7.9 * DAY)], None),
        ([proof(8.1 * DAY)], "its last proof is 8 days old"),
        ([], UNPROVEN),
        (None, "its engine cannot prove backups yet"),
        ([proof(DAY, ok=False), PROVEN], "its drill failed: tables: a page is damaged"),
        ([proof(DAY), proof(2 * DAY, ok=False)], None),
    ],
)
def test_a_backup_that_nothing_has_proven_lately_is_no_protection(
    proofs: Sequence[Proof] | None, why: str | None
) -> None:
    assert unprotected([backup(timedelta(hours=1))], proofs=proofs) == why


@pytest.mark.parametrize(
    ("proofs", "is_due"),
    [
        ([], True),
        ([proof(6.9 * DAY)], False),
        ([proof(7.1 * DAY)], True),
        ([proof(timedelta(hours=1), ok=False)], False),
        ([proof(timedelta(hours=3), ok=False)], True),
    ],
)
def test_a_proof_is_due_at_once_then_weekly_and_after_a_failure_with_the_next_backup(
    proofs: Sequence[Proof], is_due: bool
) -> None:
    taken = [backup(timedelta(hours=2))]
    assert bool(why_to_prove(taken, proofs, EVERY, NOON)) is is_due
    assert why_to_prove([], proofs, EVERY, NOON) is None


def test_a_database_without_a_backup_is_backed_up_in_full_at_once() -> None:
    failed = backup(timedelta(minutes=1), state=BackupState.FAILED)
    for backups in ((), (failed,)):
        assert why_due(ID, backups, NOON) == "it has no backup yet"
        assert unprotected(backups) == "it has no backup"
        assert is_full_due(backups, 30, NOON)


def test_one_a_day_is_enough() -> None:
    assert why_due(ID, [backup(timedelta(hours=1))], NOON) is None
    yesterday = why_due(ID, [backup(DAY)], NOON)
    assert yesterday == "its last backup is of 2026-11-27 12:00 UTC"
    assert unprotected([backup(DAY)]) is None


def test_one_that_is_late_is_not_waited_for_any_longer() -> None:
    at = slot(ID, NOON) - timedelta(seconds=1)  # its moment is still to come
    old = ObservedBackup("a", at - LATE - timedelta(minutes=1), BackupState.AVAILABLE, FULL)
    assert why_due(ID, [old], at)
    assert unprotected([old], at) == "its last backup is 36 h old"


@pytest.mark.parametrize(
    ("retention", "ago", "is_due"),
    [
        (30, 6.4, False),
        (30, 6.9, True),
        (3, 2.4, False),
        (3, 2.9, True),
        (1, 0.4, False),
        (1, 0.9, True),
        (0, 0.9, True),
    ],
)
def test_full_ones_follow_the_retention_and_the_week(
    retention: int, ago: float, is_due: bool
) -> None:
    between = backup(timedelta(hours=1), "incremental")
    assert is_full_due([between, backup(ago * DAY)], retention, NOON) is is_due


@given(st.text(min_size=1), st.datetimes(timezones=st.just(UTC), min_value=datetime(2000, 1, 1)))
def test_each_database_has_one_moment_a_day_in_the_quiet_hours(name: str, now: datetime) -> None:
    id = DatabaseId("production", name)
    found = slot(id, now)
    assert timedelta(0) <= now - found < DAY
    since_one = (found - found.replace(hour=1, minute=0, second=0, microsecond=0)).total_seconds()
    assert 0 <= since_one < QUIET_SECONDS
    assert slot(id, found) == found
    assert slot(id, found - timedelta(microseconds=1)) == found - DAY


def test_databases_do_not_all_begin_at_once() -> None:
    moments = {slot(DatabaseId("production", f"s{number}"), NOON) for number in range(30)}
    assert len(moments) == 30
