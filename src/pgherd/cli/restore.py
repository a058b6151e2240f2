"""`pgherd restore`: a database as it was."""

from __future__ import annotations

import click

from pgherd.cli.fleet_option import command_line, fleet_option
from pgherd.cli.goals import goal_text, parse_goal, since
from pgherd.cli.output import ask, say
from pgherd.cli.surroundings import Surroundings, pass_surroundings, wait_option
from pgherd.contract.backups import Goal
from pgherd.control import restore as restoring
from pgherd.control.clock import Patience
from pgherd.control.masking import masking_of
from pgherd.control.signals import run
from pgherd.errors import InputError
from pgherd.fleet.desired import DatabaseId, Fleet
from pgherd.report.backups import prediction_lines, prediction_text
from pgherd.report.words import duration


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
@click.option(
    "--as",
    "name",
    metavar="NAME",
    help="Make a new database of that name beside it; or ENVIRONMENT/SERVICE: a copy there.",
)
@click.option("--unmasked", is_flag=True, help="Mask nothing in a copy in another environment.")
@click.option(
    "--from-region", "region", metavar="REGION", help="From the copies there, to a new one there."
)
@click.option(
    "--yes-overwrite",
    metavar="DATABASE",
    help="The database that loses what it has, to restore it in its place without asking.",
)
@click.option("--undo", is_flag=True, help="Bring back what it had before, and keep what it has.")
@click.option("--discard", is_flag=True, help="Remove what is kept of what it had before.")
@click.option("--verify-only", is_flag=True, help="Only say whether it would work; change nothing.")
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
    unmasked: bool,
    region: str | None,
    yes_overwrite: str | None,
    undo: bool,
    discard: bool,
    verify_only: bool,
    wait: bool,
) -> None:
    """Bring a database back as it was.

    With --as, to a new database, or to one in another environment; the source stays as it is.
    There, the copy is masked by what the fleet file names, before anybody may connect. Without
    --as, in its own place. What a database loses by that has to be typed as its name, or given
    with --yes-overwrite. What it had before is kept as long as its backups: --undo brings it
    back, --discard removes it.
    """
    source = fleet.id(database)
    if undo or discard:
        goals = (to, to_point, to_lsn, to_transaction, name, region)
        if (undo and discard) or verify_only or unmasked or any(goal is not None for goal in goals):
            raise InputError("--undo and --discard stand alone", "leave the other options out")
        _of_before(surroundings, fleet, source, yes_overwrite, is_undo=undo, wait=wait)
        return
    target = restoring.restored(fleet, source, name)
    goal = parse_goal(to, to_point, to_lsn, to_transaction, surroundings.now())
    masking = masking_of(fleet.database(source), target.id, unmasked=unmasked)
    engines = surroundings.open_engines(fleet)
    clock = surroundings.clock()
    found = run(
        restoring.predict(
            engines,
            source,
            target,
            goal,
            region=region,
            masking=masking,
            clock=clock,
            patience=Patience(),
        )
    )
    if verify_only:
        for line in prediction_lines(source, target.id, found):
            say(line)
        return
    if target.id == source:
        _ensure_confirmed(surroundings, source, goal, yes_overwrite)
    elif found.overwrites:
        loss = f"this takes away from {target.id} all that it has, and keeps it aside"
        _ensure_named(surroundings, target.id, yes_overwrite, loss)
    if text := prediction_text(found):
        say(text)
    with surroundings.lock(fleet, "restore", wait=wait):
        began = clock.now()
        done = run(
            restoring.restore(
                engines,
                source,
                target,
                goal,
                region=region,
                masking=masking,
                overwrites=found.overwrites or yes_overwrite == str(target.id),
                clock=clock,
                patience=Patience(),
            )
        )
    took = "it was there" if done.was_there else duration(clock.now() - began)
    masked = ", masked" if masking else ", not masked" if unmasked else ""
    say(f"{target.id}: as {source} was {goal_text(goal, done)}{masked} ({took})")
    if target.id != source and found.overwrites:
        undo_it = command_line("restore", str(target.id), flags=("--undo",))
        say(f"what it had until now is kept: {undo_it} brings it back")
    if target.id not in {d.id for d in fleet.databases}:
        copy = str(target.id)
        say(
            f"it is not in the fleet file: write {target.id.service} there to keep it, or delete "
            f"it with {command_line('destroy', copy, flags=('--yes-destroy', copy))}"
        )


def _of_before(
    surroundings: Surroundings,
    fleet: Fleet,
    id: DatabaseId,
    given: str | None,
    *,
    is_undo: bool,
    wait: bool,
) -> None:
    """What a restore in place has kept is there again, or is gone."""
    engine = surroundings.engine_of(fleet, id.environment)
    if is_undo:
        loss = (
            f"this takes away from {id} all that was written since its restore, and keeps it aside"
        )
    else:
        loss = f"this removes for good what {id} had before its restore"
    _ensure_named(surroundings, id, given, loss)
    clock = surroundings.clock()
    work = restoring.undo if is_undo else restoring.discard
    with surroundings.lock(fleet, "restore", wait=wait):
        began = clock.now()
        run(work(engine, id, clock, Patience()))
    took = duration(clock.now() - began)
    if is_undo:
        say(f"{id}: as it was before its restore ({took})")
        say(f"what it had until now is kept: {command_line('backup list', str(id))}")
    else:
        say(f"{id}: nothing is kept of what it had before ({took})")


def _ensure_confirmed(
    surroundings: Surroundings, id: DatabaseId, goal: Goal, given: str | None
) -> None:
    """What is overwritten is named."""
    loss = (
        f"this loses all that was written to {id} since {since(goal)},\n"
        "and maybe the times before it to restore to: --as NAME shows it first"
    )
    _ensure_named(surroundings, id, given, loss, ", or --as NAME for a new database")


def _ensure_named(
    surroundings: Surroundings, id: DatabaseId, given: str | None, loss: str, other: str = ""
) -> None:
    """The user has named what is overwritten: with the flag, or by typing it now."""
    if given == str(id):
        return
    if given is not None:
        raise InputError(f"--yes-overwrite names {given}, not {id}", f"write {id}")
    if not surroundings.is_interactive():
        raise InputError(
            f"{id}: nobody is there to confirm that what it has is lost",
            f"write --yes-overwrite {id}{other}",
        )
    for line in loss.splitlines():
        say(line)
    if ask(f"type {id} to restore it") != str(id):
        raise InputError("not confirmed: nothing was restored")
