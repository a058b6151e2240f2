"""What OCI did to databases: the logs of its work requests. It shows none of PostgreSQL's own."""

from __future__ import annotations

from collections.abc import AsyncIterator

from pgherd.contract.logs import LogLine
from pgherd.engines.oci.site import Site
from pgherd.engines.oci.tenancy import Tenancy
from pgherd.fleet.desired import DatabaseId

_NEXT_LOOK_SECONDS = 5.0


class OciLogs:
    """Lines of the work requests of a database's system."""

    def __init__(self, tenancy: Tenancy) -> None:
        self._tenancy = tenancy

    async def read(
        self, id: DatabaseId, *, instance: str | None = None, lines: int = 50, follow: bool = False
    ) -> AsyncIterator[LogLine]:
        """Of the whole system, whatever the `instance`: OCI does not tell them apart."""
        site, system = await self._tenancy.find(id)
        told: set[tuple[str, str]] = set()
        while True:
            fresh = [
                line
                for line in await _work_log(site, system.id)
                if (line.source, line.text) not in told
            ]
            for line in fresh[-lines:] if not told else fresh:
                yield line
            told |= {(line.source, line.text) for line in fresh}
            if not follow:
                return
            await site.cloud.sleep(_NEXT_LOOK_SECONDS)


async def _work_log(site: Site, system: str) -> list[LogLine]:
    cloud = site.cloud
    requests = await cloud.all(
        "psql", "list_work_requests", compartment_id=site.estate.compartment, resource_id=system
    )
    lines = []
    for request in sorted(requests, key=lambda r: r.time_accepted):
        source = request.operation_type.lower().replace("_", " ")
        lines.append(LogLine(source, f"{request.time_accepted:%Y-%m-%d %H:%M:%S} {request.status}"))
        for kind in ("logs", "errors"):
            entries = await cloud.all("psql", f"list_work_request_{kind}", request.id)
            lines += [
                LogLine(source, f"{entry.timestamp:%Y-%m-%d %H:%M:%S} {entry.message}")
                for entry in sorted(entries, key=lambda e: e.timestamp)
            ]
    return lines
