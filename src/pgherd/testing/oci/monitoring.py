"""Monitoring: what tests say the systems measure, in PostgreSQL's own namespace."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from pgherd.testing.oci import strict
from pgherd.testing.oci.calls import Answer, Request, Service
from pgherd.testing.oci.metric_queries import Query, parse
from pgherd.testing.oci.refusals import invalid
from pgherd.testing.oci.world import Body, Resource

NAMESPACE = "oci_postgresql"
METRICS = frozenset(
    {
        "CpuUtilization",
        "MemoryUtilization",
        "Connections",
        "BufferCacheHitRatio",
        "Deadlocks",
        "TxidWrapLimit",
        "ReadIops",
        "WriteIops",
        "ReadLatency",
        "WriteLatency",
        "ReadThroughput",
        "WriteThroughput",
        "UsedStorage",
        "DataUsedStorage",
        "WalUsedStorage",
    }
)
DIMENSIONS = frozenset(
    {"resourceId", "resourceName", "resourceType", "dbInstanceId", "dbInstanceRole"}
)
_POINTS = 1000
_STATISTICS: dict[str, Callable[[list[float]], float]] = {
    "mean": lambda values: sum(values) / len(values),
    "max": max,
    "min": min,
    "sum": sum,
    "count": lambda values: float(len(values)),
}


class Monitoring(Service):
    """One stream for each node of a system that runs and has been given a value."""

    package = "monitoring"

    def set(self, system: Resource, name: str, value: float | None) -> None:
        """What all nodes of a system measure from now on."""
        if name not in METRICS:
            raise ValueError(f"no such metric: {name}")
        values = system.hidden.setdefault("metrics", {})
        values[name] = value
        if value is None:
            del values[name]

    def summarize_metrics_data(self, request: Request) -> Answer:
        body = request.body
        query = parse(body["query"], DIMENSIONS)
        if body.get("resolution") is not None and body["resolution"] not in _resolutions():
            raise invalid(f"resolution {body['resolution']!r} is not 1m..1d")
        times = self._times(body, query.interval)
        if body["namespace"] != NAMESPACE or query.name not in METRICS:
            # OCI does not know which metrics could be; it finds no data.
            return Answer([])
        groups: dict[tuple[tuple[str, str], ...], list[float]] = {}
        for dimensions, value in self._streams(request, query):
            shown = dimensions if query.groups is None else {k: dimensions[k] for k in query.groups}
            groups.setdefault(tuple(shown.items()), []).append(value)
        return Answer(
            [
                {
                    "namespace": NAMESPACE,
                    "compartmentId": request.query["compartmentId"],
                    "name": query.name,
                    "dimensions": dict(dimensions),
                    "metadata": {},
                    "aggregatedDatapoints": [
                        {"timestamp": time.isoformat(), "value": _STATISTICS[query.statistic](all_)}
                        for time in times
                    ],
                }
                for dimensions, all_ in groups.items()
            ]
        )

    def list_metrics(self, request: Request) -> Answer:
        wanted = request.body.get("name")
        found = [
            {
                "name": name,
                "namespace": NAMESPACE,
                "compartmentId": request.query["compartmentId"],
                "dimensions": dimensions,
            }
            for system in self._systems(request)
            for name in system.hidden.get("metrics", {})
            if wanted in (None, name)
            for dimensions in _dimensions(system)
        ]
        return Answer(found if request.body.get("namespace", NAMESPACE) == NAMESPACE else [])

    def _systems(self, request: Request) -> list[Resource]:
        compartment = request.query["compartmentId"]
        self.compartment(compartment, change=False)
        below = request.query.get("compartmentIdInSubtree", False)
        if below and compartment != self.world.tenancy:
            raise invalid("compartmentIdInSubtree is only for the root compartment")
        return [
            system
            for system in self.world.of("db_system", request.region)
            if (below or system.body["compartmentId"] == compartment)
            and system.state in ("ACTIVE", "UPDATING")
        ]

    def _streams(self, request: Request, query: Query) -> list[tuple[dict[str, str], float]]:
        return [
            (dimensions, float(system.hidden["metrics"][query.name]))
            for system in self._systems(request)
            if query.name in system.hidden.get("metrics", {})
            for dimensions in _dimensions(system)
            if all(dimensions[key] == value for key, value in query.filters.items())
        ]

    def _times(self, body: Body, interval: timedelta) -> list[datetime]:
        end = self._time(body, "endTime", self.world.now())
        start = self._time(body, "startTime", end - timedelta(hours=3))
        if start >= end:
            raise invalid("startTime must be before endTime")
        found: list[datetime] = []
        at = datetime.fromtimestamp(
            end.timestamp() // interval.total_seconds() * interval.total_seconds(), end.tzinfo
        )
        while at >= start and len(found) < _POINTS:
            found.append(at)
            at -= interval
        return found[::-1]

    @staticmethod
    def _time(body: Body, key: str, default: datetime) -> datetime:
        return strict.moment(body[key], key) if body.get(key) is not None else default


def _resolutions() -> set[str]:
    return {f"{number}m" for number in range(1, 61)} | {f"{n}h" for n in range(1, 25)} | {"1d"}


def _dimensions(system: Resource) -> list[dict[str, Any]]:
    return [
        {
            "resourceId": system.id,
            "resourceName": system.body["displayName"],
            "resourceType": "dbsystem",
            "dbInstanceId": node["id"],
            "dbInstanceRole": "PRIMARY"
            if node["id"] == system.hidden["primary"]
            else "READ_REPLICA",
        }
        for node in system.body["instances"]
    ]
