"""Which names a service can have."""

from __future__ import annotations

import re
from collections.abc import Container

ACCESS_WORDS = ("all", "pgbouncer", "replication", "samegroup", "samerole", "sameuser")
RESERVED = (*ACCESS_WORDS, "none", "pg", "postgres", "public", "template0", "template1")
"""No service's names. Of `pg`, the reader would be called pg_ro, which PostgreSQL refuses."""


def check_name(service: str, reserved: Container[str]) -> None:
    """ValueError for what no service can be called."""
    is_name = re.fullmatch(r"[a-z][a-z0-9-]{0,30}", service)
    if not is_name or service.endswith(("-ro", "-transaction")) or service in reserved:
        raise ValueError(f"{service!r} is no service's name")
