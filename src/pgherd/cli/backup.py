"""`pgherd backup`: what a database can be restored to, and a backup of now."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import click

from pgherd.cli.fleet_option import fleet_option
from pgherd.cli.output import say, say_json
from pgherd.cli.surroundings import Surroundings, pass_surroundings, wait_option
from pgherd.cli.tables import print_table
from pgherd.cli.words import duration
from pgherd.control.signals import run
from pgherd.engine import BackupHistory, BackupState, Engine, ObservedBackup
from pgherd.fleet.desired import DatabaseId, Fleet
from pgherd.fleet.summary import Table
from pgherd.units import format_bytes


@click.group()
def backup() -> None:
    """See backups, and take one now."""


@backup.command("list")
@click.argument("database")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@fleet_option
@pass_surroundings
def list_(surroundings: Surroundings, fleet: Fleet, *, database: str, as_json: bool) -> None:
    """Show what a database can be restored to.

    Times are UTC.
    """
    id, engine = chosen(surroundings, fleet, database)
    history = asyncio.run(engine.backups(id))
    if as_json:
        say_json(history_json(id, history))
        return
    header = ("Backup", "Kind", "State", "Taken", "Kept until", "Size", "Region")
    print_table(Table(f"{id}", header, tuple(_row(b) for b in history.backups)), _style)
    for line in _windows(id, history):
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
    with surroundings.lock(fleet, "backup now", wait=wait):
        began = clock.now()
        taken = run(engine.back_up(id))
    until = f", kept until {moment_text(taken.kept_until)}" if taken.kept_until else ""
    say(f"{id}: backup {taken.name} is complete{until} ({duration(clock.now() - began)})")


def chosen(surroundings: Surroundings, fleet: Fleet, database: str) -> tuple[DatabaseId, Engine]:
    """A database and its engine. One that was restored need not be in the fleet file."""
    id = DatabaseId.parse(database)
    return id, surroundings.engine_of(fleet, id.environment)


def moment_text(moment: datetime) -> str:
    """As in 2026-11-23 10:00:00."""
    return f"{moment:%Y-%m-%d %H:%M:%S}"


def history_json(id: DatabaseId, history: BackupHistory) -> dict[str, Any]:
    """What `--json` prints. Keys are only ever added."""
    return {
        "database": str(id),
        "backups": [
            {
                "name": b.name,
                "kind": b.kind,
                "state": b.state.value,
                "taken_at": b.taken_at.isoformat(),
                "kept_until": b.kept_until and b.kept_until.isoformat(),
                "bytes": b.bytes,
                "region": b.region,
            }
            for b in history.backups
        ],
        "windows": [
            {"begin": w.begin.isoformat(), "end": w.end.isoformat()} for w in history.windows
        ],
    }


def _row(backup: ObservedBackup) -> tuple[str, ...]:
    return (
        backup.name,
        backup.kind,
        backup.state.value,
        moment_text(backup.taken_at),
        moment_text(backup.kept_until) if backup.kept_until else "",
        format_bytes(backup.bytes) if backup.bytes else "",
        backup.region or "",
    )


def _windows(id: DatabaseId, history: BackupHistory) -> Iterator[str]:
    if not history.windows:
        yield f"{id} cannot be restored to a point in time yet"
    for window in history.windows:
        yield (
            f"can be restored to any second from {moment_text(window.begin)} "
            f"to {moment_text(window.end)}"
        )


def _style(cell: str) -> str:
    return {
        BackupState.AVAILABLE.value: "green",
        BackupState.FAILED.value: "bold red",
        BackupState.RUNNING.value: "yellow",
    }.get(cell, "")
