"""Service limits: what they are, how much is used, and the refusal when one is reached.

The names of services and limits are plausible, not verified; so are the values, which let the
whole of a fleet up unless a test lowers one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pgherd.testing.oci.calls import Answer, Request, Service
from pgherd.testing.oci.refusals import limit_exceeded, not_found
from pgherd.testing.oci.world import World

# limit -> (service, kind that it counts, value)
DEFAULTS: Mapping[str, tuple[str, str, int]] = {
    "db-system-count": ("postgresql", "db_system", 100),
    "backup-count": ("postgresql", "backup", 2000),
    "configuration-count": ("postgresql", "configuration", 100),
    "vcn-count": ("vcn", "vcn", 50),
    "virtual-private-vault-count": ("kms", "", 0),
    "vault-count": ("kms", "vault", 50),
    "instance-count": ("compute", "instance", 100),
}
_NOT_COUNTED = frozenset({"FAILED"})


class Limits(Service):
    """Regional limits of the tenancy."""

    package = "limits"

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self.values = {name: value for name, (_, _, value) in DEFAULTS.items()}

    def used(self, name: str, region: str) -> int:
        """How many there are in a region."""
        kind = DEFAULTS[name][1]
        return sum(
            not each.is_gone and each.state not in _NOT_COUNTED
            for each in self.world.of(kind, region)
        )

    def check(self, kind: str, region: str) -> None:
        """Refuse one more when there are enough."""
        for name, (_, counted, _) in DEFAULTS.items():
            if counted == kind and self.used(name, region) >= self.values[name]:
                raise limit_exceeded(
                    f"The following service limits were exceeded: {name}, which is "
                    f"{self.values[name]} in {region}"
                )

    def list_services(self, request: Request) -> Answer:
        self.compartment(request.query["compartmentId"], change=False)
        names = dict.fromkeys(service for service, _, _ in DEFAULTS.values())
        return Answer([{"name": name, "description": name} for name in names])

    def list_limit_definitions(self, request: Request) -> Answer:
        return Answer(
            [
                {
                    "name": name,
                    "serviceName": service,
                    "description": name.replace("-", " "),
                    "scopeType": "REGION",
                    "isResourceAvailabilitySupported": True,
                    "areQuotasSupported": True,
                }
                for name, service in self._chosen(request)
            ]
        )

    def list_limit_values(self, request: Request) -> Answer:
        return Answer(
            [
                {"name": name, "scopeType": "REGION", "value": self.values[name]}
                for name, _ in self._chosen(request)
            ]
        )

    def get_resource_availability(self, request: Request) -> Answer:
        name = request.path["limitName"]
        if name not in DEFAULTS or DEFAULTS[name][0] != request.path["serviceName"]:
            raise not_found(f"limit {name}")
        used = self.used(name, request.region)
        left = max(0, self.values[name] - used)
        body: dict[str, Any] = {
            "used": used,
            "available": left,
            "fractionalUsage": float(used),
            "fractionalAvailability": float(left),
        }
        return Answer(body)

    def _chosen(self, request: Request) -> list[tuple[str, str]]:
        self.compartment(request.query["compartmentId"], change=False)
        if request.query.get("scopeType", "REGION") != "REGION":
            return []
        return [
            (name, service)
            for name, (service, _, _) in DEFAULTS.items()
            if service == request.query.get("serviceName", service)
            and name == request.query.get("name", name)
        ]
