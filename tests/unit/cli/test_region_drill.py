"""`pgherd drill region`: what came up from copies, what did not, and that nothing is left."""

from __future__ import annotations

from datetime import timedelta

import pytest
from shop import FLEET, NOW, Shop

from pgherd.contract.backups import BackupCopy
from pgherd.errors import TryLater

COPIED = FLEET.replace("ocpus: 2..8", "ocpus: 2..8\n    backup: {copy_to: [vault, attic]}")
VAULT = BackupCopy("vault", NOW - timedelta(minutes=2))


@pytest.fixture
def copied(shop: Shop) -> Shop:
    shop.write(COPIED)
    shop.out("up")
    shop.world.copies = (VAULT,)
    return shop


def drill(shop: Shop, *options: str) -> str:
    return shop.out("drill", "region", "production", "--region", "vault", *options)


def test_an_environment_comes_up_from_its_copies_and_goes(copied: Shop) -> None:
    before = set(copied.world.databases)
    said = drill(copied)
    assert "production/auth" in said
    assert "all of production served after" in said
    found = copied.json("drill", "region", "production", "--region", "vault")
    assert (found["environment"], found["region"], found["ok"]) == ("production", "vault", True)
    assert found["rpo_seconds"] >= 120
    assert [one["database"] for one in found["databases"]] == [
        "production/auth",
        "production/order",
    ]
    assert set(copied.world.databases) == before
    assert set(copied.world.environments) == {"production", "staging"}


def test_one_that_does_not_come_up_is_told_of_and_nothing_is_left(copied: Shop) -> None:
    before = set(copied.world.databases)
    copied.world.fail_next("restore", TryLater("its disk is full"))
    said = copied.err("drill", "region", "production", "--region", "vault", exit_code=4)
    assert "production does not come up from vault: production/auth: its disk is full" in said
    assert set(copied.world.databases) == before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("production",), "production has copies in attic, vault"),
        (("production", "--region", "moon"), "production has no copies in moon"),
        (("staging",), "staging has no copies elsewhere"),
        (("nowhere",), "'nowhere' is not an environment"),
    ],
)
def test_what_cannot_be_drilled_is_one_clear_line(
    copied: Shop, arguments: tuple[str, ...], message: str
) -> None:
    assert message in copied.err("drill", "region", *arguments, exit_code=2)


def test_a_copy_that_is_not_there_yet_is_no_copy(copied: Shop) -> None:
    said = copied.err("drill", "region", "production", "--region", "attic", exit_code=4)
    assert "its backups have no copy in attic" in said
