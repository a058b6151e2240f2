"""`pgherd service`: a systemd unit, so that a fleet is back after a reboot."""

from __future__ import annotations

from dataclasses import asdict

import click

from pgherd.autopilot.service import Service, ServiceState
from pgherd.cli.fleet_option import command_line, fleet_option
from pgherd.cli.output import say, say_json, say_lines
from pgherd.cli.surroundings import Surroundings, pass_surroundings
from pgherd.errors import TryLater
from pgherd.fleet.desired import Fleet

_LINGER = "it begins when you log in; for a start at boot:  loginctl enable-linger"


@click.group()
def service() -> None:
    """Let the fleet be back after a reboot (systemd)."""


@service.command()
@click.option("--start", is_flag=True, help="Start it now, too; what runs is left alone.")
@click.option("--print", "only_print", is_flag=True, help="Print the unit, and change nothing.")
@fleet_option
@pass_surroundings
def install(surroundings: Surroundings, fleet: Fleet, *, start: bool, only_print: bool) -> None:
    """Write and enable a unit that brings the fleet back at boot.

    For root it is the machine's, for others the user's own. It works from what was applied with
    up; what was stopped with down stays stopped. May be called again, as after an upgrade.
    """
    own = surroundings.service(fleet.name)
    if only_print:
        _print(own)
        return
    if surroundings.history(fleet.name).newest() is None:
        raise TryLater(f"nothing was applied to {fleet.name} yet", "run `pgherd up` first")
    is_new = own.install(start=start)
    say(f"wrote {own.path}" if is_new else f"{own.path} is there already")
    say(f"{own.unit.name} is enabled" + (" and started" if start else ""))
    if own.waits_for_login:
        say(_LINGER)


@service.command()
@fleet_option
@pass_surroundings
def remove(surroundings: Surroundings, fleet: Fleet) -> None:
    """Disable and remove the unit. Databases and autopilot run on."""
    own = surroundings.service(fleet.name)
    name = own.unit.name
    say(f"{name} is removed" if own.remove() else f"nothing to do: {name} is not installed")


@service.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@fleet_option
@pass_surroundings
def status(surroundings: Surroundings, fleet: Fleet, *, as_json: bool) -> None:
    """Show whether the unit is there, enabled and active.

    And whether it is what this version would write.
    """
    state = surroundings.service(fleet.name).state()
    if as_json:
        say_json({**asdict(state), "path": str(state.path)})
        return
    for line in _lines(state):
        say(line)


def _print(own: Service) -> None:
    """The unit goes to standard output alone, so that it can be put into a file."""
    unit = own.unit
    say_lines(unit.text)
    say(f"write this to {own.path}, then:", err=True)
    say(f"  {own.systemctl} daemon-reload", err=True)
    say(f"  {own.systemctl} enable {unit.name}", err=True)
    if own.waits_for_login:
        say(_LINGER, err=True)


def _lines(state: ServiceState) -> list[str]:
    if not state.is_installed:
        return [f"{state.unit} is not installed: `{command_line('service', 'install')}`"]
    systemd = "no systemd has started this machine"
    if state.enabled is not None:
        systemd = f"enabled: {state.enabled}, active: {state.active}"
    lines = [f"{state.unit} is installed in {state.path.parent}", systemd]
    if not state.is_current:
        again = command_line("service", "install")
        lines.append(f"it is not what this version writes: `{again}` writes it anew")
    if state.waits_for_login:
        lines.append(_LINGER)
    return lines
