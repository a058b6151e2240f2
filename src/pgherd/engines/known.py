"""The engines that there are. Who adds one gives it a room of its own, and a place in this list."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from pgherd.engines.declaration import Declaration
from pgherd.engines.local.declaration import DECLARATION as LOCAL
from pgherd.engines.oci.declaration import DECLARATION as OCI
from pgherd.fleet.desired import EngineValues

if TYPE_CHECKING:  # takes a while to import
    from pgherd.fleet.section import Sections

ENGINES: tuple[Declaration, ...] = (LOCAL, OCI)
"""The first is that of environments which name no engine."""


def values() -> Mapping[str, type[EngineValues]]:
    """What the section of each of them means, as types by the engine's name."""
    return {engine.name: engine.values() for engine in ENGINES}


def sections() -> Sections:
    """What each of them has in the fleet file."""
    return tuple(engine.section() for engine in ENGINES)
