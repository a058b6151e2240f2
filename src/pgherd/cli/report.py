"""`pgherd report`: what proves that databases can be restored, for an audit."""

from __future__ import annotations

import asyncio
from pathlib import Path

import click

from pgherd.cli.fleet_option import fleet_option
from pgherd.cli.output import say_json, say_lines
from pgherd.cli.surroundings import Surroundings, pass_surroundings
from pgherd.cli.targets import chosen_databases
from pgherd.cli.written_file import write_whole
from pgherd.control.evidence import evidence
from pgherd.fleet.desired import Fleet
from pgherd.report.evidence import evidence_json, evidence_markdown, evidence_page


@click.command()
@click.argument("target", metavar="[ENVIRONMENT|DATABASE]", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option(
    "--html",
    "html_file",
    metavar="FILE",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write a page with charts into this file.",
)
@fleet_option
@pass_surroundings
def report(
    surroundings: Surroundings,
    fleet: Fleet,
    *,
    target: str | None,
    as_json: bool,
    html_file: Path | None,
) -> None:
    """Show the evidence that databases can be restored, as Markdown.

    For each its last backup, its last proof by a restore, how soon it was back and how much was
    lost, beside what the fleet file promises, and every drill.
    """
    databases = chosen_databases(fleet, target)
    engines = surroundings.open_engines(fleet)
    now = surroundings.now()
    found = asyncio.run(evidence(engines, databases, now))
    if html_file:
        page = evidence_page(fleet.name, found, now)
        write_whole(html_file, page.encode(), quiet=as_json)
    if as_json:
        say_json(evidence_json(found))
    elif not html_file:
        say_lines(evidence_markdown(fleet.name, found, now))
