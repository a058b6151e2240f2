"""Leases: who reads shares one, who removes has it alone, and both end with whoever holds them."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from types import MethodType

import pytest

from pgherd.engines.local.backup import leases
from pgherd.engines.local.backup.expiring import expire
from pgherd.engines.local.backup.repository import Repository

ARCHIVE = "auth-1a2b3c4d"


async def test_readers_share_it_and_who_removes_does_not(tmp_path: Path) -> None:
    first, second, third = (leases.opened(tmp_path, ARCHIVE) for _ in range(3))
    await leases.take(first)
    await leases.take(second)
    assert not leases.is_alone(third)
    os.close(first)
    assert not leases.is_alone(third)
    os.close(second)
    assert leases.is_alone(third)


async def test_who_reads_waits_for_who_removes(tmp_path: Path) -> None:
    removing, reading = leases.opened(tmp_path, ARCHIVE), leases.opened(tmp_path, ARCHIVE)
    assert leases.is_alone(removing)
    waiting = asyncio.create_task(leases.take(reading))
    await asyncio.sleep(0.3)
    assert not waiting.done()
    os.close(removing)
    await waiting


async def test_that_of_a_copy_and_of_another_archive_are_others(tmp_path: Path) -> None:
    await leases.take(leases.opened(tmp_path, ARCHIVE))
    assert leases.is_alone(leases.opened(tmp_path, ARCHIVE, "vault"))
    assert leases.is_alone(leases.opened(tmp_path, "order-1a2b3c4d"))


async def test_nothing_expires_that_somebody_restores_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository, ran = Repository.__new__(Repository), []
    repository.folder = tmp_path

    async def run(self: Repository, *words: object) -> bytes:
        ran.append(words)
        return b""

    monkeypatch.setattr(repository, "run", MethodType(run, repository), raising=False)
    reader = leases.opened(tmp_path, ARCHIVE)
    await leases.take(reader)
    await expire(repository, ARCHIVE, 7)
    assert ran == []
    os.close(reader)
    await expire(repository, ARCHIVE, 7)
    assert ran == [("expire", ARCHIVE, ["--repo1-retention-full=7"])]
