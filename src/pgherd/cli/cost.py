"""`pgherd cost`: what a month of the fleet costs, at its initial, current and maximum size."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import replace

import click

from pgherd.cli.failures import print_error
from pgherd.cli.fleet_option import fleet_option
from pgherd.cli.output import say, say_json
from pgherd.cli.prices_option import prices_option
from pgherd.cli.surroundings import Surroundings, pass_surroundings
from pgherd.cli.tables import print_table
from pgherd.contract.engine import Engine
from pgherd.contract.observed import Observation, Unknown
from pgherd.decide.cost import FleetCost, Poolers, fleet_cost
from pgherd.errors import PgherdError
from pgherd.fleet.desired import Fleet
from pgherd.prices.table import PriceTable
from pgherd.report.cost_json import cost_json
from pgherd.report.cost_tables import cost_notes, cost_tables
from pgherd.report.words import few


def _poolers(fleet: Fleet) -> Mapping[str, Poolers]:
    """The machines in front of databases, where pgherd makes any."""
    from pgherd.engines.oci.blueprint import POOLER_GIB, POOLER_OCPUS, pooler_addresses
    from pgherd.engines.oci.section import OCI
    from pgherd.engines.oci.values import OciValues, PoolerTier

    return {
        e.name: Poolers(len(pooler_addresses(e)), POOLER_OCPUS, POOLER_GIB)
        for e in fleet.environments
        if e.engine == OCI.engine and e.values_of(OciValues).pooler is PoolerTier.CREATE
    }


@click.command()
@click.option(
    "--environment",
    "environments",
    metavar="NAME",
    multiple=True,
    help="Only this one; may be given more than once.",
)
@click.option(
    "--current/--no-current",
    default=True,
    help="Whether to look at what runs now.  [default: current]",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@prices_option
@fleet_option
@pass_surroundings
def cost(
    surroundings: Surroundings,
    fleet: Fleet,
    *,
    prices: PriceTable,
    environments: tuple[str, ...],
    current: bool,
    as_json: bool,
) -> None:
    """Show what a month costs.

    For each database, each environment and in all: as it is made, as it is now, and as large as
    it may grow.
    """
    shown = _only(fleet, environments)
    seen = _look(surroundings, shown) if current else None
    found = fleet_cost(shown, prices, seen, _poolers(shown))
    if as_json:
        say_json(cost_json(found, prices, current=current))
    else:
        _print(found, prices, current=current)
    if current:
        _say_unseen(found)


def _only(fleet: Fleet, names: Iterable[str]) -> Fleet:
    """The part of the fleet that is in these environments, or all of it."""
    kept = tuple(fleet.environment(name) for name in dict.fromkeys(names)) or fleet.environments
    environments = tuple(e for e in fleet.environments if e in kept)
    databases = tuple(d for d in fleet.databases if d.environment in kept)
    return replace(fleet, environments=environments, databases=databases)


def _look(surroundings: Surroundings, fleet: Fleet) -> Mapping[str, Observation | Unknown]:
    """What each engine sees. One that cannot be used, or sees nothing, hides only its own."""
    names = dict.fromkeys(e.engine for e in fleet.environments)
    opened: dict[str, Engine | Unknown] = {}
    for name in names:
        try:
            opened[name] = surroundings.open_engines(_on(fleet, name))[name]
        except PgherdError as error:
            opened[name] = Unknown(error.message)
    return asyncio.run(_observe(opened))


def _on(fleet: Fleet, engine: str) -> Fleet:
    environments = tuple(e for e in fleet.environments if e.engine == engine)
    databases = tuple(d for d in fleet.databases if d.environment.engine == engine)
    return replace(fleet, environments=environments, databases=databases)


async def _observe(
    engines: Mapping[str, Engine | Unknown],
) -> Mapping[str, Observation | Unknown]:
    async def observe(engine: Engine | Unknown) -> Observation | Unknown:
        if isinstance(engine, Unknown):
            return engine
        try:
            return await engine.observe(roles=False)
        except PgherdError as error:
            return Unknown(error.message)

    found = await asyncio.gather(*(observe(engine) for engine in engines.values()))
    return dict(zip(engines, found, strict=True))


def _print(found: FleetCost, prices: PriceTable, *, current: bool) -> None:
    for table in cost_tables(found, prices, current=current):
        print_table(table)
        say()
    for note in cost_notes(found, prices):
        say(note)


def _say_unseen(found: FleetCost) -> None:
    by_reason: dict[str, list[str]] = {}
    for id, reason in found.unseen.items():
        by_reason.setdefault(reason, []).append(str(id))
    for reason, names in by_reason.items():
        print_error(f"{few(names)}: the current cost is not known: {reason}")
