"""A group of the real tree of v2 that a user without root was given: who can be moved there.

The controller of CPU need not be in that tree: it is given to v1 or v2 by the machine.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from pgherd.engines.local.control_trees import folder_of, trees

TREES = trees(Path("/proc/self/mounts").read_text())
MOUNT = TREES.unified if TREES else None
NOBODY = 65534
ROOT = Path("/nowhere/shop")
pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(
        os.geteuid() != 0 or MOUNT is None or not os.access(MOUNT, os.W_OK),
        reason="needs root, who can give a group of a tree of v2 to another user",
    ),
]
PROGRAM = """
import json, os, subprocess, sys
from pathlib import Path
from pgherd.engines.local.control_groups import ControlGroups, Quota
from pgherd.engines.local.control_trees import Trees, group_of
from pgherd.files import Owner
from pgherd.fleet.desired import DatabaseId

mount, name, root, user = Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3]), int(sys.argv[4])
base = mount / name
(base / "cgroup.procs").write_text("0")
os.setgroups([])
os.setgid(user)
os.setuid(user)
said = {"begin": group_of("self")}
groups = ControlGroups(Trees.below(mount, f"/{name}"), root)
owner, id = Owner(user, user, ""), DatabaseId("lab", "auth")
groups.ensure(owner)
said["left"] = (base / "cgroup.procs").read_text()
with groups.as_agent(owner):
    agent = subprocess.Popen(["/bin/sleep", "60"])
said |= {"agent": group_of(agent.pid), "command": group_of("self")}
try:
    groups.limit(owner, id, 1, Quota(20000))
except OSError as error:
    said["no quota"] = error.filename
groups.take_in(id, 1, [agent.pid])
said |= {"inside": group_of(agent.pid), "is held": groups.holds(id, 1, agent.pid)}
groups.let_out([agent.pid])
said["outside"] = group_of(agent.pid)
try:
    (mount / "cgroup.procs").write_text(str(agent.pid))
except OSError as error:
    said["refused"] = type(error).__name__
agent.kill()
agent.wait()
groups.forget(id, 1)
groups.forget_fleet()
said["groups"] = [path.name for path in base.rglob("*") if path.is_dir()]
print(json.dumps(said))
"""


@pytest.fixture
def base() -> Iterator[Path]:
    """A group as systemd gives it to the user of a scope."""
    assert MOUNT
    folder = MOUNT / f"pgherd-test-{os.getpid()}.scope"
    folder.mkdir()
    try:
        for path in (folder, folder / "cgroup.procs", folder / "cgroup.subtree_control"):
            os.chown(path, NOBODY, NOBODY)
        yield folder
    finally:
        below = [path for path in folder.rglob("*") if path.is_dir()]
        for path in (*sorted(below, reverse=True), folder):
            with suppress(FileNotFoundError):
                path.rmdir()


def test_a_user_moves_servers_in_and_out_of_what_was_delegated(base: Path) -> None:
    arguments = [str(MOUNT), base.name, str(ROOT), str(NOBODY)]
    done = subprocess.run(
        [sys.executable, "-P", "-s", "-c", PROGRAM, *arguments],
        check=True,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    said: dict[str, Any] = json.loads(done.stdout)
    fleet = f"/{base.name}/{folder_of(ROOT)}"
    has_quotas = "cpu" in (base / "cgroup.controllers").read_text().split()
    assert ("no quota" in said) == (not has_quotas)
    said.pop("no quota", None)
    assert said == {
        "begin": f"/{base.name}",
        "left": "",
        "agent": f"{fleet}/agent",
        "command": f"/{base.name}/pgherd/others",
        "inside": f"{fleet}/lab.auth.1",
        "is held": True,
        "outside": f"{fleet}/agent",
        "refused": "PermissionError",
        "groups": ["pgherd", "others"],  # this command is there still
    }
