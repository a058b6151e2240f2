"""PostgreSQL configurations: made for a version and shapes, changed only by a new one."""

from __future__ import annotations

from pgherd.testing.oci.calls import Answer, Request, Service, accepted, shown
from pgherd.testing.oci.limits import Limits
from pgherd.testing.oci.psql_checks import VERSIONS, Checks
from pgherd.testing.oci.refusals import incorrect_state, invalid
from pgherd.testing.oci.shapes import PREFIX, Shapes
from pgherd.testing.oci.world import Body, World


class Configurations(Service):
    """ACTIVE -> DELETING -> DELETED; shapes without the prefix that systems need."""

    package = "psql"

    def __init__(self, world: World, shapes: Shapes, limits: Limits) -> None:
        super().__init__(world)
        self.shapes = shapes
        self.limits = limits

    def create_configuration(self, request: Request) -> Answer:
        body = dict(request.body)
        self.compartment(body["compartmentId"])
        self.limits.check("configuration", request.region)
        version = Checks.version(body["dbVersion"])
        shapes = [body["shape"]] if body.get("shape") else []
        shapes += body.get("compatibleShapes") or []
        if not shapes:
            raise invalid("shape or compatibleShapes is needed")
        for shape in shapes:
            self._shape(shape)
        overrides = body.pop("dbConfigurationOverrides")["items"]
        full = {
            "isFlexible": False,
            "instanceOcpuCount": 0,
            "instanceMemorySizeInGBs": 0,
            "freeformTags": {},
            "definedTags": {},
            "compatibleShapes": shapes,
            **body,
            "shape": shapes[0],
            "dbVersion": version,
            "configType": "CUSTOM",
            "defaultConfigId": self.world.new_id("configuration", request.region),
            "configurationDetails": {"items": [_parameter(each) for each in overrides]},
            "lifecycleState": "ACTIVE",
        }
        return shown(self.world.add("configuration", request.region, full))

    def get_configuration(self, request: Request) -> Answer:
        id = request.path["configurationId"]
        return shown(self.find(request, "configuration", id, gone=True))

    def list_configurations(self, request: Request) -> Answer:
        answer = self.listing(request, "configuration", "configurationId", gone=True)
        id = request.query.get("configurationId")
        return Answer([body for body in answer.body if id in (None, body["id"])])

    def update_configuration(self, request: Request) -> Answer:
        found = self.find(request, "configuration", request.path["configurationId"])
        if found.state != "ACTIVE":
            raise incorrect_state(f"the configuration is {found.state}")
        for shape in request.body.get("compatibleShapes") or []:
            self._shape(shape)
        self.world.touch(found, **request.body)
        return shown(found)

    def delete_configuration(self, request: Request) -> Answer:
        found = self.find(request, "configuration", request.path["configurationId"])
        users = [
            system.id
            for system in self.world.of("db_system", request.region)
            if system.body.get("configId") == found.id and not system.is_gone
        ]
        if users or found.state != "ACTIVE":
            raise incorrect_state(f"the configuration is {found.state}, used by {users[:3]}")
        self.world.touch(found, lifecycleState="DELETING")
        self.world.start([found], lambda: self.world.touch(found, lifecycleState="DELETED"))
        return accepted()

    def list_default_configurations(self, request: Request) -> Answer:
        created = self.world.resources[self.world.tenancy].body["timeCreated"]
        wanted = request.query
        found = [
            {
                "id": f"ocid1.postgresqldefaultconfiguration.oc1..{major}"
                + shape.name.lower().replace(".", ""),
                "displayName": f"PostgreSQL {major} {shape.name}",
                "timeCreated": created,
                "lifecycleState": "ACTIVE",
                "dbVersion": version,
                "shape": shape.name,
                "isFlexible": True,
                "instanceOcpuCount": 0,
                "instanceMemorySizeInGBs": 0,
                "compatibleShapes": [shape.name],
            }
            for major, version in VERSIONS.items()
            for shape in self.shapes.offered
        ]
        keys = ("displayName", "dbVersion", "shape", "lifecycleState")
        return Answer(
            [body for body in found if all(body[key] == wanted.get(key, body[key]) for key in keys)]
        )

    def _shape(self, name: str) -> None:
        if name.startswith(PREFIX):
            raise invalid(f"a configuration's shape comes without {PREFIX!r}: {name!r}")
        self.shapes.named(PREFIX + name)


def _parameter(override: Body) -> Body:
    value = override["overridenConfigValue"]
    return {
        "configKey": override["configKey"],
        "defaultConfigValue": "",
        "overridenConfigValue": value,
        "isOverridable": True,
        "isRestartRequired": False,
        "dataType": "string",
        "allowedValues": "",
        "description": "",
    }
