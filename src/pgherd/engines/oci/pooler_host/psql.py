"""psql: how it logs in to a database, and how it is run."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Mapping

from pgherd.engines.oci.pooler_host.files import AUTHORITIES
from pgherd.engines.oci.pooler_host.metadata import Database
from pgherd.engines.oci.pooler_host.settings import Settings
from pgherd.engines.oci.pooler_host.trouble import Trouble
from pgherd.engines.oci.pooler_host.vault import Secrets

PSQL_SECONDS = 60
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


def _said(stderr: str) -> list[str]:
    """Errors and warnings, without psql's place in the script and the lines that explain them."""
    lines = (re.sub(r"^psql:\S+:\d+: ", "", line.strip()) for line in stderr.splitlines())
    return [line for line in lines if re.search(r"\b(ERROR|FATAL|WARNING|error):", line)]
