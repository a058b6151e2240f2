"""One call to the local OCI on its way in, and its answer on the way out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pgherd.testing.oci import refusals
from pgherd.testing.oci.contract import Operation
from pgherd.testing.oci.operations import OPERATIONS
from pgherd.testing.oci.world import Body, Resource, World


@dataclass(frozen=True, slots=True)
class Call:
    """What tests see of a call; status 0 before it is answered, or when it never is."""

    operation: str
    region: str
    service: str
    status: int
    at: datetime


@dataclass(frozen=True, slots=True)
class Request:
    """A call whose form is right."""

    operation: Operation
    region: str
    path: Mapping[str, str]
    query: Mapping[str, Any]
    headers: Mapping[str, str]
    body: Body
    # The vault, when the call came in at a vault's own endpoint.
    vault: str | None = None

    def is_change(self) -> bool:
        """Whether the call may change something."""
        return self.operation.method != "GET"


@dataclass(frozen=True, slots=True)
class Answer:
    """What a service says."""

    body: Any = None
    resource: Resource | None = None
    work_request: str | None = None
    status: int = 200


Handler = Callable[[Request], Answer]


def shown(resource: Resource, work_request: str | None = None) -> Answer:
    """The resource as it is, with its etag."""
    return Answer(dict(resource.body), resource, work_request)


def accepted(resource: Resource | None = None, work_request: str | None = None) -> Answer:
    """Nothing to see yet."""
    return Answer(None, resource, work_request, 202)


class Service:
    """What all services share: finding, listing, and the checks before a change.

    A method is named as the SDK's operation that it plays.
    """

    # The SDK package whose operations it plays, some or all.
    package = ""

    def __init__(self, world: World) -> None:
        self.world = world

    def handlers(self) -> dict[str, Handler]:
        """What it plays, by operation."""
        names = [name for client in OPERATIONS[self.package].values() for name in client]
        return {name: getattr(self, name) for name in names if hasattr(self, name)}

    def find(self, request: Request, kind: str, id: str, *, gone: bool = False) -> Resource:
        """The resource of a call, in the call's region; a change needs the current etag."""
        resource = self.known(kind, id, request.region, gone=gone)
        if not request.is_change():
            self.world.look(resource)
        wanted = request.headers.get("if-match")
        honoured = wanted is not None and "if-match" in request.operation.headers
        if honoured and wanted != resource.etag:
            raise refusals.stale(f"The etag of {id} is not {wanted}")
        return resource

    def known(self, kind: str, id: str, region: str, *, gone: bool = False) -> Resource:
        """A resource that another one names."""
        resource = self.world.resources.get(id)
        if resource is None or resource.kind != kind or resource.region not in ("", region):
            raise refusals.not_found(f"{kind} {id}")
        if resource.is_gone and not gone:
            raise refusals.not_found(f"{kind} {id} is {resource.state}")
        return resource

    def ready(self, kind: str, id: str, region: str, state: str = "AVAILABLE") -> Resource:
        """A resource that another one is about to use."""
        resource = self.known(kind, id, region)
        if resource.state != state:
            raise refusals.incorrect_state(f"{kind} {id} is {resource.state}, not {state}")
        return resource

    def compartment(self, id: str, *, change: bool = True) -> None:
        """The compartment must exist, and be active for what is to be put into it."""
        resource = self.known("compartment", id, "", gone=not change)
        if change and resource.state != "ACTIVE":
            raise refusals.not_found(f"compartment {id} is {resource.state}")

    def listing(self, request: Request, kind: str, *ignored: str, gone: bool = False) -> Answer:
        """All of a kind that the query's filters let through."""
        if "compartmentId" in request.query:
            self.compartment(request.query["compartmentId"], change=False)
        filters = {
            name: value
            for name, value in request.query.items()
            if name not in {"limit", "page", "sortBy", "sortOrder", *ignored}
        }
        found = [
            self.world.look(resource)
            for resource in self.world.of(kind)
            if resource.region in ("", request.region)
            and (gone or not resource.is_gone)
            and all(resource.body.get(name) == value for name, value in filters.items())
        ]
        return Answer([dict(resource.body) for resource in _sorted(request, found)])


def _sorted(request: Request, found: list[Resource]) -> list[Resource]:
    by = str(request.query.get("sortBy", "")).lower()
    order = str(request.query.get("sortOrder", "ASC" if "name" in by else "DESC"))
    if not by and "sortOrder" not in request.query:
        return found
    key = "timeCreated" if "time" in by or not by else "displayName"
    return sorted(found, key=lambda each: str(each.body.get(key, "")), reverse=order == "DESC")
