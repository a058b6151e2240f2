"""The file of pauses, and the calls of commands that write it."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from pgherd.autopilot.client import Autopilot
from pgherd.autopilot.pauses import read_pauses, write_pauses
from pgherd.autopilot.place import AutopilotPlace
from pgherd.autopilot.requests import Pause
from pgherd.errors import InputError

AUTH = Pause("production/auth", "holidays", 1.0, None, "alice")
ALL = Pause("", "an audit", 2.0)


@pytest.fixture
def place(tmp_path: Path) -> AutopilotPlace:
    return AutopilotPlace("shop", tmp_path / "shop.applied", tmp_path / "shop.history")


def test_without_a_file_nothing_is_paused(place: AutopilotPlace) -> None:
    assert read_pauses(place) == ()


def test_what_was_written_holds(place: AutopilotPlace) -> None:
    write_pauses(place, iter((AUTH, ALL)))
    assert read_pauses(place) == (AUTH, ALL)
    assert place.pauses.stat().st_mode & 0o777 == 0o600
    write_pauses(place, ())
    assert read_pauses(place) == ()


def test_those_that_have_ended_are_gone(place: AutopilotPlace) -> None:
    later = Pause("staging", "x", 1.0, time.time() + 3600)
    write_pauses(place, (Pause("production", "x", 1.0, time.time() - 1), later))
    assert read_pauses(place) == (later,)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"null",
        b"{}",
        b"[1]",
        b'[{"subject": 7, "reason": "", "since": 1}]',
        b'[{"subject": "staging"}]',
        b'[{"subject": "staging", "reason": "", "since": 1, "until": "never"}]',
        b'[{"subject": "\xff", "reason": "", "since": 1}]',
        b"[" * 100_000,
        b'[{"subject": "staging", "reason": "", "since": 1, "more": ' + b"[" * 100_000,
    ],
)
def test_a_file_that_is_damaged_pauses_everything(place: AutopilotPlace, content: bytes) -> None:
    place.applied.mkdir()
    place.pauses.write_bytes(content)
    (pause,) = read_pauses(place)
    assert (pause.subject, pause.until) == ("", None)
    assert "is damaged" in pause.reason


def test_one_that_cannot_be_read_pauses_everything(place: AutopilotPlace) -> None:
    place.pauses.mkdir(parents=True)
    (pause,) = read_pauses(place)
    assert pause.subject == ""
    assert "cannot be read" in pause.reason


def test_a_folder_that_others_may_change_is_refused(place: AutopilotPlace) -> None:
    place.applied.mkdir()
    place.applied.chmod(0o777)
    with pytest.raises(InputError, match="may be changed by others"):
        write_pauses(place, (AUTH,))
    assert not place.pauses.exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="gives a folder away")
def test_a_folder_of_another_user_is_refused(place: AutopilotPlace) -> None:
    place.applied.mkdir()
    os.chown(place.applied, 65534, 65534)
    with pytest.raises(InputError, match="belongs to"):
        write_pauses(place, (AUTH,))
    assert not place.pauses.exists()


def test_a_link_to_where_others_may_write_is_refused(place: AutopilotPlace, tmp_path: Path) -> None:
    open_folder = tmp_path / "open"
    open_folder.mkdir()
    open_folder.chmod(0o777)
    place.applied.symlink_to(open_folder)
    with pytest.raises(InputError):
        write_pauses(place, (AUTH,))
    assert list(open_folder.iterdir()) == []


def test_a_later_pause_replaces_the_one_before_of_the_same(place: AutopilotPlace) -> None:
    autopilot = Autopilot(place)
    autopilot.pause(AUTH)
    autopilot.pause(ALL)
    again = Pause(AUTH.subject, "longer holidays", 3.0)
    autopilot.pause(again)
    assert autopilot.pauses() == (ALL, again)


def test_resume_goes_on_with_one_with_what_is_in_it_or_with_all(place: AutopilotPlace) -> None:
    autopilot = Autopilot(place)
    for subject in ("production", "production/auth", "production2", "staging/auth", ""):
        autopilot.pause(Pause(subject, "x", 1.0))
    assert autopilot.resume("staging/auth") is True
    assert autopilot.resume("staging/auth") is False
    assert autopilot.resume("production") is True
    assert [p.subject for p in autopilot.pauses()] == ["production2", ""]
    assert autopilot.resume("") is True
    assert autopilot.pauses() == ()
    assert autopilot.resume("") is False


def test_resume_mends_a_file_that_is_damaged(place: AutopilotPlace) -> None:
    place.applied.mkdir()
    place.pauses.write_bytes(b"[[")
    autopilot = Autopilot(place)
    assert autopilot.resume("production") is False
    assert [p.subject for p in autopilot.pauses()] == [""]
    assert autopilot.resume("") is True
    assert autopilot.pauses() == ()
