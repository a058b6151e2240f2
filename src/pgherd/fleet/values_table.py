"""Every resolved value of a database, written as the fleet file would, with its origin."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from itertools import groupby
from pathlib import Path

from pgherd.fleet.calendar import Peak, Window
from pgherd.fleet.desired import Autoscale, Database, Environment, Fleet
from pgherd.fleet.document import in_one_line
from pgherd.fleet.summary import Table
from pgherd.units import format_bytes, format_days, format_duration, format_percent, format_range

Row = tuple[str, str, str]

HEADER = ("Value", "Is", "From")
_NONE = "none"
_OF_ONE_SERVICE = ("migrations", "masking")


def database_table(fleet: Fleet, database: Database) -> Table:
    """One database's values."""
    return Table(f"{database.id} ({database.name})", HEADER, tuple(_rows(fleet, database)))


def origin_tables(fleet: Fleet) -> Iterable[Table]:
    """The values of all databases; neighbours that are equal share a table."""
    for (environment, rows), group in groupby(fleet.databases, lambda d: _shared(fleet, d)):
        services = [database.id.service for database in group]
        yield Table(f"{environment}: {', '.join(services)}", HEADER, rows)


def _shared(fleet: Fleet, database: Database) -> tuple[str, tuple[Row, ...]]:
    rows = tuple(row for row in _rows(fleet, database) if row[0] not in _OF_ONE_SERVICE)
    return database.id.environment, rows


def _rows(fleet: Fleet, database: Database) -> Iterable[Row]:
    texts = _texts(fleet, database)
    return ((name, texts[name], origin) for name, origin in database.origins.items())


def _texts(fleet: Fleet, database: Database) -> dict[str, str]:
    environment = database.environment
    ocpus, storage, replicas = database.ocpus, database.storage, database.replicas
    return {
        "engine": environment.engine,
        "compartment": environment.compartment,
        "network": str(environment.network),
        "availability_domains": str(environment.availability_domains),
        **_engines(environment),
        "ocpus": format_range(ocpus.initial, ocpus.max),
        "storage": format_range(storage.initial_bytes, storage.max_bytes, format_bytes),
        "replicas": format_range(replicas.min, replicas.max),
        **_autoscale(database.autoscale),
        "peaks": _windows(database.peaks),
        "maintenance": _windows(database.maintenance),
        "backup.retention": format_days(database.backup.retention_days),
        "backup.copy_to": ", ".join(database.backup.copy_to) or _NONE,
        "backup.when_full": database.backup.when_full.value,
        "backup.stream": str(database.backup.stream).lower(),
        "drills.restore": format_days(database.drills.restore_days),
        "objectives.rto": _duration(database.objectives.rto),
        "objectives.rpo": _duration(database.objectives.rpo),
        "durability": database.durability.value,
        "deletion_protection": str(database.deletion_protection).lower(),
        "pooling": database.pooling.value,
        "postgresql": "newest" if database.postgresql is None else str(database.postgresql),
        "migrations": _relative(fleet, database.migrations),
        "load": _relative(fleet, database.load),
        "masking": _relative(fleet, database.masking),
    }


def _duration(duration: timedelta | None) -> str:
    return _NONE if duration is None else format_duration(duration)


def _engines(environment: Environment) -> dict[str, str]:
    return {
        f"{engine}.{key}": text
        for engine, values in environment.values.items()
        for key, text in values.texts().items()
    }


def _autoscale(autoscale: Autoscale | None) -> dict[str, str]:
    if autoscale is None:
        return {"autoscale": "false"}
    return {
        "autoscale": "true",
        "autoscale.cpu": format_percent(autoscale.cpu_percent),
        "autoscale.memory": format_percent(autoscale.memory_percent),
    }


def _windows(windows: tuple[Window, ...] | tuple[Peak, ...]) -> str:
    written = [{k: v for k, v in w.as_json().items() if v != []} for w in windows]
    return in_one_line(written if len(written) > 1 else written[0]) if written else _NONE


def _relative(fleet: Fleet, path: Path | None) -> str:
    if path is None:
        return _NONE
    folder = fleet.path.parent
    return str(path.relative_to(folder) if path.is_relative_to(folder) else path)
