"""Fleets for tests, made directly: `fleet(database("auth", replicas=(2, 5)))`."""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import IPv4Network
from pathlib import Path

from pgherd.decide.wish import Wish, Wishes
from pgherd.engines.local.values import LocalValues
from pgherd.engines.oci.values import OciValues
from pgherd.errors import InputError
from pgherd.fleet.desired import (
    Autoscale,
    Backup,
    Database,
    DatabaseId,
    Durability,
    EngineValues,
    Environment,
    Fleet,
    Ocpus,
    Replicas,
    Storage,
)

SERVICES = (
    "auth",
    "user",
    "product",
    "cart",
    "order",
    "payment",
    "notification",
    "discount",
    "shipping",
    "return",
)

GIBIBYTE = 2**30
_VALUES: dict[str, EngineValues] = {
    "local": LocalValues(core_per_ocpu=0.05, memory_per_ocpu_bytes=GIBIBYTE // 16),
    "oci": OciValues(),
}


def environment(
    name: str = "production",
    *,
    engine: str = "memory",
    network: str = "10.0.0.0/16",
    availability_domains: int = 3,
    **values: EngineValues,
) -> Environment:
    """An environment, production's by default, with values of engines by name."""
    return Environment(
        name=name,
        engine=engine,
        compartment=f"ecommerce-{name}",
        network=IPv4Network(network),
        availability_domains=availability_domains,
        values={**_VALUES, **values},
    )


PRODUCTION = environment()


def database(
    service: str = "auth",
    environment: Environment = PRODUCTION,
    *,
    ocpus: tuple[int, int] = (2, 128),
    replicas: tuple[int, int] = (0, 0),
    durability: Durability = Durability.ASYNCHRONOUS,
    deletion_protection: bool = False,
    postgresql: int | None = None,
    migrations: Path | None = None,
) -> Database:
    """A database, without replicas by default."""
    return Database(
        id=DatabaseId(environment.name, service),
        name=f"ecommerce-{environment.name}-{service}-db",
        environment=environment,
        ocpus=Ocpus(*ocpus),
        storage=Storage(GIBIBYTE, None),
        replicas=Replicas(*replicas),
        durability=durability,
        autoscale=Autoscale(80, 80),
        backup=Backup(retention_days=3),
        deletion_protection=deletion_protection,
        postgresql=postgresql,
        migrations=migrations,
    )


def fleet(*databases: Database) -> Fleet:
    """The fleet of these databases and of the environments that they are in."""
    return Fleet(
        name="ecommerce",
        path=Path("fleet.yaml"),
        services=tuple(dict.fromkeys(d.id.service for d in databases)),
        environments=tuple({d.environment.name: d.environment for d in databases}.values()),
        databases=databases,
    )


def wishes(
    fleet: Fleet,
    *,
    migrations: Mapping[DatabaseId, str | None] | None = None,
    objections: Mapping[DatabaseId, tuple[InputError, ...]] | None = None,
) -> Wishes:
    """What is wanted where engines can make all but what they object to, as the fleet file says."""
    return Wishes(
        fleet.environments,
        tuple(
            Wish(
                d,
                objections=(objections or {}).get(d.id, ()),
                migration=(migrations or {}).get(d.id),
            )
            for d in fleet.databases
        ),
    )


def ecommerce(engine: str = "memory") -> Fleet:
    """Ten services in three environments: sixty instances, production protected."""
    production = environment("production", engine=engine)
    staging = environment("staging", engine=engine, network="10.1.0.0/16")
    development = environment(
        "development", engine=engine, network="10.2.0.0/16", availability_domains=1
    )
    return fleet(
        *(
            database(
                service,
                production,
                replicas=(2, 5),
                durability=Durability.SYNCHRONOUS,
                deletion_protection=True,
            )
            for service in SERVICES
        ),
        *(database(service, staging, ocpus=(2, 16), replicas=(1, 2)) for service in SERVICES),
        *(database(service, development, ocpus=(2, 4)) for service in SERVICES),
    )
