"""Secrets of one environment, kept in its vault and nowhere else.

`admin-password` is the master user's. `authority` is the certificate authority that clients and
poolers trust, with its key. `pooler` is what the poolers need: their certificate, and the seed
from which they derive the passwords that they log in to databases with.
"""

from __future__ import annotations

import base64
import json
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from ipaddress import IPv4Address
from typing import Any

from cryptography import x509

from pgherd.engines.oci.blueprint import Kind
from pgherd.engines.oci.bodies import body
from pgherd.engines.oci.estate import Estate
from pgherd.engines.oci.kinds import CALLS
from pgherd.engines.oci.names import KEY, retry_token
from pgherd.engines.oci.waiting import until
from pgherd.pki.authority import Authority
from pgherd.pki.certificate import Identity, KeyPair
from pgherd.pki.files import due

ADMIN_PASSWORD, AUTHORITY, POOLER = "admin-password", "authority", "pooler"
POOLER_LIFETIME = timedelta(days=90)
_REVIVABLE = "PENDING_DELETION"


def new_password() -> str:
    """As OCI asks for: upper and lower case, digits and a special character."""
    return f"Pg1_{secrets.token_urlsafe(18)}"


@dataclass(frozen=True, slots=True)
class PoolerSecret:
    """What the poolers read."""

    pair: KeyPair
    authority: bytes
    seed: str

    def text(self) -> str:
        """As it lies in the vault."""
        return json.dumps(
            {
                "certificate": self.pair.certificate.decode(),
                "key": self.pair.key.decode(),
                "authority": self.authority.decode(),
                "seed": self.seed,
            }
        )

    @classmethod
    def read(cls, text: str) -> PoolerSecret:
        """From the vault."""
        found = json.loads(text)
        pair = KeyPair(found["certificate"].encode(), found["key"].encode())
        return cls(pair, found["authority"].encode(), found["seed"])


def pooler_pair(authority: Authority, addresses: tuple[IPv4Address, ...], now: datetime) -> KeyPair:
    """The poolers' certificate; one for all, since clients may meet any of them."""
    return authority.issue(Identity("pooler", server_addresses=addresses), now, POOLER_LIFETIME)


def fits(pair: KeyPair, addresses: tuple[IPv4Address, ...], now: datetime) -> bool:
    """A poolers' certificate is for these addresses, and not due."""
    found = x509.load_pem_x509_certificate(pair.certificate)
    try:
        names = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return False
    return set(names.get_values_for_type(x509.IPAddress)) == set(addresses) and not due(found, now)


@dataclass(frozen=True, slots=True)
class Vault:
    """The secrets of an environment whose vault and key are known to its estate."""

    estate: Estate

    async def find(self, key: str) -> Any | None:
        """A secret, or None; one that is about to be deleted is taken back first."""
        estate = self.estate
        found = await estate.find(Kind.SECRET, key)
        if found is not None:
            return await estate.ready(Kind.SECRET, found)
        for secret in await estate.all(Kind.SECRET):
            mine = estate.owner.owns(secret) and secret.freeform_tags.get(KEY) == key
            is_here = getattr(secret, "vault_id", None) == estate.ocids.get("vault")
            if mine and is_here and secret.lifecycle_state == _REVIVABLE:
                await estate.cloud.call("secrets", "cancel_secret_deletion", secret.id)
                estate.forget(Kind.SECRET)
                estate.ocids[key] = secret.id
                return await estate.ready(Kind.SECRET, await self._revived(key, secret.id))
        return None

    async def _revived(self, key: str, id: str) -> Any:
        """The secret once it is back; until then OCI may still show it as on its way out."""
        cloud = self.estate.cloud

        async def look() -> Any:
            return (await cloud.call("secrets", "get_secret", id)).data

        ends = (CALLS[Kind.SECRET].ready, "FAILED")
        return await until(cloud, f"secret {key}", look, lambda s: s.lifecycle_state in ends)

    async def read(self, key: str) -> str | None:
        """What a secret says, None where there is none."""
        secret = await self.find(key)
        if secret is None:
            return None
        bundle = await self.estate.cloud.call("bundles", "get_secret_bundle", secret.id)
        return base64.b64decode(bundle.data.secret_bundle_content.content).decode()

    async def create(self, key: str, text: str) -> None:
        """A secret that was not there."""
        estate = self.estate
        name = estate.owner.name(key)
        details = body(
            "secrets",
            "CreateSecretDetails",
            {
                "compartment_id": estate.compartment,
                "vault_id": estate.ocids["vault"],
                "key_id": estate.ocids["key"],
                "secret_name": name,
                "secret_content": _content(text),
                "freeform_tags": estate.owner.tags | {KEY: key},
            },
        )
        token = retry_token("create_secret", details)
        made = await estate.cloud.call(
            "secrets", CALLS[Kind.SECRET].create, details, opc_retry_token=token
        )
        estate.forget(Kind.SECRET)
        estate.ocids[key] = made.data.id
        await estate.ready(Kind.SECRET, made.data)

    async def replace(self, key: str, text: str) -> None:
        """A new version of a secret that is there."""
        id = self.estate.ocids[key]
        details = body("secrets", "UpdateSecretDetails", {"secret_content": _content(text)})
        made = await self.estate.cloud.call("secrets", "update_secret", id, details)
        self.estate.forget(Kind.SECRET)
        await self.estate.ready(Kind.SECRET, made.data)

    async def version(self, key: str) -> str:
        """The number of a secret's current version, as the service wants it: a text."""
        secret = await self.estate.cloud.call("secrets", "get_secret", self.estate.ocids[key])
        return str(secret.data.current_version_number)

    async def ensure_admin_password(self, like: Vault | None = None) -> None:
        """The master password is there: that of another vault, or one that nobody ever knew."""
        if await self.find(ADMIN_PASSWORD) is None:
            given = await like.read(ADMIN_PASSWORD) if like else None
            await self.create(ADMIN_PASSWORD, given or new_password())

    async def ensure_authority(self, now: datetime, given: Authority | None = None) -> Authority:
        """The certificate authority of the environment; `given` where it has none yet."""
        text = await self.read(AUTHORITY)
        if text is not None:
            found = json.loads(text)
            return Authority(KeyPair(found["certificate"].encode(), found["key"].encode()))
        authority = given or Authority.create(f"pgherd {self.estate.owner.environment}", now)
        pair = authority.pair
        await self.create(
            AUTHORITY,
            json.dumps({"certificate": pair.certificate.decode(), "key": pair.key.decode()}),
        )
        return authority

    async def ensure_pooler(
        self, authority: Authority, addresses: tuple[IPv4Address, ...], now: datetime
    ) -> PoolerSecret:
        """What the poolers read, made where it is not there."""
        text = await self.read(POOLER)
        if text is not None:
            return PoolerSecret.read(text)
        seed = base64.b64encode(secrets.token_bytes(32)).decode()
        pair = pooler_pair(authority, addresses, now)
        secret = PoolerSecret(pair, authority.pair.certificate, seed)
        await self.create(POOLER, secret.text())
        return secret


def _content(text: str) -> dict[str, str]:
    return {
        "content_type": "BASE64",
        "content": base64.b64encode(text.encode()).decode(),
    }
