"""Backup and recovery policies of a system: what is taken, and how it is read back."""

from __future__ import annotations

import re

from pgherd.testing.oci.calls import Request, Service
from pgherd.testing.oci.refusals import invalid
from pgherd.testing.oci.world import Body

LONGEST_RETENTION = 35
_WINDOW = re.compile(r"(MON|TUE|WED|THU|FRI|SAT|SUN) ([01]\d|2[0-3]):[0-5]\d")
_CLOCK = re.compile(r"([01]\d|2[0-3]):[0-5]\d( UTC)?")


class Policies(Service):
    """Checks a policy against what else there is, and fills in what was left out."""

    package = "psql"

    def read_back(self, request: Request, wanted: Body, now: Body | None = None) -> Body:
        """The whole policy after a change of some of it."""
        policy = {
            "maintenanceWindowStart": "SUN 04:00",
            "backupPolicy": {"kind": "NONE"},
            "pitrPolicy": {"kind": "NONE"},
            **(now or {}),
            **{key: value for key, value in wanted.items() if value is not None},
        }
        window = policy["maintenanceWindowStart"].removesuffix(" UTC")
        if not _WINDOW.fullmatch(window):
            raise invalid(f"maintenanceWindowStart {window!r} must look like 'SUN 12:00'")
        policy["maintenanceWindowStart"] = window
        policy["backupPolicy"] = self._backups(request, dict(policy["backupPolicy"]))
        _recovery(policy["pitrPolicy"])
        return policy

    def _backups(self, request: Request, policy: Body) -> Body:
        if policy["kind"] == "NONE":
            return policy
        policy.setdefault("retentionDays", 7)
        if not 1 <= policy["retentionDays"] <= LONGEST_RETENTION:
            raise invalid(f"retentionDays {policy['retentionDays']} is not 1..{LONGEST_RETENTION}")
        start = policy["backupStart"]
        if not _CLOCK.fullmatch(start):
            raise invalid(f"backupStart {start!r} must look like '02:00'")
        policy["backupStart"] = start.removesuffix(" UTC") + " UTC"
        for day in policy.get("daysOfTheMonth") or []:
            if not 1 <= day <= 28:
                raise invalid(f"daysOfTheMonth {day} is not 1..28")
        if policy.get("copyPolicy") is not None:
            self.copies(request, policy["copyPolicy"])
        return policy

    def copies(self, request: Request, policy: Body) -> None:
        """Copies go to other subscribed regions, into a compartment that exists."""
        self.compartment(policy["compartmentId"])
        for region in policy.get("regions") or []:
            if region not in self.world.regions:
                raise invalid(f"the tenancy is not subscribed to region {region!r}")
            if region == request.region:
                raise invalid(f"a copy must go to another region than {region}")
        for key in policy.get("kmsKeyIds") or []:
            regions = policy.get("regions") or []
            if not any(
                key == each.id for region in regions for each in self.world.of("key", region)
            ):
                raise invalid(f"kmsKeyIds: {key} is in none of the regions")


def _recovery(policy: Body) -> None:
    days = policy.get("restoreDays")
    if policy["kind"] == "STANDARD" and not 1 <= (days or 0) <= LONGEST_RETENTION:
        raise invalid(f"restoreDays {days} is not 1..{LONGEST_RETENTION}")
