"""What a place can do, and what it can make of the databases that are wanted."""

from __future__ import annotations

from dataclasses import dataclass

from pgherd.errors import InputError
from pgherd.fleet.desired import Database


@dataclass(frozen=True, slots=True)
class Capability:
    """One thing a place can or cannot do: `detail` says how it is, `remedy` what to do about it."""

    name: str
    available: bool
    detail: str
    remedy: str = ""
    required: bool = True


@dataclass(frozen=True, slots=True)
class Offer:
    """What a place can make of one database that the fleet file wants.

    `database` is what would be made. `concessions` say where that is less than the fleet file
    asks for, as it accepts; `objections` say why nothing is made, each with its way out.
    """

    database: Database
    concessions: tuple[str, ...] = ()
    objections: tuple[InputError, ...] = ()
