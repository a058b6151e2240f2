"""Where on this machine a fleet's control groups are, or why they can be nowhere.

For root that is below the top of each tree. Another user has them where systemd has delegated a
group of v2, which it marks: that of the user's own unit (`Delegate=`), and not where systemd itself
moves processes about, however writable that is. All of a fleet's groups are where its agent is,
since that one moves servers.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from pgherd.engines.local import processes

AGENT = "agent"
"""Where the agent and all that it starts are, in v2."""
LONGEST_NAME = 64
PROC = Path("/proc")
_PGHERD = "pgherd"
_MARK = "user.delegate"
"""Of a group that systemd has delegated (systemd 251 and later)."""


@dataclass(frozen=True, slots=True)
class Trees:
    """The folders in which groups are made: for quotas, for what was used, for memory.

    `unified` is the tree of v2, which may be the one for all of it, or beside those of v1. `mount`
    is where it is mounted, where groups are made farther down, in a group that was delegated.
    """

    cpu: Path
    usage: Path | None
    memory: Path | None
    unified: Path | None
    mount: Path | None = None

    @classmethod
    def below(cls, mount: Path, group: str) -> Trees:
        """All in a group of v2, as /proc/PID/cgroup names it."""
        base = Path(f"{mount}{group}")
        return cls(base, base, base, base, mount)

    @property
    def is_v2(self) -> bool:
        """There is one tree for everything."""
        return self.cpu == self.unified

    @property
    def is_delegated(self) -> bool:
        """It is a group that systemd gave to this user, with whom it begins in it."""
        return self.mount is not None and self.mount != self.unified

    @property
    def all(self) -> tuple[Path, ...]:
        """Each of them once, that of the quotas first."""
        found = (self.cpu, self.usage, self.memory, self.unified)
        return tuple(dict.fromkeys(tree for tree in found if tree))


def trees(mounts: str) -> Trees | None:
    """The trees of this machine, from the text of /proc/self/mounts; None where there are none."""
    v1: dict[str, Path] = {}
    v2: Path | None = None
    for line in mounts.splitlines():
        _, place, kind, options, *_ = [*line.split(" "), "", "", "", ""]
        path = Path(re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), place))
        if kind == "cgroup2":
            v2 = v2 or path
        elif kind == "cgroup":
            for option in options.split(","):
                v1.setdefault(option, path)
    if "cpu" in v1:
        return Trees(v1["cpu"], v1.get("cpuacct"), v1.get("memory"), v2)
    return Trees(v2, v2, v2, v2) if v2 else None


def folder_of(root: Path) -> Path:
    """Where the groups of the fleet are whose state folder is `root`, in each tree."""
    digest = hashlib.sha256(os.fsencode(os.path.realpath(root))).hexdigest()[:8]
    name = re.sub(r"[^A-Za-z0-9_-]", "_", root.name)[:LONGEST_NAME]
    return Path(_PGHERD) / f"{name}-{digest}"


def found(root: Path | None) -> Trees | None:
    """Where the groups of the fleet at `root` are, or would be; None where the kernel has none."""
    return _looked_up(root)[0]


def lack(root: Path | None) -> str:
    """Why no quota can be set for that fleet by this user; empty where one can."""
    here, reason = _looked_up(root)
    if reason:
        return reason
    if here is None:
        return "no tree of control groups with CPU quotas is mounted"
    if not os.access(here.cpu, os.W_OK):
        return f"{here.cpu} is not writable for this user"
    if here.is_v2 and "cpu" not in words(here.cpu / "cgroup.controllers"):
        return f"{here.cpu} has no controller of CPU"
    return ""


def group_of(pid: int | str) -> str | None:
    """Where a process is in the tree of v2, as /proc names it; None where that is not known."""
    with suppress(OSError):
        for line in (PROC / f"{pid}/cgroup").read_text().splitlines():
            if line.startswith("0::"):
                return line.removeprefix("0::").rstrip("/")
    return None


def words(file: Path) -> list[str]:
    """Those in a file; none where it cannot be read."""
    try:
        return file.read_text().split()
    except OSError:
        return []


def _looked_up(root: Path | None) -> tuple[Trees | None, str]:
    """The trees, and why they are of no use where that is known already."""
    try:
        here = trees((PROC / "self/mounts").read_text())
    except OSError:
        here = None
    if here is None or not here.is_v2 or os.geteuid() == 0:
        return here, ""
    own, mount = group_of("self"), here.cpu
    if own is None or ".." in own:
        return here, f"this process is in no group below {mount}"
    if root is not None:
        agents = own if _base(own, root) is not None else _agents_group(root)
        if agents is not None:
            base = _base(agents, root)
            if base is not None:
                return (Trees.below(mount, base) if base else here), ""
            return here, f"the fleet's agent is in {mount}{agents}, where nothing is delegated"
    for group in _candidates(own):
        if _is_ours(Path(f"{mount}{group}")):
            return Trees.below(mount, group), ""
    return here, f"{mount}{own} is not delegated to this user (Delegate= of a unit of systemd)"


def _base(group: str, root: Path) -> str | None:
    """The group in which those of the fleet are, where an agent of its is in `group`."""
    end = f"/{folder_of(root) / AGENT}"
    return group.removesuffix(end) if group.endswith(end) else None


def _candidates(own: str) -> Iterator[str]:
    """Groups that may have been delegated with this process: its own scope, or that of its unit.

    A service is begun again by systemd, which puts nobody where groups with controllers are below:
    so its processes are in a group below it (DelegateSubgroup=).
    """
    if f"/{_PGHERD}/" in own:  # it was moved there by `ControlGroups.ensure`
        yield own.partition(f"/{_PGHERD}/")[0]
    elif own.endswith(".scope"):
        yield own
    elif (unit := own.rpartition("/")[0]).endswith(".service"):
        yield unit


def _is_ours(folder: Path) -> bool:
    files = (folder, folder / "cgroup.procs", folder / "cgroup.subtree_control")
    # A user's own systemd is in a delegated group, too, and looks after all that is in it.
    is_managers = folder.name.startswith("user@")
    return not is_managers and _is_marked(folder) and all(os.access(f, os.W_OK) for f in files)


def _is_marked(folder: Path) -> bool:
    try:
        return os.getxattr(folder, _MARK) == b"1"
    except OSError:
        return False


def _agents_group(root: Path) -> str | None:
    """Where the fleet's agent is, which runs as this user; None where none runs."""
    for pid in processes.pids_of(os.geteuid()):
        with suppress(OSError):
            line = (PROC / f"{pid}/cmdline").read_bytes().split(b"\0")
            if b"pgherd.engines.local.agent" in line and os.fsencode(root) in line:
                return group_of(pid)
    return None
