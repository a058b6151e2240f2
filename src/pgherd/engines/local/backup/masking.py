"""A restored copy is masked before anybody may connect: run as the data plane's user, no more.

What masks it is the operator's, but it runs among a tenant's code: so it runs as that tenant, in
the throw-away server. It is sent to that server as it is: no psql reads it, so nothing in it starts
a program or opens a file here. A superuser enters the tenant's database for what only he may empty,
which is PostgreSQL's own and runs nothing of a tenant's.
"""

from __future__ import annotations

import hashlib
import select
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from pgherd.engines.local.backup.throwaway import Job, psql

if TYPE_CHECKING:
    from psycopg.pq.abc import PGconn, PGresult

OPTIONS = (
    "-c search_path=public -c statement_timeout=0 -c lock_timeout=0 -c row_security=off"
    " -c default_transaction_read_only=off -c standard_conforming_strings=on"
)
"""Where names lead, and that no row is hidden: no setting of a role overrides a start packet."""
NO_LIMITS = """\
SELECT pg_catalog.set_config(name, '0', false) FROM pg_catalog.pg_settings
 WHERE context = 'user' AND name IN
       ('transaction_timeout', 'idle_in_transaction_session_timeout', 'idle_session_timeout');
"""
"""Those that not every PostgreSQL knows."""
ANEW = "VACUUM (FULL)"
"""As the tenant: each of its tables and indexes is written anew, without what was there before."""
FORGET = """\
DELETE FROM pg_catalog.pg_statistic;
DELETE FROM pg_catalog.pg_statistic_ext_data;
VACUUM (FULL) pg_catalog.pg_statistic, pg_catalog.pg_statistic_ext_data, pg_catalog.pg_largeobject;
"""
"""As a superuser, in PostgreSQL's own tables: samples of rows, and large objects that are gone."""
WITHOUT_WAL = """\
CHECKPOINT;
SELECT pg_catalog.pg_switch_wal();
CHECKPOINT;
"""
"""In `postgres`: what is in the WAL until now is in no file of it any more."""
LONGEST = 300
"""Characters of what is told of it."""


class NotMasked(Exception):
    """Why it is not."""


def digest_of(masking: str) -> str:
    """Tells it from any other; nothing of nothing."""
    return hashlib.sha256(masking.encode()).hexdigest() if masking else ""


def mask(job: Job, sockets: Path, masking: str) -> None:
    """All of it is done, in one transaction, and what was there before cannot be read."""
    with _session(sockets, job.masked_as) as tenant:
        tenant.execute("BEGIN")
        tenant.execute(masking)
        if not tenant.is_in_transaction:
            raise NotMasked("it ends its transaction itself: leave COMMIT and ROLLBACK out")
        tenant.execute("COMMIT")
    with _session(sockets, job.masked_as) as tenant:
        tenant.execute(ANEW)
        _run(job, sockets, FORGET, job.masked_as)
        tenant.execute("ANALYZE")
    _run(job, sockets, WITHOUT_WAL, "postgres")


class _Tenant:
    """A session as the tenant, in its database."""

    def __init__(self, connection: PGconn) -> None:
        self._connection = connection

    @property
    def is_in_transaction(self) -> bool:
        """A transaction is open, in which nothing has failed."""
        from psycopg import pq

        return self._connection.transaction_status == pq.TransactionStatus.INTRANS

    def execute(self, text: str) -> None:
        """NotMasked, with the place, where one of its statements fails."""
        from psycopg import pq

        good = (pq.ExecStatus.COMMAND_OK, pq.ExecStatus.TUPLES_OK, pq.ExecStatus.EMPTY_QUERY)
        for number, result in enumerate(self._results(text), 1):
            if result.status == pq.ExecStatus.FATAL_ERROR:
                raise NotMasked(f"{_place(result, text, number)}: {_said(result)}")
            if result.status not in good:
                raise NotMasked(f"statement {number}: nobody is there to copy from or to")

    def _results(self, text: str) -> Iterator[PGresult]:
        """One for each statement. A signal is heeded while it is waited for."""
        self._connection.send_query(text.encode())
        while True:
            while self._connection.is_busy():
                select.select([self._connection.socket], [], [])
                self._connection.consume_input()
            if (result := self._connection.get_result()) is None:
                return
            yield result


@contextmanager
def _session(sockets: Path, service: str) -> Iterator[_Tenant]:
    from psycopg import pq

    connection = pq.PGconn.connect(
        f"host='{sockets}' port=5432 dbname='{service}' user='{service}' client_encoding=UTF8"
        f" connect_timeout=10 application_name=pgherd options='{OPTIONS}'".encode()
    )
    try:
        if connection.status != pq.ConnStatus.OK:
            raise NotMasked(_told(connection.get_error_message()))
        tenant = _Tenant(connection)
        tenant.execute(NO_LIMITS)
        yield tenant
    finally:
        connection.finish()


def _place(result: PGresult, text: str, number: int) -> str:
    from psycopg import pq

    position = result.error_field(pq.DiagnosticField.STATEMENT_POSITION) or b""
    if position.isdigit():
        return f"line {text[: int(position) - 1].count(chr(10)) + 1}"
    return f"statement {number}"


def _said(result: PGresult) -> str:
    from psycopg import pq

    message = result.error_field(pq.DiagnosticField.MESSAGE_PRIMARY) or b"no reason given"
    return _told(message.decode(errors="replace"))


def _run(job: Job, sockets: Path, text: str, database: str) -> None:
    """As a superuser."""
    done = psql(job, sockets, text, database=database)
    if done.returncode != 0:
        raise NotMasked(_told(done.stderr.decode(errors="replace")))


def _told(text: str) -> str:
    """In one line: some of it may be a tenant's."""
    return " ".join(text.split())[:LONGEST] or "no reason given"
