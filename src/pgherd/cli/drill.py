"""`pgherd drill`: prove that what is for bad days works."""

from __future__ import annotations

from dataclasses import replace

import click

from pgherd.cli.backup import chosen
from pgherd.cli.fleet_option import command_line, fleet_option
from pgherd.cli.output import ask, say, say_json
from pgherd.cli.prices_option import prices_option
from pgherd.cli.states import style_of
from pgherd.cli.surroundings import Surroundings, pass_surroundings, wait_option
from pgherd.cli.tables import print_table
from pgherd.contract.proofs import Hire
from pgherd.control.abilities import proofs_of
from pgherd.control.region_drill import drill_region, region_of
from pgherd.control.signals import run
from pgherd.decide.cost import hire_cost
from pgherd.errors import InputError, NeedsHuman
from pgherd.fleet.desired import DatabaseId, Fleet
from pgherd.prices.table import PriceTable
from pgherd.report.proofs import checks_table, hire_text, proof_json, proof_text
from pgherd.report.region_drill import region_json, region_table, region_text


@click.group()
def drill() -> None:
    """Prove that what is for bad days works."""


@drill.command()
@click.argument("database")
@click.option("--yes-pay", is_flag=True, help="Make the copy without asking, where it costs.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@prices_option
@fleet_option
@pass_surroundings
def restore(
    surroundings: Surroundings,
    fleet: Fleet,
    *,
    prices: PriceTable,
    database: str,
    yes_pay: bool,
    as_json: bool,
) -> None:
    """Restore a database beside itself, look at the copy, and remove it.

    Nothing is asked of the database, and nobody else reaches the copy. Where the copy costs, as on
    OCI, that is said before it is made, and asked unless --yes-pay is given. The exit code is 4
    where the copy is no good.
    """
    id, engine = chosen(surroundings, fleet, database)
    proofs = proofs_of(engine)
    if hire := run(proofs.hire(id)):
        text = _price(fleet, id, hire, prices)
        _ensure_agreed(surroundings, id, text, is_agreed=yes_pay, may_ask=not as_json)
    proof = run(proofs.prove(id))
    if as_json:
        say_json(proof_json(id, proof))
    else:
        print_table(checks_table(id, proof), style_of)
        say(proof_text(proof))
    if not proof.ok:
        failed = proof.failed
        why = f": {failed.name}: {failed.detail}" if failed else ""
        raise NeedsHuman(
            f"{id} is not proven{why}",
            f"take another backup with `pgherd backup now {id}`, and prove that",
        )


def _price(fleet: Fleet, id: DatabaseId, hire: Hire, prices: PriceTable) -> str:
    """What is made, and what it costs. What storage nobody knows is that of the fleet file."""
    wanted = next((d.storage.initial_bytes for d in fleet.databases if d.id == id), None)
    hire = replace(hire, storage_bytes=hire.storage_bytes or wanted)
    engine = fleet.environment(id.environment).engine
    cost = hire_cost(hire, prices.engines[prices.priced_as(engine)])
    return hire_text(hire, cost, prices.currency)


def _ensure_agreed(
    surroundings: Surroundings, id: DatabaseId, price: str, *, is_agreed: bool, may_ask: bool
) -> None:
    """Somebody has agreed to pay: with the flag, or by saying so now."""
    if not is_agreed and not (may_ask and surroundings.is_interactive()):
        how = command_line("drill", "restore", str(id), flags=("--yes-pay",))
        raise InputError(f"{price}, and nobody is there to agree", f"write {how}")
    say(price, err=True)
    if not is_agreed and ask("type yes to pay that") != "yes":
        raise InputError("not agreed: nothing was made")


@drill.command()
@click.argument("environment")
@click.option(
    "--region", "name", metavar="REGION", help="Where the copies are, if there are several."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@wait_option
@fleet_option
@pass_surroundings
def region(
    surroundings: Surroundings,
    fleet: Fleet,
    *,
    environment: str,
    name: str | None,
    as_json: bool,
    wait: bool,
) -> None:
    """Bring an environment up beside itself from a region's copies alone, and remove it.

    Without replicas. The exit code is 4 where a database does not come up.
    """
    fleet.environment(environment)
    mine = [d for d in fleet.databases if d.id.environment == environment]
    there = region_of(mine, name)
    engine = surroundings.engine_of(fleet, environment)
    with surroundings.lock(fleet, "drill", wait=wait):
        found = run(
            drill_region(
                engine, fleet, environment, there, surroundings.now(), surroundings.clock()
            )
        )
    if as_json:
        say_json(region_json(found))
    else:
        print_table(region_table(found), style_of)
        say(region_text(found))
    if not found.ok:
        failed = next(one for one in found.arrived if one.seconds is None)
        raise NeedsHuman(
            f"{environment} does not come up from {there}: {failed.database}: {failed.trouble}",
            f"see `pgherd backup list {failed.database}`",
        )
