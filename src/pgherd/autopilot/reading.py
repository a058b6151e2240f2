"""Reading the history with the rights of whoever it belongs to.

The controller's user may put anything in its place. So a command that has more rights starts this
module as that user, and takes what it prints for data: one JSON document, or one on each line.
"""

from __future__ import annotations

import os
import selectors
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from pgherd.autopilot import notices, resizes
from pgherd.autopilot.now import Now
from pgherd.autopilot.place import AutopilotPlace
from pgherd.autopilot.resizes import Count
from pgherd.engines.local import lowered
from pgherd.engines.local.layout import data_plane_owner
from pgherd.errors import PgherdError, TryLater
from pgherd.store.values import Alert, Event

READ_SECONDS = 30.0
FOLLOW_SECONDS = 1.0
LONGEST = 32 * 2**20
"""Bytes: what is longer is cut, and then cannot be read. Whoever owns the history may fill it."""


class Wanted(Struct, frozen=True):
    """What to read: events, the newest first, of a database, an environment, or all."""

    database: str | None = None
    environment: str | None = None
    limit: int = 100
    follow: bool = False


class ReadEvent(Struct, frozen=True):
    """One event, as it is printed."""

    at: datetime
    kind: str
    reason: str
    environment: str | None = None
    database: str | None = None
    details: dict[str, Any] = {}


class ReadAlert(Struct, frozen=True):
    """One alert."""

    name: str
    subject: str
    since: datetime
    summary: str
    remedy: str


class ReadReceiver(Struct, frozen=True):
    """Who is told of alerts: when last, and why not since then."""

    name: str
    told_at: float | None = None
    trouble: str = ""


class History(Struct, frozen=True):
    """What was read. `now` is None where no controller has ended a round.

    `resizes` are those of each database since the history began, None where that is not known.
    """

    events: list[ReadEvent] = []
    alerts: list[ReadAlert] = []
    now: Now | None = None
    resizes: dict[str, Count] | None = None
    receivers: list[ReadReceiver] = []


class Told:
    """The history of one fleet."""

    def __init__(self, place: AutopilotPlace) -> None:
        self._place = place

    def read(self, wanted: Wanted) -> History:
        """What is in it; TryLater where it cannot be read."""
        place = self._place
        if not place.history.is_dir():
            return History()
        output = _output(_process(place, wanted))
        if output is None:
            raise TryLater(f"{place.store} is not read in {READ_SECONDS:.0f} s")
        try:
            return msgspec.json.decode(output, type=History)
        except (msgspec.MsgspecError, ValueError, RecursionError):
            raise TryLater(f"{place.store} cannot be read", f"see {place.history}") from None

    def follow(self, wanted: Wanted) -> Iterator[ReadEvent]:
        """Events as they come, the first of them those of `wanted`, oldest first; until closed."""
        process = _process(self._place, wanted)
        try:
            assert process.stdout  # noqa: S101 - it was asked for
            while line := process.stdout.readline(LONGEST):
                try:
                    yield msgspec.json.decode(line, type=ReadEvent)
                except (msgspec.MsgspecError, ValueError, RecursionError):
                    raise TryLater(f"{self._place.store} cannot be read") from None
        finally:
            process.kill()
            process.wait()


def _output(process: subprocess.Popen[bytes]) -> bytes | None:
    """What it prints, up to a length; None where it has not ended in time."""
    deadline = time.monotonic() + READ_SECONDS
    found = b""
    with process, selectors.DefaultSelector() as selector:
        assert process.stdout  # noqa: S101 - it was asked for
        selector.register(process.stdout, selectors.EVENT_READ)
        try:
            while len(found) < LONGEST:
                if not selector.select(max(0.0, deadline - time.monotonic())):
                    return None
                if not (more := os.read(process.stdout.fileno(), 65536)):
                    break
                found += more
        finally:
            process.kill()
    return found


def _process(place: AutopilotPlace, wanted: Wanted) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        lowered.python(
            "pgherd.autopilot.reading", str(place.store), msgspec.json.encode(wanted).decode()
        ),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        **lowered.options(data_plane_owner(), Path("/")),
    )


def main(path: str, text: str) -> None:
    """Print what is wanted."""
    from pgherd.store.store import Store

    wanted = msgspec.json.decode(text, type=Wanted)
    if not Path(path).exists():
        _print(History())
        return
    store = Store(path)
    events = partial(store.events, wanted.database, wanted.environment)
    if not wanted.follow:
        known = store.recall("now")
        _print(
            History(
                [_event(e) for e in events(limit=wanted.limit)],
                [_alert(a) for a in store.alerts()],
                msgspec.json.decode(known, type=Now) if known else None,
                resizes.decode(store.recall(resizes.KEY)),
                _receivers(store.recall(notices.KEY)),
            )
        )
        return
    last = 0
    for event in reversed(events(limit=wanted.limit)):
        last = event.id
        _print(_event(event))
    while True:
        time.sleep(FOLLOW_SECONDS)
        try:
            found = events(after_id=last)
        except PgherdError:
            continue
        for event in found:
            last = event.id
            _print(_event(event))


def _print(value: object) -> None:
    sys.stdout.buffer.write(msgspec.json.encode(value) + b"\n")
    sys.stdout.buffer.flush()


def _event(event: Event) -> ReadEvent:
    return ReadEvent(
        event.at,
        event.kind,
        event.reason,
        event.environment,
        event.database,
        dict(event.details),
    )


def _receivers(content: bytes | None) -> list[ReadReceiver]:
    found: dict[str, ReadReceiver] = {}
    for channel in notices.decode(content).channels:
        before = found.get(channel.receiver, ReadReceiver(channel.receiver))
        times = [at for at in (before.told_at, channel.sent_at) if at is not None]
        trouble = channel.trouble or before.trouble
        found[channel.receiver] = ReadReceiver(channel.receiver, max(times, default=None), trouble)
    return list(found.values())


def _alert(alert: Alert) -> ReadAlert:
    return ReadAlert(alert.name, alert.subject, alert.since, alert.summary, alert.remedy)


if __name__ == "__main__":
    main(*sys.argv[1:])
