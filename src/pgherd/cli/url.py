"""`pgherd url`: how a program opens a database."""

from __future__ import annotations

import asyncio
import shlex
from collections.abc import Callable
from typing import Any

import click

from pgherd.cli.fleet_option import fleet_option
from pgherd.cli.output import say
from pgherd.cli.surroundings import Surroundings, pass_surroundings
from pgherd.contract.access import Access, AccessRole
from pgherd.errors import InputError
from pgherd.fleet.desired import Fleet, Pooling

role_option: Callable[[Callable[..., Any]], Callable[..., Any]] = click.option(
    "--role",
    type=click.Choice([role.value for role in AccessRole]),
    default=AccessRole.SERVICE.value,
    show_default=True,
    help="As whom to connect.",
)


@click.command()
@click.argument("database")
@role_option
@click.option(
    "--session", is_flag=True, help="With a server connection for the session: works for all."
)
@click.option(
    "--transaction", is_flag=True, help="With one for each transaction: nothing outlives it."
)
@click.option("--variables", is_flag=True, help="Print libpq's environment variables instead.")
@fleet_option
@pass_surroundings
def url(
    surroundings: Surroundings,
    fleet: Fleet,
    *,
    database: str,
    role: str,
    session: bool,
    transaction: bool,
    variables: bool,
) -> None:
    """Print the URI of a database.

    Any libpq client can use it as it is. Without --session or --transaction it is as `pooling` in
    the fleet file says.
    """
    pooling = _chosen(role, session=session, transaction=transaction)
    access = access_to(surroundings, fleet, database, role, pooling)
    if not variables:
        say(access.uri())
        return
    for name, value in access.variables().items():
        say(f"export {name}={shlex.quote(value)}")


def _chosen(role: str, *, session: bool, transaction: bool) -> Pooling | None:
    if session and transaction:
        raise InputError("--session and --transaction exclude each other", "leave one out")
    if transaction and role == AccessRole.OPERATOR:
        raise InputError("an operator always has a session", "leave --transaction out")
    if transaction:
        return Pooling.TRANSACTION
    return Pooling.SESSION if session or role == AccessRole.OPERATOR else None


def access_to(
    surroundings: Surroundings,
    fleet: Fleet,
    database: str,
    role: str,
    pooling: Pooling | None = None,
) -> Access:
    """How to open a database; without `pooling` as the fleet file says.

    One that was restored need not be in the fleet file.
    """
    id = fleet.id(database)
    engine = surroundings.engine_of(fleet, id.environment)
    wanted = next((d.pooling for d in fleet.databases if d.id == id), Pooling.SESSION)
    try:
        return asyncio.run(engine.access(id, AccessRole(role), pooling or wanted))
    except InputError:
        fleet.database(id)  # what may be written instead
        raise
