"""Changes of a DB system: one kind a call, only while it is ACTIVE."""

from __future__ import annotations

import re
from collections.abc import Callable

from pgherd.testing.oci import strict
from pgherd.testing.oci.calls import Answer, Request, Service, accepted
from pgherd.testing.oci.psql_checks import NODES
from pgherd.testing.oci.psql_systems import DbSystems
from pgherd.testing.oci.refusals import conflict, incorrect_state, invalid, not_found
from pgherd.testing.oci.shapes import PREFIX
from pgherd.testing.oci.world import Body, Resource

UPDATE = "UPDATE_POSTGRESQL_DB_SYSTEM"
_KINDS = {
    "labels": ("displayName", "description", "freeformTags", "definedTags"),
    "size": ("shape", "instanceOcpuCount", "instanceMemorySizeInGBs"),
    "network": ("networkDetails",),
    "policy": ("managementPolicy",),
    "storage": ("storageDetails",),
    "configuration": ("dbConfigurationParams",),
    "replication": ("replicationConfig",),
    "kerberos": ("kerberosAuthDetails",),
    "insight": ("odspInsightDetails",),
}
_ONE_NODE = re.compile(r"""instances\[\?\s*id\s*==\s*['"](ocid1\.[\w.-]+)['"]\s*\]""")


class DbSystemChanges(Service):
    """UPDATING while it lasts; then ACTIVE, or FAILED with its work request."""

    package = "psql"

    def __init__(self, systems: DbSystems) -> None:
        super().__init__(systems.world)
        self.systems = systems

    def update_db_system(self, request: Request) -> Answer:
        system = self.active(request)
        wanted = self._wanted(request, system)
        changed = {key: value for key, value in wanted.items() if system.body.get(key) != value}
        kinds = [name for name, keys in _KINDS.items() if any(key in changed for key in keys)]
        if "configId" in changed and "configuration" not in kinds:
            kinds.append("configuration")
        if len(kinds) > 1:
            raise conflict(f"one kind of change at a time, not {', '.join(kinds)}")
        return self.begin(request, system, lambda: self._apply(system, changed))

    def _apply(self, system: Resource, changed: Body) -> None:
        before = system.body["managementPolicy"]["pitrPolicy"]["kind"]
        system.body |= changed
        after = system.body["managementPolicy"]["pitrPolicy"]["kind"]
        if before != after:
            since = self.world.now() if after == "STANDARD" else None
            system.hidden["recoverable_since"] = since

    def _wanted(self, request: Request, system: Resource) -> Body:
        """The fields after the change, in the form in which they are read back."""
        body, now = request.body, system.body
        wanted: Body = {key: body[key] for key in _KINDS["labels"] if body.get(key) is not None}
        wanted |= self._size(body, now)
        if body.get("networkDetails") is not None:
            network = body["networkDetails"]
            subnet = self.known("subnet", now["networkDetails"]["subnetId"], request.region)
            self.systems.checks.groups(request, network.get("nsgIds"), subnet.body["vcnId"])
            wanted["networkDetails"] = _merged(now["networkDetails"], network)
        if body.get("managementPolicy") is not None:
            wanted["managementPolicy"] = self.systems.policies.read_back(
                request, body["managementPolicy"], now["managementPolicy"]
            )
        if body.get("storageDetails") is not None:
            self.systems.checks.changed_storage(request, body["storageDetails"])
            wanted["storageDetails"] = _merged(now["storageDetails"], body["storageDetails"])
        if body.get("dbConfigurationParams") is not None:
            id = body["dbConfigurationParams"]["configId"]
            version = now["dbVersion"]
            self.systems.checks.configuration(request, id, now["shape"], version)
            wanted["configId"] = id
        for key in ("replicationConfig", "kerberosAuthDetails", "odspInsightDetails"):
            if body.get(key) is not None:
                wanted[key] = body[key]
        return wanted

    def _size(self, body: Body, now: Body) -> Body:
        if not any(body.get(key) is not None for key in _KINDS["size"]):
            return {}
        old = self.systems.shapes.named(PREFIX + now["shape"])
        new = self.systems.shapes.named(body.get("shape") or PREFIX + now["shape"])
        if new.series != old.series:
            raise invalid(f"the series of the shape cannot change from {old.name} to {new.name}")
        ocpus = body.get("instanceOcpuCount") or now["instanceOcpuCount"]
        memory = body.get("instanceMemorySizeInGBs") or now["instanceMemorySizeInGBs"]
        return {
            "shape": new.name,
            "instanceOcpuCount": ocpus,
            "instanceMemorySizeInGBs": new.size(ocpus, memory),
        }

    def patch_db_system(self, request: Request) -> Answer:
        system = self.active(request)
        items = request.body.get("items") or []
        kinds = {item["operation"] for item in items}
        if len(kinds) != 1 or not kinds <= {"INSERT", "REMOVE"}:
            raise invalid("items must be all INSERT or all REMOVE")
        if kinds == {"INSERT"}:
            return self._insert(request, system, items)
        return self._remove(request, system, items)

    def _insert(self, request: Request, system: Resource, items: list[Body]) -> Answer:
        for item in items:
            if item["selection"] != "instances":
                raise invalid(f"selection {item['selection']!r} must be 'instances'")
            strict.check("psql", "CreateDbInstanceDetails", item["value"], "value")
        if len(system.body["instances"]) + len(items) > NODES:
            raise invalid(f"a system has at most {NODES} nodes")
        self.systems.nodes.add(system, [item["value"] for item in items])
        return self.begin(request, system, lambda: None)

    def _remove(self, request: Request, system: Resource, items: list[Body]) -> Answer:
        there = {node["id"] for node in system.body["instances"]}
        going = set()
        for item in items:
            match = _ONE_NODE.fullmatch(item["selection"])
            if match is None:
                raise invalid(f"selection {item['selection']!r} must be instances[?id == 'OCID']")
            if match[1] not in there:
                raise not_found(f"instance {match[1]}")
            going.add(match[1])
        if going == there:
            raise conflict("a system has at least one node")
        if system.hidden["primary"] in going:
            raise conflict("the primary node cannot be removed: fail over first")
        for node in system.body["instances"]:
            if node["id"] in going:
                node["lifecycleState"] = "DELETING"
        return self.begin(request, system, lambda: self.systems.nodes.remove(system, going))

    def active(self, request: Request) -> Resource:
        """The system of the call, which must be ACTIVE."""
        system = self.find(request, "db_system", request.path["dbSystemId"])
        if system.state != "ACTIVE":
            raise incorrect_state(f"the system is {system.state}, not ACTIVE")
        return system

    def begin(self, request: Request, system: Resource, apply: Callable[[], None]) -> Answer:
        """UPDATING from now, and ACTIVE again when it has been applied."""
        self.world.touch(system, lifecycleState="UPDATING", timeUpdated=self.world.stamp())

        def done() -> None:
            apply()
            self.systems.activate(system)

        work = self.systems.works.start(
            request, UPDATE, [(system, "UPDATED")], done, lambda: self.systems.fail(system)
        )
        return accepted(work_request=work)


def _merged(now: Body, wanted: Body) -> Body:
    return now | {key: value for key, value in wanted.items() if value is not None}
