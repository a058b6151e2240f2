"""How a run ended: what was done, what went wrong, what was refused or not seen."""

from __future__ import annotations

from dataclasses import dataclass, field

from pgherd.contract.observed import Observations
from pgherd.decide.actions import Action
from pgherd.decide.database import Refusal
from pgherd.decide.plan import Unseen
from pgherd.errors import InputError, NeedsHuman, PgherdError, TryLater


@dataclass(frozen=True, slots=True)
class Trouble:
    """What a database, an environment or an engine could not get past."""

    subject: str
    error: PgherdError


@dataclass(frozen=True, slots=True)
class Outcome:
    """All of it; `exit_code` is that of the gravest trouble. `seen` is the last look."""

    done: tuple[Action, ...] = ()
    troubles: tuple[Trouble, ...] = ()
    refused: tuple[Refusal, ...] = ()
    unknown: tuple[Unseen, ...] = ()
    seen: Observations = field(default_factory=dict)

    @property
    def is_complete(self) -> bool:
        """The world is as it was wanted."""
        return not self.errors

    @property
    def errors(self) -> tuple[PgherdError, ...]:
        """Everything that is not as wanted, the gravest first."""
        refusals = (InputError(f"{r.subject}: {r.message}", r.hint) for r in self.refused)
        unseen = (TryLater(f"{u.subject} is not seen: {u.reason}") for u in self.unknown)
        troubles = (t.error for t in self.troubles)
        return tuple(sorted((*troubles, *refusals, *unseen), key=_gravity))

    @property
    def exit_code(self) -> int:
        """0, or what the gravest error ends a command with."""
        return next((error.exit_code for error in self.errors), 0)


def _gravity(error: PgherdError) -> int:
    order = (NeedsHuman.exit_code, InputError.exit_code, TryLater.exit_code)
    return order.index(error.exit_code) if error.exit_code in order else -1
