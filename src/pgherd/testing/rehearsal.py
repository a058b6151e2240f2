"""One small fleet through its whole life on OCI, with the commands that a user types.

    python -m pgherd.testing.rehearsal --region us-ashburn-1

It looks at what the profile may do, shows what it will cost, asks, and then makes, changes,
switches over, backs up, restores, stops, starts and destroys one database, and looks after each
step whether it is so. Against the local OCI it is a test; against a tenancy it is the proof that
no test here can give. It takes about two hours there, and a few dollars.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

FLEET, ENVIRONMENT, SERVICE = "rehearsal", "trial", "note"
DATABASE = f"{ENVIRONMENT}/{SERVICE}"
COPY = f"{ENVIRONMENT}/{SERVICE}-copy"


class Wrong(click.ClickException):
    """A step did not lead to what it should."""


@dataclass
class Rehearsal:
    """A fleet file in a folder, and what was done with it."""

    file: Path
    oci: Mapping[str, str]
    seconds: dict[str, float] = field(default_factory=dict)

    def write(self, *, ocpus: str, replicas: str, retention: str) -> None:
        """The fleet file."""
        oci = "\n".join(f"      {name}: {value}" for name, value in self.oci.items())
        self.file.write_text(
            f"""\
fleet: {FLEET}
services: [{SERVICE}]
environments:
  {ENVIRONMENT}:
    engine: oci
    network: 10.250.0.0/20
    availability_domains: 3
    ocpus: {ocpus}
    storage: 50GB..32TB
    replicas: {replicas}
    backup: {{retention: {retention}}}
    oci:
{oci}
      pooler: create
      accept: [availability-domains]
"""
        )

    def run(self, *arguments: str, quiet: bool = False) -> str:
        """A command of pgherd; Wrong where it fails."""
        click.secho(f"$ pgherd {' '.join(arguments)}", bold=True)
        began = time.monotonic()
        done = subprocess.run(
            [sys.executable, "-m", "pgherd", *arguments],
            env={**os.environ, "PGHERD_FILE": str(self.file)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        self.seconds[" ".join(arguments[:2])] = time.monotonic() - began
        if not quiet or done.returncode:
            click.echo(done.stdout + done.stderr, nl=False)
        if done.returncode:
            raise Wrong(f"pgherd {arguments[0]} ended with {done.returncode}")
        return done.stdout

    def database(self, name: str = DATABASE) -> dict[str, Any]:
        """What `status` says of one database."""
        found = json.loads(self.run("status", "--json", quiet=True))["databases"]
        for database in found:
            if f"{database['environment']}/{database['service']}" == name:
                return dict(database)
        raise Wrong(f"{name} is not in the status")

    def expect(self, name: str = DATABASE, **wanted: Any) -> dict[str, Any]:
        """A database is so: its state, its OCPUs, how many instances."""
        found = self.database(name)
        seen = {**found, "instances": len(found["instances"])}
        for key, value in wanted.items():
            if seen[key] != value:
                raise Wrong(f"{name} has {key} {seen[key]!r}, not {value!r}")
        return found


def play(rehearsal: Rehearsal) -> None:
    """The whole life."""
    rehearsal.run("up")
    rehearsal.expect(state="running", ocpus=2, instances=2)
    if "nothing to do" not in rehearsal.run("up"):
        raise Wrong("a second up had something to do")
    rehearsal.write(ocpus="4..8", replicas="2..3", retention="5d")
    rehearsal.run("up")
    found = rehearsal.expect(state="running", ocpus=4, instances=3)
    _switch_over(rehearsal, found)
    _restore(rehearsal)
    rehearsal.run("down")
    rehearsal.expect(state="stopped")
    rehearsal.run("up")
    rehearsal.expect(state="running", ocpus=4, instances=3)
    rehearsal.run("destroy", "--yes-destroy", ENVIRONMENT)
    rehearsal.expect(state="absent")


def _switch_over(rehearsal: Rehearsal, found: dict[str, Any]) -> None:
    old = next(i["name"] for i in found["instances"] if i["role"] == "primary")
    rehearsal.run("switchover", DATABASE)
    new = [i["name"] for i in rehearsal.database()["instances"] if i["role"] == "primary"]
    if new == [old] or len(new) != 1:
        raise Wrong(f"after the switchover from {old} the primary is {new}")


def _restore(rehearsal: Rehearsal) -> None:
    rehearsal.run("backup", "now", DATABASE)
    history = json.loads(rehearsal.run("backup", "list", DATABASE, "--json", quiet=True))
    if not history["backups"]:
        raise Wrong("the backup is not in the list")
    if not history["windows"]:
        raise Wrong("there is no point-in-time recovery")
    # The window of point-in-time recovery follows the present at some distance.
    moment = min(datetime.fromisoformat(history["windows"][-1]["end"]), datetime.now(UTC))
    rehearsal.run("restore", DATABASE, "--to", f"{moment:%Y-%m-%dT%H:%M:%SZ}", "--as", "note-copy")
    rehearsal.expect(COPY, state="running", ocpus=4, instances=3)
    rehearsal.run("destroy", COPY, "--yes-destroy", COPY)


@click.command()
@click.option("--region", required=True, help="As in us-ashburn-1.")
@click.option("--profile", default="DEFAULT", show_default=True, help="Of the SDK's configuration.")
@click.option("--parent", help="OCID of the compartment to work in; without it, the root.")
@click.option("--yes", is_flag=True, help="Do not ask before it costs money.")
@click.option(
    "--directory",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("pgherd-rehearsal"),
    show_default=True,
    help="Where the fleet file is written.",
)
def main(region: str, profile: str, parent: str | None, directory: Path, *, yes: bool) -> None:
    """Play a small fleet's whole life on OCI."""
    directory.mkdir(parents=True, exist_ok=True)
    oci = {"profile": profile, "region": region, **({"parent": parent} if parent else {})}
    rehearsal = Rehearsal(directory / "fleet.yaml", oci)
    rehearsal.write(ocpus="2..8", replicas="1..3", retention="3d")
    rehearsal.run("doctor", "--engine", "oci")
    rehearsal.run("plan")
    if not yes:
        click.confirm("this makes these things in your tenancy, and destroys them", abort=True)
    try:
        play(rehearsal)
    except Wrong:
        click.echo(
            f"what was made is still there: delete it with "
            f"pgherd destroy -f {rehearsal.file} --yes-destroy {ENVIRONMENT}",
            err=True,
        )
        raise
    click.echo()
    for name, seconds in rehearsal.seconds.items():
        click.echo(f"{name:24} {seconds:8.1f} s")
    click.secho("all of it went as it should", fg="green", bold=True)


if __name__ == "__main__":
    main()
