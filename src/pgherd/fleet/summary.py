"""The fleet as tables for people: what each database may use, and how environments differ.

Pure functions from a fleet to titles, headers and cells; nothing here knows a terminal.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from pgherd.fleet.desired import Autoscale, Database, Fleet, Replicas, Storage
from pgherd.fleet.names import title
from pgherd.units import UNLIMITED, format_bytes, number


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of cells under a header."""

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def tables(fleet: Fleet) -> tuple[Table, ...]:
    """One configuration summary for each environment, their comparison, and the mapping."""
    return (*configuration_summaries(fleet), environment_comparison(fleet), service_mapping(fleet))


def configuration_summaries(fleet: Fleet) -> Iterator[Table]:
    """What each database starts with and may grow to, one table for each environment."""
    header = (
        "Database",
        "Service",
        "Initial OCPUs",
        "Max OCPUs",
        "Initial Storage",
        "Max Storage",
        "Read Replicas",
    )
    for environment in fleet.environments:
        rows = tuple(_configuration(d) for d in fleet.in_environment(environment.name))
        yield Table(f"{title(environment.name)} Database Configuration Summary", header, rows)


def environment_comparison(fleet: Fleet) -> Table:
    """The environments side by side; a cell lists each value that some database has."""
    costs = _costs(fleet)
    columns = [_comparison(fleet, e.name, costs[e.name]) for e in fleet.environments]
    names = columns[0].keys() if columns else ()
    return Table(
        "Environment Comparison",
        ("Component", *(title(e.name) for e in fleet.environments)),
        tuple((name, *(column[name] for column in columns)) for name in names),
    )


def service_mapping(fleet: Fleet) -> Table:
    """Which database each service owns."""
    rows = tuple((service_title(s), database_title(s)) for s in fleet.services)
    return Table("Database to Service Mapping", ("Service", "Database"), rows)


def service_title(service: str) -> str:
    """As in Auth Service."""
    return f"{title(service)} Service"


def database_title(service: str) -> str:
    """As in Auth DB."""
    return f"{title(service)} DB"


def replicas_text(replicas: Replicas) -> str:
    """As in 2-5, or 0."""
    return str(replicas.min) if replicas.min == replicas.max else f"{replicas.min}-{replicas.max}"


def max_storage_text(storage: Storage) -> str:
    """As in 2TB, or Unlimited."""
    return UNLIMITED.title() if storage.max_bytes is None else format_bytes(storage.max_bytes)


def _configuration(database: Database) -> tuple[str, ...]:
    return (
        database_title(database.id.service),
        service_title(database.id.service),
        str(database.ocpus.initial),
        str(database.ocpus.max),
        format_bytes(database.storage.initial_bytes),
        max_storage_text(database.storage),
        replicas_text(database.replicas),
    )


def _comparison(fleet: Fleet, environment: str, cost: str) -> dict[str, str]:
    databases = tuple(fleet.in_environment(environment))

    def each(text: Callable[[Database], str]) -> str:
        return _distinct(text(database) for database in databases)

    return {
        "Database Count": str(len(databases)),
        "Initial OCPUs": each(lambda d: str(d.ocpus.initial)),
        "Max OCPUs": each(lambda d: str(d.ocpus.max)),
        "Initial Storage": each(lambda d: format_bytes(d.storage.initial_bytes)),
        "Max Storage": each(lambda d: max_storage_text(d.storage)),
        "Read Replicas": each(lambda d: _replicas_of_each(d.replicas)),
        "Availability Domains": number(fleet.environment(environment).availability_domains, "AD"),
        "Auto-scaling": each(lambda d: _yes_or_no(d.autoscale)),
        "Backup Retention": each(lambda d: number(d.backup.retention_days, "day")),
        "Cost": cost,
    }


def _distinct(texts: Iterable[str]) -> str:
    return ", ".join(dict.fromkeys(texts))


def _replicas_of_each(replicas: Replicas) -> str:
    return f"{replicas_text(replicas)} per DB" if replicas.max else "0"


def _yes_or_no(autoscale: Autoscale | None) -> str:
    return "❌ No" if autoscale is None else "✅ Yes"


def _costs(fleet: Fleet) -> dict[str, str]:
    """High for the environment that may use most, Low for the one that may use least.

    Capacity is what its databases may grow to: OCPUs of all instances, then storage. Where
    all environments are equal, as where there is one alone, each is Medium.
    """
    capacity = {e.name: _capacity(fleet.in_environment(e.name)) for e in fleet.environments}
    most, least = max(capacity.values(), default=None), min(capacity.values(), default=None)

    def cost(name: str) -> str:
        if most == least:
            return "Medium"
        return {most: "High", least: "Low"}.get(capacity[name], "Medium")

    return {name: cost(name) for name in capacity}


def _capacity(databases: Iterable[Database]) -> tuple[int, float]:
    ocpus, storage = 0, 0.0
    for database in databases:
        instances = 1 + database.replicas.max
        limit = database.storage.max_bytes
        ocpus += instances * database.ocpus.max
        storage += instances * (float("inf") if limit is None else limit)
    return ocpus, storage
