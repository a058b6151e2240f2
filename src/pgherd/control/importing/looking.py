"""What is asked of a database, and made in the target: the same questions on either side.

Whoever owns a database can lay functions and operators where a query looks: names lead to
pg_catalog alone, and rows are turned into text by their types' own output, not by a cast.
"""

from __future__ import annotations

from typing import Any

import psycopg
from psycopg import sql

from pgherd.control.importing.judging import MARK, PAGES_AT_ONCE

Connection = psycopg.Connection[Any]
Names = list[list[str]]

REPLACED = "pgherd replaced"
LOCK = int.from_bytes(b"pgimport")
"""Of an import's session with its target: there is one at a time."""
SETTINGS = """
SET search_path = pg_catalog, pg_temp; SET statement_timeout = '15min'; SET lock_timeout = '60s';
SET idle_in_transaction_session_timeout = 0; SET default_transaction_read_only = off;
SET row_security = off; SET client_encoding = 'UTF8'; SET DateStyle = 'ISO, YMD';
SET IntervalStyle = 'postgres'; SET TimeZone = 'UTC'; SET extra_float_digits = 3;
SET bytea_output = 'hex'; SET lc_monetary = 'C'; SET xmlbinary = 'base64'
"""
SERVER = """
SELECT pg_catalog.current_setting('server_version_num')::pg_catalog.int4,
  pg_catalog.pg_database_size(d.oid), pg_catalog.pg_encoding_to_char(d.encoding)::text,
  d.datname::text, d.datcollate::text
FROM pg_catalog.pg_database d WHERE d.datname = pg_catalog.current_database()
"""
SCHEMAS = """
SELECT n.nspname::text FROM pg_catalog.pg_namespace n
WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' AND NOT EXISTS
  (SELECT FROM pg_catalog.pg_depend e WHERE e.classid = 'pg_catalog.pg_namespace'::regclass
    AND e.objid = n.oid AND e.deptype = 'e')
ORDER BY 1
"""
EXTENSIONS = """
SELECT e.extname::text, n.nspname::text FROM pg_catalog.pg_extension e
JOIN pg_catalog.pg_namespace n ON n.oid = e.extnamespace WHERE e.extname <> 'plpgsql' ORDER BY 1
"""
TRUSTED = """
SELECT e.name::text FROM pg_catalog.pg_available_extensions e
JOIN pg_catalog.pg_available_extension_versions v
  ON v.name = e.name AND v.version = e.default_version WHERE v.trusted
"""
RELATIONS = """
SELECT c.relkind::text, n.nspname::text, c.relname::text,
  (pg_catalog.pg_relation_size(c.oid) / pg_catalog.current_setting('block_size')::int4)::int8,
  pg_catalog.pg_table_size(c.oid)
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'm', 'f') AND c.relpersistence <> 't' AND n.nspname !~ '^pg_'
  AND n.nspname <> 'information_schema' AND NOT EXISTS
  (SELECT FROM pg_catalog.pg_depend e WHERE e.classid = 'pg_catalog.pg_class'::regclass
    AND e.objid = c.oid AND e.deptype = 'e')
ORDER BY 2, 3
"""
SEQUENCES = """
SELECT s.schemaname::text, s.sequencename::text, s.last_value FROM pg_catalog.pg_sequences s
ORDER BY 1, 2
"""
FOREIGN = """
WITH x(class, oid, kind, name) AS (
  SELECT 'pg_foreign_data_wrapper'::regclass, oid, 'foreign data wrapper', fdwname
    FROM pg_catalog.pg_foreign_data_wrapper
  UNION ALL SELECT 'pg_foreign_server'::regclass, oid, 'foreign server', srvname
    FROM pg_catalog.pg_foreign_server
  UNION ALL SELECT 'pg_class'::regclass, oid, 'foreign table', relname
    FROM pg_catalog.pg_class WHERE relkind = 'f'
  UNION ALL SELECT 'pg_proc'::regclass, p.oid, 'function of a library', p.proname
    FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_language l ON l.oid = p.prolang
    WHERE l.lanname IN ('c', 'internal')
  UNION ALL SELECT 'pg_proc'::regclass, oid, 'leakproof function', proname
    FROM pg_catalog.pg_proc WHERE proleakproof
  UNION ALL SELECT 'pg_type'::regclass, oid, 'base type', typname FROM pg_catalog.pg_type
    WHERE typtype = 'b' AND typcategory <> 'A'
  UNION ALL SELECT 'pg_opclass'::regclass, oid, 'operator class', opcname
    FROM pg_catalog.pg_opclass
  UNION ALL SELECT 'pg_opfamily'::regclass, oid, 'operator family', opfname
    FROM pg_catalog.pg_opfamily
  UNION ALL SELECT 'pg_am'::regclass, oid, 'access method', amname FROM pg_catalog.pg_am
  UNION ALL SELECT 'pg_language'::regclass, oid, 'language', lanname FROM pg_catalog.pg_language
  UNION ALL SELECT 'pg_ts_parser'::regclass, oid, 'text search parser', prsname
    FROM pg_catalog.pg_ts_parser
  UNION ALL SELECT 'pg_ts_template'::regclass, oid, 'text search template', tmplname
    FROM pg_catalog.pg_ts_template
  UNION ALL SELECT 'pg_cast'::regclass, oid, 'cast without a function',
    castsource::regtype::text::name FROM pg_catalog.pg_cast WHERE castmethod = 'b'
)
SELECT x.kind, x.name::text FROM x WHERE x.oid >= 16384 AND NOT EXISTS
  (SELECT FROM pg_catalog.pg_depend e
    WHERE e.classid = x.class AND e.objid = x.oid AND e.deptype = 'e')
ORDER BY 1, 2 LIMIT 100
"""
SUMS = """
SELECT pg_catalog.count(*), pg_catalog.sum(('x' || pg_catalog.left(pg_catalog.encode(
  pg_catalog.sha256(pg_catalog.convert_to(pg_catalog.textin(pg_catalog.record_out(t.*)), 'UTF8'))
  , 'hex'), 16))::pg_catalog.bit(64)::pg_catalog.int8)::pg_catalog.text
FROM ONLY {}.{} t
"""
SUMS_OF_PART = """
SELECT pg_catalog.count(*), pg_catalog.sum(('x' || pg_catalog.left(pg_catalog.encode(
  pg_catalog.sha256(pg_catalog.convert_to(pg_catalog.textin(pg_catalog.record_out(t.*)), 'UTF8'))
  , 'hex'), 16))::pg_catalog.bit(64)::pg_catalog.int8)::pg_catalog.text
FROM ONLY {}.{} t WHERE t.ctid >= {}::pg_catalog.tid AND t.ctid < {}::pg_catalog.tid
"""
OBJECT_SUMS = """
SELECT pg_catalog.count(*), pg_catalog.sum(('x' || pg_catalog.left(pg_catalog.encode(
  pg_catalog.sha256(pg_catalog.lo_get(o.oid)), 'hex'), 16))::pg_catalog.bit(64)
  ::pg_catalog.int8)::pg_catalog.text
FROM pg_catalog.pg_largeobject_metadata o
"""
LEFT_OUT = """
SELECT 'event trigger', evtname::text FROM pg_catalog.pg_event_trigger
UNION ALL SELECT 'publication', pubname::text FROM pg_catalog.pg_publication
UNION ALL SELECT 'setting of the database', c FROM pg_catalog.pg_db_role_setting s
  JOIN pg_catalog.pg_database d ON d.oid = s.setdatabase, pg_catalog.unnest(s.setconfig) c
  WHERE d.datname = pg_catalog.current_database() AND s.setrole = 0
    AND c !~ '^default_transaction_read_only='
ORDER BY 1, 2 LIMIT 100
"""


def settle(connection: Connection) -> None:
    """Names lead to pg_catalog, values look the same everywhere, and nothing of it is for ever."""
    connection.execute(SETTINGS)
    for since, setting in ((140000, "idle_session_timeout"), (170000, "transaction_timeout")):
        if connection.info.server_version >= since:
            connection.execute(f"SET {setting} = 0")


def look(connection: Connection) -> dict[str, Any]:
    """All that is decided from, and nothing of what is in the tables."""
    version, size, encoding, name, _ = _row(connection.execute(SERVER))
    relations = connection.execute(RELATIONS).fetchall()
    return {
        "version": version // 10000,
        "bytes": size,
        "encoding": encoding,
        "name": name,
        "schemas": [row[0] for row in connection.execute(SCHEMAS)],
        "extensions": [list(row) for row in connection.execute(EXTENSIONS)],
        "trusted": [row[0] for row in connection.execute(TRUSTED)],
        "tables": [[*row[1:]] for row in relations if row[0] == "r"],
        "views": [[row[1], row[2]] for row in relations if row[0] == "m"],
        "foreign": [list(row) for row in connection.execute(FOREIGN)],
        "left_out": [list(row) for row in connection.execute(LEFT_OUT)],
        "objects": _row(
            connection.execute("SELECT pg_catalog.count(*) FROM pg_catalog.pg_largeobject_metadata")
        )[0],
        "comment": _row(
            connection.execute(
                "SELECT pg_catalog.max(pg_catalog.obj_description(n.oid, 'pg_namespace'))"
                " FROM pg_catalog.pg_namespace n WHERE n.nspname = 'public'"
            )
        )[0],
    }


def first_rows(connection: Connection, tables: Names) -> list[str] | None:
    """The first of these tables that has a row; None where none has."""
    for schema, table in tables:
        names = sql.Identifier(schema), sql.Identifier(table)
        found = connection.execute(sql.SQL("SELECT EXISTS (SELECT FROM ONLY {}.{})").format(*names))
        if _row(found)[0]:
            return [schema, table]
    return None


def snapshot(connection: Connection) -> str:
    """From now on this session sees the database as it is, and others may."""
    connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
    return str(_row(connection.execute("SELECT pg_catalog.pg_export_snapshot()"))[0])


def sums(connection: Connection, schema: str, table: str, begin: int | None) -> list[Any]:
    """How many rows, and the sum of their hashes: in whatever order, the same for the same rows.

    Of the part of the table that begins with that page; of all of it without one.
    """
    names = sql.Identifier(schema), sql.Identifier(table)
    with connection.transaction():  # what fails takes no snapshot with it
        if begin is None:
            return list(_row(connection.execute(sql.SQL(SUMS).format(*names))))
        part = f"({begin},0)", f"({begin + PAGES_AT_ONCE},0)"
        return list(_row(connection.execute(sql.SQL(SUMS_OF_PART).format(*names, *part))))


def object_sums(connection: Connection) -> list[Any]:
    """The same of all large objects."""
    with connection.transaction():
        return list(_row(connection.execute(OBJECT_SUMS)))


def sequences(connection: Connection) -> list[list[Any]]:
    """Each with its last value, None for one that was never used."""
    return [list(row) for row in connection.execute(SEQUENCES)]


def prepare(connection: Connection, schemas: list[str], extensions: Names) -> None:
    """Nothing is in the target but empty schemas, extensions, and the mark of an import.

    All of it, or nothing. Schema public is made anew, so that nothing of it can be forgotten; the
    service's default privileges let readers in.
    """
    with connection.transaction():
        connection.execute(
            sql.SQL("ALTER SCHEMA public RENAME TO {}").format(sql.Identifier(REPLACED))
        )
        connection.execute("CREATE SCHEMA public")
        for (name,) in connection.execute(SCHEMAS).fetchall():
            if name != "public":
                connection.execute(sql.SQL("DROP SCHEMA {} CASCADE").format(sql.Identifier(name)))
        connection.execute(
            "SELECT pg_catalog.count(pg_catalog.lo_unlink(o.oid))"
            " FROM pg_catalog.pg_largeobject_metadata o"
        )
        connection.execute(sql.SQL("COMMENT ON SCHEMA public IS {}").format(MARK))
        for name in schemas:
            if name != "public":
                connection.execute(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(name)))
        for name, schema in extensions:
            connection.execute(
                sql.SQL("CREATE EXTENSION {} WITH SCHEMA {}").format(
                    sql.Identifier(name), sql.Identifier(schema)
                )
            )


def finish(connection: Connection) -> None:
    """It is whole: the planner knows it, and the mark is gone."""
    connection.execute("SET statement_timeout = 0")
    connection.execute("ANALYZE")
    connection.execute("COMMENT ON SCHEMA public IS NULL")


def take(connection: Connection) -> bool:
    """No other import may work there, for as long as this session."""
    return bool(_row(connection.execute(f"SELECT pg_catalog.pg_try_advisory_lock({LOCK})"))[0])


def _row(cursor: psycopg.Cursor[Any]) -> tuple[Any, ...]:
    row = cursor.fetchone()
    return tuple(row) if row is not None else (None,) * 5
