"""`pgherd show`: the fleet as the fleet file means it, in tables or as JSON."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import click

from pgherd.cli.fleet_option import fleet_option
from pgherd.cli.output import say, say_json
from pgherd.cli.tables import print_table
from pgherd.fleet.desired import Database, DatabaseId, Environment, Fleet
from pgherd.fleet.summary import Table, tables
from pgherd.fleet.values_table import database_table, origin_tables

_ALWAYS = "local"
"""Its values are shown of environments on other engines too: keys are only ever added."""


@click.command()
@click.argument("database", metavar="[ENVIRONMENT/SERVICE]", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print every resolved value as JSON.")
@click.option("--origins", is_flag=True, help="Print where each value comes from.")
@fleet_option
def show(fleet: Fleet, database: str | None, *, as_json: bool, origins: bool) -> None:
    """Show what the fleet file describes.

    All databases in tables, or one with all of its values.
    """
    shown = None if database is None else fleet.database(DatabaseId.parse(database))
    if as_json:
        say_json(fleet_json(fleet, (shown,) if shown else fleet.databases))
    else:
        _print_tables(_tables(fleet, shown, origins=origins))


def fleet_json(fleet: Fleet, databases: Iterable[Database]) -> dict[str, Any]:
    """What `--json` prints. Keys are only ever added."""
    return {
        "fleet": fleet.name,
        "file": str(fleet.path),
        "databases": [_database_json(database) for database in databases],
    }


def _tables(fleet: Fleet, database: Database | None, *, origins: bool) -> Iterable[Table]:
    if database is not None:
        return (database_table(fleet, database),)
    return origin_tables(fleet) if origins else tables(fleet)


def _print_tables(shown: Iterable[Table]) -> None:
    for index, table in enumerate(shown):
        if index:
            say()
        print_table(table)


def _database_json(database: Database) -> dict[str, Any]:
    environment = database.environment
    autoscale = database.autoscale
    return {
        "environment": environment.name,
        "service": database.id.service,
        "name": database.name,
        "engine": environment.engine,
        "compartment": environment.compartment,
        "network": str(environment.network),
        "ocpus": {"initial": database.ocpus.initial, "max": database.ocpus.max},
        "storage": {
            "initial_bytes": database.storage.initial_bytes,
            "max_bytes": database.storage.max_bytes,
        },
        "replicas": {"min": database.replicas.min, "max": database.replicas.max},
        "availability_domains": environment.availability_domains,
        "autoscale": autoscale
        and {"cpu_percent": autoscale.cpu_percent, "memory_percent": autoscale.memory_percent},
        "backup_retention_days": database.backup.retention_days,
        "backup_copy_to": list(database.backup.copy_to),
        "durability": database.durability.value,
        "deletion_protection": database.deletion_protection,
        "pooling": database.pooling.value,
        "postgresql": database.postgresql,
        **_of_engines(environment),
        "migrations": None if database.migrations is None else str(database.migrations),
        "load": None if database.load is None else str(database.load),
        "origins": dict(database.origins),
    }


def _of_engines(environment: Environment) -> dict[str, Any]:
    shown = (_ALWAYS, environment.engine)
    return {e: values.as_json() for e, values in environment.values.items() if e in shown}
