"""What masks a copy: which file that is, and what of a file is none."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from pgherd.control.masking import LONGEST, masking_of, read
from pgherd.errors import InputError
from pgherd.fleet.desired import DatabaseId
from pgherd.testing.fleets import database

SOURCE = database("auth")
NEAR, FAR = DatabaseId("production", "copy"), DatabaseId("staging", "auth")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "mask.sql"
    file.write_text("UPDATE a SET b = 'ä';\n")
    file.chmod(0o600)
    return file


def test_only_a_copy_in_another_environment_is_masked(file: Path) -> None:
    masked = replace(SOURCE, masking=file)
    assert masking_of(masked, FAR, unmasked=False) == "UPDATE a SET b = 'ä';\n"
    assert masking_of(masked, FAR, unmasked=True) == ""
    assert masking_of(masked, NEAR, unmasked=False) == ""
    assert masking_of(SOURCE, FAR, unmasked=True) == ""
    with pytest.raises(InputError, match="nothing says how production/auth is masked for staging"):
        masking_of(SOURCE, FAR, unmasked=False)
    with pytest.raises(InputError, match="for a copy in another environment"):
        masking_of(masked, NEAR, unmasked=True)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b" \n\t", "is empty"),
        (b"\xef\xbb\xbf", "is empty"),
        (b"SELECT '\0'", "has a NUL in it"),
        (b"SELECT '\xff'", "is not UTF-8"),
        (b"-" * (LONGEST + 1), "is longer than 1 MiB"),
    ],
)
def test_what_is_not_whole_masks_nothing(file: Path, content: bytes, message: str) -> None:
    file.write_bytes(content)
    with pytest.raises(InputError, match=message):
        read(file)


def test_what_cannot_be_read_or_trusted_masks_nothing(file: Path, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo", 0o600)
    for path, message in (
        (tmp_path / "none.sql", "cannot be read: no such file"),
        (tmp_path / "fifo", "is not a file"),
        (tmp_path, "is not a file"),
    ):
        with pytest.raises(InputError, match=message):
            read(path)
    file.chmod(0o622)
    with pytest.raises(InputError, match="may be changed by others"):
        read(file)


def test_what_may_be_as_long_as_that_is_read_whole(file: Path) -> None:
    file.write_bytes(b"-" * LONGEST)
    assert len(read(file)) == LONGEST
