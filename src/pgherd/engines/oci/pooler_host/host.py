"""One host of the tier: what is due, in order, each step tried again where it failed."""

from __future__ import annotations

import os
import pwd
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from pgherd.engines.oci.pooler_host.certificates import check_pair
from pgherd.engines.oci.pooler_host.files import ensure_file
from pgherd.engines.oci.pooler_host.metadata import Database, Wanted, fetch_metadata, parse_wanted
from pgherd.engines.oci.pooler_host.names import RESERVED
from pgherd.engines.oci.pooler_host.pgbouncer import files, pgbouncer_version
from pgherd.engines.oci.pooler_host.psql import admin_login, psql
from pgherd.engines.oci.pooler_host.roles import preparation
from pgherd.engines.oci.pooler_host.settings import Settings
from pgherd.engines.oci.pooler_host.trouble import Trouble
from pgherd.engines.oci.pooler_host.vault import Secrets, parse_secrets
from pgherd.programs.pgbouncer import OLDEST

SECRETS_SECONDS = 600


class Host:
    """One host of the tier. `round` is called again and again and remembers only to do less."""

    def __init__(
        self,
        settings: Settings,
        read_secret: Callable[[str], str],
        say: Callable[[str], None],
        fetch: Callable[[str], str] = fetch_metadata,
        run_sql: Callable[[Mapping[str, str], str], str] = psql,
        version: Callable[[], tuple[int, ...]] = pgbouncer_version,
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
