"""Restoring a database: in its own place, to a new one beside it, or in another region."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

from pgherd.engines.oci import compartments, history
from pgherd.engines.oci.making import Origin, make, reach
from pgherd.engines.oci.names import PROOF
from pgherd.engines.oci.site import Site
from pgherd.engines.oci.tenancy import Tenancy
from pgherd.errors import InputError
from pgherd.fleet.desired import Database, DatabaseId, Environment


async def in_place(site: Site, id: DatabaseId, system: Any, moment: datetime) -> None:
    """The same system, as it was."""
    found = await history.of_system(site.cloud, site.estate.compartment, system.id)
    history.require_in(found, id, moment)
    if PROOF in (system.freeform_tags or {}):
        # It was of what comes now to its end. The restore starts what is stopped, too.
        await site.systems.active(id, system.id)
        await site.systems.tag(id, system.id, {PROOF: None})
    await site.systems.restore_in_place(id, system.id, {"time_to_restore": moment})


async def beside(
    tenancy: Tenancy,
    site: Site,
    source: DatabaseId,
    system: Any,
    target: Database,
    moment: datetime,
) -> None:
    """A new system from the service's point-in-time recovery."""
    origin = Origin.in_time(source, system.id, moment)
    if await _is_made(site, target, origin):
        return
    found = await history.of_system(site.cloud, site.estate.compartment, system.id)
    history.require_in(found, source, moment)
    own = await tenancy.open(target.environment)
    if own is not site:
        raise InputError(
            f"{source} is in {site.cloud.region}, not in {own.cloud.region}",
            f"write --from-region {site.cloud.region}",
        )
    await make(tenancy, own, target, origin)


async def elsewhere(
    tenancy: Tenancy,
    source: DatabaseId,
    system: Any,
    target: Database,
    moment: datetime,
    region: str,
) -> None:
    """A new system in another region, from the last copy there that is not newer."""
    held = await tenancy.holding(source.environment)
    cloud = tenancy.cloud(held.profile, region)
    copy = await history.last_copy(cloud, held.compartment, system.id, source, moment)
    site = await _second_site(tenancy, target.environment, region)
    origin = Origin(source, system.id, moment, {"source_type": "BACKUP", "backup_id": copy})
    if not await _is_made(site, target, origin):
        await make(tenancy, site, target, origin)


async def is_there(
    tenancy: Tenancy,
    site: Site,
    source: DatabaseId,
    system: Any,
    target: Database,
    moment: datetime,
    region: str | None,
) -> bool:
    """An earlier call has made it. InputError where it is something else."""
    held = await tenancy.holding(target.environment.name)
    if region is not None and region != site.cloud.region:
        if region not in held.regions:
            return False
        site = tenancy.site(held, region)
    found = await site.systems.find(target.id)
    if found is not None and not Origin(source, system.id, moment, {}).made(found):
        raise InputError(f"{target.id} is there already", "choose another name with --as")
    return found is not None


async def _second_site(tenancy: Tenancy, environment: Environment, region: str) -> Site:
    """The environment in another region: the same things once more, with vault and key."""
    held = await tenancy.holding(environment.name)
    if region not in held.regions:
        held = replace(held, regions=(*held.regions, region))
        home = await tenancy.home(held.profile, tenancy.own(held).cloud)
        await compartments.note_regions(home, held.compartment, held.owner, held.regions)
    await tenancy.ensure(tenancy.known(environment.name))
    return tenancy.site(held, region)


async def _is_made(site: Site, target: Database, origin: Origin) -> bool:
    """An earlier call made it; it serves now. InputError where it is something else."""
    found = await site.systems.find(target.id)
    if found is None:
        return False
    if not origin.made(found):
        raise InputError(f"{target.id} is there already", "choose another name with --as")
    await reach(site, target, found.id)
    return True
