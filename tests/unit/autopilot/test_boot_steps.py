"""What happens at boot around a fleet: what is read, what is said, who is asked to leave."""

from __future__ import annotations

from pathlib import Path

import pytest

from pgherd.autopilot.boot import TAKE_OVER_SECONDS, boot, bring_back, take_over
from pgherd.autopilot.leave import main as leave
from pgherd.autopilot.place import place_of
from pgherd.autopilot.readiness import say_ready
from pgherd.errors import NeedsHuman, TryLater


class Clock:
    def __init__(self) -> None:
        self.seconds = 0.0

    def now(self) -> float:
        return self.seconds

    def sleep(self, seconds: float) -> None:
        self.seconds += seconds


def test_one_that_holds_its_lock_a_little_longer_is_waited_for() -> None:
    clock, asked = Clock(), []

    def run() -> None:
        if clock.seconds < 1:
            raise TryLater("it runs already")

    take_over(lambda: asked.append(clock.seconds), run, clock.now, clock.sleep)
    assert 1 <= clock.seconds < 1.5
    assert len(asked) > 2, "one that began meanwhile was not asked to leave"


def test_one_that_stays_is_told_of() -> None:
    clock = Clock()

    def run() -> None:
        raise TryLater("it runs already")

    with pytest.raises(TryLater, match="it runs already"):
        take_over(lambda: None, run, clock.now, clock.sleep)
    assert TAKE_OVER_SECONDS < clock.seconds < TAKE_OVER_SECONDS + 1


def test_other_trouble_is_not_waited_for() -> None:
    def run() -> None:
        raise NeedsHuman("the disk is full")

    with pytest.raises(NeedsHuman):
        take_over(lambda: None, run, Clock().now, Clock().sleep)


def test_where_nothing_was_applied_nothing_is_done(tmp_path: Path) -> None:
    said: list[str] = []
    assert not bring_back(place_of(tmp_path / "shop.applied"), said.append)
    assert said == ["nothing was applied to shop: nothing is done"]
    assert not list(tmp_path.iterdir())


def test_a_folder_that_others_may_change_is_not_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    # It clears its surroundings, which are to be as before when this test has ended.
    monkeypatch.setattr("os.environ", {"NOTIFY_SOCKET": "/nowhere"})
    folder = tmp_path / "shop.applied"
    folder.mkdir()
    folder.chmod(0o777)
    assert boot(str(folder)) == 2
    assert "may be changed by others" in capsys.readouterr().err


def test_its_surroundings_are_those_of_the_data_plane(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    surroundings = {"NOTIFY_SOCKET": "/nowhere", "PGHOST": "evil", "LD_PRELOAD": "evil"}
    monkeypatch.setattr("os.environ", surroundings)
    assert boot(str(tmp_path / "shop.applied")) == 0
    assert surroundings.keys() == {"PATH", "LANG", "HOME", "PGHERD_STATE"}
    assert surroundings["PGHERD_STATE"] == str(tmp_path)


def test_to_leave_is_no_trouble_where_none_runs(tmp_path: Path) -> None:
    leave(str(tmp_path / "shop.applied"))


@pytest.mark.parametrize("address", [None, ""])
def test_nobody_is_told_where_nobody_asked(address: str | None) -> None:
    say_ready(address)
