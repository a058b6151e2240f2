"""A clock on the wall that jumps: sizes, alerts and what is mended follow clocks that do not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from played_controller import Played
from shifted_autopilot import shift

from pgherd.autopilot import controller, notifying, watching
from pgherd.autopilot.requests import Mend, Renew, Resize
from pgherd.fleet.receivers import Receiver
from pgherd.testing.fleets import database, fleet

AUTH = database("auth", ocpus=(2, 8), replicas=(1, 2))
ID = "production/auth"
HOUR = 3600
JUMPS = [0, HOUR, -HOUR, 30 * 24 * HOUR, -30 * 24 * HOUR, 0]


@pytest.fixture
def clock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """By how many seconds the controller's clock is wrong."""
    file = tmp_path / "shift"
    file.write_text("0")
    for module in (controller, notifying, watching):
        for name in ("time", "datetime"):
            if hasattr(module, name):
                monkeypatch.setattr(module, name, getattr(module, name))
    shift([controller, notifying, watching], file)
    return file


async def up() -> Played:
    return await Played(AUTH).up()


async def test_what_is_well_stays_as_it_is(clock: Path) -> None:
    played = await up()
    for seconds in JUMPS:
        clock.write_text(str(seconds))
        await played.rounds(3)
        assert played.store.samples.keys() == {ID}
    assert played.helper.asked == []
    assert played.store.told == []
    assert played.store.open_alerts == {}


@pytest.mark.parametrize("seconds", JUMPS)
async def test_what_needs_more_gets_it_once(clock: Path, seconds: int) -> None:
    played = await up()
    await played.rounds()
    clock.write_text(str(seconds))
    played.use(AUTH, 100.0)
    await played.rounds()
    (asked,) = played.helper.asked
    assert asked == Resize(ID, 4, asked.reason)
    played.grow(AUTH, 4)
    played.use(AUTH, 5.0)  # the smaller size would do, and not so soon
    for later in JUMPS:
        clock.write_text(str(later))
        await played.rounds(3)
    assert played.helper.asked == [asked]


async def test_what_is_ill_is_mended_and_told_as_before(clock: Path) -> None:
    played = await up()
    await played.rounds()
    played.world.break_instance(AUTH.id, "auth-2")
    for seconds in JUMPS:
        clock.write_text(str(seconds))
        await played.rounds(2)
        played.controller._due.pop("observe", None)
        await played.rounds()
        assert played.store.open_alerts.keys() == {("degraded", ID)}
    assert {type(request) for request in played.helper.asked} == {Mend, Renew}


async def test_receivers_are_told_of_it_and_of_its_end_and_not_of_each_jump(clock: Path) -> None:
    played = await up()
    wanted = replace(fleet(AUTH), notifications=(Receiver("pager", command=("/bin/page",)),))
    played.helper.fleet, played.helper.number = wanted, 2
    played.world.hide(AUTH.id, "no route")
    for seconds in (0, HOUR, HOUR + 1, 1, HOUR, -HOUR, HOUR):
        clock.write_text(str(seconds))
        played.controller._due.clear()
        await played.rounds()
    (told,) = played.helper.notified
    assert [alert.name for alert in told.firing] == ["unseen"]
    played.world.show(AUTH.id)
    for seconds in (HOUR, HOUR + 200, -HOUR, 0, HOUR, 2 * HOUR):
        clock.write_text(str(seconds))
        played.controller._due.clear()
        await played.rounds()
    _, ended = played.helper.notified
    assert [alert.name for alert in ended.ended] == ["unseen"]
    assert ended.firing == ()
