"""What is set for a system beside its size: backups, the storage's tier, the reader endpoint."""

from __future__ import annotations

from collections.abc import Mapping, Set

from pgherd.engines.oci import blueprint, observation
from pgherd.engines.oci.making import copied_elsewhere, reach
from pgherd.engines.oci.tenancy import Tenancy
from pgherd.engines.oci.values import OciValues
from pgherd.fleet.desired import Database


class SystemSettings:
    """Settings of the databases' systems, by the fleet file's names."""

    restarting: Set[str] = frozenset()

    def __init__(self, tenancy: Tenancy) -> None:
        self._tenancy = tenancy

    def wanted(self, database: Database) -> Mapping[str, str]:
        """Backups and the tier of its storage."""
        return observation.settings_wanted(database)

    async def ensure_applied(self, database: Database) -> None:
        """One kind of thing a call."""
        site, system = await self._tenancy.find(database.id)
        seen = observation.settings_seen((await site.systems.get(system.id)).data)
        wanted = observation.settings_wanted(database)
        changed = {name for name, value in wanted.items() if seen.get(name) != value}
        ocids = site.estate.ocids
        if changed & {observation.RETENTION, observation.COPIES}:
            database = copied_elsewhere(database, site.cloud.region)
            policy = blueprint.resolved(blueprint.management_policy(database), ocids)
            await site.systems.update(database.id, system.id, {"management_policy": policy})
        if observation.IOPS in changed:
            tier = {"storage_details": {"iops": database.environment.values_of(OciValues).iops}}
            await site.systems.update(database.id, system.id, tier)
        if observation.READER in changed:
            reader = {"network_details": {"is_reader_endpoint_enabled": database.replicas.max > 0}}
            await site.systems.update(database.id, system.id, reader)
            await reach(site, database, system.id)
