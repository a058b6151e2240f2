"""Backups of databases on OCI, and what is restored from them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from pgherd.contract.backups import (
    BackupHistory,
    Goal,
    Moment,
    NamedPoint,
    ObservedBackup,
    Prediction,
    Restored,
)
from pgherd.engines.oci import history, observation, restoring
from pgherd.engines.oci.seeing import Eye
from pgherd.engines.oci.site import Site
from pgherd.engines.oci.systems import require_running
from pgherd.engines.oci.tenancy import Tenancy
from pgherd.errors import InputError
from pgherd.fleet.desired import Database, DatabaseId


class OciBackups:
    """The service's own backups. The eye has to look anew after a restore."""

    is_automatic = True

    def __init__(self, tenancy: Tenancy, eye: Eye) -> None:
        self._tenancy = tenancy
        self._eye = eye

    async def history(self, id: DatabaseId) -> BackupHistory:
        """The service's daily ones, those taken by hand, and copies in other regions."""
        site, system = await self._tenancy.find(id)
        return await history.of_system(site.cloud, site.estate.compartment, system.id)

    async def ensure_enabled(self, id: DatabaseId) -> None:
        """Nothing to do: the service backs up what it made."""
        await self._tenancy.find(id)

    async def back_up(self, id: DatabaseId) -> ObservedBackup:
        """A full one, kept as long as the database's own."""
        site, system = await self._tenancy.find(id)
        require_running(id, system)
        found = (await site.systems.get(system.id)).data
        days = observation.retention_days(found) or 1
        return await history.take(
            site.cloud, site.estate.compartment, id, system.id, site.systems.owner, days
        )

    async def restore(
        self,
        source: DatabaseId,
        target: Database,
        goal: Goal,
        *,
        region: str | None = None,
        masking: str = "",
        overwrites: bool = False,
    ) -> Restored:
        """Point-in-time recovery, in place or to a new system; or a copy's, in its region."""
        _require_one_environment(source, target.id)
        self._eye.forget()
        moment = await self._moment(source, goal)
        site, system, is_elsewhere = await self._found(source, target, region)
        if target.id == source:
            await restoring.in_place(site, source, system, moment)
        elif region is not None and is_elsewhere:
            await restoring.elsewhere(self._tenancy, source, system, target, moment, region)
        else:
            await restoring.beside(self._tenancy, site, source, system, target, moment)
        return Restored()

    async def predict(
        self,
        source: DatabaseId,
        target: Database,
        goal: Goal,
        *,
        region: str | None = None,
        masking: str = "",
    ) -> Prediction:
        """Whether the service has that time; how long it takes it does not say."""
        _require_one_environment(source, target.id)
        moment = await self._moment(source, goal)
        site, system, is_elsewhere = await self._found(source, target, region)
        if target.id != source and await restoring.is_there(
            self._tenancy, site, source, system, target, moment, region
        ):
            return Prediction(was_there=True)
        if region is not None and is_elsewhere:
            held = await self._tenancy.holding(source.environment)
            cloud = self._tenancy.cloud(held.profile, region)
            await history.last_copy(cloud, held.compartment, system.id, source, moment)
            return Prediction()
        found = await history.of_system(site.cloud, site.estate.compartment, system.id)
        history.require_in(found, source, moment)
        return Prediction(found.windows)

    async def _found(
        self, source: DatabaseId, target: Database, region: str | None
    ) -> tuple[Site, Any, bool]:
        """Where it is, itself, and whether its copies are asked for, which are elsewhere."""
        site, system = await self._tenancy.find(source)
        is_elsewhere = region is not None and region != site.cloud.region
        if target.id == source and is_elsewhere:
            raise InputError(
                f"{source} is in {site.cloud.region}, its copies are in {region}",
                f"write --as NAME: the copy becomes a new database in {region}",
            )
        return site, system, is_elsewhere

    async def make_point(self, id: DatabaseId, name: str) -> NamedPoint:
        """The service has none."""
        raise InputError(
            f"{id} is on OCI, which knows no points",
            "note the time, and restore to that with --to",
        )

    async def ensure_copied(self, id: DatabaseId) -> None:
        """The service does that by itself."""
        return

    async def give_up(self, id: DatabaseId) -> None:
        """The service archives by itself."""
        raise InputError(f"{id} is archived by OCI", "leave `when_full` out")

    async def undo(self, id: DatabaseId) -> None:
        """The service cannot."""
        raise _nothing_kept(id)

    async def discard(self, id: DatabaseId) -> None:
        """Nothing is there to be removed."""
        raise _nothing_kept(id)

    async def _moment(self, id: DatabaseId, goal: Goal) -> datetime:
        """The service restores to a second. InputError for what is no time, with one to write."""
        if isinstance(goal, Moment):
            return goal.at.astimezone(UTC).replace(microsecond=0)
        windows = (await self.history(id)).windows
        last = f"{max(w.end for w in windows).astimezone(UTC):%Y-%m-%dT%H:%M:%S}" if windows else ""
        raise InputError(
            f"{id} is on OCI, which restores to a time only",
            f"write a time; the last one is --to {last}" if last else "wait for its first backup",
        )


def _require_one_environment(source: DatabaseId, target: DatabaseId) -> None:
    """The service restores to a system that serves at once: nobody could mask it before."""
    if target.environment != source.environment:
        raise InputError(
            f"{source} is on OCI, where a database is restored within its environment only",
            "write --as NAME, without an environment",
        )


def _nothing_kept(id: DatabaseId) -> InputError:
    return InputError(
        f"{id} is on OCI, which keeps nothing of what was before a restore",
        f"see what it can be restored to: `pgherd backup list {id}`",
    )
