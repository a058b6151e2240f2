"""What databases use, from OCI's Monitoring: one query for each metric and compartment."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from pgherd.contract.meter import DatabaseCounters, Usage
from pgherd.engines.oci.bodies import body
from pgherd.engines.oci.sdk import Cloud
from pgherd.engines.oci.tenancy import Tenancy
from pgherd.engines.oci.waiting import together
from pgherd.fleet.desired import DatabaseId

NAMESPACE = "oci_postgresql"
METRICS: Mapping[str, str] = {
    "cpu_percent": "CpuUtilization",
    "memory_percent": "MemoryUtilization",
    "cache_hit_percent": "BufferCacheHitRatio",
    "storage_bytes": "UsedStorage",
}
"""Of the primary; all of a database's instances have one storage."""


class OciMeter:
    """CPU, memory and storage of each primary, as OCI measured them."""

    def __init__(self, tenancy: Tenancy) -> None:
        self._tenancy = tenancy
        self._counters: Mapping[DatabaseId, DatabaseCounters] = {}

    async def usage(self, since: timedelta) -> Mapping[DatabaseId, Sequence[Usage]]:
        """Of all that are measured; a new database takes some minutes."""
        self._counters = {}
        now = datetime.now(UTC)
        found: dict[DatabaseId, Sequence[Usage]] = {}
        for held in await self._tenancy.held():
            for site in self._tenancy.sites(held):
                if not (systems := await site.systems.live()):
                    continue
                measured = await samples(site.cloud, held.compartment, now, since)
                for system in systems:
                    id = site.systems.owner.database(system)
                    if id is not None and system.id in measured:
                        ocpus = system.instance_ocpu_count
                        found[id] = [replace(usage, ocpus=ocpus) for usage in measured[system.id]]
        self._counters = {id: newest(usages) for id, usages in found.items()}
        return found

    def counters(self) -> Mapping[DatabaseId, DatabaseCounters]:
        """The newest values; nothing is counted."""
        return self._counters

    def happenings(self) -> None:
        """OCI does not tell."""


def newest(usages: Sequence[Usage]) -> DatabaseCounters:
    """Each value as it was last said: OCI's metrics come one by one."""

    def last(name: str) -> Any:
        values = (getattr(usage, name) for usage in reversed(usages))
        return next((value for value in values if value is not None), None)

    return DatabaseCounters(
        cpu_percent=last("cpu_percent"),
        memory_percent=last("memory_percent"),
        storage_bytes=last("storage_bytes"),
    )


async def samples(
    cloud: Cloud, compartment: str, now: datetime, since: timedelta
) -> dict[str, list[Usage]]:
    """By the OCID of the system, the oldest first."""
    found: dict[str, dict[datetime, dict[str, Any]]] = defaultdict(lambda: defaultdict(dict))
    answers = await together(
        *(_ask(cloud, compartment, metric, now, since) for metric in METRICS.values())
    )
    for name, streams in zip(METRICS, answers, strict=True):
        for stream in streams:
            system = stream.dimensions.get("resourceId", "")
            for point in stream.aggregated_datapoints or ():
                value = int(point.value) if name == "storage_bytes" else point.value
                found[system][point.timestamp][name] = value
    return {
        system: [
            Usage(at, seconds=60.0, memory_is_cache=True, **values)
            for at, values in sorted(moments.items())
        ]
        for system, moments in found.items()
    }


async def _ask(cloud: Cloud, compartment: str, metric: str, now: datetime, since: timedelta) -> Any:
    details = body(
        "monitoring",
        "SummarizeMetricsDataDetails",
        {
            "namespace": NAMESPACE,
            "query": query(metric),
            "start_time": now - since,
            "end_time": now,
            "resolution": "1m",
        },
    )
    answer = await cloud.call("monitoring", "summarize_metrics_data", compartment, details)
    return answer.data


def query(metric: str) -> str:
    """One value a minute for each system, of its primary."""
    return f'{metric}[1m]{{dbInstanceRole = "PRIMARY"}}.groupBy(resourceId).mean()'
