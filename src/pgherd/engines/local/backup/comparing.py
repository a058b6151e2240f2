"""What pgBackRest says of the files in a repository: the answers of `verify` and `repo-ls`. Pure.

`verify` ends with 0 up to 2.45 whatever it finds, and names files in its log alone.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from datetime import UTC, datetime

import msgspec

from pgherd.contract.verification import Trouble
from pgherd.engines.local.backup.verified import Compared
from pgherd.errors import NeedsHuman

OPTIONS = ("--output=text", "--verbose", "--log-level-stderr=info", "--job-retry=0")
"""A file that is no good stays so: it is not read again 15 s later."""
LISTED = ("--recurse", "--output=json")
LATEST = 2**32
"""Seconds since 1970, of a file: a store says them, and whoever may write there."""

_STATUS = re.compile(r"backup: (\S+), status: ([a-z -]+?)(?:, total files checked: (\d+).*)?$")
_NO_GOOD = re.compile(r"(invalid (?:checksum|size|result)|file missing) '?([^\s':]+)")
_SEGMENT = re.compile(r"(?:.*/)?([0-9A-F]{16}0{6}[0-9A-F]{2})-[0-9a-f]{40}(?:\.\w+)?")
_UNUSABLE = re.compile(r"No usable (?:archive|backup)\.info file")


def compared(report: str, said: Sequence[str]) -> Compared | None:
    """The report of `verify`, and what it logged meanwhile; None where that is no report."""
    if "stanza:" not in report or _UNUSABLE.search(report):
        return None
    backups = {}
    for line in report.splitlines():
        if found := _STATUS.search(line.strip()):
            backups[found[1]] = (found[2] == "valid", int(found[3] or 0))
    files: dict[tuple[str | None, str], Trouble] = {}
    for line in said:
        if found := _NO_GOOD.search(line):
            trouble = Trouble.MISSING if found[1] == "file missing" else Trouble.DAMAGED
            if segment := _SEGMENT.fullmatch(found[2]):
                files[None, segment[1]] = trouble
            else:
                backup, _, name = found[2].partition("/")
                files[backup, name] = trouble
    return Compared(backups, tuple((b, name, trouble) for (b, name), trouble in files.items()))


class _File(msgspec.Struct):
    type: str = ""
    time: int = 0


class Listing(msgspec.Struct, frozen=True):
    """The WAL of an archive: segments and when they came, and the newest timeline.

    `folder` is that of the cluster that is the last; nothing where there is none.
    """

    folder: str = ""
    segments: dict[str, datetime] = {}
    newest: int = 0


def listing(output: bytes) -> Listing:
    """What `repo-ls` tells of an archive. NeedsHuman where that is no answer."""
    try:
        told = json.loads(output.decode(errors="replace"), strict=False)
        files = msgspec.convert(told, dict[str, _File])
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise NeedsHuman(f"pgBackRest says what nobody understands: {error!r}") from None
    folders = [name for name in files if re.fullmatch(r"[\d.]+-\d{1,9}", name)]
    if not folders:
        return Listing()
    folder = max(folders, key=lambda name: int(name.rpartition("-")[2]))
    segments, newest = {}, 0
    for path, file in files.items():
        if not path.startswith(f"{folder}/") or file.type != "file":
            continue
        if found := _SEGMENT.fullmatch(path):
            segments[found[1]] = datetime.fromtimestamp(min(max(file.time, 0), LATEST), UTC)
            newest = max(newest, int(found[1][:8], 16))
        elif history := re.search(r"/([0-9A-F]{8})\.history", path):
            newest = max(newest, int(history[1], 16))
    return Listing(folder, segments, newest)
