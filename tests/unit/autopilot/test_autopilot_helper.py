"""The helper's answers: to commands that say odd things or nothing, and where a file is refused."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import msgspec
import pytest

from pgherd.autopilot.helper import Helper
from pgherd.autopilot.pauses import write_pauses
from pgherd.autopilot.place import AutopilotPlace
from pgherd.autopilot.questions import Leave, Question, State, Status
from pgherd.autopilot.requests import Failure, LookUp, Pause
from pgherd.control.applied import Applied, History
from pgherd.errors import InputError
from pgherd.fleet.desired import Fleet


class PlayedHistory:
    """What was applied, which this code refuses."""

    is_empty = False

    def newest(self) -> Applied | None:
        if self.is_empty:
            return None
        return msgspec.convert(
            {
                "number": 1,
                "at": "2026-05-04T12:00:00Z",
                "by": "",
                "path": "",
                "text": "",
                "digest": "",
                "resolved": msgspec.Raw(b"null"),
            },
            Applied,
        )

    def fleet(self, applied: Applied) -> Fleet:
        raise InputError("line 3: no such key", "remove it")


@pytest.fixture
def helper(tmp_path: Path) -> Iterator[Helper]:
    place = AutopilotPlace("shop", tmp_path / "shop.applied", tmp_path / "shop.history")
    found = Helper(place, cast("History", PlayedHistory()), lambda _: None, -1)
    yield found
    found._selector.close()


class Listening:
    """A command has come to it."""

    def __init__(self, client: socket.socket) -> None:
        self._client = client

    def accept(self) -> tuple[socket.socket, str]:
        return self._client, ""


def answered(helper: Helper, said: bytes | Question) -> bytes:
    """What a command is answered that says this, and no more."""
    command, client = socket.socketpair()
    with command:
        command.sendall(said if isinstance(said, bytes) else msgspec.json.encode(said))
        command.shutdown(socket.SHUT_WR)
        helper._accept(cast("socket.socket", Listening(client)))
        return command.recv(65536)


@pytest.mark.parametrize("said", [b"", b"{", b"null", b"\xff", b'{"type": "Mend"}', b"[" * 60_000])
def test_a_command_that_says_nothing_sensible_gets_no_answer(helper: Helper, said: bytes) -> None:
    assert answered(helper, said) == b""
    assert not helper._is_leaving


def test_a_command_that_has_gone_ends_nothing(helper: Helper) -> None:
    command, client = socket.socketpair()
    command.sendall(msgspec.json.encode(Status()))
    command.close()
    helper._accept(cast("socket.socket", Listening(client)))
    assert not helper._is_leaving


def test_a_command_is_told_how_it_is(helper: Helper) -> None:
    state = msgspec.json.decode(answered(helper, Status()), type=State)
    assert (state.is_paused, state.controller, state.last_round_at) == (False, None, None)
    write_pauses(helper.place, [Pause("production", "x", 1.0)])
    assert not msgspec.json.decode(answered(helper, Status()), type=State).is_paused
    write_pauses(helper.place, [Pause("", "x", 1.0)])
    assert msgspec.json.decode(answered(helper, Status()), type=State).is_paused


def test_a_command_ends_it(helper: Helper) -> None:
    assert answered(helper, Leave())
    assert helper._is_leaving


def test_a_file_that_this_code_refuses_is_a_failure(helper: Helper) -> None:
    answer = helper._look_up(7, LookUp())
    assert answer.number == 7
    assert answer.failure == Failure("InputError", "line 3: no such key", "remove it")


def test_where_nothing_was_applied_it_is_for_later(
    helper: Helper, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(helper.history, "is_empty", True, raising=False)
    answer = helper._look_up(7, LookUp())
    assert answer.failure == Failure("TryLater", "nothing is applied yet", "")
