"""How a command fails: `error: MESSAGE`, `hint: ...` on standard error, and its exit code."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import IO, Any

import click

from pgherd.cli.output import say
from pgherd.control.outcome import Outcome, Trouble
from pgherd.decide.database import Refusal
from pgherd.errors import InputError, PgherdError
from pgherd.fleet.problem import ProblemReport
from pgherd.report.words import few


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


def ensure_complete(outcome: Outcome) -> None:
    """Raise Failed where a run did not reach its end."""
    if outcome.is_complete:
        return
    plain = Outcome(troubles=tuple(merged(outcome.troubles)), unknown=outcome.unknown)
    errors = [*plain.errors, *merged_refusals(outcome.refused)]
    raise Failed(sorted(errors, key=lambda e: e.exit_code != outcome.exit_code))


def merged_refusals(refused: Iterable[Refusal]) -> list[InputError]:
    """One error for all that the same flag would allow."""
    by_flag: dict[tuple[str, str], list[Refusal]] = {}
    for refusal in refused:
        key = (refusal.message, refusal.hint)
        by_flag.setdefault(key, []).append(refusal)
    return [
        InputError(f"{few([r.subject for r in group])}: {message}", hint)
        for (message, hint), group in by_flag.items()
    ]


def merged(troubles: Iterable[Trouble]) -> list[Trouble]:
    """One trouble for all subjects that have the same, each named in its message."""
    by_error: dict[tuple[type[PgherdError], str, str], list[str]] = {}
    for trouble in troubles:
        error = trouble.error
        by_error.setdefault((type(error), error.message, error.hint), []).append(trouble.subject)
    return [
        Trouble(subjects[0], kind(_with_subjects(subjects, message), hint))
        for (kind, message, hint), subjects in by_error.items()
    ]


def _with_subjects(subjects: Sequence[str], message: str) -> str:
    if len(subjects) == 1 and subjects[0] in message:
        return message
    return f"{few(subjects)}: {message}"
