"""Whose data is ahead, by what pg_controldata prints."""

from __future__ import annotations

import pytest

from pgherd.engines.local.control_file import NOWHERE, reached

PRIMARY = """\
pg_control version number:            1300
Database cluster state:               shut down
Latest checkpoint location:           0/A000028
Latest checkpoint's REDO location:    0/A000028
Latest checkpoint's TimeLineID:       2
Latest checkpoint's PrevTimeLineID:   1
Minimum recovery ending location:     0/0
Min recovery ending loc's timeline:   0
"""
REPLICA = """\
Database cluster state:               shut down in recovery
Latest checkpoint location:           0/8000060
Latest checkpoint's TimeLineID:       1
Minimum recovery ending location:     0/9000148
Min recovery ending loc's timeline:   2
"""


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (PRIMARY, (2, 0xA000028)),
        (REPLICA, (2, 0x9000148)),
        ("", NOWHERE),
        ("Latest checkpoint location: x/y\nLatest checkpoint's TimeLineID: -1\n", NOWHERE),
    ],
)
def test_it_is_as_far_as_its_checkpoint_or_its_recovery(text: str, found: tuple[int, int]) -> None:
    assert reached(text) == found


def test_a_later_timeline_is_ahead() -> None:
    assert reached(REPLICA) > reached(PRIMARY.replace("TimeLineID:       2", "TimeLineID:       1"))
