"""`pgherd connect`: psql on one database, as whoever the role says."""

from __future__ import annotations

import os
import shlex
import shutil
from collections.abc import Sequence
from pathlib import Path

import click

from pgherd.cli.fleet_option import fleet_option
from pgherd.cli.surroundings import Surroundings, pass_surroundings
from pgherd.cli.url import access_to, role_option
from pgherd.errors import InputError
from pgherd.fleet.desired import Fleet, Pooling

_DEBIAN_PROGRAMS = Path("/usr/lib/postgresql")


class _BeforePsql(click.Command):
    """A command that knows how options of psql are written."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """As any command; for an option that is none of pgherd's it says where psql's go."""
        given = list(args)
        try:
            return super().parse_args(ctx, args)
        except click.NoSuchOption as error:
            if error.possibilities:  # misspelt
                raise
            raise InputError(
                f"{error.option_name} is not an option of pgherd connect",
                f"write psql's own after --, as in {_with_dashes(given, error.option_name)}",
            ) from None


def _with_dashes(given: Sequence[str], option: str) -> str:
    """The same command with all from that option on as psql's own."""
    at = next(n for n, word in enumerate(given) if word.startswith(option))
    before, rest = given[:at], [word for word in given[at:] if word != "--"]
    if not any("/" in word and not word.startswith("-") for word in before):
        return 'pgherd connect ENVIRONMENT/SERVICE -- -c "select 1"'
    return shlex.join(["pgherd", "connect", *before, "--", *rest])


@click.command(cls=_BeforePsql)
@click.argument("database")
@click.argument("psql_arguments", metavar="[-- PSQL-ARGUMENTS]...", nargs=-1)
@role_option
@fleet_option
@pass_surroundings
def connect(
    surroundings: Surroundings,
    fleet: Fleet,
    *,
    database: str,
    psql_arguments: tuple[str, ...],
    role: str,
) -> None:
    """Open psql on a database.

    Arguments after -- are psql's own, as in: pgherd connect ENVIRONMENT/SERVICE -- -c "select 1"
    """
    access = access_to(surroundings, fleet, database, role, Pooling.SESSION)
    surroundings.replace_process(psql(), psql_arguments, access.variables())


def psql() -> str:
    """The program: the newest of Debian's, else the one on the path.

    What Debian has on the path is a script that heeds settings of its own.
    """
    installed = sorted(_DEBIAN_PROGRAMS.glob("*/bin/psql"), key=lambda p: int(p.parts[-3]))
    if installed and os.access(installed[-1], os.X_OK):
        return str(installed[-1])
    if found := shutil.which("psql"):
        return found
    raise InputError("psql is not installed", "install postgresql-client, or use pgherd url")
