"""Certificates of clients, on this machine, and of poolers, in the vault where they read them."""

from __future__ import annotations

from collections.abc import Sequence

from pgherd.contract.certificates import CertificateInfo
from pgherd.engines.oci.blueprint import ADMIN
from pgherd.engines.oci.clients import Clients
from pgherd.engines.oci.tenancy import Tenancy, in_region
from pgherd.errors import InputError
from pgherd.fleet.names import read_only_role


class OciCertificates:
    """Those that pgherd makes; the databases' own are the service's."""

    def __init__(self, tenancy: Tenancy) -> None:
        self._tenancy = tenancy

    async def in_use(self) -> Sequence[CertificateInfo]:
        """Those of clients that are on this machine, and the poolers'."""
        root = self._tenancy.root
        folders = sorted(root.iterdir()) if root.is_dir() else []
        infos = [info for f in folders for info in Clients(f.name, f).infos()]
        return sorted(infos, key=lambda info: (info.not_after, str(info.path)))

    async def ensure_valid(
        self, environment: str, *, renew: bool = False, authorities: bool = False
    ) -> int:
        """In every region where the environment is."""
        if authorities:
            raise InputError(
                f"engine oci makes no new authority for {environment} yet",
                "renew its certificates without --authorities",
            )
        held = await self._tenancy.holding(environment)
        own, *others = self._tenancy.sites(held)
        services = [
            id.service
            for site in (own, *others)
            for system in await site.systems.live()
            if (id := site.systems.owner.database(system)) is not None
        ]
        users = [ADMIN, *(u for s in services for u in (s, read_only_role(s)))]
        wanted = self._tenancy.known(environment)
        made = await own.ensure_certificates(wanted, users, renew=renew)
        for site in others:
            there = in_region(wanted, site.cloud.region)
            made += await site.ensure_certificates(there, (), renew=renew)
        return made
