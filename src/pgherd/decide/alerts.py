"""What a person should know of now, and what to do about it: few rules, that do not cry wolf.

Each says what is so and not what has changed, so that an alert ends when it is not so any more.
Thresholds are those that operators of many fleets have settled on (Awesome Prometheus Alerts,
the samples of CloudNativePG, Pigsty), chosen for few false alarms.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from pgherd.contract.meter import InstanceUsage, Usage
from pgherd.contract.observed import DatabaseState, ObservedDatabase, Role, Unknown
from pgherd.units import rounded_bytes

WRAPAROUND_AGE = 1_000_000_000
"""Half of the way to where PostgreSQL stops taking writes ("Preventing Transaction ID Wraparound
Failures" in its manual); autovacuum has begun long before."""
LAG_BYTES = 256 * 2**20
LONGEST_TRANSACTION = 3600.0
LONGEST_WAIT = 5.0
START_SECONDS = 300.0
"""What starts for longer does not come up by itself, where its engine allows it no more."""


@dataclass(frozen=True, slots=True)
class Alert:
    """`subject` is a database or an environment. `remedy` says what a person can do."""

    name: str
    subject: str
    summary: str
    remedy: str


def starting(
    before: Mapping[str, float],
    seen: Mapping[str, ObservedDatabase | Unknown | None],
    now: float,
) -> dict[str, float]:
    """Since when each database has been starting; one that is not seen has not come up."""
    found = {}
    for id, one in seen.items():
        if isinstance(one, ObservedDatabase) and one.state is DatabaseState.STARTING:
            found[id] = before.get(id, now)
        elif id in before and not isinstance(one, ObservedDatabase):
            found[id] = before[id]
    return found


def of_database(
    id: str,
    seen: ObservedDatabase | Unknown | None,
    usage: Usage | None,
    *,
    starts_too_long: bool = False,
) -> Iterator[Alert]:
    """Those of one database; what is not known raises none but that it is not known."""
    if isinstance(seen, Unknown):
        yield Alert("unseen", id, f"it is not seen: {seen.reason}", "see `pgherd status`")
    elif seen is not None:
        yield from _of_state(id, seen, starts_too_long=starts_too_long)
    if usage is not None:
        if (wait := usage.longest_wait_seconds) is not None and wait > LONGEST_WAIT:
            clients = usage.waiting_clients or 0
            yield Alert(
                "clients-wait",
                id,
                f"{clients} clients wait for a connection, the first for {wait:.0f} s",
                "let clients use fewer sessions or transactions, or raise the bound of `ocpus`",
            )
        for name, instance in usage.instances.items():
            yield from _of_instance(id, name, instance)


def _of_state(id: str, seen: ObservedDatabase, *, starts_too_long: bool) -> Iterator[Alert]:
    if seen.state is DatabaseState.STARTING and starts_too_long:
        what = seen.detail or "it is starting, and nothing says why it takes so long"
        remedy = f"run `pgherd up`, which says what is in the way, or see `pgherd logs {id}`"
        yield Alert("starting", id, f"it does not come up: {what}", remedy)
    if seen.state in (DatabaseState.UNAVAILABLE, DatabaseState.UNKNOWN):
        what = seen.detail or "it has no primary that answers"
        yield Alert("unavailable", id, f"it does not serve: {what}", f"see `pgherd logs {id}`")
    if seen.state is DatabaseState.DEGRADED:
        ill = ", ".join(f"{i.name} is {i.state}" for i in seen.instances if not i.serves)
        yield Alert(
            "degraded",
            id,
            f"not all of its instances serve: {ill or seen.detail}",
            f"it is mended by itself; if not, see `pgherd logs {id}`",
        )
    for instance in seen.instances:
        lag = instance.lag_bytes
        if instance.role is Role.REPLICA and lag is not None and lag > LAG_BYTES:
            yield Alert(
                "replica-lags",
                f"{id}/{instance.name}",
                f"it is {rounded_bytes(lag)} behind",
                "look for a long query on it, or for a load that its primary's WAL outruns it with",
            )


def _of_instance(id: str, name: str, usage: InstanceUsage) -> Iterator[Alert]:
    subject = f"{id}/{name}"
    if (age := usage.transaction_age) is not None and age > WRAPAROUND_AGE:
        yield Alert(
            "wraparound",
            subject,
            f"its oldest transaction is {age / 1e6:.0f} million old, at 2,000 million it stops",
            "end old transactions and slots, then run VACUUM FREEZE as the service",
        )
    oldest = usage.oldest_transaction_seconds
    if usage.is_primary and oldest is not None and oldest > LONGEST_TRANSACTION:
        yield Alert(
            "old-transaction",
            subject,
            f"a transaction has been open for {oldest / 3600:.1f} h: nothing it sees is cleaned up",
            "find it in pg_stat_activity and end it",
        )
