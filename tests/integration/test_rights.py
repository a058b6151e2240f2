"""What those who got in may do, and what the files that let them in look like."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import errors
from running_fleet import AUTH, ORDER, STAGING_AUTH, RunningFleet, connect, once_let_in

from pgherd.contract.access import AccessRole

pytestmark = pytest.mark.integration


@pytest.fixture
def service(auth: dict[str, str]) -> Iterator[psycopg.Connection[Any]]:
    with connect(auth) as connection:
        yield connection


@pytest.fixture
def note(running: RunningFleet) -> Iterator[None]:
    """A table of the service's, with a row, where its reader reads from the primary."""
    with connect(running.through_pooler(STAGING_AUTH)) as service:
        service.execute("CREATE TABLE note (line text)")
        service.execute("INSERT INTO note VALUES ('hello')")
        yield
        service.execute("DROP TABLE note")


@pytest.fixture
def reader(running: RunningFleet) -> Iterator[psycopg.Connection[Any]]:
    """The read-only role, on a primary: nothing but its rights keeps it from writing."""
    parameters = once_let_in(running.through_pooler(STAGING_AUTH, AccessRole.READ_ONLY))
    with connect(parameters) as reader:
        row = reader.execute("SELECT pg_is_in_recovery(), current_user").fetchone()
        assert row == (False, "auth_ro")
        yield reader


def test_a_service_owns_its_schema(service: psycopg.Connection[Any]) -> None:
    row = service.execute(
        "SELECT nspowner::regrole::text FROM pg_namespace WHERE nspname = 'public'"
    ).fetchone()
    assert row == ("auth",)
    service.execute("CREATE TABLE own (line text)")
    service.execute("ALTER TABLE own ADD COLUMN written_at timestamptz DEFAULT now()")
    service.execute("DROP TABLE own")
    service.execute("CREATE TYPE mood AS ENUM ('calm', 'alert')")
    service.execute("DROP TYPE mood")
    service.execute("CREATE TEMPORARY TABLE scratch AS SELECT 1; DROP TABLE scratch")


def test_a_service_is_no_superuser(service: psycopg.Connection[Any]) -> None:
    row = service.execute(
        "SELECT rolsuper, rolcreaterole, rolcreatedb, rolreplication, rolbypassrls,"
        " (SELECT count(*) FROM pg_auth_members WHERE member = pg_roles.oid)"
        " FROM pg_roles WHERE rolname = current_user"
    ).fetchone()
    assert row == (False, False, False, False, False, 0)


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE ROLE intruder",
        "CREATE DATABASE spare",
        "CREATE SCHEMA other",
        "ALTER SYSTEM SET fsync = off",
        "SET ROLE postgres",
        "COPY (SELECT 1) TO PROGRAM 'true'",
        "SELECT pg_read_file('PG_VERSION')",
        "SELECT pg_terminate_backend(pid) FROM pg_stat_replication",
        "CREATE EXTENSION pg_trgm",
        "CREATE EVENT TRIGGER t ON ddl_command_start EXECUTE FUNCTION f()",
        "ALTER ROLE auth SUPERUSER",
        "GRANT auth_ro TO auth",
    ],
)
def test_a_service_may_not(service: psycopg.Connection[Any], statement: str) -> None:
    with pytest.raises(errors.InsufficientPrivilege):
        service.execute(statement)


def test_no_role_has_a_password(running: RunningFleet) -> None:
    with running.operator(AUTH) as connection:
        rows = connection.execute(
            "SELECT rolname FROM pg_authid WHERE rolpassword IS NOT NULL"
        ).fetchall()
    assert rows == []


def test_a_service_connects_to_no_other_database(running: RunningFleet) -> None:
    with running.operator(AUTH) as connection:
        rows = connection.execute(
            "SELECT rolname, datname FROM pg_roles, pg_database"
            " WHERE has_database_privilege(rolname, datname, 'CONNECT')"
            " AND datallowconn AND NOT rolsuper AND rolname !~ '^pg_' ORDER BY 1, 2"
        ).fetchall()
    assert rows == [
        ("auth", "auth"),
        ("auth_ro", "auth"),
        ("pgherd_monitor", "postgres"),
        ("rewind", "postgres"),
    ]


@pytest.mark.usefixtures("note")
def test_the_read_only_role_reads(reader: psycopg.Connection[Any]) -> None:
    assert reader.execute("SELECT line FROM note").fetchall() == [("hello",)]


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO note VALUES ('bye')",
        "UPDATE note SET line = 'bye'",
        "DELETE FROM note",
        "TRUNCATE note",
        "DROP TABLE note",
        "CREATE TABLE mine ()",
        "CREATE TEMPORARY TABLE mine ()",
        "CREATE FUNCTION mine() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        "SELECT lo_create(0)",
        "SELECT lo_from_bytea(0, 'x')",
        "SELECT line FROM note FOR UPDATE",
        "SET ROLE auth",
    ],
)
@pytest.mark.usefixtures("note")
def test_the_read_only_role_may_not(reader: psycopg.Connection[Any], statement: str) -> None:
    if statement != "SET ROLE auth":
        with pytest.raises((errors.ReadOnlySqlTransaction, errors.InsufficientPrivilege)):
            reader.execute(statement)
    # One transaction, for the pooler gives each transaction a server connection of its choice.
    with pytest.raises(errors.InsufficientPrivilege), reader.transaction():
        reader.execute("SET LOCAL transaction_read_only = off")
        reader.execute(statement)


def test_the_read_only_role_is_read_only_from_the_start(reader: psycopg.Connection[Any]) -> None:
    row = reader.execute("SHOW transaction_read_only").fetchone()
    assert row == ("on",)


# Files


def keys(running: RunningFleet) -> list[Path]:
    found = [
        path
        for path in running.layout.root.rglob("*")
        if path.is_file() and b"PRIVATE KEY" in path.read_bytes()
    ]
    assert len(found) > 20
    return found


def test_private_keys_are_their_owners_alone(running: RunningFleet) -> None:
    for path in keys(running):
        seen = path.stat()
        assert path.suffix == ".key", path
        assert seen.st_uid == os.geteuid(), path
        # No program of the data plane needs an authority's key, or a client's.
        is_own = path.stem.endswith("-authority") or path.parent.name == "clients"
        is_read = running.owner.is_another and not is_own
        assert stat.S_IMODE(seen.st_mode) == (0o640 if is_read else 0o600), path
        assert not is_read or seen.st_gid == running.owner.gid, path


def test_nobody_else_enters_the_state_folder(running: RunningFleet) -> None:
    layout, owner = running.layout, running.owner
    root = layout.root.stat()
    mode = 0o750 if owner.is_another else 0o700
    assert (root.st_uid, stat.S_IMODE(root.st_mode)) == (os.geteuid(), mode)
    assert not owner.is_another or root.st_gid == owner.gid
    for path in layout.data_plane:
        seen = path.stat()
        assert (seen.st_uid, stat.S_IMODE(seen.st_mode)) == (owner.uid, 0o700), path


def test_no_log_and_no_command_line_holds_a_key(running: RunningFleet) -> None:
    secrets = {path.read_text().splitlines()[1].encode() for path in keys(running)}
    logs = list(running.layout.log.rglob("*.log*"))
    command_lines = list(Path("/proc").glob("[0-9]*/cmdline"))
    assert len(logs) > 8
    for path in logs + command_lines:
        try:
            content = path.read_bytes()
        except OSError:
            continue  # the process has ended
        assert b"PRIVATE KEY" not in content, path
        assert not any(secret in content for secret in secrets), path


def test_no_two_certificates_share_a_key(running: RunningFleet) -> None:
    contents = [path.read_bytes() for path in keys(running)]
    assert len(set(contents)) == len(contents)


@pytest.mark.parametrize("id", [AUTH, ORDER, STAGING_AUTH], ids=str)
def test_nothing_listens_but_on_loopback_with_tls(running: RunningFleet, id: object) -> None:
    manifest = running.manifest(id)  # type: ignore[arg-type]
    assert manifest.pooler_address.startswith("127.")
    with running.operator(manifest.id) as connection:
        row = connection.execute(
            "SELECT current_setting('listen_addresses'), current_setting('ssl'),"
            " current_setting('data_checksums')"
        ).fetchone()
    assert row == (running.leader(manifest.id).address, "on", "on")
