"""Who uses what in a network: nothing that is used can be deleted."""

from __future__ import annotations

from pgherd.testing.oci.world import Resource, World


class Use:
    """Answers from what exists now."""

    def __init__(self, world: World) -> None:
        self.world = world

    def of(self, resource: Resource) -> list[str]:
        """The OCIDs of all that would lose something with it."""
        return [
            each.id
            for each in self.world.resources.values()
            if not each.is_gone and each is not resource and self._uses(each, resource)
        ]

    def defaults(self, vcn: Resource) -> list[Resource]:
        """What goes with a VCN."""
        return [
            each
            for each in self.world.resources.values()
            if each.hidden.get("default_of") == vcn.id
        ]

    def addresses(self, subnet: str) -> set[str]:
        """All private addresses taken in a subnet."""
        taken: set[str] = set()
        for each in self.world.resources.values():
            if each.is_gone:
                continue
            if each.kind == "vnic" and each.body["subnetId"] == subnet:
                taken.add(each.body["privateIp"])
            if each.kind == "db_system" and each.body["networkDetails"]["subnetId"] == subnet:
                taken |= set(each.hidden.get("addresses", {}).values())
        return taken

    @staticmethod
    def _uses(user: Resource, resource: Resource) -> bool:
        if user.hidden.get("default_of") == resource.id:
            return False
        body = user.body
        network = body.get("networkDetails") or {}
        match resource.kind:
            case "vcn":
                return bool(body.get("vcnId") == resource.id)
            case "subnet":
                return resource.id in (body.get("subnetId"), network.get("subnetId"))
            case "network_security_group":
                groups = (body.get("nsgIds") or []) + (network.get("nsgIds") or [])
                return resource.id in groups
            case "security_list":
                return resource.id in (body.get("securityListIds") or [])
            case "route_table":
                return user.kind == "subnet" and body.get("routeTableId") == resource.id
            case "nat_gateway" | "service_gateway":
                rules = body.get("routeRules") or []
                return any(rule["networkEntityId"] == resource.id for rule in rules)
        return False
