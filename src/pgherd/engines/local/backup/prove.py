"""What comes out of a backup, looked at and thrown away: run as the data plane's user, no more.

Its server is that of a restore: nobody reaches it but this user. What is a tenant's is looked at as
that tenant, since its indexes run its functions. A superuser enters the tenant's database for one
thing, the functions of `amcheck` in a schema that is new, and calls them for catalogs alone.
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
from msgspec import Struct

from pgherd.engines.local.backup.recover import fetched
from pgherd.engines.local.backup.throwaway import (
    LAST_COMMIT,
    LOG,
    Failed,
    Job,
    called,
    position_of,
    psql,
    recovered,
)
from pgherd.units import number

INSTALL = """\
CREATE SCHEMA :"schema";
CREATE EXTENSION IF NOT EXISTS amcheck SCHEMA :"schema";
ALTER EXTENSION amcheck SET SCHEMA :"schema";
"""
CATALOGS = """\
SELECT :"schema".bt_index_check(c.oid::pg_catalog.regclass)
  FROM pg_catalog.pg_class c JOIN pg_catalog.pg_am a ON a.oid = c.relam
 WHERE c.relkind = 'i' AND a.amname = 'btree' AND c.oid < 16384
"""
LET = """\
GRANT USAGE ON SCHEMA :"schema" TO :"service";
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA :"schema" TO :"service";
"""
INDEXES = """\
SELECT :"schema".bt_index_check(c.oid::pg_catalog.regclass)
  FROM pg_catalog.pg_class c JOIN pg_catalog.pg_am a ON a.oid = c.relam
  JOIN pg_catalog.pg_index i ON i.indexrelid = c.oid
 WHERE c.relkind = 'i' AND a.amname = 'btree' AND c.oid >= 16384 AND c.relpersistence = 'p'
   AND i.indisvalid AND i.indisready
   AND pg_catalog.pg_has_role(c.relowner, 'MEMBER')
"""
TABLES = """\
SELECT pg_catalog.format('%s: block %s: %s', c.oid::pg_catalog.regclass, v.blkno, v.msg)
  FROM pg_catalog.pg_class c,
       LATERAL :"schema".verify_heapam(c.oid::pg_catalog.regclass) v
 WHERE c.relkind IN ('r', 'm', 't') AND c.oid >= 16384 AND c.relpersistence = 'p'
   AND pg_catalog.pg_has_role(c.relowner, 'MEMBER')
"""
ROWS = """\
SELECT pg_catalog.format('SELECT pg_catalog.count(*) FROM ONLY %I.%I', n.nspname, c.relname)
  FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind IN ('r', 'm') AND c.oid >= 16384 AND c.relpersistence = 'p'
   AND pg_catalog.pg_has_role(c.relowner, 'MEMBER') AND c.relispopulated
\\gexec
"""
LONGEST = 300
"""Characters of what is told of a check."""


class Found(Struct, frozen=True):
    """One check."""

    name: str
    ok: bool
    detail: str = ""


class Evidence(Struct, frozen=True):
    """What was found. `recovered_at` is of CLOCK_MONOTONIC, `position` in its WAL in bytes."""

    recovered_at: float | None = None
    position: int | None = None
    last_commit: str | None = None
    checks: tuple[Found, ...] = ()


def run(job: Job, service: str) -> Evidence:
    """Restore it, look at it, remove it. What fails is a check that did."""
    found: list[Found] = []
    at: float | None = None
    position: int | None = None
    last: str | None = None
    with _removed(Path(job.kept)), _noted(found, "restored"):
        data = fetched(job)
        with recovered(job, data, service) as sockets:
            at = time.monotonic()
            last = _last_commit(sockets / LOG)
            position = position_of(job, sockets)
            if job.least and position <= job.least:
                raise Failed(
                    "a part of the WAL that was handed over is missing or damaged:"
                    " `pgherd backup verify` says which"
                )
            found.append(Found("restored", ok=True, detail=last or ""))
            found += _looked_at(job, sockets, service)
        with _noted(found, "checksums"):
            said = called([f"{job.programs}/pg_checksums", "--check", "-D", str(data)], "checksums")
            blocks = re.search(r"Blocks scanned:\s+(\d+)", said)
            found.append(Found("checksums", ok=True, detail=f"{blocks and blocks[1]} blocks"))
    return Evidence(at, position, last, tuple(found))


def _looked_at(job: Job, sockets: Path, service: str) -> list[Found]:
    found: list[Found] = []
    schema = f"pgherd_{secrets.token_hex(8)}"
    names = {"schema": schema, "service": service}

    def as_superuser(text: str) -> list[str]:
        return _lines(job, sockets, text, names, database=service)

    def as_tenant(text: str) -> list[str]:
        return _lines(job, sockets, text, names, database=service, role=service)

    def looked(name: str, look: Callable[[], str]) -> None:
        with _noted(found, name):
            found.append(Found(name, ok=True, detail=look()))

    def catalogs() -> str:
        as_superuser(INSTALL)
        return number(len(as_superuser(CATALOGS)), "B-tree")

    def indexes() -> str:
        as_superuser(LET)
        return number(len(as_tenant(INDEXES)), "B-tree")

    def tables() -> str:
        if damaged := as_tenant(TABLES):
            raise Failed(damaged[0])
        counts = [int(line) for line in as_tenant(ROWS)]
        return f"{number(len(counts), 'table')}, {number(sum(counts), 'row')}"

    looked("catalogs", catalogs)
    looked("indexes", indexes)
    looked("tables", tables)
    return found


def _lines(
    job: Job,
    sockets: Path,
    text: str,
    variables: dict[str, str] | None = None,
    *,
    database: str = "postgres",
    role: str = "postgres",
) -> list[str]:
    done = psql(job, sockets, text, variables, database=database, role=role)
    if done.returncode != 0:
        raise Failed(done.stderr.decode(errors="replace").strip() or "psql does not say why")
    return done.stdout.decode(errors="replace").splitlines()


def _last_commit(log: Path) -> str | None:
    """It recovers before anybody logs in, so that nobody else has written there."""
    found = LAST_COMMIT.findall(log.read_text(errors="replace"))
    return found[-1] if found else None


@contextmanager
def _noted(found: list[Found], name: str) -> Iterator[None]:
    """What fails in it is a check that did."""
    try:
        yield
    except (Failed, OSError) as error:
        found.append(Found(name, ok=False, detail=str(error)[:LONGEST]))


@contextmanager
def _removed(kept: Path) -> Iterator[None]:
    try:
        yield
    finally:
        shutil.rmtree(kept, ignore_errors=True)


def main(job: str, service: str) -> int:
    """The evidence on standard output, as JSON."""
    os.umask(0o077)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    evidence = run(msgspec.json.decode(job, type=Job), service)
    print(msgspec.json.encode(evidence).decode())
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
