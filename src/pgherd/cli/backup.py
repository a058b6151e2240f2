"""`pgherd backup`: what a database can be restored to, a backup of now, and points."""

from __future__ import annotations

import asyncio
from itertools import chain

import click

from pgherd.cli.fleet_option import command_line, fleet_option
from pgherd.cli.output import say, say_json
from pgherd.cli.surroundings import Surroundings, pass_surroundings, wait_option
from pgherd.cli.tables import print_table
from pgherd.contract.backups import BackupState, check_point_name
from pgherd.contract.engine import Engine
from pgherd.control.abilities import backups_of, verifier_of
from pgherd.control.protection import Protection, protection, used
from pgherd.control.signals import run
from pgherd.errors import NeedsHuman
from pgherd.fleet.desired import DatabaseId, Fleet
from pgherd.report.backups import backups_table, copies, kept, moment_text, points, windows
from pgherd.report.proofs import protection_json, protection_lines
from pgherd.report.verification import (
    DAMAGED,
    OK,
    verification_json,
    verification_lines,
    verification_table,
    why_flawed,
)
from pgherd.report.words import duration


@click.group()
def backup() -> None:
    """See backups, take one now, and name points to restore to."""


@backup.command("list")
@click.argument("database")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@fleet_option
@pass_surroundings
def list_(surroundings: Surroundings, fleet: Fleet, *, database: str, as_json: bool) -> None:
    """Show what a database can be restored to, and whether that is proven.

    Times are UTC.
    """
    id, engine = chosen(surroundings, fleet, database)
    wanted = next((d for d in fleet.databases if d.id == id), None)

    async def look() -> Protection:
        return await protection(engine, id, wanted, await used(engine), surroundings.now())

    found = asyncio.run(look())
    if as_json:
        say_json(protection_json(id, found))
        return
    print_table(backups_table(id, found.history), _style)
    history = found.history
    said = (windows(id, history), points(history), copies(history), kept(id, history))
    for line in (*chain.from_iterable(said), *protection_lines(id, found)):
        say(line)


@backup.command()
@click.argument("database")
@wait_option
@fleet_option
@pass_surroundings
def now(surroundings: Surroundings, fleet: Fleet, *, database: str, wait: bool) -> None:
    """Take a backup and wait until it is complete."""
    id, engine = chosen(surroundings, fleet, database)
    clock = surroundings.clock()
    began = clock.now()
    with surroundings.lock(fleet, "backup now", wait=wait):
        run(backups_of(engine).ensure_enabled(id))
    taken = run(backups_of(engine).back_up(id))
    until = f", kept until {moment_text(taken.kept_until)}" if taken.kept_until else ""
    say(f"{id}: backup {taken.name} is complete{until} ({duration(clock.now() - began)})")


@backup.command()
@click.argument("database")
@click.argument("name")
@wait_option
@fleet_option
@pass_surroundings
def point(
    surroundings: Surroundings, fleet: Fleet, *, database: str, name: str, wait: bool
) -> None:
    """Name the state of now, to restore to it later.

    Before a migration, for example. It can be had as long as a backup that is older.
    """
    id, engine = chosen(surroundings, fleet, database)
    check_point_name(name)
    with surroundings.lock(fleet, "backup point", wait=wait):
        made = run(backups_of(engine).make_point(id, name))
    say(f"{id}: point {made.name} is of {moment_text(made.at)} UTC")
    how = command_line("restore", str(id), flags=("--to-point", made.name))
    say(f"restore to it with {how}")


@backup.command()
@click.argument("database")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@fleet_option
@pass_surroundings
def verify(surroundings: Surroundings, fleet: Fleet, *, database: str, as_json: bool) -> None:
    """Compare each file of the backups and the WAL with its checksum.

    It says what is missing or damaged, and what can be restored in spite of that. The exit code is
    4 where anything is. It changes no file of them; `pgherd drill restore` proves more.
    """
    id, engine = chosen(surroundings, fleet, database)
    found = run(verifier_of(engine).verify(id))
    if as_json:
        say_json(verification_json(id, found))
    else:
        print_table(verification_table(id, found), _style)
        for line in verification_lines(id, found):
            say(line)
    if not found.ok:
        raise NeedsHuman(
            f"{id}: {why_flawed(found)}",
            f"take a backup that needs none of that: `pgherd backup now {id}`",
        )


def chosen(surroundings: Surroundings, fleet: Fleet, database: str) -> tuple[DatabaseId, Engine]:
    """A database and its engine. One that was restored need not be in the fleet file."""
    id = fleet.id(database)
    return id, surroundings.engine_of(fleet, id.environment)


def _style(cell: str) -> str:
    return {
        BackupState.AVAILABLE.value: "green",
        BackupState.FAILED.value: "bold red",
        BackupState.RUNNING.value: "yellow",
        OK: "green",
        DAMAGED: "bold red",
    }.get(cell, "")
