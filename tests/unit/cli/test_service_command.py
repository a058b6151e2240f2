"""`service`: what its user reads, on a systemd that is only remembered."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from remembered_systemd import RememberedSystemd, service
from shop import Shop

from pgherd.cli.main import cli

LINGER = "it begins when you log in; for a start at boot:  loginctl enable-linger"


class Machine:
    """A shop on a machine with systemd."""

    def __init__(self, shop: Shop, folder: Path) -> None:
        self.shop = shop
        self.systemd = RememberedSystemd(folder / "units")
        self.how: dict[str, Any] = {}

    def run(self, *arguments: str) -> Result:
        applied = self.shop.lock.with_name("shop.applied")
        surroundings = replace(
            self.shop.surroundings(),
            service=lambda fleet: service(applied, self.systemd, **self.how),
        )
        runner = CliRunner(env={"PGHERD_FILE": str(self.shop.file)})
        return runner.invoke(cli, ["service", *arguments], obj=surroundings)

    def out(self, *arguments: str) -> str:
        result = self.run(*arguments)
        assert result.exit_code == 0, result.output
        return result.stdout

    @property
    def path(self) -> Path:
        return self.systemd.folder / "pgherd-shop.service"


@pytest.fixture
def machine(running: Shop, tmp_path: Path) -> Machine:
    return Machine(running, tmp_path)


def test_it_says_what_it_did(machine: Machine) -> None:
    assert machine.out("install") == (f"wrote {machine.path}\npgherd-shop.service is enabled\n")
    assert machine.out("install", "--start") == (
        f"{machine.path} is there already\npgherd-shop.service is enabled and started\n"
    )
    assert machine.out("status") == (
        f"pgherd-shop.service is installed in {machine.path.parent}\n"
        "enabled: enabled, active: active\n"
    )
    assert machine.out("remove") == "pgherd-shop.service is removed\n"
    assert machine.out("remove") == "nothing to do: pgherd-shop.service is not installed\n"
    assert machine.out("status") == (
        "pgherd-shop.service is not installed: `pgherd service install`\n"
    )


def test_an_old_unit_is_told_of(machine: Machine) -> None:
    machine.out("install")
    machine.path.write_text(machine.path.read_text() + "# more\n")
    assert machine.out("status").splitlines()[-1] == (
        "it is not what this version writes: `pgherd service install` writes it anew"
    )


def test_status_is_there_for_programs(machine: Machine) -> None:
    machine.out("install")
    assert '"is_current": true' in machine.out("status", "--json")
    assert f'"path": "{machine.path}"' in machine.out("status", "--json")


def test_print_changes_nothing_and_says_what_to_put_where(machine: Machine) -> None:
    machine.systemd.is_running = False
    printed = machine.run("install", "--print")
    assert printed.exit_code == 0
    applied = machine.shop.lock.with_name("shop.applied")
    assert printed.stdout == service(applied, machine.systemd).unit.text
    assert printed.stderr.splitlines() == [
        f"write this to {machine.path}, then:",
        "  systemctl daemon-reload",
        "  systemctl enable pgherd-shop.service",
    ]
    assert not machine.path.exists()
    assert not machine.systemd.told


def test_without_systemd_it_says_how_to_print_it(machine: Machine) -> None:
    machine.systemd.is_running = False
    refused = machine.run("install")
    assert refused.exit_code == 2
    assert "no systemd has started this machine" in refused.stderr
    assert "`pgherd service install --print`" in refused.stderr
    assert not machine.path.exists()
    machine.systemd.is_running = True
    machine.out("install")
    machine.systemd.is_running = False
    assert machine.out("status").splitlines()[1] == "no systemd has started this machine"


def test_before_the_first_up_there_is_nothing_to_bring_back(shop: Shop, tmp_path: Path) -> None:
    machine = Machine(shop, tmp_path)
    refused = machine.run("install")
    assert refused.exit_code == 3
    assert "nothing was applied to shop yet" in refused.stderr
    assert not machine.systemd.told


def test_a_user_is_told_that_it_waits_for_a_login(machine: Machine) -> None:
    machine.how = {"is_users": True, "lingers": False}
    assert machine.out("install").splitlines()[-1] == LINGER
    assert machine.out("status").splitlines()[-1] == LINGER
    assert "systemctl --user enable" in machine.run("install", "--print").stderr
