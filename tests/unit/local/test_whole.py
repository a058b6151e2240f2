"""What is whole, what is half, and what a server that is gone has left."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest

from pgherd.engines.local import leftovers, postgres, processes, whole
from pgherd.engines.local.postgres import ClusterState


def instance(kept: Path, number: int, state: ClusterState | None = None) -> Path:
    """What an instance keeps, with a data directory in that state."""
    folder = kept / str(number)
    (folder / "data/global").mkdir(parents=True)
    if state is not None:
        content = struct.pack("=QIIi", 7_000_000_000, 1300, 202209061, state)
        (folder / "data/global/pg_control").write_bytes(content)
        (folder / "data/PG_VERSION").write_text("15\n")
    return folder


def test_a_database_is_made_once_an_instance_is_whole(tmp_path: Path) -> None:
    first = instance(tmp_path, 1, ClusterState.SHUT_DOWN)
    assert not whole.is_made(tmp_path)
    whole.mark(first)
    whole.mark(first)
    assert whole.is_whole(first)
    assert whole.is_made(tmp_path)


@pytest.mark.parametrize(
    ("states", "may_be"),
    [
        ([], False),
        ([None], False),
        ([ClusterState.SHUT_DOWN], True),
        ([None, ClusterState.IN_PRODUCTION], True),
    ],
)
def test_what_may_turn_out_to_be_made(
    tmp_path: Path, states: list[ClusterState | None], may_be: bool
) -> None:
    for number, state in enumerate(states, start=1):
        instance(tmp_path, number, state)
    assert whole.may_be_made(tmp_path) is may_be


def test_half_a_copy_goes_where_another_instance_is_whole(tmp_path: Path) -> None:
    whole.mark(instance(tmp_path, 1, ClusterState.IN_PRODUCTION))
    half = instance(tmp_path, 2, ClusterState.IN_PRODUCTION)
    assert "was half made" in whole.set_aside(half)
    assert not (half / "data").exists()
    assert not whole.set_aside(half), "nothing is there any more"


def test_what_was_whole_and_is_damaged_is_kept_beside(tmp_path: Path) -> None:
    whole.mark(instance(tmp_path, 1, ClusterState.IN_PRODUCTION))
    damaged = instance(tmp_path, 2)
    whole.mark(damaged)
    assert "pg_control cannot be read" in whole.set_aside(damaged)
    assert (damaged / "data.damaged/global").exists()
    assert not (damaged / "data").exists()
    assert not whole.is_whole(damaged)


def test_what_is_whole_or_alone_is_never_taken_away(tmp_path: Path) -> None:
    first, second = instance(tmp_path, 1), instance(tmp_path, 2)
    assert not whole.set_aside(first), "nothing else is whole: it may be all that there is"
    whole.mark(second)
    assert not whole.set_aside(first), "the other is damaged"
    whole.mark(instance(tmp_path, 3, ClusterState.IN_PRODUCTION))
    healthy = instance(tmp_path, 4, ClusterState.IN_PRODUCTION)
    whole.mark(healthy)
    assert not whole.set_aside(healthy)
    assert (healthy / "data").exists()


@pytest.mark.parametrize("version", ["", "x", None])
def test_a_data_directory_without_its_version_is_damaged(
    tmp_path: Path, version: str | None
) -> None:
    data = instance(tmp_path, 1, ClusterState.SHUT_DOWN) / "data"
    assert postgres.damage(data) is None
    (data / "PG_VERSION").unlink()
    if version is not None:
        (data / "PG_VERSION").write_text(version)
    assert postgres.damage(data) == data / "PG_VERSION"


# Leftovers


@pytest.fixture
def places(tmp_path: Path) -> tuple[Path, Path]:
    data, sockets = tmp_path / "data", tmp_path / "sockets"
    data.mkdir()
    sockets.mkdir()
    for path in (
        data / "postmaster.pid",
        sockets / ".s.PGSQL.5432",
        sockets / ".s.PGSQL.5432.lock",
        data / "PG_VERSION",
        sockets / "databases.ini",
    ):
        path.write_text(f"{os.getpid()}\n")
    return data, sockets


def names(*folders: Path) -> set[str]:
    return {path.name for folder in folders for path in folder.iterdir()}


def test_marks_of_a_server_that_is_gone_are_removed(places: tuple[Path, Path]) -> None:
    """Though the process that they name lives: it works elsewhere."""
    leftovers.forget_server(*places)
    assert names(*places) == {"PG_VERSION", "databases.ini"}


def test_a_process_there_that_is_no_server_does_not_count(
    places: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(places[0])
    leftovers.forget_server(*places)
    assert names(*places) == {"PG_VERSION", "databases.ini"}


def test_marks_of_a_server_that_runs_stay(
    places: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(places[0])
    monkeypatch.setattr(processes, "executable", lambda pid: "/usr/lib/postgresql/15/bin/postgres")
    before = names(*places)
    leftovers.forget_server(*places)
    assert names(*places) == before


LEAVES_A_CHILD = "import subprocess as s; print(s.Popen(['sleep', '60'], stdout=s.DEVNULL).pid)"


def test_only_what_a_program_left_behind_is_ended(tmp_path: Path) -> None:
    """A session that goes on is somebody's work."""
    begin = partial(subprocess.Popen, cwd=tmp_path, start_new_session=True)
    with begin(["sleep", "60"]) as worker:
        with begin([sys.executable, "-c", LEAVES_A_CHILD], stdout=subprocess.PIPE) as program:
            assert program.stdout
            left = int(program.stdout.read())
        leftovers.end_helpers(tmp_path)
        deadline = time.monotonic() + 10
        while left in processes.working_in(tmp_path) and time.monotonic() < deadline:
            time.sleep(0.01)
        assert processes.working_in(tmp_path) == [worker.pid]
        worker.kill()


def test_a_session_of_outside_of_the_container_is_no_leftover(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(os, "getsid", lambda pid: 0)
    assert not processes.is_left_alone(os.getpid())
