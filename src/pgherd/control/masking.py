"""What masks a copy in another environment: SQL in a file that the fleet file names."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from pgherd.errors import InputError
from pgherd.files import require_trusted
from pgherd.fleet.desired import Database, DatabaseId

LONGEST = 2**20
"""Bytes of such a file."""


def masking_of(source: Database, target: DatabaseId, *, unmasked: bool) -> str:
    """What a copy of `source` is masked by; nothing within one environment, or where asked for.

    InputError where nobody has said how, or that it is not to be.
    """
    if target.environment == source.id.environment:
        if unmasked:
            raise InputError(
                "--unmasked is for a copy in another environment",
                "leave it out: nothing is masked within one",
            )
        return ""
    if unmasked:
        return ""
    if source.masking is None:
        raise InputError(
            f"nothing says how {source.id} is masked for {target.environment}",
            "write `masking: FILE.sql` into the fleet file, or --unmasked for a copy as it is",
        )
    return read(source.masking)


def read(path: Path) -> str:
    """What is in such a file. InputError where it cannot be read whole, or others may change it."""
    require_trusted(path)
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        raise _unread(path, error) from None
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise InputError(f"{path} is not a file", "write the SQL into one")
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            content = file.read(LONGEST + 1)
    except OSError as error:
        raise _unread(path, error) from None
    finally:
        os.close(descriptor)
    if len(content) > LONGEST:
        raise InputError(f"{path} is longer than 1 MiB", "write less of it")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise InputError(f"{path} is not UTF-8", "write it in that encoding") from None
    if "\0" in text:
        raise InputError(f"{path} has a NUL in it", "write SQL alone into it")
    if not text.strip():
        raise InputError(f"{path} is empty", "write the SQL into it, or --unmasked for a copy")
    return text


def _unread(path: Path, error: OSError) -> InputError:
    reason = (error.strerror or "it cannot be opened").lower()
    return InputError(f"{path} cannot be read: {reason}", "write the SQL into it")
