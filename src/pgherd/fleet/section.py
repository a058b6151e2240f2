"""An engine's part of the fleet file: the keys below its name in an environment.

Each engine has one, in its own room. Whoever loads a fleet file hands over those of all engines, so
nothing here knows any of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeAlias, TypeVar

from pgherd.fleet.desired import EngineValues
from pgherd.fleet.document import in_one_line
from pgherd.fleet.keys import Section
from pgherd.fleet.rules import Rule

V_co = TypeVar("V_co", bound=EngineValues, covariant=True)


@dataclass(frozen=True, slots=True, eq=False)
class EngineSection(Generic[V_co]):
    """What the fleet file says of one engine: keys, what they mean, and what must hold.

    `engine` is its name in `engine:` and the section's own. `keys` is the model of its keys;
    `means`, `example` and `defaults` are in the reference too, the latter two written as the file
    would. `resolve` makes the engine's values from what holds for each key; it is asked for
    environments on other engines as well. `rules` judge the whole draft, as those in
    `pgherd.fleet.rules`. `nested` are the models of those of its keys that are mappings themselves.
    """

    engine: str
    means: str
    example: Mapping[str, Any]
    defaults: Mapping[str, Any]
    keys: type[Section]
    resolve: Callable[[Mapping[str, Any]], V_co]
    rules: tuple[Rule, ...] = ()
    nested: Mapping[str, type[Section]] = field(default_factory=dict)

    @property
    def written(self) -> str:
        """The section as one may write it."""
        return f"{self.engine}: {in_one_line(self.example)}"


Sections: TypeAlias = Sequence[EngineSection[EngineValues]]
"""One for each engine, at least one. The first is that of environments that name no engine."""
