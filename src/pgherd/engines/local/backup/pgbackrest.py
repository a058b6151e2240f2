"""pgBackRest: what it is called, how it is configured and asked, and what it answers.

Nothing else in pgherd knows it. Its manual: https://pgbackrest.org/configuration.html
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import msgspec

from pgherd.contract.backups import BackupState, ObservedBackup, lsn_of
from pgherd.engines.local import lowered
from pgherd.errors import NeedsHuman

SINCE: Mapping[int, tuple[int, int]] = {
    14: (2, 34),
    15: (2, 42),
    16: (2, 48),
    17: (2, 54),
    18: (2, 56),
}
"""From which version on it is taken to know each PostgreSQL: the first that does, or one after."""
NO_SUCH_STANZA = 1
"""The status of a stanza that is not in the repository (`info`, status.code)."""
NO_BACKUP = 2
SEGMENT = re.compile(r"[0-9A-F]{24}")
"""The name of a piece of WAL: its timeline, and where it begins."""


def program(searched: str = lowered.SEARCHED) -> str | None:
    """Its program, None where it is not installed."""
    return shutil.which("pgbackrest", path=searched)


@cache
def version(path: str) -> tuple[int, int] | None:
    """As in (2, 45); None where it does not say."""
    try:
        done = subprocess.run(
            [path, "version"], capture_output=True, text=True, check=False, timeout=10
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    found = re.search(r"(\d+)\.(\d+)", done.stdout)
    return (int(found[1]), int(found[2])) if found else None


def lack(postgresql: int, path: str | None = None) -> str | None:
    """Why databases of that PostgreSQL cannot be backed up here; None where they can."""
    path = path or program()
    if path is None:
        return "pgBackRest is not installed"
    if not Path(path).exists():
        return "pgBackRest is not installed any more"
    found, needed = version(path), SINCE.get(postgresql)
    if found is None or needed is None or found < needed:
        told = ".".join(map(str, found)) if found else "of unknown version"
        return f"pgBackRest {told} does not know PostgreSQL {postgresql}"
    return None


@dataclass(frozen=True, slots=True)
class Door:
    """A server of it: where it listens, and the files of its certificate, key and authority.

    The address stands in its certificate as a name too: it compares nothing else up to 2.52.
    """

    address: str
    port: int
    certificate: Path
    key: Path
    authority: Path


def key_of(text: str) -> str:
    """What the repository of a configuration is encrypted with."""
    found = re.search(r"^repo1-cipher-pass=(.+)$", text, re.MULTILINE)
    if found is None:
        raise NeedsHuman("a configuration of pgBackRest has no key", "bring it back from a copy")
    return found[1]


def server(door: Door, clients: Mapping[str, str]) -> str:
    """Of a configuration's [global]: a server, and which stanza each name of a client may use."""
    admitted = "".join(f"tls-server-auth={name}={stanza}\n" for name, stanza in clients.items())
    return f"""\
tls-server-address={door.address}
tls-server-port={door.port}
tls-server-cert-file={door.certificate}
tls-server-key-file={door.key}
tls-server-ca-file={door.authority}
{admitted}"""


def repository(folder: Path, key: str, place: str = "") -> str:
    """Of [global], for the owner of a repository: where it is, and what it is encrypted with.

    `place` are the options of a store; without them it is in the folder.
    """
    place = place or f"repo1-path={folder / 'repository'}\n"
    return f"""\
{place}repo1-cipher-type=aes-256-cbc
repo1-cipher-pass={key}
repo1-retention-full-type=time
repo1-bundle=y
archive-copy=y
lock-path={folder / "lock"}
spool-path={folder / "lock"}
start-fast=y
{PLAIN}"""


PLAIN = """\
compress-type=lz4
log-level-console=off
log-level-stderr=warn
log-level-file=off
"""


def reached(door: Door, configuration: Path) -> str:
    """Of [global]: the repository behind that door, whose owner has that configuration."""
    return f"""\
repo1-host={door.address}
repo1-host-type=tls
repo1-host-port={door.port}
repo1-host-config={configuration}
repo1-host-cert-file={door.certificate}
repo1-host-key-file={door.key}
repo1-host-ca-file={door.authority}
{PLAIN}"""


def of_server(
    door: Door, configuration: Path, data: Path, sockets: Path, port: int, user: str
) -> list[str]:
    """Options that say where a PostgreSQL is, whose pgBackRest has that configuration.

    `door` is that pgBackRest's, with the certificate and key of who asks.
    """
    return [
        f"--pg1-host={door.address}",
        "--pg1-host-type=tls",
        f"--pg1-host-port={door.port}",
        f"--pg1-host-config={configuration}",
        f"--pg1-host-cert-file={door.certificate}",
        f"--pg1-host-key-file={door.key}",
        f"--pg1-host-ca-file={door.authority}",
        f"--pg1-path={data}",
        f"--pg1-socket-path={sockets}",
        f"--pg1-port={port}",
        f"--pg1-user={user}",
    ]


def command(
    path: str,
    configuration: Path,
    name: str,
    stanza: str | None = None,
    options: Iterable[str] = (),
    of: str = "",
) -> list[str]:
    """A command line; `of` is a path in the repository."""
    named = [f"--stanza={stanza}"] if stanza else []
    return [path, f"--config={configuration}", *named, *options, name, *([of] if of else ())]


def reaching(kind: str, target: str = "", backup: str = "") -> list[str]:
    """Options of a restore: what is recovered up to (`time`, `name`, `lsn`, `xid` or `default`,
    which is all there is), and from which backup, where it does not choose a good one itself.
    """
    of = [f"--set={backup}"] if backup else []
    end = [f"--target={target}", "--target-action=promote"] if target else []
    return [*of, f"--type={kind}", *end]


def archiving(path: str, configuration: Path, stanza: str, data: Path) -> str:
    """PostgreSQL's archive_command."""
    words = command(path, configuration, "archive-push", stanza, [f"--pg1-path={data}"])
    return f'{" ".join(_quoted(word) for word in words)} "%p"'


def archive_of(command: str) -> str:
    """The stanza that an archive_command names; nothing where it names none."""
    found = re.search(r"'--stanza=([a-z0-9-]+)'", command)
    return found[1] if found else ""


def _quoted(word: str) -> str:
    """As a shell reads it, where PostgreSQL has replaced %% by %."""
    return "'" + word.replace("'", "'\\''").replace("%", "%%") + "'"


class Extent(msgspec.Struct, frozen=True):
    """Where in the WAL a backup is whole, and how much it is once it is restored."""

    whole_at: int
    bytes: int


class Stanza(msgspec.Struct, frozen=True):
    """What a repository has of one incarnation of a database. Backups are the newest first."""

    backups: tuple[ObservedBackup, ...] = ()
    system_identifier: int | None = None
    trouble: str = ""
    """Why nothing is known of it; the others of the repository are."""
    extents: Mapping[str, Extent] = {}
    """Of the backups that say it, by their names."""
    last_segment: str = ""
    """Of the WAL that was handed over; nothing where there is none."""
    postgresql: int | None = None
    """The major version of its server."""


def stanzas(output: bytes) -> dict[str, Stanza]:
    """What `info --output=json` says, by the stanza's name. NeedsHuman where that is no answer."""
    try:
        # It quotes what it could not read as it is.
        told = json.loads(output.decode(errors="replace"), strict=False)
        return {str(one["name"]): _stanza(one) for one in told}
    except (msgspec.MsgspecError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise NeedsHuman(f"pgBackRest says what nobody understands: {error!r}") from None


def _stanza(told: Mapping[str, object]) -> Stanza:
    of = msgspec.convert(told, _Info)
    if of.status.code not in (0, NO_SUCH_STANZA, NO_BACKUP):
        words = [*(repo.status.message for repo in of.repo), of.status.message, "no reason given"]
        first = next(word.splitlines()[0] for word in words if word.strip())
        return Stanza(trouble=f"archive {of.name} cannot be read: {first[:200]}")
    backups = sorted((_backup(b) for b in of.backup), key=lambda b: b.taken_at, reverse=True)
    newest = of.db[-1] if of.db else None
    segments = [a.max for a in of.archive if a.max and SEGMENT.fullmatch(a.max)]
    extents = {
        b.label: Extent(at, b.info.size)
        for b in of.backup
        if b.lsn and (at := lsn_of(b.lsn.stop or ""))
    }
    return Stanza(
        backups=tuple(backups),
        system_identifier=newest.system_id if newest else None,
        postgresql=int(newest.version) if newest and newest.version.isdecimal() else None,
        extents=extents,
        last_segment=max(segments, default=""),
    )


class _Moments(msgspec.Struct):
    start: int
    stop: int


class _Size(msgspec.Struct):
    delta: int = 0


class _Sizes(msgspec.Struct):
    size: int = 0
    repository: _Size = msgspec.field(default_factory=_Size)


class _Positions(msgspec.Struct):
    stop: str | None = None


class _Archive(msgspec.Struct):
    max: str | None = None


class _Backup(msgspec.Struct):
    label: str
    type: str
    timestamp: _Moments
    error: bool | None = None
    info: _Sizes = msgspec.field(default_factory=_Sizes)
    lsn: _Positions | None = None


class _Cluster(msgspec.Struct, rename={"system_id": "system-id"}):
    system_id: int | None = None
    version: str = ""


class _Status(msgspec.Struct):
    code: int = 0
    message: str = ""


class _Repository(msgspec.Struct):
    status: _Status = msgspec.field(default_factory=_Status)


class _Info(msgspec.Struct):
    name: str
    archive: list[_Archive] = []
    backup: list[_Backup] = []
    db: list[_Cluster] = []
    repo: list[_Repository] = []
    status: _Status = msgspec.field(default_factory=_Status)


def _backup(told: _Backup) -> ObservedBackup:
    return ObservedBackup(
        name=told.label,
        taken_at=datetime.fromtimestamp(told.timestamp.stop, UTC),
        state=BackupState.FAILED if told.error else BackupState.AVAILABLE,
        kind={"incr": "incremental", "diff": "differential"}.get(told.type, told.type),
        bytes=told.info.repository.delta,
    )


def complaint(output: Sequence[str]) -> str:
    """The first error of what it printed, without its number; else its last line."""
    for line in output:
        if found := re.search(r"ERROR:\s*\[\d+\]:\s*(.+)", line):
            return found[1]
    return output[-1].strip() if output else "it says nothing"
