"""Keeps one pg_receivewal for each database whose WAL is wanted: run as the repository's owner.

What a server sends is stored where its receiver works (`wal`), and it could have a receiver write
any segment anew. So each segment that is full is linked into `kept` within half a second, the first
one that came by that name, and stays there until pgBackRest has archived it.
Where a server has not what comes next, what was received is put into `kept` and the receiver begins
where the server can: a gap, which only the archive can fill.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import msgspec
from msgspec import Struct

from pgherd.engines.local import processes

SECONDS = 0.5
ARCHIVE_SECONDS = 5.0
NAMES = re.compile(r"([0-9A-F]{8})([0-9A-F]{16})(\.partial)?")
HISTORY = re.compile(r"[0-9A-F]{8}\.history")
ARCHIVED = re.compile(r"([0-9A-F]{24})-[0-9a-f]{40}(\.[a-z0-9]+)?")
"""A segment as pgBackRest keeps it."""
GAPS = (
    "has already been removed",
    "is not in this server's history",
    "is ahead of the WAL flush position",
)
"""What a server says that has not what comes next."""
LOST = ("has been invalidated", "can no longer")
"""What it says of a slot that has kept too much."""
NO_SLOT = "does not exist"
LAST_WORDS = 4096


class Stream(Struct, frozen=True):
    """What is to be received. `most_bytes` is how much of it may wait to be archived."""

    archive: str
    program: str
    connection: str
    slot: str
    most_bytes: int


@dataclass(frozen=True, slots=True, order=True)
class Segment:
    """A file of WAL: where it begins, of which timeline."""

    position: int
    timeline: int
    is_partial: bool = False

    @staticmethod
    def of(name: str) -> Segment | None:
        """By its file's name; None for others."""
        found = NAMES.fullmatch(name)
        return Segment(int(found[2], 16), int(found[1], 16), bool(found[3])) if found else None


def removable(names: Collection[str], archived: Collection[str]) -> list[str]:
    """What is kept and no restore needs any more. Pure.

    What was archived is, what is from before the archive began, and what an older timeline has from
    before the newest that was. A segment that is missing in the archive stays.
    """
    there = sorted(s for s in map(Segment.of, archived) if s)
    return [n for n in names if there and _is_removable(n, archived, there[0], there[-1])]


def _is_removable(name: str, archived: Collection[str], oldest: Segment, newest: Segment) -> bool:
    segment = Segment.of(name)
    if segment is None:
        return False
    is_left_behind = segment.timeline < newest.timeline and segment.position < newest.position
    is_of_before = segment.position < oldest.position
    return is_of_before or is_left_behind or name.removesuffix(".partial") in archived


def finished(names: Collection[str]) -> list[str]:
    """The segments that are full. Pure."""
    return [n for n in names if (s := Segment.of(n)) and not s.is_partial]


def done(names: Collection[str]) -> list[str]:
    """Those of them that no receiver needs to see where it goes on: all but the newest. Pure."""
    return sorted(finished(names), key=lambda name: (name[8:], name[:8]))[:-1]


class Receiver:
    """That of one database."""

    def __init__(self, folder: Path, archives: Path, stream: Stream) -> None:
        self.stream = stream
        self._wal, self._kept = folder / "wal", folder / "kept"
        self._archives = archives / stream.archive
        self._said = folder / "receiver.log"
        self._process: subprocess.Popen[bytes] | None = None
        self._looked = -ARCHIVE_SECONDS
        for path in (self._wal, self._kept):
            path.mkdir(parents=True, exist_ok=True)

    def round(self) -> None:
        """It runs, where there is room for what it receives; what is full is kept."""
        self._keep()
        if time.monotonic() - self._looked > ARCHIVE_SECONDS:
            self._looked = time.monotonic()
            self._forget()
        if self._bytes() > self.stream.most_bytes:
            self.end()  # what is there stays whole up to its end
            return
        if self._process and self._process.poll() is None:
            if not processes.is_stopped(self._process.pid):
                return
            self.end()
        if self._process:
            self._mend()
        self._begin()

    def end(self) -> None:
        """It runs no more. All that it has received is on the disk."""
        if self._process:
            self._process.kill()
            self._process.wait()

    def _begin(self) -> None:
        with self._said.open("wb") as said:
            self._process = subprocess.Popen(
                [
                    self.stream.program,
                    f"--directory={self._wal}",
                    f"--dbname={self.stream.connection}",
                    f"--slot={self.stream.slot}",
                    "--synchronous",
                    "--no-loop",
                    "--no-password",
                    "--status-interval=5",
                ],
                cwd=self._wal,
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=said,
            )

    def _mend(self) -> None:
        """What kept it from going on, where that is in the way of the next one too."""
        words = self._said.read_bytes()[-LAST_WORDS:].decode(errors="replace")
        if any(lost in words for lost in LOST):
            self._of_slot("--drop-slot")
            self._of_slot("--create-slot", "--if-not-exists")
            self._set_aside(words)
        elif any(gap in words for gap in GAPS):
            if not _files(self._wal):  # the slot itself is too far behind
                self._of_slot("--drop-slot")
            self._set_aside(words)
        elif f'slot "{self.stream.slot}" {NO_SLOT}' in words:
            self._of_slot("--create-slot", "--if-not-exists")

    def _of_slot(self, *options: str) -> None:
        subprocess.run(
            [
                self.stream.program,
                f"--dbname={self.stream.connection}",
                f"--slot={self.stream.slot}",
                "--no-password",
                *options,
            ],
            check=False,
            capture_output=True,
            stdin=subprocess.DEVNULL,
            timeout=10,
        )

    def _set_aside(self, words: str) -> None:
        """What was received until now stays, and the next one begins where the server can."""
        last = words.strip().splitlines()[-1][:200] if words.strip() else ""
        print(f"{time.strftime('%F %T')} {self.stream.archive}: a gap: {last!a}", flush=True)
        self._keep()
        for path in _files(self._wal):
            if Segment.of(path.name) and path.name.endswith(".partial"):
                path.replace(self._kept / path.name)
            else:
                path.unlink()

    def _keep(self) -> None:
        names = [path.name for path in _files(self._wal)]
        for name in (*finished(names), *(n for n in names if HISTORY.fullmatch(n))):
            with suppress(FileExistsError):
                os.link(self._wal / name, self._kept / name)
        for name in done(names):
            (self._wal / name).unlink(missing_ok=True)

    def _forget(self) -> None:
        """What was archived; only folders that what is kept would be in are looked at."""
        names = [path.name for path in _files(self._kept)]
        segments = [n for n in names if Segment.of(n)]
        if not segments:
            return
        for name in removable(segments, self._archived()):
            (self._kept / name).unlink(missing_ok=True)

    def _archived(self) -> set[str]:
        found = set()
        for version in _folders(self._archives):
            folders = sorted(_folders(version), key=lambda folder: folder.name)
            for folder in folders[-3:]:
                for path in folder.iterdir():
                    if name := ARCHIVED.fullmatch(path.name):
                        found.add(name[1])
        return found

    def _bytes(self) -> int:
        """A segment that two names have is counted once."""
        found = {}
        for folder in (self._wal, self._kept):
            for path in _files(folder):
                with suppress(OSError):
                    of = path.stat()
                    found[of.st_ino] = of.st_blocks * 512
        return sum(found.values())


def _files(folder: Path) -> list[Path]:
    with os.scandir(folder) as entries:
        return [Path(e.path) for e in entries if e.is_file(follow_symlinks=False)]


def _folders(folder: Path) -> Iterator[Path]:
    with suppress(OSError), os.scandir(folder) as entries:
        yield from [Path(e.path) for e in entries if e.is_dir(follow_symlinks=False)]


def read(wanted: Path) -> tuple[Stream, ...]:
    """What root wants."""
    try:
        return msgspec.json.decode(wanted.read_bytes(), type=tuple[Stream, ...])
    except (OSError, msgspec.MsgspecError):
        return ()


def keep(folder: Path) -> None:
    """Until nothing is wanted."""
    receivers: dict[str, Receiver] = {}
    wanted, archives = folder.parent / "streams.json", folder.parent / "repository" / "archive"
    _end_those_of_before(folder)
    try:
        while streams := {s.archive: s for s in read(wanted)}:
            for archive, receiver in list(receivers.items()):
                if streams.get(archive) != receiver.stream:
                    receivers.pop(archive).end()
            for archive, stream in streams.items():
                try:
                    if archive not in receivers:
                        receivers[archive] = Receiver(folder / archive, archives, stream)
                    receivers[archive].round()
                except (OSError, subprocess.SubprocessError) as error:
                    print(f"{time.strftime('%F %T')} {archive}: {error}", flush=True)
            time.sleep(SECONDS)
    finally:
        for receiver in receivers.values():
            receiver.end()


def _end_those_of_before(folder: Path) -> None:
    """An earlier keeper may have died: what it began goes, for nobody else would watch it."""
    for there, pids in processes.by_folder().items():
        is_ours = Path(there).name == "wal" and Path(there).parent.parent == folder
        for pid in pids if is_ours else ():
            if process := processes.Process.of(pid):
                process.signal(signal.SIGKILL)


def main(folder: str) -> int:
    """Keep what is wanted of the environment whose folder that is."""
    os.umask(0o077)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    keep(Path(os.path.realpath(folder)))
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
