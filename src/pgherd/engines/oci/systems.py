"""DB systems: one for each database. Made once, changed one kind of thing at a time.

Every change is made to a system that is ACTIVE, with the etag of the look before it, and is
waited for. Which system a database is, its tags say; what an earlier run began is gone on with.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from pgherd.engines.oci import blueprint
from pgherd.engines.oci.blueprint import Thing
from pgherd.engines.oci.bodies import body
from pgherd.engines.oci.creation import create_once, referring
from pgherd.engines.oci.names import Owner, retry_token
from pgherd.engines.oci.refusals import NotFound
from pgherd.engines.oci.sdk import Answer, Cloud
from pgherd.engines.oci.shapes import Shape
from pgherd.engines.oci.waiting import PATIENCE_FOR_NEWS, until, work_done
from pgherd.errors import InputError, NeedsHuman, TryLater
from pgherd.fleet.desired import Database, DatabaseId

GONE = ("DELETED",)
_SETTLED = ("ACTIVE", "INACTIVE", "FAILED", "NEEDS_ATTENTION", "DELETED")


class Systems:
    """The DB systems of one environment in one region."""

    def __init__(self, cloud: Cloud, owner: Owner, compartment: str) -> None:
        self.cloud = cloud
        self.owner = owner
        self.compartment = compartment

    async def all(self) -> list[Any]:
        """Summaries of all of this owner's, those that were deleted lately too."""
        try:
            found = await self.cloud.all("psql", "list_db_systems", compartment_id=self.compartment)
        except NotFound as error:
            # The compartment is there, as it was found by its tags or made: it is new.
            raise TryLater(error.message, error.hint) from error
        return [s for s in found if self.owner.database(s) is not None]

    async def live(self) -> list[Any]:
        """The same, but for those that are deleted."""
        return [s for s in await self.all() if self.is_live(s)]

    @staticmethod
    def is_live(system: Any) -> bool:
        """It is there, be it on its way out."""
        return system.lifecycle_state not in GONE

    async def find(self, id: DatabaseId) -> Any | None:
        """The summary of a database's system. NeedsHuman where there are several."""
        found = [s for s in await self.live() if self.owner.database(s) == id]
        if len(found) > 1:
            ids = ", ".join(sorted(s.id for s in found))
            raise NeedsHuman(
                f"{id} is {len(found)} systems on oci: {ids}",
                "delete all but one, or take the tag pgherd-service from the others",
            )
        return found[0] if found else None

    async def get(self, system: str) -> Answer:
        """A system, with its etag."""
        return await self.cloud.call("psql", "get_db_system", system)

    async def settled(self, id: DatabaseId, system: str) -> Answer:
        """The system once nothing is being done to it."""
        return await self._seen(id, system, _SETTLED)

    async def _seen(
        self,
        id: DatabaseId,
        system: str,
        states: Sequence[str],
        news: float = PATIENCE_FOR_NEWS,
    ) -> Answer:
        """The system once it is in one of these states."""

        async def look() -> Answer:
            return await self.get(system)

        found: Answer = await until(
            self.cloud, str(id), look, lambda a: a.data.lifecycle_state in states, news
        )
        return found

    async def create(self, database: Database, thing: Thing, ocids: Mapping[str, str]) -> str:
        """Make it, and wait until it serves; its OCID."""
        details = body(
            "psql",
            "CreateDbSystemDetails",
            {
                "compartment_id": self.compartment,
                "display_name": thing.name,
                "freeform_tags": dict(thing.tags),
                **referring(self.owner, thing.properties, ocids),
            },
        )

        async def create(former: Sequence[str]) -> Answer:
            token = retry_token("create_db_system", details, former)
            return await self.cloud.call("psql", "create_db_system", details, opc_retry_token=token)

        async def look(system: str) -> Any:
            return (await self.get(system)).data

        made = await create_once(self.cloud, str(database.id), create, look)
        await work_done(self.cloud, str(database.id), made.work_request)
        await self.active(database.id, made.data.id)
        return str(made.data.id)

    async def active(self, id: DatabaseId, system: str) -> Answer:
        """The system, serving; started where it was stopped. NeedsHuman where it is broken."""
        found = await self.settled(id, system)
        if found.data.lifecycle_state == "INACTIVE":
            await self._change(
                id, found, "start_db_system", body("psql", "StartDbSystemDetails", {})
            )
            found = await self.settled(id, system)
        return self._serving(id, found)

    async def _running(self, id: DatabaseId, system: str) -> Answer:
        """The system, serving; InputError where it is stopped, as nothing here starts it."""
        found = await self.settled(id, system)
        require_running(id, found.data)
        return self._serving(id, found)

    @staticmethod
    def _serving(id: DatabaseId, found: Answer) -> Answer:
        if found.data.lifecycle_state == "ACTIVE":
            return found
        details = found.data.lifecycle_details or "oci gives no reason"
        raise NeedsHuman(
            f"{id} is {found.data.lifecycle_state}: {details}",
            f"see system {found.data.id} in the console; `pgherd destroy {id}` deletes it",
        )

    async def stop(self, id: DatabaseId, system: str) -> None:
        """Nothing of it runs, and its data is kept."""
        found = await self.settled(id, system)
        if found.data.lifecycle_state != "INACTIVE":
            found = await self.active(id, system)
            await self._change(id, found, "stop_db_system")
            await self.settled(id, system)

    async def delete(self, id: DatabaseId, system: str) -> None:
        """Nothing of it is left."""
        try:
            found = await self._seen(id, system, (*_SETTLED, "DELETING"))
            if found.data.lifecycle_state == "DELETING":
                await self._deleted_before(id, system)
            elif found.data.lifecycle_state not in GONE:
                # That the work is not there says nothing; only a look at the system does.
                with suppress(NotFound):
                    await self._change(id, found, "delete_db_system")
                # OCI may for a while still show it as it was before.
                await self._seen(id, system, GONE, news=0)
        except NotFound:
            return

    async def _deleted_before(self, id: DatabaseId, system: str) -> None:
        """The end of a deletion that an earlier run began."""
        found = await self._seen(id, system, _SETTLED, news=0)
        if found.data.lifecycle_state not in GONE:
            raise TryLater(f"{id} was being deleted, and is {found.data.lifecycle_state} again")

    async def update(self, id: DatabaseId, system: str, values: Mapping[str, Any]) -> None:
        """Change one kind of thing of it."""
        found = await self.active(id, system)
        await self._change(
            id, found, "update_db_system", body("psql", "UpdateDbSystemDetails", values)
        )
        await self.active(id, system)

    async def tag(self, id: DatabaseId, system: str, tags: Mapping[str, str | None]) -> None:
        """It bears these tags beside its own, and none that is None. InputError where stopped."""
        found = await self._running(id, system)
        before = found.data.freeform_tags or {}
        after = {name: text for name, text in {**before, **tags}.items() if text is not None}
        if after != before:
            details = body("psql", "UpdateDbSystemDetails", {"freeform_tags": after})
            await self._change(id, found, "update_db_system", details)
            await self._running(id, system)

    async def resize(self, id: DatabaseId, system: str, ocpus: int, shape: Shape) -> None:
        """Give every instance so many OCPUs. InputError for a database that is stopped."""
        found = await self._running(id, system)
        memory = shape.memory_gib(ocpus)
        now = (found.data.instance_ocpu_count, found.data.instance_memory_size_in_gbs)
        if now != (ocpus, memory):
            size = {"instance_ocpu_count": ocpus, "instance_memory_size_in_gbs": memory}
            await self.update(id, system, size)

    async def scale(self, database: Database, system: str, count: int) -> None:
        """So many instances, added and taken one by one. InputError where it is stopped.

        A node that is added carries no retry token, so its answer may be lost and it be there
        all the same: after each call the system is looked at, and nothing is repeated blindly.
        """
        while True:
            found = await self._running(database.id, system)
            instances = [i for i in found.data.instances if i.lifecycle_state != "DELETED"]
            if len(instances) == count:
                return
            if len(instances) < count:
                taken = {i.display_name for i in instances}
                names = (blueprint.instance_name(database, n) for n in range(1, 100))
                name = next(name for name in names if name not in taken)
                item = {"operation": "INSERT", "selection": "instances"}
                patch = item | {"value": {"displayName": name}}
            else:
                primary = await self.primary(system)
                others = [i for i in instances if i.id != primary]
                worst = max(others, key=lambda i: (i.lifecycle_state != "ACTIVE", i.display_name))
                patch = {"operation": "REMOVE", "selection": f"instances[?id == '{worst.id}']"}
            details = body("psql", "PatchDbSystemDetails", {"items": [patch]})
            await self._change(database.id, found, "patch_db_system", details)

    async def primary(self, system: str) -> str:
        """The OCID of the instance that takes writes."""
        answer = await self.cloud.call("psql", "get_primary_db_instance", system)
        return str(answer.data.db_instance_id)

    async def fail_over(self, id: DatabaseId, system: str, instance: str) -> None:
        """Another instance takes writes."""
        found = await self.active(id, system)
        details = body("psql", "FailoverDbSystemDetails", {"db_instance_id": instance})
        await self._change(id, found, "failover_db_system", details)
        await self.active(id, system)

    async def restore_in_place(self, id: DatabaseId, system: str, values: Any) -> None:
        """It is as it was at another time."""
        found = await self.active(id, system)
        await self._change(
            id, found, "restore_db_system", body("psql", "RestoreDbSystemDetails", values)
        )
        await self.active(id, system)

    async def connection(self, system: str) -> Any:
        """Its endpoints and the authority that signs for them."""
        return (await self.cloud.call("psql", "get_connection_details", system)).data

    async def _change(
        self, id: DatabaseId, found: Answer, operation: str, details: Any = None
    ) -> None:
        """One change of a system that was looked at just now, waited for."""
        system = found.data.id
        options: dict[str, Any] = {"if_match": found.etag}
        if operation in _WITH_TOKEN:
            # The etag is part of it: what is asked for again later is a new call.
            content = {"system": system, "etag": found.etag, "body": details}
            options["opc_retry_token"] = retry_token(operation, content)
        arguments = (system,) if details is None else (system, details)
        answer = await self.cloud.call("psql", operation, *arguments, **options)
        await work_done(self.cloud, str(id), answer.work_request)


_WITH_TOKEN = frozenset(
    {
        "update_db_system",
        "start_db_system",
        "stop_db_system",
        "failover_db_system",
        "restore_db_system",
    }
)


def require_running(id: DatabaseId, system: Any) -> None:
    """InputError for a database that is stopped."""
    if system.lifecycle_state == "INACTIVE":
        raise InputError(f"{id} is stopped", "start it with `pgherd up`")
