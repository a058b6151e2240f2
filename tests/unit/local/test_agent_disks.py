"""Disks as the agent sees them, and the file that goes when one is all but full."""

from __future__ import annotations

from pathlib import Path

import pytest

from pgherd.engines.local.agent import disks
from pgherd.engines.local.agent.disks import Reserve, disk_of, reserve_wanted, waiting_bytes
from pgherd.engines.local.measured import MeasuredDisk

GIB, MIB = 2**30, 2**20


def full(free: int, size: int = 100 * GIB) -> MeasuredDisk:
    return MeasuredDisk("8:1", size, free)


@pytest.mark.parametrize(
    ("disk", "is_there", "wanted"),
    [
        (full(50 * GIB), False, 256 * MIB),
        (full(50 * GIB), True, None),
        (full(256 * MIB), True, None),
        (full(256 * MIB - 1), True, 0),
        (full(8 * 256 * MIB), False, None),
        (full(8 * 256 * MIB + 1), False, 256 * MIB),
        (full(500 * MIB, size=1000 * MIB), False, 10 * MIB),
    ],
)
def test_how_large_a_reserve_is(disk: MeasuredDisk, is_there: bool, wanted: int | None) -> None:
    assert reserve_wanted(disk, is_there=is_there) == wanted


def test_it_is_made_and_given_up_and_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "reserve"
    reserve = Reserve(file)
    free = 50 * GIB
    monkeypatch.setattr(disks, "disk_of", lambda _: full(free, size=1000 * MIB))
    reserve.look()
    assert file.stat().st_blocks * 512 >= 10 * MIB
    free = 9 * MIB
    reserve.look()
    assert not file.exists()
    reserve.look()
    assert not file.exists()
    free = 81 * MIB
    reserve.look()
    assert file.exists()


def test_wal_that_waits_is_counted(tmp_path: Path) -> None:
    assert waiting_bytes(tmp_path) is None
    status = tmp_path / "pg_wal" / "archive_status"
    status.mkdir(parents=True)
    for name in ("1.ready", "2.ready", "3.done"):
        (status / name).touch()
    assert waiting_bytes(tmp_path) == 32 * MIB


def test_a_disk_is_known_by_its_device(tmp_path: Path) -> None:
    found = disk_of(tmp_path)
    assert found is not None
    assert 0 <= found.free <= found.size
    assert disk_of(tmp_path / "missing") is None
