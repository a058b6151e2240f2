"""`top` where it prints once, as a user runs it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence

import pytest
from shop import AUTH, NOW, Shop

from pgherd.autopilot.now import Now, NowOfDatabase
from pgherd.autopilot.reading import History, Load, ReadAlert, ReadEvent, Wanted
from pgherd.contract.meter import InstanceUsage, Usage
from pgherd.errors import TryLater

ID = str(AUTH)
USED = Usage(
    NOW,
    cpu_percent=37.0,
    memory_percent=61.0,
    ocpus=4,
    transactions_per_second=1234.0,
    clients=20,
    waiting_clients=3,
    longest_wait_seconds=1.2,
    instances={"auth-1": InstanceUsage(is_primary=True, cpu_percent=37.0, throttled_percent=9.0)},
)


@pytest.fixture(autouse=True)
def wide(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever terminal the tests run in."""
    monkeypatch.setenv("COLUMNS", "200")


def busy(shop: Shop) -> None:
    """`production/auth` is measured, and has a past."""
    shop.world.usage[AUTH] = [USED]
    at = NOW.timestamp()
    why = NowOfDatabase(4, 4, "cpu", "3.1 of 4 OCPUs are needed", 2, 8, True, None, 37.0, 61.0, 1.0)
    change = {"ocpus": {"from": 2, "to": 4}}
    shop.autopilot.told = History(
        [ReadEvent(NOW, "scale", "CPU was short", "production", ID, change)],
        [ReadAlert("lag", ID, NOW, "it lags", "look at it")],
        Now(at, {ID: why}),
        loads={ID: [Load(at - 60, 90.0, 1000.0, 20.0)]},
    )


def cells(printed: str, name: str = ID) -> Sequence[str]:
    (line,) = (line for line in printed.splitlines() if line.startswith(f"{name} "))
    return line.split()


def test_a_row_has_all_that_is_known(running: Shop) -> None:
    busy(running)
    found = running.out("top", "--once")
    lines = found.splitlines()
    assert lines[0] == "autopilot runs, last round 3.0 s ago, 0 alerts"
    assert "20 clients, 3 waiting; 1234 tps" in lines[1]
    words = " ".join(cells(found))
    assert words.startswith(f"{ID} running 4 of 2..8 37% ")
    assert " 61% 20 3 1.2s 1234 0B " in words
    assert words.endswith("ocpus 2 → 4: CPU was short")
    assert "█" in words


def test_where_nothing_is_measured_the_state_is_shown_and_no_number(shop: Shop) -> None:
    shop.out("up", "--no-autopilot")
    found = shop.out("top", "--once")
    assert found.startswith("autopilot does not run: `pgherd up` starts it\n")
    assert cells(found) == [ID, "running", "2", "of", "2..8", "0B"]


def test_what_is_not_there_is_absent(shop: Shop) -> None:
    found = shop.out("top")
    assert cells(found) == [ID, "absent", "?", "of", "2..8"]


def test_in_a_pipe_it_prints_once_without_being_told(running: Shop) -> None:
    assert cells(running.out("top")) == cells(running.out("top", "--once"))


def test_one_environment_alone(running: Shop) -> None:
    found = running.out("top", "staging")
    assert "production" not in found
    assert cells(found, "staging/auth")[1] == "running"


def test_one_database_with_all_of_it(running: Shop) -> None:
    busy(running)
    found = running.out("top", ID)
    assert f"{ID}: 4 OCPUs of 2..8: 3.1 of 4 OCPUs are needed" in found
    assert "alert: it lags; look at it" in found
    assert "20 clients, 3 waiting for up to 1.2s" in found
    (primary,) = (line.split() for line in found.splitlines() if line.startswith("auth-1"))
    assert primary[:6] == ["auth-1", "primary", "running", "1", "37%", "9%"]
    assert found.splitlines()[-1].endswith("ocpus 2 → 4: CPU was short")


@pytest.mark.parametrize("target", ["nowhere", "production/nobody"])
def test_a_name_that_nobody_knows_is_refused(running: Shop, target: str) -> None:
    assert "is neither an environment nor a database" in running.err("top", target, exit_code=2)


def test_a_history_that_cannot_be_read_takes_nothing_else_away(
    running: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(wanted: Wanted) -> History:
        raise TryLater("it cannot be read")

    busy(running)
    monkeypatch.setattr(running.autopilot, "read", fail)
    assert "37%" in cells(running.out("top"))


def test_an_engine_that_cannot_see_says_why(running: Shop) -> None:
    busy(running)
    running.world.blind_next(TryLater("it is busy"))
    found = running.out("top")
    assert cells(found)[1] == "unknown"
    assert "it is busy" in found


@pytest.mark.parametrize("width", ["80", "60"])
def test_no_line_is_wider_than_asked_for(
    running: Shop, width: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    busy(running)
    monkeypatch.setenv("COLUMNS", width)
    found = running.out("top", "--once").splitlines()
    assert max(map(len, found)) <= int(width)
    assert cells("\n".join(found))[1:5] == ["running", "4", "of", "2..8"]


def test_other_verbs_do_not_wait_for_textual() -> None:
    """It takes a while to import."""
    code = (
        "import sys; import pgherd.cli.main, pgherd.cli.status, pgherd.cli.top,"
        " pgherd.cli.live.drawing; print('textual' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
