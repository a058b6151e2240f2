"""What a DB system says of itself: endpoints, the primary, how far back it can go."""

from __future__ import annotations

from functools import cached_property

from pgherd.testing.oci import authority
from pgherd.testing.oci.calls import Answer, Request, Service
from pgherd.testing.oci.psql_sources import Sources
from pgherd.testing.oci.refusals import incorrect_state
from pgherd.testing.oci.world import Body, Resource, World

PORT = 5432


class DbSystemReading(Service):
    """Only for systems that have come up at least once."""

    package = "psql"

    def __init__(self, world: World, sources: Sources) -> None:
        super().__init__(world)
        self.sources = sources

    @cached_property
    def ca_certificate(self) -> str:
        """The same for all systems."""
        return authority.certificate()

    def get_primary_db_instance(self, request: Request) -> Answer:
        return Answer({"dbInstanceId": self._up(request).hidden["primary"]})

    def get_connection_details(self, request: Request) -> Answer:
        system = self._up(request)
        body = {
            "caCertificate": self.ca_certificate,
            "primaryDbEndpoint": _endpoint(system, "primary"),
            "instanceEndpoints": [
                {"dbInstanceId": node["id"], "endpoint": _endpoint(system, node["id"])}
                for node in system.body["instances"]
            ],
        }
        if system.body["networkDetails"]["isReaderEndpointEnabled"]:
            body["readerEndpoint"] = _endpoint(system, "reader")
        return Answer(body)

    def get_pitr_details(self, request: Request) -> Answer:
        window = self.sources.window(self._up(request))
        if window is None:
            return Answer({"pitrState": "INACTIVE", "recoveryTimeWindows": []})
        times = {
            "timeRecoveryWindowStart": window[0].isoformat(),
            "timeRecoveryWindowEnd": window[1].isoformat(),
        }
        return Answer({"pitrState": "ACTIVE", "recoveryTimeWindows": [times]})

    def list_db_system_replicas(self, request: Request) -> Answer:
        self.find(request, "db_system", request.path["dbSystemId"])
        return Answer([])

    def _up(self, request: Request) -> Resource:
        system = self.find(request, "db_system", request.path["dbSystemId"])
        if system.state in ("CREATING", "DELETING"):
            raise incorrect_state(f"the system is {system.state}")
        return system


def _endpoint(system: Resource, of: str) -> Body:
    label = of if of in ("primary", "reader") else "instance-" + of[-8:]
    domain = f"{system.id[-12:]}.postgresql.{system.region}.oci.oraclecloud.com"
    addresses = system.hidden.get("addresses", {})
    return {"fqdn": f"{label}.{domain}", "ipAddress": addresses.get(of), "port": PORT}
