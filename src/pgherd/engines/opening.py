"""The engines that a fleet's environments name, each imported only when it is wanted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from pgherd.contract.engine import Engine
from pgherd.engines import known
from pgherd.errors import InputError
from pgherd.fleet.desired import Environment, Fleet
from pgherd.state import state_beside, state_folder


def read_text(text: str, path: Path) -> Fleet:
    """The fleet that a text describes, which is in the file at `path`."""
    # It takes a fifth of a second to import and to check.
    from pgherd.fleet.load import load_text

    return load_text(text, path, known.sections())


def open_engines(fleet: Fleet) -> Mapping[str, Engine]:
    """The engines of a fleet by name; InputError where one is not there."""
    names = dict.fromkeys(environment.engine for environment in fleet.environments)
    return {name: open_engine(name, fleet.name, fleet.environments) for name in names}


def open_engine(name: str, fleet: str, environments: Sequence[Environment] = ()) -> Engine:
    """One engine for the fleet of that name and those of its environments that are on it."""
    for engine in known.ENGINES:
        if engine.name == name:
            mine = [e for e in environments if e.engine == name]
            return engine.open(fleet, mine, _folder(fleet, name))
    names = " or ".join(engine.name for engine in known.ENGINES)
    raise InputError(f"engine {name!r} is not there yet", f"write engine: {names}")


def _folder(fleet: str, engine: str) -> Path:
    """The state folder is the first engine's; the others have theirs beside it."""
    is_first = engine == known.ENGINES[0].name
    return state_folder(fleet) if is_first else state_beside(fleet, engine)
