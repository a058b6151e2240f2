"""A fleet under one load, with the autopilot and with sizes that never change: pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import date
from decimal import Decimal
from enum import StrEnum

from msgspec import Struct

from pgherd.decide.peaks import known_peaks
from pgherd.decide.simulation import Played, fixed, play, provisioned
from pgherd.decide.sizing import Limits
from pgherd.fleet.desired import Database
from pgherd.prices.money import to_cents
from pgherd.shapes.shape import Load

MONTH_DAYS = 365 / 12
DAY_SECONDS = 86_400


class Way(StrEnum):
    """How the sizes of databases come about."""

    AUTOPILOT = "autopilot"
    INITIAL = "initial size"
    MAXIMUM = "maximum size"
    PROVISIONED = "P99.5 + 20 %"
    """As people choose it who know the load: a fifth more than is enough 99.5 % of the time."""


class Sum(Struct, frozen=True):
    """What many databases had together. `compute` and `used` are OCPU hours of one instance each,
    `cost` is of all their instances, in the price table's currency."""

    databases: int = 0
    days: float = 0.0
    compute: float = 0.0
    used: float = 0.0
    throttled_minutes: float = 0.0
    exhaustions: int = 0
    resizes: int = 0
    scale_downs: int = 0
    cost: Decimal = Decimal(0)

    @property
    def slack(self) -> float:
        """The share of the OCPUs that nobody used."""
        return 1 - self.used / self.compute if self.compute else 0.0

    @property
    def exhaustions_per_database_month(self) -> float:
        """How often a database had too little in a month."""
        months = self.databases * self.days / MONTH_DAYS
        return self.exhaustions / months if months else 0.0

    def with_database(self, played: Played, ocpu_hours_cost: Decimal) -> Sum:
        """The same with one database more; `ocpu_hours_cost` is of all of its instances."""
        return Sum(
            self.databases + 1,
            max(self.days, played.seconds / DAY_SECONDS),
            self.compute + played.compute,
            self.used + played.compute * (1 - played.slack),
            self.throttled_minutes + played.throttled_minutes,
            self.exhaustions + played.exhaustions,
            self.resizes + played.resizes,
            self.scale_downs + played.scale_downs,
            self.cost + to_cents(ocpu_hours_cost),
        )


def compare(
    databases: Iterable[Database],
    load_of: Callable[[Database], Load],
    hour_cost: Callable[[Database], Decimal],
    monday: date,
) -> dict[Way, Sum]:
    """Every database under its load, each way, with its peaks counted from that Monday.

    `hour_cost` is of an OCPU of one instance.
    """
    sums = dict.fromkeys(Way, Sum())
    for database in databases:
        load = load_of(database)
        nodes = 1 + database.replicas.min
        for way, played in ways(database, load, monday):
            cost = Decimal(played.compute) * nodes * hour_cost(database)
            sums[way] = sums[way].with_database(played, cost)
    return sums


def ways(database: Database, load: Load, monday: date) -> Iterator[tuple[Way, Played]]:
    """How one database fares under its load from that Monday on, each way."""
    limits = limits_of(database, memory_per_ocpu=1)
    initial = fixed(load, database.ocpus.initial)
    known = known_peaks(database.peaks, monday) if database.peaks else None
    yield Way.AUTOPILOT, play(load, limits, floor=known) if limits else initial
    yield Way.INITIAL, initial
    yield Way.MAXIMUM, fixed(load, database.ocpus.max)
    yield Way.PROVISIONED, fixed(load, provisioned(load))


def limits_of(database: Database, memory_per_ocpu: int) -> Limits | None:
    """What the fleet file says of its sizes; None where they are not to change."""
    if database.autoscale is None:
        return None
    return Limits(
        database.ocpus.initial,
        database.ocpus.max,
        database.autoscale.cpu_percent / 100,
        database.autoscale.memory_percent / 100,
        memory_per_ocpu,
    )
