"""What was applied is kept, found again, and believed only where nobody else could write it."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from pgherd.control import applied
from pgherd.control.applied import History
from pgherd.engines.known import sections, values
from pgherd.errors import InputError
from pgherd.fleet import stored
from pgherd.fleet.desired import Fleet
from pgherd.fleet.load import load_text

NOW = datetime(2026, 5, 4, 12, 3, 4, tzinfo=UTC)
TEXT = """\
fleet: shop
services: [auth]
environments:
  staging: {network: 10.1.0.0/16, ocpus: 2, storage: 1TB}
"""
LARGER = TEXT.replace("ocpus: 2", "ocpus: 2..8")


def read(text: str, path: Path) -> Fleet:
    return load_text(text, path, sections())


def never(text: str, path: Path) -> Fleet:
    raise AssertionError(f"{path} is read: {text}")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "fleet.yaml"


@pytest.fixture
def history(tmp_path: Path) -> History:
    return History(tmp_path / "shop.applied", values, never)


def test_nothing_was_applied_to_a_new_fleet(history: History, file: Path) -> None:
    assert list(history.all()) == []
    assert history.newest() is None
    assert history.remembered(TEXT, file) is None


def test_the_newest_is_first_and_the_same_again_is_no_other(history: History, file: Path) -> None:
    history.record(read(TEXT, file), NOW, "alice")
    history.record(read(TEXT, file), NOW + timedelta(hours=1), "bob")
    history.record(read(LARGER, file), NOW + timedelta(hours=2), "bob")
    assert [(a.number, a.by, a.at.hour) for a in history.all()] == [
        (2, "bob", 14),
        (1, "alice", 12),
    ]
    newest, first = history.all()
    assert history.fleet(newest) == read(LARGER, file)
    assert first.difference(None)[2:] == ("@@ -0,0 +1,4 @@", *(f"+{n}" for n in TEXT.splitlines()))
    changed = [line for line in newest.difference(first)[2:] if line[0] in "+-"]
    assert [line[0] for line in changed] == ["-", "+"]
    assert "2..8" in changed[1]


def test_what_was_applied_last_is_remembered_and_nothing_else(
    history: History, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    history.record(read(TEXT, file), NOW, "alice")
    assert history.remembered(TEXT, file) == read(TEXT, file)
    assert history.remembered(TEXT + "\n", file) is None
    assert history.remembered(TEXT, file.with_name("other.yaml")) is None
    monkeypatch.setattr(stored, "digest", lambda: "another")
    assert history.remembered(TEXT, file) is None


def test_what_is_remembered_names_nothing_that_is_gone(history: History, file: Path) -> None:
    text = TEXT + "migrations: migrations\n"
    folder = file.parent / "migrations"
    folder.mkdir()
    history.record(read(text, file), NOW, "alice")
    assert history.remembered(text, file)
    folder.rmdir()
    assert history.remembered(text, file) is None


def test_other_code_reads_the_text_again(
    tmp_path: Path, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    history = History(tmp_path / "shop.applied", values, read)
    history.record(read(TEXT, file), NOW, "alice")
    monkeypatch.setattr(stored, "digest", lambda: "another")
    (one,) = history.all()
    assert history.fleet(one) == read(TEXT, file)
    history.record(read(TEXT, file), NOW + timedelta(hours=1), "bob")
    (one,) = history.all()
    assert (one.number, one.by, one.at, one.digest) == (1, "alice", NOW, "another")


def test_only_the_newest_are_kept(
    history: History, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(applied, "KEPT", 3)
    for number in range(6):
        history.record(read(f"# {number}\n{TEXT}", file), NOW, "alice")
    assert [a.number for a in history.all()] == [6, 5, 4]


def test_damage_is_left_out(history: History, file: Path, tmp_path: Path) -> None:
    folder = tmp_path / "shop.applied"
    history.record(read(TEXT, file), NOW, "alice")
    (folder / "000002.json").write_bytes(b"{")
    (folder / "notes.json").write_bytes(b"{}")
    newest = history.newest()
    assert newest
    assert newest.number == 1
    damaged = msgspec.structs.replace(newest, number=3, resolved=msgspec.Raw(b"{}"))
    (folder / "000003.json").write_bytes(msgspec.json.encode(damaged))
    assert history.remembered(TEXT, file) is None


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files away")
def test_what_another_user_could_have_written_is_not_believed(
    history: History, file: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "shop.applied"
    history.record(read(TEXT, file), NOW, "alice")
    folder.chmod(0o777)
    assert history.remembered(TEXT, file) is None
    with pytest.raises(InputError, match="may be changed by others"):
        history.newest()
    folder.chmod(0o700)
    os.chown(folder, 65534, 65534)
    assert history.remembered(TEXT, file) is None
    with pytest.raises(InputError, match="belongs to"):
        history.record(read(LARGER, file), NOW, "alice")
