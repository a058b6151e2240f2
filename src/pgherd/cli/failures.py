"""How a command fails: `error: MESSAGE`, `hint: ...` on standard error, and its exit code."""

from __future__ import annotations

from collections.abc import Sequence
from typing import IO, Any

import click

from pgherd.cli.output import say
from pgherd.errors import PgherdError
from pgherd.fleet.problem import ProblemReport


class Failed(click.ClickException):
    """One or several errors, the gravest first; its exit code is the command's."""

    def __init__(self, errors: Sequence[PgherdError]) -> None:
        super().__init__(errors[0].message)
        self.errors = errors
        self.exit_code = errors[0].exit_code  # type: ignore[misc]  # each error has its own

    def show(self, file: IO[Any] | None = None) -> None:
        """Every error with its way out."""
        for error in self.errors:
            for message in messages(error):
                print_error(message)
            _print_hint(error.hint)


def print_error(message: str, hint: str = "") -> None:
    """One error and its way out, a line each, on standard error."""
    say(message, lead="error: ", fg="red", bold=True, err=True)
    _print_hint(hint)


def _print_hint(hint: str) -> None:
    if hint:
        say(hint, lead="hint: ", fg="cyan", err=True)


def messages(error: PgherdError) -> list[str]:
    """What it says: of a report each problem by itself, with its own place."""
    if isinstance(error, ProblemReport):
        return [str(problem) for problem in error.problems]
    return [error.message]


def errors_in(error: BaseException) -> list[PgherdError]:
    """The errors of ours that a failure consists of; none where any other is among them."""
    if isinstance(error, PgherdError):
        return [error]
    if not isinstance(error, BaseExceptionGroup):
        return []
    parts = [errors_in(part) for part in error.exceptions]
    return [e for part in parts for e in part] if all(parts) else []
