"""What was received of a database's WAL, for who restores it.

The owner of the repository hands it out as an archive over a pipe; whoever restores takes it in
with the rights of the data plane's user. A segment that was archived is taken from there; else what
was received takes its place, at the end the segment that was not full yet.
"""

from __future__ import annotations

import asyncio
import os
import shlex
import stat
import subprocess
import sys
import tarfile
from collections.abc import Sequence
from pathlib import Path

from pgherd.engines.local import lowered
from pgherd.engines.local.backup import pgbackrest, streams
from pgherd.engines.local.backup.exchange import RESTORED
from pgherd.engines.local.backup.receiving import HISTORY, Segment
from pgherd.engines.local.backup.repository import Repository
from pgherd.engines.local.manifest import DatabaseManifest
from pgherd.engines.local.place import Place
from pgherd.errors import TryLater

STREAMED = "streamed"
"""Beside what is restored, as long as that takes."""
MODULE = "pgherd.engines.local.backup.streamed"
NOT_THERE = 1
"""The exit code of pgBackRest where a segment is not in the archive; others are trouble."""


def fetching(archived: Sequence[str], folder: Path) -> str:
    """A script that fetches one file of WAL. Pure. Trouble ends the recovery: it is no end of WAL.

    Above 125 is what PostgreSQL takes for trouble.
    """
    get, there = shlex.join(archived), shlex.quote(str(folder))
    return f"""\
#!/bin/sh
{get} "$1" "$2"
code=$?
[ "$code" -eq 0 ] && exit 0
[ "$code" -eq {NOT_THERE} ] || exit 126
for file in {there}/"$1" {there}/"$1".partial; do
    [ -f "$file" ] || continue
    cp "$file" "$2" || exit 126
    exit 0
done
exit 1
"""


def script(
    repository: Repository,
    configuration: Path,
    manifest: DatabaseManifest,
    kept: Path,
    received: Path | None,
) -> str:
    """The same for what is restored below `kept`; nothing where nothing was received."""
    if received is None:
        return ""
    options = [f"--pg1-path={kept / RESTORED}"]
    program = repository.manifest.backup_program
    get = pgbackrest.command(program, configuration, "archive-get", manifest.archive, options)
    return fetching(get, received)


def chosen(kept: Sequence[str], wal: Sequence[str]) -> dict[str, str]:
    """The folder of each file that is handed out. Pure.

    The first that came by its name; of those that are not full, the one that is being written.
    """
    first = {name: "kept" for name in kept if _is_wal(name)}
    later = {name: "wal" for name in wal if _is_wal(name)}
    partial = {name: at for name, at in later.items() if name.endswith(".partial")}
    return {**later, **first, **partial}


def _is_wal(name: str) -> bool:
    return Segment.of(name) is not None or HISTORY.fullmatch(name) is not None


async def hand_over(place: Place, repository: Repository, archive: str, kept: Path) -> Path | None:
    """The folder with what was received, beside what is restored; None where there is nothing."""
    source = streams.folder(place.layout, repository.manifest.name) / archive
    if repository.is_copy or repository.manifest.store or not source.is_dir():
        return None
    target = kept / STREAMED
    await place.remove(target)
    code, _, said = await lowered.call(
        place.owner, place.layout.root, ["/bin/mkdir", "-p", "-m", "0700", str(target)]
    )
    if code == 0:
        code, said = await asyncio.to_thread(_piped, place, repository, source, target)
    if code != 0:
        last = said.decode(errors="replace").strip().splitlines()[-1:]
        raise TryLater(f"what was received cannot be handed over: {''.join(last)[:200]}")
    return target


def _piped(place: Place, repository: Repository, source: Path, target: Path) -> tuple[int, bytes]:
    giving = subprocess.Popen(
        [*lowered.PARENTAL, *lowered.python(MODULE, str(source))],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        **lowered.options(repository.owner, repository.folder),
    )
    taking = subprocess.run(
        ["/bin/tar", "-x", "--no-same-owner", "-C", str(target), "-f", "-"],
        check=False,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        **{**lowered.options(place.owner, place.layout.root), "stdin": giving.stdout},
    )
    if giving.stdout:
        giving.stdout.close()  # so that who gives ends where who takes has ended too early
    _, said = giving.communicate()
    return giving.returncode or taking.returncode, taking.stderr or said


def hand_out(source: Path) -> None:
    """All that was received, on standard output. A file that has gone meanwhile is archived."""
    folders = {name: source / name for name in ("kept", "wal")}
    names = {
        n: [file.name for file in path.iterdir()] if path.is_dir() else []
        for n, path in folders.items()
    }
    with tarfile.open(fileobj=sys.stdout.buffer, mode="w|") as tar:
        for name, at in sorted(chosen(names["kept"], names["wal"]).items()):
            _add(tar, folders, name, at)


def _add(tar: tarfile.TarFile, folders: dict[str, Path], name: str, at: str) -> None:
    """One that has become full since has another name, and another folder."""
    full = name.removesuffix(".partial")
    for path in (folders[at] / name, folders["wal"] / full, folders["kept"] / full):
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError:
            continue
        with os.fdopen(descriptor, "rb") as file:
            found = os.fstat(file.fileno())
            if stat.S_ISREG(found.st_mode):
                entry = tarfile.TarInfo(path.name)
                entry.size, entry.mode = found.st_size, 0o600
                tar.addfile(entry, file)
            return


def main(source: str) -> int:
    """Hand out what is in that folder."""
    hand_out(Path(source))
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
