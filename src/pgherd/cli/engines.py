"""The engines that a fleet's environments name, each imported only when it is wanted."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from pgherd.engine import Engine
from pgherd.errors import InputError
from pgherd.fleet.desired import Fleet

LOCAL = "local"


def open_engines(fleet: Fleet) -> Mapping[str, Engine]:
    """The engines of a fleet by name; InputError where one is not there."""
    names = dict.fromkeys(environment.engine for environment in fleet.environments)
    return {name: open_engine(name, fleet.name) for name in names}


def open_engine(name: str, fleet: str) -> Engine:
    """One engine for the fleet of that name."""
    if name != LOCAL:
        raise InputError(f"engine {name!r} is not there yet", f"write engine: {LOCAL}")
    from pgherd.engines.local.engine import LocalEngine
    from pgherd.engines.local.layout import Layout, default_root

    return LocalEngine(fleet, Layout(default_root(fleet)))


def lock_path(fleet: str) -> Path:
    """The fleet's lock: beside its state, so that it outlives `destroy`."""
    from pgherd.engines.local.layout import default_root

    root = default_root(fleet)
    return root.with_name(f"{root.name}.lock")
