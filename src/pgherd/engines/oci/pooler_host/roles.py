"""A database's roles and rights, as SQL."""

from __future__ import annotations

from pgherd.engines.oci.pooler_host.limits import READER_BACKENDS
from pgherd.engines.oci.pooler_host.metadata import Database
from pgherd.engines.oci.pooler_host.passwords import verifier
from pgherd.programs.postgresql import (
    NOT_FOR_READERS,
    READER_SETTINGS,
    admission,
    quoted,
    reading,
)

READERS_SETTINGS = {**READER_SETTINGS, "client_connection_check_interval": "10s"}


def preparation(database: Database, seed: bytes) -> str:
    """psql's input that makes a database ready; it changes nothing where it is.

    It runs as an admin who may create roles and databases but is no superuser, on PostgreSQL 14
    to 18. From 16 on such an admin is no member of the roles that it creates until it makes
    itself one. The passwords come last: before that nobody enters a database half made. The
    locks keep the hosts of a tier from doing it at the same time.

    Nothing in it names, or is decided by, what a service can define: by SESSION, names are
    PostgreSQL's own. Nor can a service make it wait for long.
    """
    service, read_only = quoted(database.service), quoted(database.read_only_role)
    roles = (database.service, database.read_only_role)
    create_roles = "\n".join(_unless_there("pg_roles", "rolname", r, "CREATE ROLE") for r in roles)
    create_database = _unless_there(
        "pg_database", "datname", database.service, "CREATE DATABASE", f" OWNER {service}"
    )
    settings = "\n".join(
        f"ALTER ROLE {read_only} SET {name} = '{value}';"
        for name, value in READERS_SETTINGS.items()
    )
    passwords = "\n".join(
        f"ALTER ROLE {quoted(role)} LOGIN PASSWORD '{verifier(seed, role, database.service)}';"
        for role in roles
    )
    return f"""\
SET lock_timeout = '30s';
\\o /dev/null
SELECT pg_catalog.pg_advisory_lock(pg_catalog.hashtext('pgherd'));
\\o
RESET lock_timeout;
ALTER ROLE CURRENT_USER SET search_path = pg_catalog;
{_renaming(database)}{create_roles}
GRANT {service} TO CURRENT_USER;
ALTER ROLE {read_only} CONNECTION LIMIT {READER_BACKENDS};
{settings}
{create_database}
REVOKE ALL ON DATABASE {service} FROM PUBLIC;
{admission(service, read_only)}\
\\connect {service}
BEGIN;
DO $$
BEGIN
    PERFORM pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtext('pgherd'));
EXCEPTION WHEN lock_not_available OR insufficient_privilege THEN
    NULL; -- in here others can have it too: it is a courtesy of hosts, and no more
END $$;
DO $$
BEGIN
    ALTER SCHEMA public OWNER TO {service};
    REVOKE CREATE ON SCHEMA public FROM PUBLIC;
    GRANT USAGE ON SCHEMA public TO {read_only};
EXCEPTION
    WHEN invalid_schema_name THEN
        NULL; -- its service has no use for it
    WHEN insufficient_privilege THEN
        IF pg_catalog.has_schema_privilege(
            '{database.read_only_role}', 'public', 'CREATE'
        ) THEN
            RAISE WARNING '{database.read_only_role} may create tables in schema public';
        END IF;
END $$;
{reading(service, read_only)}{_withholding(database)}{_reading(database)}{passwords}
COMMIT;
"""  # noqa: S608 - names were checked


def _reading(database: Database) -> str:
    """The reader reads what the service made before there were default privileges."""
    service, reader = database.service, database.read_only_role
    return f"""\
DO $$
DECLARE
    grants text;
BEGIN
    FOR grants IN
        SELECT pg_catalog.format('USAGE ON SCHEMA %I', n.nspname)
        FROM pg_catalog.pg_namespace n
        WHERE pg_catalog.pg_get_userbyid(n.nspowner) = '{service}'
            AND NOT pg_catalog.has_schema_privilege('{reader}', n.oid, 'USAGE')
        UNION ALL
        SELECT pg_catalog.format('SELECT ON TABLE %I.%I', n.nspname, c.relname)
        FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
        WHERE pg_catalog.pg_get_userbyid(c.relowner) = '{service}'
            AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S') AND c.relpersistence <> 't'
            AND NOT pg_catalog.has_table_privilege('{reader}', c.oid, 'SELECT')
    LOOP
        EXECUTE 'GRANT ' || grants || ' TO {quoted(reader)}';
    END LOOP;
END $$;
"""  # noqa: S608 - names were checked


def _withholding(database: Database) -> str:
    """The reader cannot read passwords, write, or lock beyond a transaction's end.

    What is the superuser's own this admin may be unable to revoke. It is said then.
    """
    service, reader = database.service, database.read_only_role
    withheld = f"""p.pronamespace = 'pg_catalog'::pg_catalog.regnamespace
            AND p.proname ~ '^({NOT_FOR_READERS})$'
            AND pg_catalog.has_function_privilege('{reader}', p.oid, 'EXECUTE')"""
    return f"""\
DO $$
DECLARE
    callee pg_catalog.regprocedure;
BEGIN
    IF pg_catalog.pg_has_role('{reader}', 'pg_read_all_data', 'MEMBER') THEN
        BEGIN
            REVOKE pg_read_all_data FROM {quoted(reader)};
        EXCEPTION WHEN insufficient_privilege THEN
            RAISE WARNING '{reader} reads passwords: a superuser can revoke pg_read_all_data';
        END;
    END IF;
    FOR callee IN
        SELECT p.oid FROM pg_catalog.pg_proc p
        WHERE {withheld}
            AND pg_catalog.pg_has_role(p.proowner, 'USAGE')
    LOOP
        EXECUTE pg_catalog.format('REVOKE EXECUTE ON FUNCTION %s FROM PUBLIC', callee);
        EXECUTE pg_catalog.format('GRANT EXECUTE ON FUNCTION %s TO {quoted(service)}', callee);
    END LOOP;
    IF EXISTS (
        SELECT FROM pg_catalog.pg_proc p
        WHERE {withheld}
    ) THEN
        RAISE WARNING '{reader} may call functions that lock or write: a superuser can revoke it';
    END IF;
END $$;
"""  # noqa: S608 - names were checked


def _renaming(database: Database) -> str:
    """Gives a restored database and its roles their service's names; nothing for any other.

    It is one transaction, so it is done whole or tried again. The database comes last all the
    same: while it bears the old name, what is left of the roles' old names is changed. Whatever
    belongs to a role, or was granted to it, stays so.
    """
    if database.was is None:
        return ""
    service, was = database.service, database.was
    rename_roles = _rename_role(was, service) + _rename_role(f"{was}_ro", database.read_only_role)
    return f"""\
DO $$
DECLARE
    has_new boolean := EXISTS (SELECT FROM pg_catalog.pg_database WHERE datname = '{service}');
    has_old boolean := EXISTS (SELECT FROM pg_catalog.pg_database WHERE datname = '{was}');
BEGIN
    IF has_new AND has_old THEN
        RAISE WARNING 'database {was} is left alone, as {service} is there too';
    ELSIF has_old THEN
{rename_roles}        GRANT {quoted(service)} TO CURRENT_USER;
        ALTER DATABASE {quoted(was)} RENAME TO {quoted(service)};
    ELSIF NOT has_new THEN
        RAISE WARNING 'database {was} is not in what was restored: {service} begins empty';
    END IF;
END $$;
"""  # noqa: S608 - names were checked


def _rename_role(old: str, new: str) -> str:
    return f"""\
        IF EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = '{old}') THEN
            ALTER ROLE {quoted(old)} RENAME TO {quoted(new)};
        END IF;
"""


def _unless_there(table: str, column: str, name: str, command: str, more: str = "") -> str:
    return (
        f"SELECT '{command} {quoted(name)}{more}' WHERE NOT EXISTS"  # noqa: S608 - names were checked
        f" (SELECT FROM pg_catalog.{table} WHERE {column} = '{name}') \\gexec"
    )
