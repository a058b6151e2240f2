"""How long a restore takes here, and how much room."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from local_fleet import ALONE, PRODUCTION, LongLayout

from pgherd.engines.local.backup.goals import Known, Mark
from pgherd.engines.local.backup.pgbackrest import Extent, Stanza
from pgherd.engines.local.backup.repository import Repository
from pgherd.engines.local.backup.taking import (
    MOST,
    MOST_WAL,
    SPARE,
    Taken,
    Took,
    needed,
    predicted,
    require_fits,
)
from pgherd.errors import NeedsHuman

GIB = 2**30
KNOWN = Known(Stanza(extents={"full": Extent(0x1000, GIB), "odd": Extent(0x1000, 0)}))


def at(lsn: int) -> Known:
    return replace(KNOWN, now=Mark("now", "now.ff", lsn, 1, datetime(2026, 11, 26, tzinfo=UTC)))


def test_the_first_one_is_a_guess_and_the_next_follows_what_was_measured() -> None:
    guess, is_guess = predicted(GIB, [])
    assert is_guess
    assert predicted(2 * GIB, [])[0] > guess > predicted(0, [])[0] > 0
    twice = [Took(GIB, 2 * guess)] * 3
    assert predicted(GIB, twice) == (pytest.approx(2 * guess), False)
    # One that took very long says nothing of the others.
    assert predicted(GIB, [Took(GIB, 1000 * guess), *twice])[0] == pytest.approx(2 * guess)


def test_a_small_restore_says_little_of_a_large_one() -> None:
    """What starts servers is no speed."""
    minute, _ = predicted(100 * GIB, [Took(30 * 2**20, 8.0)])
    assert minute < 2 * predicted(100 * GIB, [])[0]


def test_what_is_needed_is_the_backup_and_some_wal() -> None:
    assert needed(at(0x1000), "full") == GIB + SPARE
    assert needed(at(0x1000 + 2**20), "full") == GIB + 2**20 + SPARE
    assert needed(at(2**50), "full") == needed(KNOWN, "full") == GIB + MOST_WAL + SPARE
    assert needed(at(0), "full") == GIB + SPARE
    assert needed(at(0), "full", is_masked=True) == 3 * GIB + MOST_WAL + SPARE
    assert needed(KNOWN, "odd") is None
    assert needed(KNOWN, "unknown") is None


def test_what_does_not_fit_is_said_with_both_sizes(tmp_path: Path) -> None:
    require_fits(ALONE.id, tmp_path, GIB, GIB)
    with pytest.raises(NeedsHuman, match=r"1.07GB are needed, 1.00MB are free") as raised:
        require_fits(ALONE.id, tmp_path, GIB, 10**6)
    assert str(tmp_path) in raised.value.message


def test_the_last_ones_are_remembered_where_root_alone_writes(tmp_path: Path) -> None:
    layout = LongLayout(tmp_path / "shop")
    repository = Repository(layout, PRODUCTION)
    repository.folder.mkdir(parents=True)
    taken = Taken(repository)
    assert taken.known() == ()
    for number in range(MOST + 5):
        taken.note(Took(number, 1.0))
    assert [took.bytes for took in taken.known()] == list(range(MOST + 4, 4, -1))
    (path,) = (repository.folder / "restores").iterdir()
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    path.write_text("{")
    assert taken.known() == ()
