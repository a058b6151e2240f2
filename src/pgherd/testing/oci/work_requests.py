"""PostgreSQL's work requests: what was begun, on what, and how it ended."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from pgherd.testing.oci.calls import Answer, Request, Service, shown
from pgherd.testing.oci.world import Body, Resource

FAILURE = "The service could not carry out the request"
_ENTITIES = {"db_system": "postgresqldbsystem", "backup": "postgresqlbackup"}


class WorkRequests(Service):
    """IN_PROGRESS until the change is done or has failed."""

    package = "psql"

    def start(
        self,
        request: Request,
        kind: str,
        resources: Sequence[tuple[Resource, str]],
        done: Callable[[], None],
        failed: Callable[[], None],
    ) -> str:
        """Begin a change; the id of its work request. `kind` is its operation type."""
        first = resources[0][0]
        body = {
            "operationType": kind,
            "status": "IN_PROGRESS",
            "compartmentId": first.body["compartmentId"],
            "percentComplete": 10.0,
            "timeAccepted": self.world.stamp(),
            "timeStarted": self.world.stamp(),
            "resources": [_entity(resource, "IN_PROGRESS") for resource, _ in resources],
        }
        work = self.world.add("work_request", request.region, body)
        work.hidden["logs"] = [self._entry("Request accepted")]
        fails = self.world.faults.take_failed_work(request.operation.name, kind)

        def finish() -> None:
            (failed if fails else done)()
            self._end(work, resources, fails)

        busy = [resource for resource, _ in resources if resource.region == request.region]
        self.world.start([*busy, work], finish)
        return work.id

    def _end(self, work: Resource, resources: Sequence[tuple[Resource, str]], fails: bool) -> None:
        message = FAILURE if fails else "Request done"
        work.hidden["logs"].append(self._entry(message))
        if fails:
            error = {"code": "InternalServerError", **self._entry(FAILURE)}
            work.hidden["errors"] = [error]
        self.world.touch(
            work,
            status="FAILED" if fails else "SUCCEEDED",
            percentComplete=100.0,
            timeFinished=self.world.stamp(),
            resources=[
                _entity(resource, "FAILED" if fails else action) for resource, action in resources
            ],
        )

    def _entry(self, message: str) -> Body:
        return {"message": message, "timestamp": self.world.stamp()}

    def get_work_request(self, request: Request) -> Answer:
        return shown(self._work(request))

    def list_work_requests(self, request: Request) -> Answer:
        answer = self.listing(request, "work_request", "resourceId", "workRequestId")
        resource = request.query.get("resourceId")
        id = request.query.get("workRequestId")
        return Answer(
            [
                body
                for body in reversed(answer.body)
                if id in (None, body["id"])
                and (
                    resource is None
                    or any(each["identifier"] == resource for each in body["resources"])
                )
            ]
        )

    def list_work_request_errors(self, request: Request) -> Answer:
        return Answer(list(self._work(request).hidden.get("errors", [])))

    def list_work_request_logs(self, request: Request) -> Answer:
        return Answer(list(self._work(request).hidden["logs"]))

    def _work(self, request: Request) -> Resource:
        return self.find(request, "work_request", request.path["workRequestId"])


def _entity(resource: Resource, action: str) -> Body:
    kind = _ENTITIES.get(resource.kind, resource.kind)
    uri = f"/{resource.kind.replace('_s', 'S')}s/{resource.id}"
    return {
        "entityType": kind,
        "actionType": action,
        "identifier": resource.id,
        "entityUri": uri,
    }
