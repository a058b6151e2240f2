"""Processes as the kernel shows them: found by what they are, held by descriptors, never by name.

A program is recognised by its working directory, which no other program of the fleet shares, so
the agent finds again what an earlier agent started without any record that could be wrong.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

PR_SET_CHILD_SUBREAPER = 36
"""From Linux' prctl(2)."""
TICKS = os.sysconf("SC_CLK_TCK")
"""Clock ticks of a second (proc(5))."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Which process it is: no other one of this machine's has both, whatever ends and begins.

    `started` is in clock ticks since the machine was.
    """

    pid: int
    started: int

    @classmethod
    def of(cls, pid: int) -> Identity | None:
        """That of a process that runs, None where there is none, or a zombie is left of it."""
        fields = _stat(pid)
        return cls(pid, int(fields[19])) if len(fields) > 19 and fields[0] != "Z" else None

    @property
    def age(self) -> float:
        """Seconds since it began."""
        return time.clock_gettime(time.CLOCK_BOOTTIME) - self.started / TICKS


@dataclass(frozen=True, slots=True)
class Process:
    """One process, held by a descriptor: signals reach it or nobody."""

    identity: Identity
    descriptor: int

    @classmethod
    def of(cls, pid: int) -> Process | None:
        """The process of that id, None where there is none. `close` it when done."""
        try:
            descriptor = os.pidfd_open(pid)
        except ProcessLookupError:
            return None
        # Read once it is held, so that it is of the same process.
        if (identity := Identity.of(pid)) is None:
            os.close(descriptor)
            return None
        return cls(identity, descriptor)

    @property
    def pid(self) -> int:
        """Its number, which another process may have once it has ended."""
        return self.identity.pid

    @property
    def is_alive(self) -> bool:
        """It has not ended (pidfd_open(2): the descriptor is readable once it has)."""
        poll = select.poll()
        poll.register(self.descriptor, select.POLLIN)
        return not poll.poll(0)

    def signal(self, number: signal.Signals) -> None:
        """Send a signal; nothing happens where it has ended."""
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self.descriptor, number)

    def close(self) -> None:
        """Let go of it."""
        os.close(self.descriptor)


def become_subreaper() -> None:
    """Orphaned descendants become this process's children."""
    import ctypes

    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_CHILD_SUBREAPER)")


def reap() -> None:
    """Collect every child that has ended."""
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG) != (0, 0):
            pass


def by_folder(uid: int | None = None) -> dict[str, list[int]]:
    """The processes of a user, else of this one, by working directory."""
    found: dict[str, list[int]] = {}
    for pid in pids_of(os.geteuid() if uid is None else uid):
        with contextlib.suppress(OSError):
            found.setdefault(os.readlink(f"/proc/{pid}/cwd"), []).append(pid)
    return found


def working_in(folder: os.PathLike[str]) -> list[int]:
    """The processes of this user whose working directory is `folder`; zombies have none."""
    wanted = os.path.realpath(folder)
    pids = []
    for pid in pids_of(os.geteuid()):
        with contextlib.suppress(OSError):
            if os.readlink(f"/proc/{pid}/cwd") == wanted:
                pids.append(pid)
    return pids


def works_in(pid: int, folder: os.PathLike[str]) -> bool:
    """Whether the working directory of that process is `folder`."""
    try:
        return os.readlink(f"/proc/{pid}/cwd") == os.path.realpath(folder)
    except OSError:
        return False


def is_left_alone(pid: int) -> bool:
    """Whether the process that began its session has ended.

    A session that was begun outside of this container has the number 0, and nobody knows.
    """
    try:
        leader = os.getsid(pid)
    except ProcessLookupError:
        return False
    if leader == 0:
        return False
    return not Path(f"/proc/{leader}").exists() or _stat(leader)[:1] == ["Z"]


def is_session_leader(pid: int) -> bool:
    """Whether it began its own session, as all programs of the fleet do."""
    try:
        return os.getsid(pid) == pid
    except ProcessLookupError:
        return False


def executable(pid: int) -> str:
    """The file that it runs; empty when it has ended."""
    try:
        return os.readlink(f"/proc/{pid}/exe").removesuffix(" (deleted)")
    except OSError:
        return ""


def children(pid: int) -> list[int]:
    """The processes that it has begun and that have not ended."""
    try:
        return [int(p) for p in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def parent(pid: int) -> int | None:
    """Who has started it, or looks after it since; None where it has ended."""
    fields = _stat(pid)
    return int(fields[1]) if len(fields) > 1 else None


def title(pid: int) -> str:
    """What it calls itself, which may be anything; empty when it has ended."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").rstrip("\0 ")
    except OSError:
        return ""


def start_time(pid: int) -> int:
    """When it was started, in clock ticks since the machine was; 0 when it has ended."""
    fields = _stat(pid)
    return int(fields[19]) if len(fields) > 19 else 0


def cpu_seconds(pid: int) -> float | None:
    """What it, its children, and those of them that have ended have used of CPUs, if it runs."""
    used = _ticks(pid, 4)
    return None if used is None else (used + sum(_ticks(c, 2) or 0 for c in children(pid))) / TICKS


def _ticks(pid: int, fields: int) -> int | None:
    """utime and stime, and those of its ended children (proc(5), fields 14 to 17 of stat)."""
    found = _stat(pid)[11 : 11 + fields]
    return sum(map(int, found)) if len(found) == fields else None


def is_stopped(pid: int) -> bool:
    """Whether it is frozen by a signal or a debugger."""
    return _stat(pid)[:1] in (["T"], ["t"])


def pids_of(uid: int) -> Iterator[int]:
    """All processes of a user."""
    for entry in os.scandir("/proc"):
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                if entry.stat().st_uid == uid:
                    yield int(entry.name)


def _stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat from the state on (proc(5), field 3)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []
