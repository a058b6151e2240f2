"""Making, cloning, starting and promoting the instances of one database, step by step."""

from __future__ import annotations

from collections import Counter

from pgherd.contract.observed import InstanceState, Role
from pgherd.errors import InputError, NeedsHuman, TryLater
from pgherd.fleet.desired import Environment
from pgherd.testing.memory.calls import stored_instance
from pgherd.testing.world import StoredDatabase, StoredInstance, World


async def make(world: World, stored: StoredDatabase, environment: Environment, role: Role) -> None:
    """One more, in the emptiest domain; it does not serve yet."""
    used = Counter(i.availability_domain for i in stored.instances.values())
    domain = min(range(1, environment.availability_domains + 1), key=lambda n: (used[n], n))
    names = (f"{stored.id.service}-{n}" for n in range(1, len(stored.instances) + 2))
    name = next(n for n in names if n not in stored.instances)
    async with world.step(f"make {name}"):
        stored.instances[name] = StoredInstance(
            name, domain, role, InstanceState.STARTING, stored.ocpus
        )


async def ensure_primary_serves(world: World, stored: StoredDatabase) -> None:
    """The primary, or the best that is left, takes writes; NeedsHuman where nothing is left."""
    primary = stored.primary
    if primary is None:
        candidates = [i for i in stored.replicas if i.state is not InstanceState.FAILED]
        if not candidates:
            hint = "restore it from a backup"
            raise NeedsHuman(f"{stored.id} has no instance with its data left", hint)
        await promote(world, max(candidates, key=merit))
    elif not primary.serves:
        async with world.step(f"start {primary.name}"):
            primary.state, primary.ocpus = InstanceState.RUNNING, stored.ocpus


async def ensure_streams(world: World, stored: StoredDatabase, replica: StoredInstance) -> None:
    """A replica follows the primary; a broken one is cloned anew."""
    if replica.serves:
        return
    primary = serving_primary(stored)
    if replica.state is InstanceState.FAILED:
        async with world.step(f"wipe {replica.name}"):
            replica.rows, replica.state = [], InstanceState.STARTING
    async with world.step(f"clone {replica.name}"):
        replica.rows, replica.lag_bytes = list(primary.rows), 0
        replica.state, replica.ocpus = InstanceState.STREAMING, stored.ocpus


async def promote(world: World, heir: StoredInstance) -> None:
    """It is the primary from now on."""
    async with world.step(f"promote {heir.name}"):
        heir.role, heir.state, heir.lag_bytes = Role.PRIMARY, InstanceState.RUNNING, 0


def serving_primary(stored: StoredDatabase) -> StoredInstance:
    """The instance that takes writes; TryLater where none does."""
    primary = stored.primary
    if primary is None or not primary.serves:
        raise TryLater(f"{stored.id} has no primary")
    return primary


def heir(stored: StoredDatabase, target: str | None) -> StoredInstance:
    """The replica of that name, or the best one; it streams."""
    if not stored.replicas:
        raise InputError(f"{stored.id} has no replica", "add one in the fleet file")
    found = stored.best_replica() if target is None else stored_instance(stored, target)
    if found is None or not found.serves:
        raise TryLater(f"{target or stored.id} has no streaming replica")
    return found


def merit(instance: StoredInstance) -> tuple[bool, int, int, str]:
    """The greater, the better to keep or to promote."""
    return instance.serves, len(instance.rows), -instance.lag_bytes, instance.name


def primary_last(instance: StoredInstance) -> tuple[bool, str]:
    """A key that sorts replicas by name, and the primary after them."""
    return instance.role is Role.PRIMARY, instance.name
