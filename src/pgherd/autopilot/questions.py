"""What commands ask the helper, over a socket that only its own user can reach."""

from __future__ import annotations

import socket
from typing import TypeAlias

import msgspec
from msgspec import Struct

from pgherd.autopilot.place import AutopilotPlace

ANSWER_SECONDS = 3.0
LONGEST_ANSWER = 2**20


class Status(Struct, frozen=True, tag=True):
    """How is it?"""


class Leave(Struct, frozen=True, tag=True):
    """End."""


Question: TypeAlias = Status | Leave


class State(Struct, frozen=True):
    """The helper `pid` of that `version`, its controller's process, and the end of its last round.

    `last_round_at` is in seconds since 1970. `cpu` is how busy databases were in each of the last
    minutes, in percent, the oldest first. `unprotected` says why each database could not be
    restored as it should; empty where it could. `history` says why none is kept; empty where it is.
    """

    pid: int
    version: str
    is_dry: bool
    is_paused: bool
    controller: int | None
    last_round_at: float | None
    alerts: int
    cpu: dict[str, list[int | None]] = {}
    unprotected: dict[str, str] = {}
    history: str = ""


def ask(place: AutopilotPlace, question: Question) -> State | None:
    """Its answer; None where none runs, or it does not answer in time."""
    try:
        with socket.socket(socket.AF_UNIX) as client, place.socket_name() as name:
            client.settimeout(ANSWER_SECONDS)
            client.connect(name)
            client.sendall(msgspec.json.encode(question))
            client.shutdown(socket.SHUT_WR)
            answer = b""
            while len(answer) < LONGEST_ANSWER and (more := client.recv(65536)):
                answer += more
            return msgspec.json.decode(answer, type=State)
    except (OSError, msgspec.MsgspecError, ValueError):
        return None
