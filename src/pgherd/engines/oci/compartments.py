"""Compartments: one for each environment, below the one that the fleet file names.

A compartment outlives its environment, as its name stays taken for long and its vault for a
week: it is marked as empty, and taken again when the environment comes back.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from pgherd.engines.oci.bodies import body
from pgherd.engines.oci.names import DESTROYED, REGIONS, Owner, retry_token
from pgherd.engines.oci.sdk import Cloud
from pgherd.engines.oci.waiting import until
from pgherd.errors import InputError
from pgherd.fleet.desired import Environment


async def below(cloud: Cloud, parent: str) -> list[Any]:
    """The active compartments directly in `parent`."""
    found = await cloud.all(
        "identity", "list_compartments", compartment_id=parent, lifecycle_state="ACTIVE"
    )
    return [c for c in found if c.lifecycle_state == "ACTIVE"]


def in_use(compartment: Any) -> bool:
    """It holds an environment, be it half made or half gone."""
    return DESTROYED not in (compartment.freeform_tags or {})


async def ensure(
    cloud: Cloud,
    environment: Environment,
    owner: Owner,
    seen: list[Any],
    regions: tuple[str, ...],
) -> str:
    """The compartment of an environment; its OCID. `cloud` is the home region's.

    `seen` are those below the parent, `regions` where it has things. InputError where one of
    that name is somebody else's.
    """
    for compartment in seen:
        if compartment.name == environment.compartment:
            if not owner.owns(compartment):
                raise InputError(
                    f"compartment {compartment.name} is there already and is not pgherd's",
                    "write another name as compartment:, or give it the free-form tags "
                    + ", ".join(f"{k}={v}" for k, v in owner.tags.items()),
                )
            if not in_use(compartment) or not compartment.freeform_tags.get(REGIONS):
                await note_regions(cloud, compartment.id, owner, regions)
            return str(compartment.id)
    return await _create(cloud, environment, owner, regions)


async def _create(
    cloud: Cloud, environment: Environment, owner: Owner, regions: tuple[str, ...]
) -> str:
    details = body(
        "identity",
        "CreateCompartmentDetails",
        {
            "compartment_id": cloud.parent(environment),
            "name": environment.compartment,
            "description": f"Databases of {owner.environment} of {owner.fleet}",
            "freeform_tags": owner.tags | {REGIONS: " ".join(regions)},
        },
    )
    token = retry_token("create_compartment", details)
    made = await cloud.call("identity", "create_compartment", details, opc_retry_token=token)

    async def look() -> Any:
        return (await cloud.call("identity", "get_compartment", made.data.id)).data

    what = f"compartment {environment.compartment}"
    await until(cloud, what, look, lambda c: c.lifecycle_state == "ACTIVE")
    return str(made.data.id)


async def note_regions(cloud: Cloud, id: str, owner: Owner, regions: tuple[str, ...]) -> None:
    """The environment has things in these regions."""
    await _tag(cloud, id, owner.tags | {REGIONS: " ".join(regions)})


async def mark_empty(cloud: Cloud, id: str, owner: Owner) -> None:
    """Nothing of the environment is left in it."""
    await _tag(cloud, id, owner.tags | {DESTROYED: f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S}"})


async def _tag(cloud: Cloud, id: str, tags: dict[str, str]) -> None:
    details = body("identity", "UpdateCompartmentDetails", {"freeform_tags": tags})
    await cloud.call("identity", "update_compartment", id, details)
