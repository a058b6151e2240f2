"""Every series that there is: its name, what it means, and where its value is.

Names are by Prometheus' conventions: base units, and `_total` for what only grows. A value of None
is not known, and then there is no sample: nothing is ever 0 for want of an answer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

from pgherd.metrics.picture import (
    DatabaseView,
    EngineView,
    EnvironmentView,
    InstanceView,
    OfAutopilot,
)

T = TypeVar("T")
COUNTER, GAUGE = "counter", "gauge"


def _none(_: object) -> Mapping[str, str]:
    return {}


@dataclass(frozen=True, slots=True)
class Series(Generic[T]):
    """One of them. `more` are its labels beside those that say of what it is."""

    name: str
    help: str
    value: Callable[[T], float | None]
    more: Callable[[T], Mapping[str, str]] = _none

    @property
    def kind(self) -> str:
        """Its type, in Prometheus' words."""
        return COUNTER if self.name.endswith("_total") else GAUGE


def _ratio(percent: float | None) -> float | None:
    return None if percent is None else percent / 100


OF_AUTOPILOT: tuple[Series[OfAutopilot], ...] = (
    Series("pgherd_autopilot_up", "Whether the autopilot of the fleet runs.", lambda a: a.is_up),
    Series(
        "pgherd_autopilot_last_round_timestamp_seconds",
        "When the autopilot last ended a round; one takes about 5 s.",
        lambda a: a.last_round_at,
    ),
    Series(
        "pgherd_autopilot_alerts", "Open alerts, as pgherd alerts lists them.", lambda a: a.alerts
    ),
)
OF_ENGINE: tuple[Series[EngineView], ...] = (
    Series("pgherd_engine_up", "Whether the engine can see its databases.", lambda e: e.is_up),
)
OF_ENVIRONMENT: tuple[Series[EnvironmentView], ...] = (
    Series(
        "pgherd_environment_up",
        "Whether all is well with what the databases of the environment share, etcd among it.",
        lambda e: e.is_up,
    ),
)
OF_DATABASE: tuple[Series[DatabaseView], ...] = (
    Series(
        "pgherd_database_up",
        "Whether the primary serves; there is none while the database is stopped or not seen.",
        lambda d: d.is_up,
    ),
    Series(
        "pgherd_database_state",
        "Always 1; the label state has the state, as pgherd status says it.",
        lambda d: None if d.state is None else 1,
        lambda d: {"state": d.state or ""},
    ),
    Series("pgherd_database_ocpus", "OCPUs of each instance now.", lambda d: d.ocpus),
    Series(
        "pgherd_database_min_ocpus",
        "OCPUs of each instance at least, by the fleet file.",
        lambda d: d.database.ocpus.initial,
    ),
    Series(
        "pgherd_database_max_ocpus",
        "OCPUs of each instance at most, by the fleet file.",
        lambda d: d.database.ocpus.max,
    ),
    Series(
        "pgherd_database_cpu_usage_ratio",
        "CPU use of the primary, of what it has; where the place counts no CPU seconds.",
        lambda d: _ratio(d.counters.cpu_percent),
    ),
    Series(
        "pgherd_database_memory_usage_ratio",
        "Memory use of the primary, of what it has; where the place counts no bytes.",
        lambda d: _ratio(d.counters.memory_percent),
    ),
    Series(
        "pgherd_database_storage_bytes",
        "Storage in use, that of the largest instance.",
        lambda d: d.counters.storage_bytes,
    ),
    Series("pgherd_pooler_clients", "Clients of the pooler.", lambda d: d.counters.clients),
    Series(
        "pgherd_pooler_waiting_clients",
        "Clients of the pooler that wait for a connection to the server.",
        lambda d: d.counters.waiting_clients,
    ),
    Series(
        "pgherd_pooler_longest_wait_seconds",
        "How long the first of the clients that wait has waited.",
        lambda d: d.counters.longest_wait_seconds,
    ),
    Series(
        "pgherd_autopilot_resizes_total",
        "Changes of size by the autopilot, since its history began.",
        lambda d: d.resizes,
    ),
)
OF_INSTANCE: tuple[Series[InstanceView], ...] = (
    Series(
        "pgherd_instance_up",
        "Whether the instance serves; there is none while its database is stopped or not seen.",
        lambda i: i.is_up,
    ),
    Series(
        "pgherd_instance_restart_pending",
        "Whether some setting of the instance waits for a restart.",
        lambda i: i.waits_for_restart,
    ),
    Series(
        "pgherd_instance_cpu_seconds_total",
        "CPU time that the server has used.",
        lambda i: i.counters.cpu_seconds,
    ),
    Series(
        "pgherd_instance_cpu_limit_cores",
        "CPU time that the server may use, per second.",
        lambda i: i.counters.cpu_cores,
    ),
    Series(
        "pgherd_instance_cpu_throttled_seconds_total",
        "How long processes of the server were kept from running by its quota, together.",
        lambda i: i.counters.throttled_seconds,
    ),
    Series(
        "pgherd_instance_cpu_waiting_seconds_total",
        "How long at least one process of the server waited for a CPU.",
        lambda i: i.counters.waited_seconds,
    ),
    Series(
        "pgherd_instance_cpu_periods_total",
        "Periods of the quota in which the server wanted CPU.",
        lambda i: i.counters.periods,
    ),
    Series(
        "pgherd_instance_cpu_throttled_periods_total",
        "Those of them in which the quota was used up.",
        lambda i: i.counters.throttled_periods,
    ),
    Series(
        "pgherd_instance_memory_bytes",
        "Memory of the server that cannot be taken back.",
        lambda i: i.counters.memory_bytes,
    ),
    Series(
        "pgherd_instance_memory_limit_bytes",
        "Memory that the instance is sized for.",
        lambda i: i.counters.memory_limit_bytes,
    ),
    Series(
        "pgherd_instance_connections",
        "Connections to the database of the service.",
        lambda i: i.counters.connections,
    ),
    Series(
        "pgherd_instance_active_connections",
        "Those of them that run a query.",
        lambda i: i.counters.active,
    ),
    Series(
        "pgherd_instance_idle_in_transaction_connections",
        "Those of them that have a transaction open and do nothing.",
        lambda i: i.counters.idle_in_transaction,
    ),
    Series(
        "pgherd_instance_blocked_connections",
        "Those of them that wait for a lock.",
        lambda i: i.counters.blocked,
    ),
    Series(
        "pgherd_instance_oldest_transaction_seconds",
        "Age of the oldest open transaction.",
        lambda i: i.counters.oldest_transaction_seconds,
    ),
    Series(
        "pgherd_instance_transaction_id_age",
        "Age in transactions of the oldest one that a row still names; 2,000 million are the end.",
        lambda i: i.counters.transaction_age,
    ),
    Series(
        "pgherd_instance_transactions_total",
        "Transactions that ended.",
        lambda i: i.counters.transactions,
    ),
    Series("pgherd_instance_rows_read_total", "Rows read.", lambda i: i.counters.rows_read),
    Series(
        "pgherd_instance_rows_written_total",
        "Rows inserted, updated and deleted.",
        lambda i: i.counters.rows_written,
    ),
    Series(
        "pgherd_instance_blocks_hit_total",
        "Blocks found in PostgreSQL's cache.",
        lambda i: i.counters.blocks_hit,
    ),
    Series(
        "pgherd_instance_blocks_read_total",
        "Blocks not found there.",
        lambda i: i.counters.blocks_read,
    ),
    Series(
        "pgherd_instance_temporary_bytes_total",
        "Written to temporary files.",
        lambda i: i.counters.temporary_bytes,
    ),
    Series("pgherd_instance_deadlocks_total", "Deadlocks.", lambda i: i.counters.deadlocks),
    Series(
        "pgherd_instance_wal_bytes_total",
        "WAL ever written, by the primary.",
        lambda i: i.counters.wal_bytes,
    ),
    Series(
        "pgherd_instance_slot_retained_bytes",
        "WAL that the primary keeps for the slowest replication slot.",
        lambda i: i.counters.slot_bytes,
    ),
    Series(
        "pgherd_instance_replication_lag_bytes",
        "WAL that the replica has still to replay.",
        lambda i: i.lag_bytes,
    ),
    Series(
        "pgherd_instance_replication_lag_seconds",
        "Age of what the replica replayed last; 0 where it has replayed all that it has.",
        lambda i: i.counters.lag_seconds,
    ),
    Series(
        "pgherd_instance_database_bytes",
        "Size of the database of the service.",
        lambda i: i.counters.database_bytes,
    ),
)
