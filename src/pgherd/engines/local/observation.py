"""From manifests and what the agent says to what the contract calls observed. Pure but one."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

from pgherd.engine import (
    DatabaseState,
    InstanceState,
    ObservedDatabase,
    ObservedInstance,
    Role,
    Unknown,
)
from pgherd.engines.local import processes
from pgherd.engines.local.layout import Layout
from pgherd.engines.local.manifest import DatabaseManifest, InstanceManifest
from pgherd.files import Owner
from pgherd.fleet.desired import DatabaseId, Durability


def of_database(
    manifest: DatabaseManifest, status: Mapping[str, Any]
) -> ObservedDatabase | Unknown:
    """One database, from the agent's status."""
    seen = status["databases"].get(str(manifest.id))
    if seen is None:
        state = DatabaseState.UNAVAILABLE if manifest.running else DatabaseState.STOPPED
        return _observed(manifest, state, _all(manifest, InstanceState.STOPPED))
    if not status["environments"].get(manifest.environment):
        return Unknown(f"etcd of {manifest.environment} does not answer")
    instances = tuple(_instance(manifest, i, seen) for i in manifest.instances)
    pending = tuple(
        name for name, i in seen["instances"].items() if i["member"].get("pending_restart")
    )
    return _observed(
        manifest,
        _state(instances, seen),
        instances,
        durability=_durability(seen),
        schema_revision=seen["schema_revision"],
        restart_pending=pending,
    )


def without_agent(
    layout: Layout, manifests: Sequence[DatabaseManifest], owner: Owner
) -> dict[DatabaseId, ObservedDatabase]:
    """What can be said without the agent: whether there are processes."""
    running = processes.by_folder(owner.uid) if manifests else {}
    return {m.id: _without_agent(layout, m, running) for m in manifests}


def _without_agent(
    layout: Layout, manifest: DatabaseManifest, running: Mapping[str, Sequence[int]]
) -> ObservedDatabase:
    def state(instance: InstanceManifest) -> InstanceState:
        folder = os.path.realpath(layout.instance(manifest.id, instance.number))
        return InstanceState.UNKNOWN if folder in running else InstanceState.STOPPED

    instances = tuple(
        ObservedInstance(
            name=manifest.instance_name(i.number),
            role=Role.UNKNOWN,
            state=state(i),
            availability_domain=i.availability_domain,
            address=i.address,
        )
        for i in manifest.instances
    )
    if not manifest.running:
        return _observed(manifest, DatabaseState.STOPPED, instances)
    return _observed(
        manifest, DatabaseState.UNAVAILABLE, instances, detail="the agent does not run"
    )


def _observed(
    manifest: DatabaseManifest,
    state: DatabaseState,
    instances: tuple[ObservedInstance, ...],
    *,
    durability: Durability | None = None,
    schema_revision: str | None = None,
    restart_pending: tuple[str, ...] = (),
    detail: str = "",
) -> ObservedDatabase:
    return ObservedDatabase(
        id=manifest.id,
        state=state,
        instances=instances,
        ocpus=manifest.ocpus,
        durability=durability or Durability(manifest.durability),
        postgresql=manifest.postgresql,
        schema_revision=schema_revision,
        restart_pending=restart_pending,
        detail=detail,
    )


def _all(manifest: DatabaseManifest, state: InstanceState) -> tuple[ObservedInstance, ...]:
    return tuple(
        ObservedInstance(
            name=manifest.instance_name(i.number),
            role=Role.UNKNOWN,
            state=state,
            availability_domain=i.availability_domain,
            address=i.address,
        )
        for i in manifest.instances
    )


def _instance(
    manifest: DatabaseManifest, instance: InstanceManifest, seen: Mapping[str, Any]
) -> ObservedInstance:
    name = manifest.instance_name(instance.number)
    said = seen["instances"].get(name) or {"process": None, "member": {}, "replication": None}
    if seen["leader"] == name:
        role = Role.PRIMARY
        serves = seen["routed"] == name and seen["pooler"]
        state = InstanceState.RUNNING if serves else InstanceState.STARTING
    else:
        role = Role.REPLICA
        streams = said["replication"] == "streaming"
        state = InstanceState.STREAMING if streams else _not_serving(said)
    return ObservedInstance(
        name=name,
        role=role,
        state=state,
        availability_domain=instance.availability_domain,
        lag_bytes=said.get("lag_bytes"),
        address=instance.address,
    )


def _durability(seen: Mapping[str, Any]) -> Durability:
    """What is in force: synchronous only while a replica counts for it."""
    return Durability.SYNCHRONOUS if seen["synchronous"] else Durability.ASYNCHRONOUS


def _not_serving(said: Mapping[str, Any]) -> InstanceState:
    if said["process"] is None:
        return InstanceState.STOPPED
    failed = "failed" in said["member"].get("state", "")
    return InstanceState.FAILED if failed else InstanceState.STARTING


def _state(instances: Sequence[ObservedInstance], seen: Mapping[str, Any]) -> DatabaseState:
    if all(instance.serves for instance in instances):
        return DatabaseState.RUNNING
    if any(i.role is Role.PRIMARY and i.serves for i in instances):
        return DatabaseState.DEGRADED
    return DatabaseState.STARTING if seen["leader"] is None else DatabaseState.UNAVAILABLE
