"""What a database can be restored to here: what pgBackRest is told, and what people are."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from local_fleet import ALONE

from pgherd.contract.backups import (
    BackupState,
    Goal,
    Latest,
    Moment,
    ObservedBackup,
    Point,
    Position,
    Transaction,
    goal_option,
    lsn_of,
    lsn_text,
)
from pgherd.engines.local.backup.goals import (
    Known,
    Mark,
    beginning,
    least,
    missed,
    reachable,
    ways,
)
from pgherd.engines.local.backup.origins import (
    half_restored,
    is_done,
    is_origin,
    origin_of,
    until,
)
from pgherd.engines.local.backup.pgbackrest import Extent, Stanza
from pgherd.engines.local.backup.throwaway import NOT_REACHED, last_commit
from pgherd.errors import InputError, NeedsHuman

NOON = datetime(2026, 11, 26, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
GOALS = [Latest(), Moment(NOON), Point("before"), Position(0x300), Transaction(745)]


def backup(name: str, hour: int) -> ObservedBackup:
    return ObservedBackup(name, NOON + hour * HOUR, BackupState.AVAILABLE, "full")


def mark(name: str, lsn: int) -> Mark:
    return Mark(name, f"{name}.ff", lsn, 1000, NOON)


STANZA = Stanza(
    (backup("second", 2), backup("first", 0)),
    extents={"first": Extent(0x100, 9), "second": Extent(0x500, 9)},
)
EARLY, MIDDLE, LATE = mark("early", 0x80), mark("middle", 0x300), mark("late", 0x700)
KNOWN = Known(STANZA, (LATE, MIDDLE, EARLY))
RUNNING = replace(KNOWN, now=mark("pgherd.now", 0x900))
ID = ALONE.id


@pytest.mark.parametrize("goal", GOALS)
def test_what_a_manifest_says_is_the_same_goal_of_the_same_incarnation(goal: Goal) -> None:
    text = origin_of("auth-1a2b", goal, RUNNING.now)
    assert is_origin(text, "auth-1a2b", goal)
    assert not is_origin(text, "auth-1a2", goal)
    assert not is_origin(text, "auth-ffff", goal)
    others = [other for other in GOALS if other != goal]
    assert not any(is_origin(text, "auth-1a2b", other) for other in others)
    restored = replace(ALONE, archive="", restored_from=text)
    assert is_done(restored, goal)
    assert not any(is_done(restored, other) for other in others)
    assert not is_done(replace(restored, archive="auth-2"), goal)


def test_a_moment_reads_as_older_manifests_have_it() -> None:
    assert origin_of("auth-1a2b", Moment(NOON)) == "auth-1a2b 2026-11-26T12:00:00+00:00"


def test_the_latest_says_since_when_it_is_that() -> None:
    assert until(origin_of("auth-1", Latest(), RUNNING.now)) == NOON
    assert until(origin_of("auth-1", Latest())) is None
    assert until(origin_of("auth-1", Moment(NOON), RUNNING.now)) is None
    assert until("") is None


@pytest.mark.parametrize(
    ("goal", "option"),
    [
        (Latest(), "--to latest"),
        (Moment(NOON), "--to 2026-11-26T12:00:00+00:00"),
        (Point("before"), "--to-point before"),
        (Position(2**32 + 0x300), "--to-lsn 1/300"),
        (Transaction(745), "--to-transaction 745"),
    ],
)
def test_a_restore_that_was_cut_off_is_told_with_the_command_that_goes_on(
    goal: Goal, option: str
) -> None:
    assert goal_option(str(goal)) == option
    origin = origin_of("auth-1", goal, RUNNING.now)
    _, how = half_restored(replace(ALONE, restoring=origin))
    assert f"`pgherd restore {ID} {option} --yes-overwrite {ID}`" in how


def test_a_backup_that_ends_after_the_goal_is_not_chosen() -> None:
    def told(goal: Goal, known: Known = RUNNING) -> list[list[str]]:
        return [[w for w in way if "action" not in w] for way in ways(ID, known, goal)]

    assert told(Point("middle")) == [["--set=first", "--type=name", "--target=middle.ff"]]
    assert told(Point("late")) == [["--set=second", "--type=name", "--target=late.ff"]]
    assert told(Position(0x4FF)) == [["--set=first", "--type=lsn", "--target=0/4FF"]]
    assert told(Position(0x500)) == [["--set=second", "--type=lsn", "--target=0/500"]]
    # One that ended while this restore began is none.
    newest = Stanza(
        (backup("third", 3), *STANZA.backups), extents={**STANZA.extents, "third": Extent(0x901, 9)}
    )
    marked = ["--set=second", "--type=name", "--target=pgherd.now.ff"]
    assert told(Latest(), replace(RUNNING, stanza=newest)) == [marked]
    assert told(Latest(), KNOWN) == [["--type=default"]]


def test_a_time_after_the_last_commit_is_all_that_is_there() -> None:
    exact, all_ = ways(ID, RUNNING, Moment(NOON + HOUR))
    target = "--target=2026-11-26 13:00:00.000000+00"
    assert exact[:3] == ["--set=first", "--type=time", target]
    # From a later backup on it would be more, where WAL is missing after that time.
    assert all_[:3] == ["--set=first", "--type=name", "--target=pgherd.now.ff"]
    stopped = ways(ID, KNOWN, Moment(NOON + HOUR))
    assert stopped == (exact, ["--set=first", "--type=default"])
    assert len(ways(ID, KNOWN, Moment(NOON + 3 * HOUR))) == 1


def test_a_transaction_is_looked_for_from_the_last_backup_on() -> None:
    now = Mark("now", "now.ff", 0x900, 2**32 + 1000, NOON)
    told = ways(ID, replace(KNOWN, now=now), Transaction(2**32 + 745))
    assert [way[0] for way in told] == ["--set=second", "--set=first"]
    assert all("--target=745" in way for way in told)


@pytest.mark.parametrize(
    ("goal", "message", "hint"),
    [
        (Moment(NOON), "to a time before 2026-11-26 12:00:01 UTC", "--to 2026-11-26T12:00:01"),
        (Position(0xFF), "to a position before 0/100", "--to-lsn 0/100"),
        (Position(0x901), "0/901 is in the future: production/auth has come to 0/900", "latest"),
        (Transaction(1000), "transaction 1000 is in the future", "--to latest"),
        (Point("early"), "has no point early", "it has late, middle"),
        (Point("never"), "has no point never", "it has late, middle"),
    ],
)
def test_what_cannot_be_had_is_said_with_what_can(goal: Goal, message: str, hint: str) -> None:
    with pytest.raises(InputError) as raised:
        ways(ID, RUNNING, goal)
    assert message in raised.value.message
    assert hint in raised.value.hint


def test_a_short_number_may_be_that_of_a_later_epoch() -> None:
    now = Mark("now", "now.ff", 0x900, 2**32 + 10, NOON)
    assert ways(ID, replace(KNOWN, now=now), Transaction(2**32 - 1))
    with pytest.raises(InputError, match="in the future"):
        ways(ID, replace(KNOWN, now=now), Transaction(2**32 + 10))


def test_of_a_database_that_is_stopped_the_wal_ends_with_its_last_segment() -> None:
    ended = replace(KNOWN, stanza=Stanza(STANZA.backups, None, "", STANZA.extents, "0" * 23 + "2"))
    assert ways(ID, ended, Position(3 * 2**24))
    with pytest.raises(InputError, match="was handed over ends before 0/3000000") as raised:
        ways(ID, ended, Position(3 * 2**24 + 1))
    assert "--to latest" in raised.value.hint


def test_the_backup_that_is_restored_first() -> None:
    def first(goal: Goal) -> str | None:
        found = beginning(RUNNING, goal)
        return found and found.name

    assert first(Moment(NOON + HOUR)) == first(Point("middle")) == first(Position(0x200)) == "first"
    assert first(Moment(NOON + 3 * HOUR)) == first(Point("late")) == "second"
    assert first(Latest()) == first(Transaction(745)) == "second"
    assert beginning(Known(Stanza()), Latest()) is None


@pytest.mark.parametrize("goal", GOALS)
def test_nothing_can_be_had_without_a_backup(goal: Goal) -> None:
    with pytest.raises(InputError, match="has no backup yet"):
        ways(ID, Known(Stanza()), goal)


def test_points_before_all_backups_are_known_no_more() -> None:
    assert [p.name for p in reachable(KNOWN)] == ["late", "middle"]
    assert reachable(Known(Stanza(), (LATE,))) == []


def test_the_end_of_the_wal_before_the_goal_is_a_gap_only_where_all_was_handed_over() -> None:
    for goal in (Latest(), Moment(NOON)):
        gap = missed(ID, RUNNING, goal, NOON)
        assert isinstance(gap, NeedsHuman)
        assert "ends with the commit of 2026-11-26 12:00:00 UTC" in gap.message
        assert f"`pgherd backup verify {ID}`" in gap.hint
    # All that is there was asked for, and it ended before the last that was handed over.
    assert isinstance(missed(ID, KNOWN, Latest()), NeedsHuman)
    ended = missed(ID, KNOWN, Moment(NOON + 3 * HOUR), NOON)
    assert isinstance(ended, InputError)
    assert ended.message.endswith("with the commit of 2026-11-26 12:00:00 UTC")
    assert "--to latest" in ended.hint
    for goal in (Point("late"), Position(0x700), Transaction(745)):
        assert isinstance(missed(ID, RUNNING, goal), InputError)


def test_all_that_was_handed_over_comes_into_its_last_segment() -> None:
    stanza, all_of_it = Stanza(last_segment="0000000200000001000000FF"), ["--type=default"]
    assert least(stanza, all_of_it) == 0x1FF000000
    assert least(stanza, ["--type=time"]) == 0
    assert least(Stanza(), all_of_it) == 0


@pytest.mark.parametrize(
    "text", ["", "0", "0/", "/0", "0/0/0", "g/0", "123456789/0", "0/1\n", " 0/1"]
)
def test_what_is_no_position(text: str) -> None:
    assert lsn_of(text) is None


def test_a_position_reads_back() -> None:
    for lsn in (0, 0x3000148, 2**64 - 1):
        assert lsn_of(lsn_text(lsn)) == lsn


def test_the_last_commit_is_read_as_a_time_or_not_at_all() -> None:
    assert last_commit(f"it is not restored: {NOT_REACHED} (2026-11-26 12:00:00.5+00)") == (
        NOON + timedelta(seconds=0.5)
    )
    for odd in ("", "(without any commit)", "(2026-99-26 12:00:00+00)", "(2026-11-26 12:00:00)"):
        assert last_commit(f"{NOT_REACHED} {odd}") is None
