"""What an engine cannot do is one clear line, and stands in nobody's way."""

from dataclasses import replace
from pathlib import Path

import pytest
from shop import AUTH, Shop

from pgherd.contract.engine import Engine
from pgherd.testing.memory.engine import MemoryEngine


class BareShop(Shop):
    """Its engine has no ability but what every engine must have."""

    def engine(self, name: str) -> Engine:
        engine = MemoryEngine(self.world, name=name)
        engine.backups = engine.certificates = engine.logs = None
        engine.meter = engine.reach = engine.settings = None
        return engine


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    shop = BareShop(tmp_path)
    shop.heads[AUTH] = "0001"
    shop.out("up")
    return shop


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("backup list production/auth", "engine local takes no backups yet"),
        ("backup now production/auth", "engine local takes no backups yet"),
        (
            "restore production/auth --to 2026-05-04T12:00 --as copy",
            "engine local takes no backups yet",
        ),
        ("certificates", "engine local makes no certificates"),
        ("certificates production --rotate", "engine local makes no certificates"),
        ("logs production/auth", "engine local shows no logs"),
    ],
)
def test_a_command_says_what_the_engine_lacks(shop: Shop, line: str, message: str) -> None:
    told = shop.err(*line.split(), exit_code=2)
    assert told.count(message) == 1
    assert "hint" in told


def test_an_engine_without_abilities_still_runs_databases(shop: Shop) -> None:
    assert "nothing to do" in shop.out("up")
    assert shop.world.rows(AUTH) == []
    assert "memory.invalid" in shop.out("url", "production/auth")


def test_migrations_are_left_alone_where_databases_are_out_of_reach(shop: Shop) -> None:
    assert shop.world.databases[AUTH].schema_revision is None


def test_settings_are_left_alone_where_the_engine_has_none(shop: Shop) -> None:
    stored = shop.world.databases[AUTH]
    other = replace(stored, retention_days=stored.retention_days + 1)
    shop.world.databases[AUTH] = other
    assert "nothing to do" in shop.out("plan")
