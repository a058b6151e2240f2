"""A place where databases run, as everything else in pgherd sees it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Protocol

from pgherd.contract.access import Access, AccessRole, Reach
from pgherd.contract.backups import Backups
from pgherd.contract.certificates import Certificates
from pgherd.contract.logs import Logs
from pgherd.contract.meter import Meter
from pgherd.contract.observed import Observation
from pgherd.contract.offers import Capability, Offer
from pgherd.contract.proofs import Proofs
from pgherd.contract.settings import Settings
from pgherd.contract.verification import Verifier
from pgherd.fleet.desired import Database, DatabaseId, Durability, Environment, Pooling


class Engine(Protocol):
    """A place where databases run. Each `ensure_...` changes one kind of thing.

    The properties are abilities: None where the place does not have one.

    All calls raise TryLater when the place does not answer or is not ready, NeedsHuman when it
    will not be ready by itself. Those that take a DatabaseId raise InputError when it is unknown.
    """

    name: str
    concurrency: int
    """How many databases may be worked on at once."""
    deadline: float | None
    """Seconds after which work on one database is late, None for as long as everywhere."""

    @property
    def backups(self) -> Backups | None:
        """Backups, and restoring them."""
        ...

    @property
    def proofs(self) -> Proofs | None:
        """Proofs that backups bring databases back."""
        ...

    @property
    def verifier(self) -> Verifier | None:
        """A look at each file of backups."""
        ...

    @property
    def certificates(self) -> Certificates | None:
        """The certificates that it makes and renews."""
        ...

    @property
    def logs(self) -> Logs | None:
        """What its components wrote."""
        ...

    @property
    def meter(self) -> Meter | None:
        """What its databases use."""
        ...

    @property
    def reach(self) -> Reach | None:
        """pgherd's own way into the databases."""
        ...

    @property
    def settings(self) -> Settings | None:
        """What it sets beside sizes and durability."""
        ...

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

    async def ensure_environment(self, environment: Environment) -> None:
        """Its network, authorities and shared services exist and run.

        Impaired where all is there that its databases need, and something else is wrong.
        """
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

    async def access(
        self, id: DatabaseId, role: AccessRole, pooling: Pooling = Pooling.SESSION
    ) -> Access:
        """How to connect as `role`. An operator always has a session of its own."""
        ...
