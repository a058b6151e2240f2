"""Core services: the rules of network security groups, and what a rule must look like."""

from __future__ import annotations

import secrets
from collections.abc import Iterable

from pgherd.testing.oci import addresses
from pgherd.testing.oci.calls import Answer, Request, Service
from pgherd.testing.oci.refusals import conflict, invalid, limit_exceeded, not_found
from pgherd.testing.oci.world import Body, Resource

A_CALL = 25
A_GROUP = 120
_OPTIONS = {"tcpOptions": "6", "udpOptions": "17", "icmpOptions": "1"}


class NetworkRules(Service):
    """No etags and no retry tokens here: who adds twice has a rule twice."""

    package = "core"

    def list_network_security_group_security_rules(self, request: Request) -> Answer:
        rules = self._rules(self._group(request))
        direction = request.query.get("direction")
        return Answer([rule for rule in rules if direction in (None, rule["direction"])])

    def add_network_security_group_security_rules(self, request: Request) -> Answer:
        group = self._group(request)
        added = request.body.get("securityRules") or []
        self._check(request, group, added)
        if len(self._rules(group)) + len(added) > A_GROUP:
            raise limit_exceeded(f"a group has at most {A_GROUP} rules")
        new = [
            {
                "isStateless": False,
                **rule,
                "id": secrets.token_hex(3).upper(),
                "isValid": True,
                "timeCreated": self.world.stamp(),
            }
            for rule in added
        ]
        self._rules(group).extend(new)
        return Answer({"securityRules": new})

    def update_network_security_group_security_rules(self, request: Request) -> Answer:
        group = self._group(request)
        changed = request.body.get("securityRules") or []
        self._check(request, group, changed)
        known = {rule["id"]: rule for rule in self._rules(group)}
        for rule in changed:
            if rule["id"] not in known:
                raise not_found(f"security rule {rule['id']}")
        for rule in changed:
            kept = {key: known[rule["id"]][key] for key in ("id", "isValid", "timeCreated")}
            known[rule["id"]].clear()
            known[rule["id"]].update({"isStateless": False, **rule, **kept})
        return Answer({"securityRules": [known[rule["id"]] for rule in changed]})

    def remove_network_security_group_security_rules(self, request: Request) -> Answer:
        group = self._group(request)
        ids = request.body.get("securityRuleIds") or []
        if not 1 <= len(ids) <= A_CALL:
            raise invalid(f"1..{A_CALL} rules a call, not {len(ids)}")
        known = {rule["id"] for rule in self._rules(group)}
        for id in ids:
            if id not in known:
                raise not_found(f"security rule {id}")
        group.hidden["rules"] = [rule for rule in self._rules(group) if rule["id"] not in ids]
        return Answer()

    def list_network_security_group_vnics(self, request: Request) -> Answer:
        group = self._group(request)
        return Answer(
            [
                {"vnicId": vnic.id, "timeAssociated": vnic.body["timeCreated"]}
                for vnic in self.world.of("vnic", request.region)
                if group.id in (vnic.body.get("nsgIds") or []) and not vnic.is_gone
            ]
        )

    def _group(self, request: Request) -> Resource:
        group = self.find(request, "network_security_group", request.path["networkSecurityGroupId"])
        if request.is_change() and group.state != "AVAILABLE":
            raise conflict(f"{group.id} is {group.state}")
        return group

    @staticmethod
    def _rules(group: Resource) -> list[Body]:
        found: list[Body] = group.hidden.setdefault("rules", [])
        return found

    def _check(self, request: Request, group: Resource, rules: list[Body]) -> None:
        if not 1 <= len(rules) <= A_CALL:
            raise invalid(f"1..{A_CALL} rules a call, not {len(rules)}")
        check_rules(rules)
        for rule in rules:
            for side in ("source", "destination"):
                if rule.get(f"{side}Type") == "NETWORK_SECURITY_GROUP":
                    other = self.known("network_security_group", rule[side], request.region)
                    if other.body["vcnId"] != group.body["vcnId"]:
                        raise invalid(f"{side} {other.id} is in another VCN")


def check_rules(rules: Iterable[Body]) -> None:
    """Refuse rules that contradict themselves."""
    for rule in rules:
        inward = rule["direction"] == "INGRESS"
        side, other = ("source", "destination") if inward else ("destination", "source")
        if not rule.get(side):
            raise invalid(f"an {rule['direction']} rule needs a {side}")
        if rule.get(other):
            raise invalid(f"an {rule['direction']} rule has no {other}")
        if rule.get(f"{side}Type", "CIDR_BLOCK") == "CIDR_BLOCK":
            addresses.block(rule[side], side)
        _protocol(rule)


def _protocol(rule: Body) -> None:
    protocol = rule["protocol"]
    if protocol != "all" and not (protocol.isdecimal() and int(protocol) < 256):
        raise invalid(f"protocol {protocol!r} must be 'all' or a number as text")
    for option, number in _OPTIONS.items():
        if rule.get(option) is not None and protocol != number:
            raise invalid(f"{option} is only for protocol {number}")
    for option in ("tcpOptions", "udpOptions"):
        for ports in (rule.get(option) or {}).values():
            if not 1 <= ports["min"] <= ports["max"] <= 65535:
                raise invalid(f"{option}: {ports['min']}..{ports['max']} is no range of ports")
