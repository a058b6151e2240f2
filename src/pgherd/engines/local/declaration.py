"""The local engine, as pgherd knows it before it is opened."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pgherd.contract.engine import Engine
from pgherd.engines.declaration import Declaration
from pgherd.fleet.desired import Environment

if TYPE_CHECKING:  # takes a while to import
    from pgherd.engines.local.values import LocalValues
    from pgherd.fleet.section import EngineSection


def _section() -> EngineSection[LocalValues]:
    from pgherd.engines.local.section import LOCAL

    return LOCAL


def _values() -> type[LocalValues]:
    from pgherd.engines.local.values import LocalValues

    return LocalValues


def _open(fleet: str, environments: Sequence[Environment], folder: Path) -> Engine:
    from pgherd.engines.local.engine import LocalEngine
    from pgherd.engines.local.layout import Layout
    from pgherd.engines.local.values import LocalValues

    values = {e.name: e.values_of(LocalValues) for e in environments}
    return LocalEngine(fleet, Layout(folder), values=values)


DECLARATION = Declaration("local", _section, _values, _open)
