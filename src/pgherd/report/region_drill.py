"""What a drill of a region has found, as people and as programs read of it. Times are UTC."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC
from typing import Any

from pgherd.control.arrivals import Arrived
from pgherd.control.region_drill import RegionDrill
from pgherd.fleet.summary import Table
from pgherd.report.backups import moment_text
from pgherd.report.proofs import FAILED, OK, rounded
from pgherd.report.words import duration
from pgherd.units import number


def region_table(found: RegionDrill) -> Table:
    """A row for each database."""
    title = f"{found.environment}: from {found.region}, {moment_text(found.at)}"
    return arrivals_table(title, found.arrived)


def arrivals_table(title: str, arrived: Sequence[Arrived]) -> Table:
    """The same of any that come up."""
    return Table(title, ("Database", "Result", "Found"), tuple(map(_row, arrived)))


def _row(one: Arrived) -> tuple[str, ...]:
    if one.seconds is None:
        return (str(one.database), FAILED, one.trouble)
    until = f", as of {moment_text(one.copied_until)}" if one.copied_until else ""
    return (str(one.database), OK, f"serves after {duration(one.seconds)}{until}")


def region_text(found: RegionDrill) -> str:
    """One line: how soon all was back, and how much of the last was missing."""
    if found.rto_seconds is None:
        failed = sum(one.seconds is None for one in found.arrived)
        return f"{number(failed, 'database')} of {len(found.arrived)} did not come up"
    words = [f"all of {found.environment} served after {duration(found.rto_seconds)} (RTO)"]
    if found.rpo_seconds is not None:
        words.append(f"the copy was {duration(found.rpo_seconds)} behind (RPO)")
    return ", ".join(words)


def region_json(found: RegionDrill) -> dict[str, Any]:
    """As programs read of it. Keys are only ever added."""
    return {
        "environment": found.environment,
        "region": found.region,
        "at": found.at.isoformat(),
        "ok": found.ok,
        "rto_seconds": rounded(found.rto_seconds),
        "rpo_seconds": rounded(found.rpo_seconds),
        "databases": [
            {
                "database": str(one.database),
                "ok": one.seconds is not None,
                "seconds": rounded(one.seconds),
                "copied_until": one.copied_until and one.copied_until.astimezone(UTC).isoformat(),
                "trouble": one.trouble,
            }
            for one in found.arrived
        ],
    }
