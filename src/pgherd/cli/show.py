"""`pgherd show`: the fleet as the fleet file means it, in tables or as JSON."""

from __future__ import annotations

from collections.abc import Iterable

import click

from pgherd.cli.fleet_option import fleet_option
from pgherd.cli.output import say, say_json
from pgherd.cli.tables import print_table
from pgherd.fleet.desired import Database, Fleet
from pgherd.fleet.summary import Table, tables
from pgherd.fleet.values_table import database_table, origin_tables
from pgherd.report.fleet import fleet_json


@click.command()
@click.argument("database", metavar="[ENVIRONMENT/SERVICE]", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print every resolved value as JSON.")
@click.option("--origins", is_flag=True, help="Print where each value comes from.")
@fleet_option
def show(fleet: Fleet, database: str | None, *, as_json: bool, origins: bool) -> None:
    """Show what the fleet file describes.

    All databases in tables, or one with all of its values.
    """
    shown = None if database is None else fleet.database(fleet.id(database))
    if as_json:
        say_json(fleet_json(fleet, (shown,) if shown else fleet.databases))
    else:
        _print_tables(_tables(fleet, shown, origins=origins))


def _tables(fleet: Fleet, database: Database | None, *, origins: bool) -> Iterable[Table]:
    if database is not None:
        return (database_table(fleet, database),)
    return origin_tables(fleet) if origins else tables(fleet)


def _print_tables(shown: Iterable[Table]) -> None:
    for index, table in enumerate(shown):
        if index:
            say()
        print_table(table)
