"""What the fleet file says of the local engine, as values: the scale of the scale model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from pgherd.units import format_bytes


@dataclass(frozen=True, slots=True)
class LocalValues:
    """What one OCPU is on this machine."""

    core_per_ocpu: float
    memory_per_ocpu_bytes: int

    def texts(self) -> Mapping[str, str]:
        """By key, for people."""
        return {
            "core_per_ocpu": f"{self.core_per_ocpu:g}",
            "memory_per_ocpu": format_bytes(self.memory_per_ocpu_bytes),
        }

    def as_json(self) -> Mapping[str, Any]:
        """For programs."""
        return asdict(self)
