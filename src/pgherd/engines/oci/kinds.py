"""How each kind of thing is listed, made, read and deleted through the SDK: one table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pgherd.engines.oci.blueprint import Kind

GONE = frozenset(
    {
        "TERMINATING",
        "TERMINATED",
        "DELETING",
        "DELETED",
        "SCHEDULING_DELETION",
        "PENDING_DELETION",
    }
)
"""States of what counts as not there."""


@dataclass(frozen=True, slots=True)
class Calls:
    """The SDK's names for one kind. `name` is the attribute that holds its display name."""

    service: str
    model: str
    list: str
    get: str
    create: str
    delete: str
    ready: str
    name: str = "display_name"


def _network(kind: str, plural: str | None = None) -> Calls:
    words = "".join(word.title() for word in kind.split("_"))
    return Calls(
        "network",
        f"Create{words}Details",
        f"list_{plural or kind + 's'}",
        f"get_{kind}",
        f"create_{kind}",
        f"delete_{kind}",
        "AVAILABLE",
    )


CALLS: Mapping[Kind, Calls] = {
    Kind.VCN: _network("vcn"),
    Kind.NAT_GATEWAY: _network("nat_gateway"),
    Kind.SECURITY_LIST: _network("security_list"),
    Kind.ROUTE_TABLE: _network("route_table"),
    Kind.SUBNET: _network("subnet"),
    Kind.SECURITY_GROUP: _network("network_security_group"),
    Kind.VAULT: Calls(
        "vaults",
        "CreateVaultDetails",
        "list_vaults",
        "get_vault",
        "create_vault",
        "schedule_vault_deletion",
        "ACTIVE",
    ),
    Kind.KEY: Calls(
        "keys",
        "CreateKeyDetails",
        "list_keys",
        "get_key",
        "create_key",
        "schedule_key_deletion",
        "ENABLED",
    ),
    Kind.SECRET: Calls(
        "secrets",
        "CreateSecretDetails",
        "list_secrets",
        "get_secret",
        "create_secret",
        "schedule_secret_deletion",
        "ACTIVE",
        "secret_name",
    ),
    Kind.INSTANCE: Calls(
        "compute",
        "LaunchInstanceDetails",
        "list_instances",
        "get_instance",
        "launch_instance",
        "terminate_instance",
        "RUNNING",
    ),
}
