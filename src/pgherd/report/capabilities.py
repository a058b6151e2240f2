"""What engines can do here, as people and as programs read it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pgherd.contract.offers import Capability
from pgherd.fleet.summary import Table


def capabilities_table(engine: str, capabilities: Sequence[Capability]) -> Table:
    """A row for each of an engine's."""
    rows = tuple((c.name, _verdict(c), c.detail) for c in capabilities)
    return Table(f"engine {engine}", ("What", "Available", "How it is"), rows)


def capabilities_json(found: Mapping[str, Sequence[Capability]]) -> dict[str, Any]:
    """Those of each engine. Keys are only ever added."""
    return {
        "capabilities": [
            {
                "engine": name,
                "name": c.name,
                "available": c.available,
                "required": c.required,
                "detail": c.detail,
                "remedy": c.remedy,
            }
            for name, capabilities in found.items()
            for c in capabilities
        ]
    }


def _verdict(capability: Capability) -> str:
    if capability.available:
        return "yes"
    return "missing" if capability.required else "no"
