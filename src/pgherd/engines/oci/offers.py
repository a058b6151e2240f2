"""What OCI can make of each database, said before anything is begun. Pure.

Nothing here is a constant of ours that the service could tell: shapes, availability domains and
limits are what it answered. What it does not tell stands here with where it is written down.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from pgherd.engine import Offer
from pgherd.engines.oci.blueprint import NEWEST, addresses_in, addresses_needed, subnets
from pgherd.engines.oci.shapes import Shape, choose
from pgherd.errors import InputError
from pgherd.fleet.desired import Backup, Concession, Database, DatabaseId, Environment, Ocpus
from pgherd.units import format_bytes, format_days

MAX_STORAGE_BYTES = 32 * 10**12
"""Of a database, shared by its instances (Oracle's page on limits: 32 TB)."""
MAX_RETENTION_DAYS = 35
"""Of automatic backups (Oracle's page on backups)."""
VERSIONS = (14, 15, 16)
"""PostgreSQL's major versions of the service."""
NETWORK_PREFIXES = (16, 25)
"""OCI's VCNs have /16 to /30; a sixteenth of less than a /25 holds no database."""


@dataclass(frozen=True, slots=True)
class Place:
    """What one region has. `left` is how many systems the limits leave, None for unknown."""

    shapes: Sequence[Shape]
    domains: Sequence[str]
    left: int | None = None


@dataclass(frozen=True, slots=True)
class Findings:
    """What was found of one database so far."""

    database: Database
    concessions: list[str] = field(default_factory=list)
    objections: list[InputError] = field(default_factory=list)

    def concede(self, concession: Concession, less: str, message: str, hint: str) -> bool:
        """Less than asked for: a concession where it is accepted, else an objection."""
        if concession in self.database.environment.oci.accept:
            self.concessions.append(less)
            return True
        accept = f"or accept it with oci: {{accept: [{concession}]}}"
        self.objections.append(InputError(message, f"{hint}, {accept}"))
        return False


def offers(
    databases: Collection[Database], places: Mapping[str, Place], existing: Collection[DatabaseId]
) -> Iterator[Offer]:
    """Of all databases that cannot be just as they are wanted. `places` are by region."""
    for environment, group in _by_environment(databases):
        place = places[environment.oci.region or ""]
        shared = [*_of_environment(environment, group, place, existing)]
        for database in group:
            offer = _offer(database, place, shared, is_new=database.id not in existing)
            if offer.concessions or offer.objections:
                yield offer


def _by_environment(
    databases: Collection[Database],
) -> Iterator[tuple[Environment, list[Database]]]:
    names = dict.fromkeys(d.environment.name for d in databases)
    for name in names:
        group = [d for d in databases if d.environment.name == name]
        yield group[0].environment, group


def _of_environment(
    environment: Environment,
    group: Sequence[Database],
    place: Place,
    existing: Collection[DatabaseId],
) -> Iterator[InputError]:
    """What is wrong with the environment, and so with each of its databases."""
    if environment.oci.pooler is None:
        yield InputError(
            "oci asks no client for a certificate",
            "write oci: {pooler: create} for a PgBouncer tier that does, "
            "or render to launch it yourself",
        )
    low, high = NETWORK_PREFIXES
    if not low <= environment.network.prefixlen <= high:
        yield InputError(
            f"network {environment.network} does not fit a VCN of oci", f"write a /{low} to /{high}"
        )
    else:
        needed = addresses_needed(iter(group))
        room = addresses_in(subnets(environment.network)[0])
        if needed > room:
            yield InputError(
                f"network {environment.network} gives databases {room} addresses and they may "
                f"need {needed}",
                "write a larger network",
            )
    new = [d for d in group if d.id not in existing]
    if place.left is not None and len(new) > place.left:
        yield InputError(
            f"{environment.oci.region} has room for {place.left} more DB systems and "
            f"{environment.name} needs {len(new)}",
            "ask for a higher limit in the console (Governance, Limits)",
        )


def _offer(
    database: Database, place: Place, shared: Sequence[InputError], *, is_new: bool
) -> Offer:
    found = Findings(database)
    made = database
    for look in (_ocpus, _storage, _retention):
        made = look(made, found, place)
    if is_new:
        made = _domains(made, found, place)
        _version(made, found)
    return Offer(made, tuple(found.concessions), (*shared, *found.objections))


def _ocpus(database: Database, found: Findings, place: Place) -> Database:
    shape = choose(place.shapes, database.ocpus.max)
    region = database.environment.oci.region
    if shape is None:
        found.objections.append(
            InputError(f"{region} has no shape for databases", "write another oci: {region: ...}")
        )
        return database
    most, least, wanted = shape.max_ocpus, shape.min_ocpus, database.ocpus
    if wanted.initial < least:
        found.objections.append(
            InputError(f"oci has no fewer than {least} OCPUs", f"write ocpus: {least} or more")
        )
    if wanted.max <= most:
        return database
    found.concede(
        Concession.MAX_OCPUS,
        f"at most {most} of {wanted.max} OCPUs",
        f"the largest shape in {region} has {most} OCPUs, not {wanted.max}",
        f"write ocpus: {min(wanted.initial, most)}..{most}",
    )
    return replace(database, ocpus=Ocpus(min(wanted.initial, most), most))


def _storage(database: Database, found: Findings, place: Place) -> Database:
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
    elif Concession.STORAGE not in database.environment.oci.accept:
        most = format_bytes(storage.max_bytes)
        found.concessions.append(f"storage grows with the data: oci cannot hold it at {most}")
    return database


def _retention(database: Database, found: Findings, place: Place) -> Database:
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


def _domains(database: Database, found: Findings, place: Place) -> Database:
    environment, there = database.environment, len(place.domains)
    wanted = environment.availability_domains
    if wanted <= there:
        return database
    found.concede(
        Concession.AVAILABILITY_DOMAINS,
        f"{there} of {wanted} availability domains, instances in different fault domains",
        f"{environment.oci.region} has {there} availability domain{'' if there == 1 else 's'}, "
        f"not {wanted}",
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
