"""`pgherd restore`: a database as it was."""

from __future__ import annotations

import re
from datetime import UTC, datetime

import click

from pgherd.cli.fleet_option import command_line, fleet_option
from pgherd.cli.output import ask, say
from pgherd.cli.surroundings import Surroundings, pass_surroundings, wait_option
from pgherd.contract.backups import (
    Goal,
    Latest,
    Moment,
    Point,
    Position,
    Restored,
    Transaction,
    check_point_name,
    lsn_of,
)
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
    metavar="TIME",
    help="As in 2026-11-23T10:00:00, without a zone in UTC; or `latest`: all that is committed.",
)
@click.option("--to-point", metavar="NAME", help="What `pgherd backup point` has made.")
@click.option("--to-lsn", metavar="LSN", help="A position in its WAL, as in 0/3000148.")
@click.option("--to-transaction", metavar="XID", help="The end of that transaction.")
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
    to: str | None,
    to_point: str | None,
    to_lsn: str | None,
    to_transaction: str | None,
    name: str | None,
    region: str | None,
    yes_overwrite: str | None,
    wait: bool,
) -> None:
    """Bring a database back as it was.

    With --as, to a new database with the same profile; the old one stays as it is. Without,
    in its own place: what was written since is lost, so the name has to be typed, or given with
    --yes-overwrite.
    """
    source = fleet.id(database)
    target = restored(fleet, source, name)
    goal = parse_goal(to, to_point, to_lsn, to_transaction, surroundings.now())
    engines = surroundings.open_engines(fleet)
    if target.id == source:
        _ensure_confirmed(surroundings, source, goal, yes_overwrite)
    clock = surroundings.clock()
    with surroundings.lock(fleet, "restore", wait=wait):
        began = clock.now()
        done = run(
            restore_database(
                engines, source, target, goal, region=region, clock=clock, patience=Patience()
            )
        )
    took = "it was there" if done.was_there else duration(clock.now() - began)
    say(f"{target.id}: as {source} was {goal_text(goal, done)} ({took})")
    if target.id not in {d.id for d in fleet.databases}:
        copy = str(target.id)
        say(
            f"it is not in the fleet file: write {target.id.service} there to keep it, or delete "
            f"it with {command_line('destroy', copy, flags=('--yes-destroy', copy))}"
        )


def parse_goal(
    to: str | None,
    point: str | None,
    lsn: str | None,
    transaction: str | None,
    now: datetime,
) -> Goal:
    """The one that is given. InputError for none, for several, and for what is no such thing."""
    given = [text for text in (to, point, lsn, transaction) if text is not None]
    if len(given) != 1:
        raise InputError(
            "one thing to restore to is needed" if not given else "it is restored to one thing",
            "write one of --to, --to-point, --to-lsn and --to-transaction",
        )
    if to is not None:
        return Latest() if to == str(Latest()) else Moment(parse_moment(to, now))
    if point is not None:
        return Point(check_point_name(point))
    if lsn is not None:
        if (position := lsn_of(lsn)) is None:
            raise InputError(f"{quoted(lsn)} is not a position", "write one as in 0/3000148")
        return Position(position)
    if not transaction or not re.fullmatch(r"[1-9][0-9]{0,18}", transaction):
        raise InputError(
            f"{quoted(transaction or '')} is not the number of a transaction",
            "write what pg_current_xact_id() said there, as in 745",
        )
    return Transaction(int(transaction))


def goal_text(goal: Goal, done: Restored) -> str:
    """As people read of it, after: as it was."""
    if isinstance(goal, Moment):
        return f"at {moment_text(goal.at)} UTC"
    if isinstance(goal, Latest):
        return f"at {moment_text(done.until)} UTC, the latest then" if done.until else "at its last"
    return f"at {goal}"


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
    surroundings: Surroundings, id: DatabaseId, goal: Goal, given: str | None
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
    say(f"this loses all that was written to {id} since {_since(goal)},")
    say("and maybe the times before it to restore to: --as NAME shows it first")
    if ask(f"type {id} to restore it") != str(id):
        raise InputError("not confirmed: nothing was restored")


def _since(goal: Goal) -> str:
    if isinstance(goal, Moment):
        return f"{moment_text(goal.at)} UTC"
    return "now" if isinstance(goal, Latest) else str(goal)
