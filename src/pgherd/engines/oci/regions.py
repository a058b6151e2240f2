"""The regions of a tenancy, and the availability domains of a region."""

from __future__ import annotations

from typing import Any

from pgherd.engines.oci.sdk import Cloud
from pgherd.errors import NeedsHuman


async def subscribed(cloud: Cloud) -> list[str]:
    """The regions that the tenancy is subscribed to."""
    return sorted(region.region_name for region in await _subscriptions(cloud))


async def home(cloud: Cloud) -> str:
    """The home region: compartments are made, changed and deleted there only."""
    for region in await _subscriptions(cloud):
        if region.is_home_region:
            return str(region.region_name)
    raise NeedsHuman(f"tenancy {cloud.tenancy} has no home region", "see the console")


async def domains(cloud: Cloud) -> list[str]:
    """A region's availability domains, in the order of their numbers."""
    answer = await cloud.call("identity", "list_availability_domains", cloud.tenancy)
    return sorted(domain.name for domain in answer.data[0])


async def _subscriptions(cloud: Cloud) -> list[Any]:
    answer = await cloud.call("identity", "list_region_subscriptions", cloud.tenancy)
    found: list[Any] = answer.data[0]
    return found
