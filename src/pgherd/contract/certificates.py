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
    """

    environment: str
    database: DatabaseId | None
    subject: str
    purpose: str
    not_after: datetime
    path: Path
    due_at: datetime | None = None


class Certificates(Protocol):
    """What makes the certificates of servers and clients, and renews them in time."""

    async def in_use(self) -> Sequence[CertificateInfo]:
        """Every certificate in use."""
        ...

    async def ensure_valid(self, environment: str, *, renew: bool = False) -> int:
        """All certificates of an environment are valid and served; how many were made new.

        With `renew`, all of them are made anew, with no connection dropped. InputError for an
        environment that is not there.
        """
        ...
