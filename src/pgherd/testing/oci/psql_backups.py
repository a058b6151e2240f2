"""Backups: by hand, by a system's policy as days pass, and copies in other regions."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from pgherd.testing.oci.calls import Answer, Request, Service, accepted, shown
from pgherd.testing.oci.limits import Limits
from pgherd.testing.oci.psql_policy import Policies
from pgherd.testing.oci.refusals import conflict, incorrect_state, invalid
from pgherd.testing.oci.rows import Rows
from pgherd.testing.oci.work_requests import FAILURE, WorkRequests
from pgherd.testing.oci.world import Body, Resource, World

_CREATE = "CREATE_POSTGRESQL_DB_SYSTEM_BACKUP"
_UPDATE = "UPDATE_POSTGRESQL_DB_SYSTEM_BACKUP"
_DELETE = "DELETE_POSTGRESQL_DB_SYSTEM_BACKUP"


class Backups(Service):
    """CREATING -> ACTIVE -> DELETING -> DELETED, or FAILED."""

    package = "psql"

    def __init__(self, world: World, limits: Limits, works: WorkRequests) -> None:
        super().__init__(world)
        self.limits = limits
        self.works = works
        self.policies = Policies(world)

    def create_backup(self, request: Request) -> Answer:
        body = request.body
        self.compartment(body["compartmentId"])
        system = self.ready("db_system", body["dbSystemId"], request.region, "ACTIVE")
        self.limits.check("backup", request.region)
        if not 1 <= body.get("retentionPeriod", 1) <= 3650:
            raise invalid(f"retentionPeriod {body['retentionPeriod']} is not 1..3650 days")
        backup = self.taken(system, {"sourceType": "MANUAL", **body})
        rows: Rows = system.hidden["rows"]
        backup.hidden["rows"] = rows.until()

        def failed() -> None:
            self.world.touch(backup, lifecycleState="FAILED", lifecycleDetails=FAILURE)

        work = self.works.start(
            request, _CREATE, [(backup, "CREATED")], lambda: self._active([backup]), failed
        )
        return accepted(work_request=work)

    def taken(self, system: Resource, body: Body) -> Resource:
        """A backup of a system that has begun."""
        details = {key: system.body.get(key) for key in ("systemType", "dbVersion", "configId")}
        full = {
            "freeformTags": {},
            "definedTags": {},
            "systemTags": {},
            "copyStatus": [],
            "backupSize": 1,
            **body,
            "dbSystemId": system.id,
            "dbSystemDetails": details,
            "lifecycleState": "CREATING",
            "timeUpdated": self.world.stamp(),
        }
        return self.world.add("backup", system.region, full)

    def get_backup(self, request: Request) -> Answer:
        return shown(self._backup(request, gone=True))

    def list_backups(self, request: Request) -> Answer:
        special = ("id", "backupId", "timeStarted", "timeEnded", "backupSourceType")
        answer = self.listing(request, "backup", *special, gone=True)
        return Answer([body for body in answer.body if _listed(request, body)])

    def update_backup(self, request: Request) -> Answer:
        backup = self._backup(request)
        if backup.state != "ACTIVE":
            raise incorrect_state(f"the backup is {backup.state}")
        self.world.touch(backup, **request.body)
        return shown(backup)

    def delete_backup(self, request: Request) -> Answer:
        backup = self._backup(request)
        if backup.state not in ("ACTIVE", "FAILED"):
            raise incorrect_state(f"the backup is {backup.state}")
        self.world.touch(backup, lifecycleState="DELETING")
        work = self.works.start(
            request,
            _DELETE,
            [(backup, "DELETED")],
            lambda: self.world.touch(backup, lifecycleState="DELETED"),
            lambda: self.world.touch(backup, lifecycleState="FAILED"),
        )
        return accepted(work_request=work)

    def backup_copy(self, request: Request) -> Answer:
        backup = self._backup(request)
        if backup.state != "ACTIVE":
            raise incorrect_state(f"the backup is {backup.state}")
        body = request.body
        if not body["regions"]:
            raise invalid("regions is empty")
        self.policies.copies(request, body)
        there = {each["region"] for each in backup.body["copyStatus"]}
        again = there & set(body["regions"])
        if again:
            raise conflict(f"the backup has been copied to {sorted(again)}")
        copies = self.copied(backup, body["regions"], body)

        def failed() -> None:
            for copy in copies:
                self.world.touch(copy, lifecycleState="FAILED", lifecycleDetails=FAILURE)
            self._statuses(backup, copies, "FAILED")

        work = self.works.start(
            request,
            _UPDATE,
            [(backup, "UPDATED"), *((copy, "CREATED") for copy in copies)],
            lambda: self.copies_done(backup, copies),
            failed,
        )
        for copy in copies:
            copy.job = backup.job
        return accepted(work_request=work)

    def copied(self, backup: Resource, regions: Sequence[str], body: Body) -> list[Resource]:
        """Copies of a backup that have begun."""
        copies = []
        for region in regions:
            source = {"sourceRegion": backup.region, "sourceBackupId": backup.id}
            full = backup.body | {
                "compartmentId": body["compartmentId"],
                "retentionPeriod": body.get("retentionPeriod")
                or backup.body.get("retentionPeriod"),
                "sourceType": "COPIED",
                "sourceBackupDetails": source,
                "copyStatus": [],
                "lifecycleState": "CREATING",
                "id": self.world.new_id("backup", region),
            }
            copy = self.world.add("backup", region, full, full["id"])
            copy.hidden["rows"] = backup.hidden["rows"].until()
            copies.append(copy)
        self._statuses(backup, copies, "COPYING")
        return copies

    def copies_done(self, backup: Resource, copies: Sequence[Resource]) -> None:
        """They have arrived."""
        self._active(copies)
        self._statuses(backup, copies, "COPIED")

    def _statuses(self, backup: Resource, copies: Sequence[Resource], state: str) -> None:
        regions = {copy.region for copy in copies}
        others = [each for each in backup.body["copyStatus"] if each["region"] not in regions]
        new = [{"region": copy.region, "state": state, "backupId": copy.id} for copy in copies]
        self.world.touch(backup, copyStatus=others + new)

    def _active(self, backups: Sequence[Resource]) -> None:
        for backup in backups:
            self.world.touch(backup, lifecycleState="ACTIVE", timeUpdated=self.world.stamp())

    def _backup(self, request: Request, *, gone: bool = False) -> Resource:
        return self.find(request, "backup", request.path["backupId"], gone=gone)

    def by_policy(self) -> None:
        """Take and drop what the systems' daily policies ask for, up to now."""
        for system in self.world.of("db_system"):
            policy = system.body["managementPolicy"]["backupPolicy"]
            if policy["kind"] == "DAILY" and system.state in ("ACTIVE", "UPDATING"):
                self._daily(system, policy)
        now = self.world.now()
        for backup in self.world.of("backup"):
            until: datetime | None = backup.hidden.get("until")
            if until is not None and until <= now and not backup.is_gone:
                self.world.touch(backup, lifecycleState="DELETED")

    def _daily(self, system: Resource, policy: Body) -> None:
        clock = datetime.strptime(policy["backupStart"][:5], "%H:%M").time()
        created = datetime.fromisoformat(system.body["timeCreated"])
        due: datetime = system.hidden.get("next_backup") or _after(
            created, clock.hour, clock.minute
        )
        while due <= self.world.now():
            self._scheduled(system, policy, due)
            due += timedelta(days=1)
        system.hidden["next_backup"] = due

    def _scheduled(self, system: Resource, policy: Body, due: datetime) -> None:
        keep = policy["retentionDays"]
        body = {
            "displayName": f"Automatic backup {due:%Y-%m-%d}",
            "compartmentId": system.body["compartmentId"],
            "sourceType": "SCHEDULED",
            "retentionPeriod": keep,
        }
        backup = self.taken(system, body)
        backup.body |= {"timeCreated": due.isoformat(), "lifecycleState": "ACTIVE"}
        backup.hidden |= {
            "rows": system.hidden["rows"].until(due),
            "until": due + timedelta(days=keep),
        }
        copy = policy.get("copyPolicy")
        if copy is not None:
            copies = self.copied(backup, copy.get("regions") or [], copy)
            for each in copies:
                days = each.body.get("retentionPeriod") or keep
                each.body["timeCreated"] = due.isoformat()
                each.hidden["until"] = due + timedelta(days=days)
            self.copies_done(backup, copies)


def _after(moment: datetime, hour: int, minute: int) -> datetime:
    """The next time of day after a moment."""
    found = moment.replace(hour=hour, minute=minute, second=0, microsecond=0)
    return found if found > moment else found + timedelta(days=1)


def _listed(request: Request, body: Body) -> bool:
    query = request.query
    created = datetime.fromisoformat(body["timeCreated"])
    return (
        query.get("id") in (None, body["dbSystemId"])
        and query.get("backupId") in (None, body["id"])
        and query.get("backupSourceType") in (None, body["sourceType"])
        and ("timeStarted" not in query or created >= query["timeStarted"])
        and ("timeEnded" not in query or created <= query["timeEnded"])
    )
