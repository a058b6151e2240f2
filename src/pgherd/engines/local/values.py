"""What the fleet file says of the local engine, as values: its scale, and where backups go."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

from pgherd.fleet.desired import Database
from pgherd.units import format_bytes


class Ability(StrEnum):
    """What a machine may lack, and databases can be made without."""

    CPU_QUOTA = "cpu-quota"


class StoreType(StrEnum):
    """What kind of store it is."""

    S3 = "s3"
    AZURE = "azure"
    GCS = "gcs"
    SFTP = "sftp"


class UriStyle(StrEnum):
    """Whether the bucket stands in the name of the host, or in the path."""

    HOST = "host"
    PATH = "path"


@dataclass(frozen=True, slots=True)
class Store:
    """One store, and the part of it that an environment has; `path` is empty for the usual one.

    The names are those that each kind of store is known by. A secret is never among them: it is in
    a file that `key_file` names.
    """

    type: StoreType
    key_file: str
    read_key_file: str = ""
    """Of a key that can read and nothing else; nothing where who restores has the other one."""
    path: str = ""
    bucket: str = ""
    endpoint: str = ""
    region: str = ""
    uri_style: UriStyle | None = None
    account: str = ""
    container: str = ""
    host: str = ""
    user: str = ""
    fingerprint: str = ""
    ca_file: str = ""

    @property
    def place(self) -> tuple[str, ...]:
        """What tells it from every other one. How it is opened is not in it."""
        return (
            self.type,
            self.endpoint,
            self.bucket,
            self.account,
            self.container,
            self.host,
            self.path,
        )

    def __str__(self) -> str:
        account = f"{self.account}/" if self.account else ""
        at = f"{self.bucket or account + self.container or self.host}{self.path}"
        return f"{self.type}://{at}"

    def stated(self) -> Mapping[str, Any]:
        """What the fleet file says of it."""
        return {key: value for key, value in asdict(self).items() if value}


NEEDED: Mapping[StoreType, tuple[str, ...]] = {
    StoreType.S3: ("bucket", "endpoint", "region", "key_file"),
    StoreType.AZURE: ("account", "container", "key_file"),
    StoreType.GCS: ("bucket", "key_file"),
    StoreType.SFTP: ("host", "user", "fingerprint", "path", "key_file"),
}
"""The keys without which a store of that type is not found or not opened."""
_OF_ALL = ("type", "path", "read_key_file")
_MORE: Mapping[StoreType, tuple[str, ...]] = {
    StoreType.S3: ("uri_style", "ca_file"),
    StoreType.AZURE: ("endpoint", "uri_style", "ca_file"),
    StoreType.GCS: ("endpoint", "ca_file"),
    StoreType.SFTP: (),
}


def allowed(type: StoreType) -> tuple[str, ...]:
    """The keys that mean something for that type."""
    return (*_OF_ALL, *NEEDED[type], *_MORE[type])


@dataclass(frozen=True, slots=True)
class LocalValues:
    """What one OCPU is on this machine, what that must be able to do, and where backups are.

    `repository` is None where they are in a directory of this machine. `regions` are directories
    that copies may go to, by the names that `copy_to` has.
    """

    core_per_ocpu: float
    memory_per_ocpu_bytes: int
    require: frozenset[Ability] = frozenset()
    repository: Store | None = None
    regions: Mapping[str, str] = field(default_factory=dict)

    def texts(self) -> Mapping[str, str]:
        """By key, for people."""
        return {
            "core_per_ocpu": f"{self.core_per_ocpu:g}",
            "memory_per_ocpu": format_bytes(self.memory_per_ocpu_bytes),
            "require": ", ".join(sorted(self.require)) or "nothing",
            "repository": str(self.repository) if self.repository else "a directory",
            "regions": ", ".join(f"{n}: {p}" for n, p in self.regions.items()) or "none",
        }

    def as_json(self) -> Mapping[str, Any]:
        """For programs."""
        return {
            **asdict(self),
            "require": sorted(self.require),
            "repository": self.repository and self.repository.stated(),
        }


def copied_to(database: Database) -> tuple[str, ...]:
    """The regions of this machine that copies of its backups go to."""
    regions = database.environment.values_of(LocalValues).regions
    return tuple(name for name in database.backup.copy_to if name in regions)
