"""`pgherd doctor`: what each engine can do here, and what to do about what it cannot."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path

import click

from pgherd.cli.failures import Failed, messages
from pgherd.cli.fleet_option import FILE_VARIABLE, fleet_file, read_fleet
from pgherd.cli.output import say, say_json
from pgherd.cli.surroundings import Surroundings, pass_surroundings
from pgherd.cli.tables import print_table
from pgherd.contract.offers import Capability
from pgherd.engines.known import ENGINES
from pgherd.errors import InputError, PgherdError
from pgherd.fleet.desired import Fleet
from pgherd.report.capabilities import capabilities_json, capabilities_table

_UNNAMED = "fleet"
_FIRST = ENGINES[0].name
_ELSEWHERE = [f"{engine.name} is {engine.doctor}" for engine in ENGINES if engine.doctor]


@click.command()
@click.option(
    "-f",
    "--file",
    metavar="FILE",
    envvar=FILE_VARIABLE,
    type=click.Path(path_type=Path),
    help="The fleet file whose engines are looked at; without a valid one, "
    f"the {_FIRST} engine is.",
)
@click.option(
    "--engine",
    "only",
    type=click.Choice([engine.name for engine in ENGINES]),
    help="; ".join(["Look at this engine alone", *_ELSEWHERE]) + ".",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@pass_surroundings
def doctor(
    surroundings: Surroundings, *, file: Path | None, only: str | None, as_json: bool
) -> None:
    """Show what this machine or a tenancy can and cannot do.

    And what to do about it. Exits with 2 where something is missing that pgherd cannot do without.
    """
    fleet, problem = _fleet(file)
    engines = (only,) if only else _engines(fleet)
    found = {name: asyncio.run(_capabilities(surroundings, name, fleet)) for name in engines}
    if as_json:
        say_json(capabilities_json(found))
    else:
        _print(found)
        if problem is not None:
            say()
            for message in messages(problem):
                say(f"no fleet file was looked at: {message}")
    if errors := missing_errors(found):
        raise Failed(errors)


def missing_errors(found: Mapping[str, Sequence[Capability]]) -> list[InputError]:
    """What pgherd cannot do without and is not there."""
    missing = (c for each in found.values() for c in each if c.required and not c.available)
    return [InputError(f"{c.name}: {c.detail}", c.remedy) for c in missing]


def _fleet(file: Path | None) -> tuple[Fleet | None, PgherdError | None]:
    """The fleet, or why there is none."""
    try:
        return read_fleet(fleet_file(file)), None
    except PgherdError as error:
        return None, error


def _engines(fleet: Fleet | None) -> Sequence[str]:
    return tuple(dict.fromkeys(e.engine for e in fleet.environments)) if fleet else (_FIRST,)


async def _capabilities(
    surroundings: Surroundings, name: str, fleet: Fleet | None
) -> Sequence[Capability]:
    fleet_name, environments = (fleet.name, fleet.environments) if fleet else (_UNNAMED, ())
    try:
        return await surroundings.open_engine(name, fleet_name, environments).capabilities()
    except PgherdError as error:
        return (Capability(f"engine {name}", False, error.message, error.hint),)


def _print(found: Mapping[str, Sequence[Capability]]) -> None:
    for index, (name, capabilities) in enumerate(found.items()):
        if index:
            say()
        print_table(capabilities_table(name, capabilities), _style)
        for capability in capabilities:
            if capability.remedy:
                say(f"{capability.name}: {capability.remedy}")


def _style(cell: str) -> str:
    return {"yes": "green", "missing": "bold red", "no": "yellow"}.get(cell, "")
