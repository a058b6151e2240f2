"""What must hold for the place of the history."""

from __future__ import annotations

from collections.abc import Iterator

from pgherd.fleet.draft import Draft
from pgherd.fleet.problem import Problem

_WAYS = ("url", "url_file")


def history_has_one_place(draft: Draft) -> Iterator[Problem]:
    """It is known where it is kept, and there is one place only."""
    if draft.content.history is None:
        return
    stated = [way for way in _WAYS if draft.is_stated("history", way)]
    if not stated:
        message, hint = "it is not said where it is kept", "write url or url_file"
        yield draft.problem(("history",), "history", message, hint)
    for way in stated[1:]:
        message, hint = f"the history has {stated[0]}, too", "remove one of the two"
        yield draft.problem(("history", way), way, message, hint)
