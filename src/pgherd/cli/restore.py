"""`pgherd restore`: a database as it was at a time."""

from __future__ import annotations

from datetime import UTC, datetime

import click

from pgherd.cli.fleet_option import command_line, fleet_option
from pgherd.cli.output import ask, say
from pgherd.cli.surroundings import Surroundings, pass_surroundings, wait_option
from pgherd.control.clock import Patience
from pgherd.control.restore import restore as restore_database
from pgherd.control.restore import restored
from pgherd.control.signals import run
from pgherd.errors import InputError
from pgherd.fleet.desired import DatabaseId, Fleet
from pgherd.report.backups import moment_text
from pgherd.report.words import duration
from pgherd.units import quoted


@click.command()
@click.argument("database")
@click.option(
    "--to",
    "moment",
    metavar="TIME",
    required=True,
    help="As in 2026-11-23T10:00:00; without a zone, UTC.",
)
@click.option("--as", "name", metavar="NAME", help="Make a new database of that name beside it.")
@click.option(
    "--from-region", "region", metavar="REGION", help="From the copies there, to a new one there."
)
@click.option(
    "--yes-overwrite",
    metavar="DATABASE",
    help="The database, to restore it in its own place without asking.",
)
@wait_option
@fleet_option
@pass_surroundings
def restore(
    surroundings: Surroundings,
    fleet: Fleet,
    *,
    database: str,
    moment: str,
    name: str | None,
    region: str | None,
    yes_overwrite: str | None,
    wait: bool,
) -> None:
    """Bring a database back as it was at a time.

    With --as, to a new database with the same profile; the old one stays as it is. Without,
    in its own place: what was written since is lost, so the name has to be typed, or given with
    --yes-overwrite.
    """
    source = fleet.id(database)
    target = restored(fleet, source, name)
    at = parse_moment(moment, surroundings.now())
    engines = surroundings.open_engines(fleet)
    if target.id == source:
        _ensure_confirmed(surroundings, source, at, yes_overwrite)
    clock = surroundings.clock()
    with surroundings.lock(fleet, "restore", wait=wait):
        began = clock.now()
        run(
            restore_database(
                engines, source, target, at, region=region, clock=clock, patience=Patience()
            )
        )
    took = duration(clock.now() - began)
    say(f"{target.id}: as {source} was at {moment_text(at)} UTC ({took})")
    if target.id not in {d.id for d in fleet.databases}:
        copy = str(target.id)
        say(
            f"it is not in the fleet file: write {target.id.service} there to keep it, or delete "
            f"it with {command_line('destroy', copy, flags=('--yes-destroy', copy))}"
        )


def parse_moment(text: str, now: datetime) -> datetime:
    """A time in the past, aware. InputError for anything else."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise InputError(
            f"{quoted(text)} is not a time", "write one as in 2026-11-23T10:00:00"
        ) from None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    if moment > now:
        raise InputError(
            f"{moment_text(moment.astimezone(UTC))} UTC is in the future",
            f"write a time before {moment_text(now.astimezone(UTC))} UTC",
        )
    return moment.astimezone(UTC)


def _ensure_confirmed(
    surroundings: Surroundings, id: DatabaseId, moment: datetime, given: str | None
) -> None:
    """The user has named what is overwritten: with the flag, or by typing it now."""
    if given == str(id):
        return
    if given is not None:
        raise InputError(f"--yes-overwrite names {given}, not {id}", f"write {id}")
    if not surroundings.is_interactive():
        raise InputError(
            f"{id}: nobody is there to confirm that what was written since is lost",
            f"write --yes-overwrite {id}, or --as NAME for a new database",
        )
    say(f"this loses all that was written to {id} since {moment_text(moment)} UTC,")
    say("and maybe the times before it to restore to: --as NAME shows it first")
    if ask(f"type {id} to restore it") != str(id):
        raise InputError("not confirmed: nothing was restored")
