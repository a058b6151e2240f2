"""PgBouncer: which one it is, and its files."""

from __future__ import annotations

import subprocess

from pgherd.engines.oci.pooler_host.files import AUTHORITIES, AUTHORITY, HBA, INI, SERVER, USERS
from pgherd.engines.oci.pooler_host.limits import OPERATOR_POOL, READER_POOL, SERVICE_CLIENTS
from pgherd.engines.oci.pooler_host.metadata import Database, Endpoint, Wanted
from pgherd.engines.oci.pooler_host.passwords import role_password
from pgherd.engines.oci.pooler_host.settings import Settings
from pgherd.engines.oci.pooler_host.trouble import Trouble
from pgherd.engines.oci.pooler_host.vault import Secrets
from pgherd.programs import pgbouncer

PGBOUNCER = "/usr/sbin/pgbouncer"


def pgbouncer_version(program: str = PGBOUNCER) -> tuple[int, ...]:
    """As in (1, 25)."""
    try:
        said = subprocess.run(
            [program, "--version"], capture_output=True, text=True, timeout=10, check=False
        ).stdout
    except (OSError, subprocess.TimeoutExpired):
        raise Trouble(f"{program} cannot be started") from None
    version = pgbouncer.version(said)
    if version is None:
        raise Trouble(f"{program} does not say its version")
    return version[:2]


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
{pgbouncer.listening(settings.listen_address, settings.listen_port, folder, console)}
server_reset_query_always = 1
max_prepared_statements = 200
track_extra_parameters = IntervalStyle, default_transaction_read_only
{pgbouncer.ADMISSION}
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
{pgbouncer.WAITING}"""


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
        pgbouncer.reader(database.read_only_role, READER_POOL),
    ]


def hba(settings: Settings, wanted: Wanted, console: str) -> str:
    """Who may enter: each service its own database, its reader the replicas, the operator all."""
    lines = []
    for database in wanted.databases:
        names = database.names
        for entered, user in (
            (names, database.service),
            (names[1::2], database.read_only_role),
            ([*names[:2], f"{database.service}_postgres"], settings.admin_user),
        ):
            lines.append(pgbouncer.admitted(entered, user, wanted.network))
    return pgbouncer.hba(console, lines)


def users(settings: Settings, wanted: Wanted, secrets: Secrets, console: str) -> str:
    """The users that exist, with the passwords that the servers ask of the pooler."""
    passwords = {console: "", settings.admin_user: secrets.admin_password}
    for database in wanted.databases:
        for role in (database.service, database.read_only_role):
            passwords[role] = role_password(secrets.seed, role, database.service)
    return pgbouncer.users(passwords)
