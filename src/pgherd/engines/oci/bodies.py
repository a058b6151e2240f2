"""What is sent to OCI: which client takes it, and a request's body in its form on the wire."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from types import ModuleType
from typing import Any

CLIENTS = {
    "identity": ("identity", "IdentityClient"),
    "network": ("core", "VirtualNetworkClient"),
    "compute": ("core", "ComputeClient"),
    "vaults": ("key_management", "KmsVaultClient"),
    "keys": ("key_management", "KmsManagementClient"),
    "secrets": ("vault", "VaultsClient"),
    "bundles": ("secrets", "SecretsClient"),
    "psql": ("psql", "PostgresqlClient"),
    "monitoring": ("monitoring", "MonitoringClient"),
    "limits": ("limits", "LimitsClient"),
}
"""Our word for a service: the SDK's package, and its client."""


def body(service: str, model: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """The wire form of a request body, from the SDK's names: `cidr_blocks` is cidrBlocks.

    Values of None are left out. A name that the model does not have is a KeyError.
    """
    models = import_module(f"oci.{CLIENTS[service][0]}.models")
    return _wire(models, getattr(models, model), values)


def _wire(models: ModuleType, model: Any, values: Mapping[str, Any]) -> dict[str, Any]:
    if hasattr(model, "get_subtype"):
        names = model().attribute_map
        kinds = {names[k]: v for k, v in values.items() if k in names}
        model = getattr(models, model.get_subtype(kinds))
    blank = model()
    return {
        blank.attribute_map[name]: _value(models, blank.swagger_types[name], value)
        for name, value in values.items()
        # Looked up first, so that a wrong name is an error without a value too.
        if blank.attribute_map[name] and value is not None
    }


def _value(models: ModuleType, type: str, value: Any) -> Any:
    if type.startswith("list["):
        return [_value(models, type[5:-1], item) for item in value]
    model = getattr(models, type, None)
    if model is None or not isinstance(value, Mapping):
        return value
    return _wire(models, model, value)
