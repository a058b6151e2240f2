"""Everything that exists in the local OCI, and how time moves it on.

A change that takes time is a job. With no delay a job is done by the next look after one that has
seen it under way, so a client that does not wait is caught; with a delay, when the time is over.
Who only tries to change it again and again, and never looks, has to wait a few seconds.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from pgherd.testing.oci.faults import Faults

Body = dict[str, Any]

# The key that stands for a region in OCIDs; other regions are written out.
_REGION_KEYS = {
    "us-ashburn-1": "iad",
    "us-phoenix-1": "phx",
    "eu-frankfurt-1": "fra",
    "uk-london-1": "lhr",
}
OCID_TYPES = {
    "network_security_group": "networksecuritygroup",
    "security_list": "securitylist",
    "route_table": "routetable",
    "nat_gateway": "natgateway",
    "service_gateway": "servicegateway",
    "vnic_attachment": "vnicattachment",
    "secret": "vaultsecret",
    "db_system": "postgresqldbsystem",
    "db_instance": "postgresqldbinstance",
    "backup": "postgresqlbackup",
    "configuration": "postgresqlconfiguration",
    "work_request": "postgresqlworkrequest",
    "identity_work_request": "workrequest",
}
GONE = frozenset({"DELETED", "TERMINATED", "DETACHED"})


# How long an unseen change takes at most.
UNSEEN = timedelta(seconds=1)


@dataclass(slots=True)
class Job:
    """A change under way."""

    due: datetime
    finish: Callable[[], None]
    needs_look: bool
    looked: bool = False
    done: bool = False

    def is_due(self, now: datetime) -> bool:
        """Whether it can be finished."""
        if self.needs_look and not self.looked:
            return now >= self.due + UNSEEN
        return now >= self.due


@dataclass(slots=True)
class Resource:
    """One thing that exists: its body as the service shows it, and what only the service knows."""

    kind: str
    id: str
    region: str
    body: Body
    etag: str
    job: Job | None = None
    hidden: Body = field(default_factory=dict)

    @property
    def state(self) -> str:
        """Its lifecycle state (a work request's status)."""
        found = self.body.get("lifecycleState") or self.body.get("status")
        return str(found)

    @property
    def is_gone(self) -> bool:
        """Whether only its memory is left."""
        return self.state in GONE


class World:
    """All resources of one tenancy in all its regions."""

    def __init__(self, regions: Sequence[str], availability_domains: int, delay: float) -> None:
        self.regions = tuple(regions)
        self.availability_domains = availability_domains
        self.delay = timedelta(seconds=delay)
        self.faults = Faults()
        self.resources: dict[str, Resource] = {}
        self.tag_namespaces: set[str] = {"Oracle-Tags"}
        self.offset = timedelta()
        self.url = ""
        self._jobs: list[Job] = []
        self.tenancy = self.new_id("tenancy", "")
        self.user = self.new_id("user", "")

    @property
    def home(self) -> str:
        """The region in which identities are written."""
        return self.regions[0]

    def now(self) -> datetime:
        """The time in this world."""
        return datetime.now(UTC) + self.offset

    def stamp(self) -> str:
        """The time, as bodies carry it."""
        return self.now().isoformat(timespec="milliseconds").replace("+00:00", "Z")

    def new_id(self, kind: str, region: str, *middle: str) -> str:
        """An OCID that no other resource has."""
        parts = [
            "ocid1",
            OCID_TYPES.get(kind, kind.replace("_", "")),
            "oc1",
            _REGION_KEYS.get(region, region),
            *middle,
            "a" * 8 + secrets.token_hex(22),
        ]
        return ".".join(parts)

    def domains(self, region: str) -> list[str]:
        """The names of a region's availability domains, as this tenancy sees them."""
        return [
            f"kWVD:{region.upper()}-AD-{number + 1}" for number in range(self.availability_domains)
        ]

    def add(self, kind: str, region: str, body: Body, id: str | None = None) -> Resource:
        """Let something exist; its id and the time of creation are filled in."""
        found = id or self.new_id(kind, region)
        full = {"id": found, "timeCreated": self.stamp(), **body}
        resource = Resource(kind, found, region, full, self._new_etag())
        self.resources[found] = resource
        return resource

    def of(self, kind: str, region: str | None = None) -> Iterator[Resource]:
        """All of one kind, oldest first, also those that are gone."""
        for resource in list(self.resources.values()):
            if resource.kind == kind and region in (None, resource.region):
                yield resource

    def touch(self, resource: Resource, **changes: Any) -> None:
        """Change fields; any change gives a new etag."""
        resource.body |= changes
        resource.etag = self._new_etag()

    def start(
        self,
        resources: Sequence[Resource],
        finish: Callable[[], None],
        due: datetime | None = None,
    ) -> Job:
        """Let a change finish later; `due` is for what has a date, and needs no look."""
        job = Job(due or self.now() + self.delay, finish, needs_look=due is None and not self.delay)
        for resource in resources:
            resource.job = job
        self._jobs.append(job)
        return job

    def cancel(self, resource: Resource) -> None:
        """Forget the change under way."""
        if resource.job is not None:
            resource.job.done = True
            resource.job = None

    def settle(self) -> None:
        """Finish what is due."""
        now = self.now()
        for job in self._jobs:
            if not job.done and job.is_due(now):
                job.done = True
                job.finish()
        self._jobs = [job for job in self._jobs if not job.done]

    def look(self, resource: Resource) -> Resource:
        """Somebody sees it as it is now."""
        if resource.job is not None:
            resource.job.looked = True
        return resource

    @staticmethod
    def _new_etag() -> str:
        return secrets.token_hex(16)
