"""What clients do with a session, and what comes of it through each kind of name.

A row keeps something, others come by, and the client asks for it again, each statement a
transaction of its own unless the row says `BEGIN`. docs/pooling.md has the same rows.
"""

from __future__ import annotations

from dataclasses import dataclass

WORKS, ERROR, REFUSED = "works", "error", "refused"
"""As in a session of PostgreSQL; an error when it is asked for; an error at once."""


@dataclass(frozen=True, slots=True)
class Habit:
    """`answer` is what `ask` gives where it works; `{n}` in it is the client's number."""

    what: str
    keep: str
    ask: str
    answer: str | None
    transaction: str
    session: str = WORKS


def setting(name: str, value: str) -> Habit:
    """`SET name`."""
    what = f"`SET {name}`"
    return Habit(what, f"SET {name} = '{value}'", f"SHOW {name}", value, WORKS)


HABITS: tuple[Habit, ...] = (
    setting("DateStyle", "German, DMY"),
    setting("IntervalStyle", "iso_8601"),
    setting("TimeZone", "Asia/Tokyo"),
    setting("application_name", "shop {n}"),
    setting("client_encoding", "LATIN1"),
    setting("standard_conforming_strings", "off"),
    setting("default_transaction_read_only", "on"),
    setting("search_path", "pg_catalog"),
    setting("statement_timeout", "77s"),
    setting("lock_timeout", "77s"),
    setting("idle_in_transaction_session_timeout", "77s"),
    setting("default_transaction_isolation", "serializable"),
    setting("default_transaction_deferrable", "on"),
    setting("work_mem", "1234kB"),
    setting("synchronous_commit", "off"),
    setting("extra_float_digits", "0"),
    setting("bytea_output", "escape"),
    setting("enable_seqscan", "off"),
    setting("jit", "on"),
    setting("plan_cache_mode", "force_custom_plan"),
    setting("row_security", "off"),
    setting("default_tablespace", "pg_default"),
    Habit(
        "`SET` of a setting of one's own",
        "SET shop.tenant = 't{n}'",
        "SELECT current_setting('shop.tenant', true)",
        "t{n}",
        REFUSED,
    ),
    Habit(
        "`set_config(..., false)`",
        "SELECT set_config('shop.user', 'u{n}', false)",
        "SELECT current_setting('shop.user', true)",
        "u{n}",
        REFUSED,
    ),
    Habit(
        "`SET idle_session_timeout`",
        "SET idle_session_timeout = '77s'",
        "SHOW idle_session_timeout",
        "77s",
        REFUSED,
    ),
    Habit(
        "`SET temp_tablespaces`",
        "SET temp_tablespaces = pg_default",
        "SHOW temp_tablespaces",
        "pg_default",
        REFUSED,
    ),
    Habit("`setseed`", "SELECT setseed(0.5)", "SELECT 'x'", "x", WORKS),
    Habit(
        "`pg_prepared_statements`",
        "SELECT count(*) FROM pg_prepared_statements",
        "SELECT 'x'",
        "x",
        REFUSED,
    ),
    Habit("`SET ROLE`", "SET ROLE auth", "SELECT current_role", "auth", REFUSED),
    Habit(
        "`SET SESSION CHARACTERISTICS`",
        "SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL SERIALIZABLE",
        "SHOW transaction_isolation",
        "serializable",
        WORKS,
    ),
    Habit("`SET TIME ZONE`", "SET TIME ZONE 'UTC'", "SHOW TimeZone", "UTC", WORKS),
    Habit("`SET NAMES`", "SET NAMES 'LATIN1'", "SHOW client_encoding", "LATIN1", WORKS),
    Habit(
        "`SET LOCAL`",
        "SELECT 1",
        "BEGIN; SET LOCAL work_mem = '4321kB'; SHOW work_mem",
        "4321kB",
        WORKS,
    ),
    Habit("`RESET ALL`", "RESET ALL", "SHOW statement_timeout", "0", WORKS),
    Habit("`DISCARD ALL`", "DISCARD ALL", "SHOW statement_timeout", "0", WORKS),
    Habit(
        "a temporary table",
        "CREATE TEMP TABLE own AS SELECT 'row of {n}' AS r",
        "SELECT r FROM own",
        "row of {n}",
        REFUSED,
    ),
    Habit(
        "`SELECT INTO TEMP`",
        "SELECT 'row of {n}' AS r INTO TEMP taken",
        "SELECT r FROM taken",
        "row of {n}",
        REFUSED,
    ),
    Habit(
        "a temporary view",
        "CREATE TEMP VIEW seen AS SELECT 'row of {n}' AS r",
        "SELECT r FROM seen",
        "row of {n}",
        REFUSED,
    ),
    Habit(
        "a temporary sequence",
        "CREATE TEMP SEQUENCE counted START 1{n}",
        "SELECT nextval('counted')::text",
        "1{n}",
        REFUSED,
    ),
    Habit(
        "a temporary function",
        "CREATE FUNCTION pg_temp.mine() RETURNS text RETURN 'row of {n}'",
        "SELECT pg_temp.mine()",
        "row of {n}",
        REFUSED,
    ),
    Habit(
        "a temporary table with `ON COMMIT DROP`",
        "SELECT 1",
        "BEGIN; CREATE TEMP TABLE brief ON COMMIT DROP AS SELECT 'row of {n}' AS r;"
        " SELECT r FROM brief",
        "row of {n}",
        WORKS,
    ),
    Habit(
        "a cursor `WITH HOLD`",
        "DECLARE held CURSOR WITH HOLD FOR SELECT 'row of {n}'",
        "FETCH held",
        "row of {n}",
        REFUSED,
    ),
    Habit(
        "a `SCROLL` cursor `WITH HOLD`",
        "DECLARE scrolled SCROLL CURSOR WITH HOLD FOR SELECT 'row of {n}'",
        "FETCH LAST FROM scrolled",
        "row of {n}",
        REFUSED,
    ),
    Habit(
        "a cursor in a transaction",
        "SELECT 1",
        "BEGIN; DECLARE c CURSOR FOR SELECT 'row of {n}'; FETCH c",
        "row of {n}",
        WORKS,
    ),
    Habit(
        "`PREPARE` and `EXECUTE` as SQL",
        "PREPARE planned AS SELECT 'row of {n}'",
        "EXECUTE planned",
        "row of {n}",
        REFUSED,
    ),
    Habit(
        "`PREPARE` and `EXECUTE` in one transaction",
        "SELECT 1",
        "BEGIN; PREPARE short AS SELECT 'row of {n}'; EXECUTE short",
        "row of {n}",
        WORKS,
    ),
    Habit("`DEALLOCATE ALL`", "DEALLOCATE ALL", "SELECT 'x'", "x", WORKS),
    Habit(
        "`pg_advisory_lock`",
        "SELECT pg_advisory_lock({n})",
        "SELECT pg_advisory_unlock({n})::text",
        "true",
        REFUSED,
    ),
    Habit(
        "`pg_advisory_lock_shared`",
        "SELECT pg_advisory_lock_shared({n} + 100)",
        "SELECT pg_advisory_unlock_shared({n} + 100)::text",
        "true",
        REFUSED,
    ),
    Habit(
        "`pg_try_advisory_lock`",
        "SELECT pg_try_advisory_lock({n} + 200)",
        "SELECT pg_advisory_unlock({n} + 200)::text",
        "true",
        REFUSED,
    ),
    Habit(
        "`pg_advisory_xact_lock`",
        "SELECT 1",
        "BEGIN; SELECT pg_advisory_xact_lock({n} + 300); SELECT 'held'",
        "held",
        WORKS,
    ),
    Habit("`LISTEN`", "LISTEN news", "SELECT pg_listening_channels()", "news", REFUSED),
    Habit("`NOTIFY`", "NOTIFY news", "SELECT 'sent'", "sent", WORKS),
    Habit("`UNLISTEN *`", "UNLISTEN *", "SELECT 'x'", "x", WORKS),
    Habit(
        "`currval`", "SELECT nextval('habit')", "SELECT (currval('habit') > 0)::text", "true", ERROR
    ),
    Habit("`lastval`", "SELECT nextval('habit')", "SELECT (lastval() > 0)::text", "true", ERROR),
    Habit(
        "`INSERT ... RETURNING`",
        "SELECT 1",
        "INSERT INTO habits (r) VALUES ('row of {n}') RETURNING r",
        "row of {n}",
        WORKS,
    ),
    Habit(
        "`SAVEPOINT` and `ROLLBACK TO`",
        "SELECT 1",
        "BEGIN; SAVEPOINT a; CREATE TEMP TABLE gone (n int); ROLLBACK TO a; SELECT 'back'",
        "back",
        WORKS,
    ),
    Habit(
        "`BEGIN ISOLATION LEVEL SERIALIZABLE`",
        "SELECT 1",
        "BEGIN ISOLATION LEVEL SERIALIZABLE; SHOW transaction_isolation",
        "serializable",
        WORKS,
    ),
    Habit("`LOCK TABLE`", "SELECT 1", "BEGIN; LOCK TABLE habits; SELECT 'locked'", "locked", WORKS),
    Habit(
        "`SELECT FOR UPDATE SKIP LOCKED`",
        "SELECT 1",
        "BEGIN; SELECT 'row' FROM (SELECT FROM habits FOR UPDATE SKIP LOCKED LIMIT 1) r"
        " UNION ALL SELECT 'row' LIMIT 1",
        "row",
        WORKS,
    ),
    Habit(
        "large objects",
        "SELECT 1",
        "BEGIN; SELECT lo_unlink(lo_from_bytea(0, 'x')); SELECT 'gone'",
        "gone",
        WORKS,
    ),
    Habit(
        "`pg_export_snapshot`",
        "SELECT 1",
        "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT left(pg_export_snapshot(), 0) || 'x'",
        "x",
        WORKS,
    ),
    Habit(
        "`PREPARE TRANSACTION`",
        "BEGIN; SELECT 1; PREPARE TRANSACTION 'two {n}'",
        "SELECT 1",
        None,
        REFUSED,
        session=REFUSED,
    ),
    Habit(
        "`ALTER SYSTEM`",
        "ALTER SYSTEM SET work_mem = '1MB'",
        "SELECT 1",
        None,
        REFUSED,
        session=REFUSED,
    ),
    Habit(
        "`SET session_replication_role`",
        "SET session_replication_role = replica",
        "SELECT 1",
        None,
        REFUSED,
        session=REFUSED,
    ),
)


def table() -> str:
    """All of them, as Markdown."""
    rows = [f"| {h.what} | {h.session} | {h.transaction} |" for h in HABITS]
    return "\n".join(["| | session | transaction |", "|---|---|---|", *rows])
