"""What a database had before it was restored: how long it is kept, and how it changes places."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from local_fleet import ALONE

from pgherd.engines.local.backup import exchange, recover
from pgherd.engines.local.backup.former import kept_data, require_kept
from pgherd.engines.local.backup.origins import half_restored
from pgherd.engines.local.manifest import FormerData
from pgherd.errors import InputError

NOON = datetime(2026, 11, 26, 12, tzinfo=UTC)
WEEK = timedelta(days=7)
FORMER = FormerData(1, NOON.isoformat(), "auth-1a2b", "")
RESTORED = replace(ALONE, former=FORMER)


def test_it_is_kept_as_long_as_backups() -> None:
    kept = kept_data(RESTORED, 7, NOON + WEEK - timedelta(seconds=1))
    assert kept is not None
    assert (kept.since, kept.until, kept.is_undone) == (NOON, NOON + WEEK, False)
    assert kept_data(RESTORED, 7, NOON + WEEK) is None
    assert kept_data(ALONE, 7, NOON) is None


def test_what_was_begun_is_brought_to_its_end_however_long_ago() -> None:
    late = NOON + 2 * WEEK
    for manifest in (RESTORED, ALONE):
        with pytest.raises(InputError, match="nothing is kept"):
            require_kept(manifest, 7, late)
    half = replace(RESTORED, restoring="auth-2 undo")
    assert require_kept(half, 7, late) == FORMER
    message, how = half_restored(half)
    assert message.endswith("is half restored to what it had before")
    assert f"`pgherd restore {ALONE.id} --undo --yes-overwrite {ALONE.id}`" in how


class Killed(BaseException):
    pass


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    for name, content in (("data", "restored"), ("before", "former")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "what").write_text(content)
    (tmp_path / "whole").touch()
    return tmp_path


def dies(monkeypatch: pytest.MonkeyPatch, after: int) -> None:
    """The process is killed before one of its renames."""
    left = iter(range(after))
    real: Callable[[Path, Path], Path] = Path.rename

    def rename(self: Path, target: Path) -> Path:
        if next(left, None) is None:
            raise Killed
        return real(self, target)

    monkeypatch.setattr(Path, "rename", rename)


@pytest.mark.parametrize("after", [0, 1, 2])
def test_what_it_had_changes_places_wherever_that_is_killed(
    kept: Path, monkeypatch: pytest.MonkeyPatch, after: int
) -> None:
    with monkeypatch.context() as patched:
        dies(patched, after)
        try:
            exchange.undo(kept)
        except Killed:
            assert not (kept / "whole").exists()
    for _ in range(2):
        exchange.undo(kept)
        assert (kept / "data" / "what").read_text() == "former"
        assert (kept / "undone" / "what").read_text() == "restored"
        assert sorted(p.name for p in kept.iterdir()) == ["data", "undone", "whole"]


def test_what_is_gone_cannot_come_back(tmp_path: Path) -> None:
    with pytest.raises(exchange.Missing, match="is gone"):
        exchange.undo(tmp_path)
    assert not (tmp_path / "whole").exists()


@pytest.mark.parametrize("after", [0, 1, 2])
def test_what_is_restored_takes_its_place_wherever_that_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, after: int
) -> None:
    for name in ("data", "restored"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "what").write_text(name)
    with monkeypatch.context() as patched:
        dies(patched, after)
        with suppress(Killed):
            exchange.put(tmp_path)
    for _ in range(2):
        assert exchange.put(tmp_path)
        assert (tmp_path / "data" / "what").read_text() == "restored"
        assert (tmp_path / "before" / "what").read_text() == "data"


def test_a_database_without_data_keeps_nothing(tmp_path: Path) -> None:
    (tmp_path / "restored").mkdir()
    assert not exchange.put(tmp_path)


def test_what_is_free_is_found_where_nothing_is_yet(tmp_path: Path) -> None:
    (tmp_path / "restored").mkdir()
    assert recover.room(tmp_path, is_cleared=False) > 0
    assert (tmp_path / "restored").exists()
    assert recover.room(tmp_path / "auth" / "1", is_cleared=True) > 0
    assert recover.room(tmp_path, is_cleared=True) > 0
    assert not (tmp_path / "restored").exists()
