"""`pgherd switchover` and `pgherd failover`: another instance becomes the primary."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

import click

from pgherd.cli.fleet_option import fleet_option
from pgherd.cli.output import say
from pgherd.cli.surroundings import Surroundings, pass_surroundings, wait_option
from pgherd.contract.engine import Engine
from pgherd.control.signals import run
from pgherd.fleet.desired import DatabaseId, Fleet
from pgherd.report.words import duration

_Call = Callable[[Engine, DatabaseId], Coroutine[Any, Any, str]]

_to_option = click.option(
    "--to", metavar="INSTANCE", help="Which instance, as in auth-2.  [default: the best replica]"
)


@click.command()
@click.argument("database")
@_to_option
@wait_option
@fleet_option
@pass_surroundings
def switchover(
    surroundings: Surroundings, fleet: Fleet, *, database: str, to: str | None, wait: bool
) -> None:
    """Make a replica the primary. Open transactions end first, new ones wait; sessions end."""

    def call(engine: Engine, id: DatabaseId) -> Coroutine[Any, Any, str]:
        return engine.switchover(id, to)

    _change_primary(surroundings, fleet, database, "switchover", call, wait=wait)


@click.command()
@click.argument("database")
@_to_option
@wait_option
@fleet_option
@pass_surroundings
def failover(
    surroundings: Surroundings, fleet: Fleet, *, database: str, to: str | None, wait: bool
) -> None:
    """Make a replica the primary by force.

    For when the primary is lost, or may be.

    Queries that run on the old primary fail. Where commits are asynchronous, the last ones may
    be lost.
    """

    def call(engine: Engine, id: DatabaseId) -> Coroutine[Any, Any, str]:
        return engine.failover(id, to)

    _change_primary(surroundings, fleet, database, "failover", call, wait=wait)


def _change_primary(
    surroundings: Surroundings, fleet: Fleet, database: str, verb: str, call: _Call, *, wait: bool
) -> None:
    wanted = fleet.database(fleet.id(database))
    engine = surroundings.engine_of(fleet, wanted.id.environment)
    clock = surroundings.clock()
    with surroundings.lock(fleet, verb, wait=wait):
        began = clock.now()
        primary = run(call(engine, wanted.id))
    say(f"{wanted.id}: the primary is {primary} ({duration(clock.now() - began)})")
