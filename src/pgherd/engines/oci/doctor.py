"""What a tenancy, a profile and a region can do, and what to do about what they cannot.

Every check is one that fails for one reason, and a check that could not be made says why.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence

from pgherd.contract.offers import Capability
from pgherd.engines.oci import compartments, limits, shapes
from pgherd.engines.oci.refusals import NotFound
from pgherd.engines.oci.regions import domains, subscribed
from pgherd.engines.oci.sdk import Cloud
from pgherd.engines.oci.sign_in import load, sign_in
from pgherd.engines.oci.values import OciValues
from pgherd.errors import PgherdError
from pgherd.fleet.desired import Environment

OpenCloud = Callable[[str, str], Cloud]
"""A profile and a region to a region of the profile's tenancy."""
DEFAULT_PROFILE = "DEFAULT"

LISTS = (
    ("databases", "psql", "list_db_systems"),
    ("backups", "psql", "list_backups"),
    ("network", "network", "list_vcns"),
    ("instances", "compute", "list_instances"),
    ("vaults", "vaults", "list_vaults"),
    ("secrets", "secrets", "list_secrets"),
)
"""What the profile has to see."""
_POLICY = "let an administrator add what `pgherd render policy` writes"


async def capabilities(
    environments: Sequence[Environment], open_cloud: OpenCloud
) -> Sequence[Capability]:
    """All checks, the required ones first; without an environment, of the default profile."""
    try:
        oci = load()
    except PgherdError as error:
        return [Capability("SDK", False, error.message, error.hint)]
    found = [Capability("SDK", True, f"oci {oci.__version__}")]
    if not environments:
        found += await _default_profile(open_cloud)
    for environment in environments:
        values = environment.values_of(OciValues)
        cloud = open_cloud(values.profile, values.region or "")
        found += [check async for check in _checks(environment, cloud)]
    found += _service(environments)
    return sorted(dict.fromkeys(found), key=lambda c: not c.required)


async def _checks(environment: Environment, cloud: Cloud) -> AsyncIterator[Capability]:
    region = cloud.region
    try:
        names = await subscribed(cloud)
    except PgherdError as error:
        yield Capability(f"profile {cloud.profile}", False, error.message, error.hint)
        return
    yield Capability(f"profile {cloud.profile}", True, f"signed in to {cloud.tenancy}")
    if region not in names:
        detail = f"not subscribed; {', '.join(names)} are"
        remedy = "subscribe to it in the console, or write another"
        yield Capability(f"region {region}", False, detail, remedy)
        return
    yield Capability(f"region {region}", True, "subscribed")
    yield await _domains(cloud, environment)
    yield await _shapes(cloud)
    yield await _limits(cloud)
    async for check in _rights(cloud, environment):
        yield check


async def _default_profile(open_cloud: OpenCloud) -> list[Capability]:
    try:
        region = sign_in(DEFAULT_PROFILE)["region"]
        cloud = open_cloud(DEFAULT_PROFILE, region)
        await subscribed(cloud)
    except PgherdError as error:
        return [Capability(f"profile {DEFAULT_PROFILE}", False, error.message, error.hint)]
    detail = f"signed in to {cloud.tenancy}"
    return [Capability(f"profile {DEFAULT_PROFILE}", True, detail), await _shapes(cloud)]


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


async def _limits(cloud: Cloud) -> Capability:
    name = f"DB systems in {cloud.region}"
    try:
        left = await limits.systems_left(cloud)
    except PgherdError as error:
        return Capability(name, False, error.message, error.hint, required=False)
    if left is None:
        return Capability(name, True, "oci does not say how many more there may be", required=False)
    remedy = "" if left else "ask for a higher limit in the console (Governance, Limits)"
    return Capability(name, left > 0, f"{left} more may be made", remedy, required=False)


async def _rights(cloud: Cloud, environment: Environment) -> AsyncIterator[Capability]:
    """One line where everything can be seen, else one for each thing that cannot."""
    what = f"rights in {environment.compartment}"
    try:
        found = await compartments.below(cloud, cloud.parent(environment))
    except PgherdError as error:
        yield _no_right(f"{what}: compartments", error)
        return
    there = [c.id for c in found if c.name == environment.compartment]
    if not there:
        detail = "not looked at: the compartment is not there yet"
        yield Capability(what, False, detail, "look again after the first `pgherd up`", False)
        return
    hidden = False
    for words, service, operation in LISTS:
        try:
            await cloud.all(service, operation, compartment_id=there[0])
        except PgherdError as error:
            hidden = True
            yield _no_right(f"{what}: {words}", error)
    if not hidden:
        yield Capability(what, True, f"{', '.join(words for words, _, _ in LISTS)} can be seen")


def _no_right(what: str, error: PgherdError) -> Capability:
    remedy = _POLICY if isinstance(error, NotFound) else error.hint
    return Capability(what, False, error.message, remedy)


def _service(environments: Sequence[Environment]) -> list[Capability]:
    """What the service itself is like, so that nobody finds out half-way."""
    has_poolers = bool(environments) and all(e.values_of(OciValues).pooler for e in environments)
    return [
        Capability(
            "client certificates",
            has_poolers,
            "the service asks for passwords; pgherd's pooler tier asks for certificates",
            "" if has_poolers else "write oci: {pooler: create}",
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
