"""A file with a secret on its only line, as whoever runs pgherd reads it."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from pgherd.errors import InputError
from pgherd.files import name_of_user, require_trusted

LONGEST = 8000


def read_word(path: Path) -> str:
    """What is on its only line; InputError where others may read or change it, or there is more."""
    require_trusted(path)
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        reason = (error.strerror or "it cannot be opened").lower()
        raise InputError(f"{path} cannot be read: {reason}", "write the URL into it") from None
    with os.fdopen(descriptor, "rb") as file:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise InputError(f"{path} is not a file", "write the URL into one")
        if found.st_uid not in (0, os.geteuid()):
            owner = name_of_user(found.st_uid)
            raise InputError(f"{path} belongs to {owner}", f"run: chown {os.geteuid()} {path}")
        if found.st_mode & 0o077:
            raise InputError(f"{path} may be read by others", f"run: chmod 600 {path}")
        words = file.read(LONGEST).decode(errors="replace").split()
    if len(words) != 1:
        raise InputError(f"{path} does not hold one URL", "write one, and nothing else")
    return words[0]
