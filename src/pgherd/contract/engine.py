"""A place where databases run, as everything else in pgherd sees it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Protocol

from pgherd.contract.access import Access, AccessRole
from pgherd.contract.backups import BackupHistory, ObservedBackup
from pgherd.contract.certificates import CertificateInfo
from pgherd.contract.logs import LogLine
from pgherd.contract.meter import Usage
from pgherd.contract.observed import Observation
from pgherd.contract.offers import Capability, Offer
from pgherd.fleet.desired import Database, DatabaseId, Durability, Environment, Pooling


class Engine(Protocol):
    """A place where databases run. Each `ensure_...` changes one kind of thing.

    All calls raise TryLater when the place does not answer or is not ready, NeedsHuman when it
    will not be ready by itself. Those that take a DatabaseId raise InputError when it is unknown.
    """

    name: str
    concurrency: int
    """How many databases may be worked on at once."""
    deadline: float | None
    """Seconds after which work on one database is late, None for as long as everywhere."""
    reaches_databases: bool
    """pgherd itself can connect to the databases from where it runs; migrations need that."""

    async def capabilities(self) -> Sequence[Capability]:
        """What this place can and cannot do."""
        ...

    async def offers(self, databases: Collection[Database]) -> Sequence[Offer]:
        """Those that cannot be made here just as they are wanted, and why. Changes nothing.

        Said before anything is begun. Of a database that exists, only what it cannot become.
        """
        ...

    async def observe(self, *, roles: bool = True) -> Observation:
        """All that is there now. Raises TryLater when the engine cannot see at all.

        Without `roles`, instances of several may have Role.UNKNOWN where knowing costs a call.
        """
        ...

    def settings(self, database: Database) -> Mapping[str, str]:
        """What is set for it beside sizes and durability, by the fleet file's names. Pure."""
        ...

    async def usage(self, since: timedelta) -> Mapping[DatabaseId, Sequence[Usage]]:
        """What the databases used from `since` ago until now, the oldest first.

        A database without an answer is not in it.
        """
        ...

    async def ensure_environment(self, environment: Environment) -> None:
        """Its network, authorities and shared services exist and run."""
        ...

    async def ensure_database(self, database: Database) -> None:
        """It exists with `id`, and every instance that it has runs; the primary takes writes.

        Where it was not there it is created with its primary, and with as many of its
        `replicas.min` as come with it; started where it was stopped; mended where an instance
        was broken.
        """
        ...

    async def ensure_replicas(self, database: Database, count: int) -> None:
        """It has that many replicas, all streaming. The primary is never taken away."""
        ...

    async def ensure_ocpus(self, database: Database, ocpus: int) -> None:
        """Each instance has that many OCPUs, and what PostgreSQL derives from them.

        Live: a setting that waits for a restart shows up in `restart_pending`.
        """
        ...

    async def ensure_durability(self, database: Database, durability: Durability) -> None:
        """Commits are acknowledged as `durability` says. Live."""
        ...

    async def ensure_settings(self, database: Database) -> None:
        """What `settings` names is as the fleet file says. Live."""
        ...

    async def ensure_restarted(self, id: DatabaseId, instance: str) -> None:
        """An instance with pending settings was restarted. Not done on one that needs none."""
        ...

    async def ensure_stopped(self, id: DatabaseId) -> None:
        """Nothing of it runs; its data is kept."""
        ...

    async def ensure_absent(self, id: DatabaseId) -> None:
        """Nothing of it is left. Its data is gone."""
        ...

    async def ensure_environment_stopped(self, environment: str) -> None:
        """Its shared services do not run; called when its databases are stopped."""
        ...

    async def ensure_environment_absent(self, environment: str) -> None:
        """Nothing of it is left; called when it has no databases any more."""
        ...

    async def switchover(self, id: DatabaseId, target: str | None = None) -> str:
        """Make `target`, or the best replica, the primary, failing no transaction; its name."""
        ...

    async def failover(self, id: DatabaseId, target: str | None = None) -> str:
        """Make a replica the primary though the primary may be lost; its name."""
        ...

    async def backups(self, id: DatabaseId) -> BackupHistory:
        """What it can be restored to, in every region."""
        ...

    async def back_up(self, id: DatabaseId) -> ObservedBackup:
        """A backup taken now, once it is complete."""
        ...

    async def restore(
        self,
        source: DatabaseId,
        target: Database,
        moment: datetime,
        *,
        region: str | None = None,
    ) -> None:
        """`target` is as `source` was at `moment`, to the second; it serves.

        Where both are the same, what was written since is lost. `region` is another one that
        has copies: the target is made there from the last copy before the moment. A target that
        is there already and is another database is an InputError.
        """
        ...

    async def access(
        self, id: DatabaseId, role: AccessRole, pooling: Pooling = Pooling.SESSION
    ) -> Access:
        """How to connect as `role`. An operator always has a session of its own."""
        ...

    async def certificates(self) -> Sequence[CertificateInfo]:
        """Every certificate in use."""
        ...

    async def ensure_certificates(self, environment: str, *, renew: bool = False) -> int:
        """All certificates of an environment are valid and served; how many were made new.

        With `renew`, all of them are made anew, with no connection dropped.
        """
        ...

    def logs(
        self, id: DatabaseId, *, instance: str | None = None, lines: int = 50, follow: bool = False
    ) -> AsyncIterator[LogLine]:
        """The last lines of every component's log, then those that come, if `follow`."""
        ...
