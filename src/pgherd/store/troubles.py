"""Errors of the libraries below, as what the reader can do about them.

SQLite's own codes say what it is: texts differ between versions. Where the content of the file is
not what it should be it is damage, and everything else may be over at the next try.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from pgherd.errors import TryLater
from pgherd.store.values import StoreDamaged

_PRIMARY = 0xFF
_DAMAGE = frozenset(
    {
        sqlite3.SQLITE_CORRUPT,
        sqlite3.SQLITE_NOTADB,
        sqlite3.SQLITE_ERROR,  # such as: no such table
        sqlite3.SQLITE_MISMATCH,
    }
)
_TEXTS = {
    sqlite3.SQLITE_FULL: ("its disk is full", "free some space there"),
    sqlite3.SQLITE_READONLY: ("it is read-only", "let pgherd write there"),
    sqlite3.SQLITE_PERM: ("permission is denied", "let pgherd write there"),
    sqlite3.SQLITE_CANTOPEN: ("it cannot be opened", "let pgherd read and write there"),
    sqlite3.SQLITE_BUSY: ("another process is at work in it", "wait for it to end"),
    sqlite3.SQLITE_LOCKED: ("another process is at work in it", "wait for it to end"),
    sqlite3.SQLITE_IOERR: ("its disk reports an error", "look at that disk"),
}


@contextmanager
def translated(place: str) -> Iterator[None]:
    """Let no error of SQLAlchemy, a driver or the disk out; `place` names the history."""
    try:
        yield
    except DBAPIError as error:
        raise _translation(place, error.orig or error) from error
    except sqlite3.Error as error:
        raise _translation(place, error) from error
    except SQLAlchemyError as error:
        raise TryLater(f"{place} cannot be used now: {_first_line(error)}") from error
    except OSError as error:
        reason = (error.strerror or "the disk does not take it").lower()
        raise TryLater(f"{place} cannot be used now: {reason}") from error


def _translation(place: str, error: BaseException) -> TryLater:
    if not isinstance(error, sqlite3.Error):
        return TryLater(f"{place} cannot be used now: {_first_line(error)}")
    # What the driver itself finds has no code: text that is not UTF-8, among others.
    code = getattr(error, "sqlite_errorcode", None)
    if code is None or code & _PRIMARY in _DAMAGE or code == sqlite3.SQLITE_IOERR_SHORT_READ:
        return StoreDamaged(f"{place} is damaged: {_first_line(error)}")
    reason, hint = _TEXTS.get(code & _PRIMARY, (_first_line(error), ""))
    return TryLater(f"{place} cannot be used now: {reason}", hint)


def _first_line(error: BaseException) -> str:
    return str(error).strip().partition("\n")[0]
