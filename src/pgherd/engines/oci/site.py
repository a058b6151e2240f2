"""One environment in one region: its network, vault, poolers and systems, made and unmade.

Usually an environment has one site, in the region that the fleet file says. A restore from
another region's copies makes a second one there.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from pgherd.engines.oci import blueprint, poolers, routes
from pgherd.engines.oci.blueprint import ADMIN, Kind, Thing
from pgherd.engines.oci.clients import Clients, due
from pgherd.engines.oci.estate import Estate
from pgherd.engines.oci.names import WAS, Owner
from pgherd.engines.oci.regions import domains
from pgherd.engines.oci.routes import Routes
from pgherd.engines.oci.sdk import Cloud
from pgherd.engines.oci.secrets import (
    ADMIN_PASSWORD,
    AUTHORITY,
    POOLER,
    PoolerSecret,
    Vault,
    fits,
    pooler_pair,
)
from pgherd.engines.oci.systems import Systems
from pgherd.engines.oci.values import OciValues
from pgherd.engines.oci.waiting import together
from pgherd.errors import InputError, TryLater
from pgherd.fleet.desired import Environment
from pgherd.pki.authority import Authority

UNMAKING = (
    Kind.SECURITY_GROUP,
    Kind.SUBNET,
    Kind.ROUTE_TABLE,
    Kind.SECURITY_LIST,
    Kind.NAT_GATEWAY,
    Kind.VCN,
)
"""The network, each after what uses it."""


class Site:
    """What one environment has in one region."""

    def __init__(self, cloud: Cloud, owner: Owner, compartment: str, clients: Clients) -> None:
        self.cloud = cloud
        self.clients = clients
        self.estate = Estate(cloud, owner, compartment)
        self.systems = Systems(cloud, owner, compartment)
        self.vault = Vault(self.estate)
        self._routing = asyncio.Lock()

    # Making

    async def ensure(self, environment: Environment, *, like: Site | None = None) -> None:
        """Everything that databases need is there and runs.

        `like` is the environment's own site where this one is in another region: its secrets are
        taken over, since databases that are restored here have its password.
        """
        now = datetime.now(UTC)
        _, secret = await together(
            self._ensure_network(environment), self._ensure_secrets(environment, now, like)
        )
        initial = _initial(environment, secret)
        await poolers.ensure(environment, self.estate, await domains(self.cloud), initial)

        async with self._routing:
            databases = map(self.systems.owner.database, await self.systems.live())
            services = {id.service for id in databases if id is not None}

            def current(known: Routes) -> Routes:
                kept = known.only(services)
                return replace(initial, databases=kept.databases, authorities=kept.authorities)

            await poolers.tell(self.estate, current, initial)

    async def _ensure_network(self, environment: Environment) -> None:
        if (vcn := environment.values_of(OciValues).vcn) is not None:
            self.estate.ocids["vcn"] = vcn
        for thing in blueprint.things(environment, self.estate.owner):
            if thing.kind not in (Kind.VAULT, Kind.KEY):
                found = await self.estate.ensure(thing)
                if thing.kind is Kind.SUBNET:
                    _require_same_network(environment, found, thing)
        for group in blueprint.RULES:
            await self.estate.ensure_rules(group, blueprint.rules(environment, group))

    async def _ensure_secrets(
        self, environment: Environment, now: datetime, like: Site | None
    ) -> PoolerSecret:
        estate = self.estate
        for thing in blueprint.things(environment, estate.owner):
            if thing.kind is Kind.VAULT:
                vault = await estate.ensure(thing)
                estate.management = vault.management_endpoint
            elif thing.kind is Kind.KEY:
                await self._know_vault(environment)
                await estate.ensure(thing)
        await self._know_vault(environment)
        await self.vault.ensure_admin_password(like.vault if like else None)
        given = await like.authority() if like else None
        authority = await self.vault.ensure_authority(now, given)
        secret, _ = await self._pooler_secret(environment, authority, now)
        self.clients.ensure(authority, ADMIN, now)
        return secret

    async def _know_vault(self, environment: Environment) -> None:
        """The vault and the key that the user brought, and where its keys are managed."""
        estate, oci = self.estate, environment.values_of(OciValues)
        if oci.vault is not None and estate.management is None:
            vault = await self.cloud.call("vaults", "get_vault", oci.vault)
            estate.ocids["vault"] = vault.data.id
            estate.management = vault.data.management_endpoint
        if oci.key is not None:
            estate.ocids["key"] = oci.key

    async def _pooler_secret(
        self,
        environment: Environment,
        authority: Authority,
        now: datetime,
        *,
        renew: bool = False,
    ) -> tuple[PoolerSecret, bool]:
        """What the poolers read, with a certificate that fits; whether that was renewed."""
        addresses = blueprint.pooler_addresses(environment)
        secret = await self.vault.ensure_pooler(authority, addresses, now)
        is_due = renew or not fits(secret.pair, addresses, now)
        if is_due:
            pair = pooler_pair(authority, addresses, now)
            secret = PoolerSecret(pair, authority.pair.certificate, secret.seed)
            await self.vault.replace(POOLER, secret.text())
        self.clients.note_pooler(self.cloud.region, secret.pair)
        return secret, is_due

    async def look_up(self, environment: Environment) -> None:
        """All things of a complete environment are known. TryLater where one is missing."""
        estate, name = self.estate, self.estate.owner.environment
        if (vcn := environment.values_of(OciValues).vcn) is not None:
            estate.ocids["vcn"] = vcn
        for thing in blueprint.things(environment, estate.owner):
            if thing.kind is Kind.KEY:
                await self._know_vault(environment)
            found = await estate.find(thing.kind, thing.key)
            if found is None:
                raise TryLater(f"environment {name} has no {thing.kind} yet")
            if thing.kind is Kind.VAULT:
                estate.management = found.management_endpoint
        await self._know_vault(environment)
        for key in (ADMIN_PASSWORD, AUTHORITY, POOLER):
            if await estate.find(Kind.SECRET, key) is None:
                raise TryLater(f"environment {name} has no secret {key} yet")
        states = [i.lifecycle_state for i in await poolers.found(estate)]
        if not states or set(states) != {"RUNNING"}:
            raise TryLater(f"the poolers of environment {name} do not run")

    # Certificates

    async def authority(self) -> Authority:
        """The environment's authority, from its vault."""
        return await self.vault.ensure_authority(datetime.now(UTC))

    async def ensure_certificates(
        self, environment: Environment, users: Sequence[str], *, renew: bool
    ) -> int:
        """Clients' and poolers' certificates are valid; how many were made now."""
        now = datetime.now(UTC)
        await self.look_up(environment)
        authority = await self.authority()
        made = sum(self.clients.ensure(authority, user, now, renew=renew) for user in users)
        secret, is_renewed = await self._pooler_secret(environment, authority, now, renew=renew)
        initial = _initial(environment, secret)
        ends = initial.certificate_due
        await self._tell(lambda known: replace(known, certificate_due=ends), initial)
        return made + is_renewed

    async def ensure_clients(self, *users: str) -> None:
        """These users have certificates on this machine that the poolers accept."""
        now = datetime.now(UTC)
        self.estate.forget(Kind.INSTANCE)
        accepted = {told.authority for told in await poolers.told(self.estate) if told}
        is_accepted = self.clients.authority_digest() in accepted
        without = [u for u in users if not (is_accepted and self.clients.has(u, now))]
        if without:
            authority = await self.authority()
            for user in without:
                self.clients.ensure(authority, user, now)

    # Routes

    async def ensure_routed(
        self, service: str, system: Any, connection: Any, environment: Environment
    ) -> None:
        """The poolers know where a database is."""
        was = (system.freeform_tags or {}).get(WAS)
        count = len(await poolers.found(self.estate))
        ocpus = system.instance_ocpu_count
        route = routes.route(connection, system.id, ocpus, count, was)
        await self._tell(
            lambda known: known.including(service, route, connection.ca_certificate),
            Routes(str(environment.network)),
        )

    async def ensure_not_routed(self, service: str) -> None:
        """The poolers know nothing of a database."""
        if any(await poolers.told(self.estate)):
            await self._tell(lambda known: known.without(service), Routes(""))

    async def _tell(self, change: poolers.Change, initial: Routes) -> None:
        async with self._routing:
            await poolers.tell(self.estate, change, initial)

    # Unmaking

    async def stop(self) -> None:
        """The poolers do not run."""
        await poolers.stop(self.estate)

    async def ensure_absent(self) -> None:
        """Nothing of the environment is left here; vault and secrets are about to go."""
        estate = self.estate
        await estate.ensure_absent(Kind.INSTANCE)
        for kind in UNMAKING:
            await estate.ensure_absent(kind)
        vaults = [v for v in await estate.all(Kind.VAULT) if v.lifecycle_state == "ACTIVE"]
        for vault in vaults:
            if estate.owner.owns(vault):
                estate.management = vault.management_endpoint
        await estate.ensure_absent(Kind.SECRET)
        if estate.management is not None:
            await estate.ensure_absent(Kind.KEY)
        await estate.ensure_absent(Kind.VAULT)


def _initial(environment: Environment, secret: PoolerSecret) -> Routes:
    """What poolers know before there is any database."""
    return Routes(
        str(environment.network),
        certificate_due=due(secret.pair.certificate),
        authority=routes.digest(secret.authority.decode()),
    )


def _require_same_network(environment: Environment, subnet: Any, thing: Thing) -> None:
    wanted = thing.properties["cidr_block"]
    if subnet.cidr_block != wanted:
        raise InputError(
            f"{subnet.display_name} of {environment.name} is {subnet.cidr_block} and would be "
            f"{wanted}: pgherd does not change networks",
            "write the network as it was",
        )
