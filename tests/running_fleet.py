"""A small fleet that really runs, and the ways into it that integration tests need."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from pgherd.contract.access import AccessRole
from pgherd.engines.local import patroni
from pgherd.engines.local.engine import LocalEngine
from pgherd.engines.local.etcd_client import EtcdClient
from pgherd.engines.local.layout import Layout
from pgherd.engines.local.manifest import (
    DatabaseManifest,
    InstanceManifest,
    read_database,
    read_databases,
    read_environment,
    read_environments,
)
from pgherd.engines.local.values import LocalValues
from pgherd.errors import InputError
from pgherd.files import Owner
from pgherd.fleet.desired import Database, DatabaseId, Durability, Fleet, Pooling
from pgherd.pki.certificate import Place
from pgherd.testing.fleets import database, environment, fleet

T = TypeVar("T")

LOCAL = LocalValues(core_per_ocpu=0.1, memory_per_ocpu_bytes=64 * 2**20)
PRODUCTION = environment("production", engine="local", availability_domains=3, local=LOCAL)
STAGING = environment(
    "staging", engine="local", network="10.1.0.0/16", availability_domains=1, local=LOCAL
)
AUTH = DatabaseId("production", "auth")
ORDER = DatabaseId("production", "order")
STAGING_AUTH = DatabaseId("staging", "auth")


def small_fleet() -> Fleet:
    """Two services in production, with two replicas and with one; one of them in staging."""
    durable = Durability.SYNCHRONOUS
    return fleet(
        database("auth", PRODUCTION, ocpus=(1, 4), replicas=(2, 3), durability=durable),
        database("order", PRODUCTION, ocpus=(1, 4), replicas=(1, 3), durability=durable),
        database("auth", STAGING, ocpus=(1, 4)),
    )


@dataclass(frozen=True, slots=True)
class RunningFleet:
    """The fleet, its state folder, and the ways into it that tests need."""

    fleet: Fleet
    layout: Layout
    owner: Owner

    @property
    def engine(self) -> LocalEngine:
        """A new one each time, for an engine belongs to one event loop."""
        return LocalEngine(self.fleet.name, self.layout)

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run(work)

    def wanted(self, id: DatabaseId) -> Database:
        return self.fleet.database(id)

    def manifest(self, id: DatabaseId) -> DatabaseManifest:
        manifest = read_database(self.layout, id)
        assert manifest, f"{id} is not there"
        return manifest

    def leader(self, id: DatabaseId) -> InstanceManifest:
        """The instance that leads by etcd's word."""

        async def ask() -> str:
            environment = read_environment(self.layout, id.environment)
            assert environment
            async with EtcdClient.of(self.layout, environment) as client:
                _, keys = await client.range(f"{patroni.scope_prefix(id.service)}leader")
            return str(keys[0].value)

        leader = self.manifest(id).numbered(self.run(ask()))
        assert leader
        return leader

    def replicas(self, id: DatabaseId) -> list[InstanceManifest]:
        leader = self.leader(id)
        return [i for i in self.manifest(id).instances if i != leader]

    def switch_over(self, id: DatabaseId) -> None:
        """Another instance leads, once a replica streams: soon after an earlier change."""

        def is_done() -> bool:
            try:
                self.run(self.engine.switchover(id))
            except InputError:
                return False
            return True

        eventually(is_done, 30, pause=0.2)

    def through_pooler(
        self,
        id: DatabaseId,
        role: AccessRole = AccessRole.SERVICE,
        pooling: Pooling = Pooling.SESSION,
    ) -> dict[str, str]:
        """libpq's parameters of a role, as users get them."""
        return self.run(self.engine.access(id, role, pooling)).parameters()

    def past_pooler(
        self, id: DatabaseId, instance: InstanceManifest | None = None
    ) -> dict[str, str]:
        """libpq's parameters of a pooler towards one instance, the primary by default."""
        manifest = self.manifest(id)
        pooler = Place(self.layout.pooler(id) / "pki", "client")
        return {
            "host": (instance or self.leader(id)).address,
            "port": str(manifest.postgresql_port),
            "dbname": manifest.service,
            "user": manifest.service,
            "sslmode": "verify-full",
            "sslcert": str(pooler.certificate),
            "sslkey": str(pooler.key),
            "sslrootcert": str(pooler.folder / "data-authority.crt"),
        }

    @contextlib.contextmanager
    def operator(
        self,
        id: DatabaseId,
        instance: InstanceManifest | None = None,
        database: str | None = None,
    ) -> Iterator[psycopg.Connection[Any]]:
        """A superuser's connection to one instance, the primary by default.

        In the service's database by default: tests may, pgherd must not.
        """
        manifest = self.manifest(id)
        number = (instance or self.leader(id)).number
        with psycopg.connect(
            host=str(self.layout.socket_folder(id, number)),
            port=manifest.postgresql_port,
            dbname=database or manifest.service,
            user="postgres",
            autocommit=True,
        ) as connection:
            yield connection


def connect(parameters: dict[str, str], **more: str | int) -> psycopg.Connection[Any]:
    """A connection with libpq's parameters, in autocommit mode."""
    return psycopg.connect(make_conninfo("", **parameters, **more), autocommit=True)


def may_enter(parameters: dict[str, str]) -> bool:
    with contextlib.suppress(psycopg.Error), connect(parameters, connect_timeout=5) as connection:
        return connection.execute("SELECT 1").fetchone() == (1,)
    return False


def once_let_in(parameters: dict[str, str]) -> dict[str, str]:
    """The same, once they are let in: a reader that changed its role is kept out for a while."""
    eventually(lambda: may_enter(parameters), 60, pause=1)
    return parameters


def refused(parameters: dict[str, str], match: str) -> None:
    """Nobody gets in with these, and the reason matches."""
    with pytest.raises(psycopg.OperationalError, match=match):
        connect(parameters, connect_timeout=5)


def eventually(condition: Callable[[], T], seconds: float, pause: float = 0.1) -> T:
    """The first true value of `condition`; an AssertionError when there is none in time."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, f"not so after {seconds} s: the last value is {value!r}"
        time.sleep(pause)
    return value


async def stop(engine: LocalEngine, *, remove: bool) -> None:
    """Stop all of it, and remove it if nobody needs to look at it."""
    ids = [manifest.id for manifest in read_databases(engine.layout)]
    environments = [manifest.name for manifest in read_environments(engine.layout)]
    await asyncio.gather(*(engine.ensure_stopped(id) for id in ids))
    if remove:
        await asyncio.gather(*(engine.ensure_absent(id) for id in ids))
    for name in environments:
        if remove:
            await engine.ensure_environment_absent(name)
        else:
            await engine.ensure_environment_stopped(name)


def end_leftovers(folder: Path, seconds: float) -> dict[int, str]:
    """Kill what is still there of the fleet after these seconds; what that was."""
    deadline = time.monotonic() + seconds
    while (left := _processes_of(folder)) and time.monotonic() < deadline:
        time.sleep(0.05)
    for pid in left:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    return left


def _processes_of(folder: Path) -> dict[int, str]:
    """Those that work below `folder`, or name it on their command line."""
    found = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            with contextlib.suppress(OSError):
                command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
                works_there = Path(os.readlink(entry / "cwd")).is_relative_to(folder)
                if works_there or f"{folder}/" in command:
                    found[int(entry.name)] = command
    return found
