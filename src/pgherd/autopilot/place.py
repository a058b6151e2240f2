"""Where the autopilot of one fleet is on this machine, beside the fleet's state folder.

FLEET.applied/ is whoever's who runs pgherd: what was applied, what is paused, who runs.
FLEET.history/ is the controller's own: root neither opens nor follows what is inside.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pgherd.state import applied_folder, state_beside


@dataclass(frozen=True, slots=True)
class AutopilotPlace:
    """All paths of one fleet's autopilot."""

    fleet: str
    applied: Path
    history: Path

    @property
    def socket(self) -> Path:
        """Where the helper listens to commands."""
        return self.applied / "autopilot.sock"

    @contextmanager
    def socket_name(self) -> Iterator[str]:
        """A name of it that the kernel takes, however long its path is (unix(7): 107 bytes)."""
        folder = os.open(self.applied, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            yield f"/proc/self/fd/{folder}/{self.socket.name}"
        finally:
            os.close(folder)

    @property
    def lock(self) -> Path:
        """Held by the helper that runs."""
        return self.applied / "autopilot.lock"

    @property
    def log(self) -> Path:
        """What helper and keeper say."""
        return self.applied / "autopilot.log"

    @property
    def pauses(self) -> Path:
        """What must be left alone, and until when."""
        return self.applied / "pauses.json"

    @property
    def variables(self) -> Path:
        """The environment variables by which engines sign in."""
        return self.applied / "variables.json"

    @property
    def store(self) -> Path:
        """The history."""
        return self.history / "history.db"


def place_of(applied: Path) -> AutopilotPlace:
    """The same, from its folder FLEET.applied."""
    fleet = applied.name.removesuffix(".applied")
    return AutopilotPlace(fleet, applied, applied.with_name(f"{fleet}.history"))


def autopilot_place(fleet: str) -> AutopilotPlace:
    """That of the fleet of that name."""
    return AutopilotPlace(fleet, applied_folder(fleet), state_beside(fleet, "history"))
