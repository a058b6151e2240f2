"""Where a fleet's state is on the machine that pgherd runs on.

One folder bears the fleet's name. What must outlive it, or is another engine's, is beside it.
"""

from __future__ import annotations

import os
from pathlib import Path

from pgherd.errors import InputError


def state_folder(fleet: str) -> Path:
    """$PGHERD_STATE/FLEET, else /var/lib/pgherd/fleets/FLEET for root, else in XDG state.

    InputError where that is a relative path and there is no folder that it is relative to.
    """
    if state := os.environ.get("PGHERD_STATE"):
        try:
            return Path(state).absolute() / fleet
        except FileNotFoundError:
            raise InputError(
                f"PGHERD_STATE is {state}, and the current folder is gone",
                "set PGHERD_STATE to an absolute path",
            ) from None
    if os.geteuid() == 0:
        return Path("/var/lib/pgherd/fleets") / fleet
    home = os.environ.get("XDG_STATE_HOME", "")
    # A relative path there is to be ignored (XDG Base Directory Specification).
    base = Path(home) if home.startswith("/") else _home() / ".local/state"
    return base / "pgherd/fleets" / fleet


def state_beside(fleet: str, what: str) -> Path:
    """As in ecommerce.lock. A fleet's name has no dot, so no other fleet's folder is called so."""
    folder = state_folder(fleet)
    return folder.with_name(f"{folder.name}.{what}")


def lock_path(fleet: str) -> Path:
    """The fleet's lock: beside its folder, so that it outlives `destroy`."""
    return state_beside(fleet, "lock")


def applied_folder(fleet: str) -> Path:
    """The fleet files that were applied: beside its folder, so that they outlive `destroy`."""
    return state_beside(fleet, "applied")


def _home() -> Path:
    try:
        return Path.home()
    except RuntimeError:
        raise InputError(
            f"user {os.geteuid()} has no home directory", "set PGHERD_STATE to a folder for state"
        ) from None
