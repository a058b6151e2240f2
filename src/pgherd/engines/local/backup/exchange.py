"""What lies beside an instance's data, whole, and takes its place: a rename each.

Each folder that is there says how far it has come, so either may be done again.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from pgherd.engines.local import whole
from pgherd.engines.local.whole import DATA

RESTORED = "restored"
BEFORE = "before"
UNDONE = "undone"
GONE = "gone"
"""What is in nobody's way any more, and may be removed."""


class Missing(Exception):
    """What was to take the place of the data is not there."""


def put(kept: Path) -> bool:
    """What was restored takes its place; whether what was there is kept beside it."""
    data, restored, before = kept / DATA, kept / RESTORED, kept / BEFORE
    if restored.exists():
        if data.exists():
            shutil.rmtree(before, ignore_errors=True)
            whole.unmark(kept)
            data.rename(before)
        restored.rename(data)
        whole.mark(kept)
    return before.exists()


def undo(kept: Path) -> bool:
    """What was kept takes its place, and what was there is kept as `undone`."""
    data, before, undone = kept / DATA, kept / BEFORE, kept / UNDONE
    if before.exists():
        whole.unmark(kept)
        if data.exists():
            shutil.rmtree(undone, ignore_errors=True)
            data.rename(undone)
        before.rename(data)
    if not data.exists():
        raise Missing("what it had before is gone")
    whole.mark(kept)
    return undone.exists()


def clear_away(kept: Path) -> None:
    """There is no data, and nothing that was copied half."""
    data, gone = kept / DATA, kept / GONE
    whole.unmark(kept)
    if data.exists():
        shutil.rmtree(gone, ignore_errors=True)
        data.rename(gone)
