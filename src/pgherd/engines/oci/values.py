"""What the fleet file says of OCI, as values: where an environment is, and what it may lack."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any


class Concession(StrEnum):
    """What an environment may have less of than the fleet file asks for."""

    MAX_OCPUS = "max-ocpus"
    """The largest shape instead of the stated OCPUs."""
    STORAGE = "storage"
    """The service's own storage, which grows to 32 TB and cannot be bounded."""
    AVAILABILITY_DOMAINS = "availability-domains"
    """As many availability domains as the region has."""
    RETENTION = "retention"
    """Backups for 35 days."""


class PoolerTier(StrEnum):
    """Who makes the instances of an environment's pooler tier."""

    CREATE = "create"
    """pgherd does."""
    RENDER = "render"
    """The user does, with the cloud-init that `pgherd render cloud-init` writes."""


@dataclass(frozen=True, slots=True)
class OciValues:
    """Where on OCI an environment is. `region` is stated where the engine is oci.

    `profile` is one of the SDK's configuration file. `parent` is the compartment in which
    `Environment.compartment` is made, None for the tenancy's root. `vcn`, `vault` and `key` are
    those of the user, None where pgherd makes its own. `pooler` is None where nothing is said.
    """

    profile: str = "DEFAULT"
    region: str | None = None
    parent: str | None = None
    vcn: str | None = None
    vault: str | None = None
    key: str | None = None
    iops: int = 75_000
    pooler: PoolerTier | None = None
    accept: frozenset[Concession] = frozenset()

    def texts(self) -> Mapping[str, str]:
        """By key, for people."""
        none, own = "none", "its own"
        return {
            "profile": self.profile,
            "region": self.region or none,
            "parent": self.parent or none,
            "vcn": self.vcn or own,
            "vault": self.vault or own,
            "key": self.key or own,
            "iops": str(self.iops),
            "pooler": self.pooler.value if self.pooler else none,
            "accept": ", ".join(sorted(self.accept)) or none,
        }

    def as_json(self) -> Mapping[str, Any]:
        """For programs."""
        return {**asdict(self), "accept": sorted(self.accept)}
