"""What a system's data comes from: nothing, a backup, another system at a time."""

from __future__ import annotations

from datetime import datetime, timedelta

from pgherd.testing.oci import strict
from pgherd.testing.oci.calls import Request, Service
from pgherd.testing.oci.refusals import incorrect_state, invalid
from pgherd.testing.oci.rows import Rows
from pgherd.testing.oci.world import Body, Resource


class Sources(Service):
    """Finds the data, or refuses."""

    package = "psql"

    def rows(self, request: Request, source: Body, version: str) -> Rows:
        """What the new system begins with."""
        match source["sourceType"]:
            case "NONE":
                return Rows(self.world.now)
            case "BACKUP":
                backup = self.ready("backup", source["backupId"], request.region, "ACTIVE")
                _same_major(backup.body["dbSystemDetails"]["dbVersion"], version)
                return self.of_backup(backup)
            case "POINT_IN_TIME_DB_SYSTEM":
                system = self.known("db_system", source["dbSystemId"], request.region)
                _same_major(system.body["dbVersion"], version)
                return self.at(system, source["timeToRestore"])
        raise invalid("the local OCI plays no standby systems (sourceType DB_SYSTEM)")

    @staticmethod
    def of_backup(backup: Resource) -> Rows:
        """The rows in a backup."""
        rows: Rows = backup.hidden["rows"]
        return rows.until()

    def at(self, system: Resource, time: str) -> Rows:
        """The rows of a system at a whole second of its recovery window."""
        wanted = strict.moment(time, "timeToRestore")
        if wanted.microsecond:
            raise invalid(f"timeToRestore {time} must be in whole seconds")
        window = self.window(system)
        if window is None:
            raise incorrect_state(f"{system.id} has no point-in-time recovery")
        if not window[0] <= wanted <= window[1]:
            raise invalid(
                f"timeToRestore {time} is not in {window[0].isoformat()}..{window[1].isoformat()}"
            )
        rows: Rows = system.hidden["rows"]
        return rows.until(wanted)

    def window(self, system: Resource) -> tuple[datetime, datetime] | None:
        """From when to when a system can be brought back; the first second counts as a whole."""
        policy = system.body["managementPolicy"]["pitrPolicy"]
        since: datetime | None = system.hidden.get("recoverable_since")
        if policy["kind"] != "STANDARD" or since is None:
            return None
        now = self.world.now()
        start = max(since, now - timedelta(days=policy["restoreDays"]))
        return start.replace(microsecond=0), now


def _same_major(there: str, wanted: str) -> None:
    if there.split(".")[0] != wanted.split(".")[0]:
        raise invalid(f"dbVersion {wanted} is not the source's, which is {there}")
