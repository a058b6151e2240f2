"""From manifests and what is seen to what the contract calls observed. Pure."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from pgherd.contract.observed import (
    DatabaseState,
    InstanceState,
    Observation,
    ObservedDatabase,
    ObservedInstance,
    Role,
    Unknown,
)
from pgherd.engines.local.door import DatabaseStatus, FleetStatus, InstanceStatus
from pgherd.engines.local.layout import Layout
from pgherd.engines.local.manifest import (
    DatabaseManifest,
    EnvironmentManifest,
    InstanceManifest,
)
from pgherd.engines.local.settings import applied
from pgherd.fleet.desired import DatabaseId, Durability

NO_AGENT = "the agent does not run"
STALE_SECONDS = 20.0
"""What a client found longer ago says nothing of now."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the manifests say; `damaged` are the databases whose manifest cannot be read."""

    environments: tuple[EnvironmentManifest, ...]
    databases: tuple[DatabaseManifest, ...]
    damaged: tuple[DatabaseId, ...] = ()


def with_agent(wanted: Wanted, status: FleetStatus, now: datetime) -> Observation:
    """All of it, from the agent's status, which it said `now`."""
    environments = wanted.environments
    unseen = {e.name for e in environments if e.running and not status.environments.get(e.name)}
    return Observation(
        environments=frozenset(e.name for e in environments),
        databases={d.id: _seen(d, status, unseen, now) for d in wanted.databases}
        | {id: _damaged(id, status.databases.get(str(id))) for id in wanted.damaged},
        impaired={
            **status.due,
            **{name: _unseen(name, status.due.get(name)) for name in sorted(unseen)},
        },
        stopped=frozenset(e.name for e in environments if not e.running),
    )


def _unseen(environment: str, due: str | None) -> str:
    silence = f"etcd of {environment} does not answer"
    return f"{due}; {silence}" if due else silence


def without_agent(
    layout: Layout, wanted: Wanted, running: Collection[str], why: str = NO_AGENT
) -> Observation:
    """What can be said without the agent. `running` are the folders that processes work in."""
    environments = wanted.environments
    return Observation(
        environments=frozenset(e.name for e in environments),
        databases={d.id: _unattended(layout, d, running, why) for d in wanted.databases}
        | {id: _damaged(id, None) for id in wanted.damaged},
        impaired={e.name: why for e in environments if e.running},
        stopped=frozenset(e.name for e in environments if not e.running),
    )


def _seen(
    manifest: DatabaseManifest, status: FleetStatus, unseen: Collection[str], now: datetime
) -> ObservedDatabase | Unknown:
    seen = status.databases.get(str(manifest.id))
    if seen is None:
        return _idle(manifest, {i.number: InstanceState.STOPPED for i in manifest.instances})
    if manifest.environment in unseen:
        return Unknown(f"etcd of {manifest.environment} does not answer")
    instances = tuple(_instance(manifest, i, seen) for i in manifest.instances)
    state, detail = _state(instances, seen), _trouble(seen)
    if not manifest.made and seen.serving is not None:
        # What loses its data then would be taken for one that never had any.
        state, detail = DatabaseState.STARTING, detail or "it serves; its making was not ended"
    if manifest.restoring and seen.serving is not None:
        # It serves what it had, or what it is to have: the one who knows which has not come back.
        state, detail = DatabaseState.STARTING, detail or "its restore was not ended"
    pending = (name for name, said in seen.instances.items() if said.waits_for_restart)
    return _observed(
        manifest,
        state,
        instances,
        durability=Durability.SYNCHRONOUS if seen.synchronous else Durability.ASYNCHRONOUS,
        schema_revision=seen.schema_revision,
        restart_pending=tuple(pending),
        detail=detail,
        answered_at=_answered_at(seen, now),
    )


def _trouble(seen: DatabaseStatus) -> str:
    """Why a client of the service would not be served, as far as that is known."""
    if seen.leader is None:
        failed = sorted(name for name, said in seen.instances.items() if said.has_failed)
        lead = "no instance leads"
        return f"{lead}: PostgreSQL of {', '.join(failed)} does not start" if failed else lead
    if seen.serving is None or seen.client is None:
        return ""
    if seen.client.trouble:
        return f"clients are not served: {seen.client.trouble}"
    if seen.client.age > STALE_SECONDS:
        return f"clients were last served {seen.client.age:.0f} s ago"
    return ""


def _answered_at(seen: DatabaseStatus, now: datetime) -> datetime | None:
    if seen.client is None or seen.client.trouble:
        return None
    return now - timedelta(seconds=seen.client.age)


def _damaged(id: DatabaseId, seen: DatabaseStatus | None) -> ObservedDatabase:
    """One that may run, and of which is not known what is wanted."""
    serving = seen.serving if seen else None
    instances = tuple(
        ObservedInstance(
            name=name,
            role=Role.PRIMARY if name == serving else Role.UNKNOWN,
            state=InstanceState.RUNNING if name == serving else InstanceState.UNKNOWN,
        )
        for name in (seen.instances if seen else ())
    )
    state = DatabaseState.DEGRADED if serving else DatabaseState.UNAVAILABLE
    return ObservedDatabase(id, state, instances, detail="its manifest is damaged")


def _unattended(
    layout: Layout, manifest: DatabaseManifest, running: Collection[str], why: str
) -> ObservedDatabase:
    def state(instance: InstanceManifest) -> InstanceState:
        folder = os.path.realpath(layout.instance(manifest.id, instance.number))
        return InstanceState.UNKNOWN if folder in running else InstanceState.STOPPED

    return _idle(manifest, {i.number: state(i) for i in manifest.instances}, why)


def _idle(
    manifest: DatabaseManifest, states: Mapping[int, InstanceState], detail: str = ""
) -> ObservedDatabase:
    """A database that the agent does not look after: stopped, or it should serve and does not."""
    instances = tuple(
        ObservedInstance(
            name=manifest.instance_name(i.number),
            role=Role.UNKNOWN,
            state=states[i.number],
            availability_domain=i.availability_domain,
            address=i.address,
        )
        for i in manifest.instances
    )
    is_stopped = not manifest.running and set(states.values()) == {InstanceState.STOPPED}
    if is_stopped:
        return _observed(manifest, DatabaseState.STOPPED, instances)
    return _observed(manifest, DatabaseState.UNAVAILABLE, instances, detail=detail)


def _observed(
    manifest: DatabaseManifest,
    state: DatabaseState,
    instances: tuple[ObservedInstance, ...],
    *,
    durability: Durability | None = None,
    schema_revision: str | None = None,
    restart_pending: tuple[str, ...] = (),
    detail: str = "",
    answered_at: datetime | None = None,
) -> ObservedDatabase:
    return ObservedDatabase(
        id=manifest.id,
        state=state,
        instances=instances,
        ocpus=manifest.ocpus,
        settings=applied(manifest),
        resizes_live=True,
        durability=durability or Durability(manifest.durability),
        postgresql=manifest.postgresql,
        schema_revision=schema_revision,
        restart_pending=restart_pending,
        detail=detail,
        answered_at=answered_at,
    )


def _instance(
    manifest: DatabaseManifest, instance: InstanceManifest, seen: DatabaseStatus
) -> ObservedInstance:
    name = manifest.instance_name(instance.number)
    said = seen.instances.get(name)
    if seen.leader == name:
        role = Role.PRIMARY
        serves = seen.serving == name and seen.has_pooler and not _trouble(seen)
        state = InstanceState.RUNNING if serves else InstanceState.STARTING
    else:
        role = Role.REPLICA
        state = _replica_state(said)
    return ObservedInstance(
        name=name,
        role=role,
        state=state,
        availability_domain=instance.availability_domain,
        lag_bytes=said.lag_bytes if said else None,
        address=instance.address,
    )


def _replica_state(said: InstanceStatus | None) -> InstanceState:
    if said is None:
        return InstanceState.STOPPED
    if said.streams:
        return InstanceState.STREAMING
    if not said.has_process:
        return InstanceState.STOPPED
    return InstanceState.FAILED if said.has_failed else InstanceState.STARTING


def _state(instances: Sequence[ObservedInstance], seen: DatabaseStatus) -> DatabaseState:
    if all(instance.serves for instance in instances):
        return DatabaseState.RUNNING
    if any(i.role is Role.PRIMARY and i.serves for i in instances):
        return DatabaseState.DEGRADED
    return DatabaseState.STARTING if seen.leader is None else DatabaseState.UNAVAILABLE
