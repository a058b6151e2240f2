"""Every resolved value of a fleet, as programs read it."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from pgherd.fleet.desired import Database, Environment, Fleet

_ALWAYS = "local"
"""Its values are shown of environments on other engines too: keys are only ever added."""


def fleet_json(fleet: Fleet, databases: Iterable[Database]) -> dict[str, Any]:
    """The fleet with these of its databases. Keys are only ever added."""
    return {
        "fleet": fleet.name,
        "file": str(fleet.path),
        "monitoring": fleet.monitoring and {"listen": str(fleet.monitoring)},
        "notifications": [receiver.as_json() for receiver in fleet.notifications],
        "history": fleet.history and str(fleet.history),
        "databases": [_database_json(database) for database in databases],
    }


def _database_json(database: Database) -> dict[str, Any]:
    environment = database.environment
    autoscale = database.autoscale
    return {
        "environment": environment.name,
        "service": database.id.service,
        "name": database.name,
        "engine": environment.engine,
        "compartment": environment.compartment,
        "network": str(environment.network),
        "ocpus": {"initial": database.ocpus.initial, "max": database.ocpus.max},
        "storage": {
            "initial_bytes": database.storage.initial_bytes,
            "max_bytes": database.storage.max_bytes,
        },
        "replicas": {"min": database.replicas.min, "max": database.replicas.max},
        "availability_domains": environment.availability_domains,
        "autoscale": autoscale
        and {"cpu_percent": autoscale.cpu_percent, "memory_percent": autoscale.memory_percent},
        "peaks": [peak.as_json() for peak in database.peaks],
        "maintenance": [window.as_json() for window in database.maintenance],
        "backup_retention_days": database.backup.retention_days,
        "backup_copy_to": list(database.backup.copy_to),
        "backup_when_full": database.backup.when_full.value,
        "backup_stream": database.backup.stream,
        "drills_restore_days": database.drills.restore_days,
        "objectives_rto_seconds": _seconds(database.objectives.rto),
        "objectives_rpo_seconds": _seconds(database.objectives.rpo),
        "durability": database.durability.value,
        "deletion_protection": database.deletion_protection,
        "pooling": database.pooling.value,
        "postgresql": database.postgresql,
        **_of_engines(environment),
        "migrations": None if database.migrations is None else str(database.migrations),
        "load": None if database.load is None else str(database.load),
        "masking": None if database.masking is None else str(database.masking),
        "origins": dict(database.origins),
    }


def _seconds(duration: timedelta | None) -> float | None:
    return None if duration is None else duration.total_seconds()


def _of_engines(environment: Environment) -> dict[str, Any]:
    shown = (_ALWAYS, environment.engine)
    return {e: values.as_json() for e, values in environment.values.items() if e in shown}
