"""Requests to the Patronis of one database, over their REST API."""

from __future__ import annotations

import contextlib
import ssl
from typing import Any

import aiohttp

from pgherd.engines.local import patroni
from pgherd.engines.local.manifest import DatabaseManifest
from pgherd.errors import InputError, TryLater

PATIENCE = aiohttp.ClientTimeout(total=60)
"""Patroni answers a switchover when it is done."""
WAKE_PATIENCE = aiohttp.ClientTimeout(total=5)


class Patronis:
    """Those of one database; `tls` is how to speak to them, `manifest` what is wanted now."""

    def __init__(self, manifest: DatabaseManifest, tls: ssl.SSLContext) -> None:
        self.manifest = manifest
        self._tls = tls

    def trust(self, tls: ssl.SSLContext) -> None:
        """Speak to them in another way from now on."""
        self._tls = tls

    async def ask(
        self,
        instance: str,
        method: str,
        path: str,
        body: dict[str, Any],
        *,
        patience: aiohttp.ClientTimeout = PATIENCE,
    ) -> None:
        """One request; TryLater when it is not answered, or refused."""
        place = self.manifest.numbered(instance)
        if place is None:
            raise InputError(
                f"{instance} is not an instance of {self.manifest.id}", "see `pgherd status`"
            )
        url = f"https://{place.address}:{self.manifest.patroni_port}/{path}"
        try:
            async with (
                aiohttp.ClientSession(
                    connector=aiohttp.TCPConnector(ssl=self._tls), timeout=patience
                ) as session,
                session.request(method, url, json=body) as response,
            ):
                text = await response.text()
        except (aiohttp.ClientError, TimeoutError) as error:
            raise TryLater(f"Patroni of {instance} does not answer: {error}") from error
        if response.status >= 400:
            raise TryLater(f"Patroni of {instance} refuses: {text.strip()}")

    async def wake(self, instance: str | None) -> None:
        """Let an instance's Patroni look now, if it can.

        A change of the shared configuration that changes nothing wakes whoever is asked for it.
        """
        if instance:
            with contextlib.suppress(TryLater):
                await self.ask(
                    instance, "PATCH", "config", {"ttl": patroni.TTL}, patience=WAKE_PATIENCE
                )
