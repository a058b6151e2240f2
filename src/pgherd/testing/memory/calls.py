"""What every call of the in-memory engine has in common: faults, and what is not there."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from pgherd.errors import InputError, TryLater
from pgherd.fleet.desired import DatabaseId
from pgherd.testing.world import StoredDatabase, StoredEnvironment, StoredInstance, World


@asynccontextmanager
async def call(
    world: World, operation: str, id: DatabaseId | None = None, *, is_known: bool = True
) -> AsyncIterator[None]:
    """One call, made in its block: it fails before or after it where the world says so.

    Unless `is_known` is False, a database that is not there is an InputError.
    """
    failure = world.take_failure(operation, id)
    if failure and not failure.after:
        raise failure.error
    if id is not None and (reason := world.hidden(id)) is not None:
        raise TryLater(f"{id} does not answer: {reason}")
    if id is not None and is_known:
        stored_database(world, id)
    yield
    if failure:
        raise failure.error


def stored_database(world: World, id: DatabaseId) -> StoredDatabase:
    """The database; InputError where it is not there."""
    if (stored := world.databases.get(id)) is None:
        raise InputError(f"{id} is not here", "create it with pgherd up")
    return stored


def stored_environment(world: World, name: str) -> StoredEnvironment:
    """The environment; InputError where it is not there."""
    if (stored := world.environments.get(name)) is None:
        raise InputError(f"{name} is not an environment here")
    return stored


def stored_instance(stored: StoredDatabase, name: str) -> StoredInstance:
    """The instance of that name; InputError where there is none."""
    if (instance := stored.instances.get(name)) is None:
        known = ", ".join(stored.instances)
        raise InputError(f"{name!r} is not an instance of {stored.id}", f"write one of {known}")
    return instance
