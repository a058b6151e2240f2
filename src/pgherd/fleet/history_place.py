"""Where the history of a fleet is kept, where that is a database on a PostgreSQL server."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import parse_qsl, unquote, urlsplit

LONGEST_URL = 2000
EXAMPLE = "postgresql://pgherd@history.example.com/pgherd?sslmode=verify-full"
PARAMETERS = (
    "host",
    "port",
    "hostaddr",
    "sslmode",
    "sslrootcert",
    "sslcert",
    "sslkey",
    "sslcrl",
    "ssl_min_protocol_version",
    "sslnegotiation",
    "passfile",
    "require_auth",
    "channel_binding",
    "gssencmode",
    "target_session_attrs",
    "load_balance_hosts",
)
"""Of libpq, that a URL may have: none has a secret, and none has another file say where to go."""
_SECRETS = ("password", "sslpassword")


@dataclass(frozen=True, slots=True)
class HistoryPlace:
    """A database by its `url`, which has no password, or by the URL in `url_file`: one of both."""

    url: str = ""
    url_file: str = ""

    def __str__(self) -> str:
        return f"the URL in {self.url_file}" if self.url_file else self.url


def url_problem(url: str, *, is_private: bool) -> str:
    """What is wrong with it; empty where nothing is. It never has more of the URL than a name.

    Only a URL in a file that is private may have a password.
    """
    if len(url) > LONGEST_URL or not url.isascii() or not url.isprintable() or " " in url:
        return "this is not a URL of PostgreSQL"
    try:
        parts = urlsplit(url)
        is_whole = parts.scheme == "postgresql" and len(unquote(parts.path)) > 1
        named = parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query))
        hosts = parts.hostname, parts.port
    except ValueError:
        return "this is not a URL of PostgreSQL"
    if not is_whole or parts.fragment or "/" in parts.path[1:]:
        return "this is not a URL of PostgreSQL with the name of a database"
    names = [name for name, _ in named]
    if not parts.username:
        return "this URL names no role"
    if not hosts[0] and "host" not in names:
        return "this URL names no server"
    if not is_private and (parts.password is not None or set(_SECRETS) & set(names)):
        return "this URL has a password"
    known = (*PARAMETERS, *(_SECRETS if is_private else ()))
    if unknown := [name for name in names if name not in known]:
        shown = unknown[0][:40] if unknown[0].isidentifier() else "one"
        return f"this URL has a parameter that has no place here: {shown}"
    return ""
