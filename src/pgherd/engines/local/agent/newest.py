"""Which instance of a database that does not run has its newest data, by what lies on the disk.

etcd says who led, and Patroni goes by that. Where etcd has lost it, whoever is started first would
lead, and what it lacks would be gone.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from pgherd.engines.local import postgres, whole
from pgherd.engines.local.postgres import ClusterState

PRIMARY = (ClusterState.IN_PRODUCTION, ClusterState.SHUT_DOWN, ClusterState.SHUTTING_DOWN)
"""What pg_control says of a server that was a primary when it ended."""


def newest(kept: Path, numbers: Iterable[int]) -> int | None:
    """One of the instances with these numbers; None where none has data to start with.

    `kept` is the folder of what the database's instances keep. The newest timeline decides, then
    whether it was a primary, which has every commit of its timeline, then who wrote WAL last.
    """
    ranks = {}
    for number in numbers:
        data = kept / str(number) / whole.DATA
        if whole.is_whole(kept / str(number)) and postgres.damage(data) is None:
            is_primary = postgres.cluster_state(data) in PRIMARY
            ranks[number] = (_timeline(data), is_primary, _written_at(data))
    return max(ranks, key=lambda number: ranks[number], default=None)


def _timeline(data: Path) -> int:
    """The newest that it has heard of: each but the first has a history file."""
    numbers = [int(p.stem, 16) for p in (data / "pg_wal").glob("*.history") if _is_number(p.stem)]
    return max(numbers, default=1)


def _is_number(text: str) -> bool:
    return len(text) == 8 and all(digit in "0123456789ABCDEF" for digit in text)


def _written_at(data: Path) -> float:
    files = (data / "pg_wal").glob("[0-9A-F]" * 24)
    return max((path.lstat().st_mtime for path in files), default=0.0)
