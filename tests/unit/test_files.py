"""Files are written whole, belong to whoever writes them, and lie where nobody else may change."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from pgherd.errors import InputError
from pgherd.files import Owner, ensure_directory, require_trusted, write

OTHER = Owner(12345, 12345, "database")
only_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can let others read")


def access(path: Path) -> tuple[int, int, int]:
    found = path.stat()
    return found.st_uid, found.st_gid, stat.S_IMODE(found.st_mode)


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_the_mask_of_whoever_calls_changes_no_mode(tmp_path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        ensure_directory(tmp_path / "a/b")
        write(tmp_path / "a/b/c", "text")
        write(tmp_path / "a/b/d", "text", mode=0o700)
    finally:
        os.umask(before)
    modes = [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("a", "a/b", "a/b/c")]
    assert modes == [0o700, 0o700, 0o600]
    assert stat.S_IMODE((tmp_path / "a/b/d").stat().st_mode) == 0o700


@only_root
def test_a_reader_may_enter_read_and_run_and_change_nothing(tmp_path: Path) -> None:
    ensure_directory(tmp_path / "a", OTHER)
    write(tmp_path / "a/b", "text", OTHER)
    write(tmp_path / "a/c", "text", OTHER, mode=0o700)
    assert access(tmp_path / "a") == (0, 12345, 0o750)
    assert access(tmp_path / "a/b") == (0, 12345, 0o640)
    assert access(tmp_path / "a/c") == (0, 12345, 0o750)


@only_root
def test_a_folder_that_was_made_and_not_opened_is_opened(tmp_path: Path) -> None:
    """As after a kill between the two."""
    (tmp_path / "a").mkdir(mode=0o700)
    ensure_directory(tmp_path / "a", OTHER)
    assert access(tmp_path / "a") == (0, 12345, 0o750)
    assert access(tmp_path)[2] == 0o700


@only_root
def test_a_folder_is_given_once(tmp_path: Path) -> None:
    folder = OTHER.give(tmp_path / "own")
    assert access(folder) == (12345, 12345, 0o700)
    assert OTHER.give(folder) == folder


def test_without_root_nothing_is_given(tmp_path: Path) -> None:
    me = Owner(os.geteuid(), os.getegid(), "me")
    assert not me.is_another
    ensure_directory(tmp_path / "a", me)
    assert access(tmp_path / "a") == (os.geteuid(), os.getegid(), 0o700)


def test_a_file_that_says_so_already_is_left_alone(tmp_path: Path) -> None:
    assert write(tmp_path / "a", "text", durable=True)
    before = (tmp_path / "a").stat().st_ino
    assert not write(tmp_path / "a", b"text")
    assert (tmp_path / "a").stat().st_ino == before
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


# Whom a path can be trusted from


def test_what_is_ones_own_is_trusted(tmp_path: Path) -> None:
    require_trusted(tmp_path)
    require_trusted(tmp_path / "not/there/yet")
    (tmp_path / "link").symlink_to(tmp_path)
    require_trusted(tmp_path / "link/file")


@only_root
@pytest.mark.parametrize("is_link", [False, True])
def test_what_another_owns_is_not(tmp_path: Path, is_link: bool) -> None:
    place = tmp_path / "theirs"
    place.symlink_to(tmp_path) if is_link else place.mkdir()
    os.chown(place, 12345, 12345, follow_symlinks=False)
    for path in (place, place / "below"):
        with pytest.raises(InputError, match="belongs to user 12345"):
            require_trusted(path)


@pytest.mark.parametrize("mode", [0o777, 0o757, 0o775])
def test_what_others_may_write_is_not(tmp_path: Path, mode: int) -> None:
    place = tmp_path / "open"
    place.mkdir()
    if os.geteuid() == 0:
        os.chown(place, 0, 12345)
    place.chmod(mode)
    if mode == 0o775 and os.geteuid() != 0:
        require_trusted(place)  # one's own group
        return
    with pytest.raises(InputError, match="may be changed by others"):
        require_trusted(place / "below")


def test_a_folder_like_tmp_is_trusted_for_what_is_ones_own_in_it(tmp_path: Path) -> None:
    place = tmp_path / "sticky"
    place.mkdir()
    place.chmod(0o1777)
    (place / "own").mkdir(mode=0o700)
    require_trusted(place / "own/file")
    if os.geteuid() == 0:
        os.chown(place / "own", 12345, 12345)
        with pytest.raises(InputError):
            require_trusted(place / "own/file")


def test_a_link_to_what_others_may_write_is_not_trusted(tmp_path: Path) -> None:
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o777)
    (tmp_path / "link").symlink_to(tmp_path / "open")
    with pytest.raises(InputError, match="may be changed by others"):
        require_trusted(tmp_path / "link")
