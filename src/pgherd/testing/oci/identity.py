"""Identity: the tenancy, compartments, availability domains, region subscriptions."""

from __future__ import annotations

import re
import secrets

from pgherd.testing.oci.calls import Answer, Request, Service, accepted, shown
from pgherd.testing.oci.refusals import Refused, conflict, incorrect_state, invalid, not_found
from pgherd.testing.oci.world import Resource, World

_REGION_KEY = re.compile(r"[a-z]+-([a-z]+)-\d+")


class Identity(Service):
    """Global: every region reads the same, only the home region writes."""

    package = "identity"

    def __init__(self, world: World) -> None:
        super().__init__(world)
        root = {
            "name": "example",
            "description": "the root compartment",
            "compartmentId": world.tenancy,
            "lifecycleState": "ACTIVE",
        }
        world.add("compartment", "", root, world.tenancy)
        key = region_key(world.home)
        self._tenancy = {"id": world.tenancy, "name": "example", "homeRegionKey": key}

    def get_tenancy(self, request: Request) -> Answer:
        if request.path["tenancyId"] != self.world.tenancy:
            raise not_found(request.path["tenancyId"])
        return Answer(self._tenancy)

    def get_user(self, request: Request) -> Answer:
        if request.path["userId"] != self.world.user:
            raise not_found(request.path["userId"])
        root = self.world.resources[self.world.tenancy]
        body = {
            "id": self.world.user,
            "compartmentId": self.world.tenancy,
            "name": "pgherd",
            "description": "the user of the local OCI",
            "timeCreated": root.body["timeCreated"],
            "lifecycleState": "ACTIVE",
            "isMfaActivated": False,
        }
        return Answer(body)

    def list_region_subscriptions(self, request: Request) -> Answer:
        if request.path["tenancyId"] != self.world.tenancy:
            raise not_found(request.path["tenancyId"])
        return Answer(
            [
                {
                    "regionKey": region_key(region),
                    "regionName": region,
                    "status": "READY",
                    "isHomeRegion": region == self.world.home,
                }
                for region in self.world.regions
            ]
        )

    def list_availability_domains(self, request: Request) -> Answer:
        self.compartment(request.query["compartmentId"], change=False)
        return Answer(
            [
                {
                    "name": name,
                    "id": f"ocid1.availabilitydomain.oc1..{name.lower().replace(':', '')}".replace(
                        "-", ""
                    ),
                    "compartmentId": self.world.tenancy,
                }
                for name in self.world.domains(request.region)
            ]
        )

    def create_compartment(self, request: Request) -> Answer:
        self._home_only(request)
        body = request.body
        self.compartment(body["compartmentId"])
        self._free_name(body["compartmentId"], body["name"])
        created = self.world.add("compartment", "", {**body, "lifecycleState": "CREATING"})
        self.world.start([created], lambda: self.world.touch(created, lifecycleState="ACTIVE"))
        return shown(created)

    def get_compartment(self, request: Request) -> Answer:
        return shown(self.find(request, "compartment", request.path["compartmentId"], gone=True))

    def list_compartments(self, request: Request) -> Answer:
        ignored = ["accessLevel", "compartmentIdInSubtree"]
        if request.query.get("compartmentIdInSubtree"):
            if request.query["compartmentId"] != self.world.tenancy:
                raise invalid("compartmentIdInSubtree is only for the root compartment")
            ignored.append("compartmentId")
        answer = self.listing(request, "compartment", *ignored, gone=True)
        return Answer([body for body in answer.body if body["id"] != self.world.tenancy])

    def update_compartment(self, request: Request) -> Answer:
        self._home_only(request)
        found = self.find(request, "compartment", request.path["compartmentId"])
        if found.id == self.world.tenancy:
            raise invalid("the root compartment cannot be changed here")
        if request.body.get("name", found.body["name"]) != found.body["name"]:
            self._free_name(found.body["compartmentId"], request.body["name"])
        self.world.touch(found, **request.body)
        return shown(found)

    def delete_compartment(self, request: Request) -> Answer:
        self._home_only(request)
        found = self.find(request, "compartment", request.path["compartmentId"])
        if found.id == self.world.tenancy:
            raise invalid("the root compartment cannot be deleted")
        if found.state != "ACTIVE":
            raise incorrect_state(f"the compartment is {found.state}")
        inside = self._inside(found)
        if inside:
            raise conflict(f"the compartment is not empty: {', '.join(inside[:3])}")
        work = self._deletion(found)
        return accepted(work_request=work.id)

    def get_work_request(self, request: Request) -> Answer:
        return shown(self.find(request, "identity_work_request", request.path["workRequestId"]))

    def list_work_requests(self, request: Request) -> Answer:
        return self.listing(request, "identity_work_request", "resourceIdentifier")

    def _home_only(self, request: Request) -> None:
        if request.region != self.world.home:
            raise Refused(
                403, "NotAllowed", f"Please go to your home region {self.world.home} to do this"
            )

    def _free_name(self, parent: str, name: str) -> None:
        if not re.fullmatch(r"[\w.-]{1,100}", name):
            raise invalid(f"compartment name {name!r} is not 1..100 letters, digits, . - _")
        for each in self.world.of("compartment"):
            if each.body["compartmentId"] == parent and each.body["name"] == name:
                raise Refused(409, "CompartmentAlreadyExists", f"Compartment {name} exists")

    def _inside(self, compartment: Resource) -> list[str]:
        return [
            each.id
            for each in self.world.resources.values()
            if each.body.get("compartmentId") == compartment.id
            and not each.is_gone
            and not each.kind.endswith("work_request")
            and not (each.kind == "backup" and each.state == "FAILED")
        ]

    def _deletion(self, found: Resource) -> Resource:
        body = {
            "operationType": "DELETE_COMPARTMENT",
            "compartmentId": found.id,
            "status": "IN_PROGRESS",
            "percentComplete": 0.0,
            "timeAccepted": self.world.stamp(),
            "resources": [
                {"identifier": found.id, "entityType": "compartment", "actionType": "IN_PROGRESS"}
            ],
        }
        work = self.world.add("identity_work_request", "", body)
        self.world.touch(found, lifecycleState="DELETING")

        def finish() -> None:
            # OCI gives the name free by renaming what is gone.
            name = f"{found.body['name']}.{secrets.token_hex(4)}"
            self.world.touch(found, lifecycleState="DELETED", name=name)
            self.world.touch(work, status="SUCCEEDED", percentComplete=100.0)

        self.world.start([found, work], finish)
        return work


def region_key(region: str) -> str:
    """The three letters that stand for a region."""
    known = {"us-ashburn-1": "IAD", "us-phoenix-1": "PHX", "eu-frankfurt-1": "FRA"}
    match = _REGION_KEY.fullmatch(region)
    return known.get(region) or (match[1] if match else region)[:3].upper()
