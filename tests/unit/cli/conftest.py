"""The shop, before and after its first `up`."""

from __future__ import annotations

from pathlib import Path

import pytest
from shop import Shop


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    """Nothing is there yet."""
    return Shop(tmp_path)


@pytest.fixture
def running(shop: Shop) -> Shop:
    """All of it is up."""
    shop.out("up")
    return shop
