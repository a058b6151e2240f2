"""The certificates in use."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

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
