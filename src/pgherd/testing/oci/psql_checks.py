"""What a new or changed system is held to, besides the form of the call."""

from __future__ import annotations

import re

from pgherd.testing.oci.calls import Request, Service
from pgherd.testing.oci.refusals import invalid, missing
from pgherd.testing.oci.vault_secrets import readable
from pgherd.testing.oci.world import Body, World

NODES = 8
IOPS = (75_000, 150_000, 225_000, 300_000)
VERSIONS = {"13": "13.20", "14": "14.11", "15": "15.6", "16": "16.4", "17": "17.2"}
GROUPS = 5
_PASSWORD = (r"[a-z]", r"[A-Z]", r"\d", r"[^A-Za-z0-9]")


class Checks(Service):
    """Refusals about storage, network, credentials and versions."""

    package = "psql"

    def __init__(self, world: World) -> None:
        super().__init__(world)

    def storage(self, request: Request, storage: Body) -> Body:
        """Regional, or in one availability domain; what was left out is filled in."""
        domain = storage.get("availabilityDomain")
        if storage["systemType"] != "OCI_OPTIMIZED_STORAGE":
            raise invalid(f"systemType {storage['systemType']!r} is not OCI_OPTIMIZED_STORAGE")
        if storage["isRegionallyDurable"] and domain is not None:
            raise invalid("availabilityDomain must be left out when isRegionallyDurable is true")
        if not storage["isRegionallyDurable"]:
            if domain is None:
                raise missing("availabilityDomain is needed when isRegionallyDurable is false")
            self.domain(request.region, domain)
        self.changed_storage(request, storage)
        return {"iops": IOPS[0], **storage}

    def changed_storage(self, request: Request, storage: Body) -> None:
        """What may be given at any time."""
        iops = storage.get("iops")
        if iops is not None and iops not in IOPS:
            raise invalid(f"iops {iops} must be one of {IOPS}")
        if storage.get("kmsKeyId") is not None:
            self.ready("key", storage["kmsKeyId"], request.region, "ENABLED")

    def domain(self, region: str, name: str) -> None:
        """The availability domain must be one of the region's."""
        if name not in self.world.domains(region):
            raise invalid(f"availabilityDomain {name!r} does not exist in {region}")

    def network(self, request: Request, network: Body) -> Body:
        """A subnet that is there, and groups of the same VCN."""
        subnet = self.ready("subnet", network["subnetId"], request.region)
        self.groups(request, network.get("nsgIds"), subnet.body["vcnId"])
        return {"isReaderEndpointEnabled": False, "nsgIds": [], **network}

    def groups(self, request: Request, ids: list[str] | None, vcn: str) -> None:
        """At most five network security groups, of the VCN."""
        if len(ids or []) > GROUPS:
            raise invalid(f"nsgIds has more than {GROUPS} groups")
        for id in ids or []:
            group = self.ready("network_security_group", id, request.region)
            if group.body["vcnId"] != vcn:
                raise invalid(f"network security group {id} is in another VCN than the subnet")

    def password(self, request: Request, details: Body) -> None:
        """From a secret that can be read, or in plain text; strong in either case."""
        if details["passwordType"] == "VAULT_SECRET":
            id, version = details["secretId"], details["secretVersion"]
            found = readable(self, request.region, id, version).decode(errors="replace")
        else:
            found = details.get("password") or ""
        if not 8 <= len(found) <= 32 or not all(re.search(each, found) for each in _PASSWORD):
            raise invalid(
                "the password must have 8..32 characters, with lower and upper case, a digit and "
                "a special character"
            )

    @staticmethod
    def version(text: str) -> str:
        """The full version that a wanted one stands for."""
        if text in VERSIONS.values():
            return text
        if text not in VERSIONS:
            raise invalid(f"dbVersion {text!r} must be one of {sorted(VERSIONS)}")
        return VERSIONS[text]

    def configuration(self, request: Request, id: str | None, shape: str, version: str) -> None:
        """A configuration is made for a version and for shapes."""
        if id is None:
            return
        found = self.ready("configuration", id, request.region, "ACTIVE")
        if found.body["dbVersion"].split(".")[0] != version.split(".")[0]:
            raise invalid(f"configuration {id} is for version {found.body['dbVersion']}")
        shapes = {found.body["shape"], *(found.body.get("compatibleShapes") or [])}
        if shape not in shapes:
            raise invalid(f"configuration {id} is for {sorted(shapes)}, not {shape}")
