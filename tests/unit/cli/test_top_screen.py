"""The living screen of `top`, as keys drive it in a terminal of 80 columns."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from hostile import SHOWN, HostileShop, ensure_harmless
from hostile_history import told
from shop import AUTH, Shop
from test_top import ID, busy
from textual.pilot import Pilot

from pgherd.cli.fleet_option import read_text
from pgherd.cli.live.app import TopApp
from pgherd.cli.live.gathering import Gathering
from pgherd.cli.live.screens import DatabaseScreen, FleetScreen, HelpScreen
from pgherd.cli.states import style_of
from pgherd.errors import TryLater
from pgherd.fleet.desired import DatabaseId
from pgherd.report.sparkline import PLAIN
from pgherd.report.top import Order

ORDER = "production/order"


@asynccontextmanager
async def top(
    shop: Shop, target: str | None = None, size: tuple[int, int] = (80, 24)
) -> AsyncIterator[Pilot[int]]:
    """It runs, and has looked once."""
    fleet = read_text(shop.file.read_text(), shop.file)
    gathering = Gathering(shop.surroundings(), fleet)
    app = TopApp(gathering, target=target, seconds=3600.0, marks=PLAIN, style_of=style_of)
    async with app.run_test(size=size) as pilot:
        await until(pilot, lambda: app.found is not None)
        await pilot.pause()
        yield pilot


async def until(pilot: Pilot[int], holds: Callable[[], bool]) -> None:
    for _ in range(500):
        if holds():
            return
        await pilot.pause(0.01)
    raise AssertionError("it does not come to that")


def app_of(pilot: Pilot[int]) -> TopApp:
    assert isinstance(pilot.app, TopApp)
    return pilot.app


def lines(pilot: Pilot[int]) -> list[str]:
    """What stands on the screen."""
    compositor = pilot.app.screen._compositor
    width, height = pilot.app.size
    strips = compositor.render_strips()
    found = ["".join(segment.text for segment in strip).rstrip() for strip in strips]
    assert len(found) == height
    assert all(len(line) <= width for line in found)
    return found


def rows(pilot: Pilot[int]) -> list[str]:
    """The names of the databases that are shown, from the top."""
    names = [line.split()[0] for line in lines(pilot)[4:-2] if line]
    return [name for name in names if "/" in name]


@pytest.fixture
def shown(running: Shop) -> Shop:
    busy(running)
    return running


async def test_80_columns_show_the_fleet(shown: Shop) -> None:
    async with top(shown) as pilot:
        await until(pilot, lambda: "ocpus 2 → 4" in lines(pilot)[-2])
        found = lines(pilot)
        assert found[0] == "autopilot runs, last round 3.0 s ago, 0 alerts"
        heading = "DATABASE STATE OCPUS CPU 10 MIN MEM CONN WAIT TPS LAG"
        assert " ".join(found[3].split()) == heading
        assert found[4].startswith("production/auth  running 4 of 2..8  37%")
        assert rows(pilot) == [ID, ORDER, "staging/auth", "staging/order"]
        assert found[-2].startswith(f"{ID}: ")
        assert found[-2].endswith("CPU was short")
        assert "q" in found[-1]


async def test_keys_sort_as_in_top(shown: Shop) -> None:
    shown.world.usage[DatabaseId("staging", "order")] = [busier(shown)]
    async with top(shown) as pilot:
        for key, order in {
            "P": Order.CPU,
            "m": Order.MEMORY,
            "T": Order.TRANSACTIONS,
            "C": Order.CLIENTS,
            "W": Order.WAITING,
            "L": Order.LAG,
            "N": Order.NAME,
            "F": Order.FILE,
            "c": Order.CPU,
        }.items():
            await pilot.press(key)
            assert app_of(pilot).picked.order is order
        assert rows(pilot)[:2] == ["staging/order", ID]
        await pilot.press("R")
        assert rows(pilot)[:2] == [ID, "staging/order"]
        assert "by CPU, reversed" in lines(pilot)[2]


def busier(shop: Shop) -> Any:
    from dataclasses import replace

    return replace(shop.world.usage[AUTH][0], cpu_percent=99.0)


async def test_a_filter_is_typed_and_taken_back(shown: Shop) -> None:
    async with top(shown) as pilot:
        await pilot.press("slash", *"order", "space", *"stag")
        assert rows(pilot) == ["staging/order"]
        await pilot.press("enter")
        assert "with 'order stag'" in lines(pilot)[2]
        await pilot.press("slash", "escape")
        assert len(rows(pilot)) == 4
        await pilot.press("slash", *"qPh", "enter")  # keys are letters meanwhile
        assert rows(pilot) == []
        assert "no database" in lines(pilot)[1]
        await pilot.press("enter", "down", "end")  # with nothing chosen they do nothing
        assert isinstance(pilot.app.screen, FleetScreen)


async def test_environments_come_one_after_the_other(shown: Shop) -> None:
    async with top(shown, "staging") as pilot:
        assert rows(pilot) == ["staging/auth", "staging/order"]
        await pilot.press("e")
        assert len(rows(pilot)) == 4
        await pilot.press("e")
        assert rows(pilot) == [ID, ORDER]


async def test_a_database_is_opened_and_left(shown: Shop) -> None:
    async with top(shown) as pilot:
        await pilot.press("down", "up", "enter")
        assert isinstance(pilot.app.screen, DatabaseScreen)
        await until(pilot, lambda: any("are needed" in line for line in lines(pilot)))
        found = lines(pilot)
        assert found[0] == f"{ID}: running"
        assert any(line.startswith("auth-1   primary running") for line in found)
        assert any(line.startswith("transactions") for line in found)
        assert any("CPU was short" in line for line in found)
        await pilot.press("escape")
        assert isinstance(pilot.app.screen, FleetScreen)


async def test_a_database_that_is_named_is_opened_at_once(shown: Shop) -> None:
    async with top(shown, ID) as pilot:
        assert isinstance(pilot.app.screen, DatabaseScreen)
        await pilot.press("escape")
        assert rows(pilot) == [ID, ORDER]


async def test_the_chosen_one_stays_chosen_wherever_it_is_sorted_to(shown: Shop) -> None:
    async with top(shown) as pilot:
        await pilot.press("down", "R")
        screen = pilot.app.screen
        assert isinstance(screen, FleetScreen)
        assert screen.chosen == ORDER
        await pilot.press("end", "down", "pagedown")
        assert screen.chosen == ID
        await pilot.press("home", "pageup")
        assert screen.chosen == "staging/order"


async def test_more_rows_than_there_is_room_for_scroll(shown: Shop) -> None:
    async with top(shown, size=(80, 8)) as pilot:
        assert rows(pilot) == [ID, ORDER]
        await pilot.press("down", "down")
        assert rows(pilot) == [ORDER, "staging/auth"]
        await pilot.press("home")
        assert rows(pilot) == [ID, ORDER]


async def test_it_stands_still_and_goes_on(shown: Shop) -> None:
    async with top(shown) as pilot:
        before = app_of(pilot).found
        await pilot.press("space")
        assert "PAUSED" in lines(pilot)[2]
        await asyncio.sleep(0.05)
        assert app_of(pilot).found is before
        await pilot.press("space")
        await until(pilot, lambda: app_of(pilot).found is not before)
        assert "PAUSED" not in lines(pilot)[2]


async def test_the_interval_is_changed(shown: Shop) -> None:
    async with top(shown) as pilot:
        await pilot.press("minus", "minus")
        assert app_of(pilot).seconds == 30.0
        await pilot.press("plus", "s")
        assert app_of(pilot).seconds == 1.0
        assert "every 1 s" in lines(pilot)[2]


async def test_help_has_every_key_on_one_screen(shown: Shop) -> None:
    async with top(shown) as pilot:
        await pilot.press("h")
        assert isinstance(pilot.app.screen, HelpScreen)
        found = lines(pilot)
        assert found[0].startswith("KEYS")
        assert any("What is not known is blank." in line for line in found)
        await pilot.press("escape")
        assert isinstance(pilot.app.screen, FleetScreen)


@pytest.mark.parametrize("key", ["q", "ctrl+c", "ctrl+q"])
async def test_it_is_left(shown: Shop, key: str) -> None:
    async with top(shown) as pilot:
        await pilot.press(key)
    assert pilot.app.return_code == 0
    assert pilot.app.return_value == 0


async def test_trouble_is_told_and_what_was_seen_stays(
    shown: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with top(shown) as pilot:

        async def fail(gathering: Gathering) -> Any:
            raise TryLater("nobody answers")

        monkeypatch.setattr(Gathering, "look", fail)
        await pilot.press("space", "space")
        await until(pilot, lambda: "nobody answers" in lines(pilot)[2])
        assert ID in rows(pilot)


async def test_a_fault_ends_it_with_its_error(shown: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    async with top(shown) as pilot:

        async def fail(gathering: Gathering) -> Any:
            raise ValueError("odd")

        monkeypatch.setattr(Gathering, "look", fail)
        await pilot.press("space", "space")
        await until(pilot, lambda: app_of(pilot).error is not None)
    assert isinstance(app_of(pilot).error, ValueError)
    assert pilot.app.return_code == 1


async def test_without_colour_states_and_the_chosen_row_are_still_seen(
    shown: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    async with top(shown) as pilot:
        strips = pilot.app.screen._compositor.render_strips()
        segments = [s for strip in strips for s in strip if s.text.strip()]
        colours = {s.style.color for s in segments if s.style and s.style.color}
        assert all(colour.is_default for colour in colours)
        chosen = [s for s in strips[4] if "production/auth" in s.text]
        assert chosen and all(s.style and s.style.reverse for s in chosen)
        assert "running" in lines(pilot)[4]


async def test_a_wide_screen_shows_the_last_event_in_the_row(shown: Shop) -> None:
    async with top(shown, size=(160, 24)) as pilot:
        await until(pilot, lambda: "CPU was short" in lines(pilot)[4])
        assert "LAST EVENT" in lines(pilot)[3]


@pytest.mark.parametrize("size", [(1, 1), (10, 4), (40, 10)])
async def test_no_screen_is_too_small(shown: Shop, size: tuple[int, int]) -> None:
    async with top(shown, size=size) as pilot:
        await pilot.press("down", "enter", "h", "escape", "escape", "slash", "a", "escape", "e")
        lines(pilot)


@pytest.fixture
def hostile(tmp_path: Path) -> HostileShop:
    shop = HostileShop(tmp_path)
    shop.out("up")
    busy(shop)
    shop.is_hostile = True
    told(shop)
    return shop


async def test_what_others_wrote_is_shown_and_does_nothing(hostile: HostileShop) -> None:
    async with top(hostile, size=(2000, 60)) as pilot:
        await until(pilot, lambda: SHOWN in lines(pilot)[4])
        for key in ("home", "e", "e", "enter", "escape", "end", "enter"):
            await pilot.press(key)
            said = ensure_harmless("\n".join(lines(pilot)))
            assert SHOWN in said
