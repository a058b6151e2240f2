"""The engine for OCI: the contract of `pgherd.engine`, kept with the service's own means.

Nothing is remembered but client certificates: what exists is what OCI lists with pgherd's tags.
So a run that ended anywhere is gone on with by looking again.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from pgherd.engine import (
    Access,
    AccessRole,
    BackupHistory,
    Capability,
    CertificateInfo,
    LogLine,
    Observation,
    ObservedBackup,
    ObservedDatabase,
    Offer,
    Unknown,
    Usage,
)
from pgherd.engines.oci import (
    backups,
    blueprint,
    compartments,
    observation,
    poolers,
    shapes,
    usage,
)
from pgherd.engines.oci.blueprint import ADMIN, Kind
from pgherd.engines.oci.clients import Clients, read_only_role
from pgherd.engines.oci.names import ENVIRONMENT, FLEET, MADE_FROM, REGIONS, Owner
from pgherd.engines.oci.offers import Place, offers
from pgherd.engines.oci.sdk import THREADS, Cloud, NotFound, Sleep
from pgherd.engines.oci.secrets import ADMIN_PASSWORD
from pgherd.engines.oci.shapes import Shape
from pgherd.engines.oci.site import Site, domains
from pgherd.engines.oci.systems import GONE
from pgherd.engines.oci.waiting import together
from pgherd.errors import InputError, TryLater
from pgherd.fleet.desired import Database, DatabaseId, Durability, Environment

CONCURRENCY = 4
"""Databases that are worked on at once: more makings in parallel and the service throttles."""
LIMIT_SERVICE, LIMIT_WORD = "postgresql", "db-system"


@dataclass(frozen=True, slots=True)
class Held:
    """A compartment that holds one of the fleet's environments."""

    owner: Owner
    profile: str
    parent: str
    compartment: str
    regions: tuple[str, ...]

    @property
    def name(self) -> str:
        """The environment's."""
        return self.owner.environment


class OciEngine:
    """The databases of one fleet on OCI. `root` holds certificates of clients."""

    name = "oci"
    concurrency = CONCURRENCY
    reaches_databases = False

    def __init__(
        self,
        fleet: str,
        environments: Collection[Environment],
        root: Path,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        self.fleet = fleet
        self.root = root
        self._sleep = sleep
        self._environments = {e.name: e for e in environments}
        for environment in self._environments.values():
            _require_settings(environment)
        self._threads = ThreadPoolExecutor(THREADS, "oci")
        self._clouds: dict[tuple[str, str], Cloud] = {}
        self._sites: dict[tuple[str, str], Site] = {}
        self._ready: set[str] = set()
        self._opening: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._shapes: dict[str, tuple[Shape, ...]] = {}
        self._glance: dict[tuple[str, str], list[Any]] = {}

    # Seeing

    async def capabilities(self) -> Sequence[Capability]:
        """What this tenancy, profile and region can do."""
        from pgherd.engines.oci.doctor import capabilities

        return await capabilities(tuple(self._environments.values()), self._cloud)

    async def offers(self, databases: Collection[Database]) -> Sequence[Offer]:
        """Where shapes, domains, limits, storage or retention are less than is wanted."""
        if not databases:
            return []
        held = await self._held()
        places: dict[str, Place] = {}
        for environment in {d.environment.name: d.environment for d in databases}.values():
            region = environment.oci.region or ""
            if region not in places:
                places[region] = await self._place(self.cloud(environment))
        existing = await self._existing(held)
        return list(offers(databases, places, existing))

    async def _place(self, cloud: Cloud) -> Place:
        found, names, left = await together(
            self._shapes_of(cloud), domains(cloud), _systems_left(cloud)
        )
        return Place(found, names, left)

    async def _shapes_of(self, cloud: Cloud) -> tuple[Shape, ...]:
        if cloud.region not in self._shapes:
            found = await cloud.all("psql", "list_shapes", compartment_id=cloud.tenancy)
            self._shapes[cloud.region] = shapes.read(found)
        return self._shapes[cloud.region]

    async def _existing(self, held: Sequence[Held]) -> set[DatabaseId]:
        """What is there. The lists are kept for the look that follows."""
        found: set[DatabaseId] = set()
        for one in held:
            for region in one.regions:
                site = self._site(one, region)
                summaries = await site.systems.all()
                self._glance[one.compartment, region] = summaries
                ids = (site.systems.owner.database(s) for s in summaries if _is_live(s))
                found |= {id for id in ids if id is not None}
        return found

    async def observe(self, *, roles: bool = True) -> Observation:
        """Everything that carries the fleet's tags."""
        held = await self._held()
        views = await together(
            *(self._view(one, region, roles=roles) for one in held for region in one.regions)
        )
        self._glance.clear()
        databases: dict[DatabaseId, ObservedDatabase | Unknown] = {}
        for view in views:
            databases |= view.databases
        homes = [view for view in views if view.is_home]
        return Observation(
            frozenset(one.name for one in held),
            databases,
            {v.environment: v.trouble for v in homes if v.trouble and not v.is_stopped},
            frozenset(v.environment for v in homes if v.is_stopped),
        )

    async def _view(self, held: Held, region: str, *, roles: bool) -> _View:
        site = self._site(held, region)
        site.estate.forget(Kind.INSTANCE)
        summaries, instances = await together(
            self._summaries(held, region, site), poolers.found(site.estate)
        )
        known = await poolers.known_routes(site.estate)
        by_id: dict[DatabaseId, list[Any]] = defaultdict(list)
        for summary in summaries:
            id = site.systems.owner.database(summary)
            if id is not None and _is_live(summary):
                by_id[id].append(summary)
        routed = set(known.databases) if known else set()
        looks = await together(
            *(self._look(site, id, found, routed, roles=roles) for id, found in by_id.items())
        )
        states = {i.lifecycle_state for i in instances}
        return _View(
            held.name,
            {id: seen for id, seen in zip(by_id, looks, strict=True) if seen is not None},
            is_home=region == held.regions[0],
            is_stopped=states == {"STOPPED"},
            trouble=_trouble(states, known.certificate_due if known else None),
        )

    async def _summaries(self, held: Held, region: str, site: Site) -> list[Any]:
        kept = self._glance.get((held.compartment, region))
        return await site.systems.all() if kept is None else kept

    async def _look(
        self, site: Site, id: DatabaseId, found: list[Any], routed: set[str], *, roles: bool
    ) -> ObservedDatabase | Unknown | None:
        if len(found) > 1:
            return observation.duplicates(len(found))
        try:
            system = (await site.systems.get(found[0].id)).data
            if not _is_live(system):
                return None
            several = len(system.instances or ()) > 1
            is_up = system.lifecycle_state in ("ACTIVE", "UPDATING")
            primary = await site.systems.primary(system.id) if roles and several and is_up else None
        except NotFound:
            return None
        except TryLater as error:
            return Unknown(error.message)
        return observation.database(id, system, primary, is_routed=id.service in routed)

    def settings(self, database: Database) -> Mapping[str, str]:
        """Backups and the tier of its storage."""
        return observation.settings_wanted(database)

    async def usage(self, since: timedelta) -> Mapping[DatabaseId, Sequence[Usage]]:
        """CPU, memory and storage of each primary, as OCI measured them."""
        now = datetime.now(UTC)
        found: dict[DatabaseId, Sequence[Usage]] = {}
        for held in await self._held():
            for region in held.regions:
                site = self._site(held, region)
                summaries = [s for s in await site.systems.all() if _is_live(s)]
                if not summaries:
                    continue
                measured = await usage.samples(site.cloud, held.compartment, now, since)
                for summary in summaries:
                    id = site.systems.owner.database(summary)
                    if id is not None and summary.id in measured:
                        found[id] = measured[summary.id]
        return found

    # Environments

    async def ensure_environment(self, environment: Environment) -> None:
        """Compartment, network, vault, secrets and poolers."""
        async with self._opening[environment.name]:
            site = await self._claim(environment)
            await site.ensure(environment)
            self._ready.add(environment.name)

    async def _claim(self, environment: Environment) -> Site:
        """The site of an environment, in its own compartment."""
        oci = environment.oci
        owner = Owner(self.fleet, environment.name)
        regions: tuple[str, ...] = (oci.region or "",)
        cloud = self.cloud(environment)
        seen = await compartments.below(cloud, oci.parent or "")
        home = self._cloud(oci.profile, await compartments.home(cloud))
        for compartment in seen:
            if owner.owns(compartment) and compartments.in_use(compartment):
                regions = _regions(compartment) or regions
        ocid = await compartments.ensure(home, environment, owner, seen, regions)
        return self._site(Held(owner, oci.profile, oci.parent or "", ocid, regions), regions[0])

    async def ensure_environment_stopped(self, environment: str) -> None:
        """Its poolers do not run; the rest costs next to nothing."""
        held = await self._holding(environment)
        self._ready.discard(environment)
        for region in held.regions:
            site = self._site(held, region)
            for summary in await site.systems.all():
                if _is_live(summary) and summary.lifecycle_state != "INACTIVE":
                    raise TryLater(f"{site.systems.owner.database(summary)} still runs")
            await site.stop()

    async def ensure_environment_absent(self, environment: str) -> None:
        """Network and poolers are gone, vault and secrets soon; the compartment stays, empty."""
        self._ready.discard(environment)
        for held in await self._held():
            if held.name != environment:
                continue
            sites = [self._site(held, region) for region in held.regions]
            for site in sites:
                if any(_is_live(s) for s in await site.systems.all()):
                    raise InputError(f"{environment} still has databases", "destroy them first")
            for site in sites:
                await site.ensure_absent()
                site.clients.forget()
            home = self._cloud(held.profile, await compartments.home(sites[0].cloud))
            await compartments.mark_empty(home, held.compartment, held.owner)
            for region in held.regions:
                self._sites.pop((held.compartment, region), None)

    # Databases

    async def ensure_database(self, database: Database) -> None:
        """Its system serves, and the poolers know where."""
        site = await self._open(database.environment)
        found = await site.systems.find(database.id)
        if found is not None and found.lifecycle_state == "DELETING":
            await site.systems.delete(database.id, found.id)
            found = None
        system = found.id if found else await self._create(site, database)
        await self._route(site, database, system)

    async def _create(
        self,
        site: Site,
        database: Database,
        source: Mapping[str, Any] | None = None,
        made_from: str | None = None,
    ) -> str:
        thing = await self._system(site, database, keeps_password=source is not None)
        if source is not None:
            thing = replace(
                thing,
                properties={**thing.properties, "source": source},
                tags={**thing.tags, MADE_FROM: made_from or ""},
            )
        return await site.systems.create(database, thing, site.estate.ocids)

    async def _system(
        self, site: Site, database: Database, *, keeps_password: bool
    ) -> blueprint.Thing:
        shape = shapes.choose(await self._shapes_of(site.cloud), database.ocpus.max)
        if shape is None:
            raise InputError(f"{site.cloud.region} has no shape for databases")
        names = await site.domains()
        alone = names[0] if database.environment.availability_domains == 1 else None
        version = None if keeps_password else await site.vault.version(ADMIN_PASSWORD)
        return blueprint.system(
            database, site.systems.owner, shape, domain=alone, secret_version=version
        )

    async def _route(self, site: Site, database: Database, system: str) -> None:
        """It serves, its poolers know it, and its clients have certificates."""
        found = await site.systems.active(database.id, system)
        connection = await site.systems.connection(system)
        service = database.id.service
        await site.ensure_routed(service, found.data, connection, database.environment.network)
        users = (service, read_only_role(service))
        if not all(site.clients.has(user) for user in users):
            authority = await site.authority()
            now = datetime.now(UTC)
            for user in users:
                site.clients.ensure(authority, user, now)

    async def ensure_replicas(self, database: Database, count: int) -> None:
        """Nodes are added and taken one by one; each shares the database's storage."""
        site, system = await self._find(database.id)
        await site.systems.scale(database, system.id, 1 + count)

    async def ensure_ocpus(self, database: Database, ocpus: int) -> None:
        """All nodes get the size; the service restarts them as it must."""
        site, system = await self._find(database.id)
        shape = shapes.of_name(await self._shapes_of(site.cloud), system.shape)
        if shape is None:
            raise InputError(f"{site.cloud.region} does not have shape {system.shape} any more")
        if ocpus > shape.max_ocpus:
            raise InputError(
                f"{database.id} has shape {system.shape}, which ends at {shape.max_ocpus} OCPUs",
                "restore it to a new database, which gets a larger shape",
            )
        await site.systems.resize(database.id, system.id, ocpus, shape)

    async def ensure_durability(self, database: Database, durability: Durability) -> None:
        """Nothing to do: the storage has every commit several times before it is acknowledged."""
        await self._find(database.id)

    async def ensure_settings(self, database: Database) -> None:
        """Backups, then the storage's tier: one kind of thing a call."""
        site, system = await self._find(database.id)
        seen = observation.settings_seen((await site.systems.get(system.id)).data)
        wanted = observation.settings_wanted(database)
        changed = {name for name, value in wanted.items() if seen.get(name) != value}
        ocids = site.estate.ocids
        if changed & {"backup.retention", "backup.copy_to"}:
            policy = blueprint.resolved(blueprint.management_policy(database), ocids)
            await site.systems.update(database.id, system.id, {"management_policy": policy})
        if "oci.iops" in changed:
            tier = {"storage_details": {"iops": database.environment.oci.iops}}
            await site.systems.update(database.id, system.id, tier)

    async def ensure_restarted(self, id: DatabaseId, instance: str) -> None:
        """Nothing waits for a restart on OCI: the service restarts what has to be."""
        site, system = await self._find(id)
        await self._instance(site, id, system.id, instance)

    async def ensure_stopped(self, id: DatabaseId) -> None:
        """INACTIVE: nothing of it is billed but its storage."""
        site, system = await self._find(id)
        await site.systems.stop(id, system.id)

    async def ensure_absent(self, id: DatabaseId) -> None:
        """Its system is deleted, and its poolers forget it."""
        for held in await self._held():
            if held.name != id.environment:
                continue
            for region in held.regions:
                site = self._site(held, region)
                for summary in await site.systems.all():
                    if site.systems.owner.database(summary) == id and _is_live(summary):
                        await site.systems.delete(id, summary.id)
                await site.ensure_not_routed(id.service)
                for user in (id.service, read_only_role(id.service)):
                    site.clients.drop(user)

    async def switchover(self, id: DatabaseId, target: str | None = None) -> str:
        """The service fails over to that instance; connections to the old primary end."""
        return await self._change_primary(id, target)

    async def failover(self, id: DatabaseId, target: str | None = None) -> str:
        """The same: the service knows one way."""
        return await self._change_primary(id, target)

    async def _change_primary(self, id: DatabaseId, target: str | None) -> str:
        site, summary = await self._find(id)
        instances = await self._instances(site, summary.id)
        primary = await site.systems.primary(summary.id)
        if target is not None:
            heir = await self._instance(site, id, summary.id, target)
        else:
            others = [i for i in instances if i.id != primary and i.lifecycle_state == "ACTIVE"]
            if not others:
                raise InputError(f"{id} has no replica", "write replicas: 1 or more")
            heir = min(others, key=lambda i: str(i.display_name))
        if heir.id != primary:
            await site.systems.fail_over(id, summary.id, heir.id)
        return str(heir.display_name)

    async def _instances(self, site: Site, system: str) -> list[Any]:
        found = (await site.systems.get(system)).data
        return [i for i in found.instances or () if i.lifecycle_state != "DELETED"]

    async def _instance(self, site: Site, id: DatabaseId, system: str, name: str) -> Any:
        instances = await self._instances(site, system)
        for instance in instances:
            if instance.display_name == name:
                return instance
        known = ", ".join(sorted(i.display_name for i in instances))
        raise InputError(f"{name!r} is not an instance of {id}", f"write one of {known}")

    # Backups

    async def backups(self, id: DatabaseId) -> BackupHistory:
        """The service's daily ones, those taken by hand, and copies in other regions."""
        site, system = await self._find(id)
        return await backups.history(site.cloud, site.estate.compartment, system.id)

    async def back_up(self, id: DatabaseId) -> ObservedBackup:
        """A full one, kept as long as the database's own."""
        site, system = await self._find(id)
        found = (await site.systems.get(system.id)).data
        days = observation.retention_days(found) or 1
        return await backups.take(
            site.cloud, site.estate.compartment, id, system.id, site.systems.owner, days
        )

    async def restore(
        self, source: DatabaseId, target: Database, moment: datetime, *, region: str | None = None
    ) -> None:
        """Point-in-time recovery, in place or to a new system; or a copy's, in its region."""
        moment = moment.astimezone(UTC).replace(microsecond=0)
        site, system = await self._find(source)
        if region is not None and region != site.cloud.region:
            await self._restore_elsewhere(source, site, system, target, moment, region)
            return
        if target.id != source and await self._is_made(site, target, system.id, moment):
            return
        history = await backups.history(site.cloud, site.estate.compartment, system.id)
        backups.require_in(history, source, moment)
        if target.id == source:
            await site.systems.restore_in_place(source, system.id, {"time_to_restore": moment})
            return
        made_from = {
            "source_type": "POINT_IN_TIME_DB_SYSTEM",
            "db_system_id": system.id,
            "time_to_restore": moment,
        }
        await self._make_from(site, target, made_from, f"{system.id} {moment.isoformat()}")

    async def _restore_elsewhere(
        self,
        source: DatabaseId,
        site: Site,
        system: Any,
        target: Database,
        moment: datetime,
        region: str,
    ) -> None:
        if target.id == source:
            raise InputError(
                f"{source} is in {site.cloud.region}, its copies are in {region}",
                f"write --as NAME: the copy becomes a new database in {region}",
            )
        held = await self._holding(source.environment)
        cloud = self._cloud(held.profile, region)
        copy = await backups.last_copy(cloud, held.compartment, system.id, source, moment)
        there = await self._second_site(held, target.environment, region)
        if await self._is_made(there, target, system.id, moment):
            return
        made_from = {"source_type": "BACKUP", "backup_id": copy}
        await self._make_from(there, target, made_from, f"{system.id} {moment.isoformat()}")

    async def _second_site(self, held: Held, environment: Environment, region: str) -> Site:
        """The environment in another region: the same things once more, with vault and key."""
        own = self._site(held, held.regions[0])
        oci = replace(environment.oci, region=region, vcn=None, vault=None, key=None)
        if region not in held.regions:
            held = replace(held, regions=(*held.regions, region))
            home = self._cloud(held.profile, await compartments.home(own.cloud))
            await compartments.note_regions(home, held.compartment, held.owner, held.regions)
        site = self._site(held, region)
        await site.ensure(replace(environment, oci=oci), authority=await own.authority())
        return site

    async def _is_made(self, site: Site, target: Database, system: str, moment: datetime) -> bool:
        """An earlier call made it; it serves now. InputError where it is something else."""
        found = await site.systems.find(target.id)
        if found is None:
            return False
        if found.freeform_tags.get(MADE_FROM) != f"{system} {moment.isoformat()}":
            raise InputError(f"{target.id} is there already", "choose another name with --as")
        await self._route(site, target, found.id)
        return True

    async def _make_from(
        self, site: Site, target: Database, source: Mapping[str, Any], made_from: str
    ) -> None:
        environment = replace(
            target.environment, oci=replace(target.environment.oci, region=site.cloud.region)
        )
        if site.cloud.region == target.environment.oci.region:
            site = await self._open(environment)
        system = await self._create(site, target, source, made_from)
        await self._route(site, target, system)

    # Access

    async def access(self, id: DatabaseId, role: AccessRole) -> Access:
        """Through the poolers, by certificate; the operator as the master user."""
        site, _ = await self._find(id)
        environment = self._known(id.environment)
        user, database = {
            AccessRole.SERVICE: (id.service, id.service),
            AccessRole.READ_ONLY: (read_only_role(id.service), f"{id.service}-ro"),
            AccessRole.OPERATOR: (ADMIN, id.service),
        }[role]
        if not site.clients.has(user):
            site.clients.ensure(await site.authority(), user, datetime.now(UTC))
        place = site.clients.place(user)
        return Access(
            host=",".join(str(a) for a in blueprint.pooler_addresses(environment)),
            port=blueprint.POOLER_PORT,
            database=database,
            user=user,
            certificate=place.certificate,
            key=place.key,
            authority=site.clients.authority,
        )

    async def certificates(self) -> Sequence[CertificateInfo]:
        """Those of clients that are on this machine, and the poolers'."""
        folders = sorted(self.root.iterdir()) if self.root.is_dir() else []
        infos = [info for f in folders for info in Clients(f.name, f).infos()]
        return sorted(infos, key=lambda info: (info.not_after, str(info.path)))

    async def ensure_certificates(self, environment: str, *, renew: bool = False) -> int:
        """On this machine and, for the poolers, in the vault, where they read them."""
        held = await self._holding(environment)
        site = self._site(held, held.regions[0])
        services = [
            id.service
            for s in await site.systems.all()
            if _is_live(s) and (id := site.systems.owner.database(s)) is not None
        ]
        users = [ADMIN, *(u for s in services for u in (s, read_only_role(s)))]
        return await site.ensure_certificates(self._known(environment), users, renew=renew)

    async def logs(
        self, id: DatabaseId, *, instance: str | None = None, lines: int = 50, follow: bool = False
    ) -> AsyncIterator[LogLine]:
        """What OCI did to the system: the logs of its work requests."""
        site, system = await self._find(id)
        told: set[tuple[str, str]] = set()
        while True:
            fresh = [
                line
                for line in await _work_log(site, system.id)
                if (line.source, line.text) not in told
            ]
            for line in fresh[-lines:] if not told else fresh:
                yield line
            told |= {(line.source, line.text) for line in fresh}
            if not follow:
                return
            await site.cloud.sleep(5)

    # Finding

    def cloud(self, environment: Environment) -> Cloud:
        """The region of an environment."""
        return self._cloud(environment.oci.profile, environment.oci.region or "")

    def _cloud(self, profile: str, region: str) -> Cloud:
        if (profile, region) not in self._clouds:
            self._clouds[profile, region] = Cloud(profile, region, self._threads, sleep=self._sleep)
        return self._clouds[profile, region]

    def _site(self, held: Held, region: str) -> Site:
        key = (held.compartment, region)
        if key not in self._sites:
            cloud = self._cloud(held.profile, region)
            clients = Clients(held.name, self.root / held.name)
            self._sites[key] = Site(cloud, held.owner, held.compartment, clients)
        return self._sites[key]

    async def _held(self) -> list[Held]:
        """All environments of the fleet that exist, those that left the fleet file too."""
        places = {
            (e.oci.profile, e.oci.parent or ""): e.oci.region or ""
            for e in self._environments.values()
        }
        found = await together(
            *(
                compartments.below(self._cloud(profile, region), parent)
                for (profile, parent), region in places.items()
            )
        )
        return [
            Held(owner, profile, parent, compartment.id, regions)
            for (profile, parent), below in zip(places, found, strict=True)
            for compartment in below
            for owner, regions in self._ownership(compartment)
        ]

    def _ownership(self, compartment: Any) -> Iterator[tuple[Owner, tuple[str, ...]]]:
        tags = compartment.freeform_tags or {}
        regions = _regions(compartment)
        is_ours = tags.get(FLEET) == self.fleet and ENVIRONMENT in tags and regions
        if is_ours and compartments.in_use(compartment):
            yield Owner(self.fleet, tags[ENVIRONMENT]), regions

    async def _holding(self, environment: str) -> Held:
        for held in await self._held():
            if held.name == environment:
                return held
        raise InputError(f"{environment} does not exist on oci", "run `pgherd up`")

    async def _find(self, id: DatabaseId) -> tuple[Site, Any]:
        """The site of a database, and the summary of its system."""
        for held in await self._held():
            if held.name != id.environment:
                continue
            for region in held.regions:
                site = self._site(held, region)
                if (found := await site.systems.find(id)) is not None:
                    return site, found
        raise InputError(f"{id} does not exist on oci", "run `pgherd up`")

    async def _open(self, environment: Environment) -> Site:
        """The site of an environment that is complete. TryLater where it is not."""
        try:
            held = await self._holding(environment.name)
        except InputError:
            raise TryLater(f"environment {environment.name} does not exist yet") from None
        site = self._site(held, environment.oci.region or held.regions[0])
        async with self._opening[environment.name]:
            if environment.name not in self._ready:
                for kind in Kind:
                    site.estate.forget(kind)
                await site.look_up(environment)
                self._ready.add(environment.name)
        return site

    def _known(self, environment: str) -> Environment:
        if environment not in self._environments:
            raise InputError(f"{environment} is not in the fleet file", "write it there again")
        return self._environments[environment]


@dataclass(frozen=True, slots=True)
class _View:
    """One environment in one region."""

    environment: str
    databases: Mapping[DatabaseId, ObservedDatabase | Unknown]
    is_home: bool
    is_stopped: bool
    trouble: str


def _require_settings(environment: Environment) -> None:
    """InputError where the fleet file does not say where on OCI an environment is."""
    oci = environment.oci
    missing = [n for n, v in (("region", oci.region), ("parent", oci.parent)) if v is None]
    if missing:
        raise InputError(
            f"{environment.name} is on engine oci and has no {' and no '.join(missing)}",
            "write oci: {region: us-ashburn-1, parent: OCID of a compartment}",
        )


def _trouble(states: set[str], due: datetime | None) -> str:
    """Why the poolers of an environment need a hand, empty where they do not."""
    if not states:
        return "no pooler is there"
    if states != {"RUNNING"}:
        return f"a pooler is {min(states - {'RUNNING'})}"
    if due is not None and datetime.now(UTC) > due:
        return "its poolers' certificate is to be renewed"
    return ""


def _is_live(system: Any) -> bool:
    return system.lifecycle_state not in GONE


def _regions(compartment: Any) -> tuple[str, ...]:
    text = (compartment.freeform_tags or {}).get(REGIONS, "")
    return tuple(text.split()) if text else ()


async def _systems_left(cloud: Cloud) -> int | None:
    """How many more systems the limits allow, None where OCI does not say."""
    try:
        values = await cloud.all(
            "limits", "list_limit_values", cloud.tenancy, service_name=LIMIT_SERVICE
        )
        for value in values:
            if LIMIT_WORD in value.name:
                answer = await cloud.call(
                    "limits", "get_resource_availability", LIMIT_SERVICE, value.name, cloud.tenancy
                )
                return None if answer.data.available is None else int(answer.data.available)
    except InputError:
        return None
    return None


async def _work_log(site: Site, system: str) -> list[LogLine]:
    cloud = site.cloud
    requests = await cloud.all(
        "psql", "list_work_requests", compartment_id=site.estate.compartment, resource_id=system
    )
    lines = []
    for request in sorted(requests, key=lambda r: r.time_accepted):
        source = request.operation_type.lower().replace("_", " ")
        lines.append(LogLine(source, f"{request.time_accepted:%Y-%m-%d %H:%M:%S} {request.status}"))
        for kind in ("logs", "errors"):
            entries = await cloud.all("psql", f"list_work_request_{kind}", request.id)
            lines += [
                LogLine(source, f"{entry.timestamp:%Y-%m-%d %H:%M:%S} {entry.message}")
                for entry in sorted(entries, key=lambda e: e.timestamp)
            ]
    return lines
