"""Requests to the Patroni of an instance, over its REST API."""

from __future__ import annotations

import contextlib
from typing import Any

import aiohttp

from pgherd.engines.local import patroni
from pgherd.engines.local.cluster import Cluster
from pgherd.errors import InputError, TryLater

TIMEOUT = aiohttp.ClientTimeout(total=60)
"""Patroni answers a switchover when it is done."""


async def ask(
    cluster: Cluster, instance: str, method: str, path: str, body: dict[str, Any]
) -> None:
    """One request; TryLater when it is not answered, or refused."""
    manifest = cluster.manifest
    place = manifest.numbered(instance)
    if place is None:
        raise InputError(f"{instance} is not an instance of {manifest.id}", "see `pgherd status`")
    url = f"https://{place.address}:{manifest.patroni_port}/{path}"
    try:
        async with (
            aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(ssl=cluster.tls), timeout=TIMEOUT
            ) as session,
            session.request(method, url, json=body) as response,
        ):
            text = await response.text()
    except (aiohttp.ClientError, TimeoutError) as error:
        raise TryLater(f"Patroni of {instance} does not answer: {error}") from error
    if response.status >= 400:
        raise TryLater(f"Patroni of {instance} refuses: {text.strip()}")


async def wake(cluster: Cluster, instance: str | None = None) -> None:
    """Let an instance's Patroni, or the primary's, look now.

    A change of the shared configuration that changes nothing wakes whoever is asked for it.
    """
    if name := instance or cluster.leader:
        with contextlib.suppress(TryLater):
            await ask(cluster, name, "PATCH", "config", {"ttl": patroni.TTL})
