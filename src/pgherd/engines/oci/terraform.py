"""An environment as configuration for Terraform's provider oracle/oci, in its JSON form. Pure.

It is made from the same description that the engine makes things from, with the same names and
tags, so pgherd takes for its own what Terraform made. What stays pgherd's is left alone by
Terraform: sizes within the fleet file's bounds, and what the poolers are told.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from pgherd.engines.oci import blueprint
from pgherd.engines.oci.cloud_init import Tier, cloud_init
from pgherd.engines.oci.names import Owner
from pgherd.engines.oci.offers import Place, offers, whereabouts
from pgherd.engines.oci.poolers import OPERATING_SYSTEM, VERSION
from pgherd.engines.oci.secrets import ADMIN_PASSWORD, POOLER
from pgherd.engines.oci.terraform_resources import (
    ASSUMED,
    COMPARTMENT,
    escaped,
    label,
    parent,
    resources,
)
from pgherd.engines.oci.values import OciValues, PoolerTier
from pgherd.errors import InputError
from pgherd.fleet.desired import Database, Environment, Fleet

MARKER = "Written by `pgherd render terraform"
"""What a file of ours says on top."""


def configuration(fleet: Fleet, environment: Environment) -> dict[str, Any]:
    """The whole document. InputError, or several, where OCI cannot give what is asked for."""
    databases = offered(fleet, environment)
    owner = Owner(fleet.name, environment.name)
    return {
        "//": _comment(fleet, environment),
        "terraform": _requirements(),
        "provider": _providers(environment),
        "variable": _variables(environment),
        "locals": _locals(environment, owner),
        "data": _data(environment),
        "resource": resources(environment, owner, databases),
        "output": _outputs(environment, databases),
    }


def text(document: Mapping[str, Any]) -> str:
    """As it is written."""
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def is_ours(content: str) -> bool:
    """A file that pgherd wrote, and may write anew."""
    return MARKER in content[:2000]


def offered(fleet: Fleet, environment: Environment) -> list[Database]:
    """The databases as OCI can make them, as far as that can be told without asking it."""
    databases = list(fleet.in_environment(environment.name))
    place = Place([ASSUMED], [""] * environment.availability_domains)
    places = {whereabouts(environment): place}
    found = {o.database.id: o for o in offers(databases, places, {})}
    objections = dict.fromkeys(
        (error.message, error.hint) for offer in found.values() for error in offer.objections
    )
    if objections:
        errors = [InputError(f"{environment.name}: {m}", h) for m, h in objections]
        raise errors[0] if len(errors) == 1 else ExceptionGroup("not on oci", errors)
    return [found[d.id].database if d.id in found else d for d in databases]


def _locals(environment: Environment, owner: Owner) -> dict[str, Any]:
    names = "data.oci_identity_availability_domains.region.availability_domains[*].name"
    found = {"availability_domains": f"${{sort({names})}}"}
    if environment.values_of(OciValues).pooler is PoolerTier.CREATE:
        found["pooler_user_data"] = _user_data(environment, owner)
    return found


def _user_data(environment: Environment, owner: Owner) -> str:
    secrets = {"POOLER-SECRET": label(POOLER), "ADMIN-SECRET": label(ADMIN_PASSWORD)}
    pooler, admin = secrets
    tier = Tier(
        owner.fleet, owner.environment, environment.values_of(OciValues).region or "", pooler, admin
    )
    found = escaped(cloud_init(tier))
    for placeholder, name in secrets.items():
        found = found.replace(placeholder, f"${{oci_vault_secret.{name}.id}}")
    return found


def _data(environment: Environment) -> dict[str, Any]:
    oci = environment.values_of(OciValues)
    found: dict[str, Any] = {
        "oci_identity_availability_domains": {"region": {"compartment_id": parent(environment)}}
    }
    if oci.pooler is PoolerTier.CREATE:
        found["oci_core_images"] = {
            "pooler": {
                "compartment_id": parent(environment),
                "operating_system": OPERATING_SYSTEM,
                "operating_system_version": VERSION,
                "shape": blueprint.POOLER_SHAPE,
                "sort_by": "TIMECREATED",
                "sort_order": "DESC",
            }
        }
    if oci.vault is not None and oci.key is None:
        found["oci_kms_vault"] = {"own": {"vault_id": oci.vault}}
    return found


def _requirements() -> dict[str, Any]:
    return {
        "required_version": ">= 1.3",
        "required_providers": {
            "oci": {"source": "oracle/oci"},
            "random": {"source": "hashicorp/random", "version": ">= 3.5"},
            "tls": {"source": "hashicorp/tls", "version": ">= 4.0"},
        },
    }


def _providers(environment: Environment) -> dict[str, Any]:
    oci = environment.values_of(OciValues)
    profile = {"config_file_profile": oci.profile}
    home = {"alias": "home", "region": "${var.home_region}"}
    return {"oci": [{"region": oci.region, **profile}, {**home, **profile}]}


def _variables(environment: Environment) -> dict[str, Any]:
    oci = environment.values_of(OciValues)
    tenancy = {
        "tenancy": {"type": "string", "description": "OCID of the tenancy, whose root it is in."}
    }
    return {
        **({} if oci.parent else tenancy),
        "home_region": {
            "type": "string",
            "default": oci.region,
            "description": "The tenancy's home region: compartments are made only there.",
        },
        "shape": {
            "type": "string",
            "default": ASSUMED.full_name,
            "description": "Of every database; it cannot change to another series later, so take "
            "one that reaches the fleet file's largest ocpus (`oci psql shape-summary "
            "list-shapes` tells).",
        },
    }


def _outputs(environment: Environment, databases: Sequence[Database]) -> dict[str, Any]:
    systems = {d.id.service: f"${{oci_psql_db_system.{label(d.id.service)}.id}}" for d in databases}
    return {
        "compartment": {"value": COMPARTMENT},
        "databases": {"value": systems, "description": "DB systems by service."},
        "poolers": {
            "value": [str(address) for address in blueprint.pooler_addresses(environment)],
            "description": f"Where clients connect, on port {blueprint.POOLER_PORT}.",
        },
        "authority": {
            "value": "${tls_self_signed_cert.authority.cert_pem}",
            "description": "What clients check the poolers' certificate against.",
        },
    }


def _comment(fleet: Fleet, environment: Environment) -> list[str]:
    found = [
        f"Environment {environment.name} of fleet {fleet.name}, for Terraform (oracle/oci).",
        f"{MARKER} {environment.name}`: change the fleet file and run that again.",
        "Checked against the documented schema of its providers; it was never applied.",
        "Its state holds the master password and the authority's key: keep it encrypted.",
        "After `terraform apply`, `pgherd up` takes all of it over and tells the poolers where "
        "the databases are.",
    ]
    if environment.values_of(OciValues).pooler is PoolerTier.RENDER:
        found.append(
            f"The poolers are launched by you: see `pgherd render cloud-init {environment.name}`."
        )
    return found
