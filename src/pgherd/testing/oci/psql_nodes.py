"""The nodes of a system: in which availability domain, with which address, which is primary."""

from __future__ import annotations

from collections import Counter
from typing import Any

from pgherd.testing.oci import addresses
from pgherd.testing.oci.network_use import Use
from pgherd.testing.oci.psql_checks import NODES
from pgherd.testing.oci.refusals import invalid
from pgherd.testing.oci.world import Body, Resource, World


class Nodes:
    """Spread over all domains when storage is regional, else all in the storage's own."""

    def __init__(self, world: World) -> None:
        self.world = world

    def add(self, system: Resource, details: list[Body]) -> None:
        """Let there be one node more for each of the details."""
        nodes = system.body["instances"]
        if len(nodes) + len(details) > NODES:
            raise invalid(f"a system has at most {NODES} nodes")
        for each in details:
            node = self._node(system, len(nodes) + 1, each)
            self.address(system, node["id"], each.get("privateIp"))
            nodes.append(node)
        self._primary_is_one_of_them(system)

    def remove(self, system: Resource, ids: set[str]) -> None:
        """Let them go."""
        for id in ids:
            system.hidden["addresses"].pop(id, None)
        left = [node for node in system.body["instances"] if node["id"] not in ids]
        system.body |= {"instances": left, "instanceCount": len(left)}

    def set_state(self, system: Resource, state: str) -> None:
        """All nodes follow the system, only words differ."""
        for node in system.body["instances"]:
            node["lifecycleState"] = state

    def address(self, system: Resource, of: str, wanted: str | None = None) -> None:
        """Take an address in the system's subnet."""
        subnet = self.world.resources[system.body["networkDetails"]["subnetId"]]
        used = Use(self.world).addresses(subnet.id)
        taken = addresses.take(subnet.body["cidrBlock"], used, wanted)
        system.hidden.setdefault("addresses", {})[of] = taken

    def fail_over(self, system: Resource, to: str) -> None:
        """Another node is the primary from now on."""
        system.hidden["primary"] = to
        self.world.touch(system)

    def others(self, system: Resource) -> list[Body]:
        """The nodes that are not the primary."""
        primary = system.hidden["primary"]
        return [node for node in system.body["instances"] if node["id"] != primary]

    def _node(self, system: Resource, number: int, details: Body) -> Body:
        given: dict[str, Any] = {
            key: details[key] for key in ("displayName", "description") if details.get(key)
        }
        return {
            "id": self.world.new_id("db_instance", system.region),
            "displayName": f"{system.body['displayName']}-{number}",
            **given,
            "availabilityDomain": self._domain(system),
            "lifecycleState": "CREATING",
            "timeCreated": self.world.stamp(),
            "timeUpdated": self.world.stamp(),
        }

    def _domain(self, system: Resource) -> str:
        storage = system.body["storageDetails"]
        if not storage["isRegionallyDurable"]:
            return str(storage["availabilityDomain"])
        used = Counter(node["availabilityDomain"] for node in system.body["instances"])
        return min(self.world.domains(system.region), key=lambda domain: used[domain])

    @staticmethod
    def _primary_is_one_of_them(system: Resource) -> None:
        nodes = system.body["instances"]
        system.body["instanceCount"] = len(nodes)
        system.hidden.setdefault("primary", nodes[0]["id"])
