"""What is asked of `systemctl`, with a program in its place that says how it was called."""

from __future__ import annotations

from pathlib import Path

import pytest

from pgherd.autopilot.systemd import Systemctl
from pgherd.errors import NeedsHuman


def systemctl(folder: Path, script: str, *, is_users: bool = False) -> Systemctl:
    program = folder / "systemctl"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    return Systemctl(is_users=is_users, program=str(program), booted=folder)


def test_that_of_a_user_is_asked_where_that_is_wanted(tmp_path: Path) -> None:
    echo = 'echo " $* "'
    assert systemctl(tmp_path, echo).word("is-active", "a.service") == "is-active a.service"
    users = systemctl(tmp_path, echo, is_users=True)
    assert users.word("is-active", "a.service") == "--user is-active a.service"


def test_a_word_counts_whatever_the_exit_code(tmp_path: Path) -> None:
    asked = systemctl(tmp_path, "echo disabled; exit 1")
    assert asked.word("is-enabled", "a.service") == "disabled"


@pytest.mark.parametrize(
    ("said", "version"), [("systemd 255 (255.4-1)", 255), ("systemd 252.3", 252), ("?", None)]
)
def test_its_version_is_read(tmp_path: Path, said: str, version: int | None) -> None:
    assert systemctl(tmp_path, f"echo '{said}'; echo '+PAM'").version() == version


def test_a_failure_is_told_with_its_reason(tmp_path: Path) -> None:
    failing = systemctl(tmp_path, "echo first >&2; echo 'Access denied' >&2; exit 4")
    with pytest.raises(NeedsHuman, match=r"systemctl enable a\.service` failed: Access denied"):
        failing.do("enable", "a.service")
    with pytest.raises(NeedsHuman, match="exit code 3"):
        systemctl(tmp_path, "exit 3").do("enable", "a.service")
    systemctl(tmp_path, "exit 0").do("enable", "a.service")


def test_it_is_there_where_it_has_started_the_machine(tmp_path: Path) -> None:
    there = systemctl(tmp_path, "exit 0")
    assert there.is_there()
    program = str(tmp_path / "systemctl")
    assert not Systemctl(is_users=False, program=program, booted=tmp_path / "none").is_there()
    assert not Systemctl(is_users=False, program="/none", booted=tmp_path).is_there()
    assert Systemctl(is_users=False, program="/none").version() is None
