"""Proofs that backups bring a database back: an ability that an engine may lack."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from pgherd.fleet.desired import DatabaseId


@dataclass(frozen=True, slots=True)
class Check:
    """Something that was looked at in what was restored; `detail` is what was found, or missing."""

    name: str
    ok: bool
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Proof:
    """A database was restored to a place of its own, looked at, and removed again, or was not.

    `at` is when that began, aware. After `rto_seconds` the copy took connections; all that was
    committed up to `rpo_seconds` before `at` is in it, that is up to `restored_to`, which is the
    time of its last commit where nothing more is known. Each of them is None where it is unknown.
    """

    at: datetime
    ok: bool
    rto_seconds: float | None = None
    rpo_seconds: float | None = None
    restored_to: datetime | None = None
    checks: tuple[Check, ...] = ()

    @property
    def failed(self) -> Check | None:
        """The first of its checks that did."""
        return next((check for check in self.checks if not check.ok), None)


@dataclass(frozen=True, slots=True)
class Hire:
    """What a proof makes that is paid for while it lasts: an instance, for about so long.

    `storage_bytes` is None where nobody knows how much the copy takes.
    """

    ocpus: int
    seconds: float
    storage_bytes: int | None = None


class Proofs(Protocol):
    """What proves backups of databases. InputError for a database unknown."""

    async def hire(self, id: DatabaseId) -> Hire | None:
        """What proving it costs; None for nothing. What costs is begun by a person alone.

        InputError, as from `prove`, where it can be told beforehand that it cannot be proven.
        """
        ...

    async def known(self, id: DatabaseId) -> tuple[Proof, ...]:
        """Those of its incarnation of now, the newest first."""
        ...

    async def prove(self, id: DatabaseId) -> Proof:
        """One more, taken now. A copy that is no good is a proof that is not `ok`, and no error.

        Busy where another one is under way; InputError where it has no backup.
        """
        ...
