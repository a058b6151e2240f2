"""A small valid fleet to vary, and ways to read texts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from pgherd.engines.known import sections
from pgherd.fleet.desired import Fleet
from pgherd.fleet.load import load_text
from pgherd.fleet.problem import FleetFileError


@pytest.fixture
def read(tmp_path: Path) -> Callable[[str], Fleet]:
    """Reads a text as if it were tmp_path/fleet.yaml."""
    return lambda text: load_text(text, tmp_path / "fleet.yaml", sections())


@pytest.fixture
def report(tmp_path: Path) -> Callable[[str], list[str]]:
    """The lines of the report on a text that has problems, without the folder."""

    def lines(text: str) -> list[str]:
        with pytest.raises(FleetFileError) as caught:
            load_text(text, tmp_path / "fleet.yaml", sections())
        return [line.replace(f"{tmp_path}/", "") for line in str(caught.value).splitlines()]

    return lines
