"""The life of a fleet on the local OCI: up, changed, failed over, stopped, started, destroyed.

Whatever goes wrong on the way, the end of each chapter is the same: nothing is made twice,
nothing is lost, and nothing that is somebody else's is touched.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from pgherd.control.clock import Patience
from pgherd.control.destroy import destroy
from pgherd.control.outcome import Outcome
from pgherd.control.stop import stop
from pgherd.control.up import converge
from pgherd.engines.oci.engine import OciEngine
from pgherd.engines.oci.routes import METADATA_KEY, read
from pgherd.engines.oci.values import Concession, OciValues, PoolerTier
from pgherd.errors import TryLater
from pgherd.fleet.desired import Backup, Fleet, Ocpus, Replicas
from pgherd.testing.oci.server import LocalOci

QUICK = Patience(first=0.01, cap=0.05, attempts=12)
KINDS = (
    "db_system",
    "vcn",
    "subnet",
    "network_security_group",
    "security_list",
    "route_table",
    "nat_gateway",
    "vault",
    "key",
    "secret",
    "instance",
    "compartment",
)
GONE = ("TERMINATED", "TERMINATING", "DELETED", "DELETING", "PENDING_DELETION")


def on_oci(fleet: Fleet, parent: str) -> Fleet:
    """The same fleet with all of its environments on OCI."""
    oci = OciValues(
        region="us-ashburn-1",
        parent=parent,
        pooler=PoolerTier.CREATE,
        accept=frozenset({Concession.MAX_OCPUS, Concession.STORAGE}),
    )
    places = {e.name: replace(e.with_values("oci", oci), engine="oci") for e in fleet.environments}
    databases = tuple(replace(d, environment=places[d.id.environment]) for d in fleet.databases)
    return replace(fleet, environments=tuple(places.values()), databases=databases)


def changed(fleet: Fleet) -> Fleet:
    """Larger, with a replica more where there are any, and with backups kept longer."""
    return replace(
        fleet,
        databases=tuple(
            replace(
                d,
                ocpus=Ocpus(d.ocpus.initial + 2, max(d.ocpus.max, d.ocpus.initial + 2)),
                replicas=Replicas(d.replicas.min + 1, d.replicas.max + 1)
                if d.replicas.min
                else d.replicas,
                backup=Backup(d.backup.retention_days + 4, d.backup.copy_to),
            )
            for d in fleet.databases
        ),
    )


async def quickly(seconds: float) -> None:
    """Sleep a hundredth of it: the local OCI has no delays of its own."""
    await asyncio.sleep(seconds / 100)


Chapter = Callable[["Story"], Awaitable[None]]


class Story:
    """A fleet, and the processes of pgherd that come and go: each chapter is a new one."""

    def __init__(self, cloud: LocalOci, fleet: Fleet, state: Path) -> None:
        self.cloud = cloud
        self.fleet = on_oci(fleet, cloud.config["tenancy"])
        self.state = state

    def engine(self) -> OciEngine:
        """A new process's."""
        return OciEngine(self.fleet.name, self.fleet.environments, self.state, quickly)

    async def up(self, fleet: Fleet | None = None) -> Outcome:
        return await converge(fleet or self.fleet, {"oci": self.engine()}, patience=QUICK)

    async def fail_over(self) -> None:
        """Every production database gets another primary."""
        engine = self.engine()
        for database in self.fleet.databases:
            if database.replicas.min:
                name = f"{database.id.service}-2"
                await insisting(lambda id=database.id, name=name: engine.failover(id, name))

    async def down(self) -> Outcome:
        return await stop({"oci": self.engine()}, patience=QUICK)

    async def destroy(self) -> Outcome:
        names = tuple(e.name for e in self.fleet.environments)
        return await destroy(
            self.fleet, {"oci": self.engine()}, allow_destroy=names, patience=QUICK
        )

    async def play(self) -> list[dict[str, Any]]:
        """The whole life; what there is after each chapter."""
        pictures = []
        for chapter in CHAPTERS:
            await insisting(lambda chapter=chapter: chapter(self))
            pictures.append(picture(self.cloud))
        return pictures


async def insisting(call: Callable[[], Awaitable[Any]]) -> Any:
    """As a user does: again, where the answer is that it may work later."""
    for _ in range(20):
        try:
            found = await call()
        except TryLater:
            continue
        if not isinstance(found, Outcome) or found.is_complete:
            return found
        if not all(isinstance(error, TryLater) for error in found.errors):
            raise found.errors[0]
    raise AssertionError("it does not get there")


CHAPTERS: tuple[Callable[[Story], Awaitable[Any]], ...] = (
    lambda story: story.up(),
    lambda story: story.up(changed(story.fleet)),
    lambda story: story.fail_over(),
    lambda story: story.down(),
    lambda story: story.up(changed(story.fleet)),
    lambda story: story.destroy(),
)


def picture(cloud: LocalOci) -> dict[str, Any]:
    """What is there and how it is set; nothing that may differ from run to run."""
    mine = [s for s in cloud.systems() if is_mine(s)]
    systems = sorted((_system(s, cloud) for s in mine), key=lambda s: str(s["name"]))
    things = {
        kind: sorted(
            (r["region"], r.get("displayName") or r.get("secretName") or r.get("name", ""))
            for r in cloud.resources(kind)
            if is_mine(r) and r.get("lifecycleState") not in GONE
        )
        for kind in KINDS
    }
    routes = [
        sorted(told.databases) if (told := read(instance["metadata"].get(METADATA_KEY))) else None
        for instance in cloud.resources("instance")
        if is_mine(instance) and instance["lifecycleState"] not in GONE
    ]
    return {"systems": systems, "routes": sorted(routes, key=str), **things}


def _system(system: dict[str, Any], cloud: LocalOci) -> dict[str, Any]:
    names = {
        i["id"]: i["displayName"] for i in system["instances"] if i["lifecycleState"] != "DELETED"
    }
    return {
        "name": system["displayName"],
        "state": system["lifecycleState"],
        "ocpus": system["instanceOcpuCount"],
        "memory": system["instanceMemorySizeInGBs"],
        "instances": sorted(names.values()),
        "primary": names[cloud.primary(system["id"])],
        "policy": system["managementPolicy"]["backupPolicy"]["retentionDays"],
    }


def made(cloud: LocalOci, kind: str) -> int:
    """How many of the fleet's there ever were."""
    return sum(is_mine(r) for r in cloud.resources(kind))


def is_mine(thing: dict[str, Any]) -> bool:
    """It carries the tag of the story's fleet."""
    return bool((thing.get("freeformTags") or {}).get("pgherd-fleet") == "ecommerce")
