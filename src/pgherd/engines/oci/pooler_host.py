"""The program on each host of a pooler tier: it keeps PgBouncer, and what it leads to, as wanted.

Every 15 seconds it reads what is wanted from the instance's metadata, every ten minutes its
secrets from the vault, as the instance that it is. From both follow PgBouncer's files, which are
replaced only where they differ and then loaded without closing a connection, and the roles and
rights that each database must have. All of it may be interrupted anywhere and is done again.
What cannot be read now leaves everything as it was: PgBouncer serves on with what it has.

The text of this file travels to the host by itself, so it imports nothing of pgherd, and of
others only the OCI SDK, for the one call that reads a secret.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import ipaddress
import json
import os
import pwd
import re
import ssl
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Container, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

METADATA_URL = "http://169.254.169.254/opc/v2/instance/metadata/pgherd"
PGBOUNCER = "/usr/sbin/pgbouncer"
OLDEST = (1, 24)
"""The first PgBouncer that bounds what a single user takes."""
POLL_SECONDS = 15
SECRETS_SECONDS = 600
PSQL_SECONDS = 60
SCRAM_ITERATIONS = 4096
SERVER, AUTHORITY, AUTHORITIES = "server.pem", "client-authority.crt", "server-authorities.crt"
ACCESS_WORDS = ("all", "pgbouncer", "replication", "samegroup", "samerole", "sameuser")
RESERVED = (*ACCESS_WORDS, "none", "pg", "postgres", "public", "template0", "template1")
"""No service's names. Of `pg`, the reader would be called pg_ro, which PostgreSQL refuses."""
INI, HBA, USERS = "pgbouncer.ini", "hba.conf", "users.txt"
CLIENTS, SERVICE_CLIENTS, READER_CLIENTS = 10_000, 5_000, 200
"""Clients of the pooler: all, those of one service, those of its reader."""
READER_POOL, OPERATOR_POOL = 5, 2
"""Server connections for each of a database's names."""
BESIDE_SERVICE = READER_POOL + 3 * OPERATOR_POOL
"""What is left of a pool to the reader and the operator. It is theirs alone."""
READER_BACKENDS = 4 * READER_POOL
"""What a server admits of a reader, whoever asks: all poolers, and queries that they gave up."""
READER_QUERY_SECONDS, READER_IDLE_SECONDS = 300, 60
SESSION = {
    "search_path": "pg_catalog",
    "role": "none",
    "client_min_messages": "warning",
    "default_transaction_read_only": "off",
    "statement_timeout": "45s",
    "lock_timeout": "5s",
    "idle_in_transaction_session_timeout": "60s",
    "idle_session_timeout": "0",
}
"""What the admin's sessions begin with. A database's or a role's own settings have less weight."""
WITHHELD = (
    "^(lo_creat|lo_create|lo_from_bytea|pg_logical_emit_message|pg_notify"
    "|pg_(try_)?advisory_.*|txid_current|pg_current_xact_id)$"
)
"""Functions that everybody may call and that write, or lock beyond a transaction's end."""


class Trouble(Exception):
    """What cannot be done now, in one line. It is tried again."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What a host is told once, when it is made."""

    region: str
    pooler_secret: str
    admin_secret: str
    admin_user: str
    listen_port: int
    folder: str
    listen_address: str = "0.0.0.0"  # noqa: S104 - the network decides who reaches it
    metadata_url: str = METADATA_URL


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a server is: its address, and the name that its certificate bears, if any."""

    host: str
    name: str | None
    port: int


@dataclass(frozen=True, slots=True)
class Database:
    """One service's database. `pool` is what the pooler opens at most to each of its servers."""

    service: str
    primary: Endpoint
    reader: Endpoint | None
    pool: int
    was: str | None = None
    """The service whose data it was restored from: its database may still bear that name."""

    @property
    def service_pool(self) -> int:
        """How many connections the service itself has to a server, under whichever name."""
        return max(1, self.pool - BESIDE_SERVICE)

    @property
    def names(self) -> list[str]:
        """In the pooler, to write and to read: for sessions, then for transactions."""
        return [self.service + end for end in ("", "-ro", "-transaction", "-ro-transaction")]

    @property
    def read_only_role(self) -> str:
        """The role that reads everything and writes nothing."""
        return f"{self.service}_ro"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the metadata says."""

    databases: tuple[Database, ...]
    authorities: str
    network: str


@dataclass(frozen=True, slots=True)
class Secrets:
    """What the vault says. `server` is a certificate and its key in one text."""

    server: str = field(repr=False)
    authority: str = field(repr=False)
    seed: bytes = field(repr=False)
    admin_password: str = field(repr=False)


# What is read


def parse_wanted(text: str, reserved: Container[str]) -> Wanted:
    """The metadata's JSON; Trouble where anything in it is not what it must be.

    A service must not have one of the `reserved` names: its certificate would be another's.
    """
    try:
        content = json.loads(text)
        if isinstance(content, str):  # the metadata service may quote a text as JSON again
            content = json.loads(content)
        entries = sorted(content["databases"].items())
        databases = tuple(_database(service, entry, reserved) for service, entry in entries)
        network = str(ipaddress.ip_network(content["network"]))
        if databases or content["authorities"]:
            _check_authorities(content["authorities"])
        return Wanted(databases, content["authorities"], network)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise Trouble(f"the metadata cannot be used: {_reason(error)}") from None


def parse_secrets(pooler: str, admin: str) -> Secrets:
    """The two secrets' texts; Trouble, which quotes nothing of them, where they are damaged."""
    try:
        content = json.loads(pooler)
        seed = base64.b64decode(content["seed"], validate=True)
        server = content["key"].strip() + "\n" + content["certificate"].strip() + "\n"
        _check_authorities(content["authority"])
    except (ValueError, TypeError, KeyError, AttributeError):
        raise Trouble("the pooler's secret is damaged: it is left unused") from None
    if len(seed) < 32 or not admin.strip() or not admin.isprintable():
        raise Trouble("a seed of 32 bytes or the admin's password is missing in the secrets")
    return Secrets(server, content["authority"], seed, admin)


def _database(service: str, entry: Mapping[str, Any], reserved: Container[str]) -> Database:
    reader, was = entry.get("reader"), entry.get("was")
    for name in (service,) if was is None else (service, was):
        _check_name(name, reserved)
    port, pool = int(entry["port"]), int(entry["pool"])
    return Database(
        service,
        _endpoint(entry, port),
        _endpoint(reader, port) if reader else None,
        max(1, pool),
        was if was != service else None,
    )


def _check_name(service: str, reserved: Container[str]) -> None:
    is_name = re.fullmatch(r"[a-z][a-z0-9-]{0,30}", service)
    if not is_name or service.endswith(("-ro", "-transaction")) or service in reserved:
        raise ValueError(f"{service!r} is no service's name")


def _endpoint(entry: Mapping[str, Any], port: int) -> Endpoint:
    name = entry.get("name") or None
    if name is not None and not re.fullmatch(r"[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?", name):
        raise ValueError(f"{name!r} is no host's name")
    return Endpoint(str(ipaddress.ip_address(entry["host"])), name, int(entry.get("port", port)))


def _check_authorities(pem: str) -> None:
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=pem)
    except ssl.SSLError:
        raise ValueError("an authority's certificate is none") from None


def _reason(error: Exception) -> str:
    return f"{error} is missing" if isinstance(error, KeyError) else str(error).split("\n", 1)[0]


# Passwords


def role_password(seed: bytes, role: str, database: str) -> str:
    """A role's password: the same on every host, known to nobody, stored nowhere.

    32 characters, of which 28 are of 6 bits each; those before them satisfy any rule that asks
    for an upper and a lower case letter, a digit and a sign.
    """
    digest = hmac.digest(seed, f"{role}@{database}".encode(), "sha256")
    return "Pg1_" + base64.urlsafe_b64encode(digest).decode()[:28]


def scram_verifier(password: str, salt: bytes) -> str:
    """What PostgreSQL keeps of a password (RFC 5803), so that the password stays out of SQL."""
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, SCRAM_ITERATIONS)
    stored = hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest()
    server = hmac.digest(salted, b"Server Key", "sha256")
    salt64, stored64, server64 = (base64.b64encode(v).decode() for v in (salt, stored, server))
    return f"SCRAM-SHA-256${SCRAM_ITERATIONS}:{salt64}${stored64}:{server64}"


def _verifier(seed: bytes, role: str, database: str) -> str:
    salt = hmac.digest(seed, f"salt of {role}@{database}".encode(), "sha256")[:16]
    return scram_verifier(role_password(seed, role, database), salt)


# PgBouncer's files


def files(settings: Settings, wanted: Wanted, secrets: Secrets, console: str) -> dict[str, str]:
    """All of them; `console` is the login that may use the admin console.

    pgbouncer.ini comes last: where it is, PgBouncer is started.
    """
    return {
        SERVER: secrets.server,
        AUTHORITY: secrets.authority,
        AUTHORITIES: wanted.authorities,
        USERS: users(settings, wanted, secrets, console),
        HBA: hba(settings, wanted, console),
        INI: ini(settings, wanted, console),
    }


def ini(settings: Settings, wanted: Wanted, console: str) -> str:
    """pgbouncer.ini. All that is in it can be changed by a reload."""
    folder = settings.folder
    lines = [line for database in wanted.databases for line in _routes(database)]
    limits = [line for database in wanted.databases for line in _limits(database)]
    return f"""\
[databases]
{chr(10).join(lines)}

[users]
{settings.admin_user} = pool_size={OPERATOR_POOL}
{chr(10).join(limits)}

[pgbouncer]
listen_addr = {settings.listen_address}
listen_port = {settings.listen_port}
unix_socket_dir = {folder}
unix_socket_mode = 0700
admin_users = {console}

server_reset_query_always = 1
max_prepared_statements = 200
track_extra_parameters = IntervalStyle, default_transaction_read_only
ignore_startup_parameters = extra_float_digits,
max_client_conn = {CLIENTS}
client_login_timeout = 10

auth_type = hba
auth_hba_file = {folder}/{HBA}
auth_file = {folder}/{USERS}
client_tls_sslmode = verify-full
client_tls_cert_file = {folder}/{SERVER}
client_tls_key_file = {folder}/{SERVER}
client_tls_ca_file = {folder}/{AUTHORITY}
server_tls_sslmode = verify-full
server_tls_ca_file = {folder}/{AUTHORITIES}

server_login_retry = 1
server_connect_timeout = 5
query_wait_timeout = 60
tcp_keepidle = 10
tcp_keepintvl = 5
tcp_keepcnt = 3
log_connections = 0
log_disconnections = 0
"""


def _routes(database: Database) -> list[str]:
    """Where each of its names goes. `_postgres` is for the operator alone."""
    service, primary, reader = database.service, database.primary, database.reader
    own = database.service_pool if reader else database.service_pool // 2
    routes = [_route(f"{service}_postgres", primary, "postgres", "session", OPERATOR_POOL, 0)]
    for number, name in enumerate(database.names):
        to, beside = (reader or primary, READER_POOL) if number % 2 else (primary, 0)
        mode, pool = "transaction", own // 4
        if number < 2:
            mode, pool, beside = "session", own - pool, beside + OPERATOR_POOL
        routes.append(_route(name, to, service, mode, pool, beside))
    return routes


def _route(name: str, to: Endpoint, database: str, mode: str, pool: int, beside: int) -> str:
    # By its name where it has one: that is what its certificate is checked against.
    return (
        f"{name} = host={to.name or to.host} port={to.port} dbname={database}"
        f" pool_mode={mode} pool_size={max(1, pool)} max_db_connections={max(1, pool) + beside}"
    )


def _limits(database: Database) -> list[str]:
    """What a user may take, whatever the names that it enters lead to.

    Where all lead to one server, the service has its connections there once.
    """
    servers = len({database.primary, database.reader or database.primary})
    return [
        f"{database.service} = max_user_connections={servers * database.service_pool}"
        f" max_user_client_connections={SERVICE_CLIENTS}",
        f"{database.read_only_role} = pool_size={READER_POOL} max_user_connections={READER_POOL}"
        f" max_user_client_connections={READER_CLIENTS} query_timeout={READER_QUERY_SECONDS}"
        f" idle_transaction_timeout={READER_IDLE_SECONDS}",
    ]


def hba(settings: Settings, wanted: Wanted, console: str) -> str:
    """Who may enter: each service its own database, its reader the replicas, the operator all."""
    lines = [f'local pgbouncer "{console}" peer']
    for database in wanted.databases:
        names = database.names
        for entered, user in (
            (names, database.service),
            (names[1::2], database.read_only_role),
            ([*names[:2], f"{database.service}_postgres"], settings.admin_user),
        ):
            quoted = ",".join(f'"{name}"' for name in entered)
            lines.append(f'hostssl {quoted} "{user}" {wanted.network} cert')
    return "\n".join([*lines, "host all all 0.0.0.0/0 reject"]) + "\n"


def users(settings: Settings, wanted: Wanted, secrets: Secrets, console: str) -> str:
    """The users that exist, with the passwords that the servers ask of the pooler."""
    passwords = {console: "", settings.admin_user: secrets.admin_password}
    for database in wanted.databases:
        for role in (database.service, database.read_only_role):
            passwords[role] = role_password(secrets.seed, role, database.service)
    return "".join(f"{_quoted(user)} {_quoted(word)}\n" for user, word in passwords.items())


def _quoted(text: str) -> str:
    """Quoted as an SQL identifier, which PgBouncer's user file does too."""
    return '"' + text.replace('"', '""') + '"'


# A database's roles and rights


def preparation(database: Database, seed: bytes) -> str:
    """psql's input that makes a database ready; it changes nothing where it is.

    It runs as an admin who may create roles and databases but is no superuser, on PostgreSQL 14
    to 18. From 16 on such an admin is no member of the roles that it creates until it makes
    itself one. The passwords come last: before that nobody enters a database half made. The
    locks keep the hosts of a tier from doing it at the same time.

    Nothing in it names, or is decided by, what a service can define: by SESSION, names are
    PostgreSQL's own. Nor can a service make it wait for long.
    """
    service, read_only = _quoted(database.service), _quoted(database.read_only_role)
    roles = (database.service, database.read_only_role)
    create_roles = "\n".join(_unless_there("pg_roles", "rolname", r, "CREATE ROLE") for r in roles)
    create_database = _unless_there(
        "pg_database", "datname", database.service, "CREATE DATABASE", f" OWNER {service}"
    )
    passwords = "\n".join(
        f"ALTER ROLE {_quoted(role)} LOGIN PASSWORD '{_verifier(seed, role, database.service)}';"
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
ALTER ROLE {read_only} SET default_transaction_read_only = on;
ALTER ROLE {read_only} SET statement_timeout = '{READER_QUERY_SECONDS - 10}s';
ALTER ROLE {read_only} SET client_connection_check_interval = '10s';
{create_database}
REVOKE ALL ON DATABASE {service} FROM PUBLIC;
GRANT CONNECT, TEMPORARY ON DATABASE {service} TO {service};
GRANT CONNECT ON DATABASE {service} TO {read_only};
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
ALTER DEFAULT PRIVILEGES FOR ROLE {service} GRANT USAGE ON SCHEMAS TO {read_only};
ALTER DEFAULT PRIVILEGES FOR ROLE {service} GRANT SELECT ON TABLES TO {read_only};
ALTER DEFAULT PRIVILEGES FOR ROLE {service} GRANT SELECT ON SEQUENCES TO {read_only};
{_withholding(database)}{_reading(database)}{passwords}
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
        EXECUTE 'GRANT ' || grants || ' TO {_quoted(reader)}';
    END LOOP;
END $$;
"""  # noqa: S608 - names were checked


def _withholding(database: Database) -> str:
    """The reader cannot read passwords, write, or lock beyond a transaction's end.

    What is the superuser's own this admin may be unable to revoke. It is said then.
    """
    service, reader = database.service, database.read_only_role
    withheld = f"""p.pronamespace = 'pg_catalog'::pg_catalog.regnamespace
            AND p.proname ~ '{WITHHELD}'
            AND pg_catalog.has_function_privilege('{reader}', p.oid, 'EXECUTE')"""
    return f"""\
DO $$
DECLARE
    callee pg_catalog.regprocedure;
BEGIN
    IF pg_catalog.pg_has_role('{reader}', 'pg_read_all_data', 'MEMBER') THEN
        BEGIN
            REVOKE pg_read_all_data FROM {_quoted(reader)};
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
        EXECUTE pg_catalog.format('GRANT EXECUTE ON FUNCTION %s TO {_quoted(service)}', callee);
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
{rename_roles}        GRANT {_quoted(service)} TO CURRENT_USER;
        ALTER DATABASE {_quoted(was)} RENAME TO {_quoted(service)};
    ELSIF NOT has_new THEN
        RAISE WARNING 'database {was} is not in what was restored: {service} begins empty';
    END IF;
END $$;
"""  # noqa: S608 - names were checked


def _rename_role(old: str, new: str) -> str:
    return f"""\
        IF EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = '{old}') THEN
            ALTER ROLE {_quoted(old)} RENAME TO {_quoted(new)};
        END IF;
"""


def _unless_there(table: str, column: str, name: str, command: str, more: str = "") -> str:
    return (
        f"SELECT '{command} {_quoted(name)}{more}' WHERE NOT EXISTS"  # noqa: S608 - names were checked
        f" (SELECT FROM pg_catalog.{table} WHERE {column} = '{name}') \\gexec"
    )


def admin_login(settings: Settings, database: Database, secrets: Secrets) -> dict[str, str]:
    """libpq's variables for the admin's connection to a database's primary."""
    return {
        "PGHOST": database.primary.name or database.primary.host,
        "PGHOSTADDR": database.primary.host,
        "PGPORT": str(database.primary.port),
        "PGUSER": settings.admin_user,
        "PGPASSWORD": secrets.admin_password,
        "PGDATABASE": "postgres",
        "PGSSLMODE": "verify-full",
        "PGSSLROOTCERT": f"{settings.folder}/{AUTHORITIES}",
        "PGCONNECT_TIMEOUT": "5",
        "PGAPPNAME": "pgherd",
        "PGOPTIONS": " ".join(f"-c {name}={value}" for name, value in SESSION.items()),
    }


# The edge: files, programs, the network


def fetch_metadata(url: str) -> str:
    """The text that the operator put there."""
    request = urllib.request.Request(url, headers={"Authorization": "Bearer Oracle"})  # noqa: S310
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with direct.open(request, timeout=5) as answer:
            return str(answer.read().decode())
    except (OSError, ValueError) as error:
        raise Trouble(f"the metadata cannot be read: {_reason(error)}") from None


def read_vault(region: str, ocid: str) -> str:
    """A secret's text, as the instance that this is."""
    try:
        import oci  # type: ignore[import-untyped, unused-ignore]

        client = oci.secrets.SecretsClient(
            {"region": region},
            signer=oci.auth.signers.InstancePrincipalsSecurityTokenSigner(),
            circuit_breaker_strategy=oci.circuit_breaker.NoCircuitBreakerStrategy(),
            timeout=(5, 20),
        )
        content = client.get_secret_bundle(ocid).data.secret_bundle_content.content
        return base64.b64decode(content).decode()
    except Exception as error:  # the SDK's own errors have no common base
        # Its message may hold a part of an answer; the kind and the status do not.
        status = getattr(error, "status", "")
        what = f"{type(error).__name__} {status}".strip()
        raise Trouble(f"secret {ocid} cannot be read: {what}") from None


def psql(login: Mapping[str, str], script: str) -> str:
    """Run a script and return the warnings; Trouble with its first error."""
    command = ["psql", "--no-psqlrc", "--quiet", "--tuples-only", "--set=ON_ERROR_STOP=1"]
    environment = {"PATH": os.environ.get("PATH", "/usr/bin:/bin"), "LC_ALL": "C.UTF-8", **login}
    try:
        done = subprocess.run(
            command,
            input=script,
            env=environment,
            capture_output=True,
            text=True,
            timeout=PSQL_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise Trouble(f"no answer within {PSQL_SECONDS} s") from None
    except OSError as error:
        raise Trouble(f"psql cannot be started: {error.strerror}") from None
    if done.returncode != 0:
        said = [line for line in _said(done.stderr) if not line.startswith("WARNING:")]
        raise Trouble(said[0] if said else f"psql failed with status {done.returncode}")
    return "; ".join(_said(done.stderr))


def pgbouncer_version(program: str = PGBOUNCER) -> tuple[int, int]:
    """As in (1, 25)."""
    try:
        said = subprocess.run(
            [program, "--version"], capture_output=True, text=True, timeout=10, check=False
        ).stdout
    except (OSError, subprocess.TimeoutExpired):
        raise Trouble(f"{program} cannot be started") from None
    match = re.search(r"PgBouncer (\d+)\.(\d+)", said)
    if match is None:
        raise Trouble(f"{program} does not say its version")
    return int(match[1]), int(match[2])


def _said(stderr: str) -> list[str]:
    """Errors and warnings, without psql's place in the script and the lines that explain them."""
    lines = (re.sub(r"^psql:\S+:\d+: ", "", line.strip()) for line in stderr.splitlines())
    return [line for line in lines if re.search(r"\b(ERROR|FATAL|WARNING|error):", line)]


def ensure_file(path: Path, text: str) -> bool:
    """Whether it had to be replaced. It is whole at any time, and its owner's alone."""
    try:
        if path.read_text() == text and path.stat().st_mode & 0o777 == 0o600:
            return False
    except (FileNotFoundError, UnicodeDecodeError):
        pass
    new = path.with_name(f".{path.name}.new")
    _write_private(new, text)
    new.replace(path)
    return True


def check_pair(folder: Path, pem: str) -> None:
    """Trouble unless certificate and key belong together: PgBouncer does not start otherwise."""
    path = folder / f".{SERVER}.check"
    _write_private(path, pem)
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(path)
    except (OSError, ValueError):
        raise Trouble("the pooler's certificate and key do not belong together") from None
    finally:
        path.unlink()


def _write_private(path: Path, text: str) -> None:
    # Private from the start, and under one name, so that an interrupted one is written over.
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        os.fchmod(file.fileno(), 0o600)
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


class Host:
    """One host of the tier. `round` is called again and again and remembers only to do less."""

    def __init__(
        self,
        settings: Settings,
        read_secret: Callable[[str], str],
        say: Callable[[str], None],
        fetch: Callable[[str], str] = fetch_metadata,
        run_sql: Callable[[Mapping[str, str], str], str] = psql,
        version: Callable[[], tuple[int, int]] = pgbouncer_version,
    ) -> None:
        self._settings = settings
        self._read_secret = read_secret
        self._say = say
        self._fetch = fetch
        self._run_sql = run_sql
        self._version = version
        self._is_new_enough = False
        self._console = pwd.getpwuid(os.geteuid()).pw_name
        self._wanted: Wanted | None = None
        self._secrets: Secrets | None = None
        self._secrets_read_at: float | None = None
        self._is_loaded = False
        self._prepared: dict[str, object] = {}
        self._troubles: dict[str, str] = {}

    def round(self, now: float) -> None:
        """Do what is due at `now`, in seconds of a clock that never goes back."""
        self._attempt("metadata", self._read_wanted)
        if self._secrets_are_old(now) and self._attempt("secrets", self._read_secrets):
            self._secrets_read_at = now
        if self._wanted is None or self._secrets is None or not self._wanted.authorities:
            return  # a new tier is told of no database yet
        wanted, secrets = self._wanted, self._secrets
        if not self._attempt("files", partial(self._write_files, wanted, secrets)):
            return
        self._attempt("pgbouncer", self._load)
        for database in wanted.databases:
            self._attempt(database.service, partial(self._prepare, database, secrets))
        self._forget_all_but({database.service for database in wanted.databases})

    def _secrets_are_old(self, now: float) -> bool:
        at = self._secrets_read_at
        return at is None or now - at >= SECRETS_SECONDS

    def _attempt(self, subject: str, step: Callable[[], None]) -> bool:
        """Whether a step succeeded. Its trouble is said once, not every 15 seconds."""
        try:
            step()
        except Trouble as trouble:
            text = str(trouble)
        except OSError as error:
            text = f"{error.filename or 'the system'}: {error.strerror or error}"
        else:
            if self._troubles.pop(subject, None) is not None:
                self._say(f"{subject}: works again")
            return True
        if self._troubles.get(subject) != text:
            self._troubles[subject] = text
            self._say(f"{subject}: {text}")
        return False

    def _read_wanted(self) -> None:
        text = self._fetch(self._settings.metadata_url)
        wanted = parse_wanted(text, {self._settings.admin_user, self._console, *RESERVED})
        if wanted != self._wanted:
            names = ", ".join(database.service for database in wanted.databases) or "none"
            self._say(f"metadata: databases {names} are wanted")
        self._wanted = wanted

    def _read_secrets(self) -> None:
        settings = self._settings
        texts = (
            self._read_secret(ocid) for ocid in (settings.pooler_secret, settings.admin_secret)
        )
        secrets = parse_secrets(*texts)
        if secrets != self._secrets:
            check_pair(Path(settings.folder), secrets.server)
            self._say("secrets: new ones were read")
        self._secrets = secrets

    def _write_files(self, wanted: Wanted, secrets: Secrets) -> None:
        self._require_version()
        folder = Path(self._settings.folder)
        for name, text in files(self._settings, wanted, secrets, self._console).items():
            if ensure_file(folder / name, text):
                self._is_loaded = False
                self._say(f"files: {name} was written")

    def _require_version(self) -> None:
        # An older one would not start with what is written for it.
        if not self._is_new_enough:
            found = self._version()
            if found < OLDEST:
                have, need = (".".join(map(str, version)) for version in (found, OLDEST))
                raise Trouble(f"PgBouncer {have} is too old for them: {need} or newer is needed")
            self._is_new_enough = True

    def _load(self) -> None:
        if self._is_loaded:
            return
        login = {
            "PGHOST": self._settings.folder,
            "PGPORT": str(self._settings.listen_port),
            "PGUSER": self._console,
            "PGDATABASE": "pgbouncer",
            "PGCONNECT_TIMEOUT": "5",
        }
        self._run_sql(login, "RELOAD;\n")
        self._is_loaded = True
        self._say("pgbouncer: it was reloaded")

    def _prepare(self, database: Database, secrets: Secrets) -> None:
        done = (database.primary, database.was, secrets.seed, secrets.admin_password)
        if self._prepared.get(database.service) == done:
            return
        login = admin_login(self._settings, database, secrets)
        warnings = self._run_sql(login, preparation(database, secrets.seed))
        self._prepared[database.service] = done
        self._say(f"{database.service}: it is prepared" + (f"; {warnings}" if warnings else ""))

    def _forget_all_but(self, services: set[str]) -> None:
        for service in self._prepared.keys() - services:
            del self._prepared[service]
            self._troubles.pop(service, None)


def say(line: str) -> None:
    """One line to the journal."""
    print(line, flush=True)


def main(arguments: list[str]) -> None:
    """Run until ended; the only argument is the file with the settings."""
    settings = Settings(**json.loads(Path(arguments[0]).read_text()))
    host = Host(settings, lambda ocid: read_vault(settings.region, ocid), say)
    while True:
        host.round(time.monotonic())
        time.sleep(POLL_SECONDS)


if __name__ == "__main__":
    main(sys.argv[1:])
