"""What others make or allow on OCI, written for them. Nothing on OCI is changed by it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pgherd.engines.declaration import Document, Option, OwnFile
from pgherd.errors import InputError
from pgherd.fleet.desired import Environment, Fleet


async def _terraform(
    fleet: Fleet, environments: Sequence[Environment], options: Mapping[str, str]
) -> str:
    from pgherd.engines.oci.terraform import configuration, text

    (environment,) = environments
    _require_region(environments)
    return text(configuration(fleet, environment))


def _is_ours(content: str) -> bool:
    from pgherd.engines.oci.terraform import is_ours

    return is_ours(content)


async def _policy(
    fleet: Fleet, environments: Sequence[Environment], options: Mapping[str, str]
) -> str:
    from pgherd.engines.oci.policy import policy

    _require_region(environments)
    return policy(fleet, environments, options["group"])


async def _cloud_init(
    fleet: Fleet, environments: Sequence[Environment], options: Mapping[str, str]
) -> str:
    from concurrent.futures import ThreadPoolExecutor

    from pgherd.engines.oci.names import Owner
    from pgherd.engines.oci.pooler_guide import pooler_guide
    from pgherd.engines.oci.sdk import THREADS, Cloud
    from pgherd.engines.oci.values import OciValues

    (environment,) = environments
    _require_region(environments)
    oci = environment.values_of(OciValues)
    with ThreadPoolExecutor(THREADS, "oci") as threads:
        cloud = Cloud(oci.profile, oci.region or "", threads)
        return await pooler_guide(environment, Owner(fleet.name, environment.name), cloud)


def _require_region(environments: Sequence[Environment]) -> None:
    """InputError where an environment does not say where it is."""
    from pgherd.engines.oci.section import OCI
    from pgherd.engines.oci.values import OciValues

    for environment in environments:
        if environment.values_of(OciValues).region is None:
            raise InputError(
                f"{environment.name} is on engine {OCI.engine} and has no region",
                "write oci: {region: us-ashburn-1}",
            )


DOCUMENTS = (
    Document(
        "terraform",
        "Write environments as configuration for Terraform.\n\n"
        "For the provider oracle/oci, with what the engine would make. OCI is not asked for "
        "anything.",
        _terraform,
        own_file=OwnFile("main.tf.json", _is_ours),
    ),
    Document(
        "policy",
        "Write the least that OCI must allow.\n\n"
        "To a group of users for pgherd, to the poolers, and to the services that use the key.",
        _policy,
        options=(Option("group", "NAME", "pgherd", "Whom to allow it."),),
    ),
    Document(
        "cloud-init",
        "Write the user data of an environment's poolers on OCI.\n\n"
        "For `oci: {pooler: render}`, with comments on what their instances have to be.",
        _cloud_init,
        is_of_one=True,
    ),
)
