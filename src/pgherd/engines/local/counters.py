"""One of the agent's measurements in the words of the contract, beside what instances may use."""

from __future__ import annotations

from typing import Any

from pgherd.contract.meter import DatabaseCounters, InstanceCounters
from pgherd.engines.local.manifest import DatabaseManifest
from pgherd.engines.local.measured import (
    MeasuredDatabase,
    MeasuredInstance,
    SaidByServer,
    UsedByServer,
)

USED = (
    "cpu_seconds",
    "throttled_seconds",
    "waited_seconds",
    "throttled_periods",
    "periods",
    "memory_bytes",
)
SAID = (
    "is_primary",
    "connections",
    "active",
    "idle_in_transaction",
    "blocked",
    "oldest_transaction_seconds",
    "transaction_age",
    "slot_bytes",
    "lag_bytes",
    "lag_seconds",
    "database_bytes",
    "transactions",
    "rows_read",
    "rows_written",
    "blocks_hit",
    "blocks_read",
    "temporary_bytes",
    "deadlocks",
    "wal_bytes",
)
"""What is taken over of what the kernel and the server say; both sides have one name for it."""


def counters(manifest: DatabaseManifest, measured: MeasuredDatabase) -> DatabaseCounters:
    """What is known of a database. Pure."""
    instances = {name: _instance(manifest, one) for name, one in measured.instances.items()}
    sizes = [i.database_bytes for i in instances.values() if i.database_bytes is not None]
    pooler = measured.pooler
    return DatabaseCounters(
        ocpus=manifest.ocpus,
        storage_bytes=max(sizes, default=None),
        clients=pooler.clients if pooler else None,
        waiting_clients=pooler.waiting if pooler else None,
        longest_wait_seconds=pooler.longest_wait_seconds if pooler else None,
        instances=instances,
    )


def _instance(manifest: DatabaseManifest, measured: MeasuredInstance) -> InstanceCounters:
    return InstanceCounters(
        **_members(measured.used, USED),
        **_members(measured.said, SAID),
        cpu_cores=manifest.cores or None,
        memory_limit_bytes=manifest.memory_bytes,
    )


def _members(said: UsedByServer | SaidByServer | None, names: tuple[str, ...]) -> dict[str, Any]:
    return {} if said is None else {name: getattr(said, name) for name in names}
