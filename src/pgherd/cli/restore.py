"""`pgherd restore`: a database as it was."""

from __future__ import annotations

import click

from pgherd.cli.fleet_option import command_line, fleet_option
from pgherd.cli.goals import goal_text, parse_goal, since
from pgherd.cli.output import ask, say
from pgherd.cli.states import style_of
from pgherd.cli.surroundings import Surroundings, pass_surroundings, wait_option
from pgherd.cli.tables import print_table
from pgherd.contract.backups import Goal, Restored
from pgherd.control import restore as restoring
from pgherd.control.arrivals import bring_back
from pgherd.control.clock import Patience
from pgherd.control.masking import masking_of
from pgherd.control.signals import run
from pgherd.errors import InputError, NeedsHuman
from pgherd.fleet.desired import DatabaseId, Fleet
from pgherd.report.backups import prediction_lines, prediction_text
from pgherd.report.region_drill import arrivals_table
from pgherd.report.words import duration
from pgherd.units import number


@click.command()
@click.argument("target", metavar="DATABASE|ENVIRONMENT")
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
    target: str,
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

    A database that is gone comes back from the backups that are left of it. Given an environment
    in place of a database, all of it that is gone comes back: also on another machine, from the
    copies in a region.
    """
    if target in {environment.name for environment in fleet.environments}:
        others = (to_point, to_lsn, to_transaction, name, yes_overwrite)
        if undo or discard or unmasked or verify_only or any(other is not None for other in others):
            raise InputError(
                f"{target} is an environment: --to and --from-region alone are for that",
                "name a database for the other options",
            )
        goal = parse_goal(to, None, None, None, surroundings.now())
        _environment(surroundings, fleet, target, goal, region, wait=wait)
        return
    source = fleet.id(target)
    if undo or discard:
        goals = (to, to_point, to_lsn, to_transaction, name, region)
        if (undo and discard) or verify_only or unmasked or any(goal is not None for goal in goals):
            raise InputError("--undo and --discard stand alone", "leave the other options out")
        _of_before(surroundings, fleet, source, yes_overwrite, is_undo=undo, wait=wait)
        return
    wanted = restoring.restored(fleet, source, name)
    goal = parse_goal(to, to_point, to_lsn, to_transaction, surroundings.now())
    masking = masking_of(fleet.database(source), wanted.id, unmasked=unmasked)
    engines = surroundings.open_engines(fleet)
    clock = surroundings.clock()
    found = run(
        restoring.predict(
            engines,
            source,
            wanted,
            goal,
            region=region,
            masking=masking,
            clock=clock,
            patience=Patience(),
        )
    )
    if verify_only:
        for line in prediction_lines(source, wanted.id, found):
            say(line)
        return
    if wanted.id == source and not found.is_lost:
        _ensure_confirmed(surroundings, source, goal, yes_overwrite)
    elif found.overwrites:
        loss = f"this takes away from {wanted.id} all that it has, and keeps it aside"
        _ensure_named(surroundings, wanted.id, yes_overwrite, loss)
    if text := prediction_text(found):
        say(text)
    with surroundings.lock(fleet, "restore", wait=wait):
        began = clock.now()
        done = run(
            restoring.restore(
                engines,
                source,
                wanted,
                goal,
                region=region,
                masking=masking,
                overwrites=found.overwrites or yes_overwrite == str(wanted.id),
                clock=clock,
                patience=Patience(),
            )
        )
    took = "it was there" if done.was_there else duration(clock.now() - began)
    masked = ", masked" if masking else ", not masked" if unmasked else ""
    say(f"{wanted.id}: as {source} was {goal_text(goal, done)}{masked} ({took})")
    if wanted.id != source and found.overwrites:
        undo_it = command_line("restore", str(wanted.id), flags=("--undo",))
        say(f"what it had until now is kept: {undo_it} brings it back")
    if wanted.id not in {d.id for d in fleet.databases}:
        copy = str(wanted.id)
        say(
            f"it is not in the fleet file: write {wanted.id.service} there to keep it, or delete "
            f"it with {command_line('destroy', copy, flags=('--yes-destroy', copy))}"
        )


def _environment(
    surroundings: Surroundings,
    fleet: Fleet,
    name: str,
    goal: Goal,
    region: str | None,
    *,
    wait: bool,
) -> None:
    """All of it that is gone is there again."""
    engine = surroundings.engine_of(fleet, name)
    clock = surroundings.clock()
    with surroundings.lock(fleet, "restore", wait=wait):
        arrived = run(bring_back(engine, fleet, name, goal, region, clock))
    print_table(
        arrivals_table(f"{name}: as it was {goal_text(goal, Restored())}", arrived), style_of
    )
    if failed := [one for one in arrived if one.seconds is None]:
        raise NeedsHuman(
            f"{number(len(failed), 'database')} of {name} did not come back: "
            f"{failed[0].database}: {failed[0].trouble}",
            "run the same command again once that is mended; what is back stays as it is",
        )
    say("`pgherd up` gives them their replicas")


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
