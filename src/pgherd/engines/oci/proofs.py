"""Proofs of backups on OCI: the newest moment in a small system of its own, looked at, deleted.

That system costs as long as it is there, so it is made where a person asks for it, and never by
itself. Whatever happens it is deleted; one that was left by a run that was killed is known by its
name, and is deleted by the next. Nobody but the service looks into it.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

from pgherd.contract.access import Access, AccessRole
from pgherd.contract.proofs import Check, Hire, Proof
from pgherd.decide.backups import available
from pgherd.engines.alone import alone
from pgherd.engines.oci import blueprint, history, proof_notes, shapes, usage
from pgherd.engines.oci.access import access_to
from pgherd.engines.oci.making import Origin, ensure_absent, make
from pgherd.engines.oci.names import PROOF
from pgherd.engines.oci.observation import major_version
from pgherd.engines.oci.sdk import Cloud
from pgherd.engines.oci.seeing import Eye
from pgherd.engines.oci.site import Site
from pgherd.engines.oci.systems import require_running
from pgherd.engines.oci.tenancy import Tenancy
from pgherd.engines.oci.waiting import PATIENCE_FOR_NEWS
from pgherd.engines.oci.waiting import looks as turns
from pgherd.errors import InputError, NeedsHuman, PgherdError, TryLater
from pgherd.files import ensure_directory
from pgherd.fleet.desired import (
    Backup,
    Database,
    DatabaseId,
    Durability,
    Environment,
    Ocpus,
    Replicas,
    Storage,
)
from pgherd.fleet.names import DRILLS, resource_name

HIRE_SECONDS = 3600.0
"""For about so long there is a copy: a system takes up to half an hour, and is looked at."""
ANSWER_SECONDS = 900.0
"""The poolers know of a copy within seconds; it is given up where it does not answer so long."""
DELETE_SECONDS = 900.0
"""For so long its deletion is tried anew where OCI is not ready for it."""
MEASURED = timedelta(minutes=15)
"""How old what OCI has measured may be."""
BROKEN = ("FAILED", "NEEDS_ATTENTION")


class Looks(Protocol):
    """How copies are looked at."""

    async def is_near(self, addresses: Sequence[str], port: int) -> bool:
        """PostgreSQL or a pooler listens at one of them, as seen from here."""
        ...

    async def answer(self, access: Access) -> None:
        """The database answers a query. TryLater where it does not."""
        ...

    async def checks(self, access: Access) -> tuple[Check, ...]:
        """What there is to say of the tables and the indexes in it."""
        ...


class OciProofs:
    """Those of one fleet. The eye has to look anew after each."""

    def __init__(self, tenancy: Tenancy, eye: Eye, looks: Looks | None = None) -> None:
        self._tenancy = tenancy
        self._eye = eye
        self._given = looks

    @property
    def _looks(self) -> Looks:
        if self._given is None:
            # Of all that the engine does, this alone needs a client of PostgreSQL.
            from pgherd.engines.oci.looking import ServiceLooks

            self._given = ServiceLooks()
        return self._given

    async def hire(self, id: DatabaseId) -> Hire:
        """The smallest system, with as much storage as the database uses."""
        site, system = await self._found(id)
        await _newest(site, id, system)
        now = datetime.now(UTC)
        measured = await usage.samples(site.cloud, site.estate.compartment, now, MEASURED)
        used = usage.newest(measured.get(system.id, ())).storage_bytes
        return Hire(await self._ocpus(site), HIRE_SECONDS, used)

    async def known(self, id: DatabaseId) -> tuple[Proof, ...]:
        """The last one, where it is of the system as it is now."""
        _, system = await self._tenancy.find(id)
        return proof_notes.read((system.freeform_tags or {}).get(PROOF))

    async def prove(self, id: DatabaseId) -> Proof:
        """Restore the newest moment, look at it as its service, delete it."""
        site, system = await self._found(id)
        lock = ensure_directory(self._tenancy.root) / f"{id.environment}.{id.service}.drill"
        with alone(lock, f"a drill of {id}"):
            self._eye.forget()
            environment = self._tenancy.known(id.environment)
            version = major_version(system.db_version)
            copy = copy_of(id, self._tenancy.fleet, environment, await self._ocpus(site), version)
            await ensure_absent(self._tenancy, copy.id)
            at, began = datetime.now(UTC), time.monotonic()
            moment = await _newest(site, id, system)
            is_unsure = True
            try:
                origin = Origin.in_time(id, system.id, moment)
                rto, checks = await self._tried(site, origin, copy, began)
                is_unsure = False
            except (InputError, NeedsHuman):
                is_unsure = False
                raise
            finally:
                await self._delete(site, copy.id, is_unsure=is_unsure)
                self._eye.forget()
            proof = proof_notes.proof(at, rto, moment, checks)
            await self._note(site, id, system.id, proof)
        return proof

    async def _found(self, id: DatabaseId) -> tuple[Site, Any]:
        """Where it is. InputError where a copy of it could not be looked at from here."""
        site, system = await self._tenancy.find(id)
        require_running(id, system)
        environment = self._tenancy.known(id.environment)
        own = await self._tenancy.open(environment)
        if own is not site:
            raise InputError(
                f"{id} is in {site.cloud.region}: drills are in {own.cloud.region} only",
                f"restore it beside itself with `pgherd restore {id} --as`, and look at that",
            )
        poolers = [str(address) for address in blueprint.pooler_addresses(environment)]
        if not await self._looks.is_near(poolers, blueprint.POOLER_PORT):
            raise InputError(
                f"the poolers of {environment.name} do not answer from here",
                "run it from inside the network, or through a VPN: the copy has to be looked at",
            )
        return site, system

    async def _ocpus(self, site: Site) -> int:
        shape = shapes.choose(await self._tenancy.shapes(site.cloud), 1)
        if shape is None:
            raise InputError(f"{site.cloud.region} has no shape for databases")
        return shape.min_ocpus

    async def _tried(
        self, site: Site, origin: Origin, copy: Database, began: float
    ) -> tuple[float | None, tuple[Check, ...]]:
        """After how many seconds it answered, and what was found."""
        try:
            await make(self._tenancy, site, copy, origin)
        except NeedsHuman as error:
            # What OCI refused to begin says nothing of the backups.
            made = await site.systems.find(copy.id)
            if made is None or made.lifecycle_state not in BROKEN:
                raise
            return None, (Check("restored", ok=False, detail=error.message),)
        restored = Check("restored", ok=True, detail=f"{origin.moment:%Y-%m-%d %H:%M:%S} UTC")
        access = await access_to(self._tenancy, copy.id, AccessRole.SERVICE)
        try:
            await self._answered(site.cloud, access)
        except TryLater as error:
            return None, (restored, Check("answers", ok=False, detail=error.message))
        rto = time.monotonic() - began
        return rto, (restored, Check("answers", ok=True), *await self._looks.checks(access))

    async def _answered(self, cloud: Cloud, access: Access) -> None:
        async for waited in turns(cloud):
            try:
                return await self._looks.answer(access)
            except TryLater:
                if waited >= ANSWER_SECONDS:
                    raise
        raise TryLater("it does not answer")

    async def _delete(self, site: Site, copy: DatabaseId, *, is_unsure: bool) -> None:
        """It is gone. NeedsHuman where it does not go, though that was tried for a while.

        Where nobody knows whether it was made, OCI may show it late: it is looked for a while.
        """
        async for waited in turns(site.cloud):
            try:
                is_found = copy in map(site.systems.owner.database, await site.systems.live())
                await ensure_absent(self._tenancy, copy)
                if is_found or not is_unsure or waited >= PATIENCE_FOR_NEWS:
                    return
            except PgherdError as error:
                if isinstance(error, TryLater) and waited < DELETE_SECONDS:
                    continue
                raise NeedsHuman(
                    f"the copy {copy} may still be there, and cost: {error.message}",
                    "run the drill again, which deletes it first, or delete it in the console",
                ) from error

    async def _note(self, site: Site, id: DatabaseId, system: str, proof: Proof) -> None:
        """The system bears it. What was paid for is told where it cannot."""
        try:
            await site.systems.tag(id, system, {PROOF: proof_notes.text(proof)})
        except PgherdError as error:
            failed = proof.failed
            result = f"failed: {failed.name}: {failed.detail}" if failed else "has gone well"
            raise TryLater(
                f"the drill of {id} {result}, and cannot be noted: {error.message}"
            ) from error


def copy_of(
    id: DatabaseId, fleet: str, environment: Environment, ocpus: int, version: int | None
) -> Database:
    """What is made of a database to be looked at. Its name is no service's. Pure."""
    digest = hashlib.sha256(id.service.encode()).hexdigest()[:12]
    copy = DatabaseId(id.environment, f"{DRILLS}{digest}")
    return Database(
        id=copy,
        name=resource_name(fleet, copy.environment, copy.service),
        environment=environment,
        ocpus=Ocpus(ocpus, ocpus),
        storage=Storage(0, None),
        replicas=Replicas(0, 0),
        durability=Durability.ASYNCHRONOUS,
        autoscale=None,
        backup=Backup(retention_days=0),
        deletion_protection=False,
        postgresql=version,
    )


async def _newest(site: Site, id: DatabaseId, system: Any) -> datetime:
    """The last second that it can be restored to. InputError where it has no backup."""
    found = await history.of_system(site.cloud, site.estate.compartment, system.id)
    if not available(found.backups) or not found.windows:
        raise InputError(f"{id} has no backup yet", "wait for its first one")
    moment = max(window.end for window in found.windows).astimezone(UTC).replace(microsecond=0)
    history.require_in(found, id, moment)
    return moment
