"""Who is told of alerts, and when last, as people and as programs read it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from pgherd.autopilot.reading import ReadReceiver
from pgherd.fleet.receivers import Receiver


def receiver_lines(receivers: Sequence[Receiver], read: Sequence[ReadReceiver]) -> Iterator[str]:
    """A line for each that the fleet file has."""
    for receiver, found in _matched(receivers, read):
        heard = f" of {', '.join(receiver.environments)}" if receiver.environments else ""
        at = _time(found.told_at)
        last = f"last at {at.astimezone():%Y-%m-%d %H:%M:%S}" if at else "not yet"
        trouble = f"; now: {found.trouble}" if found.trouble else ""
        yield f"told{heard}: {receiver.name} ({receiver.place}), {last}{trouble}"


def receivers_json(
    receivers: Sequence[Receiver], read: Sequence[ReadReceiver]
) -> list[dict[str, Any]]:
    """For programs. Keys are only ever added."""
    return [
        {
            **receiver.as_json(),
            "told_at": at.isoformat() if (at := _time(found.told_at)) else None,
            "trouble": found.trouble or None,
        }
        for receiver, found in _matched(receivers, read)
    ]


def _matched(
    receivers: Sequence[Receiver], read: Sequence[ReadReceiver]
) -> Iterator[tuple[Receiver, ReadReceiver]]:
    known = {found.name: found for found in read}
    for receiver in receivers:
        yield receiver, known.get(receiver.name, ReadReceiver(receiver.name))


def _time(seconds: float | None) -> datetime | None:
    """Whoever owns the history may have put any number there."""
    with suppress(OverflowError, ValueError, OSError):
        # The first and the last year have no local time.
        if seconds is not None and 0 <= seconds < 2**32:
            return datetime.fromtimestamp(seconds, UTC)
    return None
