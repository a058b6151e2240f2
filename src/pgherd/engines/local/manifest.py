"""What the local engine wants on this machine, written down before it is carried out.

One file an environment, one a database. The agent makes the processes match these files and
nothing else; so a command that dies half-way leaves an intent that is complete.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any, TypeVar

from pgherd.engines.local.layout import Layout
from pgherd.errors import NeedsHuman
from pgherd.files import Owner, ensure_directory, write
from pgherd.fleet.desired import DatabaseId, Durability
from pgherd.fleet.names import read_only_role

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class EnvironmentManifest:
    """One environment's shared services."""

    name: str
    etcd_address: str
    etcd_port: int
    etcd_peer_port: int
    etcd_program: str
    running: bool = True


@dataclass(frozen=True, slots=True)
class InstanceManifest:
    """One instance; `number` tells it from the database's others."""

    number: int
    availability_domain: int
    address: str

    @property
    def ip(self) -> IPv4Address:
        """Where PostgreSQL and Patroni listen."""
        return IPv4Address(self.address)


@dataclass(frozen=True, slots=True)
class DatabaseManifest:
    """One database on this machine."""

    environment: str
    service: str
    postgresql: int
    bin_directory: str
    library: str
    pooler_program: str
    postgresql_port: int
    patroni_port: int
    pooler_address: str
    pooler_port: int
    ocpus: int
    max_ocpus: int
    memory_bytes: int
    durability: str
    instances: tuple[InstanceManifest, ...]
    running: bool = True
    made: bool = False
    """It has served: where nothing of it is there, that is a loss, and no beginning."""

    @property
    def id(self) -> DatabaseId:
        """Which database."""
        return DatabaseId(self.environment, self.service)

    @property
    def is_synchronous(self) -> bool:
        """Whether commits wait for a replica."""
        return self.durability == Durability.SYNCHRONOUS

    @property
    def read_only_role(self) -> str:
        """The role that reads everything and writes nothing."""
        return read_only_role(self.service)

    def instance_name(self, number: int) -> str:
        """What Patroni calls an instance: `auth-1`."""
        return f"{self.service}-{number}"

    def numbered(self, name: str) -> InstanceManifest | None:
        """The instance that Patroni calls so."""
        for instance in self.instances:
            if self.instance_name(instance.number) == name:
                return instance
        return None


def read_environments(layout: Layout) -> Iterator[EnvironmentManifest]:
    """All that were ever wanted and not removed."""
    for path in sorted(layout.environments.glob("*/environment.json")):
        yield _read(path, _environment)


def read_environment(layout: Layout, name: str) -> EnvironmentManifest | None:
    """One of them, None where there is none."""
    path = layout.environment(name) / "environment.json"
    return _read(path, _environment) if path.exists() else None


def read_databases(layout: Layout) -> Iterator[DatabaseManifest]:
    """All that were ever wanted and not removed."""
    for path in sorted(layout.databases.glob("*/*/database.json")):
        yield _read(path, _database)


def read_database(layout: Layout, id: DatabaseId) -> DatabaseManifest | None:
    """One of them, None where there is none."""
    path = layout.database(id) / "database.json"
    return _read(path, _database) if path.exists() else None


def write_environment(layout: Layout, manifest: EnvironmentManifest, owner: Owner) -> None:
    """Want it from now on."""
    folder = ensure_directory(layout.environment(manifest.name), owner)
    _write(folder / "environment.json", asdict(manifest), owner)


def write_database(layout: Layout, manifest: DatabaseManifest, owner: Owner) -> None:
    """Want it from now on."""
    folder = ensure_directory(layout.database(manifest.id), owner)
    _write(folder / "database.json", asdict(manifest), owner)


def _write(path: Path, content: dict[str, object], owner: Owner) -> None:
    write(path, json.dumps(content, indent=1) + "\n", owner, durable=True)


def _environment(content: dict[str, Any]) -> EnvironmentManifest:
    return EnvironmentManifest(**content)


def _database(content: dict[str, Any]) -> DatabaseManifest:
    instances = tuple(InstanceManifest(**instance) for instance in content.pop("instances"))
    return DatabaseManifest(**content, instances=instances)


def _read(path: Path, make: Callable[[dict[str, Any]], T]) -> T:
    try:
        return make(json.loads(path.read_text()))
    except (ValueError, TypeError, KeyError, AttributeError):
        raise NeedsHuman(f"{path} is damaged", "restore it from a backup") from None
