"""What the fleet file says of the local engine, as values: the scale of the scale model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from pgherd.units import format_bytes


class Ability(StrEnum):
    """What a machine may lack, and databases can be made without."""

    CPU_QUOTA = "cpu-quota"


@dataclass(frozen=True, slots=True)
class LocalValues:
    """What one OCPU is on this machine, and what this machine must be able to do."""

    core_per_ocpu: float
    memory_per_ocpu_bytes: int
    require: frozenset[Ability] = frozenset()

    def texts(self) -> Mapping[str, str]:
        """By key, for people."""
        return {
            "core_per_ocpu": f"{self.core_per_ocpu:g}",
            "memory_per_ocpu": format_bytes(self.memory_per_ocpu_bytes),
            "require": ", ".join(sorted(self.require)) or "nothing",
        }

    def as_json(self) -> Mapping[str, Any]:
        """For programs."""
        return {**asdict(self), "require": sorted(self.require)}
