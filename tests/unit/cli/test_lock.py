"""One changing command at a time: who waits, who is told, and that death lets go."""

import fcntl
import json
import os
import threading
from pathlib import Path

import pytest
from shop import NOW, Shop

from pgherd.control.lock import FOR_EVER, fleet_lock
from pgherd.errors import InputError, TryLater


def nobody(holder: str) -> None:
    raise AssertionError(f"waits for {holder}")


def test_the_file_says_who_is_at_work_and_is_empty_afterwards(tmp_path: Path) -> None:
    path = tmp_path / "a/b/shop.lock"
    with fleet_lock(path, "up", seconds=FOR_EVER, on_wait=nobody, now=NOW):
        said = json.loads(path.read_text())
        assert said == {"pid": os.getpid(), "command": "up", "started": "12:03:04"}
    assert path.read_text() == ""
    assert path.parent.stat().st_mode & 0o777 == 0o755


def test_a_second_command_says_who_is_at_work(tmp_path: Path) -> None:
    path = tmp_path / "shop.lock"
    with (
        fleet_lock(path, "up", seconds=FOR_EVER, on_wait=nobody, now=NOW),
        pytest.raises(TryLater) as refused,
        fleet_lock(path, "down", seconds=0.0, on_wait=nobody, now=NOW),
    ):
        pass
    holder = f"pgherd up (process {os.getpid()}, started 12:03:04)"
    assert refused.value.message == f"{holder} is at work"


def test_or_waits_until_it_is_its_turn(tmp_path: Path) -> None:
    path = tmp_path / "shop.lock"
    waited: list[str] = []
    is_waiting = threading.Event()

    def wait(holder: str) -> None:
        waited.append(holder)
        is_waiting.set()

    def second() -> None:
        with fleet_lock(path, "down", seconds=FOR_EVER, on_wait=wait, now=NOW):
            waited.append("done")

    thread = threading.Thread(target=second)
    with fleet_lock(path, "up", seconds=FOR_EVER, on_wait=nobody, now=NOW):
        thread.start()
        assert is_waiting.wait(10)
        assert waited == [f"pgherd up (process {os.getpid()}, started 12:03:04)"]
    thread.join(10)
    assert waited[-1] == "done"


def test_what_a_dead_holder_left_is_no_lock(tmp_path: Path) -> None:
    path = tmp_path / "shop.lock"
    path.write_text('{"pid": 1, "command": "up", "started": "00:00:00"}')
    with fleet_lock(path, "up", seconds=0.0, on_wait=nobody, now=NOW):
        pass


def test_a_folder_that_cannot_be_made_is_an_input_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(InputError, match="cannot be opened"),
        fleet_lock(tmp_path / "file/shop.lock", "up", seconds=FOR_EVER, on_wait=nobody, now=NOW),
    ):
        pass


@pytest.mark.parametrize(
    "command",
    [
        ("up",),
        ("down",),
        ("destroy",),
        ("switchover", "production/auth"),
        ("failover", "production/auth"),
        ("certificates", "--rotate"),
    ],
)
def test_commands_that_change_something_take_it(running: Shop, command: tuple[str, ...]) -> None:
    with running.lock.open("r+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        complaint = running.err(*command, "--no-wait", exit_code=3)
    assert "error: another pgherd command is at work" in complaint


@pytest.mark.parametrize(
    "command",
    [
        ("status",),
        ("show",),
        ("plan",),
        ("url", "production/auth"),
        ("connect", "production/auth"),
        ("logs", "production/auth"),
        ("certificates",),
        ("doctor",),
    ],
)
def test_commands_that_only_look_never_wait(running: Shop, command: tuple[str, ...]) -> None:
    with running.lock.open("r+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        running.out(*command)
