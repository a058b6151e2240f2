"""`simulate`: a load against the rules for sizes, and what fixed sizes would have cost."""

from pathlib import Path

import pytest
from shop import Shop


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


def test_what_is_not_there_is_refused(shop: Shop) -> None:
    assert "'nowhere' is neither" in shop.err("simulate", "nowhere", exit_code=2)
    assert "there is no shape 'nothing'" in shop.err("simulate", "--load", "nothing", exit_code=2)
