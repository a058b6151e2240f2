"""What was applied to a fleet: each fleet file that `up` was given, when, and by whom.

Whatever goes on after a command works from the newest of these, and not from a file that somebody
is editing. Each is a file of its own that nobody changes any more; whoever runs pgherd writes it.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from pathlib import Path

import msgspec

from pgherd.errors import InputError, NeedsHuman
from pgherd.files import ensure_directory, require_trusted, write
from pgherd.fleet import stored
from pgherd.fleet.desired import EngineValues, Fleet
from pgherd.fleet.receivers import hidden

KEPT = 200
"""So many are kept, the newest."""


class Applied(msgspec.Struct, frozen=True):
    """One fleet file as it was applied: its place, its content, and what came of it.

    `number` counts from 1. `path` is as from `stored.path_text`. `resolved` is the fleet as the
    code `digest` understood it.
    """

    number: int
    at: datetime
    by: str
    path: str
    text: str
    digest: str
    resolved: msgspec.Raw

    @property
    def place(self) -> Path:
        """Where the file was."""
        return stored.path_of(self.path)

    def difference(self, before: Applied | None) -> tuple[str, ...]:
        """Lines as `diff -u` has them, against the one before it; of URLs the schemes alone."""
        old = hidden(before.text).splitlines() if before else []
        new = hidden(self.text).splitlines()
        name = str(before.place) if before else "/dev/null"
        return tuple(difflib.unified_diff(old, new, name, str(self.place), lineterm=""))


class History:
    """The fleets that were applied under one name, kept in `folder`.

    InputError where another user could have put anything there. `kinds` are the types of the
    engines' values, as `pgherd.engines.known` has them. `read` makes a fleet of a text and its
    path, where the code has changed since.
    """

    def __init__(
        self,
        folder: Path,
        kinds: Callable[[], Mapping[str, type[EngineValues]]],
        read: Callable[[str, Path], Fleet],
    ) -> None:
        self._folder = folder
        self._kinds = kinds
        self._read = read

    def record(self, fleet: Fleet, at: datetime, by: str) -> None:
        """It is applied from now on. One that is the newest already gets no other number."""
        newest = self.newest()
        is_same = newest is not None and _is_of(newest, fleet.text, fleet.path)
        if newest and is_same and newest.digest == stored.digest():
            return
        applied = Applied(
            number=(newest.number if newest else 0) + (not is_same),
            at=newest.at if newest and is_same else at,
            by=newest.by if newest and is_same else by,
            path=stored.path_text(fleet.path),
            text=fleet.text,
            digest=stored.digest(),
            resolved=msgspec.Raw(stored.encode(fleet)),
        )
        ensure_directory(self._folder)
        write(self._place(applied.number), msgspec.json.encode(applied), durable=True)
        self._place(applied.number - KEPT).unlink(missing_ok=True)

    def all(self) -> Iterator[Applied]:
        """The newest first. One that is damaged is left out: it is history, and nothing else."""
        for number in self._numbers():
            if applied := _applied(self._place(number)):
                yield applied

    def newest(self) -> Applied | None:
        """What holds now; None where nothing was applied yet."""
        return next(self.all(), None)

    def fleet(self, applied: Applied) -> Fleet:
        """What it wants. FleetFileError where this code refuses what an earlier one took."""
        return self._resolved(applied) or self._read(applied.text, applied.place)

    def remembered(self, text: str, path: Path) -> Fleet | None:
        """The fleet of that file, where it is what was applied last; quicker than reading it."""
        try:
            newest = self.newest()
        except InputError:
            return None
        fleet = self._resolved(newest) if newest and _is_of(newest, text, path) else None
        return fleet if fleet and _is_whole(fleet) else None

    def _resolved(self, applied: Applied) -> Fleet | None:
        """What this code made of it; None where other code did, or it is damaged."""
        if applied.digest != stored.digest():
            return None
        try:
            return stored.decode(applied.resolved, self._kinds())
        except NeedsHuman:
            return None  # the text is there too

    def _numbers(self) -> list[int]:
        require_trusted(self._folder)
        try:
            found = (path.stem for path in self._folder.iterdir())
            return sorted((int(name) for name in found if name.isdecimal()), reverse=True)
        except OSError:
            return []

    def _place(self, number: int) -> Path:
        return self._folder / f"{number:06}.json"


def _is_of(applied: Applied, text: str, path: Path) -> bool:
    return applied.text == text and applied.place == path


def _is_whole(fleet: Fleet) -> bool:
    """Whether the files and folders that it names are there still."""
    folders = {d.migrations for d in fleet.databases if d.migrations}
    files = {file for d in fleet.databases for file in (d.load, d.masking) if file}
    return all(f.is_dir() for f in folders) and all(p.is_file() for p in files)


def _applied(path: Path) -> Applied | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=Applied)
    except (OSError, msgspec.MsgspecError, ValueError, RecursionError):
        return None
