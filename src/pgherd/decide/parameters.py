"""PostgreSQL's parameters from the size of an instance.

Formulas are PostgreSQL's own advice ("Resource Consumption" in its manual) where it gives any:
a quarter of memory for shared_buffers, the rest counted on for the file cache.
"""

from __future__ import annotations

from dataclasses import dataclass

from pgherd.units import clamp

KiB = 1024
MiB = 1024 * KiB
GiB = 1024 * MiB

Value = str | int | bool


@dataclass(frozen=True, slots=True)
class InstanceSize:
    """What one instance has: `ocpus` now, `max_ocpus` at most, memory in bytes now and at least.

    What PostgreSQL can only change by a restart follows from the bounds, the rest from what is now.
    """

    ocpus: int
    max_ocpus: int
    memory_bytes: int
    least_memory_bytes: int


def connections(size: InstanceSize) -> int:
    """How many connections PostgreSQL admits: from the largest size, for a change needs a restart.

    The service's pools towards primary and replicas, which may be the same server, and the
    reader's. 20 are kept for the agent, Patroni and operators.
    """
    return _busy(size) + session_pool_size(size) + session_pool_size(size, read_only=True)


def _busy(size: InstanceSize) -> int:
    """How many of them may work at once: a session waits for its client most of the time."""
    return 20 + 2 * pool_size(size) + readers_pool_size(size)


def pool_size(size: InstanceSize) -> int:
    """How many server connections the pooler opens for the service's transactions, under one name.

    Behind a pooler, one for each OCPU (two hardware threads) keeps a server busy, and each costs
    shared memory whether it is used or not.
    """
    return clamp(size.max_ocpus, 20, 256) // 2


def session_pool_size(size: InstanceSize, *, read_only: bool = False) -> int:
    """How many clients of the service may have a session at once; half as many to read only."""
    return max(50, 2 * pool_size(size)) // (2 if read_only else 1)


def readers_pool_size(size: InstanceSize) -> int:
    """How many it opens for the read-only role."""
    return max(5, pool_size(size) // 4)


def parameters(size: InstanceSize) -> dict[str, Value]:
    """What follows from the size. Nothing of it needs a restart when the size changes.

    shared_buffers would: it stays as it is for the smallest size, and the rest of a larger one's
    memory holds the file cache.
    """
    shared_buffers = clamp(size.least_memory_bytes // 4, 16 * MiB, 64 * GiB)
    return {
        "shared_buffers": _mebibytes(shared_buffers),
        "effective_cache_size": _mebibytes(max(size.memory_bytes * 3 // 4, 32 * MiB)),
        "work_mem": _kibibytes(clamp(size.memory_bytes // (8 * _busy(size)), 256 * KiB, GiB)),
        "maintenance_work_mem": _mebibytes(clamp(size.memory_bytes // 16, 8 * MiB, 2 * GiB)),
        "max_parallel_workers": size.ocpus,
        "max_parallel_workers_per_gather": min(4, size.ocpus // 2),
        "max_parallel_maintenance_workers": min(4, max(1, size.ocpus // 2)),
        "autovacuum_max_workers": 3,
        "autovacuum_work_mem": _mebibytes(clamp(size.memory_bytes // 32, 4 * MiB, GiB)),
        "max_wal_size": _mebibytes(clamp(size.memory_bytes, 128 * MiB, 16 * GiB)),
        "min_wal_size": _mebibytes(clamp(size.memory_bytes // 8, 80 * MiB, 2 * GiB)),
    }


def cluster_parameters(size: InstanceSize) -> dict[str, Value]:
    """What primary and replicas must agree on; from the largest size, so it never changes."""
    return {
        "max_connections": connections(size),
        # Half of the defaults for each of many more connections, most of which hold few.
        "max_locks_per_transaction": 32,
        "max_pred_locks_per_transaction": 32,
        "max_worker_processes": 8 + min(size.max_ocpus, 64),
        "max_wal_senders": 12,
        "max_replication_slots": 12,
        "wal_keep_size": "128MB",
        "wal_level": "replica",
    }


def slot_wal_keep_size(storage_bytes: int) -> Value:
    """How much WAL a primary keeps for a replica that does not fetch it: a tenth of its storage.

    A replica that is farther behind is copied again. Without a bound, one that hangs fills the
    primary's disk.
    """
    return _mebibytes(clamp(storage_bytes // 10, GiB, 64 * GiB))


def _mebibytes(value: int) -> str:
    return f"{value // MiB}MB"


def _kibibytes(value: int) -> str:
    return f"{value // KiB}kB"
