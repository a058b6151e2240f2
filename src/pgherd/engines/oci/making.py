"""Making a database: its system, from nothing or from another one, and the way to it; its end."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from pgherd.engines.oci import blueprint, shapes
from pgherd.engines.oci.names import MADE_FROM, WAS
from pgherd.engines.oci.regions import domains
from pgherd.engines.oci.secrets import ADMIN_PASSWORD
from pgherd.engines.oci.site import Site
from pgherd.engines.oci.tenancy import Tenancy
from pgherd.errors import InputError
from pgherd.fleet.desired import Database, DatabaseId
from pgherd.fleet.names import read_only_role


@dataclass(frozen=True, slots=True)
class Origin:
    """What a database is made from: a system at a moment.

    `details` are the SDK's source details. A repetition knows what it made by system and moment.
    """

    id: DatabaseId
    system: str
    moment: datetime
    details: Mapping[str, Any]

    @classmethod
    def in_time(cls, id: DatabaseId, system: str, moment: datetime) -> Origin:
        """The service's point-in-time recovery."""
        details = {
            "source_type": "POINT_IN_TIME_DB_SYSTEM",
            "db_system_id": system,
            "time_to_restore": moment,
        }
        return cls(id, system, moment, details)

    @property
    def tags(self) -> dict[str, str]:
        """What the new system is marked with."""
        return {MADE_FROM: f"{self.system} {self.moment.isoformat()}", WAS: self.id.service}

    def made(self, system: Any) -> bool:
        """That system was made from this origin."""
        tags = system.freeform_tags or {}
        return all(tags.get(name) == value for name, value in self.tags.items())


async def make(
    tenancy: Tenancy, site: Site, database: Database, origin: Origin | None = None
) -> None:
    """A database that was not there serves, and can be reached."""
    shape = shapes.choose(await tenancy.shapes(site.cloud), database.ocpus.max)
    if shape is None:
        raise InputError(f"{site.cloud.region} has no shape for databases")
    database = copied_elsewhere(database, site.cloud.region)
    names = await domains(site.cloud)
    is_single = database.environment.availability_domains == 1 or len(names) == 1
    # What is made from another keeps the other's password.
    version = None if origin else await site.vault.version(ADMIN_PASSWORD)
    thing = blueprint.system(
        database,
        site.systems.owner,
        shape,
        domain=names[0] if is_single else None,
        secret_version=version,
    )
    if origin is not None:
        properties = {**thing.properties, "source": origin.details}
        thing = replace(thing, properties=properties, tags={**thing.tags, **origin.tags})
    system = await site.systems.create(database, thing, site.estate.ocids)
    await reach(site, database, system)


def copied_elsewhere(database: Database, region: str) -> Database:
    """In another region than its own, a database is not copied to where it is."""
    backup = database.backup
    others = tuple(r for r in backup.copy_to if r != region)
    return replace(database, backup=replace(backup, copy_to=others))


async def reach(site: Site, database: Database, system: str) -> None:
    """It serves, its poolers know it, and its clients have certificates."""
    found = (await site.systems.active(database.id, system)).data
    connection = await site.systems.connection(system)
    service = database.id.service
    await site.ensure_routed(service, found, connection, database.environment)
    await site.ensure_clients(service, read_only_role(service))


async def ensure_absent(tenancy: Tenancy, id: DatabaseId) -> None:
    """Its system is deleted, and its poolers forget it."""
    for held in await tenancy.held():
        for site in tenancy.sites(held) if held.name == id.environment else ():
            for system in await site.systems.live():
                if site.systems.owner.database(system) == id:
                    await site.systems.delete(id, system.id)
            await site.ensure_not_routed(id.service)
            for user in (id.service, read_only_role(id.service)):
                site.clients.drop(user)
