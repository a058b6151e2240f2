"""`pgherd drill`: prove that what is for bad days works."""

from __future__ import annotations

import click

from pgherd.cli.backup import chosen
from pgherd.cli.fleet_option import fleet_option
from pgherd.cli.output import say, say_json
from pgherd.cli.states import style_of
from pgherd.cli.surroundings import Surroundings, pass_surroundings, wait_option
from pgherd.cli.tables import print_table
from pgherd.control.abilities import proofs_of
from pgherd.control.region_drill import drill_region, region_of
from pgherd.control.signals import run
from pgherd.errors import NeedsHuman
from pgherd.fleet.desired import Fleet
from pgherd.report.proofs import checks_table, proof_json, proof_text
from pgherd.report.region_drill import region_json, region_table, region_text


@click.group()
def drill() -> None:
    """Prove that what is for bad days works."""


@drill.command()
@click.argument("database")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@fleet_option
@pass_surroundings
def restore(surroundings: Surroundings, fleet: Fleet, *, database: str, as_json: bool) -> None:
    """Restore a database beside itself, look at the copy, and remove it.

    Nothing is asked of the database, and nobody reaches the copy. The exit code is 4 where it is
    no good.
    """
    id, engine = chosen(surroundings, fleet, database)
    proof = run(proofs_of(engine).prove(id))
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
