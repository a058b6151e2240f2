"""What is wanted of each database, as one value that everything is decided from.

It is made once for a run, of the fleet file, of what engines offer, and of the migrations.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass, field

from pgherd.errors import InputError
from pgherd.fleet.desired import Database, DatabaseId, Environment


@dataclass(frozen=True, slots=True)
class Wish:
    """What is wanted of one database.

    `database` is as its engine can make it; `concessions` say where that is less than the fleet
    file asks for, as it accepts. `objections` say why nothing at all is done to it.

    `settings` are what its engine sets beside sizes and durability; restarts follow a change of
    those in `restarting`. `migration` is its newest one,
    None where it has none, where pgherd does not reach it, or where `migration_error` says why it
    cannot be read.
    """

    database: Database
    concessions: tuple[str, ...] = ()
    objections: tuple[InputError, ...] = ()
    settings: Mapping[str, str] = field(default_factory=dict)
    restarting: Set[str] = frozenset()
    migration: str | None = None
    migration_error: InputError | None = None

    @property
    def id(self) -> DatabaseId:
        """The database's."""
        return self.database.id


@dataclass(frozen=True, slots=True)
class Wishes:
    """All that is wanted: the environments of a fleet, and a wish for each of their databases."""

    environments: tuple[Environment, ...] = ()
    databases: tuple[Wish, ...] = ()

    def in_environment(self, name: str) -> Iterator[Wish]:
        """Those of one environment, in the order of the services."""
        return (wish for wish in self.databases if wish.id.environment == name)
