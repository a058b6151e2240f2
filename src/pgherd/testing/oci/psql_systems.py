"""DB systems: create, read, list, delete. Changes are in `psql_changes` and `psql_actions`."""

from __future__ import annotations

from pgherd.testing.oci.calls import Answer, Request, Service, accepted, shown
from pgherd.testing.oci.limits import Limits
from pgherd.testing.oci.psql_checks import NODES, Checks
from pgherd.testing.oci.psql_nodes import Nodes
from pgherd.testing.oci.psql_policy import Policies
from pgherd.testing.oci.psql_sources import Sources
from pgherd.testing.oci.refusals import incorrect_state, invalid, missing
from pgherd.testing.oci.shapes import PREFIX, Shapes
from pgherd.testing.oci.work_requests import FAILURE, WorkRequests
from pgherd.testing.oci.world import Body, Resource, World

CREATE = "CREATE_POSTGRESQL_DB_SYSTEM"
DELETE = "DELETE_POSTGRESQL_DB_SYSTEM"


class DbSystems(Service):
    """CREATING -> ACTIVE <-> UPDATING, INACTIVE, DELETING -> DELETED, or FAILED."""

    package = "psql"

    def __init__(self, world: World, shapes: Shapes, limits: Limits, works: WorkRequests) -> None:
        super().__init__(world)
        self.shapes = shapes
        self.limits = limits
        self.works = works
        self.checks = Checks(world)
        self.nodes = Nodes(world)
        self.policies = Policies(world)
        self.sources = Sources(world)
        self.peak = 0

    def create_db_system(self, request: Request) -> Answer:
        body = dict(request.body)
        self.compartment(body["compartmentId"])
        details = _node_details(body)
        source = body.get("source") or {"sourceType": "NONE"}
        version = self.checks.version(body["dbVersion"])
        full = self._body(request, body, version) | {"source": source}
        self._credentials(request, body, source)
        rows = self.sources.rows(request, source, version)
        self.limits.check("db_system", request.region)
        system = self.world.add("db_system", request.region, full)
        try:
            self._place(system, body, details)
        except Exception:
            del self.world.resources[system.id]
            raise
        system.hidden["rows"] = rows
        work = self._begin(request, system)
        return shown(system, work)

    def _begin(self, request: Request, system: Resource) -> str:
        def done() -> None:
            self.activate(system)
            policy = system.body["managementPolicy"]["pitrPolicy"]
            if policy["kind"] == "STANDARD":
                system.hidden["recoverable_since"] = self.world.now()

        work = self.works.start(
            request, CREATE, [(system, "CREATED")], done, lambda: self.fail(system)
        )
        creating = sum(each.state == "CREATING" for each in self.world.of("db_system"))
        self.peak = max(self.peak, creating)
        return work

    def _body(self, request: Request, body: Body, version: str) -> Body:
        """What of a creation is kept, as it is read back."""
        shape = self.shapes.named(body["shape"])
        ocpus = body.get("instanceOcpuCount")
        if ocpus is None:
            raise missing(f"instanceOcpuCount is needed for {shape.name}")
        memory = shape.size(ocpus, body.get("instanceMemorySizeInGBs"))
        self.checks.configuration(request, body.get("configId"), shape.name, version)
        policy = body.get("managementPolicy") or {}
        kept = {
            key: body[key]
            for key in ("displayName", "description", "compartmentId", "configId")
            if key in body
        }
        return kept | {
            "freeformTags": body.get("freeformTags") or {},
            "definedTags": body.get("definedTags") or {},
            "systemTags": {},
            "systemType": "OCI_OPTIMIZED_STORAGE",
            "systemRole": "STANDALONE_DB_SYSTEM",
            "dbVersion": version,
            "shape": body["shape"].removeprefix(PREFIX),
            "instanceOcpuCount": ocpus,
            "instanceMemorySizeInGBs": memory,
            "instances": [],
            "instanceCount": 0,
            "storageDetails": self.checks.storage(request, body["storageDetails"]),
            "networkDetails": self.checks.network(request, body["networkDetails"]),
            "managementPolicy": self.policies.read_back(request, policy),
            "adminUsername": (body.get("credentials") or {}).get("username"),
            "replicationConfig": body.get("replicationConfig"),
            "lifecycleState": "CREATING",
            "timeUpdated": self.world.stamp(),
        }

    def _credentials(self, request: Request, body: Body, source: Body) -> None:
        credentials = body.get("credentials")
        if source["sourceType"] != "NONE":
            return
        if credentials is None:
            raise missing("credentials are needed for a new database")
        self.checks.password(request, credentials["passwordDetails"])

    def _place(self, system: Resource, body: Body, details: list[Body]) -> None:
        wanted = body["networkDetails"].get("primaryDbEndpointPrivateIp")
        self.nodes.address(system, "primary", wanted)
        system.body["networkDetails"]["primaryDbEndpointPrivateIp"] = system.hidden["addresses"][
            "primary"
        ]
        self.nodes.address(system, "reader")
        self.nodes.add(system, details)

    def activate(self, system: Resource) -> None:
        """The change is done."""
        self.nodes.set_state(system, "ACTIVE")
        self.world.touch(system, lifecycleState="ACTIVE", timeUpdated=self.world.stamp())

    def fail(self, system: Resource) -> None:
        """The change has failed, and the system with it."""
        self.nodes.set_state(system, "FAILED")
        self.world.touch(system, lifecycleState="FAILED", lifecycleDetails=FAILURE)

    def get_db_system(self, request: Request) -> Answer:
        system = self.find(request, "db_system", request.path["dbSystemId"], gone=True)
        excluded = request.query.get("excludedFields") or ""
        body = {key: value for key, value in system.body.items() if key not in excluded.split(",")}
        return Answer(body, system)

    def list_db_systems(self, request: Request) -> Answer:
        return self.listing(request, "db_system", gone=True)

    def delete_db_system(self, request: Request) -> Answer:
        system = self.find(request, "db_system", request.path["dbSystemId"])
        if system.state not in ("ACTIVE", "INACTIVE", "FAILED", "NEEDS_ATTENTION"):
            raise incorrect_state(f"the system is {system.state}")
        self.nodes.set_state(system, "DELETING")
        self.world.touch(system, lifecycleState="DELETING")

        def done() -> None:
            self.nodes.set_state(system, "DELETED")
            system.hidden["rows"].clear()
            system.hidden["addresses"] = {}
            self.world.touch(system, lifecycleState="DELETED")

        work = self.works.start(
            request, DELETE, [(system, "DELETED")], done, lambda: self.fail(system)
        )
        return accepted(work_request=work)


def _node_details(body: Body) -> list[Body]:
    details: list[Body] = body.get("instancesDetails") or []
    count = body.get("instanceCount", len(details) or 1)
    if details and len(details) != count:
        raise invalid(f"instancesDetails has {len(details)} entries, instanceCount is {count}")
    if not 1 <= count <= NODES:
        raise invalid(f"instanceCount {count} is not 1..{NODES}")
    return details or [{} for _ in range(count)]
