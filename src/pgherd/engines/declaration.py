"""What pgherd knows of an engine before one is opened.

Every command reads the declarations of all engines, so they import what takes time only when it
is asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from pgherd.contract.engine import Engine
from pgherd.fleet.desired import EngineValues, Environment, Fleet

if TYPE_CHECKING:  # takes a while to import
    from pgherd.fleet.section import EngineSection


class Text(Protocol):
    """Makes the text of a document."""

    async def __call__(
        self, fleet: Fleet, environments: Sequence[Environment], options: Mapping[str, str]
    ) -> str:
        """The text for these environments of the engine. InputError where there can be none."""
        ...


@dataclass(frozen=True, slots=True)
class Option:
    """What a document may be told beside its environments: `--NAME METAVAR`."""

    name: str
    metavar: str
    default: str
    help: str


@dataclass(frozen=True, slots=True)
class OwnFile:
    """Each environment's text is in a file of this name, in a folder of its own."""

    name: str
    is_ours: Callable[[str], bool]
    """Whether a file with that content may be written anew."""


@dataclass(frozen=True, slots=True)
class Document:
    """What others make or allow for an engine, written for them by `pgherd render NAME`.

    Names are unique among all engines. The text is of the named environments together, or of all
    that are on the engine; of one alone where it `is_of_one`, or goes into an `own_file`.
    """

    name: str
    help: str
    text: Text
    options: tuple[Option, ...] = ()
    own_file: OwnFile | None = None
    is_of_one: bool = False


@dataclass(frozen=True, slots=True)
class Declaration:
    """An engine's name, its section of the fleet file, and how it is opened.

    `values` is the type of what the section means: `EngineSection.resolve` makes one. `open` gets
    the fleet's name, its environments on the engine, and a folder for what the engine keeps on
    this machine. `doctor` says what `pgherd doctor` looks at where that is not this machine.
    `variables` are those of the environment by which it finds what it signs in with: an engine that
    has some is opened only with the rights of whoever applies the fleet.
    """

    name: str
    section: Callable[[], EngineSection[EngineValues]]
    values: Callable[[], type[EngineValues]]
    open: Callable[[str, Sequence[Environment], Path], Engine]
    documents: tuple[Document, ...] = ()
    doctor: str = ""
    variables: tuple[str, ...] = ()
