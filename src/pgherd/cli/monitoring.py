"""`pgherd render monitoring`: what Prometheus and Grafana are told of a fleet."""

from __future__ import annotations

from pathlib import Path

import click

from pgherd.cli.fleet_option import fleet_option
from pgherd.cli.own_files import Own, write_own
from pgherd.fleet.desired import Fleet
from pgherd.metrics import dashboard, rules


@click.command()
@click.option(
    "--directory",
    metavar="DIR",
    required=True,
    type=click.Path(path_type=Path, file_okay=False),
    help=f"Where to write {rules.FILE} and {dashboard.FILE}.",
)
@click.option("--force", is_flag=True, help="Replace files that pgherd did not write, too.")
@fleet_option
def monitoring(fleet: Fleet, *, directory: Path, force: bool) -> None:
    """Write alert rules for Prometheus, and a dashboard for Grafana.

    They are about the metrics of the fleet, whatever engines it is on.
    """
    files = {
        directory / rules.FILE: Own(rules.document(), rules.is_ours),
        directory / dashboard.FILE: Own(dashboard.document(fleet.name), dashboard.is_ours),
    }
    write_own(files, force=force)
