"""Control groups (cgroups(7)): what each instance may use of this machine's CPU, and what it uses.

Root makes a group for each instance and sets its quota; the data plane's user may move its own
processes in and out, and nothing else. Only PostgreSQL's are moved in, by the agent, once their
server serves: starts and recoveries, and all else of the data plane, never wait for a quota.

In v1 each resource has a tree of its own, and the empty tree of v2 that may be beside them tells of
pressure. In v2 there is one tree for everything. Who moves a process in a tree of v2 needs the
group that both ends have in common, so the agent itself is in one of the fleet's groups there.

Another user than root does all of it in a group of v2 that systemd has delegated (`control_trees`).
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from pgherd.engines.local import control_trees
from pgherd.engines.local.control_trees import AGENT, Trees, folder_of, group_of, words
from pgherd.files import Owner
from pgherd.fleet.desired import DatabaseId

PERIOD = 100_000
"""Microseconds. Shorter ones cost throughput: half of it at 10,000 with a tenth of a core."""
LEAST_QUOTA = 1000
"""Microseconds: the kernel takes no less (kernel/sched/core.c, min_cfs_quota_period)."""
OTHERS = "others"
"""Where those are that began in a group which was delegated."""


@dataclass(frozen=True, slots=True)
class Quota:
    """Microseconds of CPU in each PERIOD, and what may be saved up of them; None for no limit."""

    microseconds: int | None

    @classmethod
    def of(cls, cores: float, machine: int) -> Quota:
        """So many cores of a machine that has `machine`; all of them is no limit."""
        if cores >= machine:
            return cls(None)
        return cls(max(LEAST_QUOTA, round(cores * PERIOD)))


class ControlGroups:
    """Those of the fleet whose state folder is `root`."""

    def __init__(self, trees: Trees, root: Path) -> None:
        self._trees = trees
        self._fleet = folder_of(root)

    # What root does

    def ensure(self, owner: Owner) -> None:
        """The fleet has its own group; OSError where this user may not make one."""
        for tree in self._trees.all:
            is_unified = tree == self._trees.unified
            pgherd = _made(tree / self._fleet.parent)
            if is_unified:
                if self._trees.is_delegated:
                    _empty(tree, pgherd / OTHERS)
                _enable(tree)
                _enable(pgherd)
            fleet = _made(tree / self._fleet)
            _give(fleet, owner)
            if is_unified:
                _enable(fleet)
                _give(_made(fleet / AGENT), owner)

    def limit(self, owner: Owner, id: DatabaseId, number: int, quota: Quota) -> None:
        """An instance has a group, and may use so much; at once, whatever runs in it."""
        if not (self._trees.cpu / self._fleet).is_dir():
            self.ensure(owner)
        for tree in self._trees.all:
            _give(_made(self._group(tree, id, number)), owner)
        group = self._group(self._trees.cpu, id, number)
        _write_quota(group, quota, is_v2=self._trees.is_v2)

    def forget(self, id: DatabaseId, number: int) -> None:
        """An instance has no group any more, where nothing is left in it."""
        for tree in self._trees.all:
            with suppress(OSError):
                self._group(tree, id, number).rmdir()

    def forget_fleet(self) -> None:
        """Nor has the fleet, where nothing is left of it."""
        for tree in self._trees.all:
            fleet = tree / self._fleet
            for folder in (fleet / AGENT, fleet, fleet.parent / OTHERS, fleet.parent):
                with suppress(OSError):
                    folder.rmdir()

    @contextmanager
    def as_agent(self, owner: Owner) -> Iterator[None]:
        """What is started meanwhile may move others in a tree of v2, where that can be."""
        if self._trees.unified is None:
            yield
            return
        place = self._trees.unified / self._fleet / AGENT / "cgroup.procs"
        with suppress(OSError):
            self.ensure(owner)
        before = group_of("self") or ""
        with suppress(OSError):
            _write(place, "0")
        try:
            yield
        finally:
            with suppress(OSError):
                mount = self._trees.mount or self._trees.unified
                _write(Path(f"{mount}{before}") / "cgroup.procs", "0")

    # What the agent does

    def has(self, id: DatabaseId, number: int) -> bool:
        """An instance has a group."""
        return self._group(self._trees.cpu, id, number).is_dir()

    def holds(self, id: DatabaseId, number: int, pid: int) -> bool:
        """Whether a process is in the group of an instance."""
        group = self._group(Path("/"), id, number)
        try:
            lines = Path(f"/proc/{pid}/cgroup").read_text().splitlines()
        except OSError:
            return False
        return any(line.endswith(str(group)) for line in lines)

    def take_in(self, id: DatabaseId, number: int, pids: Iterable[int]) -> None:
        """These processes, and what they fork, are limited from now on.

        OSError where this may not be. Those that have ended are passed over.
        """
        self._move(pids, {tree: self._group(tree, id, number) for tree in self._trees.all})

    def let_out(self, pids: Iterable[int]) -> None:
        """These processes, and what they fork, are not limited any more; OSError as above."""
        fleets = {tree: tree / self._fleet for tree in self._trees.all}
        if unified := self._trees.unified:
            fleets[unified] /= AGENT
        self._move(pids, fleets)

    def _move(self, pids: Iterable[int], groups: Mapping[Path, Path]) -> None:
        for pid in pids:
            for tree, group in groups.items():
                try:
                    _write(group / "cgroup.procs", str(pid))
                except ProcessLookupError:
                    break
                except OSError:
                    if tree == self._trees.cpu:  # the others only tell of it
                        raise

    def used(self, id: DatabaseId, number: int) -> Used:
        """What an instance has used since its group was made."""
        trees = self._trees
        cpu = _numbers(self._group(trees.cpu, id, number) / "cpu.stat")
        return Used(
            cpu_seconds=self._cpu_seconds(id, number),
            periods=cpu.get("nr_periods"),
            throttled_periods=cpu.get("nr_throttled"),
            throttled_seconds=_seconds(cpu.get("throttled_usec"), 10**6)
            or _seconds(cpu.get("throttled_time"), 10**9),
            waited_seconds=self._waited_seconds(id, number),
            memory_bytes=self._memory_bytes(id, number),
        )

    def _cpu_seconds(self, id: DatabaseId, number: int) -> float | None:
        trees = self._trees
        if trees.is_v2:
            stat = _numbers(self._group(trees.cpu, id, number) / "cpu.stat")
            return _seconds(stat.get("usage_usec"), 10**6)
        if trees.usage is None:
            return None
        return _seconds(_number(self._group(trees.usage, id, number) / "cpuacct.usage"), 10**9)

    def _waited_seconds(self, id: DatabaseId, number: int) -> float | None:
        """Unknown where nobody was moved there."""
        if self._trees.unified is None:
            return None
        group = self._group(self._trees.unified, id, number)
        if not _numbers(group / "cgroup.events").get("populated"):
            return None
        return _pressure(group / "cpu.pressure")

    def _memory_bytes(self, id: DatabaseId, number: int) -> int | None:
        """What cannot be taken back: memory.stat is one file, and agrees with smaps_rollup."""
        if self._trees.memory is None:
            return None
        group = self._group(self._trees.memory, id, number)
        stat = _numbers(group / "memory.stat")
        if self._trees.is_v2:
            parts = [stat.get(name) for name in ("anon", "shmem", "kernel")]
        else:
            parts = [stat.get(name) for name in ("total_rss", "total_shmem")]
            parts.append(_number(group / "memory.kmem.usage_in_bytes"))
        known = [part for part in parts if part is not None]
        return sum(known) if len(known) >= 2 else None

    def _group(self, tree: Path, id: DatabaseId, number: int) -> Path:
        return tree / self._fleet / f"{id.environment}.{id.service}.{number}"


@dataclass(frozen=True, slots=True)
class Used:
    """What a group has used since it was made; each None where it is not known.

    `throttled_seconds` is how long its processes were kept from running by the quota, together;
    `waited_seconds` how long some of them waited for a CPU, for whatever reason (PSI).
    """

    cpu_seconds: float | None = None
    periods: int | None = None
    throttled_periods: int | None = None
    throttled_seconds: float | None = None
    waited_seconds: float | None = None
    memory_bytes: int | None = None


def found(root: Path) -> ControlGroups | None:
    """The groups of a fleet on this machine; None where the kernel has none."""
    here = control_trees.found(root)
    return ControlGroups(here, root) if here else None


def _made(folder: Path) -> Path:
    """It is there, and all may enter it, whatever the mask of new files is."""
    with suppress(FileExistsError):
        folder.mkdir()
        folder.chmod(0o755)
    return folder


def _give(folder: Path, owner: Owner) -> None:
    """The data plane's user may move its processes here, and change nothing else."""
    if owner.is_another:
        os.chown(folder / "cgroup.procs", owner.uid, owner.gid)


def _empty(folder: Path, others: Path) -> None:
    """No process is in a group itself that was delegated: none may be where it has controllers."""
    for pid in words(folder / "cgroup.procs"):
        with suppress(ProcessLookupError):
            _write(_made(others) / "cgroup.procs", pid)


def _enable(folder: Path) -> None:
    """The groups below it have quotas and count memory, in v2."""
    lacking = {"cpu", "memory"} - set(words(folder / "cgroup.subtree_control"))
    for name in sorted(lacking & set(words(folder / "cgroup.controllers"))):
        _write(folder / "cgroup.subtree_control", f"+{name}")


def _write_quota(group: Path, quota: Quota, *, is_v2: bool) -> None:
    """What may be saved up is never more than the quota, not even in between."""
    burst = group / ("cpu.max.burst" if is_v2 else "cpu.cfs_burst_us")
    has_burst = burst.exists()
    if has_burst:
        _write(burst, "0")
    if is_v2:
        limit = "max" if quota.microseconds is None else str(quota.microseconds)
        _write(group / "cpu.max", f"{limit} {PERIOD}")
    else:
        _write(group / "cpu.cfs_period_us", str(PERIOD))
        _write(group / "cpu.cfs_quota_us", str(quota.microseconds or -1))
    if has_burst and quota.microseconds is not None:
        _write(burst, str(quota.microseconds))


def _write(file: Path, text: str) -> None:
    """In one call, as the kernel wants it, and never to a file that was not there."""
    descriptor = os.open(file, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(descriptor, text.encode())
    finally:
        os.close(descriptor)


def _numbers(file: Path) -> dict[str, int]:
    """A file with a name and a number on each line; empty where it cannot be read."""
    return dict(_pairs(file))


def _pairs(file: Path) -> Iterator[tuple[str, int]]:
    try:
        lines = file.read_text().splitlines()
    except OSError:
        return
    for line in lines:
        name, _, value = line.partition(" ")
        if value.isdecimal():
            yield name, int(value)


def _number(file: Path) -> int | None:
    try:
        return int(file.read_text())
    except (OSError, ValueError):
        return None


def _seconds(count: int | None, per_second: int) -> float | None:
    return None if count is None else count / per_second


def _pressure(file: Path) -> float | None:
    """How long some process waited, in seconds (the kernel's Documentation/accounting/psi.rst)."""
    try:
        found = re.search(r"^some .*total=(\d+)", file.read_text(), re.MULTILINE)
    except OSError:
        return None
    return int(found[1]) / 1e6 if found else None
