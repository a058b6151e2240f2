"""What people have paused: a file that whoever runs pgherd writes, and the helper heeds."""

from __future__ import annotations

import time
from collections.abc import Iterable

import msgspec

from pgherd.autopilot.place import AutopilotPlace
from pgherd.autopilot.requests import Pause
from pgherd.files import ensure_directory, require_trusted, write


def read_pauses(place: AutopilotPlace) -> tuple[Pause, ...]:
    """Those that hold. A file that cannot be read pauses everything: nobody knows what it said."""
    try:
        content = place.pauses.read_bytes()
    except FileNotFoundError:
        return ()
    except OSError as error:
        return (_all(f"{place.pauses} cannot be read: {error.strerror}"),)
    try:
        pauses = msgspec.json.decode(content, type=tuple[Pause, ...])
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return (_all(f"{place.pauses} is damaged: remove it, or run `pgherd resume`"),)
    return tuple(p for p in pauses if p.until is None or p.until > time.time())


def write_pauses(place: AutopilotPlace, pauses: Iterable[Pause]) -> None:
    """These hold from now on, and no others."""
    require_trusted(place.applied)
    ensure_directory(place.applied)
    write(place.pauses, msgspec.json.encode(tuple(pauses)), durable=True)


def _all(reason: str) -> Pause:
    return Pause("", reason, time.time())
