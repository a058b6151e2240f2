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
from pgherd.engine import Access, AccessRole
from pgherd.errors import InputError
from pgherd.fleet.desired import DatabaseId, Fleet

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
@click.option("--variables", is_flag=True, help="Print libpq's environment variables instead.")
@fleet_option
@pass_surroundings
def url(
    surroundings: Surroundings, fleet: Fleet, *, database: str, role: str, variables: bool
) -> None:
    """Print the URI of a database.

    Any libpq client can use it as it is.
    """
    access = access_to(surroundings, fleet, database, role)
    if not variables:
        say(access.uri())
        return
    for name, value in access.variables().items():
        say(f"export {name}={shlex.quote(value)}")


def access_to(surroundings: Surroundings, fleet: Fleet, database: str, role: str) -> Access:
    """How to open a database. One that was restored need not be in the fleet file."""
    id = DatabaseId.parse(database)
    engine = surroundings.engine_of(fleet, id.environment)
    try:
        return asyncio.run(engine.access(id, AccessRole(role)))
    except InputError:
        fleet.database(id)  # what may be written instead
        raise
