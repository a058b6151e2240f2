"""A fleet to measure: its own state folder, driven as a user drives it, and removed at the end."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pgherd.engines.known import sections
from pgherd.fleet.desired import Fleet
from pgherd.fleet.load import load

CLONE = Path(__file__).resolve().parent.parent
PROGRAM = CLONE / "bin/pgherd"
TICKS = os.sysconf("SC_CLK_TCK")

KINDS = (
    "postgres",
    "patroni",
    "pgbouncer",
    "etcd",
    "agent",
    "fork server",
    "autopilot",
    "other",
)
CONTROL_PLANE = ("agent", "fork server")


class FailedError(Exception):
    """A command of the fleet did not do what it should."""


@dataclass(frozen=True, slots=True)
class Run:
    """One command: how long it took and what it printed."""

    seconds: float
    output: str


@dataclass(frozen=True, slots=True)
class Sandbox:
    """One fleet in a state folder of its own."""

    state: Path
    file: Path
    wanted: Fleet
    logs: Path | None = None
    """Where to keep a copy of its logs."""
    program: Path = PROGRAM
    has_autopilot: bool = False
    """Where nothing may happen that the benchmark does not do, there is none."""

    @property
    def root(self) -> Path:
        """Where the fleet's state lies."""
        return self.state / self.wanted.name

    def run(self, *arguments: str, seconds: float = 900) -> Run:
        """Run a command of pgherd and time it; FailedError when it fails."""
        if arguments[:1] == ("up",) and not self.has_autopilot and self.program == PROGRAM:
            arguments = (*arguments, "--no-autopilot")
        variables = {**os.environ, "PGHERD_STATE": str(self.state), "PGHERD_FILE": str(self.file)}
        began = time.monotonic()
        done = subprocess.run(
            [str(self.program), *arguments],
            check=False,
            env=variables,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=seconds,
        )
        took = time.monotonic() - began
        if done.returncode != 0:
            command = " ".join(("pgherd", *arguments))
            raise FailedError(
                f"{command} ended with {done.returncode} after {took:.1f} s:\n"
                f"{done.stdout[-2000:]}{done.stderr[-4000:]}"
            )
        return Run(took, done.stdout)

    def serving(self) -> int:
        """How many instances serve."""
        status = json.loads(self.run("status", "--json").output)
        return sum(
            instance["state"] in ("running", "streaming")
            for database in status["databases"]
            for instance in database["instances"]
        )

    def destroy(self, seconds: float = 600) -> Run:
        """Delete all of it, protected or not; its logs are kept, if wanted."""
        if self.logs and (self.root / "log").is_dir():
            shutil.copytree(self.root / "log", self.logs, dirs_exist_ok=True)
        names = (environment.name for environment in self.wanted.environments)
        flags = (word for name in names for word in ("--yes-destroy", name))
        return self.run("destroy", *flags, seconds=seconds)

    def processes(self) -> dict[int, str]:
        """Every process of the fleet and its kind."""
        found = {**dict(self._agents()), **dict.fromkeys(self._autopilots(), "autopilot")}
        for pid in _pids():
            folder = _link(pid, "cwd")
            if folder == str(self.root) or folder.startswith(f"{self.root}/"):
                found[pid] = _kind(pid)
        return found

    def expect_silence(self, after: str, seconds: float = 5.0) -> None:
        """FailedError where processes of the fleet go on running after a command."""
        deadline = time.monotonic() + seconds
        while left := self.processes():
            if time.monotonic() > deadline:
                kinds = ", ".join(sorted(left.values()))
                raise FailedError(f"{seconds:.0f} s after pgherd {after} still run: {kinds}")
            time.sleep(0.1)

    def _agents(self) -> Iterator[tuple[int, str]]:
        """The agent, its keeper and its fork server: they work nowhere."""
        root, module = os.fsencode(self.root), b"pgherd.engines.local."
        for pid in _pids():
            words = _command(pid)
            if root in words and any(w.startswith(module) for w in words) and _works_nowhere(pid):
                if b"pgherd.engines.local.forkserver" in words:
                    yield pid, "fork server"
                else:
                    yield pid, "agent" if _listens(pid, self.root / "run/agent.sock") else "keeper"

    def _autopilots(self) -> Iterator[int]:
        """Its helper, controller and keeper."""
        folder = os.fsencode(self.root.with_name(f"{self.wanted.name}.applied"))
        return (pid for pid in _pids() if folder in _command(pid))

    def remove(self) -> None:
        """Nothing of it is left: no process, no file."""
        if self.root.is_dir():
            with contextlib.suppress(FailedError, subprocess.TimeoutExpired):
                self.destroy(seconds=300)
        deadline = time.monotonic() + 20
        while (left := self.processes()) and time.monotonic() < deadline:
            for pid in left:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.2)
        shutil.rmtree(self.state, ignore_errors=True)


@contextmanager
def sandbox(
    file: Path | str,
    logs: Path | None = None,
    program: Path = PROGRAM,
    *,
    has_autopilot: bool = False,
) -> Iterator[Sandbox]:
    """A fleet that is not there yet; `file` is a fleet file, or the text of one."""
    with folder() as state:
        if isinstance(file, str):
            path = state / "fleet.yaml"
            path.write_text(file)
        else:
            path = file
        fleet = Sandbox(state, path, load(path, sections()), logs, program, has_autopilot)
        try:
            yield fleet
        finally:
            fleet.remove()


@contextmanager
def folder() -> Iterator[Path]:
    """A new folder with a short path, which every user may enter."""
    path = Path(tempfile.mkdtemp(prefix="b-", dir="/tmp"))
    path.chmod(0o755)
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def memory(pids: Sequence[int]) -> int:
    """The sum of the proportional set sizes, in bytes: shared pages are counted once."""
    total = 0
    for pid in pids:
        with contextlib.suppress(OSError):
            for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
                if line.startswith("Pss:"):
                    total += int(line.split()[1]) * 1024
    return total


def cpu_seconds(pids: Sequence[int]) -> float:
    """CPU time that the processes, and all their children that have ended, have used so far.

    The difference of two sums over a whole fleet counts processes that came and went between
    them too, since a parent that is in the fleet takes its children's time over.
    """
    ticks = 0
    for pid in pids:
        if fields := _stat(pid):
            ticks += sum(int(field) for field in fields[11:15])
    return ticks / TICKS


def working_in(*folders: Path) -> list[int]:
    """The processes whose working directory is one of `folders`."""
    wanted = {os.path.realpath(folder) for folder in folders}
    return [pid for pid in _pids() if _link(pid, "cwd") in wanted]


def started_at(pid: int) -> int:
    """When a process began, in ticks since boot: with its id it is one process for good."""
    return int(fields[19]) if (fields := _stat(pid)) else 0


def as_postgres() -> dict[str, Any]:
    """What makes a program run as an unprivileged user, where this one is root."""
    if os.geteuid() != 0:
        return {}
    return {"user": "postgres", "group": "postgres", "extra_groups": []}


def _kind(pid: int) -> str:
    name = Path(_link(pid, "exe").removesuffix(" (deleted)")).name
    if name.startswith("python"):
        return "patroni"
    return name if name in KINDS else "other"


def _pids() -> list[int]:
    return [int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit()]


def _link(pid: int, name: str) -> str:
    try:
        return os.readlink(f"/proc/{pid}/{name}")
    except OSError:
        return ""


def _command(pid: int) -> list[bytes]:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[:-1]
    except OSError:
        return []


def _listens(pid: int, path: Path) -> bool:
    """Whether it is who began to listen there."""
    with socket.socket(socket.AF_UNIX) as client:
        try:
            client.connect(str(path))
        except OSError:
            return False
        credentials = client.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
    return bool(struct.unpack("3i", credentials)[0] == pid)


def _works_nowhere(pid: int) -> bool:
    return _link(pid, "cwd") == "/"


def _stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat from the state on (proc(5), field 3)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []
