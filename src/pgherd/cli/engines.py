"""The engines that a fleet's environments name, each imported only when it is wanted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from pgherd.engine import Engine
from pgherd.errors import InputError
from pgherd.fleet.desired import Environment, Fleet

LOCAL = "local"
OCI = "oci"


def open_engines(fleet: Fleet) -> Mapping[str, Engine]:
    """The engines of a fleet by name; InputError where one is not there."""
    names = dict.fromkeys(environment.engine for environment in fleet.environments)
    return {name: open_engine(name, fleet.name, fleet.environments) for name in names}


def open_engine(name: str, fleet: str, environments: Sequence[Environment] = ()) -> Engine:
    """One engine for the fleet of that name and those of its environments that are on it."""
    from pgherd.engines.local.layout import Layout, default_root

    root = default_root(fleet)
    match name:
        case "local":
            from pgherd.engines.local.engine import LocalEngine

            return LocalEngine(fleet, Layout(root))
        case "oci":
            from pgherd.engines.oci.engine import OciEngine

            mine = [e for e in environments if e.engine == name]
            return OciEngine(fleet, mine, root.with_name(f"{root.name}.{OCI}"))
        case _:
            raise InputError(f"engine {name!r} is not there yet", f"write engine: {LOCAL} or {OCI}")


def lock_path(fleet: str) -> Path:
    """The fleet's lock: beside its state, so that it outlives `destroy`."""
    from pgherd.engines.local.layout import default_root

    root = default_root(fleet)
    return root.with_name(f"{root.name}.lock")
