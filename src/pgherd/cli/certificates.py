"""`pgherd certificates`: every certificate in use, and renewing all of them at once."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import click

from pgherd.cli.fleet_option import fleet_option
from pgherd.cli.output import say, say_json
from pgherd.cli.surroundings import Surroundings, pass_surroundings, wait_option
from pgherd.cli.tables import print_table
from pgherd.cli.words import number
from pgherd.control.signals import run
from pgherd.engine import CertificateInfo
from pgherd.fleet.desired import Fleet
from pgherd.fleet.summary import Table

_NOW = "now"


@click.command()
@click.argument("environment", required=False)
@click.option("--rotate", is_flag=True, help="Make all of them anew, with no connection dropped.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@wait_option
@fleet_option
@pass_surroundings
def certificates(
    surroundings: Surroundings,
    fleet: Fleet,
    *,
    environment: str | None,
    rotate: bool,
    as_json: bool,
    wait: bool,
) -> None:
    """List or renew certificates.

    Of the fleet or of one environment, those that end first on top.
    """
    chosen = fleet.environments if environment is None else (fleet.environment(environment),)
    names = [e.name for e in chosen]
    if rotate:
        with surroundings.lock(fleet, "certificates --rotate", wait=wait):
            _rotate(surroundings, fleet, names)
        return
    found = asyncio.run(_list(surroundings, fleet, names))
    now = surroundings.now()
    if as_json:
        say_json({"certificates": [_json(c, now) for c in found]})
    else:
        print_table(_table(found, now), lambda cell: "yellow" if cell == _NOW else "")


def _rotate(surroundings: Surroundings, fleet: Fleet, names: Sequence[str]) -> None:
    engines = surroundings.open_engines(fleet)
    for name in names:
        engine = engines[fleet.environment(name).engine]
        count = run(engine.ensure_certificates(name, renew=True))
        say(f"{name}: {number(count, 'certificate')} made anew")


async def _list(
    surroundings: Surroundings, fleet: Fleet, names: Sequence[str]
) -> list[CertificateInfo]:
    engines = surroundings.open_engines(fleet).values()
    found = [c for engine in engines for c in await engine.certificates()]
    mine = (c for c in found if c.environment in names)
    return sorted(mine, key=lambda c: (c.not_after, str(c.path)))


def _table(found: Sequence[CertificateInfo], now: datetime) -> Table:
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


def _left(left: timedelta) -> str:
    """As in 29 days, 5 h, 12 min; `now` for what has passed."""
    minutes = int(left.total_seconds() // 60)
    if minutes < 1:
        return _NOW
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
    }
