"""Which shape a database gets, and what of the fleet file a region can give. Pure.

A database never changes the series of its shape, so the series is chosen by the OCPUs that the
autopilot may go to, not by those that it starts with.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

PREFERRED = ("E5", "E6", "E4", "Standard3")
"""Series in the order in which they are taken, where several reach far enough."""
GIB_PER_OCPU = 16
_PREFIX = "PostgreSQL."


@dataclass(frozen=True, slots=True)
class Shape:
    """A flexible shape as the service offers it. Memory is in GiB for the whole instance."""

    name: str
    min_ocpus: int
    max_ocpus: int
    gib_per_ocpu: int = GIB_PER_OCPU
    min_gib: int = 1
    max_gib: int = 1 << 20

    @property
    def full_name(self) -> str:
        """As a system is asked for; lists and answers may leave the prefix out."""
        return f"{_PREFIX}{bare(self.name)}"

    def memory_gib(self, ocpus: int) -> int:
        """What an instance with so many OCPUs gets."""
        return max(self.min_gib, min(ocpus * self.gib_per_ocpu, self.max_gib))


def read(summaries: Iterable[Any]) -> tuple[Shape, ...]:
    """The flexible shapes of a `list_shapes`."""
    return tuple(_shape(s) for s in summaries if s.is_flexible and s.shape_ocpu_options)


def _shape(summary: Any) -> Shape:
    ocpus, memory = summary.shape_ocpu_options, summary.shape_memory_options
    return Shape(
        name=summary.shape,
        min_ocpus=ocpus.min,
        max_ocpus=ocpus.max,
        gib_per_ocpu=(memory and memory.default_per_ocpu_in_gbs) or GIB_PER_OCPU,
        min_gib=(memory and memory.min_in_gbs) or 1,
        max_gib=(memory and memory.max_in_gbs) or 1 << 20,
    )


def choose(shapes: Iterable[Shape], max_ocpus: int) -> Shape | None:
    """The preferred shape that reaches so far; else the one that reaches farthest."""
    ranked = sorted(shapes, key=_preference)
    far_enough = [shape for shape in ranked if shape.max_ocpus >= max_ocpus]
    if far_enough:
        return far_enough[0]
    return max(ranked, key=lambda shape: shape.max_ocpus, default=None)


def of_name(shapes: Iterable[Shape], name: str) -> Shape | None:
    """The shape that a system says it has; the service leaves a prefix out at times."""
    return next((s for s in shapes if bare(s.name) == bare(name)), None)


def bare(name: str) -> str:
    """A shape's name without what the service adds to it or leaves out of it.

    `PostgreSQL.VM.Standard.E5.Flex` may be read back as `VM.Standard.E5.Flex`.
    """
    return name.removeprefix(_PREFIX)


def _preference(shape: Shape) -> tuple[int, str]:
    rank = next((n for n, series in enumerate(PREFERRED) if f".{series}." in shape.name), 99)
    return rank, shape.name
