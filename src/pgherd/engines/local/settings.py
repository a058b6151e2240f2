"""What is set for a database beside its size: its bounds, and what an OCPU is here."""

from __future__ import annotations

from collections.abc import Mapping, Set

from pgherd.engines.local import postgres
from pgherd.engines.local.backup import pgbackrest
from pgherd.engines.local.databases import Databases
from pgherd.engines.local.manifest import DatabaseManifest
from pgherd.engines.local.values import LocalValues, copied_to
from pgherd.fleet.desired import Database
from pgherd.units import format_bytes, format_days

SMALLEST = "smallest size"
LARGEST = "largest size"
CORES = "core_per_ocpu"
MEMORY = "memory_per_ocpu"
RETENTION = "backup.retention"
COPIES = "backup.copy_to"
STREAM = "backup.stream"
BACKUPS = "backups"
POSSIBLE, IMPOSSIBLE = "possible", "not possible"


class SizeSettings:
    """Settings by the fleet file's names."""

    restarting: Set[str] = frozenset({SMALLEST, LARGEST, MEMORY, BACKUPS})

    def __init__(self, databases: Databases) -> None:
        self._databases = databases

    def wanted(self, database: Database) -> Mapping[str, str]:
        """What the fleet file says, and that it can be backed up where that is possible by now."""
        ocpu = database.environment.values_of(LocalValues)
        version = database.postgresql or max(postgres.installed(), default=0)
        can_archive = pgbackrest.lack(version) is None
        return {
            **({BACKUPS: POSSIBLE} if can_archive else {}),
            SMALLEST: _ocpus(database.ocpus.initial),
            LARGEST: _ocpus(database.ocpus.max),
            CORES: f"{ocpu.core_per_ocpu:g}",
            MEMORY: format_bytes(ocpu.memory_per_ocpu_bytes),
            RETENTION: format_days(database.backup.retention_days),
            COPIES: ", ".join(copied_to(database)) or "none",
            STREAM: str(database.backup.stream).lower(),
        }

    async def ensure_applied(self, database: Database) -> None:
        """All of it, at the size that the database has."""
        await self._databases.ensure_sized(database)


def applied(manifest: DatabaseManifest) -> Mapping[str, str]:
    """What a manifest says, in the same words; what an older one does not say is left out."""
    found = {
        SMALLEST: _ocpus(manifest.least_ocpus),
        LARGEST: _ocpus(manifest.max_ocpus),
        MEMORY: format_bytes(manifest.memory_bytes // manifest.ocpus),
        COPIES: ", ".join(manifest.copy_to) or "none",
        STREAM: str(manifest.stream).lower(),
        BACKUPS: POSSIBLE if manifest.can_archive else IMPOSSIBLE,
    }
    if manifest.cores:
        found[CORES] = f"{manifest.cores / manifest.ocpus:g}"
    if manifest.retention_days:
        found[RETENTION] = format_days(manifest.retention_days)
    return found


def _ocpus(count: int) -> str:
    return f"{count} OCPUs" if count != 1 else "1 OCPU"
