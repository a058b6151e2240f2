"""Backups of one system: those that the service takes daily, those taken now, and their copies."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from pgherd.contract.backups import BackupHistory, BackupState, ObservedBackup, Window
from pgherd.engines.oci.bodies import body
from pgherd.engines.oci.names import Owner, retry_token
from pgherd.engines.oci.sdk import Cloud
from pgherd.engines.oci.waiting import until, work_done
from pgherd.errors import InputError, NeedsHuman
from pgherd.fleet.desired import DatabaseId

_STATES = {
    "CREATING": BackupState.RUNNING,
    "ACTIVE": BackupState.AVAILABLE,
    "FAILED": BackupState.FAILED,
}
_COPY_STATES = {
    "NOT_STARTED": BackupState.RUNNING,
    "COPYING": BackupState.RUNNING,
    "COPIED": BackupState.AVAILABLE,
    "FAILED": BackupState.FAILED,
}
_GIGABYTE = 10**9


async def of_system(cloud: Cloud, compartment: str, system: str) -> BackupHistory:
    """All backups and copies of a system, and the windows that it can be restored in."""
    found = await _list(cloud, compartment, system)
    backups = [one for summary in found for one in _observed(summary, cloud.region)]
    details = (await cloud.call("psql", "get_pitr_details", system)).data
    windows = tuple(
        Window(w.time_recovery_window_start, w.time_recovery_window_end)
        for w in details.recovery_time_windows or ()
    )
    newest_first = sorted(backups, key=lambda b: b.taken_at, reverse=True)
    return BackupHistory(tuple(newest_first), windows)


async def take(
    cloud: Cloud, compartment: str, id: DatabaseId, system: str, owner: Owner, days: int
) -> ObservedBackup:
    """A backup of now, once it is complete, kept for so many days."""
    name = f"{id.service}-{datetime.now(UTC):%Y%m%d-%H%M%S}"
    details = body(
        "psql",
        "CreateBackupDetails",
        {
            "display_name": name,
            "compartment_id": compartment,
            "db_system_id": system,
            "retention_period": days,
            "freeform_tags": owner.tags,
        },
    )
    token = retry_token("create_backup", details)
    made = await cloud.call("psql", "create_backup", details, opc_retry_token=token)
    request = await work_done(cloud, f"backup {name}", made.work_request)
    backup = _backup_of(request) or await _named(cloud, compartment, system, name)

    async def look() -> Any:
        return (await cloud.call("psql", "get_backup", backup)).data

    seen = await until(cloud, f"backup {name}", look, lambda b: b.lifecycle_state != "CREATING")
    if seen.lifecycle_state != "ACTIVE":
        raise NeedsHuman(
            f"backup {name} is {seen.lifecycle_state}: {seen.lifecycle_details or 'no reason'}",
            "see the console, then take another",
        )
    return next(_observed(seen, cloud.region))


async def last_copy(
    cloud: Cloud, compartment: str, system: str | None, id: DatabaseId, moment: datetime
) -> str:
    """The OCID of the newest copy in a region that is no newer than a moment."""
    found = [
        (b.time_created, b.id)
        for b in await _list(cloud, compartment, system)
        if b.lifecycle_state == "ACTIVE" and b.time_created <= moment
    ]
    if not found:
        raise InputError(
            f"{cloud.region} has no copy of {id} from before {moment:%Y-%m-%d %H:%M:%S} UTC",
            f"see `pgherd backup list {id}`",
        )
    return str(max(found)[1])


def require_in(history: BackupHistory, id: DatabaseId, moment: datetime) -> None:
    """InputError unless a moment is in one of the windows."""
    if any(w.begin <= moment <= w.end for w in history.windows):
        return
    spans = ", ".join(f"{w.begin:%Y-%m-%d %H:%M:%S} to {w.end:%H:%M:%S}" for w in history.windows)
    raise InputError(
        f"{id} cannot be restored to {moment:%Y-%m-%d %H:%M:%S} UTC",
        f"write a time within {spans} (UTC)" if spans else "wait for its first backup",
    )


async def _list(cloud: Cloud, compartment: str, system: str | None) -> list[Any]:
    # The parameter `id` of this list is the OCID of the system.
    chosen = {"id": system} if system else {}
    found = await cloud.all("psql", "list_backups", compartment_id=compartment, **chosen)
    return [b for b in found if b.lifecycle_state not in ("DELETING", "DELETED")]


def _backup_of(request: Any) -> str | None:
    """The backup that a work request made: no answer carries its OCID."""
    for resource in (request and request.resources) or ():
        if "backup" in resource.entity_type.lower():
            return str(resource.identifier)
    return None


async def _named(cloud: Cloud, compartment: str, system: str, name: str) -> str:
    for backup in await _list(cloud, compartment, system):
        if backup.display_name == name:
            return str(backup.id)
    raise NeedsHuman(f"backup {name} was taken and is not listed", "see the console")


def _observed(backup: Any, region: str) -> Iterator[ObservedBackup]:
    taken = backup.time_created
    days = backup.retention_period
    size = backup.backup_size
    yield ObservedBackup(
        name=backup.display_name,
        taken_at=taken,
        state=_STATES.get(backup.lifecycle_state, BackupState.FAILED),
        kind=(backup.source_type or "unknown").lower(),
        bytes=size * _GIGABYTE if size else None,
        kept_until=taken + timedelta(days=days) if days else None,
        region=region,
    )
    for copy in backup.copy_status or ():
        yield ObservedBackup(
            name=backup.display_name,
            taken_at=taken,
            state=_COPY_STATES.get(copy.state, BackupState.FAILED),
            kind="copy",
            region=copy.region,
        )
