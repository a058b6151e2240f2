"""What the steps of a plan change of a month's cost, from what is seen now."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal

from pgherd.contract.observed import Observation, Observations, Unknown
from pgherd.decide.actions import (
    CreateDatabase,
    DatabaseAction,
    DeleteDatabase,
    SetOcpus,
    SetReplicas,
    StartDatabase,
    StopDatabase,
)
from pgherd.decide.cost import NOTHING, Size, initial_size, month_cost, seen_size
from pgherd.decide.plan import Plan
from pgherd.fleet.desired import Database, DatabaseId, Fleet
from pgherd.prices.table import PriceTable

_Holding = tuple[str, DatabaseId]
"""A database and the engine that has it."""


@dataclass(frozen=True, slots=True)
class Change:
    """What a month costs before and after the steps of a plan.

    `unknown` are databases that count nowhere, since they or their size are not seen.
    `without_storage` have left the fleet file: nothing says how much storage they have.
    """

    before: Decimal
    after: Decimal
    unknown: tuple[DatabaseId, ...] = ()
    without_storage: tuple[DatabaseId, ...] = ()

    @property
    def amount(self) -> Decimal:
        """How much more a month costs afterwards."""
        return self.after - self.before


def cost_change(fleet: Fleet, plan: Plan, observations: Observations, table: PriceTable) -> Change:
    """What the steps of a plan change, from what is seen now."""
    wanted = {(d.environment.engine, d.id): d for d in fleet.databases}
    sizes = dict(_held(fleet, observations))
    before = after = NOTHING
    for holding, size in sizes.items():
        if isinstance(size, Size):
            before += _cost(holding, size, wanted, table)
    planned = {(part.engine, d.id): d.steps for part in plan.environments for d in part.databases}
    for holding in sizes.keys() | planned.keys():
        size_now = sizes.get(holding)
        if not isinstance(size_now, Unknown):
            left = _after(planned.get(holding, ()), size_now, wanted.get(holding))
            after += _cost(holding, left, wanted, table) if left else NOTHING
    return Change(
        before,
        after,
        tuple(sorted(id for (_, id), size in sizes.items() if isinstance(size, Unknown))),
        tuple(sorted(h[1] for h, s in sizes.items() if isinstance(s, Size) and h not in wanted)),
    )


def _held(fleet: Fleet, observations: Observations) -> Iterator[tuple[_Holding, Size | Unknown]]:
    """All that any engine has, in the fleet file or not, with its size as it is seen."""
    storage = {d.id: d.storage.initial_bytes for d in fleet.databases}
    for engine, seen in observations.items():
        if isinstance(seen, Observation):
            for id, found in seen.databases.items():
                yield (engine, id), seen_size(found, storage.get(id, 0))
        else:
            for database in fleet.databases:
                if database.environment.engine == engine:
                    yield (engine, database.id), seen


def _cost(
    holding: _Holding, size: Size, wanted: Mapping[_Holding, Database], table: PriceTable
) -> Decimal:
    prices = table.engines[table.priced_as(holding[0])]
    database = wanted.get(holding)
    largest = max(size.ocpus, database.ocpus.max if database else 0)
    return month_cost(size, prices, prices.series_for(largest))


def _after(
    steps: Iterable[DatabaseAction], size: Size | None, database: Database | None
) -> Size | None:
    """The size that a database has after its steps, None where it is not there any more."""
    for step in steps:
        match step:
            case CreateDatabase() if database is not None:
                size = replace(initial_size(database), nodes=1)
            case DeleteDatabase():
                size = None
            case _ if size is not None:
                size = _changed(size, step)
    return size


def _changed(size: Size, step: DatabaseAction) -> Size:
    match step:
        case SetReplicas():
            return replace(size, nodes=1 + step.target)
        case SetOcpus():
            return replace(size, ocpus=step.target)
        case StartDatabase():
            return replace(size, runs=True)
        case StopDatabase():
            return replace(size, runs=False)
        case _:
            return size
