"""What a service lays out for sessions with more rights than its own, and where it may log in."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql
from running_fleet import AUTH, ORDER, STAGING_AUTH, RunningFleet, connect, refused
from tries import SERVICE

from pgherd.contract.access import AccessRole
from pgherd.contract.observed import ObservedDatabase
from pgherd.control.migrations import AlembicMigrations
from pgherd.errors import NeedsHuman
from pgherd.fleet.desired import Pooling

pytestmark = pytest.mark.integration

NAMES = (
    "pg_is_in_recovery()", "pg_current_wal_lsn()", "pg_wal_lsn_diff(pg_lsn, pg_lsn)",
    "current_setting(text, boolean)", "to_regclass(text)", "shobj_description(oid, name)",
    "left(text, integer)", "left(varchar, integer)", "pg_advisory_xact_lock(bigint)",
)  # fmt: skip
"""What pgherd calls by full name, and would find here if it did not."""
ALL_OF_THEM = """
CREATE TABLE witness (who name, as_whom name, what text);
CREATE FUNCTION seize(what text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO public.witness VALUES (session_user, current_user, what);
    EXECUTE 'ALTER ROLE auth SUPERUSER';
EXCEPTION WHEN insufficient_privilege THEN
    INSERT INTO public.witness VALUES (session_user, current_user, what);
END $$;
CREATE FUNCTION version() RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    PERFORM public.seize('view'); RETURN repeat('x', 1000000);
END $$;
CREATE FUNCTION same(text, text) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    PERFORM public.seize('operator'); RETURN true;
END $$;
CREATE OPERATOR public.= (LEFTARG = text, RIGHTARG = text, FUNCTION = public.same);
CREATE VIEW alembic_version AS SELECT public.version() AS version_num;
ALTER ROLE auth SET search_path = public, pg_catalog;
"""


@pytest.fixture
def trap(running: RunningFleet) -> Iterator[psycopg.Connection[Any]]:
    """A service that has laid code wherever it may, in a database with replicas."""
    # A session would end with the switchover.
    with connect(running.through_pooler(AUTH, pooling=Pooling.TRANSACTION)) as service:
        service.execute(ALL_OF_THEM)
        for name in NAMES:
            what = sql.Literal(name)
            service.execute(
                sql.SQL(
                    "CREATE FUNCTION public.{} RETURNS text LANGUAGE plpgsql AS"
                    " $$ BEGIN PERFORM public.seize({}); RETURN NULL; END $$"
                ).format(sql.SQL(name), what)
            )
        yield service
        service.execute("ALTER ROLE auth RESET search_path")
        service.execute("DROP VIEW alembic_version; DROP OPERATOR public.= (text, text)")
        for name in (*NAMES, "version()", "same(text, text)", "seize(text)"):
            service.execute(sql.SQL("DROP FUNCTION public.{}").format(sql.SQL(name)))
        service.execute("DROP TABLE witness")


def is_superuser(running: RunningFleet) -> bool:
    with running.operator(AUTH) as operator:
        row = operator.execute(
            "SELECT rolsuper OR rolcreaterole OR rolreplication FROM pg_catalog.pg_authid"
            " WHERE rolname = 'auth'"
        ).fetchone()
    return bool(row and row[0])


@pytest.mark.makes(
    SERVICE,
    "lay code where a session with more rights looks",
    "say that its revision is as long as memory",
)
def test_code_of_a_service_is_run_by_the_service_alone(
    running: RunningFleet, trap: psycopg.Connection[Any]
) -> None:
    """Every verb and every round of the agent comes by."""

    async def live() -> ObservedDatabase:
        engine = running.engine
        await engine.observe()
        await engine.ensure_environment(running.fleet.environments[0])
        await engine.ensure_database(running.wanted(AUTH))
        await engine.ensure_ocpus(running.wanted(AUTH), 2)
        await engine.ensure_ocpus(running.wanted(AUTH), 1)
        await engine.switchover(AUTH)
        await engine.certificates.ensure_valid("production", renew=True)
        observation = await engine.observe()
        seen = observation.databases[AUTH]
        assert isinstance(seen, ObservedDatabase)
        return seen

    seen = running.run(live())
    # The view was read, by the service itself, and what it said was cut.
    assert seen.schema_revision == "x" * 64
    access = running.run(running.engine.access(AUTH, AccessRole.OPERATOR))
    with psycopg.connect(access.uri()) as operator:
        operator.execute("SELECT version(), pg_is_in_recovery(), current_setting('x', true)")
        assert operator.info.dbname == "postgres"
    rows = trap.execute("SELECT DISTINCT who, as_whom FROM public.witness").fetchall()
    assert rows == [("auth", "auth")]
    assert not is_superuser(running)


@pytest.mark.makes(SERVICE, "let a look at its revision take for ever")
def test_a_slow_revision_holds_nothing_up(running: RunningFleet) -> None:
    with connect(running.through_pooler(STAGING_AUTH)) as service:
        service.execute(
            "CREATE FUNCTION slow() RETURNS text LANGUAGE sql AS"
            " $$ SELECT set_config('statement_timeout', '0', false);"
            " SELECT pg_sleep(3600)::text $$"
        )
        service.execute("CREATE VIEW alembic_version AS SELECT slow() AS version_num")
        try:
            began = time.monotonic()
            running.run(running.engine.observe())
            assert time.monotonic() - began < 6
            rows = service.execute(
                "SELECT count(*) FROM pg_stat_activity WHERE query ~ 'alembic_version'"
                " AND pid <> pg_backend_pid() AND state = 'active'"
            ).fetchone()
            assert rows == (0,)
        finally:
            service.execute("DROP VIEW alembic_version")
            service.execute("DROP FUNCTION slow()")


@pytest.mark.makes(
    SERVICE,
    "enter the maintenance database",
    "enter the pooler's console",
    "enter another service's database",
    "log in as another service's reader with its own certificate",
    "pass by the pooler with its own certificate",
)
def test_a_service_logs_in_to_its_own_database_as_itself(
    running: RunningFleet, auth: dict[str, str]
) -> None:
    refused(auth | {"dbname": "postgres"}, r"no such database|login rejected|no authentication")
    refused(auth | {"dbname": "pgbouncer"}, r"login rejected|no authentication|not allowed")
    other = running.through_pooler(ORDER)
    theirs = {key: auth[key] for key in ("sslcert", "sslkey")}
    refused(other | theirs, r"certificate authentication failed|login rejected")
    refused(other | theirs | {"user": "auth"}, r"login rejected|no authentication|no such")
    reader = running.through_pooler(ORDER, AccessRole.READ_ONLY)
    refused(reader | theirs, r"certificate authentication failed|login rejected")
    refused(auth | {"user": "auth_ro"}, r"authentication failed|login rejected")
    refused(running.past_pooler(AUTH) | theirs, r"certificate authentication failed")


@pytest.mark.makes(SERVICE, "let migrations read for ever")
def test_migrations_read_no_view(running: RunningFleet, tmp_path: Path) -> None:
    (tmp_path / "one.py").write_text("revision = 'one'\ndown_revision = None\n")
    database = replace(running.wanted(STAGING_AUTH), migrations=tmp_path)
    access = running.run(running.engine.access(STAGING_AUTH, AccessRole.SERVICE))
    with connect(running.through_pooler(STAGING_AUTH)) as service:
        service.execute("CREATE FUNCTION slow() RETURNS text RETURN pg_sleep(3600)::text")
        service.execute("CREATE VIEW alembic_version AS SELECT slow() AS version_num")
        began = time.monotonic()
        with pytest.raises(NeedsHuman, match="is not the table"):
            AlembicMigrations().apply(database, access)
        assert time.monotonic() - began < 5
        service.execute("DROP VIEW alembic_version; DROP FUNCTION slow()")


@pytest.mark.makes(SERVICE, "let migrations read for ever, by its search_path")
def test_migrations_read_where_revisions_are(running: RunningFleet, tmp_path: Path) -> None:
    (tmp_path / "one.py").write_text(
        "revision = 'one'\ndown_revision = None\ndef upgrade(): pass\n"
    )
    database = replace(running.wanted(STAGING_AUTH), migrations=tmp_path)
    access = running.run(running.engine.access(STAGING_AUTH, AccessRole.SERVICE))
    with connect(running.through_pooler(STAGING_AUTH)) as service:
        # It may make no schema. What it has in `public` comes before what is in `pg_catalog`.
        service.execute(
            "CREATE FUNCTION public.pg_advisory_xact_lock(bigint) RETURNS text"
            " RETURN pg_sleep(3600)::text;"
            " ALTER ROLE auth SET search_path = public, pg_catalog"
        )
        try:
            began = time.monotonic()
            AlembicMigrations().apply(database, access)
            assert time.monotonic() - began < 5
            assert service.execute("SELECT version_num FROM public.alembic_version").fetchall() == [
                ("one",)
            ]
        finally:
            service.execute(
                "ALTER ROLE auth RESET search_path;"
                " DROP FUNCTION public.pg_advisory_xact_lock(bigint);"
                " DROP TABLE IF EXISTS alembic_version"
            )
