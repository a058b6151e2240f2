"""`pgherd certificates`: all that are in use, and making them anew, by new authorities too."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import click

from pgherd.cli.fleet_option import fleet_option
from pgherd.cli.output import say, say_json
from pgherd.cli.surroundings import Surroundings, pass_surroundings, wait_option
from pgherd.cli.tables import print_table
from pgherd.contract.certificates import CertificateInfo
from pgherd.control.abilities import certificates_of
from pgherd.control.signals import run
from pgherd.errors import InputError
from pgherd.fleet.desired import Fleet
from pgherd.report.certificates import NOW, certificates_json, certificates_table
from pgherd.units import number


@click.command()
@click.argument("environment", required=False)
@click.option("--rotate", is_flag=True, help="Make all of them anew, with no connection dropped.")
@click.option(
    "--authorities",
    is_flag=True,
    help="With --rotate, make the authorities anew too, as after a leak: copies of clients' files"
    " are refused until they are copied again.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@wait_option
@fleet_option
@pass_surroundings
def certificates(
    surroundings: Surroundings,
    fleet: Fleet,
    *,
    environment: str | None,
    rotate: bool,
    authorities: bool,
    as_json: bool,
    wait: bool,
) -> None:
    """List or renew certificates.

    Of the fleet or of one environment, those that end first on top.
    """
    chosen = fleet.environments if environment is None else (fleet.environment(environment),)
    names = [e.name for e in chosen]
    if authorities and not rotate:
        raise InputError("--authorities goes with --rotate", "write both, or neither")
    if rotate:
        with surroundings.lock(fleet, "certificates --rotate", wait=wait):
            _rotate(surroundings, fleet, names, authorities=authorities)
        return
    found = asyncio.run(_list(surroundings, fleet, names))
    now = surroundings.now()
    if as_json:
        say_json(certificates_json(found, now))
    else:
        print_table(certificates_table(found, now), lambda cell: "yellow" if cell == NOW else "")


def _rotate(
    surroundings: Surroundings, fleet: Fleet, names: Sequence[str], *, authorities: bool
) -> None:
    engines = surroundings.open_engines(fleet)
    for name in names:
        certificates = certificates_of(engines[fleet.environment(name).engine])
        count = run(certificates.ensure_valid(name, renew=True, authorities=authorities))
        by = ", by new authorities" if authorities else ""
        say(f"{name}: {number(count, 'certificate')} made anew{by}")


async def _list(
    surroundings: Surroundings, fleet: Fleet, names: Sequence[str]
) -> list[CertificateInfo]:
    engines = surroundings.open_engines(fleet)
    used = dict.fromkeys(fleet.environment(name).engine for name in names)
    found = [c for engine in used for c in await certificates_of(engines[engine]).in_use()]
    mine = (c for c in found if c.environment in names)
    return sorted(mine, key=lambda c: (c.not_after, str(c.path)))
