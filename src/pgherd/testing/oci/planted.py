"""Resources that somebody else has made: tests plant them, and see that they are left alone."""

from __future__ import annotations

from typing import Any

from pgherd.testing.oci import models
from pgherd.testing.oci.rows import Rows
from pgherd.testing.oci.world import Body, Resource, World

# kind -> (service, model, the state in which it is ready)
_MODELS = {
    "compartment": ("identity", "Compartment", "ACTIVE"),
    "vcn": ("core", "Vcn", "AVAILABLE"),
    "subnet": ("core", "Subnet", "AVAILABLE"),
    "network_security_group": ("core", "NetworkSecurityGroup", "AVAILABLE"),
    "security_list": ("core", "SecurityList", "AVAILABLE"),
    "route_table": ("core", "RouteTable", "AVAILABLE"),
    "nat_gateway": ("core", "NatGateway", "AVAILABLE"),
    "service_gateway": ("core", "ServiceGateway", "AVAILABLE"),
    "instance": ("core", "Instance", "RUNNING"),
    "vault": ("key_management", "Vault", "ACTIVE"),
    "key": ("key_management", "Key", "ENABLED"),
    "secret": ("vault", "Secret", "ACTIVE"),
    "db_system": ("psql", "DbSystem", "ACTIVE"),
    "backup": ("psql", "Backup", "ACTIVE"),
    "configuration": ("psql", "Configuration", "ACTIVE"),
}
_GLOBAL = frozenset({"compartment"})


def plant(world: World, kind: str, region: str, given: Body) -> Resource:
    """Let it exist at once; what the model requires and is not given is made up."""
    service, model, state = _MODELS[kind]
    made = {"lifecycleState": state} | _required(world, service, model) | _fitting(world, kind)
    body = {key: value for key, value in made.items() if key not in ("id", "timeCreated")}
    body |= {"compartmentId": world.tenancy, "lifecycleState": state, **given}
    where = "" if kind in _GLOBAL else region
    middle = (world.new_id("vault", where)[-12:],) if kind in ("vault", "key") else ()
    resource = world.add(kind, where, body, given.get("id") or world.new_id(kind, where, *middle))
    resource.hidden |= _hidden(world, kind, resource)
    return resource


def _fitting(world: World, kind: str) -> Body:
    """What goes together, where a made-up value would not."""
    match kind:
        case "backup":
            system = world.new_id("db_system", world.home)
            return {"sourceType": "MANUAL", "dbSystemId": system, "copyStatus": []}
        case "vcn":
            defaults = ("defaultRouteTableId", "defaultSecurityListId", "defaultDhcpOptionsId")
            own = {name: world.new_id("route_table", world.home) for name in defaults}
            return {"cidrBlock": "192.168.0.0/16", "cidrBlocks": ["192.168.0.0/16"], **own}
        case "instance":
            return {"metadata": {}}
        case "subnet":
            return {"cidrBlock": "192.168.1.0/24"}
        case "db_system":
            storage = {"systemType": "OCI_OPTIMIZED_STORAGE", "isRegionallyDurable": True}
            return {
                "storageDetails": storage,
                "managementPolicy": {
                    "maintenanceWindowStart": "SUN 04:00",
                    "backupPolicy": {"kind": "NONE"},
                    "pitrPolicy": {"kind": "NONE"},
                },
                "instances": [],
                "instanceCount": 0,
                "shape": "VM.Standard.E5.Flex",
                "dbVersion": "16.4",
            }
    return {}


def _hidden(world: World, kind: str, resource: Resource) -> Body:
    match kind:
        case "db_system":
            return {"rows": Rows(world.now), "primary": None, "addresses": {}}
        case "backup":
            return {"rows": Rows(world.now)}
        case "secret":
            first = {"number": 1, "name": None, "at": world.stamp(), "value": b"Foreign-secret-1"}
            resource.body.setdefault("currentVersionNumber", 1)
            return {"versions": [first]}
    return {}


def _required(world: World, service: str, model: str) -> Body:
    fields = models.model(service, model).fields
    return {
        key: _made_up(world, service, key, field) for key, field in fields.items() if field.required
    }


def _made_up(world: World, service: str, key: str, field: models.Field) -> Any:
    if field.allowed:
        return field.allowed[0]
    if key.endswith("Id"):
        return world.new_id(key.removesuffix("Id").lower(), world.home)
    plain: dict[str, Any] = {"int": 1, "float": 1.0, "bool": False, "str": "planted"}
    if field.type in plain:
        return plain[field.type]
    if field.type == "datetime":
        return world.stamp()
    if field.type.startswith("list["):
        return []
    if field.type.startswith("dict(") or field.type == "object":
        return {}
    return _required(world, service, field.type)
