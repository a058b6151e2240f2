"""What is set for a database beside its size: an ability that an engine may lack."""

from __future__ import annotations

from collections.abc import Mapping, Set
from typing import Protocol

from pgherd.fleet.desired import Database


class Settings(Protocol):
    """What an engine sets for a database beside sizes and durability.

    `ObservedDatabase.settings` says what is applied, in the same words. Restarts follow a change of
    those whose names are in `restarting`.
    """

    restarting: Set[str]

    def wanted(self, database: Database) -> Mapping[str, str]:
        """What the fleet file says, by its names. Pure."""
        ...

    async def ensure_applied(self, database: Database) -> None:
        """All of it is as the fleet file says. Live, but for what then waits for a restart.

        InputError for a database unknown.
        """
        ...
