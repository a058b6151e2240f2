"""The secrets of an environment as resources of Terraform: made up by it, kept in the vault. Pure.

Whoever has to make everything with Terraform wants one `terraform apply`, not a second one after
somebody carried keys about. So Terraform makes the authority and the poolers' certificate too;
its state, which holds the master password anyway, holds their keys.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pgherd.engines.oci import blueprint
from pgherd.engines.oci.names import KEY, Owner
from pgherd.engines.oci.secrets import ADMIN_PASSWORD, AUTHORITY, POOLER
from pgherd.fleet.desired import Environment

CERTIFICATE_DAYS = 365
"""Of the poolers: longer than pgherd's own, as Terraform renews only when it is run."""
AUTHORITY_DAYS = 3650

_AUTHORITY: Mapping[str, str] = {
    "certificate": "tls_self_signed_cert.authority.cert_pem",
    "key": "tls_private_key.authority.private_key_pem",
}
_POOLER: Mapping[str, str] = {
    "certificate": "tls_locally_signed_cert.pooler.cert_pem",
    "key": "tls_private_key.pooler.private_key_pem",
    "authority": "tls_self_signed_cert.authority.cert_pem",
    "seed": "random_bytes.seed.base64",
}
"""What pgherd itself writes there: see `pgherd.engines.oci.secrets`."""


def secret_resources(
    environment: Environment, owner: Owner, compartment: str, vault: str, key: str
) -> dict[str, dict[str, Any]]:
    """The three secrets, and what is in them."""
    contents = {
        ADMIN_PASSWORD: "${base64encode(random_password.admin.result)}",
        AUTHORITY: _encoded(_AUTHORITY),
        POOLER: _encoded(_POOLER),
    }
    secrets = {
        name.replace("-", "_"): {
            "compartment_id": compartment,
            "vault_id": vault,
            "key_id": key,
            "secret_name": owner.name(name),
            "secret_content": {"content_type": "BASE64", "content": content},
            "freeform_tags": owner.tags | {KEY: name},
        }
        for name, content in contents.items()
    }
    # A new version of these would fit neither the databases nor what the authority signed.
    for name in ("admin_password", "authority"):
        secrets[name]["lifecycle"] = {"ignore_changes": ["secret_content"]}
    return {**_keys(environment), "oci_vault_secret": secrets}


def _encoded(parts: Mapping[str, str]) -> str:
    members = ", ".join(f"{name} = {expression}" for name, expression in parts.items())
    return f"${{base64encode(jsonencode({{{members}}}))}}"


def _keys(environment: Environment) -> dict[str, dict[str, Any]]:
    """The authority of the environment, the poolers' certificate, and what they log in with."""
    curve = {"algorithm": "ECDSA", "ecdsa_curve": "P256"}
    addresses = [str(address) for address in blueprint.pooler_addresses(environment)]
    return {
        "random_password": {
            "admin": {
                "length": 28,
                "min_upper": 1,
                "min_lower": 1,
                "min_numeric": 1,
                "min_special": 1,
                "override_special": "_-",
            }
        },
        "random_bytes": {"seed": {"length": 32}},
        "tls_private_key": {"authority": curve, "pooler": dict(curve)},
        "tls_self_signed_cert": {
            "authority": {
                "private_key_pem": "${tls_private_key.authority.private_key_pem}",
                "subject": {"common_name": f"pgherd {environment.name}"},
                "is_ca_certificate": True,
                "max_path_length": 0,
                "set_subject_key_id": True,
                "allowed_uses": ["cert_signing", "crl_signing"],
                "validity_period_hours": AUTHORITY_DAYS * 24,
            }
        },
        "tls_cert_request": {
            "pooler": {
                "private_key_pem": "${tls_private_key.pooler.private_key_pem}",
                "subject": {"common_name": "pooler"},
                "ip_addresses": addresses,
            }
        },
        "tls_locally_signed_cert": {
            "pooler": {
                "cert_request_pem": "${tls_cert_request.pooler.cert_request_pem}",
                "ca_cert_pem": "${tls_self_signed_cert.authority.cert_pem}",
                "ca_private_key_pem": "${tls_private_key.authority.private_key_pem}",
                "set_authority_key_id": True,
                "allowed_uses": ["digital_signature", "server_auth"],
                "validity_period_hours": CERTIFICATE_DAYS * 24,
                "early_renewal_hours": CERTIFICATE_DAYS // 3 * 24,
            }
        },
    }
