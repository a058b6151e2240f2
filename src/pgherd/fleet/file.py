"""Reads the text of a fleet file, whatever it may be."""

from __future__ import annotations

from pathlib import Path

from pgherd.fleet.problem import FleetFileError, Problem

_MAX_BYTES = 2_000_000


def read(path: Path) -> str:
    """What is in it. FleetFileError where that is no text, or nothing can be read."""
    try:
        with path.open("rb") as file:
            content = file.read(_MAX_BYTES + 1)
    except FileNotFoundError:
        raise _unread(path, "does not exist", "write it, or name another with -f") from None
    except IsADirectoryError:
        raise _unread(path, "is a folder", "name the file in it") from None
    except OSError as error:
        reason = (error.strerror or "cannot be read").lower()
        raise _unread(path, f"cannot be read: {reason}", "name another with -f") from None
    except ValueError:
        raise _unread(path, "cannot be a path", "name another with -f") from None
    if len(content) > _MAX_BYTES:
        raise _unread(path, "is too large for a fleet file", "name another with -f")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = content[: error.start]
        column = error.start - (before.rfind(b"\n") + 1) + 1
        raise FleetFileError(
            [
                Problem(
                    str(path),
                    before.count(b"\n") + 1,
                    column,
                    f"byte {content[error.start]:#04x} is not UTF-8",
                    "save the file as UTF-8",
                )
            ]
        ) from None


def _unread(path: Path, message: str, hint: str) -> FleetFileError:
    return FleetFileError([Problem(str(path), 0, 0, message, hint)])
