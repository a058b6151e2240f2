"""Scheduled deletion, as vaults, keys and secrets have it: only days ahead, and to be cancelled."""

from __future__ import annotations

from datetime import timedelta

from pgherd.testing.oci import strict
from pgherd.testing.oci.calls import Request
from pgherd.testing.oci.refusals import incorrect_state, invalid
from pgherd.testing.oci.world import Resource, World

LONGEST = timedelta(days=30)


def schedule(
    world: World, request: Request, resource: Resource, soonest: timedelta, state: str
) -> None:
    """Let it be PENDING_DELETION until its day; `state` is the one to come back to."""
    if resource.state != state and resource.state != "DISABLED":
        raise incorrect_state(f"{resource.id} is {resource.state}")
    at = world.now() + LONGEST
    if request.body.get("timeOfDeletion") is not None:
        at = strict.moment(request.body["timeOfDeletion"], "timeOfDeletion")
    ahead = at - world.now()
    if ahead < soonest - timedelta(minutes=1) or ahead > LONGEST + timedelta(minutes=1):
        raise invalid(f"timeOfDeletion must be {soonest.days}..{LONGEST.days} days ahead")
    resource.hidden["before_deletion"] = resource.state
    world.touch(resource, lifecycleState="SCHEDULING_DELETION", timeOfDeletion=at.isoformat())

    def wait() -> None:
        world.touch(resource, lifecycleState="PENDING_DELETION")
        world.start([resource], gone, due=at)

    def gone() -> None:
        world.touch(resource, lifecycleState="DELETED")

    world.start([resource], wait)


def cancel(world: World, resource: Resource) -> None:
    """Take it back."""
    if resource.state != "PENDING_DELETION":
        raise incorrect_state(f"{resource.id} is {resource.state}")
    world.cancel(resource)
    world.touch(resource, lifecycleState="CANCELLING_DELETION", timeOfDeletion=None)
    state = resource.hidden["before_deletion"]
    world.start([resource], lambda: world.touch(resource, lifecycleState=state))
