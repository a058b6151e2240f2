"""Migrations of databases that are only remembered."""

from __future__ import annotations

from pgherd.contract.access import Access
from pgherd.fleet.desired import Database, DatabaseId
from pgherd.testing.world import World


class MemoryMigrations:
    """Migrations of the world's databases: the newest revisions are given."""

    def __init__(self, world: World, heads: dict[DatabaseId, str]) -> None:
        self.world = world
        self._heads = heads

    def head(self, database: Database) -> str | None:
        """The revision that was given."""
        return self._heads.get(database.id)

    def apply(self, database: Database, access: Access) -> None:
        """The schema has it."""
        self.world.steps.take(f"migrate {database.id}")
        self.world.databases[database.id].schema_revision = self._heads[database.id]
        self.world.steps.raise_if_used_up()
