"""Copies of a repository in the regions of its environment: begun, and what came of them.

What copies has the rights of the repository's owner, and outlives whoever began it: a region that
does not answer holds nobody up. Root gives it a lock that ends with it, and a file to say how it
ended; both are in a folder that is root's alone.
"""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path

import msgspec

from pgherd.contract.backups import BackupCopy
from pgherd.engines.local import lowered
from pgherd.engines.local.backup import leases
from pgherd.engines.local.backup.repository import Repository
from pgherd.engines.local.layout import Layout
from pgherd.engines.local.manifest import DatabaseManifest, EnvironmentManifest
from pgherd.errors import InputError
from pgherd.files import ensure_directory, require_trusted, write

EVERY = timedelta(minutes=5)
"""What was handed over is in the copies so soon, where somebody looks as often."""
LONGEST = 4096
LONGEST_TROUBLE = 200


class Attempt(msgspec.Struct, frozen=True):
    """The last one of a region: when it began, and for which archives.

    `until` is when the last good one of each archive had begun: what was handed over by then is in
    the copy.
    """

    began: datetime
    archives: tuple[str, ...] = ()
    until: Mapping[str, datetime] = {}


class _Said(msgspec.Struct):
    trouble: str = ""


def place_of(layout: Layout, region: str, environment: str) -> Path:
    """Where in a region's directory the copy of an environment is."""
    return Path(region) / below(layout, environment)


def below(layout: Layout, environment: str) -> str:
    """The same, as it is in each of them."""
    return f"{layout.root.name}/{environment}"


def require_apart(layout: Layout, regions: Mapping[str, str], environment: str) -> None:
    """InputError where a copy would lie among what pgherd itself keeps, or in another one."""
    ours = (layout.root, layout.repository(environment).parent)
    places = {name: Path(os.path.realpath(path)) for name, path in regions.items()}
    for name, directory in places.items():
        place = directory / below(layout, environment)
        if any(place.is_relative_to(own) or own.is_relative_to(place) for own in ours):
            raise InputError(
                f"region {name} is {directory}, where pgherd keeps what is to be copied",
                "choose a directory of another disk or machine",
            )
        if others := [n for n, other in places.items() if n != name and other == directory]:
            raise InputError(
                f"regions {name} and {others[0]} are one directory", "give each one of its own"
            )


class Copies:
    """Those of one environment."""

    def __init__(self, repository: Repository, now: datetime) -> None:
        self._repository = repository
        self._folder = repository.folder / "copies"
        self._now = now

    def of(self, manifest: DatabaseManifest) -> tuple[BackupCopy, ...]:
        """How far those of a database have come."""
        return tuple(self._copy(region, manifest.archive) for region in manifest.copy_to)

    def begin(self, databases: Sequence[DatabaseManifest], *, at_once: bool = False) -> None:
        """Bring them up to date, those that are due; this ends before they are."""
        for region in sorted({name for d in databases for name in d.copy_to}):
            mine = sorted({d.archive for d in databases if region in d.copy_to and d.archive})
            directory = self._repository.manifest.regions.get(region)
            if directory and mine:
                self._begin(region, directory, mine, at_once=at_once)

    def _begin(self, region: str, directory: str, archives: list[str], *, at_once: bool) -> None:
        ensure_directory(self._folder)
        lock = os.open(
            self._folder / f"{region}.lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600
        )
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return  # the one that is under way looks at what there is now, or the next one does
        held = [lock]
        try:
            last = self._attempt(region)
            is_due = at_once or last is None or self._now - last.began >= EVERY
            if not is_due and last and {*archives} <= {*last.archives}:
                return
            attempt = Attempt(self._now, tuple(archives), self._until(region))
            write(self._path(region), msgspec.json.encode(attempt))
            said = os.open(
                self._folder / f"{region}.said",
                os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC,
                0o600,
            )
            held.append(said)
            try:
                require_trusted(Path(directory).parent)
            except InputError as error:
                os.write(said, json.dumps({"trouble": error.message}).encode())
                return
            leased = {a: leases.opened(self._repository.folder, a, region) for a in archives}
            held += leased.values()
            self._start(directory, leased, lock, said)
        finally:
            for descriptor in held:
                os.close(descriptor)

    def _start(self, directory: str, archives: Mapping[str, int], lock: int, said: int) -> None:
        repository = self._repository
        job = {
            "source": str(repository.folder / "repository"),
            "directory": directory,
            "below": below(repository.layout, repository.manifest.name),
            "archives": dict(archives),
        }
        module = lowered.python("pgherd.engines.local.backup.mirror", json.dumps(job))
        subprocess.run(
            [*lowered.DETACHED, "/usr/bin/nice", *module],
            check=True,
            stdout=said,
            stderr=subprocess.DEVNULL,
            pass_fds=(lock, *archives.values()),
            **lowered.options(repository.owner, repository.folder),
        )

    def _copy(self, region: str, archive: str) -> BackupCopy:
        if region not in self._repository.manifest.regions:
            return BackupCopy(region, trouble="this machine has no region of that name")
        last, said = self._attempt(region), self._said(region)
        return BackupCopy(region, self._until(region).get(archive), _trouble(last, said))

    def _until(self, region: str) -> Mapping[str, datetime]:
        """When the last good one of each archive had begun."""
        last, said = self._attempt(region), self._said(region)
        if last is None:
            return {}
        is_good = said is not None and not said.trouble
        return {**last.until, **(dict.fromkeys(last.archives, last.began) if is_good else {})}

    def _attempt(self, region: str) -> Attempt | None:
        with suppress(OSError, msgspec.MsgspecError):
            return msgspec.json.decode(self._path(region).read_bytes(), type=Attempt)
        return None

    def _said(self, region: str) -> _Said | None:
        """What the last one has said at its end; None while it goes on, or where it was killed."""
        with suppress(OSError, msgspec.MsgspecError, ValueError):
            said = (self._folder / f"{region}.said").read_bytes()
            return msgspec.json.decode(said[:LONGEST], type=_Said)
        return None

    def _path(self, region: str) -> Path:
        return self._folder / f"{region}.json"


def _trouble(last: Attempt | None, said: _Said | None) -> str:
    return said.trouble[:LONGEST_TROUBLE] if last and said else ""


def in_region(layout: Layout, manifest: EnvironmentManifest, region: str) -> Repository:
    """The copy in a region, to be read in place of the repository; InputError without it."""
    directory = manifest.regions.get(region)
    if directory is None:
        known = ", ".join(sorted(manifest.regions))
        raise InputError(
            f"{manifest.name} has no region {region} on this machine",
            f"it has {known}" if known else "leave --from-region out",
        )
    place = place_of(layout, directory, manifest.name)
    repository = Repository(layout, manifest, f"from-{region}.conf", place, region)
    repository.write(repository.configuration, repository.text({}))
    return repository
