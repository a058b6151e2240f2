"""`simulate`: a load against the rules for sizes, and what fixed sizes would have cost."""

from pathlib import Path

import pytest
from shop import FLEET, Shop


def test_it_compares_the_autopilot_with_sizes_that_never_change(shop: Shop) -> None:
    title, header, _, *rows = shop.out("simulate", "production", "--days", "7").splitlines()
    assert title == "days and weeks, and a Black Friday: 2 databases, 7 days"
    assert header.split() == [
        *("Sizes", "OCPU", "hours", "Unused", "Short,", "min", "Exhausted", "Resizes", "Cost")
    ]
    assert [row[:12].strip() for row in rows[:4]] == [
        "autopilot",
        "initial size",
        "maximum size",
        "P99.5 + 20 %",
    ]
    assert "672" in rows[1].split()  # 2 OCPUs, 2 databases, 7 days


def test_programs_get_numbers(shop: Shop) -> None:
    found = shop.json("simulate", "production/auth", "--days", "7", "--load", "square-wave")
    assert (found["databases"], found["days"]) == (1, 7)
    assert 0 < found["scale_downs"] <= found["resizes"] / 2
    assert found["compute_ratio"] == pytest.approx(
        found["beside"]["P99.5 + 20 %"]["ocpu_hours"] / found["ocpu_hours"]
    )
    assert set(found) >= {"exhaustions_per_database_month", "throttled_minutes", "cost"}
    assert found["beside"]["maximum size"]["ocpu_hours"] == 8 * 7 * 24
    assert found["beside"]["initial size"]["resizes"] == 0


def test_the_same_load_is_the_same_again(shop: Shop) -> None:
    assert shop.json("simulate", "--days", "2") == shop.json("simulate", "--days", "2")


def test_a_database_that_is_not_to_change_stays_as_it_is(shop: Shop) -> None:
    found = shop.json("simulate", "staging", "--days", "1")
    assert found["resizes"] == 0
    assert found["ocpu_hours"] == 2 * 2 * 24


def test_a_load_of_ones_own(shop: Shop, tmp_path: Path) -> None:
    own = tmp_path / "own.yaml"
    own.write_text("means: nothing to do\nhours: [" + ", ".join(["0"] * 24) + "]\n")
    found = shop.json("simulate", "production/auth", "--days", "1", "--load", str(own))
    assert (found["ocpu_hours"], found["slack"]) == (48.0, 1.0)
    own.write_text("means: nothing\nhours: 7\n")
    complaint = shop.err("simulate", "--load", str(own), exit_code=2)
    assert "is no shape: Expected `array`, got `int` - at `$.hours`" in complaint


IDLE = "means: nothing to do\nhours: [" + ", ".join(["0"] * 24) + "]\n"
PEAK = "peaks: {dates: [2026-11-03], from: 08:00, to: 20:00, ocpus: 8, timezone: Asia/Tokyo}"


def test_peaks_are_met_on_their_days(shop: Shop, tmp_path: Path) -> None:
    """A load's hours are those of its customers' clocks, and so are those of its peaks."""
    shop.write(FLEET.replace("ocpus: 2..8\n", f"ocpus: 2..8\n    {PEAK}\n"))
    idle = tmp_path / "idle.yaml"
    idle.write_text(IDLE)
    command = ("simulate", "production/auth", "--days", "2", "--load", str(idle))
    met = shop.json(*command)
    peak, after = 8 * (12 + 1 / 6), 4 * 0.5
    assert met["resizes"] == 3
    assert met["ocpu_hours"] == pytest.approx(2 * (48 - 12 - 1 / 6 - 0.5) + peak + after, abs=4)
    assert shop.json(*command, "--from", "2026-11-09")["ocpu_hours"] == 2 * 48


def test_it_begins_on_a_monday(shop: Shop) -> None:
    said = shop.err("simulate", "--from", "2026-11-05", exit_code=2)
    assert "--from: 2026-11-05 is not a Monday" in said
    assert "write 2026-11-02" in said
    for far in ("0001-01-01", "9999-12-27"):
        assert "out of range" in shop.err("simulate", "--from", far, exit_code=2)


def test_what_is_not_there_is_refused(shop: Shop) -> None:
    assert "'nowhere' is neither" in shop.err("simulate", "nowhere", exit_code=2)
    assert "there is no shape 'nothing'" in shop.err("simulate", "--load", "nothing", exit_code=2)
