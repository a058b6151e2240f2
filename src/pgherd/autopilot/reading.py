"""Reading the history with the rights of whoever it belongs to.

The controller's user may put anything in its place. So a command that has more rights starts this
module as that user, and takes what it prints for data: one JSON document, or one on each line.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct

from pgherd.autopilot import notices, resizes
from pgherd.autopilot.now import Now
from pgherd.autopilot.place import AutopilotPlace
from pgherd.autopilot.requests import LONGEST_SENTENCE, HistoryAt
from pgherd.autopilot.resizes import Count
from pgherd.autopilot.said import said_by
from pgherd.engines.local import lowered
from pgherd.engines.local.layout import data_plane_owner
from pgherd.errors import InputError, PgherdError, TryLater
from pgherd.store.values import Alert, Event, Slot

if TYPE_CHECKING:  # it takes a while to import, and commands never open it
    from pgherd.store.reader import Reader

READ_SECONDS = 30.0
FOLLOW_SECONDS = 1.0
SERVER = "-"
"""In place of a path: the URL of a server is on standard input."""
LONGEST = 32 * 2**20
"""Bytes: what is longer is cut, and then cannot be read. Whoever owns the history may fill it."""


class Wanted(Struct, frozen=True):
    """What to read: events, the newest first, of a database, an environment, or all.

    `of_each` are so many events of each database, too. `load_seconds` is how far back to read how
    loaded each one was. With `every_seconds` all of it is read again so often.
    """

    database: str | None = None
    environment: str | None = None
    limit: int = 100
    follow: bool = False
    of_each: int = 0
    load_seconds: float = 0.0
    every_seconds: float = 0.0


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


class Load(Struct, frozen=True):
    """How loaded a database was at a time (seconds since 1970); None where it is not known."""

    at: float
    cpu_percent: float | None = None
    transactions_per_second: float | None = None
    clients: float | None = None


class ReadReceiver(Struct, frozen=True):
    """Who is told of alerts: when last, and why not since then."""

    name: str
    told_at: float | None = None
    trouble: str = ""


class History(Struct, frozen=True):
    """What was read. `now` is None where no controller has ended a round.

    `resizes` are those of each database since the history began, None where that is not known.
    `loads` are the oldest first. `trouble` is why nothing could be read.
    """

    events: list[ReadEvent] = []
    alerts: list[ReadAlert] = []
    now: Now | None = None
    resizes: dict[str, Count] | None = None
    loads: dict[str, list[Load]] = {}
    receivers: list[ReadReceiver] = []
    trouble: str = ""


class Told:
    """The history of one fleet. `find` says where it is, with the rights of whoever runs this."""

    def __init__(self, place: AutopilotPlace, find: Callable[[], HistoryAt]) -> None:
        self._place = place
        self._find = find

    def read(self, wanted: Wanted) -> History:
        """What is in it; TryLater where it cannot be read."""
        url = self._url()
        if url is None:
            return History()
        output = _output(_process(self._place, wanted, url))
        if output is None:
            raise TryLater(f"the history is not read in {READ_SECONDS:.0f} s")
        found = _decoded(self._place, output)
        if found.trouble:
            raise TryLater(f"the history is not read: {found.trouble[:LONGEST_SENTENCE]}")
        return found

    def _url(self) -> str | None:
        """Of its server, empty where it is a file; None where there is nothing yet."""
        try:
            url = self._find().url
        except InputError as error:
            raise TryLater(f"the history is not read: {error.message}", error.hint) from None
        return url if url or self._place.history.is_dir() else None

    async def watch(self, wanted: Wanted) -> AsyncIterator[History]:
        """All of it, again every so many seconds, until closed. It ends where it cannot be read."""
        url = self._url()
        if url is None:
            return
        with _standard_input(url) as stdin:
            process = await asyncio.create_subprocess_exec(
                *_command(self._place, wanted, url), limit=LONGEST, **_options(stdin)
            )
        try:
            assert process.stdout  # noqa: S101 - it was asked for
            while found := await process.stdout.readline():
                yield _decoded(self._place, found)
        except ValueError:  # a line too long
            return
        finally:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()

    def follow(self, wanted: Wanted) -> Iterator[ReadEvent]:
        """Events as they come, the first of them those of `wanted`, oldest first; until closed."""
        url = self._url()
        if url is None:
            return
        process = _process(self._place, wanted, url)
        try:
            assert process.stdout  # noqa: S101 - it was asked for
            while line := process.stdout.readline(LONGEST):
                try:
                    yield msgspec.json.decode(line, type=ReadEvent)
                except (msgspec.MsgspecError, ValueError, RecursionError):
                    raise TryLater("the history cannot be read") from None
            raise TryLater("the history cannot be read")  # else it goes on until it is closed
        finally:
            process.kill()
            process.wait()


def _decoded(place: AutopilotPlace, output: bytes) -> History:
    try:
        return msgspec.json.decode(output, type=History)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        raise TryLater("the history cannot be read", f"see {place.history}") from None


def _output(process: subprocess.Popen[bytes]) -> bytes | None:
    """What it prints, up to a length; None where it has not ended in time."""
    with process:
        try:
            return said_by(process, time.monotonic() + READ_SECONDS, LONGEST)
        finally:
            process.kill()


def _command(place: AutopilotPlace, wanted: Wanted, url: str) -> list[str]:
    text = msgspec.json.encode(wanted).decode()
    return lowered.python("pgherd.autopilot.reading", SERVER if url else str(place.store), text)


def _process(place: AutopilotPlace, wanted: Wanted, url: str) -> subprocess.Popen[bytes]:
    with _standard_input(url) as stdin:
        return subprocess.Popen(_command(place, wanted, url), **_options(stdin))


@contextmanager
def _standard_input(url: str) -> Iterator[int]:
    """It has the URL, which may have a password: a command line is everybody's to read."""
    with os.fdopen(os.memfd_create("history", os.MFD_CLOEXEC), "w+b") as file:
        file.write(url.encode())
        file.seek(0)
        yield file.fileno()


def _options(stdin: int) -> dict[str, Any]:
    owner = data_plane_owner()
    output = {"stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    return {**lowered.options(owner, Path("/")), **output, "stdin": stdin}


def main(path: str, text: str) -> None:
    """Print what is wanted."""
    from pgherd.store.reader import FileReader, ServerReader

    wanted = msgspec.json.decode(text, type=Wanted)
    store: Reader
    if path == SERVER:
        store = ServerReader(sys.stdin.read())
    elif Path(path).exists():
        store = FileReader(Path(path))
    else:
        _print(History())
        return
    events = partial(store.events, wanted.database, wanted.environment)
    while wanted.every_seconds:
        with suppress(PgherdError):
            _print(_history(store, wanted))
        time.sleep(wanted.every_seconds)
    if not wanted.follow:
        try:
            _print(_history(store, wanted))
        except PgherdError as error:
            _print(History(trouble=error.message))
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


def _history(store: Reader, wanted: Wanted) -> History:
    known = store.recall("now")
    now = msgspec.json.decode(known, type=Now) if known else None
    found = store.events(wanted.database, wanted.environment, limit=wanted.limit)
    if wanted.of_each and now:
        more = (store.events(id, limit=wanted.of_each) for id in now.databases)
        by_id = {event.id: event for events in (found, *more) for event in events}
        found = [by_id[id] for id in sorted(by_id, reverse=True)]
    return History(
        [_event(e) for e in found],
        [_alert(a) for a in store.alerts()],
        now,
        resizes.decode(store.recall(resizes.KEY)),
        _loads(store, wanted.load_seconds),
        _receivers(store.recall(notices.KEY)),
    )


def _loads(store: Reader, seconds: float) -> dict[str, list[Load]]:
    if not seconds:
        return {}
    since = datetime.now(UTC) - timedelta(seconds=seconds)
    return {
        id: [_load(slot) for slot in found] for id, found in store.samples_of_all(since).items()
    }


def _load(slot: Slot) -> Load:
    mean = slot.mean
    percent = None if mean.cpu is None or not mean.ocpus else 100 * mean.cpu / mean.ocpus
    return Load(slot.at.timestamp(), percent, mean.transactions, mean.connections)


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
