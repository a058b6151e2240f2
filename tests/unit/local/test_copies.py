"""When copies of backups are begun, and what is known of them."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from local_fleet import ALONE, PRODUCTION, LongLayout

from pgherd.contract.backups import BackupCopy
from pgherd.decide.backups import why_copied_late
from pgherd.engines.local.backup.copies import Copies, in_region, require_apart
from pgherd.engines.local.backup.repository import Repository
from pgherd.errors import InputError

NOW = datetime(2026, 11, 28, 7, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
AUTH = replace(ALONE, archive="auth-1", copy_to=("vault",))


class Begun(Copies):
    """Notes what would be begun; `said` is what it says at its end."""

    jobs: list[list[str]]
    said: str = '{"trouble": ""}'

    def _start(self, directory: str, archives: Mapping[str, int], lock: int, said: int) -> None:
        self.jobs.append(list(archives))
        os.write(said, self.said.encode())


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    layout = LongLayout(tmp_path / "fleets/shop")
    region = tmp_path / "vault"
    region.mkdir()
    found = Repository(layout, replace(PRODUCTION, regions={"vault": str(region)}))
    found.folder.mkdir(parents=True)
    return found


def begun(repository: Repository, after: timedelta = timedelta(), said: str = "") -> Begun:
    copies = Begun(repository, NOW + after)
    copies.jobs = []
    copies.said = said or copies.said
    return copies


def test_a_copy_is_begun_every_five_minutes_and_at_once_after_a_backup(
    repository: Repository,
) -> None:
    for minutes, at_once, expected in (
        (0, False, [["auth-1"]]),
        (4, False, []),
        (4, True, [["auth-1"]]),
        (8, False, []),
        (9, False, [["auth-1"]]),
    ):
        copies = begun(repository, minutes * MINUTE)
        copies.begin([AUTH], at_once=at_once)
        assert copies.jobs == expected, minutes


def test_a_database_that_is_new_there_waits_for_nothing(repository: Repository) -> None:
    begun(repository).begin([AUTH])
    copies = begun(repository, MINUTE)
    copies.begin([AUTH, replace(AUTH, service="order", archive="order-1")])
    assert copies.jobs == [["auth-1", "order-1"]]


def test_what_has_no_archive_or_no_region_is_not_copied(repository: Repository) -> None:
    copies = begun(repository)
    copies.begin(
        [replace(AUTH, archive=""), replace(AUTH, copy_to=()), replace(AUTH, copy_to=("x",))]
    )
    assert copies.jobs == []


def test_one_that_goes_on_is_not_begun_again(repository: Repository) -> None:
    begun(repository).begin([AUTH])
    lock = os.open(repository.folder / "copies/vault.lock", os.O_RDWR)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        copies = begun(repository, 60 * MINUTE)
        copies.begin([AUTH], at_once=True)
        assert copies.jobs == []
    finally:
        os.close(lock)


def test_how_far_it_is_outlives_what_fails(repository: Repository) -> None:
    assert begun(repository).of(AUTH) == (BackupCopy("vault"),)
    begun(repository).begin([AUTH])
    assert begun(repository).of(AUTH) == (BackupCopy("vault", NOW),)
    begun(repository, 5 * MINUTE, json.dumps({"trouble": "no space left"})).begin([AUTH])
    assert begun(repository).of(AUTH) == (BackupCopy("vault", NOW, "no space left"),)
    begun(repository, 10 * MINUTE, "{").begin([AUTH])  # killed
    assert begun(repository).of(AUTH) == (BackupCopy("vault", NOW),)
    begun(repository, 15 * MINUTE).begin([AUTH])
    assert begun(repository).of(AUTH) == (BackupCopy("vault", NOW + 15 * MINUTE),)
    assert begun(repository).of(replace(AUTH, archive="auth-2")) == (BackupCopy("vault"),)


def test_what_the_owner_says_at_length_is_cut(repository: Repository) -> None:
    begun(repository, said=json.dumps({"trouble": "x" * 1000})).begin([AUTH])
    assert len(begun(repository).of(AUTH)[0].trouble) == 200
    begun(repository, MINUTE, json.dumps({"trouble": "x" * 10_000})).begin([AUTH], at_once=True)
    assert begun(repository).of(AUTH)[0].until is None


def test_a_copy_that_is_late_is_told_of() -> None:
    assert why_copied_late((), NOW) is None
    assert why_copied_late((BackupCopy("vault", NOW - 15 * MINUTE),), NOW) is None
    late = BackupCopy("vault", NOW - 16 * MINUTE, "no space left")
    fresh = BackupCopy("other", NOW, "it is slow")
    said = "its copy in vault is 16 min behind: no space left"
    assert why_copied_late((fresh, late), NOW) == said
    none = "its backups have no copy in vault yet"
    assert why_copied_late((BackupCopy("vault"),), NOW) == none


@pytest.mark.parametrize("inside", [".", "shop", "shop.backups", "shop/instances"])
def test_no_region_is_among_what_is_copied(tmp_path: Path, inside: str) -> None:
    layout = LongLayout(tmp_path / "fleets/shop")
    region = tmp_path / "fleets" / inside
    region.mkdir(parents=True, exist_ok=True)
    link = tmp_path / "link"
    link.symlink_to(region)
    for path in (region, link):
        with pytest.raises(InputError, match="where pgherd keeps what is to be copied"):
            require_apart(layout, {"vault": str(path)}, "production")
    require_apart(layout, {"vault": str(tmp_path / "other")}, "production")


def test_two_regions_are_two_directories(tmp_path: Path) -> None:
    layout = LongLayout(tmp_path / "fleets/shop")
    with pytest.raises(InputError, match="are one directory"):
        require_apart(layout, {"a": "/mnt/a", "b": "/mnt/../mnt/a"}, "production")


def test_a_region_that_is_not_known_is_named(repository: Repository) -> None:
    with pytest.raises(InputError) as error:
        in_region(repository.layout, repository.manifest, "elsewhere")
    assert (error.value.message, error.value.hint) == (
        "production has no region elsewhere on this machine",
        "it has vault",
    )
