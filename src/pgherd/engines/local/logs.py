"""Reading the logs of one database, all components together."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from pathlib import Path

from pgherd.engine import LogLine

POLL_SECONDS = 0.25


async def read(
    folder: Path, instance: str | None, lines: int, follow: bool
) -> AsyncIterator[LogLine]:
    """The last `lines` of each log, then what comes, if `follow`."""
    positions: dict[Path, int] = {}
    for path in _logs(folder, instance):
        with path.open(errors="replace") as file:
            for text in deque(file, maxlen=lines):
                yield LogLine(path.stem, text.rstrip("\n"))
            positions[path] = file.tell()
    while follow:
        await asyncio.sleep(POLL_SECONDS)
        for path in _logs(folder, instance):
            position = positions.get(path, 0)
            with path.open(errors="replace") as file:
                size = path.stat().st_size
                file.seek(position if position <= size else 0)  # it may have been rotated
                for text in file:
                    yield LogLine(path.stem, text.rstrip("\n"))
                positions[path] = file.tell()


def _logs(folder: Path, instance: str | None) -> list[Path]:
    pattern = "*.log" if instance is None else f"{instance}.*.log"
    return sorted(folder.glob(pattern))
