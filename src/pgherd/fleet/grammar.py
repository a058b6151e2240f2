"""All that a fleet file may say where certain engines are known, and what holds by default."""

from __future__ import annotations

from collections.abc import Mapping
from copy import copy
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any

from pydantic import Field, create_model

from pgherd.fleet.models import FleetFile, Profile
from pgherd.fleet.section import Sections
from pgherd.fleet.values import engine_name

_DEFAULTS: Mapping[str, Any] = {
    "availability_domains": "1",
    "replicas": "0",
    "autoscale": {"cpu": "80%", "memory": "80%"},
    "peaks": [],
    "maintenance": [],
    "backup": {"retention": "7d", "copy_to": [], "when_full": "hold", "stream": "false"},
    "drills": {"restore": "7d"},
    "objectives": {},
    "pooling": "session",
}


@dataclass(frozen=True, slots=True)
class Grammar:
    """The models of a fleet file and of an environment in it, with a section for each engine.

    `defaults` is what holds where the file says nothing, written as the file would.
    """

    sections: Sections
    file: type[FleetFile]
    profile: type[Profile]
    defaults: Mapping[str, Any]

    @property
    def built_in(self) -> Profile:
        """The defaults, read."""
        return self.profile.model_validate(self.defaults)


def grammar(sections: Sections) -> Grammar:
    """That of a file in which these engines are known."""
    return _grammar(tuple(sections))


@cache
def _grammar(sections: Sections) -> Grammar:
    profile = _profile(sections)
    defaults = {
        "engine": sections[0].engine,
        **_DEFAULTS,
        **{section.engine: section.defaults for section in sections},
    }
    return Grammar(sections, _file(profile), profile, defaults)


def _profile(sections: Sections) -> type[Profile]:
    names = [section.engine for section in sections]
    described = f"Where the databases run: {' or '.join(names)}."
    fields: dict[str, Any] = {
        "engine": (
            Annotated[str, engine_name(names)] | None,
            Field(None, description=described, examples=names[:1]),
        )
    }
    for section in sections:
        field = Field(None, description=section.means, examples=[section.example])
        fields[section.engine] = (section.keys | None, field)
    return create_model("Profile", __base__=Profile, __doc__=Profile.__doc__, **fields)


def _file(profile: type[Profile]) -> type[FleetFile]:
    fields: dict[str, Any] = {
        "defaults": (profile | None, copy(FleetFile.model_fields["defaults"])),
        "environments": (
            dict[str, profile] | None,  # type: ignore[valid-type]
            copy(FleetFile.model_fields["environments"]),
        ),
    }
    return create_model("FleetFile", __base__=FleetFile, __doc__=FleetFile.__doc__, **fields)
