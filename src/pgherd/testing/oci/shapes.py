"""The shapes that PostgreSQL is offered in: what `list_shapes` answers and creates are held to."""

from __future__ import annotations

from dataclasses import dataclass

from pgherd.testing.oci.calls import Answer, Request, Service
from pgherd.testing.oci.refusals import invalid
from pgherd.testing.oci.world import Body, World

# Systems are created with it, and everything that is read comes without.
PREFIX = "PostgreSQL."


@dataclass(frozen=True, slots=True)
class Shape:
    """One flexible shape; memory in GB."""

    name: str
    ocpus: int
    memory: int
    default_per_ocpu: int = 16
    least_per_ocpu: int = 1
    most_per_ocpu: int = 64

    @property
    def series(self) -> str:
        """A system stays in the series it was created in."""
        return self.name.removeprefix(PREFIX).split(".")[2]

    def size(self, ocpus: int, memory: int | None) -> int:
        """The memory of a node of so many OCPUs, or a refusal."""
        if not 1 <= ocpus <= self.ocpus:
            raise invalid(f"instanceOcpuCount {ocpus} is not 1..{self.ocpus} of {self.name}")
        found = min(ocpus * self.default_per_ocpu, self.memory) if memory is None else memory
        least, most = ocpus * self.least_per_ocpu, min(ocpus * self.most_per_ocpu, self.memory)
        if not least <= found <= most:
            raise invalid(
                f"instanceMemorySizeInGBs {found} is not {least}..{most} for {ocpus} OCPUs of "
                f"{self.name}"
            )
        return found

    def summary(self) -> Body:
        """As the service lists it."""
        return {
            "id": PREFIX + self.name,
            "shape": self.name,
            "isFlexible": True,
            "ocpuCount": 1,
            "memorySizeInGBs": self.default_per_ocpu,
            "shapeOcpuOptions": {"min": 1, "max": self.ocpus},
            "shapeMemoryOptions": {
                "defaultPerOcpuInGBs": self.default_per_ocpu,
                "minInGBs": self.least_per_ocpu,
                "maxInGBs": self.memory,
                "minPerOcpuInGBs": self.least_per_ocpu,
                "maxPerOcpuInGBs": self.most_per_ocpu,
            },
        }


DEFAULTS = (
    Shape("VM.Standard3.Flex", 32, 512),
    Shape("VM.Standard.E4.Flex", 64, 1024),
    Shape("VM.Standard.E5.Flex", 64, 1024),
    Shape("VM.Standard.E6.Flex", 126, 1454),
)


class Shapes(Service):
    """The same in every region, until a test says otherwise."""

    package = "psql"

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self.offered: tuple[Shape, ...] = DEFAULTS

    def list_shapes(self, request: Request) -> Answer:
        if "compartmentId" in request.query:
            self.compartment(request.query["compartmentId"], change=False)
        id = request.query.get("id")
        return Answer(
            [each.summary() for each in self.offered if id in (None, each.name, PREFIX + each.name)]
        )

    def named(self, name: str) -> Shape:
        """The shape that a system is to have."""
        if not name.startswith(PREFIX):
            raise invalid(f"shape {name!r} must begin with {PREFIX!r}")
        for each in self.offered:
            if PREFIX + each.name == name:
                return each
        raise invalid(f"shape {name!r} is not offered")
