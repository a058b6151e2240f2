"""`pgherd render`: what others have to make or allow for an engine, written for them.

Documents that are about a fleet, whatever its engines, are added at the end.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path

import click

from pgherd.cli.fleet_option import fleet_option
from pgherd.cli.monitoring import monitoring
from pgherd.cli.output import say_lines
from pgherd.cli.own_files import Own, write_own
from pgherd.engines.declaration import Declaration, Document, Option, OwnFile
from pgherd.engines.known import ENGINES
from pgherd.errors import InputError
from pgherd.fleet.desired import Environment, Fleet
from pgherd.report.words import listed


def group(engines: Sequence[Declaration]) -> click.Group:
    """A command for each document of these engines."""

    @click.group()
    def render() -> None:
        """Write what others make or allow for an engine, or watch.

        Each document but monitoring is for environments on one engine; nothing there is changed.
        """

    for engine in engines:
        for document in engine.documents:
            render.add_command(_command(engine, document))
    return render


def _command(engine: Declaration, document: Document) -> click.Command:
    parameters = [_environments(document), *map(_option, document.options)]
    if document.own_file:
        parameters += _of_files(document.own_file)

    def print_or_write(
        fleet: Fleet,
        *,
        environments: tuple[str, ...],
        directory: Path | None = None,
        force: bool = False,
        **options: str,
    ) -> None:
        chosen = _chosen(fleet, engine, environments)
        if document.own_file is None:
            say_lines(asyncio.run(document.text(fleet, chosen, options)))
        else:
            _of_each(document, document.own_file, fleet, chosen, options, directory, force=force)

    command = click.command(document.name, params=parameters, help=document.help)
    return command(fleet_option(print_or_write))


def _environments(document: Document) -> click.Parameter:
    def one(context: click.Context, parameter: click.Parameter, name: str) -> tuple[str]:
        return (name,)

    if document.is_of_one:
        return click.Argument(["environments"], metavar="ENVIRONMENT", callback=one)
    return click.Argument(["environments"], nargs=-1, metavar="[ENVIRONMENT]...")


def _option(option: Option) -> click.Parameter:
    return click.Option(
        [f"--{option.name}"],
        metavar=option.metavar,
        default=option.default,
        show_default=True,
        help=option.help,
    )


def _of_files(file: OwnFile) -> list[click.Parameter]:
    return [
        click.Option(
            ["--directory"],
            metavar="DIR",
            type=click.Path(path_type=Path, file_okay=False),
            help=f"Where to write ENVIRONMENT/{file.name}; without it, one environment is printed.",
        ),
        click.Option(
            ["--force"], is_flag=True, help="Replace files that pgherd did not write, too."
        ),
    ]


def _of_each(
    document: Document,
    file: OwnFile,
    fleet: Fleet,
    chosen: Sequence[Environment],
    options: Mapping[str, str],
    directory: Path | None,
    *,
    force: bool,
) -> None:
    if directory is None and len(chosen) > 1:
        raise InputError(
            f"{listed([e.name for e in chosen])} do not go into one file",
            "add --directory DIR for a folder with one of each, or name one environment",
        )
    texts = {e.name: asyncio.run(document.text(fleet, [e], options)) for e in chosen}
    if directory is None:
        say_lines("".join(texts.values()))
    else:
        files = {
            directory / name / file.name: Own(text, file.is_ours) for name, text in texts.items()
        }
        write_own(files, force=force)


def _chosen(fleet: Fleet, engine: Declaration, names: Sequence[str]) -> list[Environment]:
    """The named environments, or all that are on the engine."""
    chosen = [fleet.environment(name) for name in dict.fromkeys(names)]
    for environment in chosen:
        if environment.engine != engine.name:
            raise InputError(
                f"{environment.name} is on engine {environment.engine}",
                f"name one on engine {engine.name}, or write engine: {engine.name} for it",
            )
    found = chosen or [e for e in fleet.environments if e.engine == engine.name]
    if not found:
        raise InputError(
            f"no environment of {fleet.name} is on engine {engine.name}",
            f"write engine: {engine.name} and {engine.section().written} for one",
        )
    return found


render = group(ENGINES)
render.add_command(monitoring)
