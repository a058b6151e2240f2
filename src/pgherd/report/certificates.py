"""Certificates in use, as people and as programs read of them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from pgherd.contract.certificates import CertificateInfo
from pgherd.fleet.summary import Table
from pgherd.units import number

NOW = "now"


def certificates_table(found: Sequence[CertificateInfo], now: datetime) -> Table:
    """A row for each, with how long it is good for."""
    rows = tuple(
        (
            str(c.database or c.environment),
            c.subject,
            c.purpose,
            _left(c.not_after - now),
            "" if c.due_at is None else _left(c.due_at - now),
        )
        for c in found
    )
    header = ("Of", "Subject", "Purpose", "Ends in", "Due in")
    return Table(number(len(found), "certificate"), header, rows)


def certificates_json(found: Sequence[CertificateInfo], now: datetime) -> dict[str, Any]:
    """As programs read of them. Keys are only ever added."""
    return {"certificates": [_json(c, now) for c in found]}


def _left(left: timedelta) -> str:
    """As in 29 days, 5 h, 12 min; `now` for what has passed."""
    minutes = int(left.total_seconds() // 60)
    if minutes < 1:
        return NOW
    if minutes < 60:
        return f"{minutes} min"
    return f"{minutes // 60} h" if minutes < 2 * 24 * 60 else f"{minutes // (24 * 60)} days"


def _json(found: CertificateInfo, now: datetime) -> dict[str, Any]:
    return {
        "environment": found.environment,
        "service": found.database and found.database.service,
        "subject": found.subject,
        "purpose": found.purpose,
        "not_after": found.not_after.isoformat(),
        "due_at": found.due_at and found.due_at.isoformat(),
        "is_due": found.due_at is not None and found.due_at <= now,
        "path": str(found.path),
        "is_authority": found.is_authority,
    }
