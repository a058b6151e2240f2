"""Disks that are about to be full: how soon, as far as the last hour tells, and with what."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from pgherd.contract.meter import Usage
from pgherd.decide.alerts import Alert
from pgherd.units import rounded_bytes

FULL_SHARE = 0.05
"""A disk with less than that free is told of, however slowly it fills."""
LAST_SHARE = 0.02
"""With less, archives are given up that the fleet file says so of."""
ROOMY_SHARE = 0.3
"""One with more is not: whatever fills it may stop long before."""
SOON_SECONDS = 24 * 3600.0
APART_SECONDS = 60.0
LONGEST_SECONDS = 3600.0
SHORTEST_SECONDS = 600.0
"""What fills a disk for less does not tell how it goes on."""
MUCH_WAL = 256 * 2**20

Past = tuple[tuple[float, int], ...]
"""When how many bytes of a disk were free, the oldest first: one a minute, of the last hour."""


@dataclass(frozen=True, slots=True)
class Disk:
    """One that instances keep their data on. `waiting` is WAL by database that is not archived."""

    size: int
    free: int
    databases: frozenset[str]
    waiting: Mapping[str, int]


def disks(usages: Mapping[str, Usage]) -> dict[str, Disk]:
    """All that are known, by name."""
    sizes: dict[str, tuple[int, int]] = {}
    databases: dict[str, set[str]] = {}
    waiting: dict[str, dict[str, int]] = {}
    for id, usage in usages.items():
        for instance in usage.instances.values():
            name, size, free = instance.disk, instance.disk_bytes, instance.disk_free_bytes
            if name is None or size is None or free is None:
                continue
            sizes[name] = (size, free)
            databases.setdefault(name, set()).add(id)
            held = waiting.setdefault(name, {})
            held[id] = held.get(id, 0) + (instance.unarchived_bytes or 0)
    return {name: Disk(*sizes[name], frozenset(databases[name]), waiting[name]) for name in sizes}


def remembered(past: Past, now: float, free: int) -> Past:
    """With what is free now, where that is due."""
    if past and now - past[-1][0] < APART_SECONDS:
        return past
    return (*(one for one in past if now - one[0] <= LONGEST_SECONDS), (now, free))


def seconds_left(past: Sequence[tuple[float, int]]) -> float | None:
    """Until nothing is free, if it goes on as it did; None where that is unknown, or never."""
    if not past or past[-1][0] - past[0][0] < SHORTEST_SECONDS:
        return None
    (began, before), (ended, free) = past[0], past[-1]
    used = before - free
    return free * (ended - began) / used if used > 0 else None


def to_give_up(disk: Disk, willing: Collection[str]) -> str | None:
    """Whose archive goes so that the disk does not fill: the one most of the WAL waits for."""
    if disk.free >= LAST_SHARE * disk.size:
        return None
    candidates = [id for id in disk.waiting.keys() & willing if disk.waiting[id] >= MUCH_WAL]
    return max(candidates, key=lambda id: (disk.waiting[id], id), default=None)


def alerts(disk: Disk, past: Past) -> Iterator[Alert]:
    """One for each environment that has data there, or for the one database."""
    left = seconds_left(past)
    is_soon = left is not None and left < SOON_SECONDS and disk.free < ROOMY_SHARE * disk.size
    if not is_soon and disk.free >= FULL_SHARE * disk.size:
        return
    parts = [f"its disk has {rounded_bytes(disk.free)} of {rounded_bytes(disk.size)} free"]
    if is_soon and left is not None:
        parts.append(f"it is full in {_span(left)} if it goes on like this")
    remedy = "make room, or make the disk larger"
    if (held := sum(disk.waiting.values())) >= MUCH_WAL:
        most = max(disk.waiting, key=lambda id: (disk.waiting[id], id))
        parts.append(f"{rounded_bytes(held)} are WAL that is not archived, most of it of {most}")
        remedy = f"have it archived: see `pgherd backup list {most}`; or {remedy}"
    subjects = disk.databases
    if len(subjects) > 1:
        subjects = frozenset(id.partition("/")[0] for id in subjects)
    for subject in sorted(subjects):
        yield Alert("disk-full", subject, "; ".join(parts), remedy)


def _span(seconds: float) -> str:
    return f"{seconds / 3600:.0f} h" if seconds >= 5400 else f"{seconds / 60:.0f} min"
