"""What an environment on OCI consists of, as plain values. Pure.

The engine makes these things through the SDK, and Terraform's configuration is written from the
same ones. Properties have the names that the SDK's models have; a `Reference` stands for the
OCID of another thing, which is known only once that one is there.

The databases' subnet has no route anywhere and no door but 5432 from the poolers. The poolers
have 6432 towards the environment's own network, and a way out through a NAT gateway, since they
have to fetch their packages and secrets. No address is public.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from ipaddress import IPv4Address, IPv4Network
from typing import Any

from pgherd.engines.oci.names import KEY, SERVICE, Owner, distinct, label
from pgherd.engines.oci.shapes import Shape
from pgherd.engines.oci.values import OciValues
from pgherd.fleet.desired import Database, Environment

POSTGRESQL_PORT = 5432
POOLER_PORT = 6432
ADMIN = "pgherd"
"""The master user of every database. The service has no superuser for anybody."""
NEWEST = 16
"""The PostgreSQL that a database gets where the fleet file names none."""
BACKUP_START = "02:00"
POOLER_SHAPE = "VM.Standard.E5.Flex"
POOLER_OCPUS = 1
POOLER_GIB = 8
ADDRESSES_BESIDE_INSTANCES = 2
"""Of each database: its primary endpoint and its reader endpoint."""
RESERVED_ADDRESSES = 3
"""Of each subnet: OCI keeps the first two and the last."""
_TCP = "6"


class Kind(StrEnum):
    """A kind of thing; its value is what people call it."""

    VCN = "VCN"
    NAT_GATEWAY = "NAT gateway"
    ROUTE_TABLE = "route table"
    SECURITY_LIST = "security list"
    SUBNET = "subnet"
    SECURITY_GROUP = "network security group"
    VAULT = "vault"
    KEY = "key"
    SECRET = "secret"  # noqa: S105 - a kind, no secret
    INSTANCE = "instance"
    DB_SYSTEM = "DB system"


@dataclass(frozen=True, slots=True)
class Reference:
    """The OCID of the thing with that key."""

    key: str


@dataclass(frozen=True, slots=True)
class Thing:
    """One thing that should exist. `key` names it within its environment."""

    kind: Kind
    key: str
    name: str
    properties: Mapping[str, Any] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule of a network security group. A peer is a CIDR block or another group's key."""

    is_ingress: bool
    peer: IPv4Network | Reference
    port: int


ANYWHERE = IPv4Network("0.0.0.0/0")

RULES: Mapping[str, tuple[Rule, ...]] = {
    "database-door": (Rule(True, Reference("pooler-door"), POSTGRESQL_PORT),),
    "pooler-door": (
        Rule(False, Reference("database-door"), POSTGRESQL_PORT),
        Rule(False, ANYWHERE, 443),
        Rule(False, ANYWHERE, 80),
    ),
}
"""By the group's key; the pooler's own door is added for each network."""


def rules(environment: Environment, group: str) -> tuple[Rule, ...]:
    """What a network security group admits."""
    if group == "pooler-door":
        return (Rule(True, environment.network, POOLER_PORT), *RULES[group])
    return RULES[group]


def subnets(network: IPv4Network) -> tuple[IPv4Network, IPv4Network]:
    """Of the databases and of the poolers: the first two sixteenths of the network.

    ValueError where the network is too small to be split.
    """
    databases, poolers, *_ = network.subnets(prefixlen_diff=4)
    return databases, poolers


def addresses_needed(databases: Iterator[Database]) -> int:
    """In the databases' subnet, when each has all of its replicas."""
    return sum(1 + d.replicas.max + ADDRESSES_BESIDE_INSTANCES for d in databases)


def addresses_in(subnet: IPv4Network) -> int:
    """How many a subnet has for use."""
    return subnet.num_addresses - RESERVED_ADDRESSES


def pooler_addresses(environment: Environment) -> tuple[IPv4Address, ...]:
    """Where the poolers are: fixed, so that clients and certificates can name them."""
    subnet = subnets(environment.network)[1]
    count = 2 if environment.availability_domains > 1 else 1
    return tuple(subnet[2 + n] for n in range(count))


def things(environment: Environment, owner: Owner) -> Iterator[Thing]:
    """All of an environment's own but its poolers and secrets, each after what it refers to."""
    yield from _network(environment, owner)
    oci = environment.values_of(OciValues)
    if oci.vault is None:
        yield _thing(Kind.VAULT, "vault", owner, {"vault_type": "DEFAULT"})
    if oci.key is None:
        shape = {"algorithm": "AES", "length": 32}
        yield _thing(Kind.KEY, "key", owner, {"key_shape": shape, "protection_mode": "SOFTWARE"})


def _network(environment: Environment, owner: Owner) -> Iterator[Thing]:
    if environment.values_of(OciValues).vcn is None:
        cidr = {"cidr_blocks": [str(environment.network)], "dns_label": label(environment.name)}
        yield _thing(Kind.VCN, "vcn", owner, cidr)
    vcn = {"vcn_id": Reference("vcn")}
    yield _thing(Kind.NAT_GATEWAY, "way-out", owner, vcn)
    nothing: dict[str, Any] = {"ingress_security_rules": [], "egress_security_rules": []}
    yield _thing(Kind.SECURITY_LIST, "nothing", owner, vcn | nothing)
    yield _thing(Kind.ROUTE_TABLE, "no-routes", owner, {**vcn, "route_rules": []})
    route = {
        "destination": str(ANYWHERE),
        "destination_type": "CIDR_BLOCK",
        "network_entity_id": Reference("way-out"),
    }
    yield _thing(Kind.ROUTE_TABLE, "routes-out", owner, {**vcn, "route_rules": [route]})
    cidrs = subnets(environment.network)
    # Unique in a VCN that several environments may share.
    short = label(environment.name)[:9] + distinct(owner.name(""))
    for key, cidr_block, routes, dns in zip(
        ("databases", "poolers"), cidrs, ("no-routes", "routes-out"), ("db", "pb"), strict=True
    ):
        subnet = {
            "cidr_block": str(cidr_block),
            "route_table_id": Reference(routes),
            "security_list_ids": [Reference("nothing")],
            "prohibit_public_ip_on_vnic": True,
            "dns_label": f"{short}{dns}",
        }
        yield _thing(Kind.SUBNET, key, owner, vcn | subnet)
    for key in RULES:
        yield _thing(Kind.SECURITY_GROUP, key, owner, vcn)


def rule_properties(rule: Rule) -> dict[str, Any]:
    """A rule as the SDK's AddSecurityRuleDetails has it."""
    is_group = isinstance(rule.peer, Reference)
    peer = rule.peer if isinstance(rule.peer, Reference) else str(rule.peer)
    kind = "NETWORK_SECURITY_GROUP" if is_group else "CIDR_BLOCK"
    side = "source" if rule.is_ingress else "destination"
    return {
        "direction": "INGRESS" if rule.is_ingress else "EGRESS",
        "protocol": _TCP,
        side: peer,
        f"{side}_type": kind,
        "tcp_options": {"destination_port_range": {"min": rule.port, "max": rule.port}},
        "is_stateless": False,
    }


def pooler(
    environment: Environment, owner: Owner, number: int, image: str, domain: str, user_data: str
) -> Thing:
    """One pooler's instance, from 1; `user_data` is base64."""
    address = pooler_addresses(environment)[number - 1]
    properties = {
        "availability_domain": domain,
        "shape": POOLER_SHAPE,
        "shape_config": {"ocpus": float(POOLER_OCPUS), "memory_in_gbs": float(POOLER_GIB)},
        "source_details": {"source_type": "image", "image_id": image},
        "create_vnic_details": {
            "subnet_id": Reference("poolers"),
            "nsg_ids": [Reference("pooler-door")],
            "assign_public_ip": False,
            "private_ip": str(address),
        },
        "metadata": {"user_data": user_data},
    }
    return _thing(Kind.INSTANCE, f"pooler-{number}", owner, properties)


def instance_name(database: Database, number: int) -> str:
    """As in auth-1."""
    return f"{database.id.service}-{number}"


def system(
    database: Database,
    owner: Owner,
    shape: Shape,
    *,
    domain: str | None,
    secret_version: str | None,
) -> Thing:
    """A database's DB system at its initial size; `domain` where its storage is in one alone.

    Without a `secret_version` no credentials are given: those of the source are kept.
    """
    ocpus, instances = database.ocpus.initial, 1 + database.replicas.min
    password = {
        "password_type": "VAULT_SECRET",
        "secret_id": Reference("admin-password"),
        "secret_version": secret_version,
    }
    properties: dict[str, Any] = {
        "db_version": str(database.postgresql or NEWEST),
        "shape": shape.full_name,
        "instance_ocpu_count": ocpus,
        "instance_memory_size_in_gbs": shape.memory_gib(ocpus),
        "instance_count": instances,
        "instances_details": [
            {"display_name": instance_name(database, n + 1)} for n in range(instances)
        ],
        "storage_details": {
            "system_type": "OCI_OPTIMIZED_STORAGE",
            "is_regionally_durable": domain is None,
            "availability_domain": domain,
            "kms_key_id": Reference("key"),
            "iops": database.environment.values_of(OciValues).iops,
        },
        "network_details": {
            "subnet_id": Reference("databases"),
            "nsg_ids": [Reference("database-door")],
            "is_reader_endpoint_enabled": database.replicas.max > 0,
        },
        "management_policy": management_policy(database),
    }
    if secret_version is not None:
        properties["credentials"] = {"username": ADMIN, "password_details": password}
    tags = {SERVICE: database.id.service}
    return Thing(Kind.DB_SYSTEM, str(database.id), database.name, properties, owner.tags | tags)


def management_policy(database: Database) -> dict[str, Any]:
    """Daily backups, point-in-time recovery and copies, all kept equally long; none for 0 days."""
    days = database.backup.retention_days
    if not days:
        return {"backup_policy": {"kind": "NONE"}, "pitr_policy": {"kind": "NONE"}}
    copies = database.backup.copy_to
    copy_policy = {
        "compartment_id": Reference("compartment"),
        "retention_period": days,
        "regions": list(copies),
    }
    return {
        "backup_policy": {
            "kind": "DAILY",
            "backup_start": BACKUP_START,
            "retention_days": days,
            "copy_policy": copy_policy if copies else None,
        },
        "pitr_policy": {"kind": "STANDARD", "restore_days": days},
    }


def resolved(properties: Any, ocids: Mapping[str, str]) -> Any:
    """The same with OCIDs in the place of references. KeyError for one that is not known."""
    if isinstance(properties, Reference):
        return ocids[properties.key]
    if isinstance(properties, Mapping):
        return {name: resolved(value, ocids) for name, value in properties.items()}
    if isinstance(properties, list):
        return [resolved(value, ocids) for value in properties]
    return properties


def _thing(kind: Kind, key: str, owner: Owner, properties: Mapping[str, Any]) -> Thing:
    return Thing(kind, key, owner.name(key), properties, owner.tags | {KEY: key})
