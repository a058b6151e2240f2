"""From what is stored in a world to what is observed of it. Pure."""

from __future__ import annotations

from pgherd.contract.observed import (
    DatabaseState,
    InstanceState,
    Observation,
    ObservedDatabase,
    ObservedInstance,
    Unknown,
)
from pgherd.testing.world import StoredDatabase, StoredInstance, World
from pgherd.units import format_days

RETENTION = "backup.retention"


def observation(world: World) -> Observation:
    """All that is in the world, but for what is hidden."""
    environments = world.environments.values()
    return Observation(
        frozenset(e.name for e in environments),
        {id: _seen(world, database) for id, database in world.databases.items()},
        {
            e.name: f"{', '.join(sorted(e.missing))} not running"
            for e in environments
            if e.missing and not e.is_stopped
        },
        frozenset(e.name for e in environments if e.is_stopped and "services" in e.missing),
    )


def state(stored: StoredDatabase) -> DatabaseState:
    """What its users see of it."""
    instances = stored.instances.values()
    if stored.is_to_stop and all(i.state is InstanceState.STOPPED for i in instances):
        return DatabaseState.STOPPED
    if not stored.is_ready:
        return DatabaseState.STARTING
    if stored.primary is None or not stored.primary.serves:
        return DatabaseState.UNAVAILABLE
    whole = all(i.serves for i in instances)
    return DatabaseState.RUNNING if whole else DatabaseState.DEGRADED


def _seen(world: World, stored: StoredDatabase) -> ObservedDatabase | Unknown:
    if (reason := world.hidden(stored.id)) is not None:
        return Unknown(reason)
    seen = state(stored)
    serves = seen in (DatabaseState.RUNNING, DatabaseState.DEGRADED)
    return ObservedDatabase(
        stored.id,
        seen,
        tuple(_instance(i) for i in stored.instances.values()),
        stored.ocpus,
        stored.durability,
        stored.postgresql,
        stored.schema_revision if serves else None,
        tuple(i.name for i in stored.instances.values() if i.ocpus != stored.ocpus),
        settings={RETENTION: format_days(stored.retention_days)},
    )


def _instance(stored: StoredInstance) -> ObservedInstance:
    lag = stored.lag_bytes if stored.state is InstanceState.STREAMING else None
    return ObservedInstance(stored.name, stored.role, stored.state, stored.availability_domain, lag)
