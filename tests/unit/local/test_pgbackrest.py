"""pgBackRest: what it is asked and configured by, and what its answers mean."""

from __future__ import annotations

import json
import shlex
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from pgherd.contract.backups import BackupState, Moment, Window
from pgherd.engines.local.backup import pgbackrest
from pgherd.engines.local.backup.goals import Known, history, require_reachable
from pgherd.engines.local.backup.pgbackrest import Extent, Stanza, archiving, complaint, stanzas
from pgherd.errors import InputError, NeedsHuman
from pgherd.fleet.desired import DatabaseId

ID = DatabaseId("production", "auth")
AT = datetime(2026, 11, 28, 1, 54, 3, tzinfo=UTC)


def backup(label: str, kind: str = "full", stop: int = 0, **more: Any) -> dict[str, Any]:
    begin = int(AT.timestamp())
    return {
        "label": label,
        "type": kind,
        "timestamp": {"start": begin + stop - 4, "stop": begin + stop},
        "error": False,
        "info": {"size": 22987796, "delta": 1, "repository": {"size": 9, "delta": 4553312}},
        **more,
    }


def told(*backups: dict[str, Any], **more: Any) -> bytes:
    """As pgBackRest 2.45 says it, with much that nobody asks for."""
    stanza = {
        "archive": [
            {
                "database": {"id": 1, "repo-key": 1},
                "id": "15-1",
                "max": "000000010000000000000003",
                "min": "000000010000000000000001",
            }
        ],
        "backup": list(backups),
        "cipher": "aes-256-cbc",
        "db": [{"id": 1, "repo-key": 1, "system-id": 7713034673525657258, "version": "15"}],
        "name": "auth-1a2b3c4d",
        "status": {"code": 0, "lock": {"backup": {"held": False}}, "message": "ok"},
    }
    return json.dumps([{**stanza, **more}]).encode()


def test_backups_are_told_the_newest_first() -> None:
    first = backup("20261128-015359F")
    second = backup("20261128-015359F_20261129-015359I", "incr", 86_400)
    (found,) = stanzas(told(first, second)).values()
    assert [b.name for b in found.backups] == [second["label"], first["label"]]
    assert [b.kind for b in found.backups] == ["incremental", "full"]
    assert found.backups[1].taken_at == AT
    assert found.backups[1].bytes == 4553312
    assert found.system_identifier == 7713034673525657258


def test_a_stanza_without_backups_or_wal_is_one() -> None:
    (found,) = stanzas(told(archive=[], db=[])).values()
    assert found == Stanza()
    assert stanzas(b"[]") == {}


def test_a_backup_with_damaged_pages_is_none_to_restore() -> None:
    (found,) = stanzas(told(backup("a"), backup("b", stop=9, error=True))).values()
    assert [b.state for b in found.backups] == [BackupState.FAILED, BackupState.AVAILABLE]
    first = AT + timedelta(seconds=1)
    assert history(Known(found)).windows == (Window(first, first),)
    with pytest.raises(InputError, match="has no backup yet"):
        require_reachable(ID, Known(Stanza(found.backups[:1])), Moment(AT))


def test_where_a_backup_is_whole_and_how_far_the_wal_goes() -> None:
    said = told(
        backup("a", lsn={"start": "0/2000028", "stop": "1/2000100"}),
        backup("b"),
        backup("c", lsn={"start": None, "stop": None}),
        backup("d", lsn={"stop": "../../etc"}),
        archive=[{"id": "15-1", "min": None, "max": None}, {"max": "000000010000000000000007"}],
    )
    (found,) = stanzas(said).values()
    assert found.extents == {"a": Extent(2**32 + 0x2000100, 22987796)}
    assert found.last_segment == "000000010000000000000007"
    (odd,) = stanzas(told(archive=[{"max": "../000000010000000000000007"}])).values()
    assert odd.last_segment == ""


@pytest.mark.parametrize("said", [b"", b"{", b"null", b"[1]", b"[{}]", b'[{"name": 1}]', b"[" * 50])
def test_what_is_no_answer_is_trouble(said: bytes) -> None:
    with pytest.raises(NeedsHuman, match="says what nobody understands"):
        stanzas(said)


def test_what_another_key_has_encrypted_is_said() -> None:
    why = {"code": 99, "message": "[CryptoError] unable to load info file\n\u0001\ufffd"}
    said = told(status={"code": 99, "message": "other"}, repo=[{"key": 1, "status": why}])
    raw = said.replace(b"\\u0001", b"\x01").replace(b"\\ufffd", b"\xff")
    (found,) = stanzas(raw).values()
    said = "archive auth-1a2b3c4d cannot be read: [CryptoError] unable to load info file"
    assert found.trouble == said


def test_a_time_before_the_first_backup_cannot_be_had() -> None:
    (found,) = stanzas(told(backup("a"))).values()
    require_reachable(ID, Known(found), Moment(AT + timedelta(seconds=1)))
    with pytest.raises(InputError, match="to a time before 2026-11-28 01:54:04 UTC"):
        require_reachable(ID, Known(found), Moment(AT))
    with pytest.raises(InputError, match="has no backup yet"):
        require_reachable(ID, Known(Stanza()), Moment(AT))


@pytest.mark.parametrize("folder", ["/var/lib/x", "/tmp/it's 100% odd", "/tmp/$(id) `id` \\"])
def test_what_archives_survives_any_path(folder: str) -> None:
    """PostgreSQL replaces %p and %%, and a shell reads the rest."""
    place = Path(folder)
    text = archiving("/usr/bin/pgbackrest", place / "pgbackrest.conf", "auth-1", place / "data")
    run = text.replace("%p", "pg_wal/0001").replace("%%", "%")
    assert shlex.split(run) == [
        "/usr/bin/pgbackrest",
        f"--config={folder}/pgbackrest.conf",
        "--stanza=auth-1",
        f"--pg1-path={folder}/data",
        "archive-push",
        "pg_wal/0001",
    ]


@pytest.mark.parametrize(
    ("output", "said"),
    [
        (["WARN: a", "ERROR: [055]: no such file", "       HINT: look"], "no such file"),
        (["2026-11-28 02:02:37.789 P00  ERROR: [075]: no set"], "no set"),
        (["odd"], "odd"),
        ([], "it says nothing"),
    ],
)
def test_of_what_it_prints_the_error_is_told(output: list[str], said: str) -> None:
    assert complaint(output) == said


def program(folder: Path, says: str) -> str:
    found = folder / "pgbackrest"
    found.write_text(f"#!/bin/sh\necho '{says}'\n")
    found.chmod(stat.S_IRWXU)
    return str(found)


@pytest.mark.parametrize(
    ("says", "postgresql", "lack"),
    [
        ("pgBackRest 2.45", 15, None),
        ("pgBackRest 2.45", 17, "pgBackRest 2.45 does not know PostgreSQL 17"),
        ("pgBackRest 2.54.2", 17, None),
        ("pgBackRest 3.0", 18, None),
        ("pgBackRest 2.40", 15, "pgBackRest 2.40 does not know PostgreSQL 15"),
        ("what?", 15, "pgBackRest of unknown version does not know PostgreSQL 15"),
        ("pgBackRest 2.58", 19, "pgBackRest 2.58 does not know PostgreSQL 19"),
    ],
)
def test_which_postgresql_it_knows_is_said(
    tmp_path: Path, says: str, postgresql: int, lack: str | None
) -> None:
    assert pgbackrest.lack(postgresql, program(tmp_path, says)) == lack


def test_where_it_is_not_installed_that_is_said(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(pgbackrest, "program", lambda: None)
    assert pgbackrest.lack(15) == "pgBackRest is not installed"
    assert pgbackrest.lack(15, str(tmp_path / "gone")) == "pgBackRest is not installed any more"
