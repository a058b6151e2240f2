"""PgBouncer, as every engine's poolers have it: which one, whom it admits, for how long."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from pgherd.programs.postgresql import READER_QUERY_SECONDS, quoted

OLDEST = (1, 24)
"""The first PgBouncer that bounds a user's clients, queries and open transactions."""
CLIENTS = 10_000
"""Open connections of clients, those that never say who they are included."""
LOGIN_SECONDS = 10
"""Whoever has not shown a certificate by then is gone, for a flood of such to wear off."""
READER_CLIENTS = 200
READER_IDLE_SECONDS = 60
"""How long a reader may keep a transaction open without doing anything."""
ADMISSION = f"""\
; The comma ends the list: without it, `options=-c =x` keeps PgBouncer 1.20 to 1.26.0 busy for ever.
ignore_startup_parameters = extra_float_digits,
max_client_conn = {CLIENTS}
client_login_timeout = {LOGIN_SECONDS}
"""
"""Of pgbouncer.ini: whom it lets wait before it knows who they are."""
WAITING = """\
query_wait_timeout = 60
tcp_keepalive = 1
tcp_keepidle = 10
tcp_keepintvl = 5
tcp_keepcnt = 3
log_connections = 0
log_disconnections = 0
"""
"""Of pgbouncer.ini: how long one end waits for the other."""


def version(said: str) -> tuple[int, ...] | None:
    """Of what `--version` says, as in (1, 24, 1); None where it says none."""
    match = re.search(r"PgBouncer (\d+(?:\.\d+)+)", said)
    return tuple(map(int, match[1].split("."))) if match else None


def listening(address: object, port: int, socket_folder: object, operator: str) -> str:
    """Of pgbouncer.ini: where it listens, and the login that may use the admin console."""
    return f"""\
listen_addr = {address}
listen_port = {port}
unix_socket_dir = {socket_folder}
unix_socket_mode = 0700
admin_users = {operator}
"""


def reader(role: str, pool: int) -> str:
    """Of pgbouncer.ini's [users]: what a reader may take, so that it never takes its service's."""
    return (
        f"{role} = pool_size={pool} max_user_connections={pool}"
        f" max_user_client_connections={READER_CLIENTS} query_timeout={READER_QUERY_SECONDS}"
        f" idle_transaction_timeout={READER_IDLE_SECONDS}"
    )


def admitted(names: Iterable[str], user: str, network: str, ident_map: str | None = None) -> str:
    """Of the access file: a user who may enter these names with a certificate of its own.

    All names are quoted: some words mean something else to PgBouncer.
    """
    entered = ",".join(quoted(name) for name in names)
    line = f"hostssl {entered} {quoted(user)} {network} cert"
    return f"{line} map={ident_map}" if ident_map else line


def hba(operator: str, lines: Iterable[str]) -> str:
    """The access file: the operator at the console, these, and nobody else."""
    first, last = f"local pgbouncer {quoted(operator)} peer", "host all all 0.0.0.0/0 reject"
    return "".join(f"{line}\n" for line in (first, *lines, last))


def users(passwords: Mapping[str, str]) -> str:
    """The user file: who exists, and with which password a server lets them in."""
    return "".join(f"{quoted(user)} {quoted(word)}\n" for user, word in passwords.items())
