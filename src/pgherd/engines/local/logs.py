"""The logs of the fleet: reading those of one database together, and keeping them short."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import sys
import time
from collections import deque
from collections.abc import AsyncIterator, Iterable, Iterator
from pathlib import Path
from typing import TextIO

from pgherd.contract.logs import LogLine
from pgherd.engines.local import lowered
from pgherd.files import Owner

POLL_SECONDS = 0.25
LOG_BYTES = 10 * 1024 * 1024
LOGS_KEPT = 2
TAIL_BYTES = 8192
LONGEST_LINE = 65536
"""Characters of a line that are shown."""
LONGEST_ESCAPE = 12
"""Characters that JSON may make of one."""
ERROR_WORDS = ("PANIC", "FATAL", "CRITICAL", "ERROR", "Error:", "could not")


async def read(
    owner: Owner, home: Path, folder: Path, instance: str | None, lines: int, follow: bool
) -> AsyncIterator[LogLine]:
    """The last `lines` of each log in a folder of `owner`'s, then what comes, if `follow`."""
    wish = {"folder": str(folder), "instance": instance, "lines": lines, "follow": follow}
    process = await asyncio.create_subprocess_exec(
        *lowered.python(__name__, json.dumps(wish)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        limit=2 * LONGEST_LINE * LONGEST_ESCAPE,
        **lowered.options(owner, home),
    )
    assert process.stdout  # noqa: S101 - it is a pipe
    try:
        async for line in process.stdout:
            source, text = json.loads(line)
            yield LogLine(source, text)
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


def lines_of(folder: Path, instance: str | None, lines: int, follow: bool) -> Iterator[LogLine]:
    """The same, read by this process."""
    positions: dict[Path, int] = {}
    for path in _logs(folder, instance):
        with _open(path) as file:
            for text in deque(file, maxlen=lines):
                yield _line(path, text)
            positions[path] = file.tell()
    while follow:
        time.sleep(POLL_SECONDS)
        for path in _logs(folder, instance):
            position = positions.get(path, 0)
            with _open(path) as file:
                size = path.stat().st_size
                file.seek(position if position <= size else 0)  # it may have been rotated
                for text in file:
                    yield _line(path, text)
                positions[path] = file.tell()


def _line(path: Path, text: str) -> LogLine:
    return LogLine(path.stem, text.rstrip("\r\n")[:LONGEST_LINE])


def telling_line(paths: Iterable[Path]) -> str:
    """The last line that tells of an error, in the first log that has one; else the last line."""
    last = ""
    for path in paths:
        lines = _tail(path)
        for line in reversed(lines):
            if any(word in line for word in ERROR_WORDS):
                return line
        last = last or (lines[-1] if lines else "")
    return last or "its log is empty"


def _tail(path: Path) -> list[str]:
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - TAIL_BYTES))
            text = file.read().decode(errors="replace")
    except OSError:
        return []
    return [line.strip() for line in text.splitlines() if line.strip()]


def _open(path: Path) -> TextIO:
    # What a client wrote may hold a carriage return, which starts no new line.
    return path.open(errors="replace", newline="\n")


def _logs(folder: Path, instance: str | None) -> list[Path]:
    pattern = "*.log" if instance is None else f"{instance}.*.log"
    return sorted(path for path in folder.glob(pattern) if path.is_file())


def rotate(folder: Path) -> None:
    """Move what is too long aside. All write in append mode, so a file may be cut under them.

    The end of it is kept, however much was written since the last look.
    """
    for path in folder.rglob("*.log"):
        size = path.stat().st_size
        if size > LOG_BYTES:
            for number in range(LOGS_KEPT, 1, -1):
                older = path.with_name(f"{path.name}.{number - 1}")
                if older.exists():
                    older.replace(path.with_name(f"{path.name}.{number}"))
            with path.open("rb") as log, path.with_name(f"{path.name}.1").open("wb") as kept:
                log.seek(size - LOG_BYTES)
                shutil.copyfileobj(log, kept)
            os.truncate(path, 0)


def main(wish: str) -> None:
    """Print each line that is wanted, as JSON, until whoever reads is gone."""
    options = json.loads(wish)
    for line in lines_of(Path(options.pop("folder")), **options):
        print(json.dumps([line.source, line.text]), flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
