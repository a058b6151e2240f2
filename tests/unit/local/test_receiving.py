"""WAL that was received: what is kept of it, and what a restore takes."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from pgherd.engines.local.backup import streamed
from pgherd.engines.local.backup.receiving import Receiver, Segment, Stream, done, removable


def name(position: int, timeline: int = 1, *, partial: bool = False) -> str:
    return f"{timeline:08X}{position:016X}" + (".partial" if partial else "")


def test_names_that_are_no_wal_are_none() -> None:
    assert Segment.of(name(5, 2, partial=True)) == Segment(5, 2, is_partial=True)
    for other in ("00000002.history", "x", f"{name(5)}.gz", f"../{name(5)}", name(5).lower() + "f"):
        assert Segment.of(other) is None


@pytest.mark.parametrize(
    ("kept", "archived", "goes"),
    [
        ([name(5), name(6)], [], []),
        ([name(5), name(6)], [name(5)], [name(5)]),
        ([name(4)], [name(5)], [name(4)]),  # from before the archive began
        ([name(5)], [name(4), name(6)], []),  # it is missing there
        ([name(5, partial=True)], [name(4)], []),
        ([name(5, partial=True)], [name(5)], [name(5, partial=True)]),
        ([name(5, partial=True), name(6)], [name(4), name(7, 2)], [name(5, partial=True), name(6)]),
        ([name(7)], [name(4), name(7, 2)], []),  # what a failover has left behind, and may count
        (["00000002.history"], [name(5)], []),
    ],
)
def test_what_no_restore_needs_goes(kept: list[str], archived: list[str], goes: list[str]) -> None:
    assert removable(kept, archived) == goes


def test_a_receiver_keeps_the_newest_that_is_full_to_go_on_from() -> None:
    names = [name(5), name(7), name(6), name(8, partial=True), "00000002.history"]
    assert done(names) == [name(5), name(6)]
    assert done([name(8), name(8, 2)]) == [name(8)]
    assert done([]) == []


@pytest.fixture
def receiver(tmp_path: Path) -> Receiver:
    stream = Stream("auth-1", "/bin/false", "", "slot", 2**30)
    return Receiver(tmp_path / "auth-1", tmp_path / "archives", stream)


def written(path: Path, text: str) -> None:
    """As pg_receivewal does: another file, and then a name."""
    new = path.with_name("new")
    new.write_text(text)
    new.replace(path)


def test_what_came_first_stays_whatever_is_sent_later(receiver: Receiver, tmp_path: Path) -> None:
    wal, kept = tmp_path / "auth-1/wal", tmp_path / "auth-1/kept"
    written(wal / name(5), "true")
    receiver._keep()
    written(wal / name(5), "false")
    receiver._keep()
    assert (kept / name(5)).read_text() == "true"
    assert streamed.chosen([name(5)], [name(5)]) == {name(5): "kept"}


def test_after_a_gap_nothing_is_lost_and_nothing_is_in_the_way(
    receiver: Receiver, tmp_path: Path
) -> None:
    wal, kept = tmp_path / "auth-1/wal", tmp_path / "auth-1/kept"
    for one in (name(5), name(6, partial=True), "00000002.history"):
        written(wal / one, one)
    receiver._set_aside("FATAL: requested WAL segment has already been removed\x1b[2J")
    assert not list(wal.iterdir())
    assert {p.name for p in kept.iterdir()} == {name(5), name(6, partial=True), "00000002.history"}


def test_what_is_archived_goes_and_what_has_another_name_there_stays(
    receiver: Receiver, tmp_path: Path
) -> None:
    kept, there = tmp_path / "auth-1/kept", tmp_path / "archives/auth-1/15-1/0000000100000000"
    there.mkdir(parents=True)
    for one in (5, 6):
        (kept / name(one)).write_text("x")
    (there / f"{name(5)}-{'a' * 40}.lz4").write_text("x")
    (there / f"{name(6)}-{'a' * 40}.lz4.pgbackrest.tmp").write_text("x")
    receiver._forget()
    assert [p.name for p in kept.iterdir()] == [name(6)]


def test_of_two_names_of_a_segment_one_is_counted(receiver: Receiver, tmp_path: Path) -> None:
    written(tmp_path / "auth-1/wal" / name(5), "x" * 8192)
    before = receiver._bytes()
    receiver._keep()
    assert receiver._bytes() == before > 0


def test_what_is_handed_out_is_wal_and_no_link(tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    for folder in (source / "kept", source / "wal", target):
        folder.mkdir(parents=True)
    (tmp_path / "secret").write_text("secret")
    (source / "kept" / name(5)).write_text("kept")
    (source / "wal" / name(5)).write_text("wal")
    (source / "wal" / name(6, partial=True)).write_text("partial")
    (source / "wal" / "receiver.log").write_text("no")
    (source / "wal" / name(7)).symlink_to(tmp_path / "secret")
    done = subprocess.run(
        [sys.executable, "-m", streamed.MODULE, str(source)],
        capture_output=True,
        check=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    (tmp_path / "tar").write_bytes(done.stdout)
    with tarfile.open(tmp_path / "tar") as tar:
        found = {m.name: (f := tar.extractfile(m)) and f.read() for m in tar.getmembers()}
    assert found == {name(5): b"kept", name(6, partial=True): b"partial"}


@pytest.mark.parametrize(
    ("archived", "asked", "code", "content"),
    [
        (0, name(5), 0, "archived"),
        (1, name(5), 0, "full"),
        (1, name(6), 0, "partial"),
        (1, name(7), 1, None),
        (1, "00000002.history", 1, None),
        (42, name(5), 126, None),  # trouble is no end of WAL
    ],
)
def test_what_is_archived_comes_first_and_trouble_ends_a_recovery(
    tmp_path: Path, archived: int, asked: str, code: int, content: str | None
) -> None:
    folder = tmp_path / "a 'folder'"
    folder.mkdir()
    (folder / name(5)).write_text("full")
    (folder / name(6, partial=True)).write_text("partial")
    get = tmp_path / "get"
    get.write_text(f'#!/bin/sh\n[ {archived} -eq 0 ] && printf archived >"$2"\nexit {archived}\n')
    script = tmp_path / "script"
    script.write_text(streamed.fetching(["/bin/sh", str(get)], folder))
    target = tmp_path / "RECOVERYXLOG"
    found = subprocess.run(["/bin/sh", script, asked, target], check=False, capture_output=True)
    assert found.returncode == code
    assert (target.read_text() if target.exists() else None) == content
