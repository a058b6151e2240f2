"""Core services, network: VCNs, subnets, gateways, route tables, security lists and groups."""

from __future__ import annotations

import re
import secrets
from functools import partial

from pgherd.testing.oci import addresses
from pgherd.testing.oci.calls import Answer, Handler, Request, Service, shown
from pgherd.testing.oci.limits import Limits
from pgherd.testing.oci.network_rules import check_rules
from pgherd.testing.oci.network_use import Use
from pgherd.testing.oci.refusals import conflict, invalid, limit_exceeded, not_found
from pgherd.testing.oci.world import Body, Resource, World

# kind -> (its parameter in paths, the plural that lists it)
KINDS = {
    "vcn": ("vcnId", "vcns"),
    "subnet": ("subnetId", "subnets"),
    "network_security_group": ("networkSecurityGroupId", "network_security_groups"),
    "security_list": ("securityListId", "security_lists"),
    "route_table": ("rtId", "route_tables"),
    "nat_gateway": ("natGatewayId", "nat_gateways"),
    "service_gateway": ("serviceGatewayId", "service_gateways"),
}


class Network(Service):
    """Everything goes PROVISIONING -> AVAILABLE -> TERMINATING -> gone."""

    package = "core"

    def __init__(self, world: World, limits: Limits) -> None:
        super().__init__(world)
        self.limits = limits
        self.use = Use(world)

    def handlers(self) -> dict[str, Handler]:
        """The same four or five verbs for each kind, and `list_services`."""
        found: dict[str, Handler] = {"list_services": self.list_services}
        for kind, (_, plural) in KINDS.items():
            found[f"create_{kind}"] = partial(self._create, kind)
            found[f"get_{kind}"] = partial(self._get, kind)
            found[f"list_{plural}"] = partial(self._list, kind)
            found[f"update_{kind}"] = partial(self._update, kind)
            found[f"delete_{kind}"] = partial(self._delete, kind)
        return found

    def list_services(self, request: Request) -> Answer:
        return Answer(self._services(request.region))

    def _services(self, region: str) -> list[Body]:
        key = self.world.new_id("service", region).split(".")[3]
        return [
            {
                "id": f"ocid1.service.oc1.{key}.aaaaaaaa{suffix.replace('-', '')}",
                "name": f"{title} {region}",
                "description": f"{title} {region}",
                "cidrBlock": f"{suffix}-{key}-services-in-oracle-services-network"
                if suffix == "all"
                else f"oci-{key}-{suffix}",
            }
            for suffix, title in (("all", "All Services in"), ("objectstorage", "Object Storage"))
        ]

    def _get(self, kind: str, request: Request) -> Answer:
        return shown(self.find(request, kind, request.path[KINDS[kind][0]]))

    def _list(self, kind: str, request: Request) -> Answer:
        if kind == "network_security_group" and not request.query.keys() & {
            "compartmentId",
            "vcnId",
            "vlanId",
        }:
            raise invalid("compartmentId or vlanId is needed")
        return self.listing(request, kind)

    def _create(self, kind: str, request: Request) -> Answer:
        body = dict(request.body)
        self.compartment(body["compartmentId"])
        if kind != "vcn":
            self.ready("vcn", body["vcnId"], request.region)
        make = {
            "vcn": self._vcn,
            "subnet": self._subnet,
            "network_security_group": self._plain,
            "security_list": self._security_list,
            "route_table": self._route_table,
            "nat_gateway": self._nat_gateway,
            "service_gateway": self._service_gateway,
        }[kind]
        made = make(request, body)
        full = {"displayName": f"{kind}{self.world.now():%Y%m%d%H%M%S}", **made}
        created = self.world.add(kind, request.region, {**full, "lifecycleState": "PROVISIONING"})
        if kind == "vcn":
            self._defaults(created)
        self.world.start([created], lambda: self.world.touch(created, lifecycleState="AVAILABLE"))
        return shown(created)

    @staticmethod
    def _plain(request: Request, body: Body) -> Body:
        return body

    def _vcn(self, request: Request, body: Body) -> Body:
        if ("cidrBlock" in body) == ("cidrBlocks" in body):
            raise invalid("give either cidrBlock or cidrBlocks")
        blocks = body.get("cidrBlocks") or [body["cidrBlock"]]
        addresses.of_vcn(blocks)
        self.limits.check("vcn", request.region)
        body |= {"cidrBlock": blocks[0], "cidrBlocks": blocks}
        return _labelled(body, "vcnDomainName", "oraclevcn.com")

    def _defaults(self, vcn: Resource) -> None:
        """A VCN comes with a route table and a security list, which go with it."""
        name = vcn.body["displayName"]
        common = {
            "compartmentId": vcn.body["compartmentId"],
            "vcnId": vcn.id,
            "lifecycleState": "AVAILABLE",
        }
        routes = {"displayName": f"Default Route Table for {name}", "routeRules": []}
        security = {
            "displayName": f"Default Security List for {name}",
            "egressSecurityRules": [{"destination": "0.0.0.0/0", "protocol": "all"}],
            "ingressSecurityRules": [{"source": "0.0.0.0/0", "protocol": "6"}],
        }
        route_table = self.world.add("route_table", vcn.region, common | routes)
        security_list = self.world.add("security_list", vcn.region, common | security)
        for each in (route_table, security_list):
            each.hidden["default_of"] = vcn.id
        vcn.body |= {
            "defaultRouteTableId": route_table.id,
            "defaultSecurityListId": security_list.id,
            "defaultDhcpOptionsId": self.world.new_id("dhcpoptions", vcn.region),
        }

    def _subnet(self, request: Request, body: Body) -> Body:
        vcn = self.known("vcn", body["vcnId"], request.region)
        if "cidrBlock" not in body:
            raise invalid("cidrBlock is needed")
        neighbours = [
            each.body["cidrBlock"]
            for each in self.world.of("subnet", request.region)
            if each.body["vcnId"] == vcn.id and not each.is_gone
        ]
        network = addresses.of_subnet(body["cidrBlock"], vcn.body["cidrBlocks"], neighbours)
        domain = body.get("availabilityDomain")
        if domain is not None and domain not in self.world.domains(request.region):
            raise invalid(f"availabilityDomain {domain!r} does not exist in {request.region}")
        body.setdefault("routeTableId", vcn.body["defaultRouteTableId"])
        body.setdefault("securityListIds", [vcn.body["defaultSecurityListId"]])
        body.setdefault("dhcpOptionsId", vcn.body["defaultDhcpOptionsId"])
        self._subnet_refers(request, vcn.id, body)
        self._free_label(vcn, body.get("dnsLabel"))
        return _labelled(body, "subnetDomainName", vcn.body.get("vcnDomainName", "")) | {
            "virtualRouterIp": str(network[1]),
            "virtualRouterMac": "00:00:17:" + ":".join(re.findall("..", secrets.token_hex(3))),
            "prohibitPublicIpOnVnic": body.get("prohibitPublicIpOnVnic", False),
            "prohibitInternetIngress": body.get("prohibitInternetIngress", False),
        }

    def _free_label(self, vcn: Resource, label: str | None) -> None:
        if label is None:
            return
        if vcn.body.get("dnsLabel") is None:
            raise invalid("dnsLabel of a subnet needs a VCN with a dnsLabel")
        for each in self.world.of("subnet", vcn.region):
            same = each.body["vcnId"] == vcn.id and each.body.get("dnsLabel") == label
            if same and not each.is_gone:
                raise conflict(f"dnsLabel {label!r} is taken by {each.id}")

    def _subnet_refers(self, request: Request, vcn: str, body: Body) -> None:
        if len(body.get("securityListIds") or []) > 5:
            raise invalid("a subnet has at most 5 security lists")
        named = [("security_list", id) for id in body.get("securityListIds") or []]
        if "routeTableId" in body:
            named.append(("route_table", body["routeTableId"]))
        for kind, id in named:
            if self.known(kind, id, request.region).body["vcnId"] != vcn:
                raise invalid(f"{kind} {id} is in another VCN")

    def _security_list(self, request: Request, body: Body) -> Body:
        for direction in ("ingress", "egress"):
            rules = body.get(f"{direction}SecurityRules", [])
            check_rules([{**rule, "direction": direction.upper()} for rule in rules])
        return body

    def _route_table(self, request: Request, body: Body) -> Body:
        known = {each["cidrBlock"] for each in self._services(request.region)}
        for rule in body.get("routeRules", []):
            self._route_rule(request, body["vcnId"], rule, known)
        return body

    def _route_rule(self, request: Request, vcn: str, rule: Body, services: set[str]) -> None:
        target = self.world.resources.get(rule["networkEntityId"])
        if target is None or target.is_gone or target.region != request.region:
            raise not_found(f"network entity {rule['networkEntityId']}")
        if target.body.get("vcnId") != vcn:
            raise invalid("a route rule's target must be in the same VCN")
        if rule.get("destinationType", "CIDR_BLOCK") == "SERVICE_CIDR_BLOCK":
            if target.kind != "service_gateway" or rule.get("destination") not in services:
                raise invalid("a service's CIDR label is routed to a service gateway")
            return
        if target.kind == "service_gateway":
            raise invalid("a service gateway takes only SERVICE_CIDR_BLOCK")
        addresses.block(rule.get("destination") or rule.get("cidrBlock", ""), "destination")

    def _nat_gateway(self, request: Request, body: Body) -> Body:
        self._only_one("nat_gateway", request.region, body["vcnId"])
        ip = f"129.146.{secrets.randbelow(250) + 1}.{secrets.randbelow(250) + 1}"
        return {"blockTraffic": False, "natIp": ip, **body}

    def _service_gateway(self, request: Request, body: Body) -> Body:
        self._only_one("service_gateway", request.region, body["vcnId"])
        return {"blockTraffic": False, **body, "services": self._chosen(request, body)}

    def _chosen(self, request: Request, body: Body) -> list[Body]:
        known = {each["id"]: each["name"] for each in self._services(request.region)}
        for each in body["services"]:
            if each["serviceId"] not in known:
                raise not_found(f"service {each['serviceId']}")
        return [
            {"serviceId": each["serviceId"], "serviceName": known[each["serviceId"]]}
            for each in body["services"]
        ]

    def _only_one(self, kind: str, region: str, vcn: str) -> None:
        for each in self.world.of(kind, region):
            if each.body["vcnId"] == vcn and not each.is_gone:
                raise limit_exceeded(f"the VCN has a {kind} already: {each.id}")

    def _update(self, kind: str, request: Request) -> Answer:
        found = self.find(request, kind, request.path[KINDS[kind][0]])
        if found.state != "AVAILABLE":
            raise conflict(f"{found.id} is {found.state}")
        changes = {key: value for key, value in request.body.items() if value is not None}
        where = found.body | changes
        if kind == "subnet":
            if changes.get("cidrBlock", found.body["cidrBlock"]) != found.body["cidrBlock"]:
                raise invalid("the local OCI does not resize subnets")
            self._subnet_refers(request, where["vcnId"], changes)
        elif kind == "security_list":
            self._security_list(request, changes)
        elif kind == "route_table":
            self._route_table(request, where)
        elif kind == "service_gateway" and "services" in changes:
            changes["services"] = self._chosen(request, changes)
        self.world.touch(found, **changes)
        return shown(found)

    def _delete(self, kind: str, request: Request) -> Answer:
        found = self.find(request, kind, request.path[KINDS[kind][0]])
        if found.state != "AVAILABLE":
            raise conflict(f"{found.id} is {found.state}")
        if "default_of" in found.hidden:
            raise conflict(f"{found.id} is a default of its VCN and goes with it")
        users = self.use.of(found)
        if users:
            raise conflict(f"{found.id} is used by {', '.join(users[:3])}")
        going = [found, *self.use.defaults(found)]
        for each in going:
            self.world.touch(each, lifecycleState="TERMINATING")

        def finish() -> None:
            for each in going:
                self.world.touch(each, lifecycleState="TERMINATED")

        self.world.start(going, finish)
        return Answer()


def _labelled(body: Body, domain: str, above: str) -> Body:
    label = body.get("dnsLabel")
    if label is None:
        return body
    if not re.fullmatch(r"[a-z][a-z0-9]{0,14}", label):
        raise invalid(f"dnsLabel {label!r} must be 1..15 lower-case letters and digits")
    return body | {domain: f"{label}.{above}"}
