"""What OCI can make of each database, said before anything is begun. Pure.

Nothing here is a constant of ours that the service could tell: shapes, availability domains and
limits are what it answered. What it does not tell stands here with where it is written down.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from pgherd.contract.offers import Offer
from pgherd.engines.oci.blueprint import NEWEST, addresses_in, addresses_needed, subnets
from pgherd.engines.oci.section import MAX_RETENTION_DAYS, NETWORK_PREFIXES
from pgherd.engines.oci.shapes import Shape, bare, choose, of_name
from pgherd.engines.oci.values import Concession, OciValues
from pgherd.errors import InputError
from pgherd.fleet.desired import Backup, Database, DatabaseId, Environment, Ocpus
from pgherd.units import format_bytes, format_days, number

MAX_STORAGE_BYTES = 32 * 10**12
"""Of a database, shared by its instances (Oracle's page on limits: 32 TB)."""
VERSIONS = (14, 15, 16)
"""PostgreSQL's major versions of the service."""


@dataclass(frozen=True, slots=True)
class Place:
    """What one region has for one tenancy.

    `left` is how many systems the tenancy's limits leave there, None for unknown.
    """

    shapes: Sequence[Shape]
    domains: Sequence[str]
    left: int | None = None
    tenancy: str = ""
    regions: Sequence[str] = ()
    """What the tenancy is subscribed to; nothing where that is not known."""


@dataclass(frozen=True, slots=True)
class Findings:
    """What was found of one database so far."""

    database: Database
    concessions: list[str] = field(default_factory=list)
    objections: list[InputError] = field(default_factory=list)

    def concede(self, concession: Concession, less: str, message: str, hint: str) -> bool:
        """Less than asked for: a concession where it is accepted, else an objection."""
        if concession in self.database.environment.values_of(OciValues).accept:
            self.concessions.append(less)
            return True
        accept = f"or accept it with oci: {{accept: [{concession}]}}"
        self.objections.append(InputError(message, f"{hint}, {accept}"))
        return False


def whereabouts(environment: Environment) -> tuple[str, str]:
    """The profile and the region: two profiles may be two tenancies."""
    oci = environment.values_of(OciValues)
    return oci.profile, oci.region or ""


def offers(
    databases: Collection[Database],
    places: Mapping[tuple[str, str], Place],
    existing: Mapping[DatabaseId, str],
) -> Iterator[Offer]:
    """Of all databases that cannot be just as they are wanted.

    `places` are by `whereabouts`; `existing` is the shape of each database that is there.
    """
    crowded = _crowded([d for d in databases if d.id not in existing], places)
    for environment, group in _by_environment(databases):
        place = places[whereabouts(environment)]
        of_old = [*_network(environment, [d for d in group if d.id in existing])]
        of_new = [*_pooler(environment), *_network(environment, group)]
        if (
            error := crowded.get((place.tenancy, environment.values_of(OciValues).region or ""))
        ) is not None:
            of_new.append(error)
        for database in group:
            shape = existing.get(database.id)
            offer = _offer(database, place, of_new if shape is None else of_old, shape)
            if offer.concessions or offer.objections or offer.database != database:
                yield offer


def _by_environment(
    databases: Collection[Database],
) -> Iterator[tuple[Environment, list[Database]]]:
    names = dict.fromkeys(d.environment.name for d in databases)
    for name in names:
        group = [d for d in databases if d.environment.name == name]
        yield group[0].environment, group


def _pooler(environment: Environment) -> Iterator[InputError]:
    """Asked of new databases: one that exists keeps the poolers that it is reached through."""
    if environment.values_of(OciValues).pooler is None:
        yield InputError(
            "oci asks no client for a certificate",
            "write oci: {pooler: create} for a PgBouncer tier that does, "
            "or render to launch it yourself",
        )


def _network(environment: Environment, group: Collection[Database]) -> Iterator[InputError]:
    """Of new and old, since poolers' addresses are counted from it.

    That a new database is one too many in it is no fault of those that exist.
    """
    network = environment.network
    low, high = NETWORK_PREFIXES
    if not low <= network.prefixlen <= high:
        yield InputError(
            f"network {network} does not fit a VCN of oci", f"write a /{low} to /{high}"
        )
        return
    needed, room = addresses_needed(iter(group)), addresses_in(subnets(network)[0])
    if needed > room:
        yield InputError(
            f"network {network} gives databases {room} addresses and they may need {needed}",
            "write a larger network",
        )


def _crowded(
    new: Collection[Database], places: Mapping[tuple[str, str], Place]
) -> dict[tuple[str, str], InputError]:
    """By tenancy and region, whose limits all environments there share: too many new ones."""
    groups: defaultdict[tuple[str, str], list[Environment]] = defaultdict(list)
    lefts: dict[tuple[str, str], int | None] = {}
    for database in new:
        profile, region = whereabouts(database.environment)
        place = places[profile, region]
        groups[place.tenancy, region].append(database.environment)
        lefts[place.tenancy, region] = place.left
    return {
        key: _too_many(key[1], left, [e.name for e in groups[key]])
        for key, left in lefts.items()
        if left is not None and len(groups[key]) > left
    }


def _too_many(region: str, left: int, environments: Sequence[str]) -> InputError:
    names = tuple(dict.fromkeys(environments))
    need = "needs" if len(names) == 1 else "need"
    who = f"{', '.join(names)} {need} {len(environments)}"
    return InputError(
        f"{region} has room for {left} more DB systems and {who}",
        "ask for a higher limit in the console (Governance, Limits)",
    )


def _offer(
    database: Database, place: Place, shared: Sequence[InputError], shape: str | None
) -> Offer:
    """`shape` is the one that it has, None where it is new."""
    found = Findings(database)
    made = (
        _ocpus(database, found, place) if shape is None else _resized(database, found, place, shape)
    )
    for look in (_storage, _retention):
        made = look(made, found)
    made = _spread(made, place)
    _copies(made, found, place)
    _streams(made, found)
    _migrations(made, found)
    _sizes(made, found)
    if shape is None:
        made = _domains(made, found, place)
        _version(made, found)
    return Offer(made, tuple(found.concessions), (*shared, *found.objections))


def _copies(database: Database, found: Findings, place: Place) -> None:
    for region in database.backup.copy_to:
        if place.regions and region not in place.regions:
            found.objections.append(
                InputError(
                    f"the tenancy is not subscribed to {region}, which is to have copies",
                    f"write one of {', '.join(place.regions)}, or subscribe to it in the console",
                )
            )


def _streams(database: Database, found: Findings) -> None:
    if database.backup.stream:
        found.objections.append(
            InputError(
                "OCI archives WAL itself and lets nobody receive it", "leave `stream` out of backup"
            )
        )


def _migrations(database: Database, found: Findings) -> None:
    if database.migrations is not None:
        found.concessions.append(
            "migrations are not applied, since databases are private: run them in the network"
        )


def _sizes(database: Database, found: Findings) -> None:
    """A change of shape may restart an instance: nobody is cut off for less than need."""
    if database.autoscale is None or database.ocpus.initial == database.ocpus.max:
        return
    window = "" if database.maintenance else ", of which the fleet file has none"
    found.concessions.append(
        "another size ends connections: the autopilot gives one within `maintenance`"
        f"{window}, and a larger one where the CPU is used up"
    )


def _ocpus(database: Database, found: Findings, place: Place) -> Database:
    shape = choose(place.shapes, database.ocpus.max)
    region = database.environment.values_of(OciValues).region
    if shape is None:
        found.objections.append(
            InputError(f"{region} has no shape for databases", "write another oci: {region: ...}")
        )
        return database
    _require_least(wanted := database.ocpus, found, shape)
    if wanted.max <= (most := shape.max_ocpus):
        return database
    found.concede(
        Concession.MAX_OCPUS,
        f"at most {most} of {wanted.max} OCPUs",
        f"the largest shape in {region} has {most} OCPUs, not {wanted.max}",
        f"write ocpus: {_range(_held(wanted, most))}",
    )
    return replace(database, ocpus=_held(wanted, most))


def _resized(database: Database, found: Findings, place: Place, name: str) -> Database:
    """A database that exists: its own shape is its end, whatever else the region has by now."""
    shape = of_name(place.shapes, name)
    if shape is None:
        return database
    _require_least(wanted := database.ocpus, found, shape)
    if wanted.max <= (most := shape.max_ocpus):
        return database
    found.concede(
        Concession.MAX_OCPUS,
        f"at most {most} of {wanted.max} OCPUs: the series of its shape cannot change",
        f"its shape {bare(name)} ends at {most} OCPUs, not {wanted.max}, "
        "and its series cannot change",
        f"write ocpus: {_range(_held(wanted, most))}{_larger(place, wanted, most)}",
    )
    return replace(database, ocpus=_held(wanted, most))


def _larger(place: Place, wanted: Ocpus, most: int) -> str:
    """The way to a larger shape, where the region has one."""
    best = choose(place.shapes, wanted.max)
    is_larger = best is not None and best.max_ocpus > most
    return ", restore it to a new database, which gets a larger shape" if is_larger else ""


def _require_least(wanted: Ocpus, found: Findings, shape: Shape) -> None:
    least = shape.min_ocpus
    if wanted.initial < least:
        found.objections.append(
            InputError(f"oci has no fewer than {least} OCPUs", f"write ocpus: {least} or more")
        )


def _held(wanted: Ocpus, most: int) -> Ocpus:
    return Ocpus(min(wanted.initial, most), most)


def _range(ocpus: Ocpus) -> str:
    return f"{ocpus.initial}..{ocpus.max}"


def _storage(database: Database, found: Findings) -> Database:
    storage = database.storage
    largest = format_bytes(MAX_STORAGE_BYTES)
    if storage.initial_bytes > MAX_STORAGE_BYTES:
        found.objections.append(
            InputError(f"oci has at most {largest} for a database", f"write {largest} or less")
        )
    elif storage.max_bytes is None:
        found.concede(
            Concession.STORAGE,
            f"storage grows to {largest} with the data, not without limit",
            f"storage on oci ends at {largest}",
            f"write storage: {format_bytes(storage.initial_bytes)}..{largest}",
        )
    elif storage.max_bytes > MAX_STORAGE_BYTES:
        found.concede(
            Concession.STORAGE,
            f"storage grows to {largest} with the data",
            f"storage on oci ends at {largest}, not {format_bytes(storage.max_bytes)}",
            f"write {largest} or less",
        )
    elif Concession.STORAGE not in database.environment.values_of(OciValues).accept:
        most = format_bytes(storage.max_bytes)
        found.concessions.append(f"storage grows with the data: oci cannot hold it at {most}")
    return database


def _retention(database: Database, found: Findings) -> Database:
    days = database.backup.retention_days
    if days <= MAX_RETENTION_DAYS:
        return database
    most = format_days(MAX_RETENTION_DAYS)
    found.concede(
        Concession.RETENTION,
        f"backups are kept for {most} of {format_days(days)}",
        f"oci keeps backups for at most {most}",
        f"write {most} or less",
    )
    return replace(database, backup=Backup(MAX_RETENTION_DAYS, database.backup.copy_to))


def _spread(database: Database, place: Place) -> Database:
    """In several domains is in all: the service places the nodes of regional storage itself."""
    environment, there = database.environment, len(place.domains)
    if not 1 < environment.availability_domains < there:
        return database
    return replace(database, environment=replace(environment, availability_domains=there))


def _domains(database: Database, found: Findings, place: Place) -> Database:
    environment, there = database.environment, len(place.domains)
    wanted = environment.availability_domains
    if wanted <= there:
        return database
    region = environment.values_of(OciValues).region
    found.concede(
        Concession.AVAILABILITY_DOMAINS,
        f"{there} of {wanted} availability domains, instances in different fault domains",
        f"{region} has {number(there, 'availability domain')}, not {wanted}",
        f"write availability_domains: {there}, or another region",
    )
    return replace(database, environment=replace(environment, availability_domains=there))


def _version(database: Database, found: Findings) -> None:
    version = database.postgresql or NEWEST
    if version not in VERSIONS:
        known = ", ".join(str(v) for v in VERSIONS)
        found.objections.append(
            InputError(f"oci has no PostgreSQL {version}", f"write one of {known}")
        )
