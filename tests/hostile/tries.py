"""The tries to get in, or up, that are made against a running fleet: rows of docs/security.md.

Those in SQL are made just as they stand here; each of the others is made by a test that names it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

SERVICE = "a service, in SQL"
READER = "a reader, in SQL"
OTHER = "a certificate of another environment or service"
NOBODY = "a client without a certificate"
LOGIN = "another login of the machine"
FOREIGNER = "the source of an import"
COPY = "a service's code, in a restored copy"
DATA_PLANE = "the user that databases run as"
OWNER = "the user that backups belong to"

PRIVILEGE = "PostgreSQL: no right"
LIBRARY = "pgherd's library in PostgreSQL"
POOLER_ACCESS = "the pooler's access file"
PAST_POOLER = "PostgreSQL's access file"
TLS = "TLS: signed by another authority"
CERTIFICATE = "TLS: no certificate"
FILE_MODE = "file modes"
CHECKED = "checked against what was applied"
FOLLOWED = "nothing there is opened by root"

NO_RIGHT = "42501"
GONE = {"install adminpack": 17}
"""What PostgreSQL itself has no more, with the first version that is without it."""
NO_UPDATE = "suppress_redundant_updates_trigger"


@dataclass(frozen=True, slots=True)
class Try:
    """One try. The last of `statements` must fail with one of `codes` (SQLSTATE).

    Several are run in one transaction; one alone is run by itself, as some must be.
    """

    who: str
    what: str
    refused_by: str
    statements: tuple[str, ...] = ()
    codes: tuple[str, ...] = (NO_RIGHT,)


def _service() -> Iterator[Try]:
    for what, refused_by, codes, *statements in (
        ("make a role", PRIVILEGE, (), "CREATE ROLE intruder"),
        ("become superuser", PRIVILEGE, (), "ALTER ROLE auth SUPERUSER"),
        ("become able to make roles", PRIVILEGE, (), "ALTER ROLE auth CREATEROLE"),
        ("become able to make databases", PRIVILEGE, (), "ALTER ROLE auth CREATEDB"),
        ("become able to replicate", PRIVILEGE, (), "ALTER ROLE auth REPLICATION"),
        ("pass by row security", PRIVILEGE, (), "ALTER ROLE auth BYPASSRLS"),
        ("take the superuser's role", PRIVILEGE, (), "SET ROLE postgres"),
        ("take the superuser's session", PRIVILEGE, (), "SET SESSION AUTHORIZATION postgres"),
        ("take its reader's role", PRIVILEGE, (), "GRANT auth_ro TO auth"),
        (
            "turn its sessions into transactions, for whoever comes next",
            LIBRARY,
            ("22023",),
            "SET pgherd.pooling = transaction",
        ),
        ("hide its settings from the pooler", LIBRARY, ("55P02",), "SET pgherd.reported = ''"),
        ("read the server's files", PRIVILEGE, (), "GRANT pg_read_server_files TO auth"),
        ("write the server's files", PRIVILEGE, (), "GRANT pg_write_server_files TO auth"),
        ("run programs", PRIVILEGE, (), "GRANT pg_execute_server_program TO auth"),
        ("make a database", PRIVILEGE, (), "CREATE DATABASE spare"),
        ("drop its database", PRIVILEGE, (), "DROP DATABASE auth"),
        ("drop the maintenance database", PRIVILEGE, (), "DROP DATABASE postgres"),
        (
            "lead others' names by its database",
            PRIVILEGE,
            (),
            "ALTER DATABASE auth SET search_path = evil",
        ),
        (
            "lead the superuser's names by its role",
            PRIVILEGE,
            (),
            "ALTER ROLE postgres SET search_path = evil",
        ),
        ("change all roles' settings", PRIVILEGE, (), "ALTER ROLE ALL SET work_mem = '1GB'"),
        (
            "change its reader's settings",
            PRIVILEGE,
            (),
            "ALTER ROLE auth_ro SET default_transaction_read_only = off",
        ),
        ("drop its reader", PRIVILEGE, (), "DROP ROLE auth_ro"),
        (
            "forge the mark of a complete cluster",
            PRIVILEGE,
            (),
            "COMMENT ON DATABASE postgres IS 'x'",
        ),
        ("run a program by COPY TO", PRIVILEGE, (), "COPY (SELECT 1) TO PROGRAM 'true'"),
        (
            "run a program by COPY FROM",
            PRIVILEGE,
            (),
            "CREATE TEMPORARY TABLE t (line text)",
            "COPY t FROM PROGRAM 'id'",
        ),
        (
            "read a file by COPY",
            PRIVILEGE,
            (),
            "CREATE TEMPORARY TABLE t (line text)",
            "COPY t FROM '/etc/passwd'",
        ),
        ("write a file by COPY", PRIVILEGE, (), "COPY (SELECT 1) TO '/tmp/x'"),
        ("read a file", PRIVILEGE, (), "SELECT pg_read_file('/etc/passwd')"),
        ("read a binary file", PRIVILEGE, (), "SELECT pg_read_binary_file('PG_VERSION')"),
        ("list a folder", PRIVILEGE, (), "SELECT pg_ls_dir('/')"),
        ("look at a file", PRIVILEGE, (), "SELECT pg_stat_file('PG_VERSION')"),
        ("list the logs", PRIVILEGE, (), "SELECT pg_ls_logdir()"),
        ("list the WAL", PRIVILEGE, (), "SELECT pg_ls_waldir()"),
        ("import a file as a large object", PRIVILEGE, (), "SELECT lo_import('/etc/passwd')"),
        ("export a large object to a file", PRIVILEGE, (), "SELECT lo_export(1, '/tmp/x')"),
        (
            "call the C library",
            PRIVILEGE,
            (),
            "CREATE FUNCTION own(cstring) RETURNS int AS 'libc.so.6', 'system' LANGUAGE c",
        ),
        (
            "call an internal function",
            PRIVILEGE,
            (),
            "CREATE FUNCTION own(text) RETURNS text AS 'pg_read_file_all' LANGUAGE internal",
        ),
        (
            "install a language with all rights",
            PRIVILEGE,
            ("58P01", "0A000"),
            "CREATE EXTENSION plpython3u",
        ),
        ("install an extension", PRIVILEGE, (), "CREATE EXTENSION pg_trgm"),
        ("install dblink", PRIVILEGE, (), "CREATE EXTENSION dblink"),
        ("install file_fdw", PRIVILEGE, (), "CREATE EXTENSION file_fdw"),
        ("install adminpack", PRIVILEGE, (), "CREATE EXTENSION adminpack"),
        ("load a library", PRIVILEGE, (), "LOAD '/tmp/evil.so'"),
        (
            "preload a library for its sessions",
            PRIVILEGE,
            (),
            "SET session_preload_libraries = 'evil'",
        ),
        ("change the server's configuration", PRIVILEGE, (), "ALTER SYSTEM SET fsync = off"),
        ("hide what it does from the log", PRIVILEGE, (), "SET log_min_messages = panic"),
        ("switch triggers and rules off", PRIVILEGE, (), "SET session_replication_role = replica"),
        ("read damaged pages as zeros", PRIVILEGE, (), "SET zero_damaged_pages = on"),
        (
            "run code on every DDL",
            PRIVILEGE,
            (),
            "CREATE FUNCTION own() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END'",
            "CREATE EVENT TRIGGER t ON ddl_command_start EXECUTE FUNCTION own()",
        ),
        ("publish all tables", PRIVILEGE, (), "CREATE PUBLICATION p FOR ALL TABLES"),
        (
            "subscribe to another server",
            PRIVILEGE,
            (),
            "CREATE SUBSCRIPTION s CONNECTION 'host=x' PUBLICATION p WITH (connect = false)",
        ),
        (
            "hold WAL by a physical slot",
            PRIVILEGE,
            ("42501", "55000"),
            "SELECT pg_create_physical_replication_slot('s', true)",
        ),
        (
            "hold WAL by a logical slot",
            PRIVILEGE,
            (),
            "SELECT pg_create_logical_replication_slot('s', 'test_decoding')",
        ),
        ("make a replication origin", PRIVILEGE, (), "SELECT pg_replication_origin_create('o')"),
        ("have the configuration read anew", PRIVILEGE, (), "SELECT pg_reload_conf()"),
        ("rotate the log", PRIVILEGE, (), "SELECT pg_rotate_logfile()"),
        ("switch WAL segments", PRIVILEGE, (), "SELECT pg_switch_wal()"),
        ("promote the server", PRIVILEGE, (), "SELECT pg_promote()"),
        ("write a checkpoint", PRIVILEGE, (), "CHECKPOINT"),
        (
            "end others' sessions",
            PRIVILEGE,
            (),
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'postgres'",
        ),
        ("read password hashes", PRIVILEGE, (), "SELECT * FROM pg_authid"),
        ("read password hashes by a view", PRIVILEGE, (), "SELECT * FROM pg_shadow"),
        (
            "write into the catalogue of roles",
            PRIVILEGE,
            (),
            "UPDATE pg_authid SET rolsuper = true",
        ),
        (
            "write into the catalogue of functions",
            PRIVILEGE,
            (),
            "UPDATE pg_proc SET prosecdef = true",
        ),
        ("read the access file", PRIVILEGE, (), "SELECT * FROM pg_hba_file_rules"),
        (
            "put a function where all look first",
            PRIVILEGE,
            (),
            "CREATE FUNCTION pg_catalog.own() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        ),
        (
            "put an operator where all look first",
            PRIVILEGE,
            (),
            "CREATE OPERATOR pg_catalog.=== (LEFTARG = int, RIGHTARG = int, FUNCTION = int4eq)",
        ),
        (
            "put a trigger on a catalogue",
            PRIVILEGE,
            (),
            f"CREATE TRIGGER t BEFORE UPDATE ON pg_authid EXECUTE FUNCTION {NO_UPDATE}()",
        ),
        (
            "put a rule on a catalogue",
            PRIVILEGE,
            (),
            "CREATE RULE r AS ON UPDATE TO pg_authid DO INSTEAD NOTHING",
        ),
        (
            "give a function to the superuser",
            PRIVILEGE,
            (),
            "CREATE FUNCTION own() RETURNS int LANGUAGE sql SECURITY DEFINER AS 'SELECT 1'",
            "ALTER FUNCTION own() OWNER TO postgres",
        ),
        (
            "give a table to the superuser",
            PRIVILEGE,
            (),
            "CREATE TABLE own ()",
            "ALTER TABLE own OWNER TO postgres",
        ),
        (
            "make a base type of its own",
            PRIVILEGE,
            (),
            "CREATE TYPE own",
        ),
        (
            "hold locks by a prepared transaction",
            "max_prepared_transactions = 0",
            ("55000",),
            "SELECT 1",
            "PREPARE TRANSACTION 'held'",
        ),
        ("read the superuser's large objects", PRIVILEGE, (), "SELECT data FROM pg_largeobject"),
    ):
        yield Try(SERVICE, what, refused_by, tuple(statements), codes or (NO_RIGHT,))


def _reader() -> Iterator[Try]:
    """All with a transaction that may write, where a reader may ask for one."""
    for what, codes, *statements in (
        ("write", (), "INSERT INTO note VALUES ('bye')"),
        ("change", (), "UPDATE note SET line = 'bye'"),
        ("delete", (), "DELETE FROM note"),
        ("empty a table", (), "TRUNCATE note"),
        ("drop a table", (), "DROP TABLE note"),
        ("alter a table", (), "ALTER TABLE note ADD COLUMN more text"),
        ("put an index on a table", (), "CREATE INDEX ON note (line)"),
        ("lock rows", (), "SELECT line FROM note FOR UPDATE"),
        ("lock rows, shared", (), "SELECT line FROM note FOR SHARE"),
        ("lock a table", (), "LOCK TABLE note IN ACCESS EXCLUSIVE MODE"),
        ("lock a table against writers", (), "LOCK TABLE note IN SHARE MODE"),
        ("use up a sequence", (), "SELECT nextval('ticket')"),
        ("set a sequence", (), "SELECT setval('ticket', 1)"),
        ("make a table", (), "CREATE TABLE mine ()"),
        ("make a temporary table", (), "CREATE TEMPORARY TABLE mine ()"),
        ("make a function", (), "CREATE FUNCTION mine() RETURNS int LANGUAGE sql AS 'SELECT 1'"),
        ("make a schema", (), "CREATE SCHEMA mine"),
        ("make a view in the service's schema", (), "CREATE VIEW public.mine AS SELECT 1"),
        ("replace the service's view", (), "CREATE OR REPLACE VIEW public.seen AS SELECT 2 AS n"),
        ("make a type", (), "CREATE TYPE mine AS (n int)"),
        (
            "put a trigger on a table",
            (),
            f"CREATE TRIGGER t BEFORE UPDATE ON note EXECUTE FUNCTION {NO_UPDATE}()",
        ),
        ("make a large object", (), "SELECT lo_create(0)"),
        ("make a large object, old call", (), "SELECT lo_creat(-1)"),
        ("make a large object with content", (), "SELECT lo_from_bytea(0, 'x')"),
        (
            "write WAL by a message",
            (),
            "SELECT pg_logical_emit_message(false, 'x', repeat('x', 9))",
        ),
        (
            "write WAL by a binary message",
            (),
            "SELECT pg_logical_emit_message(true, 'x', 'x'::bytea)",
        ),
        ("use up a transaction id", (), "SELECT txid_current()"),
        ("use up a transaction id, new call", (), "SELECT pg_current_xact_id()"),
        ("hold a lock of the session", (), "SELECT pg_advisory_lock(1)"),
        ("hold a lock of the session, two keys", (), "SELECT pg_advisory_lock(1, 1)"),
        ("hold the migrations' lock", (), "SELECT pg_advisory_xact_lock(123)"),
        ("hold a shared lock of the session", (), "SELECT pg_advisory_lock_shared(1)"),
        ("try a lock of the session", (), "SELECT pg_try_advisory_lock(1)"),
        ("try a lock of the transaction", (), "SELECT pg_try_advisory_xact_lock(1)"),
        ("free others' locks", (), "SELECT pg_advisory_unlock_all()"),
        ("fill the queue of notifications", (), "SELECT pg_notify('c', 'x')"),
        ("read password hashes", (), "SELECT rolpassword FROM pg_authid"),
        ("read password hashes by a view", (), "SELECT * FROM pg_shadow"),
        ("read statistics of values", (), "SELECT * FROM pg_statistic"),
        ("read connection strings", (), "SELECT subconninfo FROM pg_subscription"),
        ("read others' large objects", (), "SELECT data FROM pg_largeobject"),
        ("read the access file", (), "SELECT * FROM pg_hba_file_rules"),
        ("read a file", (), "SELECT pg_read_file('PG_VERSION')"),
        ("run a program", (), "COPY note TO PROGRAM 'true'"),
        ("write a file", (), "COPY note TO '/tmp/x'"),
        ("write code, which loops", (), "DO $$ BEGIN LOOP END LOOP; END $$"),
        ("fill the disk by snapshots", (), "SELECT pg_export_snapshot()"),
        ("take its service's role", (), "SET ROLE auth"),
        ("take the superuser's role", (), "SET ROLE postgres"),
        ("change its service's settings", (), "ALTER ROLE auth SET work_mem = '1GB'"),
        ("give itself all data", (), "GRANT pg_read_all_data TO auth_ro"),
        (
            "end its service's sessions",
            (),
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'auth'",
        ),
        (
            "cancel its service's queries",
            (),
            "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE usename = 'auth'",
        ),
        ("raise its bound on temporary files", (), "SET temp_file_limit = -1"),
        ("switch triggers off", (), "SET session_replication_role = replica"),
        ("drop the bound for good", (), "ALTER ROLE auth_ro SET temp_file_limit = -1"),
        ("hold WAL by a slot", (), "SELECT pg_create_physical_replication_slot('s', true)"),
        ("switch WAL segments", (), "SELECT pg_switch_wal()"),
        ("rewrite a table", (), "CLUSTER note USING note_line"),
        ("rebuild an index", (), "REINDEX TABLE note"),
        ("refresh a materialized view", (), "REFRESH MATERIALIZED VIEW counted"),
        ("see which tables others made", (), "SELECT line FROM hidden.secret"),
    ):
        yield Try(READER, what, PRIVILEGE, tuple(statements), codes or (NO_RIGHT,))
    yield Try(
        READER,
        "fill the disk by sorting",
        "temp_file_limit",
        (
            "SELECT count(*) FROM (SELECT repeat(md5(n::text), 30) AS s"
            " FROM generate_series(1, 600000) n ORDER BY 1) AS sorted",
        ),
        ("53400",),
    )


SQL = (*_service(), *_reader())

DONE = (
    Try(SERVICE, "lay code where a session with more rights looks", "no such session comes"),
    Try(SERVICE, "enter the maintenance database", POOLER_ACCESS),
    Try(SERVICE, "enter the pooler's console", POOLER_ACCESS),
    Try(SERVICE, "enter another service's database", POOLER_ACCESS),
    Try(SERVICE, "log in as another service's reader with its own certificate", POOLER_ACCESS),
    Try(SERVICE, "pass by the pooler with its own certificate", PAST_POOLER),
    Try(SERVICE, "say that its revision is as long as memory", "cut by the query"),
    Try(SERVICE, "let a look at its revision take for ever", "statement_timeout"),
    Try(SERVICE, "let migrations read for ever", "only a table is read"),
    Try(SERVICE, "let migrations read for ever, by its search_path", "full names, a limit"),
    Try(READER, "enter the name that leads to the primary", POOLER_ACCESS),
    Try(READER, "keep the pooler busy for ever by a parameter without a name", "its settings"),
    Try(READER, "take all server connections", "a pool of its own"),
    Try(READER, "take all of the pooler's clients", "max_user_client_connections"),
    Try(READER, "keep a transaction open for ever", "idle_transaction_timeout"),
    Try(READER, "keep a transaction alive for ever", "the agent ends it after 300 s"),
    Try(READER, "wait for a lock, with all others in line behind", "the agent ends it within 1 s"),
    Try(READER, "hold a switchover up", "nobody waits for readers"),
    Try(READER, "change its own settings and password", "put back by the agent"),
    Try(OTHER, "enter a service's database, as that service elsewhere", TLS),
    Try(OTHER, "enter a service's database, as its reader elsewhere", TLS),
    Try(OTHER, "pass by the pooler, as a pooler elsewhere", TLS),
    Try(OTHER, "replicate, as an instance elsewhere", TLS),
    Try(OTHER, "rewind, as an instance elsewhere", TLS),
    Try(OTHER, "ask etcd, as an instance elsewhere", TLS),
    Try(OTHER, "ask etcd, as an operator elsewhere", TLS),
    Try(OTHER, "command Patroni, as an instance elsewhere", TLS),
    Try(OTHER, "command Patroni, as an operator elsewhere", TLS),
    Try(OTHER, "replicate, as another service's instance", PAST_POOLER),
    Try(OTHER, "pass by the pooler, as another service's pooler", PAST_POOLER),
    Try(OTHER, "ask etcd, with a certificate for data", TLS),
    Try(OTHER, "enter elsewhere, with the certificate of the agent's probe", POOLER_ACCESS),
    Try(NOBODY, "enter the pooler in plain text", POOLER_ACCESS),
    Try(NOBODY, "enter PostgreSQL in plain text", PAST_POOLER),
    Try(NOBODY, "enter the pooler over TLS", CERTIFICATE),
    Try(NOBODY, "enter PostgreSQL over TLS", CERTIFICATE),
    Try(NOBODY, "replicate over TLS", CERTIFICATE),
    Try(NOBODY, "enter with a forged certificate of that name", TLS),
    Try(NOBODY, "ask etcd", CERTIFICATE),
    Try(NOBODY, "command Patroni", CERTIFICATE),
    Try(NOBODY, "hold 2,000 connections to the pooler", "client_login_timeout, max_client_conn"),
    Try(LOGIN, "take the fleet's lock", FILE_MODE),
    Try(LOGIN, "enter the state folder", FILE_MODE),
    Try(LOGIN, "read a client's key", FILE_MODE),
    Try(LOGIN, "read an authority's key", FILE_MODE),
    Try(LOGIN, "ask the agent", FILE_MODE),
    Try(LOGIN, "enter PostgreSQL's Unix socket", FILE_MODE),
    Try(LOGIN, "enter the pooler's console", FILE_MODE),
    Try(LOGIN, "read a program's memory and surroundings", "the kernel: another user's"),
    Try(LOGIN, "change the code that root runs", FILE_MODE),
    Try(LOGIN, "listen in a server's place", "clients: verify-full"),
    Try(LOGIN, "leave a fleet file where root works", "only the own is taken unasked"),
    Try(LOGIN, "own a folder above the state", "refused: cannot be trusted"),
    Try(DATA_PLANE, "have root append to a file, by the agent's log", FOLLOWED),
    Try(DATA_PLANE, "have root make a file, by the agent's log", FOLLOWED),
    Try(DATA_PLANE, "have root show a file, by a log", FOLLOWED),
    Try(DATA_PLANE, "take root's terminal over, by a program of root's", "no program has it"),
    Try(DATA_PLANE, "have root wait for ever, by a FIFO in place of a log", FOLLOWED),
    Try(DATA_PLANE, "have root delete a tree, by a database's folder", FOLLOWED),
    Try(DATA_PLANE, "have root delete a tree, by an environment's folder", FOLLOWED),
    Try(DATA_PLANE, "have root delete a tree, by a folder that changes meanwhile", FOLLOWED),
    Try(DATA_PLANE, "have root delete a tree, by a socket's folder", FOLLOWED),
    Try(DATA_PLANE, "have root speak to another daemon", "the listener's user is looked at"),
    Try(DATA_PLANE, "lead root's session to another socket", "names are looked up in manifests"),
    Try(DATA_PLANE, "change a manifest", FILE_MODE),
    Try(DATA_PLANE, "change the claim of the state folder", FILE_MODE),
    Try(DATA_PLANE, "change a configuration", FILE_MODE),
    Try(DATA_PLANE, "change a program of an instance", FILE_MODE),
    Try(DATA_PLANE, "replace an authority", FILE_MODE),
    Try(DATA_PLANE, "read an authority's key", FILE_MODE),
    Try(DATA_PLANE, "read a client's key", FILE_MODE),
    Try(DATA_PLANE, "take the fleet's lock", FILE_MODE),
    Try(DATA_PLANE, "replace a folder of its own by a link", FILE_MODE),
    Try(DATA_PLANE, "change the code that root runs", FILE_MODE),
    Try(DATA_PLANE, "be given a file of root's", "root makes none there"),
    Try(DATA_PLANE, "have the autopilot's helper pass the fleet file's bounds", CHECKED),
    Try(DATA_PLANE, "have the autopilot's helper act on what the fleet does not have", CHECKED),
    Try(DATA_PLANE, "have the autopilot's helper start what was stopped", CHECKED),
    Try(
        DATA_PLANE,
        "have the autopilot's helper run or read something by its request",
        "requests are names and numbers",
    ),
    Try(DATA_PLANE, "open a file of backups, or that of their key", FILE_MODE),
    Try(
        DATA_PLANE,
        "change or delete a backup, by its repository's server",
        "they are read-only to it",
    ),
    Try(DATA_PLANE, "come to another database's archive by a certificate", "it opens one archive"),
    Try(
        DATA_PLANE,
        "change a backup by its repository's server, past what that sees",
        "all but WAL is read-only to it, and it has no /proc",
    ),
    Try(DATA_PLANE, "change a copy of backups, by its repository's server", "read-only to it"),
    Try(DATA_PLANE, "read or write what was applied and what is paused", FILE_MODE),
    Try(
        DATA_PLANE, "have the autopilot's helper sign in elsewhere, or tell what signs in", CHECKED
    ),
    Try(
        DATA_PLANE,
        "have the autopilot's helper tell what is in another file",
        "the helper: only the history's URL, in the file that the fleet file names",
    ),
    Try(DATA_PLANE, "end the autopilot's helper", "the kernel: another user's"),
    Try(DATA_PLANE, "be told how a receiver of alerts is reached", "it is left out"),
    Try(DATA_PLANE, "read a receiver's secret while it is told", "the kernel: another user's"),
    Try(DATA_PLANE, "read the file of a receiver's secret", FILE_MODE),
    Try(DATA_PLANE, "have others told, or of what is not theirs to hear", CHECKED),
    Try(DATA_PLANE, "flood a receiver with messages", "so many within an hour"),
    Try(DATA_PLANE, "add a header, a link or a call to a message", "cleaned by the helper"),
    Try(
        FOREIGNER,
        "have its code run with more rights than the service's",
        "restored as the service",
    ),
    Try(FOREIGNER, "run programs by its code", PRIVILEGE),
    Try(
        FOREIGNER,
        "be taken for the same by its own casts, operators and functions",
        "full names, and types' own output",
    ),
    Try(FOREIGNER, "act on the terminal by its names", "what is printed is escaped"),
    Try(COPY, "run as a superuser while a drill looks at it", "looked at as the service"),
    Try(COPY, "become superuser, or write a file, while it is masked", "masked as the service"),
    Try(
        COPY,
        "have its masking fail or pass rows by, by settings of its role",
        "the start packet, which overrides them",
    ),
    Try(LOGIN, "read what masks a copy, on a command line", "it stands on none"),
    Try(LOGIN, "change what masks a copy", "a file that others may change is refused"),
    Try(DATA_PLANE, "write a proof of backups, or end one", FILE_MODE),
    Try(DATA_PLANE, "open or change what was received of its WAL, or by which key", FILE_MODE),
    Try(
        DATA_PLANE,
        "have a segment of WAL that was received in full be written anew",
        "what came first is kept",
    ),
    Try(
        OWNER,
        "enter a database by the certificate that receives its WAL",
        "PostgreSQL's access file: it may replicate",
    ),
    Try(DATA_PLANE, "find the key of a store that backups go to", FILE_MODE),
    Try(DATA_PLANE, "put a link where copies of backups go", FILE_MODE),
    Try(LOGIN, "put a link where copies of backups go", "such a folder gets no copy"),
    Try(OWNER, "have copies of backups written elsewhere, by a link", "no link is followed"),
    Try(OWNER, "have root open what it has put into a copy", FOLLOWED),
)
"""Each is made by a test that names it (`makes`)."""


def made(what: str, who: str) -> Try:
    """The try of that title; KeyError where none has it."""
    return {(t.who, t.what): t for t in DONE}[who, what]


def table() -> str:
    """All of them, as Markdown."""
    rows = [f"| {t.who} | {t.what} | {t.refused_by} |" for t in (*SQL, *DONE)]
    return "\n".join(["| who | tries to | refused by |", "|---|---|---|", *rows])
