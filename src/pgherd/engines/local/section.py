"""The local engine's section of the fleet file: the scale of the scale model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field

from pgherd.engines.local.values import Ability, LocalValues
from pgherd.errors import InputError
from pgherd.fleet.keys import Section
from pgherd.fleet.section import EngineSection
from pgherd.fleet.values import Reads, Size, one_of
from pgherd.units import quoted


def _core_share(text: str) -> float:
    try:
        share = float(text)
    except ValueError:
        share = 0.0
    if not 0.001 <= share <= 64:
        raise InputError(
            f"{quoted(text)} is not a share of a core", "write one from 0.001 to 64, as in 0.1"
        )
    return share


CoreShare = Annotated[
    float, Reads(_core_share, {"type": "number", "minimum": 0.001, "maximum": 64})
]

Required = Annotated[Ability, one_of(Ability)]


class LocalProfile(Section):
    """The scale of the scale model: what one OCPU is where the engine is local."""

    core_per_ocpu: CoreShare | None = Field(
        None, description="Cores of this machine that one OCPU is.", examples=[0.1]
    )
    memory_per_ocpu: Size | None = Field(
        None, description="Memory of this machine that one OCPU has.", examples=["64MiB"]
    )
    require: tuple[Required | None, ...] | None = Field(
        None,
        description="What this machine must be able to do; where it cannot, nothing is made. "
        "cpu-quota: each instance has its share of the CPU, and no more.",
        examples=[["cpu-quota"]],
    )


def _resolve(settings: Mapping[str, Any]) -> LocalValues:
    return LocalValues(
        core_per_ocpu=settings["core_per_ocpu"],
        memory_per_ocpu_bytes=settings["memory_per_ocpu"],
        require=frozenset(settings["require"]),
    )


LOCAL = EngineSection(
    engine="local",
    means="The scale of the scale model, for the local engine.",
    example={"core_per_ocpu": 0.1, "memory_per_ocpu": "64MiB"},
    defaults={"core_per_ocpu": "0.1", "memory_per_ocpu": "64MiB", "require": []},
    keys=LocalProfile,
    resolve=_resolve,
)
