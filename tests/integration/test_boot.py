"""A reboot, and what the systemd unit of a fleet does then, as systemd would do it."""

from __future__ import annotations

import re
import shlex
import shutil
import socket
import subprocess
from collections.abc import Iterator

import pytest
from tiny_place import Place, answers, eventually, new_place

from pgherd.autopilot.place import AutopilotPlace, place_of
from pgherd.autopilot.questions import State, Status, ask

pytestmark = pytest.mark.integration


class SystemdOfTest:
    """The unit that `pgherd service install --print` shows, and its command lines."""

    def __init__(self, place: Place) -> None:
        with place.start("service", "install", "--print") as process:
            output, _ = process.communicate(timeout=60)
        assert process.returncode == 0, output
        self.text = output
        self.notified = place.folder / "notify"
        self.environment = dict(
            word.partition("=")[::2] for line in self.values("Environment") for word in line
        )

    def values(self, name: str) -> list[list[str]]:
        """The words of each such line, as systemd reads them."""
        lines = re.findall(rf"^{name}=(.*)$", self.text, re.MULTILINE)
        plain = (line.replace("%%", "%").replace("$$", "$") for line in lines)
        return [shlex.split(line) for line in plain]

    def start(self, name: str) -> subprocess.Popen[bytes]:
        (command,) = self.values(name)
        return subprocess.Popen(
            command,
            cwd="/",
            umask=0o077,
            env={**self.environment, "NOTIFY_SOCKET": str(self.notified)},
            stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )


@pytest.fixture
def tiny() -> Iterator[Place]:
    with new_place(has_autopilot=True) as place:
        place.want(services="auth, order, cart")
        place.up()
        yield place


def end(unit: subprocess.Popen[bytes]) -> None:
    unit.kill()
    unit.wait()
    if unit.stderr:
        unit.stderr.close()


def autopilot_of(place: Place) -> AutopilotPlace:
    return place_of(place.root.with_name(f"{place.fleet}.applied"))


def running(place: Place) -> State | None:
    return ask(autopilot_of(place), Status())


def test_a_fleet_is_back_after_a_reboot_and_outlives_its_unit(tiny: Place) -> None:
    with tiny.connect("order") as client:
        client.execute("CREATE TABLE kept (n int)")
        client.execute("INSERT INTO kept VALUES (42)")
    tiny.run("down", "lab/cart")
    tiny.run("destroy", "lab/auth", "--yes-destroy", "lab/auth")
    systemd = SystemdOfTest(tiny)
    tiny.kill_all()
    shutil.rmtree(tiny.root / "run")
    fleet_file = tiny.folder / "fleet.yaml"
    fleet_file.rename(tiny.folder / "kept.yaml")  # nobody reads it at boot

    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notified:
        notified.bind(str(systemd.notified))
        notified.settimeout(120)
        unit = systemd.start("ExecStart")
        try:
            assert notified.recv(100) == b"READY=1"
            (tiny.folder / "kept.yaml").rename(fleet_file)
            _ensure_back(tiny, unit)
            _ensure_left(tiny, unit, systemd)
        finally:
            end(unit)


def _ensure_back(tiny: Place, unit: subprocess.Popen[bytes]) -> None:
    with tiny.connect("order") as client:
        assert client.execute("SELECT n FROM kept").fetchone() == (42,)
    eventually(lambda: (found := running(tiny)) and found.last_round_at, 30)
    state = running(tiny)
    assert state
    assert state.pid == unit.pid
    found = tiny.databases()
    assert {name: d["state"] for name, d in found.items() if name != "auth"} == {
        "order": "running",
        "cart": "stopped",
    }
    assert not tiny.kept("auth").exists(), "what was destroyed is there again"


def _ensure_left(tiny: Place, unit: subprocess.Popen[bytes], systemd: SystemdOfTest) -> None:
    postmaster = tiny.program("instances/lab/order/1/data")
    with systemd.start("ExecStop") as stop:
        _, said = stop.communicate(timeout=30)
    assert stop.returncode == 0, said
    _, said = unit.communicate(timeout=15)
    assert unit.returncode == 0, said
    assert b"tiny is back" in said
    eventually(lambda: not tiny.autopilots(), 10)
    assert answers(tiny, "order")
    assert tiny.program("instances/lab/order/1/data") == postmaster


def test_the_unit_takes_over_from_an_autopilot_that_others_have_started(tiny: Place) -> None:
    """From that of `up`, and from the one that its own keeper begins when it was killed."""
    postmaster = tiny.program("instances/lab/order/1/data")
    systemd = SystemdOfTest(tiny)
    before = running(tiny)
    assert before
    units = []
    try:
        for _ in range(2):
            units.append(unit := systemd.start("ExecStart"))
            _ensure_alone(tiny, unit)
            assert "nothing to do" in tiny.up()  # it leaves the one of the unit alone
            _ensure_alone(tiny, unit)
            end(unit)
            eventually(lambda: running(tiny), 20)  # its keeper has become the next one
        units.append(unit := systemd.start("ExecStart"))
        _ensure_alone(tiny, unit)
        unit.terminate()  # what systemd does where ExecStop has not ended it
        unit.communicate(timeout=15)
        assert unit.returncode == 0
        eventually(lambda: not tiny.autopilots(), 10)
        assert tiny.program("instances/lab/order/1/data") == postmaster
    finally:
        for unit in units:
            end(unit)


def _ensure_alone(tiny: Place, unit: subprocess.Popen[bytes]) -> None:
    """The autopilot is that of the unit, with its controller and its keeper, and no other."""
    eventually(lambda: (found := running(tiny)) and found.pid == unit.pid, 60)
    eventually(lambda: len(tiny.autopilots()) == 3, 20)
    assert unit.poll() is None
