"""What a tenancy, a profile and a region can do, and what to do about what they cannot.

Every check is one that fails for one reason, and a check that could not be made says why.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence

from pgherd.engine import Capability
from pgherd.engines.oci import sdk, shapes
from pgherd.engines.oci.sdk import Cloud, NotFound
from pgherd.engines.oci.site import domains
from pgherd.errors import PgherdError
from pgherd.fleet.desired import Environment

CloudOf = Callable[[Environment], Cloud]

LISTS = (
    ("databases", "psql", "list_db_systems"),
    ("backups", "psql", "list_backups"),
    ("network", "network", "list_vcns"),
    ("instances", "compute", "list_instances"),
    ("vaults", "vaults", "list_vaults"),
    ("secrets", "secrets", "list_secrets"),
)
"""What the profile has to see, by the words of the policy that allows it."""


async def capabilities(
    fleet: str, environments: Sequence[Environment], cloud_of: CloudOf
) -> Sequence[Capability]:
    """All checks, the required ones first."""
    try:
        oci = sdk.load()
    except PgherdError as error:
        return [Capability("SDK", False, error.message, error.hint)]
    found = [Capability("SDK", True, f"oci {oci.__version__}")]
    for environment in environments:
        found += [check async for check in _checks(environment, cloud_of(environment))]
    found += _service()
    return sorted(dict.fromkeys(found), key=lambda c: not c.required)


async def _checks(environment: Environment, cloud: Cloud) -> AsyncIterator[Capability]:
    region, name = cloud.region, environment.name
    try:
        regions = await cloud.call("identity", "list_region_subscriptions", cloud.tenancy)
    except PgherdError as error:
        yield Capability(f"profile {cloud.profile}", False, error.message, error.hint)
        return
    yield Capability(f"profile {cloud.profile}", True, f"signed in to {cloud.tenancy}")
    names = [r.region_name for r in regions.data[0]]
    if region not in names:
        detail = f"not subscribed; {', '.join(names)} are"
        remedy = "subscribe to it in the console, or write another"
        yield Capability(f"region {region}", False, detail, remedy)
        return
    yield Capability(f"region {region}", True, "subscribed")
    yield await _domains(cloud, environment)
    yield await _shapes(cloud)
    async for check in _rights(cloud, name, environment.oci.parent or ""):
        yield check


async def _domains(cloud: Cloud, environment: Environment) -> Capability:
    name, wanted = f"availability domains of {cloud.region}", environment.availability_domains
    try:
        found = await domains(cloud)
    except PgherdError as error:
        return Capability(name, False, error.message, error.hint)
    remedy = "" if len(found) >= wanted else "write another region, or fewer availability_domains"
    detail = f"{len(found)}: {', '.join(found)}"
    return Capability(name, len(found) >= wanted, detail, remedy, required=False)


async def _shapes(cloud: Cloud) -> Capability:
    name = f"shapes of {cloud.region}"
    try:
        found = shapes.read(await cloud.all("psql", "list_shapes", compartment_id=cloud.tenancy))
    except PgherdError as error:
        return Capability(name, False, error.message, error.hint)
    detail = ", ".join(f"{shapes.bare(s.name)} up to {s.max_ocpus} OCPUs" for s in found)
    return Capability(name, bool(found), detail or "none", "" if found else "write another region")


async def _rights(cloud: Cloud, name: str, parent: str) -> AsyncIterator[Capability]:
    remedy = "let an administrator add what `pgherd render policy` writes"
    try:
        await cloud.all(
            "identity", "list_compartments", compartment_id=parent, lifecycle_state="ACTIVE"
        )
    except PgherdError as error:
        yield Capability(f"{name}: compartments", False, error.message, remedy)
        return
    yield Capability(f"{name}: compartments", True, f"those in {parent} can be seen")
    for words, service, operation in LISTS:
        what = f"{name}: {words}"
        try:
            await cloud.all(service, operation, compartment_id=parent)
        except NotFound as error:
            yield Capability(what, False, error.message, remedy)
        except PgherdError as error:
            yield Capability(what, False, error.message, error.hint)
        else:
            yield Capability(what, True, "can be seen")


def _service() -> list[Capability]:
    """What the service itself is like, so that nobody finds out half-way."""
    return [
        Capability(
            "client certificates",
            False,
            "the service asks for passwords; pgherd's pooler tier asks for certificates",
            "write oci: {pooler: create}",
            required=False,
        ),
        Capability(
            "switchover without a failed query",
            False,
            "the service ends connections to the old primary",
            "let applications try again, as they must after any failover",
            required=False,
        ),
        Capability(
            "migrations",
            False,
            "databases are private: pgherd does not reach them from here",
            "run migrations from inside the network, through the poolers",
            required=False,
        ),
    ]
