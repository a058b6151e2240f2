"""From what OCI says of a system to what pgherd says of a database. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from pgherd.contract.observed import (
    DatabaseState,
    InstanceState,
    ObservedDatabase,
    ObservedInstance,
    Role,
)
from pgherd.engines.oci.values import OciValues
from pgherd.fleet.desired import Database, DatabaseId

READER = "reader endpoint"
RETENTION, COPIES, IOPS = "backup.retention", "backup.copy_to", "oci.iops"
NOT_ROUTED = "its poolers do not know it yet"
_INSTANCE_STATES = {
    "CREATING": InstanceState.STARTING,
    "UPDATING": InstanceState.STARTING,
    "INACTIVE": InstanceState.STOPPED,
    "DELETING": InstanceState.STOPPED,
    "FAILED": InstanceState.FAILED,
}


def domain_number(name: str | None) -> int | None:
    """The number of an availability domain: Uocm:PHX-AD-2 is 2."""
    match = re.search(r"-AD-(\d+)$", name or "")
    return int(match[1]) if match else None


def database(
    id: DatabaseId, system: Any, primary: str | None, *, is_routed: bool
) -> ObservedDatabase:
    """One database. `primary` is the OCID of the instance that takes writes, where known."""
    seen = [i for i in system.instances or () if i.lifecycle_state != "DELETED"]
    instances = tuple(_instance(i, system, primary, alone=len(seen) == 1) for i in seen)
    state = _state(system, instances, is_routed=is_routed)
    detail = system.lifecycle_details or ""
    if state is DatabaseState.STARTING and not is_routed:
        detail = detail or NOT_ROUTED
    return ObservedDatabase(
        id=id,
        state=state,
        instances=tuple(sorted(instances, key=lambda i: i.name)),
        ocpus=system.instance_ocpu_count,
        postgresql=major_version(system.db_version),
        schema_revision=None,
        detail=detail,
        settings=settings_seen(system),
        resize_ends_connections=True,
    )


def _instance(instance: Any, system: Any, primary: str | None, *, alone: bool) -> ObservedInstance:
    if alone:
        role = Role.PRIMARY
    elif primary is None:
        role = Role.UNKNOWN
    else:
        role = Role.PRIMARY if instance.id == primary else Role.REPLICA
    if system.lifecycle_state == "INACTIVE":
        state = InstanceState.STOPPED
    elif instance.lifecycle_state == "ACTIVE":
        state = InstanceState.STREAMING if role is Role.REPLICA else InstanceState.RUNNING
    else:
        state = _INSTANCE_STATES.get(instance.lifecycle_state, InstanceState.UNKNOWN)
    domain = domain_number(instance.availability_domain)
    return ObservedInstance(instance.display_name, role, state, domain)


def _state(system: Any, instances: Sequence[ObservedInstance], *, is_routed: bool) -> DatabaseState:
    serving = bool(instances) and all(i.serves for i in instances)
    match system.lifecycle_state:
        case "ACTIVE" if not is_routed:
            return DatabaseState.STARTING
        case "ACTIVE":
            return DatabaseState.RUNNING if serving else DatabaseState.DEGRADED
        case "UPDATING":
            return DatabaseState.RUNNING if serving and is_routed else DatabaseState.STARTING
        case "CREATING":
            return DatabaseState.STARTING
        case "INACTIVE":
            return DatabaseState.STOPPED
        case "NEEDS_ATTENTION":
            return DatabaseState.DEGRADED
        case "FAILED" | "DELETING":
            return DatabaseState.UNAVAILABLE
        case _:
            return DatabaseState.UNKNOWN


def major_version(version: str | None) -> int | None:
    """16 of 16.4."""
    head = (version or "").split(".", 1)[0]
    return int(head) if head.isdigit() else None


def settings_wanted(database: Database) -> dict[str, str]:
    """What is set beside the size, in words of the fleet file."""
    backup = database.backup
    return {
        RETENTION: f"{backup.retention_days}d",
        COPIES: ", ".join(sorted(backup.copy_to)) or "none",
        IOPS: str(database.environment.values_of(OciValues).iops),
        READER: "yes" if database.replicas.max > 0 else "no",
    }


def settings_seen(system: Any) -> Mapping[str, str]:
    """The same of a system that is there; what is not known is left out."""
    seen = {}
    if system.storage_details and system.storage_details.iops:
        seen[IOPS] = str(system.storage_details.iops)
    network = system.network_details
    if network and network.is_reader_endpoint_enabled is not None:
        seen[READER] = "yes" if network.is_reader_endpoint_enabled else "no"
    policy = system.management_policy
    if policy and policy.backup_policy:
        backup = policy.backup_policy
        copies = getattr(backup, "copy_policy", None)
        seen[RETENTION] = f"{backup.retention_days or 0}d"
        seen[COPIES] = ", ".join(sorted((copies and copies.regions) or ())) or "none"
    return seen


def retention_days(system: Any) -> int | None:
    """For how long its backups are kept."""
    policy = system.management_policy
    return policy.backup_policy.retention_days if policy and policy.backup_policy else None
