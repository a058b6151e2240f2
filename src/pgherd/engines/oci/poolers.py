"""The pooler tier: instances with PgBouncer, the only way from a client to a database on OCI.

The service itself asks for passwords, not for client certificates; the poolers ask for them. Two
where an environment has several availability domains, so that one may be lost. They are known
by their tags, whoever launched them.
"""

from __future__ import annotations

import base64
import gzip
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from pgherd.engines.oci import routes
from pgherd.engines.oci.blueprint import POOLER_SHAPE, Kind, pooler, pooler_addresses
from pgherd.engines.oci.bodies import body
from pgherd.engines.oci.cloud_init import Tier, cloud_init
from pgherd.engines.oci.estate import Estate
from pgherd.engines.oci.kinds import GONE
from pgherd.engines.oci.names import KEY
from pgherd.engines.oci.routes import METADATA_KEY, Routes
from pgherd.engines.oci.secrets import ADMIN_PASSWORD, POOLER
from pgherd.engines.oci.values import OciValues, PoolerTier
from pgherd.engines.oci.waiting import until
from pgherd.errors import NeedsHuman
from pgherd.fleet.desired import Environment

OPERATING_SYSTEM, VERSION = "Canonical Ubuntu", "26.04"
Change = Callable[[Routes], Routes]


def is_pooler(estate: Estate, instance: Any) -> bool:
    """It is one of this environment's, and there."""
    tags = instance.freeform_tags or {}
    is_live = instance.lifecycle_state not in GONE
    return estate.owner.owns(instance) and tags.get(KEY, "").startswith("pooler-") and is_live


async def found(estate: Estate) -> list[Any]:
    """The environment's poolers, in the order of their numbers."""
    instances = [i for i in await estate.all(Kind.INSTANCE) if is_pooler(estate, i)]
    return sorted(instances, key=lambda i: i.freeform_tags[KEY])


def user_data(environment: Environment, estate: Estate) -> str:
    """The cloud-init of every pooler."""
    return cloud_init(
        Tier(
            fleet=estate.owner.fleet,
            environment=environment.name,
            region=estate.cloud.region,
            pooler_secret=estate.ocids[POOLER],
            admin_secret=estate.ocids[ADMIN_PASSWORD],
        )
    )


async def ensure(
    environment: Environment, estate: Estate, domains: Sequence[str], initial: Routes
) -> None:
    """All poolers run. What they have to know they are told with `tell`."""
    if environment.values_of(OciValues).pooler is PoolerTier.CREATE:
        await _launch_missing(environment, estate, domains, initial)
    instances = await found(estate)
    if not instances:
        addresses = ", ".join(str(a) for a in pooler_addresses(environment))
        raise NeedsHuman(
            f"{environment.name} has no pooler instance",
            f"launch one for each of {addresses} with what `pgherd render cloud-init "
            f"{environment.name}` writes, then run pgherd up again",
        )
    for instance in instances:
        if instance.lifecycle_state in ("STOPPED", "STOPPING"):
            await _power(estate, instance, "START", "RUNNING")
        else:
            await estate.ready(Kind.INSTANCE, instance)
    estate.forget(Kind.INSTANCE)


async def _launch_missing(
    environment: Environment, estate: Estate, domains: Sequence[str], initial: Routes
) -> None:
    numbers = range(1, len(pooler_addresses(environment)) + 1)
    known = {i.freeform_tags[KEY] for i in await found(estate)}
    missing = [n for n in numbers if f"pooler-{n}" not in known]
    if not missing:
        return
    image = await _image(estate)
    # Compressed, since an instance's metadata, with all routes, may have 32,000 bytes.
    packed = gzip.compress(user_data(environment, estate).encode(), mtime=0)
    text = base64.b64encode(packed).decode()
    for number in missing:
        domain = domains[(number - 1) % len(domains)]
        thing = pooler(environment, estate.owner, number, image, domain, text)
        metadata = {"user_data": text, METADATA_KEY: initial.text()}
        await estate.ensure(replace(thing, properties={**thing.properties, "metadata": metadata}))


async def _image(estate: Estate) -> str:
    """The newest image of the system that the cloud-init is written for."""
    images = await estate.cloud.all(
        "compute",
        "list_images",
        compartment_id=estate.compartment,
        operating_system=OPERATING_SYSTEM,
        operating_system_version=VERSION,
        shape=POOLER_SHAPE,
        sort_by="TIMECREATED",
        sort_order="DESC",
    )
    if not images:
        raise NeedsHuman(
            f"{estate.cloud.region} has no image of {OPERATING_SYSTEM} {VERSION}",
            "write oci: {pooler: render} and launch the poolers from an image of yours",
        )
    return str(images[0].id)


async def told(estate: Estate) -> list[Routes | None]:
    """What each pooler knows; None for one that knows nothing."""
    return [_routes(instance) for instance in await found(estate)]


def _routes(instance: Any) -> Routes | None:
    return routes.read((instance.metadata or {}).get(METADATA_KEY))


async def tell(estate: Estate, change: Change, initial: Routes) -> None:
    """Every pooler is told the same: what any of them knew, with a change.

    `initial` is what they start with. Only one may tell at a time.
    """
    estate.forget(Kind.INSTANCE)
    answers = [
        await estate.cloud.call("compute", "get_instance", seen.id) for seen in await found(estate)
    ]
    known = routes.merged(r for r in (_routes(a.data) for a in answers) if r is not None)
    text = change(known or initial).text()
    for answer in answers:
        metadata = dict(answer.data.metadata or {})
        if metadata.get(METADATA_KEY) == text:
            continue
        metadata[METADATA_KEY] = text
        _require_room(estate, metadata)
        details = body("compute", "UpdateInstanceDetails", {"metadata": metadata})
        await estate.cloud.call(
            "compute", "update_instance", answer.data.id, details, if_match=answer.etag
        )
    estate.forget(Kind.INSTANCE)


def _require_room(estate: Estate, metadata: Mapping[str, str]) -> None:
    size = sum(len(name) + len(text) for name, text in metadata.items())
    if size > routes.LARGEST:
        raise NeedsHuman(
            f"{estate.owner.environment} has too many databases for its poolers: their metadata "
            f"would have {size} bytes, {routes.LARGEST} fit",
            "put some of its services into another environment",
        )


async def stop(estate: Estate) -> None:
    """No pooler runs."""
    for instance in await found(estate):
        if instance.lifecycle_state != "STOPPED":
            await _power(estate, instance, "SOFTSTOP", "STOPPED")
    estate.forget(Kind.INSTANCE)


async def _power(estate: Estate, instance: Any, action: str, state: str) -> None:
    async def look() -> Any:
        return (await estate.cloud.call("compute", "get_instance", instance.id)).data

    what = f"pooler {instance.display_name}"
    if instance.lifecycle_state == "STOPPING":
        await until(estate.cloud, what, look, lambda i: i.lifecycle_state == "STOPPED")
    await estate.cloud.call("compute", "instance_action", instance.id, action)
    await until(estate.cloud, what, look, lambda i: i.lifecycle_state == state)
