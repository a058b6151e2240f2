"""What is missing in WAL, which backups are no good, and what can be restored in spite of that."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from pgherd.contract.backups import BackupState, ObservedBackup
from pgherd.contract.proofs import Check, Proof
from pgherd.contract.verification import Flaw, Reach, Trouble, VerifiedBackup
from pgherd.engines.local.backup.comparing import compared, listing
from pgherd.engines.local.backup.doubts import doubted
from pgherd.engines.local.backup.pgbackrest import Extent, Stanza
from pgherd.engines.local.backup.verified import Compared, Kept, judged, line_of, name_of, number_of
from pgherd.engines.local.timelines import SEGMENT
from pgherd.errors import NeedsHuman

NOON = datetime(2026, 11, 28, 12, tzinfo=UTC)
MINUTE, SECOND = timedelta(minutes=1), timedelta(seconds=1)
OLD, NEW = "20261128-120200F", "20261128-120200F_20261128-120700I"
BOTH_OK = {OLD: (True, 3), NEW: (True, 4)}


def backup(name: str, segment: int, kind: str = "full") -> ObservedBackup:
    return ObservedBackup(name, NOON + segment * MINUTE, BackupState.AVAILABLE, kind)


def stanza(*segments: int) -> Stanza:
    """One backup that is whole in each of these, the first one full."""
    names = (OLD, NEW)[: len(segments)]
    found = [
        backup(n, s, "full" if n == OLD else "incr") for n, s in zip(names, segments, strict=True)
    ]
    extents = {n: Extent(s * SEGMENT + 40, 1000) for n, s in zip(names, segments, strict=True)}
    return Stanza(backups=tuple(reversed(found)), extents=extents)


def kept(*numbers: int, timeline: int = 1) -> dict[str, datetime]:
    """A segment came each minute."""
    return {name_of(timeline, n): NOON + n * MINUTE for n in numbers}


ALONG = ((1, 0),)


def test_all_is_there_from_the_first_backup_on() -> None:
    backups, flaws, reaches = judged(
        stanza(2, 7), Kept(kept(*range(2, 11)), ALONG), Compared(BOTH_OK)
    )
    assert [b.ok for b in backups] == [True, True]
    assert backups[1] == VerifiedBackup(OLD, NOON + 2 * MINUTE, True, 3)
    assert flaws == ()
    assert reaches == (Reach(NOON + 2 * MINUTE + SECOND, NOON + 10 * MINUTE, name_of(1, 10)),)


@pytest.mark.parametrize("trouble", list(Trouble))
def test_a_gap_parts_the_times_in_two(trouble: Trouble) -> None:
    there = [n for n in range(2, 11) if trouble is Trouble.DAMAGED or n not in (5, 6)]
    bad = [(None, name_of(1, n), trouble) for n in (5, 6) if trouble is Trouble.DAMAGED]
    _, flaws, reaches = judged(stanza(2, 7), Kept(kept(*there), ALONG), Compared(BOTH_OK, bad))
    if trouble is Trouble.MISSING:
        assert flaws == (Flaw(name_of(1, 5), trouble, last=name_of(1, 6)),)
    else:
        assert flaws == (Flaw(name_of(1, 5), trouble), Flaw(name_of(1, 6), trouble))
    assert [(r.begin, r.last) for r in reaches] == [
        (NOON + 2 * MINUTE + SECOND, name_of(1, 4)),
        (NOON + 7 * MINUTE + SECOND, name_of(1, 10)),
    ]


def test_wal_that_is_missing_within_a_backup_is_in_it() -> None:
    _, flaws, reaches = judged(stanza(2), Kept(kept(3, 4), ALONG), Compared(BOTH_OK))
    assert flaws == (Flaw(name_of(1, 2), Trouble.MISSING),)
    assert [r.last for r in reaches] == [name_of(1, 4)]


def test_wal_before_all_backups_is_nobodys() -> None:
    bad = [(None, name_of(1, 1), Trouble.DAMAGED)]
    _, flaws, _ = judged(stanza(2), Kept(kept(1, 2, 3), ALONG), Compared(BOTH_OK, bad))
    assert flaws == ()


def test_a_backup_that_expired_meanwhile_is_not_told_of() -> None:
    bad = [("20261101-000000F", "pg_data/base/1/1", Trouble.MISSING)]
    found = Compared({OLD: (True, 3), "20261101-000000F": (False, 3)}, bad)
    backups, flaws, _ = judged(stanza(2), Kept(kept(2, 3), ALONG), found)
    assert [b.name for b in backups] == [OLD]
    assert flaws == ()


def test_a_damaged_backup_is_no_beginning() -> None:
    bad = [(OLD, "pg_data/base/5/16384.lz4", Trouble.DAMAGED)]
    found = Compared({OLD: (False, 3), NEW: (True, 4)}, bad)
    backups, flaws, reaches = judged(stanza(2, 7), Kept(kept(*range(2, 9)), ALONG), found)
    assert [b.ok for b in backups] == [True, False]
    assert flaws == (Flaw("pg_data/base/5/16384.lz4", Trouble.DAMAGED, backup=OLD),)
    assert [r.begin for r in reaches] == [NOON + 7 * MINUTE + SECOND]


def test_a_backup_of_which_nothing_is_said_is_not_taken_for_good() -> None:
    backups, _, reaches = judged(stanza(2), Kept(kept(2, 3), ALONG), Compared())
    assert [b.ok for b in backups] == [False]
    assert reaches == ()


HISTORY = "1\t0/5000148\tno recovery target specified\n\n2\t0/8000028\tno reason\n"


def test_wal_is_followed_from_one_timeline_to_the_next() -> None:
    line = line_of((), 3, HISTORY)
    assert line == [(1, 0), (2, 5), (3, 8)]
    # The last segment of a timeline that was left is of no use: the next one has it, too.
    there = {**kept(2, 3, 4), **kept(5, 6, 7, timeline=2), **kept(8, 9, timeline=3)}
    _, flaws, reaches = judged(stanza(2), Kept(there, line), Compared(BOTH_OK))
    assert flaws == ()
    assert [r.last for r in reaches] == [name_of(3, 9)]


def test_what_an_old_primary_hands_over_later_is_not_taken_for_what_is_missing() -> None:
    line = line_of((), 2, "1\t0/5000148\treason\n")
    there = {**kept(2, 3, 4, 5, 6), **kept(6, 7, timeline=2)}
    _, flaws, reaches = judged(stanza(2), Kept(there, line), Compared(BOTH_OK))
    assert flaws == (Flaw(name_of(2, 5), Trouble.MISSING),)
    assert [r.last for r in reaches] == [name_of(1, 4)]


def test_without_a_history_timelines_begin_with_their_segments() -> None:
    there = {**kept(2, 3), **kept(4, 5, timeline=2)}
    assert line_of(there, 2, None) == [(1, 2), (2, 4)]


def test_segments_are_numbered_across_logs() -> None:
    for number in (0, 255, 256, 256 * 7 + 3):
        assert number_of(name_of(9, number)) == number
    assert name_of(1, 256) == "000000010000000100000000"


def test_a_name_that_somebody_made_up_costs_nothing() -> None:
    far = "00000001FFFFFFFF000000FF"
    _, flaws, reaches = judged(stanza(2), Kept({**kept(2, 3), far: NOON}, ALONG), Compared(BOTH_OK))
    assert flaws == (Flaw(name_of(1, 4), Trouble.MISSING, last="00000001FFFFFFFF000000FE"),)
    assert [r.last for r in reaches] == [name_of(1, 3)]
    lie = b'{"15-1":{},"15-1/0/000000010000000000001000-%b.lz4":{"type":"file","time":-9}}'
    assert listing(lie % SHA.encode()).segments == {}
    assert line_of((), 2, f"{'1' * 5000}\t0/1\n") == [(2, 0)]


REPORT = f"""\
stanza: order-1
status: error
  archiveId: 15-1, total WAL checked: 13, total valid WAL: 12
    missing: 0, checksum invalid: 0, size invalid: 0, other: 1
  backup: {OLD}, status: invalid, total files checked: 1272, total valid files: 1271
    missing: 0, checksum invalid: 1, size invalid: 0, other: 0
  backup: {NEW}, status: valid, total files checked: 1273, total valid files: 1273
    missing: 0, checksum invalid: 0, size invalid: 0, other: 0
"""
SHA = "fb3040a6f77f265763fc58747c596fecc26b762a"
SAID = f"""\
INFO: invalid result 15-1/0000000100000000/{name_of(1, 6)}-{SHA}.lz4: [29] raised from local-1
INFO: invalid checksum '{OLD}/pg_data/base/5/3085.lz4'
INFO: file missing '{OLD}/pg_data/base/5/3086.lz4'
"""


def test_the_report_and_what_is_logged() -> None:
    found = compared(REPORT, SAID.splitlines())
    assert found is not None
    assert found.backups == {OLD: (False, 1272), NEW: (True, 1273)}
    assert list(found.files) == [
        (None, name_of(1, 6), Trouble.DAMAGED),
        (OLD, "pg_data/base/5/3085.lz4", Trouble.DAMAGED),
        (OLD, "pg_data/base/5/3086.lz4", Trouble.MISSING),
    ]


@pytest.mark.parametrize(
    "report", ["", "stanza: x\nstatus: error\n  No usable archive.info file\n"]
)
def test_what_is_no_report(report: str) -> None:
    assert compared(report, ()) is None


def test_the_files_of_an_archive() -> None:
    found = listing(
        b'{".":{"type":"path"},"15-1":{"type":"path"},"15-2":{"type":"path"},'
        b'"15-1/0000000100000000/%(old)b-%(sha)b.lz4":{"type":"file","size":1,"time":1},'
        b'"15-2/0000000100000000/%(new)b-%(sha)b.lz4":{"type":"file","size":1,"time":60},'
        b'"15-2/00000003.history":{"type":"file","size":1,"time":1},'
        b'"15-2/0000000100000000/%(new)b.00000028.backup":{"type":"file","size":1,"time":1},'
        b'"archive.info":{"type":"file","size":1,"time":1}}'
        % {
            b"old": name_of(1, 1).encode(),
            b"new": name_of(1, 2).encode(),
            b"sha": SHA.encode(),
        }
    )
    assert (found.folder, found.newest) == ("15-2", 3)
    assert found.segments == {name_of(1, 2): datetime(1970, 1, 1, 0, 1, tzinfo=UTC)}
    assert listing(b"{}").folder == ""
    with pytest.raises(NeedsHuman):
        listing(b'{"15-1": 3}')


def proof(name: str, at: datetime) -> Proof:
    return Proof(at, ok=False, checks=(Check(name, ok=False),))


@pytest.mark.parametrize(
    ("damaged", "proofs", "expected"),
    [
        ((), (), False),
        ((OLD,), (), True),
        ((NEW,), (), True),
        (("20261101-000000F",), (), False),
        ((), (proof("restored", NOON + 9 * MINUTE),), True),
        ((), (proof("restored", NOON),), False),
        ((), (proof("tables", NOON + 9 * MINUTE),), False),
        ((), (Proof(NOON + 9 * MINUTE, ok=True),), False),
    ],
)
def test_the_next_backup_is_a_full_one_where_the_last_is_doubted(
    damaged: tuple[str, ...], proofs: tuple[Proof, ...], expected: bool
) -> None:
    assert doubted(stanza(2, 7).backups, damaged, proofs) is expected


def test_without_a_backup_there_is_no_doubt() -> None:
    assert not doubted((), (OLD,), ())
