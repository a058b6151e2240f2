"""What is done to a DB system: fail over, stop, start, restore, upgrade, restart, new password."""

from __future__ import annotations

from pgherd.testing.oci.calls import Answer, Request, Service, accepted
from pgherd.testing.oci.psql_changes import UPDATE, DbSystemChanges
from pgherd.testing.oci.refusals import conflict, incorrect_state, invalid, missing, not_found
from pgherd.testing.oci.shapes import PREFIX
from pgherd.testing.oci.world import Body, Resource


class DbSystemActions(Service):
    """Each takes its time as UPDATING."""

    package = "psql"

    def __init__(self, changes: DbSystemChanges) -> None:
        super().__init__(changes.world)
        self.changes = changes
        self.systems = changes.systems

    def failover_db_system(self, request: Request) -> Answer:
        system = self.changes.active(request)
        target = self._next_primary(request, system)
        return self.changes.begin(
            request, system, lambda: self.systems.nodes.fail_over(system, target)
        )

    def _next_primary(self, request: Request, system: Resource) -> str:
        others = self.systems.nodes.others(system)
        if not others:
            raise conflict("a system with one node cannot fail over")
        node, domain = request.body.get("dbInstanceId"), request.body.get("ad")
        if node is not None and domain is not None:
            raise invalid("either dbInstanceId or ad, not both")
        if node == system.hidden["primary"]:
            raise conflict("the node is the primary already")
        for each in others:
            if node in (None, each["id"]) and domain in (None, each["availabilityDomain"]):
                return str(each["id"])
        raise not_found(f"a node {node or ''} in {domain or 'the system'}")

    def stop_db_system(self, request: Request) -> Answer:
        system = self.changes.active(request)
        return self._to_state(request, system, "INACTIVE", {})

    def start_db_system(self, request: Request) -> Answer:
        system = self.find(request, "db_system", request.path["dbSystemId"])
        if system.state != "INACTIVE":
            raise incorrect_state(f"the system is {system.state}, not INACTIVE")
        changes: Body = {}
        body = request.body
        if any(body.get(key) is not None for key in ("shape", "instanceOcpuCount")):
            shape = self.systems.shapes.named(body.get("shape") or PREFIX + system.body["shape"])
            ocpus = body.get("instanceOcpuCount") or system.body["instanceOcpuCount"]
            memory = shape.size(ocpus, body.get("instanceMemorySizeInGBs"))
            changes = {
                "shape": shape.name,
                "instanceOcpuCount": ocpus,
                "instanceMemorySizeInGBs": memory,
            }
        return self._to_state(request, system, "ACTIVE", changes)

    def _to_state(self, request: Request, system: Resource, state: str, changes: Body) -> Answer:
        self.world.touch(system, lifecycleState="UPDATING")

        def done() -> None:
            self.systems.nodes.set_state(system, state)
            self.world.touch(system, lifecycleState=state, **changes)

        work = self.systems.works.start(
            request, UPDATE, [(system, "UPDATED")], done, lambda: self.systems.fail(system)
        )
        return accepted(work_request=work)

    def restore_db_system(self, request: Request) -> Answer:
        system = self.changes.active(request)
        backup, time = request.body.get("backupId"), request.body.get("timeToRestore")
        if (backup is None) == (time is None):
            raise invalid("give either backupId or timeToRestore")
        if request.body.get("ad") is not None:
            self.systems.checks.domain(request.region, request.body["ad"])
        if time is not None:
            rows = self.systems.sources.at(system, time)
        else:
            found = self.ready("backup", str(backup), request.region, "ACTIVE")
            if found.body.get("dbSystemId") != system.id:
                raise invalid(f"backup {found.id} is of another system")
            rows = self.systems.sources.of_backup(found)

        def apply() -> None:
            system.hidden["rows"] = rows
            if system.hidden.get("recoverable_since"):
                system.hidden["recoverable_since"] = self.world.now()

        return self.changes.begin(request, system, apply)

    def upgrade_db_system(self, request: Request) -> Answer:
        system = self.changes.active(request)
        version = self.systems.checks.version(request.body["dbVersion"])
        if int(version.split(".")[0]) <= int(system.body["dbVersion"].split(".")[0]):
            raise invalid(f"dbVersion {version} is not above {system.body['dbVersion']}")
        config = request.body.get("configId")
        self.systems.checks.configuration(request, config, system.body["shape"], version)

        def apply() -> None:
            system.body |= {"dbVersion": version} | ({"configId": config} if config else {})

        return self.changes.begin(request, system, apply)

    def reset_master_user_password(self, request: Request) -> Answer:
        system = self.changes.active(request)
        details = request.body["passwordDetails"]
        self.systems.checks.password(request, details)
        return self.changes.begin(request, system, lambda: system.hidden.update(password=details))

    def restart_db_instance_in_db_system(self, request: Request) -> Answer:
        system = self.changes.active(request)
        wanted = request.body["dbInstanceId"]
        if not wanted:
            raise missing("dbInstanceId is needed")
        node = next((node for node in system.body["instances"] if node["id"] == wanted), None)
        if node is None:
            raise not_found(f"instance {wanted}")
        node["lifecycleState"] = "UPDATING"
        return self.changes.begin(request, system, lambda: None)
