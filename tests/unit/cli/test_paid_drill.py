"""`pgherd drill restore` where the copy costs: the price first, and somebody who agrees to it."""

from datetime import timedelta
from pathlib import Path

import pytest
from shop import AUTH, Shop

from pgherd.contract.proofs import Hire

DRILL = ("drill", "restore", "production/auth")
HIRE = Hire(2, 3600.0, 10**12)
PRICE = "this makes a copy of 2 OCPUs for about 60 min, with 1.00TB: about $0.42"
"""2 x 0.16 for the hour, and 1024 x 0.072 / 730 for the storage."""


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    shop = Shop(tmp_path)
    shop.out("up")
    shop.world.write(AUTH, "one")
    shop.out("backup", "now", "production/auth")
    shop.now += timedelta(minutes=1)
    shop.world.hire = HIRE
    return shop


def is_proven(shop: Shop) -> bool:
    return bool(shop.json("backup", "list", "production/auth")["proof"])


@pytest.mark.parametrize(
    ("options", "is_interactive"), [((), False), (("--json",), True)], ids=["nobody", "json"]
)
def test_it_is_refused_where_nobody_can_be_asked(
    shop: Shop, options: tuple[str, ...], is_interactive: bool
) -> None:
    shop.is_interactive = is_interactive
    said = shop.err(*DRILL, *options, exit_code=2)
    assert f"{PRICE}, and nobody is there to agree" in said
    assert "write pgherd drill restore production/auth --yes-pay" in said
    assert not is_proven(shop)


@pytest.mark.parametrize(("typed", "exit_code"), [("yes", 0), ("no", 2), ("", 2)])
def test_who_is_there_is_asked(shop: Shop, typed: str, exit_code: int) -> None:
    shop.is_interactive = True
    result = shop.run(*DRILL, typed=f"{typed}\n")
    assert result.exit_code == exit_code, result.output
    assert PRICE in result.output
    assert ("not agreed: nothing was made" in result.output) is (exit_code != 0)
    assert is_proven(shop) is (exit_code == 0)


def test_a_flag_agrees_and_the_price_is_said_all_the_same(shop: Shop) -> None:
    result = shop.run(*DRILL, "--yes-pay")
    assert result.exit_code == 0, result.output
    assert PRICE in result.stderr
    assert "proven, back in" in result.stdout
    assert shop.json(*DRILL, "--yes-pay")["ok"] is True


def test_storage_that_nobody_knows_is_that_of_the_fleet_file(shop: Shop) -> None:
    shop.world.hire = Hire(1, 1800.0)
    said = shop.run(*DRILL, "--yes-pay").stderr
    assert "a copy of 1 OCPU for about 30 min, with 1.00TB: about $0.13" in said


def test_nothing_is_asked_where_it_costs_nothing(shop: Shop) -> None:
    shop.world.hire, shop.is_interactive = None, True
    result = shop.run(*DRILL)
    assert result.exit_code == 0, result.output
    assert "about $" not in result.output
