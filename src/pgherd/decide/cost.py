"""What a fleet costs in a month: at its initial, its current and its maximum size.

A database costs what its nodes cost while it runs, and its storage always. Each database is
rounded to cents by itself, so that every total is the exact sum of what is shown. What is not
seen is not guessed: it counts nowhere, and is named.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, fields, replace
from decimal import Decimal

from pgherd.contract.observed import DatabaseState, Observations, ObservedDatabase, Unknown
from pgherd.contract.proofs import Hire
from pgherd.errors import InputError
from pgherd.fleet.desired import Database, DatabaseId, Fleet
from pgherd.prices.money import to_cents
from pgherd.prices.table import (
    EnginePrices,
    Performance,
    PoolerPrices,
    Price,
    PriceTable,
    Series,
)

HOURS = 730
"""Hours in a month: a twelfth of a year."""

_TERABYTE = 10**12
NOTHING = Decimal("0.00")


@dataclass(frozen=True, slots=True)
class Size:
    """What a database is charged for. While it does not run, only its storage is."""

    nodes: int
    ocpus: int
    storage_bytes: int
    runs: bool = True


@dataclass(frozen=True, slots=True)
class Charge:
    """A size and what a month of it costs."""

    size: Size
    cost: Decimal


@dataclass(frozen=True, slots=True)
class Poolers:
    """The virtual machines in front of an environment's databases."""

    machines: int
    ocpus: int
    memory_gb: int


@dataclass(frozen=True, slots=True)
class DatabaseCost:
    """One database. `current` is None where it is not there, Unknown where it is not seen."""

    database: Database
    priced_as: str
    series: str
    initial: Charge
    current: Charge | Unknown | None
    maximum: Charge


@dataclass(frozen=True, slots=True)
class Month:
    """What a month of each environment costs."""

    environments: Mapping[str, Decimal]

    @property
    def total(self) -> Decimal:
        """What they cost together."""
        return sum(self.environments.values(), NOTHING)


@dataclass(frozen=True, slots=True)
class FleetCost:
    """Every database's cost, and that of each environment's poolers."""

    databases: tuple[DatabaseCost, ...]
    poolers: Mapping[str, Decimal]

    @property
    def initial(self) -> Month:
        """As `up` makes it."""
        return self._month((c, c.initial.cost) for c in self.databases)

    @property
    def current(self) -> Month:
        """As it is seen; what is not there or not seen adds nothing.

        Poolers are not seen: they are where any database of their environment is.
        """
        there = [(c, c.current.cost) for c in self.databases if isinstance(c.current, Charge)]
        return self._month(there, {c.database.id.environment for c, cost in there if cost})

    @property
    def maximum(self) -> Month:
        """As far as the autopilot may go."""
        return self._month((c, c.maximum.cost) for c in self.databases)

    @property
    def unseen(self) -> Mapping[DatabaseId, str]:
        """The databases whose current cost is not known, and why."""
        return {
            c.database.id: c.current.reason
            for c in self.databases
            if isinstance(c.current, Unknown)
        }

    def _month(
        self,
        costs: Iterable[tuple[DatabaseCost, Decimal]],
        with_poolers: Collection[str] | None = None,
    ) -> Month:
        """The sums, with the poolers of these environments, or of all."""
        names = dict.fromkeys(c.database.id.environment for c in self.databases)
        sums = {
            name: self.poolers.get(name, NOTHING)
            if with_poolers is None or name in with_poolers
            else NOTHING
            for name in names
        }
        for priced, cost in costs:
            sums[priced.database.id.environment] += cost
        return Month(sums)


def fleet_cost(
    fleet: Fleet,
    table: PriceTable,
    observations: Observations | None = None,
    poolers: Mapping[str, Poolers] | None = None,
) -> FleetCost:
    """What the fleet costs. What an engine has no observation of, or Unknown, is not seen."""
    engines = {e.name: table.engines[table.priced_as(e.engine)] for e in fleet.environments}
    return FleetCost(
        tuple(_database_cost(d, table, observations or {}) for d in fleet.databases),
        {name: pooler_cost(tier, engines[name]) for name, tier in (poolers or {}).items()},
    )


def pooler_cost(poolers: Poolers, prices: EnginePrices) -> Decimal:
    """What a month of an environment's poolers costs."""
    if prices.poolers is None:
        raise InputError(
            "the price table has no prices of poolers",
            "write poolers: with compute_per_ocpu_hour: and memory_per_gb_hour:",
        )
    ocpu, gb = prices.poolers.compute_per_ocpu_hour, prices.poolers.memory_per_gb_hour
    hour = poolers.ocpus * ocpu.price + poolers.memory_gb * gb.price
    return to_cents(poolers.machines * HOURS * hour)


def estimates(cost: FleetCost, table: PriceTable) -> dict[str, str]:
    """The prices in this cost that are not certain, by their key in the table, and why."""
    found: dict[str, str] = {}
    for priced in cost.databases:
        engine = table.engines[priced.priced_as]
        key = f"engines.{priced.priced_as}"
        found |= _estimated(f"{key}.series.{priced.series}", engine.series[priced.series])
        found |= _estimated(key, engine)
        if engine.performance and engine.performance.units_per_gb:
            found |= _estimated(f"{key}.performance", engine.performance)
        if engine.poolers and priced.database.id.environment in cost.poolers:
            found |= _estimated(f"{key}.poolers", engine.poolers)
    return found


def storage_gb(size: Size, prices: EnginePrices) -> Decimal:
    """The GB that are charged."""
    return Decimal(size.storage_bytes) / _TERABYTE * prices.storage_gb_per_tb


def _database_cost(
    database: Database, table: PriceTable, observations: Observations
) -> DatabaseCost:
    priced_as = table.priced_as(database.environment.engine)
    prices = table.engines[priced_as]
    series = prices.series_for(database.ocpus.max)

    def charge(size: Size) -> Charge:
        return Charge(size, month_cost(size, prices, series))

    limit = prices.storage_limit
    most = database.storage.max_bytes
    storage = limit if most is None else min(most, limit)
    maximum = Size(1 + database.replicas.max, database.ocpus.max, storage)
    current = _current(database, observations)
    return DatabaseCost(
        database,
        priced_as,
        series,
        charge(initial_size(database)),
        charge(current) if isinstance(current, Size) else current,
        charge(maximum),
    )


def initial_size(database: Database) -> Size:
    """The size that `up` makes it with."""
    nodes = 1 + database.replicas.min
    return Size(nodes, database.ocpus.initial, database.storage.initial_bytes)


def _current(database: Database, observations: Observations) -> Size | Unknown | None:
    seen = observations.get(database.environment.engine, Unknown("it was not looked at"))
    if isinstance(seen, Unknown):
        return seen
    found = seen.databases.get(database.id)
    if found is None:
        return None
    storage_bytes = database.storage.initial_bytes
    if isinstance(found, ObservedDatabase) and found.state is DatabaseState.STOPPED:
        return seen_size(replace(found, ocpus=found.ocpus or 0), storage_bytes)
    return seen_size(found, storage_bytes)


def seen_size(seen: ObservedDatabase | Unknown, storage_bytes: int) -> Size | Unknown:
    """What is charged for it; Unknown where too little of it is seen."""
    if isinstance(seen, Unknown):
        return seen
    if seen.ocpus is None:
        return Unknown("its OCPUs are not known")
    # Seen without any instance it is half made: its primary is what is charged.
    nodes = max(len(seen.instances), 1)
    return Size(nodes, seen.ocpus, storage_bytes, seen.state is not DatabaseState.STOPPED)


def month_cost(size: Size, prices: EnginePrices, series_name: str) -> Decimal:
    """What a month of a database of this size costs in one of the engine's series."""
    hour = _ocpu_hour(prices.series[series_name])
    gb_month = prices.storage_per_gb_month.price
    if prices.performance is not None:
        gb_month += prices.performance.units_per_gb * prices.performance.unit_per_gb_month.price
    nodes = size.nodes * size.ocpus * HOURS * hour if size.runs else NOTHING
    return to_cents(nodes + storage_gb(size, prices) * gb_month)


def hire_cost(hire: Hire, prices: EnginePrices) -> Decimal:
    """What a proof costs: its part of a month of the smallest series that has so many OCPUs."""
    size = Size(1, hire.ocpus, hire.storage_bytes or 0)
    month = month_cost(size, prices, prices.series_for(hire.ocpus))
    return to_cents(month * Decimal(hire.seconds) / (HOURS * 3600))


def ocpu_hour_cost(table: PriceTable, database: Database) -> Decimal:
    """What an hour of one OCPU of one of its instances costs, with the memory that it brings."""
    prices = table.engines[table.priced_as(database.environment.engine)]
    return _ocpu_hour(prices.series[prices.series_for(database.ocpus.max)])


def _ocpu_hour(series: Series) -> Decimal:
    memory = series.memory_gb_per_ocpu * series.memory_per_gb_hour.price
    return series.service_per_ocpu_hour.price + series.compute_per_ocpu_hour.price + memory


def _estimated(
    key: str, section: EnginePrices | Series | Performance | PoolerPrices
) -> dict[str, str]:
    prices = ((f.name, getattr(section, f.name)) for f in fields(section))
    return {
        f"{key}.{name}": price.estimate
        for name, price in prices
        if isinstance(price, Price) and price.estimate
    }
