"""A file with a secret on its only line, as whoever runs pgherd reads it."""

from __future__ import annotations

from pathlib import Path

from pgherd.errors import InputError
from pgherd.files import read_private

LONGEST = 8000


def read_word(path: Path) -> str:
    """What is on its only line; InputError where others may read or change it, or there is more."""
    words = read_private(path, LONGEST, "write the URL into it").split()
    if len(words) != 1:
        raise InputError(f"{path} does not hold one URL", "write one, and nothing else")
    return words[0]
