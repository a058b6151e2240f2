"""The certificates in use: an ability that an engine may lack."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol

from pgherd.fleet.desired import DatabaseId


@dataclass(frozen=True, slots=True)
class CertificateInfo:
    """One certificate in use; times are aware. `database` is None for an environment's own.

    From `due_at` on it is renewed, None where nothing ever renews it.
    `is_authority`: it is one that the others are checked against.
    """

    environment: str
    database: DatabaseId | None
    subject: str
    purpose: str
    not_after: datetime
    path: Path
    due_at: datetime | None = None
    is_authority: bool = False


class Certificates(Protocol):
    """What makes the certificates of servers and clients, and renews them in time."""

    async def in_use(self) -> Sequence[CertificateInfo]:
        """Every certificate in use, and the authorities that are trusted."""
        ...

    async def ensure_valid(
        self, environment: str, *, renew: bool = False, authorities: bool = False
    ) -> int:
        """All certificates of an environment are valid and served; how many were made new.

        With `renew`, all of them are made anew, with no connection dropped; with `authorities`
        by new authorities too, and soon nobody trusts the old ones. InputError for an environment
        that is not there, and where authorities cannot be made anew.
        """
        ...
