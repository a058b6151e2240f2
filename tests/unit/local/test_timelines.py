"""Where a timeline begins, as its history file says it."""

from __future__ import annotations

from pathlib import Path

import pytest

from pgherd.engines.local.timelines import Beginning, beginning, local_beginning

HISTORY = (
    "1\t0/4032DF0\tno recovery target specified\n\n2\t1F/FF0331D0\tno recovery target specified\n"
)


@pytest.mark.parametrize(
    ("history", "wanted"),
    [
        (HISTORY, Beginning("000000030000001F000000FF", 0x331D0, 48)),
        ("1\t0/5000000\tno", Beginning("000000030000000000000005", 0, 88)),
        ("1\t0/5004000\tno", Beginning("000000030000000000000005", 0x4000, 72)),
        ("# nothing but a comment\n", None),
        ("", None),
    ],
)
def test_it_begins_where_it_left_its_parent(history: str, wanted: Beginning | None) -> None:
    assert beginning(3, history) == wanted


def test_what_lies_there(tmp_path: Path) -> None:
    assert local_beginning(tmp_path, 3) is None
    (tmp_path / "00000003.history").write_text("1\t0/5000100\tno")
    assert local_beginning(tmp_path, 3) is None
    (tmp_path / "000000030000000000000005").write_bytes(bytes(256) + bytes(range(100)))
    place = Beginning("000000030000000000000005", 256, 48)
    assert local_beginning(tmp_path, 3) == (place, bytes(range(48)))
