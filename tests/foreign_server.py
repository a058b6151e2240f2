"""A PostgreSQL server that is none of the fleet's: what somebody moves in from."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg

from pgherd.engines.local import postgres

PASSWORD = r"p@ss:w\rd %41"
SHOP = "shop"


@dataclass(frozen=True, slots=True)
class ForeignServer:
    """One on loopback that asks for passwords; its superuser and `owner` have PASSWORD."""

    folder: Path
    port: int

    @property
    def data(self) -> Path:
        return self.folder / "data"

    def uri(self, role: str = "owner", password: str = PASSWORD, database: str = SHOP) -> str:
        secret = quote(password, safe="")
        return f"postgresql://{role}:{secret}@127.0.0.1:{self.port}/{quote(database)}"

    def connect(self, role: str = "postgres", database: str = SHOP) -> psycopg.Connection[Any]:
        return psycopg.connect(
            self.uri(role, database=database),
            autocommit=True,
            options="-c default_transaction_read_only=off",
        )

    def run(self, program: str, *arguments: object) -> None:
        _, programs = postgres.choose(None)
        who = pwd.getpwnam("postgres") if os.geteuid() == 0 else None
        rights: dict[str, Any] = {}
        if who is not None:
            rights = {"user": who.pw_uid, "group": who.pw_gid, "extra_groups": []}
        subprocess.run(
            [programs / program, *map(str, arguments)],
            check=True,
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            **rights,
        )

    def kill(self) -> None:
        """The server is gone at once."""
        pid = int((self.data / "postmaster.pid").read_text().split()[0])
        os.kill(pid, signal.SIGQUIT)

    def start(self) -> None:
        self.run("pg_ctl", "-w", "-s", "-D", self.data, "-l", self.folder / "log", "start")


@contextmanager
def foreign_server() -> Iterator[ForeignServer]:
    folder = Path(tempfile.mkdtemp(dir="/tmp", prefix="e-foreign-"))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        server = ForeignServer(folder, free.getsockname()[1])
    password = folder / "password"
    password.write_text(PASSWORD)
    if os.geteuid() == 0:
        shutil.chown(folder, "postgres", "postgres")
        shutil.chown(password, "postgres", "postgres")
    try:
        server.run(
            "initdb",
            *("-D", server.data, "-U", "postgres", "-E", "UTF8", "--locale=C.UTF-8"),
            *("-A", "scram-sha-256", f"--pwfile={password}"),
        )
        with (server.data / "postgresql.conf").open("a") as file:
            file.write(
                f"listen_addresses = '127.0.0.1'\nport = {server.port}\nfsync = off\n"
                f"unix_socket_directories = '{folder}'\nmax_prepared_transactions = 2\n"
            )
        server.start()
        yield server
    finally:
        if (server.data / "postmaster.pid").exists():
            server.run("pg_ctl", "-w", "-s", "-D", server.data, "-m", "immediate", "stop")
        shutil.rmtree(folder)
