"""The environment variables by which engines sign in, from `up` to the autopilot.

The helper starts with none of anybody's. Those that an engine declares are kept as `up` had them,
in a file that only whoever runs pgherd can read: a proxy's address may hold a password.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

import msgspec

from pgherd.autopilot.place import AutopilotPlace
from pgherd.engines import known
from pgherd.engines.declaration import Declaration
from pgherd.files import ensure_directory, require_trusted, write
from pgherd.fleet.desired import Fleet


def declared(fleet: Fleet) -> set[str]:
    """The names of all that its engines need."""
    return {name for engine in _engines(fleet) for name in engine.variables}


def signed_in(fleet: Fleet) -> set[str]:
    """Those of its engines that are opened only with the rights of whoever applies it."""
    return {engine.name for engine in _engines(fleet) if engine.variables}


def keep(place: AutopilotPlace, fleet: Fleet, found: Mapping[str, str]) -> None:
    """From now on the autopilot has those that are declared, and no others."""
    kept = {name: found[name] for name in sorted(declared(fleet)) if name in found}
    if not kept:
        place.variables.unlink(missing_ok=True)
        return
    require_trusted(place.applied)
    ensure_directory(place.applied)
    write(place.variables, msgspec.json.encode(kept), durable=True)


def take(place: AutopilotPlace, fleet: Fleet) -> None:
    """This process has them, as far as they are known and declared."""
    require_trusted(place.variables)
    try:
        kept = msgspec.json.decode(place.variables.read_bytes(), type=dict[str, str])
    except (OSError, msgspec.MsgspecError, ValueError, RecursionError):
        return
    os.environ.update({n: value for n, value in kept.items() if n in declared(fleet)})


def _engines(fleet: Fleet) -> list[Declaration]:
    names = {environment.engine for environment in fleet.environments}
    return [engine for engine in known.ENGINES if engine.name in names]
