"""A tiny fleet in a folder of its own, as its user meets it: through the commands.

One environment, `lab`: auth has a replica, order has none.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import psycopg
from own_folder import own_folder

T = TypeVar("T")

FLEET = """\
fleet: tiny
services: [{services}]
environments:
  lab:
    engine: local
    network: 10.0.0.0/16
    availability_domains: 2
    ocpus: {ocpus}
    storage: 1TB
    replicas: 0..2
{more}
{overrides}
"""


@dataclass(frozen=True)
class Place:
    """A folder with a fleet file and the state of its fleet."""

    folder: Path
    fleet: str = "tiny"
    has_autopilot: bool = False
    """Most tests want nothing to happen that they did not do."""

    @property
    def root(self) -> Path:
        return self.folder / "state" / self.fleet

    def want(
        self,
        services: str = "auth, order",
        ocpus: str = "1..4",
        replicas: str = "1..2",
        more: str = "",
        overrides: str | None = None,
    ) -> None:
        if overrides is None:
            overrides = f"overrides:\n  lab/auth: {{replicas: {replicas}}}"
        text = FLEET.format(services=services, ocpus=ocpus, more=more, overrides=overrides)
        (self.folder / "fleet.yaml").write_text(text)

    def start(
        self,
        *arguments: str,
        before: Sequence[str] = (),
        variables: Mapping[str, str] | None = None,
    ) -> subprocess.Popen[str]:
        """A command of pgherd; what stands `before` it starts it."""
        if arguments[:1] == ("up",) and not self.has_autopilot:
            arguments = (*arguments, "--no-autopilot")
        return subprocess.Popen(
            [*before, sys.executable, "-m", "pgherd", *arguments],
            cwd=self.folder,
            env={**os.environ, "PGHERD_STATE": str(self.root.parent), **(variables or {})},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, *arguments: str, exit_code: int = 0) -> str:
        ended_with, output = self.outcome(*arguments)
        assert ended_with == exit_code, output
        return output

    def outcome(self, *arguments: str) -> tuple[int, str]:
        with self.start(*arguments) as process:
            try:
                output, _ = process.communicate(timeout=180)
            except subprocess.TimeoutExpired as error:
                seen = self._unfinished() if arguments[0] == "up" else ""
                process.kill()
                output, _ = process.communicate()
                raise AssertionError(f"no end after 180 s:\n{output}\n{seen}") from error
        return process.returncode, output

    def _unfinished(self) -> str:
        """What each database that is not whole has come to, and what its programs say."""
        with self.start("status", "--json") as process:
            found, _ = json.JSONDecoder().raw_decode(process.communicate(timeout=60)[0])
        parts = []
        for database in found["databases"]:
            if {i["state"] for i in database["instances"]} - {"running", "streaming"}:
                name = f"{database['environment']}/{database['service']}"
                with self.start("logs", name) as process:
                    parts.append(f"{database}\n{process.communicate(timeout=60)[0]}")
        parts += (self.root / "log/agent.log").read_text().splitlines()[-100:]
        return "\n".join(parts)

    def up(self) -> str:
        return self.run("up")

    def databases(self) -> dict[str, Any]:
        # It ends with 3 where something cannot be seen, as while etcd starts again.
        ended_with, output = self.outcome("status", "--json")
        assert ended_with in (0, 3), output
        found, _ = json.JSONDecoder().raw_decode(output)  # what it could not see comes after
        return {d["service"]: d for d in found["databases"]}

    def instances(self, service: str) -> list[str]:
        return sorted(i["state"] for i in self.databases()[service]["instances"])

    def manifest(self, service: str) -> dict[str, Any]:
        content: dict[str, Any] = json.loads(self.path(service, "database.json").read_text())
        return content

    def path(self, service: str, *parts: str) -> Path:
        return self.root.joinpath("databases/lab", service, *parts)

    def kept(self, service: str, *parts: str) -> Path:
        return self.root.joinpath("instances/lab", service, *parts)

    def connect(self, service: str) -> psycopg.Connection[Any]:
        return psycopg.connect(self.run("url", f"lab/{service}").strip(), autocommit=True)

    def superuser(self, service: str) -> psycopg.Connection[Any]:
        url = self.run("url", f"lab/{service}", "--role", "operator").strip()
        return psycopg.connect(url, autocommit=True)

    def agents(self) -> list[int]:
        """The agent, its keeper and its fork server: all that works nowhere."""
        found = []
        for entry in Path("/proc").iterdir():
            with contextlib.suppress(OSError):
                words = (
                    (entry / "cmdline").read_bytes().split(b"\0") if entry.name.isdigit() else []
                )
                if (
                    os.fsencode(self.root) in words
                    and any(word.startswith(b"pgherd.engines.local.") for word in words)
                    and (entry / "cwd").readlink() == Path("/")
                ):
                    found.append(int(entry.name))
        return found

    def agent(self) -> int:
        """The one that listens, as soon as one does."""
        deadline = time.monotonic() + 15
        while True:
            with socket.socket(socket.AF_UNIX) as client:
                try:
                    client.connect(str(self.root / "run/agent.sock"))
                except OSError:
                    assert time.monotonic() < deadline, "no agent listens"
                    time.sleep(0.05)
                    continue
                credentials = client.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
            return int(struct.unpack("3i", credentials)[0])

    def keeper(self) -> int:
        """Who watches over the agent, and does nothing else."""
        (one,) = set(self._all_agents()) - {self.agent(), self.forkserver()}
        return one

    def forkserver(self) -> int:
        """Who starts programs for the agent."""
        (one,) = (
            pid
            for pid in self._all_agents()
            if b"pgherd.engines.local.forkserver" in Path(f"/proc/{pid}/cmdline").read_bytes()
        )
        return one

    def _all_agents(self) -> list[int]:
        """All three, once nobody of an earlier one is left."""
        eventually(lambda: len(self.agents()) == 3, 15)
        return self.agents()

    def autopilots(self) -> list[int]:
        """Its helper, controller and keeper."""
        folder = os.fsencode(self.root.with_name(f"{self.fleet}.applied"))
        found = []
        for entry in Path("/proc").iterdir():
            with contextlib.suppress(OSError):
                if entry.name.isdigit() and folder in (entry / "cmdline").read_bytes().split(b"\0"):
                    found.append(int(entry.name))
        return found

    def end_agents(self) -> None:
        """None runs any more, nor one that another has just begun."""
        quiet_looks = 0
        while quiet_looks < 10:
            found = self.agents()
            quiet_looks = 0 if found else quiet_looks + 1
            for pid in found:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.03)

    def processes(self) -> dict[int, Path]:
        """Those that work below the state folder, each with its working directory."""
        found = {}
        for entry in Path("/proc").iterdir():
            with contextlib.suppress(OSError):
                if entry.name.isdigit() and (cwd := (entry / "cwd").readlink()).is_relative_to(
                    self.folder
                ):
                    found[int(entry.name)] = cwd
        return found

    def leaders(self) -> dict[int, Path]:
        """What was started as a program of its own; of each PostgreSQL, the postmaster."""
        return {p: cwd for p, cwd in self.processes().items() if _is_program(p, cwd)}

    def program(self, *parts: str) -> int:
        """The one program that works in that folder."""
        (pid,) = (p for p, cwd in self.leaders().items() if cwd == self.root.joinpath(*parts))
        return pid

    def kill_all(self) -> None:
        """Nothing of it runs any more, nor what a fork server was about to start.

        As where the power fails: nobody is left for a moment to see that others have ended.
        """
        quiet_looks = 0
        while quiet_looks < 10:
            found = {*self.autopilots(), *self.processes(), *self.agents()}
            quiet_looks = 0 if found else quiet_looks + 1
            for number in (signal.SIGSTOP, signal.SIGKILL):
                for pid in found:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, number)
            time.sleep(0.02)


def _is_program(pid: int, cwd: Path) -> bool:
    """PostgreSQL's own children begin sessions too."""
    with contextlib.suppress(OSError, ValueError):
        if cwd.name == "data":
            return int((cwd / "postmaster.pid").read_text().split()[0]) == pid
        return os.getsid(pid) == pid
    return False


def eventually(condition: Callable[[], T], seconds: float) -> T:
    """The first true value of `condition`; an AssertionError when there is none in time."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, f"not so after {seconds} s"
        time.sleep(0.1)
    return value


def answers(place: Place, service: str) -> bool:
    with contextlib.suppress(psycopg.Error), place.connect(service) as connection:
        return connection.execute("SELECT 1").fetchone() == (1,)
    return False


@contextlib.contextmanager
def listening(address: str, port: int) -> Iterator[None]:
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind((address, port))
        other.listen()
        yield


@contextlib.contextmanager
def new_place(fleet: str = "tiny", *, has_autopilot: bool = False) -> Iterator[Place]:
    folder = own_folder("e-", f"state/{fleet}")
    place = Place(folder, fleet, has_autopilot)
    place.want()
    try:
        yield place
    finally:
        place.kill_all()
        shutil.rmtree(folder)
