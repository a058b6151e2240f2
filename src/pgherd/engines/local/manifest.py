"""What the local engine wants on this machine, written down before it is carried out.

One file an environment, one a database. The agent makes the processes match these files and
nothing else; so a command that dies half-way leaves an intent that is complete.

Each says which format it has. An older one is read as what it would be today; a newer one is
refused. One that is damaged is damage to one database: `recovery` makes it again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from pgherd.engines.local.layout import Layout
from pgherd.engines.local.values import Store
from pgherd.errors import NeedsHuman
from pgherd.files import Owner, ensure_directory, write
from pgherd.fleet.desired import DatabaseId, Durability
from pgherd.fleet.names import read_only_role

T = TypeVar("T")

STORAGE_BYTES = 16 * 2**30
"""What is taken for the storage of a database whose manifest does not say it."""
ETCD_TRUST = "control-authority.crt"
"""What etcd is taken to trust where its environment's manifest does not say it."""


def _with_storage(content: dict[str, Any]) -> dict[str, Any]:
    return {"storage_bytes": STORAGE_BYTES, **content}


def _with_etcd_trust(content: dict[str, Any]) -> dict[str, Any]:
    return {"etcd_trust": ETCD_TRUST, **content}


def _with_cores(content: dict[str, Any]) -> dict[str, Any]:
    if "ocpus" not in content:
        return content
    return {"cores": 0.0, "least_ocpus": content["ocpus"], **content}


def _with_backups(content: dict[str, Any]) -> dict[str, Any]:
    """What knows nothing of archives must not write such a manifest back."""
    return content


def _with_former_data(content: dict[str, Any]) -> dict[str, Any]:
    """What knows nothing of it must not write such a manifest back."""
    return content


def _with_stores(content: dict[str, Any]) -> dict[str, Any]:
    """What knows nothing of stores would look for backups elsewhere."""
    return content


def _with_clones(content: dict[str, Any]) -> dict[str, Any]:
    """What knows nothing of them would name another command that takes a half one on."""
    return content


def _with_streams(content: dict[str, Any]) -> dict[str, Any]:
    """What knows nothing of receivers must not write such a manifest back."""
    return content


UPGRADES: tuple[Callable[[dict[str, Any]], dict[str, Any]], ...] = (
    _with_storage,
    _with_etcd_trust,
    _with_cores,
    _with_backups,
    _with_former_data,
    _with_stores,
    _with_clones,
    _with_streams,
)
"""What makes a manifest of format N one of N + 1. The first ones did not say their format.

Whoever changes what is in a manifest adds one.
"""
FORMAT = len(UPGRADES)
"""Of the manifests that are written."""


class DamagedManifest(NeedsHuman):
    """A manifest that cannot be read, or is not one."""


@dataclass(frozen=True, slots=True)
class EnvironmentManifest:
    """One environment's shared services."""

    name: str
    etcd_address: str
    etcd_port: int
    etcd_peer_port: int
    etcd_program: str
    running: bool = True
    etcd_trust: str = ETCD_TRUST
    """The file with what its etcd trusts, beside its certificate."""
    backup_program: str = ""
    """pgBackRest; nothing where it is not installed, and then there is no repository."""
    backup_port: int = 0
    repository_address: str = ""
    archive_address: str = ""
    """Where the server of the repository listens, and the one that lets backups be taken."""
    store: Store | None = None
    """Where the repository is; None where that is its directory on this machine."""
    regions: Mapping[str, str] = field(default_factory=dict)
    """Directories that copies of it may go to, by the names that databases have of them."""


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
class FormerData:
    """What an instance has beside its data: another incarnation, which was there before.

    `archive` and `restored_from` are that one's. Where `is_undone`, it came from a restore that
    was taken back.
    """

    number: int
    since: str
    archive: str
    restored_from: str
    is_undone: bool = False


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
    least_ocpus: int
    max_ocpus: int
    memory_bytes: int
    cores: float
    """Of this machine, for each instance; 0 where its manifest does not say it."""
    storage_bytes: int
    """What each instance may use of the disk, and no more than that has."""
    durability: str
    instances: tuple[InstanceManifest, ...]
    running: bool = True
    made: bool = False
    """It has served: where nothing of it is there, that is a loss, and no beginning."""
    can_archive: bool = False
    """It can hand its WAL over: a server has to be started for that."""
    archive: str = ""
    """What its incarnation is called in the repository; nothing before its first backup."""
    retention_days: int = 0
    """For how long backups are kept; 0 where its manifest does not say it."""
    copy_to: tuple[str, ...] = ()
    """Regions of its environment that copies of its backups go to."""
    stream: bool = False
    """Its WAL is received as it is written, too, once it has an archive."""
    restored_from: str = ""
    """The incarnation, and the moment, that it was restored from."""
    restoring: str = ""
    restoring_at: int = 0
    """The same of what is about to take its place, and in which instance that lies."""
    former: FormerData | None = None
    can_count_statements: bool = False
    """pg_stat_statements is loaded; it counts nothing until it is told to."""

    @property
    def id(self) -> DatabaseId:
        """Which database."""
        return DatabaseId(self.environment, self.service)

    @property
    def is_synchronous(self) -> bool:
        """Whether commits wait for a replica."""
        return self.durability == Durability.SYNCHRONOUS

    @property
    def is_streamed(self) -> bool:
        """Whether somebody is to receive its WAL now."""
        return self.stream and self.running and bool(self.archive) and not self.restoring

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
    """All that were ever wanted and not removed, but for those whose manifest is damaged."""
    for path in _found(layout.environments, "*/environment.json"):
        try:
            yield _read(path, EnvironmentManifest)
        except DamagedManifest:
            continue


def read_environment(layout: Layout, name: str) -> EnvironmentManifest | None:
    """One of them, None where there is none; DamagedManifest."""
    path = layout.environment(name) / "environment.json"
    return _read(path, EnvironmentManifest) if path.exists() else None


def read_databases(layout: Layout) -> Iterator[DatabaseManifest]:
    """All that were ever wanted and not removed, but for those whose manifest is damaged."""
    for path in _found(layout.databases, "*/*/database.json"):
        try:
            yield _read(path, DatabaseManifest)
        except DamagedManifest:
            continue


def damaged_databases(layout: Layout) -> Iterator[DatabaseId]:
    """Those whose manifest is damaged."""
    for path in _found(layout.databases, "*/*/database.json"):
        try:
            _read(path, DatabaseManifest)
        except DamagedManifest:
            yield DatabaseId(path.parent.parent.name, path.parent.name)


def read_database(layout: Layout, id: DatabaseId) -> DatabaseManifest | None:
    """One of them, None where there is none; DamagedManifest."""
    path = layout.database(id) / "database.json"
    return _read(path, DatabaseManifest) if path.exists() else None


def write_environment(layout: Layout, manifest: EnvironmentManifest, owner: Owner) -> None:
    """Want it from now on."""
    folder = ensure_directory(layout.environment(manifest.name), owner)
    _write(folder / "environment.json", manifest, owner)


def write_database(layout: Layout, manifest: DatabaseManifest, owner: Owner) -> None:
    """Want it from now on."""
    folder = ensure_directory(layout.database(manifest.id), owner)
    _write(folder / "database.json", manifest, owner)


def _found(folder: Path, pattern: str) -> list[Path]:
    return sorted(folder.glob(pattern))


def _write(path: Path, manifest: EnvironmentManifest | DatabaseManifest, owner: Owner) -> None:
    content = {"format": FORMAT, **msgspec.to_builtins(manifest)}
    text = msgspec.json.format(msgspec.json.encode(content), indent=1).decode()
    write(path, text + "\n", owner, durable=True)


def _read(path: Path, kind: type[T]) -> T:
    try:
        content = msgspec.json.decode(path.read_bytes(), type=dict[str, Any])
        format = content.pop("format", 0)
        if not isinstance(format, int) or format < 0:
            raise _damaged(path)
        if format > FORMAT:
            raise NeedsHuman(
                f"{path} was written by a newer pgherd (format {format}, this one knows {FORMAT})",
                "use that version, or a newer one",
            )
        for upgrade in UPGRADES[format:]:
            content = upgrade(content)
        return msgspec.convert(content, kind)
    except (msgspec.MsgspecError, ValueError, TypeError, RecursionError):
        raise _damaged(path) from None


def _damaged(path: Path) -> DamagedManifest:
    return DamagedManifest(f"{path} is damaged", "run `pgherd up`: it is made again")
