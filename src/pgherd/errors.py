"""The whole error tree. It branches on what the reader can do.

PgherdError
|-- InputError      fix the fleet file or the command; never retried    exit 2
|-- TryLater        retried with backoff; late is an alert              exit 3
|   `-- Busy        the same, and nothing is wrong: somebody is at work
`-- NeedsHuman      parked, and an alert raised                         exit 4
    `-- Impaired    the same, and what is in the environment goes on

A message is one line, lower case, subject first; the hint is an instruction.
Errors of libraries and programs are translated in the file that talks to them.
"""

from __future__ import annotations

from typing import ClassVar


class PgherdError(Exception):
    """What went wrong (`message`) and what to do about it (`hint`, may be empty)."""

    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return self.message


class InputError(PgherdError):
    """The fleet file or the command is wrong; trying again changes nothing."""

    exit_code = 2


class TryLater(PgherdError):
    """The world is not ready; the same call may succeed later."""

    exit_code = 3


class Busy(TryLater):
    """Somebody else is at work on it, which is no failure."""


class NeedsHuman(PgherdError):
    """pgherd will not go on by itself: a person has to look."""

    exit_code = 4


class Impaired(NeedsHuman):
    """Something of an environment is wrong that its databases can do without."""
