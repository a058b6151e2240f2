"""The two secrets in the vault, read as the instance that this is."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass, field

from pgherd.engines.oci.pooler_host.certificates import check_authorities
from pgherd.engines.oci.pooler_host.trouble import Trouble


@dataclass(frozen=True, slots=True)
class Secrets:
    """What the vault says. `server` is a certificate and its key in one text."""

    server: str = field(repr=False)
    authority: str = field(repr=False)
    seed: bytes = field(repr=False)
    admin_password: str = field(repr=False)


def parse_secrets(pooler: str, admin: str) -> Secrets:
    """The two secrets' texts; Trouble, which quotes nothing of them, where they are damaged."""
    try:
        content = json.loads(pooler)
        seed = base64.b64decode(content["seed"], validate=True)
        server = content["key"].strip() + "\n" + content["certificate"].strip() + "\n"
        check_authorities(content["authority"])
    except (ValueError, TypeError, KeyError, AttributeError):
        raise Trouble("the pooler's secret is damaged: it is left unused") from None
    if len(seed) < 32 or not admin.strip() or not admin.isprintable():
        raise Trouble("a seed of 32 bytes or the admin's password is missing in the secrets")
    return Secrets(server, content["authority"], seed, admin)


def read_vault(region: str, ocid: str) -> str:
    """A secret's text, as the instance that this is."""
    try:
        import oci  # type: ignore[import-untyped, unused-ignore]

        client = oci.secrets.SecretsClient(
            {"region": region},
            signer=oci.auth.signers.InstancePrincipalsSecurityTokenSigner(),
            circuit_breaker_strategy=oci.circuit_breaker.NoCircuitBreakerStrategy(),
            timeout=(5, 20),
        )
        content = client.get_secret_bundle(ocid).data.secret_bundle_content.content
        return base64.b64decode(content).decode()
    except Exception as error:  # the SDK's own errors have no common base
        # Its message may hold a part of an answer; the kind and the status do not.
        status = getattr(error, "status", "")
        what = f"{type(error).__name__} {status}".strip()
        raise Trouble(f"secret {ocid} cannot be read: {what}") from None
