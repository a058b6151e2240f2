"""A look into a copy that was restored, as the service that owns what is in it.

Code of a service (of its indexes, say) may run while it is looked at: it runs with the service's
rights, in a copy that is deleted after, and what it says is a text and no more. How a service's
data look is the service's to say: it can have a look find what it likes, in its own.
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import psycopg

from pgherd.contract.access import Access
from pgherd.contract.proofs import Check
from pgherd.engines.oci.access import CONNECT_SECONDS
from pgherd.engines.oci.refusals import first_line
from pgherd.errors import TryLater
from pgherd.units import number

LOOK_SECONDS = 3600
"""How long a check may take: it reads all rows, on the smallest system."""
UNCHECKED = "not looked at: amcheck is not there for the service"
EMPTY = "the service has no table in it"
_PINNED = """\
SELECT pg_catalog.set_config('search_path', 'pg_catalog', false),
       pg_catalog.set_config('default_transaction_read_only', 'on', false),
       pg_catalog.set_config('lock_timeout', '10s', false),
       pg_catalog.set_config('statement_timeout', '3600s', false)
"""
_TABLES = """\
DO $$
DECLARE
    one pg_catalog.text;
    forced pg_catalog.bool;
    counted pg_catalog.int8;
    tables pg_catalog.int8 := 0;
    unread pg_catalog.int8 := 0;
    counts pg_catalog.int8 := 0;
BEGIN
    FOR one, forced IN
        SELECT pg_catalog.format('%I.%I', n.nspname, c.relname), c.relforcerowsecurity
          FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
         WHERE c.relkind IN ('r', 'm') AND c.oid >= 16384 AND c.relpersistence = 'p'
           AND c.relispopulated AND pg_catalog.pg_has_role(c.relowner, 'MEMBER')
    LOOP
        tables := tables + 1;
        IF forced THEN -- its policies say who is asking, and nobody is
            unread := unread + 1;
            CONTINUE;
        END IF;
        EXECUTE pg_catalog.concat('SELECT pg_catalog.count(*) FROM ONLY ', one) INTO counted;
        counts := counts + counted;
        COMMIT; -- so that the locks of no more than one are held
    END LOOP;
    PERFORM pg_catalog.set_config('pgherd.tables', tables::pg_catalog.text, false),
            pg_catalog.set_config('pgherd.unread', unread::pg_catalog.text, false),
            pg_catalog.set_config('pgherd.rows', counts::pg_catalog.text, false);
END $$
"""
_COUNTED = """\
SELECT pg_catalog.current_setting('pgherd.tables')::pg_catalog.int8,
       pg_catalog.current_setting('pgherd.unread')::pg_catalog.int8,
       pg_catalog.current_setting('pgherd.rows')::pg_catalog.int8
"""
_INDEXES = """\
DO $$
DECLARE
    checking pg_catalog.text;
    one pg_catalog.oid;
    checked pg_catalog.int8 := 0;
BEGIN
    SELECT pg_catalog.format('SELECT %I.%I($1)', n.nspname, p.proname) INTO checking
      FROM pg_catalog.pg_extension e
      JOIN pg_catalog.pg_depend d
        ON d.refclassid = 'pg_catalog.pg_extension'::pg_catalog.regclass AND d.refobjid = e.oid
       AND d.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass AND d.deptype = 'e'
      JOIN pg_catalog.pg_proc p ON p.oid = d.objid
      JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
     WHERE e.extname = 'amcheck' AND p.proname = 'bt_index_check' AND p.pronargs = 1
       AND pg_catalog.has_schema_privilege(n.oid, 'USAGE')
       AND pg_catalog.has_function_privilege(p.oid, 'EXECUTE');
    IF checking IS NULL THEN
        PERFORM pg_catalog.set_config('pgherd.indexes', '', false);
        RETURN;
    END IF;
    FOR one IN
        SELECT c.oid
          FROM pg_catalog.pg_class c JOIN pg_catalog.pg_am a ON a.oid = c.relam
          JOIN pg_catalog.pg_index i ON i.indexrelid = c.oid
         WHERE c.relkind = 'i' AND a.amname = 'btree' AND c.oid >= 16384
           AND c.relpersistence = 'p' AND i.indisvalid AND i.indisready
           AND pg_catalog.pg_has_role(c.relowner, 'MEMBER')
    LOOP
        EXECUTE checking USING one::pg_catalog.regclass;
        checked := checked + 1;
        COMMIT;
    END LOOP;
    PERFORM pg_catalog.set_config('pgherd.indexes', checked::pg_catalog.text, false);
END $$
"""
_CHECKED = "SELECT NULLIF(pg_catalog.current_setting('pgherd.indexes'), '')::pg_catalog.int8"

_MAY_I_ENCRYPT = struct.pack("!ii", 8, 80877103)
"""What a client of PostgreSQL sends first; the answer is one letter."""
_SILENT = (psycopg.Error, OSError, TimeoutError)


class ServiceLooks:
    """Looks by sessions of the service."""

    async def is_near(self, addresses: Sequence[str], port: int) -> bool:
        """The first that answers as PostgreSQL does is enough: firewalls take connections, too."""
        for address in addresses:
            with suppress(OSError, TimeoutError):
                async with asyncio.timeout(CONNECT_SECONDS):
                    reader, writer = await asyncio.open_connection(address, port)
                    try:
                        writer.write(_MAY_I_ENCRYPT)
                        if await reader.read(1) in (b"S", b"N"):
                            return True
                    finally:
                        writer.close()
        return False

    async def answer(self, access: Access) -> None:
        """A session, and one query."""
        try:
            async with asyncio.timeout(4 * CONNECT_SECONDS):
                async with await _session(access) as session:
                    await session.execute("SELECT 1")
        except _SILENT as error:
            raise TryLater(f"{access.database} does not answer: {_reason(error)}") from None

    async def checks(self, access: Access) -> tuple[Check, ...]:
        """Each is what was found, or what went wrong."""
        return await _check("tables", access, _tables), await _check("indexes", access, _indexes)


async def _tables(session: psycopg.AsyncConnection[Any]) -> Check:
    await session.execute(_TABLES)
    found = await (await session.execute(_COUNTED)).fetchone()
    tables, unread, rows = found or (0, 0, 0)
    if not tables:
        return Check("tables", ok=False, detail=EMPTY)
    rest = f", {unread} not read (row security is forced)" if unread else ""
    return Check("tables", True, f"{number(tables, 'table')}, {number(rows, 'row')}{rest}")


async def _indexes(session: psycopg.AsyncConnection[Any]) -> Check:
    await session.execute(_INDEXES)
    found = await (await session.execute(_CHECKED)).fetchone()
    checked = found and found[0]
    detail = UNCHECKED if checked is None else number(checked, "B-tree")
    return Check("indexes", ok=True, detail=detail)


async def _check(name: str, access: Access, look: Any) -> Check:
    try:
        async with asyncio.timeout(LOOK_SECONDS), await _session(access) as session:
            await session.execute(_PINNED)
            found: Check = await look(session)
            return found
    except _SILENT as error:
        return Check(name, ok=False, detail=_reason(error))


async def _session(access: Access) -> psycopg.AsyncConnection[Any]:
    return await psycopg.AsyncConnection.connect(
        **access.parameters(),  # type: ignore[arg-type]
        application_name="pgherd",
        autocommit=True,
        prepare_threshold=None,
    )


def _reason(error: BaseException) -> str:
    return first_line(error) or "it took too long"
