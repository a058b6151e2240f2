"""The steps of one database, from what the fleet file wants and what is seen of it.

Everything is derived from what is, so the steps are the same whoever asks and however often.
A value that the autopilot chose inside the file's bounds is left alone: sizes and replica
counts are only moved into the bounds. What waits for a restart is restarted only while every
instance serves, replicas first, so that no step takes the last healthy instance.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from pgherd.contract.observed import DatabaseState, ObservedDatabase, ObservedInstance
from pgherd.decide.actions import (
    ApplyMigrations,
    ChangeSettings,
    CreateDatabase,
    DatabaseAction,
    Interruption,
    RepairDatabase,
    RestartInstance,
    SetDurability,
    SetOcpus,
    SetReplicas,
    Setting,
    StartDatabase,
    Switchover,
)
from pgherd.decide.wish import Wish
from pgherd.fleet.desired import Database, Durability
from pgherd.units import clamp


@dataclass(frozen=True, slots=True)
class Refusal:
    """Something the fleet file asks for and pgherd does not do; its hint says the way out.

    `flag` is the name to give with `--yes-destroy` where a name is all that is missing.
    """

    subject: str
    message: str
    hint: str
    flag: str | None = None


def refusal(database: Database, seen: ObservedDatabase) -> Refusal | None:
    """Why nothing at all is done to a database, None where there is no reason."""
    wanted = database.postgresql
    if wanted is not None and seen.postgresql is not None and wanted != seen.postgresql:
        return Refusal(
            str(database.id),
            f"postgresql is {seen.postgresql} and the fleet file says {wanted}: "
            "pgherd does not change major versions yet",
            f"write postgresql: {seen.postgresql}",
        )
    domains = database.environment.availability_domains
    for instance in seen.instances:
        if instance.availability_domain is not None and instance.availability_domain > domains:
            return Refusal(
                str(database.id),
                f"{instance.name} is in availability domain {instance.availability_domain} "
                f"and the fleet file has {domains}: pgherd does not move instances between domains",
                f"write availability_domains: {instance.availability_domain} or more",
            )
    return None


def database_steps(wish: Wish, seen: ObservedDatabase | None) -> tuple[DatabaseAction, ...]:
    """What to do, in order."""
    return tuple(_creation(wish) if seen is None else _changes(wish, seen))


def _creation(wish: Wish) -> Iterator[DatabaseAction]:
    database = wish.database
    yield CreateDatabase(database.id, "it does not exist")
    if database.replicas.min > 0:
        yield SetReplicas(database.id, 0, database.replicas.min, _bounds_of_replicas(database))
    if wish.migration is not None:
        yield ApplyMigrations(database.id, None, wish.migration, "its schema is empty")


def _changes(wish: Wish, seen: ObservedDatabase) -> Iterator[DatabaseAction]:
    database = wish.database
    yield from _serving(database, seen)
    # Without replicas a synchronous commit would wait for nobody: durability goes down
    # before replicas do, and up after them.
    if database.durability is Durability.ASYNCHRONOUS:
        yield from _durability(database, seen)
    replicas = tuple(_replicas(database, seen))
    yield from replicas
    if database.durability is Durability.SYNCHRONOUS:
        yield from _durability(database, seen)
    yield from _ocpus(database, seen)
    yield from _settings(wish, seen)
    # Whom to restart, and who takes over, is only known once the replicas stand.
    if not replicas:
        yield from _restarts(seen)
    yield from _migrations(wish, seen)


def _serving(database: Database, seen: ObservedDatabase) -> Iterator[DatabaseAction]:
    match seen.state:
        case DatabaseState.STOPPED:
            yield StartDatabase(database.id, "it is stopped")
        case DatabaseState.STARTING:
            yield StartDatabase(database.id, seen.detail or "it does not serve yet")
        case DatabaseState.DEGRADED | DatabaseState.UNAVAILABLE:
            yield RepairDatabase(database.id, _damage(seen))
        case _:
            pass


def _damage(seen: ObservedDatabase) -> str:
    serving = sum(instance.serves for instance in seen.instances)
    count = f"{serving} of {len(seen.instances)} instances serve"
    ill = ", ".join(f"{i.name} is {i.state}" for i in seen.instances if not i.serves)
    return ": ".join(part for part in (count, ill or seen.detail) if part)


def _replicas(database: Database, seen: ObservedDatabase) -> Iterator[DatabaseAction]:
    current, target = _replicas_seen(seen), _replicas_wanted(database, seen)
    if current != target:
        yield SetReplicas(database.id, current, target, _bounds_of_replicas(database))


def _replicas_seen(seen: ObservedDatabase) -> int:
    # Seen without any instance it is half made; its start makes the primary.
    return max(len(seen.instances) - 1, 0)


def _replicas_wanted(database: Database, seen: ObservedDatabase) -> int:
    return clamp(_replicas_seen(seen), database.replicas.min, database.replicas.max)


def _bounds_of_replicas(database: Database) -> str:
    bounds = database.replicas
    noun = "replica" if bounds.min == bounds.max == 1 else "replicas"
    return f"the fleet file says {_range(bounds.min, bounds.max)} {noun}"


def _ocpus(database: Database, seen: ObservedDatabase) -> Iterator[DatabaseAction]:
    if seen.ocpus is None:
        return
    bounds = database.ocpus
    target = clamp(seen.ocpus, bounds.initial, bounds.max)
    if seen.ocpus != target:
        reason = f"the fleet file says {_range(bounds.initial, bounds.max)} OCPUs"
        # Where shared memory follows the size, PostgreSQL allots it at its start.
        interruption = Interruption.NONE if seen.resizes_live else _restart_of(database, seen)
        yield SetOcpus(database.id, seen.ocpus, target, reason, interruption)


def _restart_of(database: Database, seen: ObservedDatabase) -> Interruption:
    """What the clients notice when all of its instances are restarted."""
    if seen.resize_ends_connections:
        return Interruption.SERVICE_RESTART
    if _replicas_wanted(database, seen) == 0:  # those that go are gone by then
        return Interruption.RESTART
    return Interruption.ROLLING_RESTART


def _settings(wish: Wish, seen: ObservedDatabase) -> Iterator[DatabaseAction]:
    changes = tuple(
        Setting(name, seen.settings[name], target)
        for name, target in wish.settings.items()
        if seen.settings.get(name, target) != target
    )
    if changes:
        is_live = wish.restarting.isdisjoint(change.name for change in changes)
        interruption = Interruption.NONE if is_live else _restart_of(wish.database, seen)
        yield ChangeSettings(seen.id, changes, "the fleet file says so", interruption)


def _range(low: int, high: int) -> str:
    return str(low) if low == high else f"{low}..{high}"


def _durability(database: Database, seen: ObservedDatabase) -> Iterator[DatabaseAction]:
    if seen.durability is not None and seen.durability is not database.durability:
        reason = f"the fleet file says {database.durability}"
        yield SetDurability(database.id, seen.durability, database.durability, reason)


def _restarts(seen: ObservedDatabase) -> Iterator[DatabaseAction]:
    primary = seen.primary
    if seen.state is not DatabaseState.RUNNING or primary is None:
        return
    replicas = [i for i in seen.instances if i is not primary]
    if not all(i.serves for i in replicas):
        return
    count = f"settings wait for a restart on {len(seen.restart_pending)} instances"
    for replica in replicas:
        if replica.name in seen.restart_pending:
            yield RestartInstance(seen.id, replica.name, count, Interruption.REPLICA_RESTART)
    if primary.name in seen.restart_pending:
        yield from _primary_restart(seen, primary, replicas, count)


def _primary_restart(
    seen: ObservedDatabase,
    primary: ObservedInstance,
    replicas: list[ObservedInstance],
    reason: str,
) -> Iterator[DatabaseAction]:
    if not replicas:
        yield RestartInstance(seen.id, primary.name, reason, Interruption.RESTART)
        return
    target = min(replicas, key=_lag_and_name)
    yield Switchover(seen.id, primary.name, target.name, f"{primary.name} is to be restarted")
    yield RestartInstance(seen.id, primary.name, reason, Interruption.REPLICA_RESTART)


def _lag_and_name(instance: ObservedInstance) -> tuple[bool, int, str]:
    return instance.lag_bytes is None, instance.lag_bytes or 0, instance.name


def _migrations(wish: Wish, seen: ObservedDatabase) -> Iterator[DatabaseAction]:
    # The revision is only known while a primary serves; what starts now is looked at again.
    head = wish.migration
    if head is None or seen.primary is None or seen.schema_revision == head:
        return
    reason = f"the newest migration is {head}"
    yield ApplyMigrations(wish.id, seen.schema_revision, head, reason)
