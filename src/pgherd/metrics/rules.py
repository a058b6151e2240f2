"""Alert rules for Prometheus, for what a person has to know of: few, that do not cry wolf.

Each waits until what is so has stayed so, longer than pgherd takes to mend it. Thresholds that
`pgherd alerts` has too are the same ones (`decide.alerts`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import yaml

from pgherd.decide.alerts import LAG_BYTES, LONGEST_TRANSACTION, LONGEST_WAIT, WRAPAROUND_AGE

FILE = "pgherd-rules.yaml"
HEAD = "# Written by pgherd render monitoring: what you change here is lost with the next one.\n"
URGENT_AGE = 1_600_000_000
SLOT_BYTES = 16 * 2**30
LATE_SECONDS = 60
DATABASE = "{{ $labels.environment }}/{{ $labels.service }}"
INSTANCE = DATABASE + "/{{ $labels.instance }}"
WARNING, CRITICAL = "warning", "critical"
BY = "by (job, environment, service)"
CPU_USE = (
    f"max {BY} (rate(pgherd_instance_cpu_seconds_total[10m])"
    " / pgherd_instance_cpu_limit_cores)"
    f" or max {BY} (avg_over_time(pgherd_database_cpu_usage_ratio[10m]))"
)
"""Of what it has, by the busiest instance, or by the primary where nothing more is known."""
MEMORY_USE = (
    f"max {BY} (pgherd_instance_memory_bytes / pgherd_instance_memory_limit_bytes)"
    f" or max {BY} (pgherd_database_memory_usage_ratio)"
)
IS_LARGEST = f"(max {BY} (pgherd_database_ocpus) >= max {BY} (pgherd_database_max_ocpus))"


@dataclass(frozen=True, slots=True)
class Rule:
    """One alert: when it is raised, after how long, and what a person reads then."""

    name: str
    expr: str
    lasts: str
    severity: str
    summary: str
    remedy: str

    def as_yaml(self) -> dict[str, Any]:
        """As Prometheus reads it."""
        return {
            "alert": self.name,
            "expr": self.expr,
            "for": self.lasts,
            "labels": {"severity": self.severity},
            "annotations": {"summary": self.summary, "description": self.remedy},
        }


RULES: tuple[Rule, ...] = (
    Rule(
        "PgherdNoPrimary",
        "pgherd_database_up == 0",
        "2m",
        CRITICAL,
        f"{DATABASE} takes no writes.",
        f"See pgherd status {DATABASE} and pgherd logs {DATABASE}.",
    ),
    Rule(
        "PgherdUnseen",
        'pgherd_database_state{state="unknown"} == 1',
        "10m",
        CRITICAL,
        f"Nobody knows how {DATABASE} is.",
        "See pgherd status; where the machine was started anew, run pgherd up.",
    ),
    Rule(
        "PgherdDegraded",
        'pgherd_database_state{state="degraded"} == 1',
        "5m",
        WARNING,
        f"Not all instances of {DATABASE} serve.",
        f"It is mended by itself; if it stays so, see pgherd logs {DATABASE}.",
    ),
    Rule(
        "PgherdInstanceDown",
        "pgherd_instance_up == 0",
        "15m",
        WARNING,
        f"{INSTANCE} does not serve, and nothing has mended it.",
        f"See pgherd logs {DATABASE}, and pgherd events {DATABASE} for what was tried.",
    ),
    Rule(
        "PgherdEnvironmentImpaired",
        "pgherd_environment_up == 0",
        "15m",
        WARNING,
        "Something ails what the databases of {{ $labels.environment }} share.",
        "Databases run on, but may not fail over. See pgherd status.",
    ),
    Rule(
        "PgherdAutopilotDown",
        "absent(pgherd_autopilot_up) or pgherd_autopilot_up == 0"
        " or (max_over_time(pgherd_autopilot_up[6h]) unless pgherd_autopilot_up)",
        "5m",
        WARNING,
        "The autopilot does not run, or its metrics are not read.",
        "Databases run on; nothing is sized or mended by itself. Run pgherd up.",
    ),
    Rule(
        "PgherdAutopilotLate",
        f"time() - pgherd_autopilot_last_round_timestamp_seconds > {LATE_SECONDS}",
        "5m",
        WARNING,
        "The autopilot has ended no round for {{ $value | humanizeDuration }}.",
        "See autopilot.log and controller.log beside the fleet's state folder.",
    ),
    Rule(
        "PgherdReplicaBehind",
        f'pgherd_instance_replication_lag_bytes{{role="replica"}} > {LAG_BYTES}',
        "10m",
        WARNING,
        f"{INSTANCE} is {{{{ $value | humanize1024 }}}}B behind.",
        "Look for a long query on it, or for a load that its primary's WAL outruns it with.",
    ),
    Rule(
        "PgherdReplicaLate",
        'pgherd_instance_replication_lag_seconds{role="replica"} > 300',
        "10m",
        WARNING,
        f"What {INSTANCE} shows is {{{{ $value | humanizeDuration }}}} old.",
        "Look for a long query on it that replay waits for.",
    ),
    Rule(
        "PgherdClientsWait",
        f"pgherd_pooler_longest_wait_seconds > {LONGEST_WAIT:g}",
        "2m",
        WARNING,
        f"Clients of {DATABASE} wait for a connection.",
        "Let clients use fewer sessions or transactions, or raise the bound of ocpus.",
    ),
    Rule(
        "PgherdOldTransaction",
        f'pgherd_instance_oldest_transaction_seconds{{role="primary"}} > {LONGEST_TRANSACTION:g}',
        "5m",
        WARNING,
        f"A transaction of {DATABASE} has been open for {{{{ $value | humanizeDuration }}}}.",
        "Nothing it sees is cleaned up. Find it in pg_stat_activity and end it.",
    ),
    Rule(
        "PgherdWraparoundNears",
        f"max {BY} (pgherd_instance_transaction_id_age) > {WRAPAROUND_AGE}",
        "30m",
        WARNING,
        f"The oldest transaction of {DATABASE} is {{{{ $value | humanize }}}} transactions old.",
        "At 2,000 million writes stop. End old transactions and slots, then run VACUUM FREEZE.",
    ),
    Rule(
        "PgherdWraparoundIsNear",
        f"max {BY} (pgherd_instance_transaction_id_age) > {URGENT_AGE}",
        "5m",
        CRITICAL,
        f"{DATABASE} is about to stop taking writes.",
        "End old transactions and slots now, then run VACUUM FREEZE as the service.",
    ),
    Rule(
        "PgherdSlotKeepsWal",
        f"pgherd_instance_slot_retained_bytes > {SLOT_BYTES}",
        "15m",
        WARNING,
        f"{INSTANCE} keeps {{{{ $value | humanize1024 }}}}B of WAL for a replication slot.",
        "Look in pg_replication_slots for one that nobody reads, and drop it.",
    ),
    Rule(
        "PgherdCpuSaturated",
        f"(({CPU_USE}) > 0.9) and {IS_LARGEST}",
        "30m",
        WARNING,
        f"{DATABASE} uses {{{{ $value | humanizePercentage }}}} of its CPU at its largest size.",
        "Raise the bound of ocpus in the fleet file, or look for what uses it.",
    ),
    Rule(
        "PgherdMemoryFull",
        f"({MEMORY_USE}) > 0.85",
        "30m",
        WARNING,
        f"{DATABASE} uses {{{{ $value | humanizePercentage }}}} of its memory.",
        "Raise the bound of ocpus in the fleet file, or let clients use fewer sessions.",
    ),
)


def document(rules: tuple[Rule, ...] = RULES) -> str:
    """The file."""
    groups = [{"name": "pgherd", "rules": [rule.as_yaml() for rule in rules]}]
    written = yaml.safe_dump({"groups": groups}, sort_keys=False, width=1000, allow_unicode=True)
    return f"{HEAD}{written}"


def is_ours(content: str) -> bool:
    """Whether a file with that content may be written anew."""
    return content.startswith(HEAD)
