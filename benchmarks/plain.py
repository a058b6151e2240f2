"""Plain PostgreSQL: the floor that a fleet is measured against.

Clusters made with initdb, pg_ctl and pg_basebackup, reached over Unix sockets, with no failover,
no TLS and no pooler; nothing that a fleet does for its users, but all that the machine must do.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import psycopg
from sandbox import as_postgres, working_in

from pgherd.engines.local import postgres

T = TypeVar("T")

AT_ONCE = 6
SETTINGS = """
listen_addresses = ''
wal_keep_size = '128MB'
shared_buffers = '32MB'
"""


@dataclass(frozen=True, slots=True)
class Server:
    """One PostgreSQL server below `folder`."""

    folder: Path

    @property
    def data(self) -> Path:
        """Its data directory."""
        return self.folder / "data"

    @property
    def parameters(self) -> dict[str, str]:
        """How to connect as its superuser."""
        return {"host": str(self.folder), "dbname": "postgres", "user": "postgres"}

    def make(self, settings: str = "") -> None:
        """A new cluster, started."""
        self._make_folder()
        program("initdb", "-D", self.data, "-k", "-E", "UTF8", "--locale=C.UTF-8", "--auth=trust")
        with (self.data / "postgresql.conf").open("a") as file:
            file.write(f"{SETTINGS}{settings}unix_socket_directories = '{self.folder}'\n")
        self.start()

    def copy(self, primary: Server, settings: str = "") -> None:
        """A streaming replica of `primary`, started."""
        self._make_folder()
        program(
            "pg_basebackup",
            *("-h", primary.folder, "-U", "postgres", "-D", self.data),
            *("-R", "-c", "fast", "-X", "stream"),
        )
        with (self.data / "postgresql.conf").open("a") as file:
            file.write(f"{settings}unix_socket_directories = '{self.folder}'\n")
        self.start()

    def start(self) -> None:
        """Start it and wait until it accepts connections."""
        program("pg_ctl", "-w", "-s", "-D", self.data, "-l", self.folder / "log", "start")

    def stop(self) -> None:
        """Stop it in order."""
        program("pg_ctl", "-w", "-s", "-D", self.data, "-m", "fast", "stop")

    def kill(self) -> None:
        """End all of its processes at once."""
        while pids := working_in(self.data):
            for pid in pids:
                os.kill(pid, signal.SIGKILL)
            time.sleep(0.001)

    def is_in_recovery(self) -> bool:
        """Whether it is a replica; raises where it does not answer."""
        with psycopg.connect(**self.parameters) as connection:  # type: ignore[arg-type]
            row = connection.execute("SELECT pg_is_in_recovery()").fetchone()
        assert row
        return bool(row[0])

    def _make_folder(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        if os.geteuid() == 0:
            shutil.chown(self.folder, "postgres", "postgres")


@dataclass(frozen=True, slots=True)
class PlainFleet:
    """Databases, each a primary and its replicas."""

    databases: Sequence[Sequence[Server]]

    @classmethod
    def of(cls, folder: Path, sizes: Iterable[int]) -> PlainFleet:
        """Databases below `folder` with so many servers each."""
        return cls(
            [
                [Server(folder / f"{number}.{i}") for i in range(1, size + 1)]
                for number, size in enumerate(sizes, start=1)
            ]
        )

    @property
    def servers(self) -> list[Server]:
        """Every server."""
        return [server for database in self.databases for server in database]

    def make(self) -> float:
        """Create and start them, six databases at a time; the seconds it took."""
        began = time.monotonic()
        _each(_make, self.databases)
        return time.monotonic() - began

    def start(self) -> float:
        """Start all that were stopped, six at a time; the seconds it took."""
        began = time.monotonic()
        _each(Server.start, self.servers)
        return time.monotonic() - began

    def stop(self) -> float:
        """Stop all, six at a time; the seconds it took."""
        began = time.monotonic()
        _each(Server.stop, self.servers)
        return time.monotonic() - began

    def kill(self) -> None:
        """Nothing of it runs any more."""
        for server in self.servers:
            server.kill()

    def serving(self) -> int:
        """How many servers answer and are what they should be, a primary or a replica."""
        return sum(
            server.is_in_recovery() is (server is not database[0])
            for database in self.databases
            for server in database
        )

    def pids(self) -> list[int]:
        """All processes."""
        return working_in(*(server.data for server in self.servers))


def _make(database: Sequence[Server]) -> None:
    primary, *replicas = database
    primary.make()
    with ThreadPoolExecutor(max(1, len(replicas))) as pool:
        list(pool.map(lambda replica: replica.copy(primary), replicas))


def _each(work: Callable[[T], None], items: Sequence[T]) -> None:
    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(work, items))


def program(name: str, *arguments: object) -> None:
    """Run one of PostgreSQL's programs as the user that may."""
    _, folder = postgres.choose(None)
    done = subprocess.run(
        [str(folder / name), *map(str, arguments)],
        check=False,
        cwd="/",
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE if name != "pg_ctl" else subprocess.DEVNULL,
        **as_postgres(),
    )
    if done.returncode != 0:
        raise RuntimeError(f"{name} failed: {(done.stderr or b'').decode()[-500:]}")
