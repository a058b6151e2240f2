"""The things of an environment as resources of Terraform's provider oracle/oci. Pure.

Each is the same value that the engine makes through the SDK, with the provider's names for it
and expressions in the place of OCIDs.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from pgherd.engines.oci import blueprint
from pgherd.engines.oci.blueprint import RULES, Kind, Reference, Thing, resolved
from pgherd.engines.oci.names import REGIONS, Owner
from pgherd.engines.oci.routes import METADATA_KEY, Routes
from pgherd.engines.oci.secrets import ADMIN_PASSWORD, AUTHORITY, POOLER
from pgherd.engines.oci.shapes import Shape
from pgherd.engines.oci.terraform_secrets import secret_resources
from pgherd.engines.oci.values import OciValues, PoolerTier
from pgherd.fleet.desired import Database, Environment

ASSUMED = Shape("VM.Standard.E5.Flex", 1, 1 << 20)
"""Taken unless the variable `shape` says another: which there are, only a region can tell."""
COMPARTMENT = "${oci_identity_compartment.environment.id}"
_TYPES: Mapping[Kind, str] = {
    Kind.VCN: "oci_core_vcn",
    Kind.NAT_GATEWAY: "oci_core_nat_gateway",
    Kind.ROUTE_TABLE: "oci_core_route_table",
    Kind.SECURITY_LIST: "oci_core_security_list",
    Kind.SUBNET: "oci_core_subnet",
    Kind.SECURITY_GROUP: "oci_core_network_security_group",
    Kind.VAULT: "oci_kms_vault",
    Kind.KEY: "oci_kms_key",
    Kind.INSTANCE: "oci_core_instance",
    Kind.DB_SYSTEM: "oci_psql_db_system",
}
_RULE = "oci_core_network_security_group_security_rule"
_RENAMED = {"is_stateless": "stateless", "image_id": "source_id"}
"""Where the provider has another name than the SDK."""

Resources = dict[str, dict[str, Any]]


def resources(environment: Environment, owner: Owner, databases: Sequence[Database]) -> Resources:
    """All of an environment, by type and by name."""
    ocids = _ocids(environment, owner)
    compartment = {"environment": _compartment(environment, owner)}
    found: Resources = {"oci_identity_compartment": compartment}
    for thing in blueprint.things(environment, owner):
        _add(found, thing, _thing(thing, ocids) | _management(thing, environment))
    for group in RULES:
        found.setdefault(_RULE, {}).update(_rules(environment, group, ocids))
    found |= secret_resources(environment, owner, COMPARTMENT, ocids["vault"], ocids["key"])
    for database in databases:
        _add(found, *_system(database, owner, ocids))
    if environment.values_of(OciValues).pooler is PoolerTier.CREATE:
        for thing in _poolers(environment, owner):
            lifecycle = {"ignore_changes": ["metadata", "source_details", "availability_domain"]}
            _add(found, thing, _thing(thing, ocids) | {"lifecycle": lifecycle})
    return found


def label(key: str) -> str:
    """A thing's name within Terraform."""
    return key.rpartition("/")[2].replace("-", "_")


def _ocids(environment: Environment, owner: Owner) -> dict[str, str]:
    """What stands for the OCID of each thing: an expression, or that of the user's own."""
    oci = environment.values_of(OciValues)
    found = {
        thing.key: f"${{{_TYPES[thing.kind]}.{label(thing.key)}.id}}"
        for thing in blueprint.things(environment, owner)
    }
    brought = {"vcn": oci.vcn, "vault": oci.vault, "key": oci.key}
    return {
        "compartment": COMPARTMENT,
        **found,
        **{key: ocid for key, ocid in brought.items() if ocid is not None},
        **{
            key: f"${{oci_vault_secret.{label(key)}.id}}"
            for key in (ADMIN_PASSWORD, AUTHORITY, POOLER)
        },
    }


def _add(resources: Resources, thing: Thing, content: Mapping[str, Any]) -> None:
    resources.setdefault(_TYPES[thing.kind], {})[label(thing.key)] = content


def parent(environment: Environment) -> str:
    """Where the compartment is made: as the fleet file says, or in the root."""
    return environment.values_of(OciValues).parent or "${var.tenancy}"


def _compartment(environment: Environment, owner: Owner) -> dict[str, Any]:
    return {
        "//": "Terraform does not delete it, since enable_delete is not set.",
        "provider": "oci.home",
        "compartment_id": parent(environment),
        "name": environment.compartment,
        "description": f"Databases of {owner.environment} of {owner.fleet}",
        "freeform_tags": owner.tags | {REGIONS: environment.values_of(OciValues).region},
        # pgherd notes there which regions it restored to.
        "lifecycle": {"ignore_changes": ["freeform_tags"]},
    }


def _thing(thing: Thing, ocids: Mapping[str, str]) -> dict[str, Any]:
    return {
        "compartment_id": COMPARTMENT,
        "display_name": thing.name,
        **_translated(resolved(thing.properties, ocids)),
        "freeform_tags": dict(thing.tags),
    }


def _translated(value: Any) -> Any:
    """In the provider's names, without what is not set."""
    if isinstance(value, Mapping):
        kept = {name: item for name, item in value.items() if item is not None and item != []}
        return {_RENAMED.get(name, name): _translated(item) for name, item in kept.items()}
    if isinstance(value, list):
        return [_translated(item) for item in value]
    return value


def _management(thing: Thing, environment: Environment) -> dict[str, Any]:
    """A key is made at an endpoint of its vault."""
    if thing.kind is not Kind.KEY:
        return {}
    vault = (
        "oci_kms_vault.vault"
        if environment.values_of(OciValues).vault is None
        else "data.oci_kms_vault.own"
    )
    return {"management_endpoint": f"${{{vault}.management_endpoint}}"}


def _rules(
    environment: Environment, group: str, ocids: Mapping[str, str]
) -> Iterator[tuple[str, dict[str, Any]]]:
    for rule in blueprint.rules(environment, group):
        way = "from" if rule.is_ingress else "to"
        peer = label(rule.peer.key) if isinstance(rule.peer, Reference) else "network"
        if rule.peer == blueprint.ANYWHERE:
            peer = "anywhere"
        properties = _translated(resolved(blueprint.rule_properties(rule), ocids))
        content = {"network_security_group_id": ocids[group], **properties}
        yield f"{label(group)}_{way}_{peer}_{rule.port}", content


def _system(
    database: Database, owner: Owner, ocids: Mapping[str, str]
) -> tuple[Thing, dict[str, Any]]:
    alone = database.environment.availability_domains == 1
    thing = blueprint.system(
        database,
        owner,
        ASSUMED,
        domain="${local.availability_domains[0]}" if alone else None,
        secret_version="${oci_vault_secret.admin_password.current_version_number}",  # noqa: S106 - where it is
    )
    content = _thing(thing, ocids) | {"shape": "${var.shape}"}
    return thing, content | {"lifecycle": _system_lifecycle(database)}


def _system_lifecycle(database: Database) -> dict[str, Any]:
    """Left alone: what the service writes otherwise than it was asked for, what would make a
    database anew, what the autopilot may change, and the tags, where drills note what they prove.
    """
    ignored = [
        "freeform_tags",
        "shape",
        "db_version",
        "credentials",
        "instances_details",
        "storage_details[0].availability_domain",
    ]
    if database.autoscale is not None and database.ocpus.max > database.ocpus.initial:
        ignored += ["instance_ocpu_count", "instance_memory_size_in_gbs"]
    if database.replicas.max > database.replicas.min:
        ignored += ["instance_count"]
    found: dict[str, Any] = {"ignore_changes": ignored}
    return {"prevent_destroy": True, **found} if database.deletion_protection else found


def _poolers(environment: Environment, owner: Owner) -> Iterator[Thing]:
    for number in range(1, len(blueprint.pooler_addresses(environment)) + 1):
        thing = blueprint.pooler(
            environment,
            owner,
            number,
            image="${data.oci_core_images.pooler.images[0].id}",
            domain=f"${{element(local.availability_domains, {number - 1})}}",
            user_data="${base64gzip(local.pooler_user_data)}",
        )
        told = escaped(Routes(str(environment.network)).text())
        metadata = {**thing.properties["metadata"], METADATA_KEY: told}
        yield replace(thing, properties={**thing.properties, "metadata": metadata})


def escaped(content: str) -> str:
    """A text in which Terraform finds nothing to fill in."""
    return content.replace("${", "$${").replace("%{", "%%{")
