"""What the controller has mended, how many at once, and what the history says of it."""

from __future__ import annotations

from typing import Any

import pytest
from played_controller import Played

from pgherd.autopilot import asking, controller
from pgherd.autopilot.requests import HandOver, Mend, Renew, Replicas, Restart
from pgherd.errors import NeedsHuman
from pgherd.testing.fleets import database

AUTH = database("auth", ocpus=(2, 8), replicas=(1, 2))
ID = "production/auth"


async def up(*databases: Any) -> Played:
    return await Played(*(databases or (AUTH,))).up()


async def test_what_is_damaged_is_mended_once_it_was_seen_twice() -> None:
    played = await up()
    played.world.break_instance(AUTH.id, "auth-2")
    await played.rounds()
    assert played.helper.asked == []
    await played.rounds()
    reason = "1 of 2 instances serve: auth-2 is failed"
    assert Mend(ID, reason) in played.helper.asked
    await played.until(lambda: len(played.store.told) == 2)
    told = {event.kind: event for event in played.store.told}
    assert (told["repair"].database, told["repair"].environment) == (ID, None)
    assert (told["repair"].reason, told["repair"].details) == (reason, {"seconds": 1.5})
    assert (told["renew"].database, told["renew"].environment) == (None, "production")


async def test_what_is_stopped_stays_so() -> None:
    played = await up()
    await played.engines["memory"].ensure_stopped(AUTH.id)
    await played.engines["memory"].ensure_environment_stopped("production")
    await played.rounds(3)
    assert played.helper.asked == []
    assert played.store.open_alerts == {}


@pytest.mark.parametrize(
    ("asked", "kind", "details"),
    [
        (Mend(ID, "why"), "repair", {}),
        (Replicas(ID, 2, "why"), "replicas", {"replicas": 2}),
        (Restart(ID, "auth-2", "why"), "restart", {}),
        (HandOver(ID, "auth-2", "why"), "switchover", {}),
        (Renew("production", "why"), "renew", {}),
    ],
)
@pytest.mark.parametrize("error", [None, NeedsHuman("no room")])
async def test_history_has_plain_words(
    asked: Any, kind: str, details: Any, error: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    played = await up()
    played.helper.error = error
    name = asked.environment if isinstance(asked, Renew) else ID
    monkeypatch.setattr("pgherd.autopilot.keeping.requests", lambda *_: {name: asked})
    await played.rounds(2)
    (event,) = played.store.told
    if error:
        assert event.kind == f"{kind}-failed"
        assert event.details == details | {"failed": "no room"}
    else:
        assert event.kind == kind
        assert event.details == details | {"seconds": 1.5}


async def test_a_repair_that_fails_again_and_again_is_told_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(asking, "AGAIN_SECONDS", 0.0)
    played = await up()
    played.world.break_instance(AUTH.id, "auth-2")
    played.helper.error = NeedsHuman("no room")
    await played.rounds(5)
    assert len(played.helper.asked) > 4
    assert sorted(played.kinds()) == ["renew-failed", "repair-failed"]


async def test_only_some_of_an_environment_are_mended_at_once() -> None:
    services = [database(f"s{n}", replicas=(1, 1)) for n in range(7)]
    played = await up(*services)
    for one in services:
        played.world.break_instance(one.id, f"{one.id.service}-2")
    played.helper.is_open.clear()
    await played.rounds(4)
    mended = [request for request in played.helper.asked if isinstance(request, Mend)]
    assert len(mended) == controller.MOST_AT_ONCE
    played.helper.is_open.set()
    await played.rounds(4)
    assert len({r.database for r in played.helper.asked if isinstance(r, Mend)}) == 7
