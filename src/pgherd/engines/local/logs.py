"""The logs of the fleet: reading those of one database together, and keeping them short."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections import deque
from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from typing import TextIO

from pgherd.engine import LogLine

POLL_SECONDS = 0.25
LOG_BYTES = 10 * 1024 * 1024
LOGS_KEPT = 2
TAIL_BYTES = 8192
ERROR_WORDS = ("PANIC", "FATAL", "CRITICAL", "ERROR", "Error:", "could not")


async def read(
    folder: Path, instance: str | None, lines: int, follow: bool
) -> AsyncIterator[LogLine]:
    """The last `lines` of each log, then what comes, if `follow`."""
    positions: dict[Path, int] = {}
    for path in _logs(folder, instance):
        with _open(path) as file:
            for text in deque(file, maxlen=lines):
                yield LogLine(path.stem, text.rstrip("\r\n"))
            positions[path] = file.tell()
    while follow:
        await asyncio.sleep(POLL_SECONDS)
        for path in _logs(folder, instance):
            position = positions.get(path, 0)
            with _open(path) as file:
                size = path.stat().st_size
                file.seek(position if position <= size else 0)  # it may have been rotated
                for text in file:
                    yield LogLine(path.stem, text.rstrip("\r\n"))
                positions[path] = file.tell()


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
    return sorted(folder.glob(pattern))


def rotate(folder: Path) -> None:
    """Move what is too long aside. All write in append mode, so a file may be cut under them."""
    for path in folder.rglob("*.log"):
        if path.stat().st_size > LOG_BYTES:
            for number in range(LOGS_KEPT, 1, -1):
                older = path.with_name(f"{path.name}.{number - 1}")
                if older.exists():
                    older.replace(path.with_name(f"{path.name}.{number}"))
            shutil.copyfile(path, path.with_name(f"{path.name}.1"))
            os.truncate(path, 0)
