"""The files that PgBouncer is given: each whole at any time, and its owner's alone."""

from __future__ import annotations

import os
from pathlib import Path

SERVER, AUTHORITY, AUTHORITIES = "server.pem", "client-authority.crt", "server-authorities.crt"
INI, HBA, USERS = "pgbouncer.ini", "hba.conf", "users.txt"


def ensure_file(path: Path, text: str) -> bool:
    """Whether it had to be replaced. It is whole at any time, and its owner's alone."""
    try:
        if path.read_text() == text and path.stat().st_mode & 0o777 == 0o600:
            return False
    except (FileNotFoundError, UnicodeDecodeError):
        pass
    new = path.with_name(f".{path.name}.new")
    write_private(new, text)
    new.replace(path)
    return True


def write_private(path: Path, text: str) -> None:
    """Written in place, for nobody else to read at any time."""
    # Private from the start. What an interrupted one left is written over.
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        os.fchmod(file.fileno(), 0o600)
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
