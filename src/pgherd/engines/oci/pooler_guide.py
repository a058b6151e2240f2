"""What a person needs to launch the poolers of `oci: {pooler: render}` by hand.

It is looked up, not made: the two secrets, the subnet and the security group are there once
`pgherd up` or Terraform has made them.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

from pgherd.engines.oci import compartments
from pgherd.engines.oci.blueprint import Kind, pooler_addresses
from pgherd.engines.oci.estate import Estate
from pgherd.engines.oci.names import KEY, Owner
from pgherd.engines.oci.poolers import OPERATING_SYSTEM, VERSION, user_data
from pgherd.engines.oci.sdk import Cloud
from pgherd.engines.oci.secrets import ADMIN_PASSWORD, POOLER
from pgherd.errors import InputError
from pgherd.fleet.desired import Environment

_CLOUD_CONFIG = "#cloud-config\n"
_NEEDED = (
    (Kind.SECRET, ADMIN_PASSWORD),
    (Kind.SECRET, POOLER),
    (Kind.SUBNET, "poolers"),
    (Kind.SECURITY_GROUP, "pooler-door"),
)


async def pooler_guide(environment: Environment, owner: Owner, cloud: Cloud) -> str:
    """The user data of every pooler, below comments on what its instance has to be.

    InputError where the environment has not been made.
    """
    estate = await _estate(environment, owner, cloud)
    for kind, key in _NEEDED:
        if await estate.find(kind, key) is None:
            raise InputError(
                f"environment {environment.name} has no {kind} {key} yet",
                "run `pgherd up` first: it makes them, and then asks for the poolers",
            )
    # Cloud-init wants its own line on top.
    rest = user_data(environment, estate).removeprefix(_CLOUD_CONFIG)
    comments = "".join(f"{line}\n" for line in _comments(environment, estate))
    return f"{_CLOUD_CONFIG}{comments}{rest}"


async def _estate(environment: Environment, owner: Owner, cloud: Cloud) -> Estate:
    for compartment in await compartments.below(cloud, cloud.parent(environment)):
        if owner.owns(compartment) and compartments.in_use(compartment):
            return Estate(cloud, owner, compartment.id)
    raise InputError(
        f"environment {environment.name} does not exist on oci yet",
        "run `pgherd up` first: it makes the secrets that this names",
    )


def _comments(environment: Environment, estate: Estate) -> Iterator[str]:
    addresses = ", ".join(str(a) for a in pooler_addresses(environment))
    owner, ocids = estate.owner, estate.ocids
    yield from _wrapped(
        f"User data for the poolers of {environment.name} of {owner.fleet}, written by "
        f"`pgherd render cloud-init {environment.name}`. It holds no secret; compressed with gzip, "
        f"it leaves room for more databases in the instance's metadata. Launch one instance "
        f"for each address, in different availability domains, then run `pgherd up` again."
    )
    yield "#"
    yield f"#   image           {OPERATING_SYSTEM} {VERSION}"
    yield f"#   compartment     {estate.compartment}"
    yield f"#   subnet          {ocids['poolers']}"
    yield f"#   security group  {ocids['pooler-door']}"
    yield f"#   private address {addresses}; none public"
    yield "#   free-form tags:"
    for name, value in owner.tags.items():
        yield f"#     {name}={value}"
    for number, address in enumerate(pooler_addresses(environment), start=1):
        yield f"#     {KEY}=pooler-{number} on {address}"


def _wrapped(text: str) -> Iterator[str]:
    return (f"# {line}" for line in textwrap.wrap(text, 94))
