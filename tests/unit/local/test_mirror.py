"""The copy of a repository: whole at every moment, and led nowhere by links."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from pgherd.engines.local.backup import leases, mirror

ARCHIVE = "auth-1a2b3c4d"
BACKUPS, WAL = f"backup/{ARCHIVE}", f"archive/{ARCHIVE}"


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """One full backup, and a piece of WAL."""
    folder = tmp_path / "repository"
    written(folder, f"{WAL}/15-1/0000000100000000/000000010000000000000001-a.lz4", "wal")
    written(folder, f"{WAL}/archive.info", "archive")
    written(folder, f"{WAL}/archive.info.copy", "archive")
    take(folder, "1F")
    return folder


@pytest.fixture
def region(tmp_path: Path) -> Path:
    folder = tmp_path / "region"
    folder.mkdir(mode=0o750)
    return folder


def written(folder: Path, path: str, content: str) -> Path:
    place = folder / path
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(content)
    return place


def take(folder: Path, *labels: str) -> None:
    """As pgBackRest does: what names a backup comes last."""
    for label in labels:
        written(folder, f"{BACKUPS}/{label}/bundle/1", f"data of {label}")
        written(folder, f"{BACKUPS}/{label}/backup.manifest", label)
    for copy in ("", ".copy"):
        written(folder, f"{BACKUPS}/backup.info{copy}", " ".join(labels))


def run(source: Path, region: Path) -> None:
    lease = leases.opened(source.parent, ARCHIVE, "vault")
    mirror.run(str(source), str(region), "shop/production", {ARCHIVE: lease})


def files(folder: Path) -> dict[str, str]:
    return {
        str(p.relative_to(folder)): p.read_text()
        for p in folder.rglob("*")
        if p.is_file() and not p.is_symlink()
    }


def there(region: Path) -> dict[str, str]:
    return files(region / "shop/production")


def test_all_of_it_is_there(source: Path, region: Path) -> None:
    run(source, region)
    assert there(region) == files(source)
    place = region / "shop/production" / BACKUPS
    assert (place.stat().st_mode & 0o027, (place / "backup.info").stat().st_mode & 0o027) == (0, 0)


def test_what_is_there_is_not_copied_again(source: Path, region: Path) -> None:
    run(source, region)
    before = {p: p.stat().st_ino for p in region.rglob("*")}
    run(source, region)
    assert {p: p.stat().st_ino for p in region.rglob("*")} == before


def test_it_follows_what_expires_and_what_comes(source: Path, region: Path) -> None:
    run(source, region)
    take(source, "2F")
    for path in sorted((source / BACKUPS / "1F").rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    (source / BACKUPS / "1F").rmdir()
    run(source, region)
    assert there(region) == files(source)
    assert not (region / "shop/production" / BACKUPS / "1F").exists()


async def test_what_somebody_restores_from_stays_until_that_has_ended(
    source: Path, region: Path
) -> None:
    run(source, region)
    take(source, "2F")
    for path in sorted((source / BACKUPS / "1F").rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    reader = leases.opened(source.parent, ARCHIVE, "vault")
    await leases.take(reader)
    run(source, region)
    assert there(region) == {**files(source), **there(region)}
    assert f"{BACKUPS}/1F/bundle/1" in there(region)
    os.close(reader)
    run(source, region)
    assert there(region) == files(source)


def test_at_no_moment_is_a_backup_named_that_is_not_whole(
    source: Path, region: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After each change of the copy, whatever it names is all there, and so is all WAL before."""
    run(source, region)
    take(source, "2F", "3F")
    for path in (source / BACKUPS / "1F").rglob("*"):
        if path.is_file():
            path.unlink()
    written(source, f"{WAL}/15-1/0000000100000000/000000010000000000000002-b.lz4", "more")
    looked = []

    def look() -> None:
        found = there(region)
        for label in found[f"{BACKUPS}/backup.info"].split():
            assert found[f"{BACKUPS}/{label}/bundle/1"] == f"data of {label}"
            assert found[f"{BACKUPS}/{label}/backup.manifest"] == label
            if label != "1F":
                assert any("000000010000000000000002" in path for path in found)
        looked.append(len(found))

    for name in ("replace", "unlink", "rmdir"):
        done = getattr(os, name)

        def after(*given: object, _done: object = done, **more: object) -> None:
            try:
                _done(*given, **more)  # type: ignore[operator]
            finally:
                look()

        monkeypatch.setattr(mirror.os, name, after)
    run(source, region)
    assert len(looked) > 8
    assert there(region) == files(source)


def test_a_backup_that_ends_meanwhile_is_copied_too(
    source: Path, region: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copied, come = mirror.copy, iter(["2F"])

    def copy(*given: object) -> bool:
        if label := next(come, None):
            take(source, "1F", label)
        return copied(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(mirror, "copy", copy)
    run(source, region)
    assert there(region) == files(source)
    assert there(region)[f"{BACKUPS}/backup.info"] == "1F 2F"


def test_backups_that_never_rest_are_told_of(
    source: Path, region: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    numbers = iter(range(2, 1000))

    def infos(*given: object) -> dict[str, bytes]:
        return {f"{BACKUPS}/backup.info": str(next(numbers)).encode()}

    monkeypatch.setattr(mirror, "infos", infos)
    with pytest.raises(mirror.Failed, match="faster than they can be copied"):
        run(source, region)
    assert f"{BACKUPS}/backup.info" not in there(region)


def test_without_a_backup_the_copy_stays_as_it_is(source: Path, region: Path) -> None:
    run(source, region)
    before = there(region)
    for path in (source / BACKUPS).glob("backup.info*"):
        path.unlink()
    run(source, region)
    assert there(region) == before


def test_what_was_killed_in_the_middle_goes_on(source: Path, region: Path) -> None:
    written(region, f"shop/production/{BACKUPS}/1F/bundle/1.pgherd.tmp", "half")
    written(region, f"shop/production/{BACKUPS}/1F/bundle/1", "other")
    written(source, f"{BACKUPS}/1F/x.pgbackrest.tmp", "half")
    run(source, region)
    found = there(region)
    assert found[f"{BACKUPS}/1F/bundle/1"] == "data of 1F"
    assert not [path for path in found if path.endswith(".tmp")]


@pytest.mark.parametrize(
    "link", ["shop", "shop/production", f"shop/production/{BACKUPS}", f"shop/production/{WAL}/15-1"]
)
def test_no_folder_of_the_copy_is_a_link(
    source: Path, region: Path, tmp_path: Path, link: str
) -> None:
    precious = written(tmp_path, "precious/15-1/file", "precious")
    (region / link).parent.mkdir(parents=True, exist_ok=True)
    (region / link).symlink_to(tmp_path / "precious")
    with pytest.raises(OSError):
        run(source, region)
    assert files(tmp_path / "precious") == {"15-1/file": "precious"}
    assert precious.exists()


def test_a_file_of_the_copy_that_is_a_link_is_replaced(
    source: Path, region: Path, tmp_path: Path
) -> None:
    run(source, region)
    precious = written(tmp_path, "precious", "precious")
    for path in (f"{BACKUPS}/1F/bundle/1", f"{BACKUPS}/more", f"{BACKUPS}/1F/bundle/1.pgherd.tmp"):
        place = region / "shop/production" / path
        place.unlink(missing_ok=True)
        place.symlink_to(precious)
    run(source, region)
    assert precious.read_text() == "precious"
    assert there(region) == files(source)
    assert not [p for p in region.rglob("*") if p.is_symlink()]


def test_links_of_the_source_are_not_followed(source: Path, region: Path, tmp_path: Path) -> None:
    secret = written(tmp_path, "secret/file", "secret")
    (source / BACKUPS / "latest").symlink_to("1F")
    (source / BACKUPS / "1F/leads-away").symlink_to(secret)
    (source / BACKUPS / "leads-away").symlink_to(secret.parent)
    os.mkfifo(source / BACKUPS / "1F/waits")
    run(source, region)
    assert "secret" not in there(region).values()
    assert not [path for path in there(region) if "leads" in path or "waits" in path]


@pytest.mark.parametrize("mode", [0o777, 0o757, 0o1777])
def test_a_region_that_others_may_change_is_refused(source: Path, region: Path, mode: int) -> None:
    region.chmod(mode)
    with pytest.raises(mirror.Failed, match="may be changed by others"):
        run(source, region)
    assert not list(region.iterdir())


def test_a_region_that_is_not_there_is_not_made(source: Path, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        run(source, tmp_path / "not-mounted")
    assert not (tmp_path / "not-mounted").exists()


@pytest.fixture(autouse=True)
def _mask() -> Iterator[None]:
    before = os.umask(0o027)
    yield
    os.umask(before)
