"""Where the groups of a user who is not root may be: in a tree of v2 that is a folder here."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from pgherd.engines.local import control_trees, processes
from pgherd.engines.local.control_groups import OTHERS, ControlGroups, Quota
from pgherd.engines.local.control_trees import AGENT, Trees, folder_of, found, lack
from pgherd.files import Owner
from pgherd.fleet.desired import DatabaseId

AUTH = DatabaseId("production", "auth")
OURS = Owner(os.geteuid(), os.getegid(), "somebody")
MANAGER = "/user.slice/user-1000.slice/user@1000.service"
UNIT = f"{MANAGER}/app.slice/pgherd-shop.service"
SCOPE = f"{MANAGER}/app.slice/run-1.scope"
FILES = {
    "cgroup.procs": "",
    "cgroup.subtree_control": "",
    "cgroup.controllers": "cpu memory pids\n",
    "cpu.max": "max 100000",
}


class Machine:
    """A tree of v2 and /proc, as a user sees them."""

    def __init__(self, folder: Path) -> None:
        self.mount, self.proc = folder / "cgroup", folder / "proc"
        self.root = folder / "state" / "shop"
        self.marked: set[Path] = set()
        (self.proc / "self").mkdir(parents=True)
        (self.proc / "self/mounts").write_text(f"cgroup2 {self.mount} cgroup2 rw 0 0\n")
        self.group("")
        self.be_in("/user.slice/user-1000.slice/session-3.scope")

    def group(self, name: str, *, delegated: bool = False, lacking: str = "") -> Path:
        folder = Path(f"{self.mount}{name}")
        folder.mkdir(parents=True, exist_ok=True)
        for file, text in FILES.items():
            if file != lacking:
                (folder / file).write_text(text)
        self.marked |= {folder} if delegated else set()
        return folder

    def be_in(self, name: str) -> None:
        (self.proc / "self/cgroup").write_text(f"1:name=systemd:/\n0::{name}\n")

    def fleets(self, base: str) -> str:
        return f"{base}/{folder_of(self.root)}"


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    found = Machine(tmp_path)

    def mark(folder: Path, name: str) -> bytes:
        assert name == "user.delegate"
        if folder not in found.marked:
            raise OSError(61, "no data available")
        return b"1"

    monkeypatch.setattr(control_trees, "PROC", found.proc)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr(os, "getxattr", mark)
    return found


@pytest.fixture
def start_agent(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """The fleet's agent runs as this user, in that group."""
    folder = machine.proc / "77"

    def start(group: str) -> None:
        folder.mkdir()
        words = ["python", "-m", "pgherd.engines.local.agent", str(machine.root)]
        (folder / "cmdline").write_bytes(b"\0".join(map(os.fsencode, words)))
        (folder / "cgroup").write_text(f"0::{group}\n")
        pids = {1000: [76, 77]}  # the first has ended meanwhile
        monkeypatch.setattr(processes, "pids_of", lambda uid: pids[uid])

    return start


def test_a_session_has_none(machine: Machine) -> None:
    assert "session-3.scope is not delegated to this user" in lack(machine.root)
    machine.group("/user.slice/user-1000.slice/session-3.scope")  # it is writable
    assert "session-3.scope is not delegated to this user" in lack(None)


def test_a_unit_has_some_beside_the_group_of_its_processes(machine: Machine) -> None:
    machine.group(UNIT, delegated=True)
    machine.be_in(f"{UNIT}/autopilot")
    for root in (None, machine.root):
        assert lack(root) == ""
        assert found(root) == Trees.below(machine.mount, UNIT)


def test_a_unit_whose_processes_are_in_its_own_group_has_none(machine: Machine) -> None:
    """Systemd before 254: it could not begin the unit again."""
    machine.group(UNIT, delegated=True)
    machine.be_in(UNIT)
    assert "is not delegated" in lack(machine.root)


@pytest.mark.parametrize("lacking", ["cgroup.procs", "cgroup.subtree_control"])
def test_what_cannot_be_written_is_not_delegated(machine: Machine, lacking: str) -> None:
    machine.group(UNIT, delegated=True, lacking=lacking)
    machine.be_in(f"{UNIT}/autopilot")
    assert "is not delegated" in lack(machine.root)


def test_without_the_controller_there_is_no_quota(machine: Machine) -> None:
    folder = machine.group(UNIT, delegated=True)
    (folder / "cgroup.controllers").write_text("memory pids\n")
    machine.be_in(f"{UNIT}/autopilot")
    assert lack(machine.root) == f"{folder} has no controller of CPU"


def test_the_group_of_the_users_own_systemd_is_its_own(machine: Machine) -> None:
    machine.group(MANAGER, delegated=True)
    for group in (f"{MANAGER}/init.scope", MANAGER, f"{MANAGER}/app.slice"):
        machine.be_in(group)
        assert "is not delegated" in lack(machine.root)


def test_what_is_outside_of_a_namespace_is_nowhere(machine: Machine) -> None:
    machine.be_in("/../../elsewhere.scope")
    assert "this process is in no group below" in lack(machine.root)


def test_all_is_where_the_agent_is(machine: Machine, start_agent: Callable[[str], None]) -> None:
    machine.group(UNIT)
    start_agent(f"{machine.fleets(UNIT)}/{AGENT}")
    assert found(machine.root) == Trees.below(machine.mount, UNIT)
    assert lack(machine.root) == ""
    assert "is not delegated" in lack(None)  # for another fleet
    machine.group(SCOPE, delegated=True)
    machine.be_in(SCOPE)
    assert found(machine.root) == Trees.below(machine.mount, UNIT)


def test_an_agent_elsewhere_moves_nobody(
    machine: Machine, start_agent: Callable[[str], None]
) -> None:
    machine.group(UNIT, delegated=True)
    machine.be_in(f"{UNIT}/autopilot")
    start_agent("/user.slice/user-1000.slice/session-3.scope")
    assert "session-3.scope, where nothing is delegated" in lack(machine.root)


def test_the_agent_knows_its_own_groups(machine: Machine) -> None:
    machine.be_in(f"{machine.fleets(UNIT)}/{AGENT}")
    assert found(machine.root) == Trees.below(machine.mount, UNIT)
    machine.be_in(f"{machine.fleets('')}/{AGENT}")  # root has made them, at the top
    assert found(machine.root) == Trees(*[machine.mount] * 4)


def test_a_scope_is_emptied_before_it_has_controllers(machine: Machine) -> None:
    base = machine.group(SCOPE, delegated=True)
    (base / "cgroup.procs").write_text("17\n18\n")
    fleet = machine.fleets(SCOPE)
    parts = [f"{SCOPE}/pgherd", f"{SCOPE}/pgherd/{OTHERS}", fleet, f"{fleet}/{AGENT}"]
    folders = [machine.group(part) for part in (*parts, f"{fleet}/production.auth.1")]
    machine.be_in(SCOPE)
    assert lack(machine.root) == ""
    here = found(machine.root)
    assert here
    groups = ControlGroups(here, machine.root)
    groups.ensure(OURS)
    groups.limit(OURS, AUTH, 1, Quota(20_000))
    assert (folders[1] / "cgroup.procs").read_text() == "18"  # the last one that was written
    for folder in (base, folders[0], folders[2]):
        assert (folder / "cgroup.subtree_control").read_text() == "+memory"
    assert (folders[-1] / "cpu.max").read_text().startswith("20000 100000")

    machine.be_in(f"{SCOPE}/pgherd/{OTHERS}")
    assert found(machine.root) == here
    groups.take_in(AUTH, 1, [21])
    assert (folders[-1] / "cgroup.procs").read_text() == "21"
    groups.let_out([21])
    assert (folders[3] / "cgroup.procs").read_text() == "21"
    with groups.as_agent(OURS):
        assert (folders[3] / "cgroup.procs").read_text().startswith("0")
    assert (folders[1] / "cgroup.procs").read_text().startswith("0")


def test_what_is_no_scope_of_ours_is_not_emptied(tmp_path: Path) -> None:
    top = Trees(*[tmp_path] * 4)
    assert not top.is_delegated
    assert Trees.below(tmp_path, SCOPE).is_delegated
