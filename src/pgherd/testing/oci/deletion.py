"""Scheduled deletion, as vaults, keys and secrets have it: only days ahead, and to be cancelled."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import partial

from pgherd.testing.oci import strict
from pgherd.testing.oci.calls import Request
from pgherd.testing.oci.refusals import incorrect_state, invalid
from pgherd.testing.oci.world import Resource, World

LONGEST = timedelta(days=30)
_LASTING = ("ACTIVE", "ENABLED", "DISABLED")


def schedule(
    world: World,
    request: Request,
    resource: Resource,
    soonest: timedelta,
    inside: Sequence[Resource] = (),
) -> None:
    """Let it be PENDING_DELETION until its day, and what is in it along with it."""
    if resource.state not in _LASTING:
        raise incorrect_state(f"{resource.id} is {resource.state}")
    at = _day(world, request, soonest)
    going = [resource, *(each for each in inside if each.state in _LASTING)]
    for each in going:
        each.hidden |= {"before_deletion": each.state, "deleted_with": resource.id}
        world.touch(each, lifecycleState="SCHEDULING_DELETION", timeOfDeletion=at.isoformat())

    def wait() -> None:
        for each in going:
            world.touch(each, lifecycleState="PENDING_DELETION")
            world.start([each], partial(world.touch, each, lifecycleState="DELETED"), due=at)

    world.start(going, wait)


def _day(world: World, request: Request, soonest: timedelta) -> datetime:
    at = world.now() + LONGEST
    if request.body.get("timeOfDeletion") is not None:
        at = strict.moment(request.body["timeOfDeletion"], "timeOfDeletion")
    ahead = at - world.now()
    if ahead < soonest - timedelta(minutes=1) or ahead > LONGEST + timedelta(minutes=1):
        raise invalid(f"timeOfDeletion must be {soonest.days}..{LONGEST.days} days ahead")
    return at


def cancel(world: World, resource: Resource, inside: Sequence[Resource] = ()) -> None:
    """Take it back, and with it what was only going along."""
    if resource.state != "PENDING_DELETION":
        raise incorrect_state(f"{resource.id} is {resource.state}")
    coming = [
        resource,
        *(each for each in inside if each.hidden.get("deleted_with") == resource.id),
    ]
    for each in coming:
        world.cancel(each)
        world.touch(each, lifecycleState="CANCELLING_DELETION", timeOfDeletion=None)

    def back() -> None:
        for each in coming:
            world.touch(each, lifecycleState=each.hidden["before_deletion"])

    world.start(coming, back)
