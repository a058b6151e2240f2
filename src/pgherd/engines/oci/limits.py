"""The service limits of a tenancy, as far as it tells them."""

from __future__ import annotations

from pgherd.engines.oci.sdk import Cloud
from pgherd.errors import InputError

SERVICE, WORD = "postgresql", "db-system"
"""Names of limits are not documented: the one of this service that has this word in it counts."""


async def systems_left(cloud: Cloud) -> int | None:
    """How many more systems the limits of a region allow, None where OCI does not say."""
    try:
        values = await cloud.all("limits", "list_limit_values", cloud.tenancy, service_name=SERVICE)
        for value in values:
            if WORD in value.name:
                answer = await cloud.call(
                    "limits", "get_resource_availability", SERVICE, value.name, cloud.tenancy
                )
                return None if answer.data.available is None else int(answer.data.available)
    except InputError:
        return None
    return None
