"""What the systemd unit of a fleet runs: bring back what was to run, then be its autopilot.

It works from what was applied, as the helper does, and reads no fleet file. Trouble with a database
does not keep the autopilot from running: it goes on to mend.
"""

from __future__ import annotations

import os
import sys
import time
import traceback
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from pgherd.autopilot import logs, main, variables
from pgherd.autopilot.client import Autopilot
from pgherd.autopilot.place import AutopilotPlace, place_of
from pgherd.autopilot.readiness import say_ready
from pgherd.control import signals
from pgherd.control.applied import History
from pgherd.control.lock import FOR_EVER, fleet_lock
from pgherd.control.outcome import Outcome
from pgherd.control.resume import resume
from pgherd.engines import known
from pgherd.engines.local import lowered
from pgherd.engines.opening import open_engines, read_text
from pgherd.errors import PgherdError, TryLater
from pgherd.files import require_trusted
from pgherd.fleet.desired import Fleet
from pgherd.state import lock_path

TAKE_OVER_SECONDS = 30.0


def bring_back(place: AutopilotPlace, say: Callable[[str], None]) -> bool:
    """What was to run serves again, as far as that is possible; whether anything was applied."""
    history = History(place.applied, known.values, read_text)
    applied = history.newest()
    if applied is None:
        say(f"nothing was applied to {place.fleet}: nothing is done")
        return False
    try:
        fleet = history.fleet(applied)
        variables.take(place, fleet)
        outcome = _resumed(fleet, say)
    except PgherdError as error:
        say(_line(error))
        return True
    except Exception:
        say(f"unexpected:\n{traceback.format_exc()}")
        return True
    for trouble in outcome.errors:
        say(_line(trouble))
    say(f"{place.fleet} is back" + ("" if outcome.is_complete else ", but for that"))
    return True


def _resumed(fleet: Fleet, say: Callable[[str], None]) -> Outcome:
    with fleet_lock(
        lock_path(fleet.name),
        "boot",
        seconds=FOR_EVER,
        on_wait=lambda holder: say(f"waiting for {holder}"),
        now=datetime.now(UTC).astimezone(),
    ):
        return signals.run(resume(fleet, open_engines(fleet)))


def take_over(
    end: Callable[[], object],
    run: Callable[[], None],
    now: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Be the autopilot in place of one that runs: one that `up` or a keeper has started.

    One that was asked to leave holds its lock a little longer than it answers, and `up` may begin
    another one meanwhile. TryLater where it cannot be had.
    """
    deadline = now() + TAKE_OVER_SECONDS
    while True:
        end()
        try:
            return run()
        except TryLater:
            if now() > deadline:
                raise
            sleep(0.2)


def _line(error: PgherdError) -> str:
    return f"{error.message}; {error.hint}" if error.hint else error.message


def _say(text: str) -> None:
    """To whoever has started this, which is systemd's journal."""
    print(text, file=sys.stderr, flush=True)


def boot(applied: str) -> int:
    """Bring the fleet back and be its autopilot until it is asked to leave; the exit code."""
    place = place_of(Path(applied))
    ready_at = os.environ.get("NOTIFY_SOCKET")
    os.environ.clear()
    os.environ |= lowered.environment(place.applied)
    os.environ["PGHERD_STATE"] = str(place.applied.parent)
    try:
        require_trusted(place.applied)
        is_applied = bring_back(place, _say)
        say_ready(ready_at)
        if is_applied:
            _say(f"the autopilot runs, and says more in {place.log}")
            logs.to_file(place.log)
            take_over(Autopilot(place).end, lambda: main.run(place))
    except PgherdError as error:
        _say(_line(error))
        return error.exit_code
    except signals.Terminated:
        pass
    return 0


if __name__ == "__main__":
    sys.exit(boot(*sys.argv[1:]))
