"""Clients of the official SDK, pointed to the local OCI."""

from __future__ import annotations

import base64
import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import oci
import pytest

from pgherd.testing.oci.server import LocalOci

NoCircuitBreakerStrategy = oci.circuit_breaker.NoCircuitBreakerStrategy
RequestException = oci.exceptions.RequestException
ServiceError = oci.exceptions.ServiceError

os.environ["NO_PROXY"] = "127.0.0.1"

PSQL = oci.psql.models
CORE = oci.core.models
CLIENTS = {
    "identity": ("identity", oci.identity.IdentityClient),
    "network": ("core", oci.core.VirtualNetworkClient),
    "compute": ("core", oci.core.ComputeClient),
    "psql": ("psql", oci.psql.PostgresqlClient),
    "vaults": ("key_management", oci.key_management.KmsVaultClient),
    "secrets": ("vault", oci.vault.VaultsClient),
    "bundles": ("secrets", oci.secrets.SecretsClient),
    "monitoring": ("monitoring", oci.monitoring.MonitoringClient),
    "limits": ("limits", oci.limits.LimitsClient),
}
STATES = ("ACTIVE", "AVAILABLE", "ENABLED", "RUNNING", "INACTIVE", "DELETED", "FAILED")


@dataclass
class Tenant:
    """One user of the local OCI, in one region."""

    cloud: LocalOci
    region: str = ""

    def client(self, name: str, **options: Any) -> Any:
        service, kind = CLIENTS[name]
        endpoint = self.cloud.endpoint(service, self.region or None)
        return self.at(kind, endpoint, **options)

    @cached_property
    def signer(self) -> Any:
        """One for all clients: reading the key takes longer than many calls."""
        config = self.cloud.config
        return oci.Signer(
            config["tenancy"],
            config["user"],
            config["fingerprint"],
            None,
            private_key_content=config["key_content"],
        )

    def at(self, kind: Any, endpoint: str, **options: Any) -> Any:
        """No retries and no circuit breaker: a test sees each answer."""
        given = {
            "service_endpoint": endpoint,
            "signer": self.signer,
            "retry_strategy": oci.retry.NoneRetryStrategy(),
            "circuit_breaker_strategy": NoCircuitBreakerStrategy(),
        }
        return kind(self.cloud.config, **{**given, **options})

    def keys(self, vault: Any) -> Any:
        return self.at(oci.key_management.KmsManagementClient, vault.management_endpoint)

    def __getattr__(self, name: str) -> Any:
        if name not in CLIENTS:
            raise AttributeError(name)
        made = self.client(name)
        setattr(self, name, made)
        return made

    def compartment(self, name: str = "ecommerce-production") -> str:
        details = oci.identity.models.CreateCompartmentDetails(
            compartment_id=self.cloud.config["tenancy"], name=name, description=name
        )
        made = self.identity.create_compartment(details).data
        settled(lambda: self.identity.get_compartment(made.id))
        return str(made.id)

    def network_in(self, compartment: str, cidr: str = "10.0.0.0/16") -> tuple[str, str, str]:
        """A VCN, a subnet and a group in it."""
        vcn = self.network.create_vcn(
            CORE.CreateVcnDetails(
                compartment_id=compartment, cidr_blocks=[cidr], display_name="production"
            )
        ).data
        settled(lambda: self.network.get_vcn(vcn.id))
        subnet = self.network.create_subnet(
            CORE.CreateSubnetDetails(
                compartment_id=compartment,
                vcn_id=vcn.id,
                cidr_block=cidr.replace("0.0/16", "1.0/24"),
                prohibit_public_ip_on_vnic=True,
            )
        ).data
        group = self.network.create_network_security_group(
            CORE.CreateNetworkSecurityGroupDetails(compartment_id=compartment, vcn_id=vcn.id)
        ).data
        settled(lambda: self.network.get_subnet(subnet.id))
        settled(lambda: self.network.get_network_security_group(group.id))
        return vcn.id, subnet.id, group.id

    def vault_in(self, compartment: str) -> tuple[Any, str]:
        models = oci.key_management.models
        vault = self.vaults.create_vault(
            models.CreateVaultDetails(
                compartment_id=compartment, display_name="production", vault_type="DEFAULT"
            )
        ).data
        settled(lambda: self.vaults.get_vault(vault.id))
        key = (
            self.keys(vault)
            .create_key(
                models.CreateKeyDetails(
                    compartment_id=compartment,
                    display_name="production",
                    key_shape=models.KeyShape(algorithm="AES", length=32),
                )
            )
            .data
        )
        settled(lambda: self.keys(vault).get_key(key.id))
        return vault, key.id

    def secret_in(self, compartment: str, vault: Any, key: str, name: str = "master") -> str:
        models = oci.vault.models
        content = base64.b64encode(b"Secret-password-1").decode()
        secret = self.secrets.create_secret(
            models.CreateSecretDetails(
                compartment_id=compartment,
                secret_name=name,
                vault_id=vault.id,
                key_id=key,
                secret_content=models.Base64SecretContentDetails(content=content),
            )
        ).data
        settled(lambda: self.secrets.get_secret(secret.id))
        return str(secret.id)

    def details(self, compartment: str, subnet: str, name: str = "order", **other: Any) -> Any:
        """A new DB system, as small as it can be."""
        given = {
            "display_name": name,
            "compartment_id": compartment,
            "db_version": "16",
            "shape": "PostgreSQL.VM.Standard.E5.Flex",
            "instance_ocpu_count": 2,
            "instance_count": 3,
            "storage_details": PSQL.OciOptimizedStorageDetails(is_regionally_durable=True),
            "network_details": PSQL.NetworkDetails(subnet_id=subnet),
            "credentials": PSQL.Credentials(
                username="pgherd",
                password_details=PSQL.PlainTextPasswordDetails(password="Plain-password-1"),
            ),
        }
        return PSQL.CreateDbSystemDetails(**{**given, **other})

    def system(self, details: Any) -> Any:
        """A DB system that is up."""
        made = self.psql.create_db_system(details)
        self.worked(made)
        return self.psql.get_db_system(made.data.id).data

    def worked(self, answer: Any) -> Any:
        """Wait for the work request of an answer."""
        id = answer.headers["opc-work-request-id"]
        for _ in range(5):
            work = self.psql.get_work_request(id).data
            if work.status not in ("ACCEPTED", "IN_PROGRESS"):
                return work
        raise AssertionError(f"{id} does not end")

    def base(self) -> tuple[str, str, str]:
        """A compartment, a subnet and a group: what a system needs."""
        compartment = self.compartment()
        _, subnet, group = self.network_in(compartment)
        return compartment, subnet, group


def settled(read: Callable[[], Any]) -> Any:
    """Look until the state is a lasting one."""
    for _ in range(5):
        found = read().data
        if found.lifecycle_state in STATES:
            return found
    raise AssertionError(f"{found.lifecycle_state} does not end")


def refusal(call: Callable[..., Any], *arguments: Any, **words: Any) -> ServiceError:
    with pytest.raises(ServiceError) as error:
        call(*arguments, **words)
    return error.value
