"""What keeps a step from being done now, and how it is said."""

from __future__ import annotations


class Trouble(Exception):
    """What cannot be done now, in one line. It is tried again."""


def reason(error: Exception) -> str:
    """What an error of Python's own says, in one line."""
    return f"{error} is missing" if isinstance(error, KeyError) else str(error).split("\n", 1)[0]
