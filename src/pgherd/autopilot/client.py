"""A command's side of the autopilot: whether it runs, that it does, that it does not."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Mapping

from pgherd.autopilot import variables
from pgherd.autopilot.pauses import read_pauses, write_pauses
from pgherd.autopilot.place import AutopilotPlace
from pgherd.autopilot.questions import Leave, State, Status, ask
from pgherd.autopilot.requests import Pause
from pgherd.autopilot.version import version
from pgherd.engines.local import lowered
from pgherd.errors import NeedsHuman
from pgherd.files import ensure_directory, require_trusted
from pgherd.fleet.desired import Fleet

START_SECONDS = 20.0
LEAVE_SECONDS = 10.0


class Autopilot:
    """That of one fleet."""

    def __init__(self, place: AutopilotPlace) -> None:
        self.place = place

    def state(self) -> State | None:
        """How it is; None where none runs."""
        return ask(self.place, Status())

    def keep_variables(self, fleet: Fleet, found: Mapping[str, str]) -> None:
        """From now on it signs in to engines with the variables of `found`."""
        variables.keep(self.place, fleet, found)

    def begin(self) -> None:
        """One of this version runs soon, if none does; `ensure_running` waits for it."""
        state = self.state()
        if state and state.version == version():
            return
        if state:
            self.end()
        place = self.place
        require_trusted(place.applied)
        ensure_directory(place.applied)
        subprocess.run(
            [*lowered.DETACHED, *lowered.python("pgherd.autopilot.main", str(place.applied))],
            check=True,
            cwd="/",
            umask=0o077,
            env=lowered.environment(place.applied),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def ensure_running(self) -> None:
        """One of this version runs; NeedsHuman where it does not come."""
        self.begin()
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if (state := self.state()) and state.version == version():
                return
            time.sleep(0.05)
        raise NeedsHuman("the autopilot of this fleet does not start", f"see {self.place.log}")

    def end(self) -> bool:
        """None runs; whether one did. NeedsHuman where it does not leave."""
        if ask(self.place, Leave()) is None:
            return False
        deadline = time.monotonic() + LEAVE_SECONDS
        while self.state() is not None:
            if time.monotonic() > deadline:
                raise NeedsHuman(
                    "the autopilot of this fleet does not leave", f"see {self.place.log}"
                )
            time.sleep(0.02)
        return True

    def pauses(self) -> tuple[Pause, ...]:
        """What is left alone now."""
        return read_pauses(self.place)

    def pause(self, pause: Pause) -> None:
        """Leave it alone from now on, in place of what was said of the same before."""
        kept = (p for p in self.pauses() if p.subject != pause.subject)
        write_pauses(self.place, (*kept, pause))

    def resume(self, subject: str) -> bool:
        """Go on with it, and with what is in it; whether anything of it was left alone."""
        held = self.pauses()
        goes_on = subject and f"{subject}/"
        kept = [p for p in held if not f"{p.subject}/".startswith(goes_on)]
        write_pauses(self.place, kept)
        return len(kept) != len(held)
