"""The e-commerce fleet of sixty instances, with everything of it known."""

from __future__ import annotations

from dataclasses import fields

from pgherd.contract.meter import DatabaseCounters, InstanceCounters
from pgherd.contract.observed import (
    DatabaseState,
    InstanceState,
    Observation,
    ObservedDatabase,
    ObservedInstance,
    Role,
)
from pgherd.fleet.desired import Database
from pgherd.metrics.picture import OfAutopilot, Picture
from pgherd.testing.fleets import ecommerce

COUNTED = InstanceCounters(
    **{f.name: 1000 + n for n, f in enumerate(fields(InstanceCounters))}  # type: ignore[arg-type]
)


def names(database: Database) -> list[str]:
    return [f"{database.id.service}-{n + 1}" for n in range(1 + database.replicas.min)]


def observed(database: Database) -> ObservedDatabase:
    first, *others = names(database)
    replicas = (
        ObservedInstance(name, Role.REPLICA, InstanceState.STREAMING, lag_bytes=16)
        for name in others
    )
    return ObservedDatabase(
        database.id,
        DatabaseState.RUNNING,
        (ObservedInstance(first, Role.PRIMARY, InstanceState.RUNNING), *replicas),
        ocpus=database.ocpus.initial,
    )


def picture() -> Picture:
    fleet = ecommerce()
    counters = {
        d.id: DatabaseCounters(
            ocpus=2,
            cpu_percent=50.0,
            memory_percent=25.0,
            storage_bytes=2**30,
            clients=7,
            waiting_clients=1,
            longest_wait_seconds=0.5,
            instances=dict.fromkeys(names(d), COUNTED),
        )
        for d in fleet.databases
    }
    seen = Observation(
        frozenset(e.name for e in fleet.environments), {d.id: observed(d) for d in fleet.databases}
    )
    autopilot = OfAutopilot(True, 1_800_000_000.5, 3, {"production/auth": 12})
    return Picture(fleet, autopilot, {"memory": seen}, counters)
