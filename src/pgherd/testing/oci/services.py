"""All services of the local OCI, put together."""

from __future__ import annotations

from pgherd.testing.oci.calls import Handler, Service
from pgherd.testing.oci.compute import Compute
from pgherd.testing.oci.identity import Identity
from pgherd.testing.oci.keys import Keys, Vaults
from pgherd.testing.oci.limits import Limits
from pgherd.testing.oci.monitoring import Monitoring
from pgherd.testing.oci.network import Network
from pgherd.testing.oci.network_rules import NetworkRules
from pgherd.testing.oci.psql_actions import DbSystemActions
from pgherd.testing.oci.psql_backups import Backups
from pgherd.testing.oci.psql_changes import DbSystemChanges
from pgherd.testing.oci.psql_configurations import Configurations
from pgherd.testing.oci.psql_reading import DbSystemReading
from pgherd.testing.oci.psql_systems import DbSystems
from pgherd.testing.oci.shapes import Shapes
from pgherd.testing.oci.vault_secrets import Bundles, Secrets
from pgherd.testing.oci.work_requests import WorkRequests
from pgherd.testing.oci.world import World


class Services:
    """One of each; tests reach into a few of them."""

    def __init__(self, world: World) -> None:
        self.shapes = Shapes(world)
        self.limits = Limits(world)
        self.monitoring = Monitoring(world)
        works = WorkRequests(world)
        self.systems = DbSystems(world, self.shapes, self.limits, works)
        self.backups = Backups(world, self.limits, works)
        changes = DbSystemChanges(self.systems)
        self.all: tuple[Service, ...] = (
            Identity(world),
            Network(world, self.limits),
            NetworkRules(world),
            Compute(world, self.limits),
            Vaults(world),
            Keys(world),
            Secrets(world),
            Bundles(world),
            self.shapes,
            self.limits,
            self.monitoring,
            works,
            self.systems,
            self.backups,
            changes,
            DbSystemActions(changes),
            DbSystemReading(world, self.systems.sources),
            Configurations(world, self.shapes, self.limits),
        )

    def handlers(self) -> dict[tuple[str, str], Handler]:
        """What is played, by service and operation."""
        return {
            (service.package, name): handler
            for service in self.all
            for name, handler in service.handlers().items()
        }
