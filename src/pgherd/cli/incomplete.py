"""How a run that did not reach its end fails: what went wrong, and what was refused."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from pgherd.cli.failures import Failed
from pgherd.control.outcome import Outcome, Trouble
from pgherd.decide.database import Refusal
from pgherd.errors import InputError, PgherdError
from pgherd.report.words import few


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
