"""Where a database comes from: what libpq needs to open it, and its password apart from that."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from pgherd.errors import InputError
from pgherd.fleet.history_place import PARAMETERS

SECRETS = ("password", "sslpassword")
TAKEN = frozenset({"user", "dbname", "password", *PARAMETERS} - {"passfile"})
"""Of libpq. None has another file say where to go, or a session begin with a setting."""
LONGEST = 4000
PRIVATE_WAYS = (
    "write it to a file that only you can read, for --from-file, or in PGHERD_IMPORT_FROM"
)


@dataclass(frozen=True, slots=True)
class Source:
    """A database by libpq's parameters; its password is shown nowhere."""

    parameters: Mapping[str, str]
    password: str | None = field(default=None, repr=False)

    def __str__(self) -> str:
        """As in: shop at db.example.com."""
        where = self.parameters.get("host") or self.parameters.get("hostaddr", "")
        return f"{self.parameters['dbname']} at {where}"


def read_source(text: str, *, is_private: bool) -> Source:
    """The source that a URI names; InputError where it is none.

    Only where nobody else could read it may it have a password: a command line is everybody's.
    No message has more of it than the name of a parameter.
    """
    import psycopg
    from psycopg.conninfo import conninfo_to_dict

    if len(text) > LONGEST or not text.startswith(("postgresql://", "postgres://")):
        raise InputError("this is not a URI of PostgreSQL", "write postgresql://ROLE@HOST/DATABASE")
    try:
        found = {name: str(value) for name, value in conninfo_to_dict(text).items()}
    except psycopg.Error:
        raise InputError(
            "this is not a URI of PostgreSQL that libpq can read",
            "write postgresql://ROLE@HOST/DATABASE, with %xx for what is special",
        ) from None
    if not is_private and any(name in found for name in SECRETS):
        raise InputError(
            "a password on a command line can be read by every login of this machine",
            f"change that password, then {PRIVATE_WAYS}",
        )
    if unknown := sorted(found.keys() - TAKEN):
        raise InputError(
            f"the URI has a parameter that has no place here: {unknown[0][:40]}", "leave it out"
        )
    for name, what in (("user", "role"), ("dbname", "database")):
        if not found.get(name):
            raise InputError(f"the URI names no {what}", "write postgresql://ROLE@HOST/DATABASE")
    if not found.get("host") and not found.get("hostaddr"):
        raise InputError("the URI names no server", "write postgresql://ROLE@HOST/DATABASE")
    password = found.pop("password", None)
    return Source(found, password)
