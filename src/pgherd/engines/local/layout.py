"""Where the local engine keeps things: one folder, in two halves that trust each other differently.

Whoever runs pgherd writes here; the user that the databases run as only reads:

fleet.json             which fleet this is
addresses.json         the address of everything that listens
environments/NAME/     environment.json, pki/, etcd/
databases/ENV/SVC/     database.json, clients/, pooler/, probe/, INSTANCE/{patroni.yml, pki/}

The user that the databases run as writes here; root neither opens nor follows what is inside:

instances/ENV/SVC/N/   data/, and whether it is whole
etcd/NAME/             etcd's data
run/                   Unix sockets, and where poolers point
log/                   every log
templates/             new clusters to copy
"""

from __future__ import annotations

import os
import pwd
from dataclasses import dataclass
from pathlib import Path

from pgherd.errors import InputError
from pgherd.files import Owner
from pgherd.fleet.desired import DatabaseId

SOCKET_PATH_LIMIT = 107
"""Bytes of a Unix socket's path (Linux unix(7), sun_path less its final zero)."""


def data_plane_owner() -> Owner:
    """The unprivileged user: `postgres` when root asks, else whoever asks."""
    if os.geteuid() != 0:
        try:
            return Owner(os.geteuid(), os.getegid(), pwd.getpwuid(os.geteuid()).pw_name)
        except KeyError:
            raise InputError(
                f"user {os.geteuid()} has no name on this machine",
                "add it to /etc/passwd: PostgreSQL does not start without one",
            ) from None
    try:
        entry = pwd.getpwnam("postgres")
    except KeyError:
        raise InputError(
            "user postgres does not exist on this machine", "run `make setup`"
        ) from None
    return Owner(entry.pw_uid, entry.pw_gid, entry.pw_name)


@dataclass(frozen=True, slots=True)
class Layout:
    """All paths below one root."""

    root: Path

    def __post_init__(self) -> None:
        if not str(self.root).isprintable() or "," in str(self.root):
            raise InputError(
                f"state folder {str(self.root)!r} has a character that the programs cannot bear",
                "set PGHERD_STATE to a path in UTF-8 without commas and control characters",
            )
        if not self.has_room_for_sockets(DatabaseId("e" * 12, "s" * 14)):
            raise InputError(
                f"state folder {self.root} is too long for Unix sockets",
                "set PGHERD_STATE to a shorter path",
            )

    @property
    def fleet(self) -> Path:
        """Says which fleet lives here."""
        return self.root / "fleet.json"

    @property
    def addresses(self) -> Path:
        """The book of addresses."""
        return self.root / "addresses.json"

    @property
    def instances(self) -> Path:
        """What instances keep: a folder each, below its database's."""
        return self.root / "instances"

    @property
    def run(self) -> Path:
        """Sockets: worth nothing after a reboot."""
        return self.root / "run"

    @property
    def log(self) -> Path:
        """Every log."""
        return self.root / "log"

    @property
    def agent_socket(self) -> Path:
        """Where the agent listens."""
        return self.run / "agent.sock"

    @property
    def templates(self) -> Path:
        """New clusters to copy."""
        return self.root / "templates"

    @property
    def data_plane(self) -> tuple[Path, ...]:
        """The folders that are the data plane's own."""
        return (self.instances, self.root / "etcd", self.run, self.log, self.templates)

    @property
    def environments(self) -> Path:
        """One folder an environment."""
        return self.root / "environments"

    @property
    def databases(self) -> Path:
        """One folder a database, below its environment's."""
        return self.root / "databases"

    def environment(self, name: str) -> Path:
        """All of one environment that is not a database's."""
        return self.environments / name

    def pki(self, environment: str) -> Path:
        """The environment's authorities and its operator's certificates."""
        return self.environment(environment) / "pki"

    def etcd(self, environment: str) -> Path:
        """The certificates of the environment's etcd, and where it works."""
        return self.environment(environment) / "etcd"

    def etcd_data(self, environment: str) -> Path:
        """What the environment's etcd keeps."""
        return self.root / "etcd" / environment

    def archive(self, environment: str) -> Path:
        """What lets the repository's owner take backups: its configuration, and where it works."""
        return self.environment(environment) / "archive"

    def repository(self, environment: str) -> Path:
        """The environment's backups: outside of the fleet's folder, and of what is deleted with it.

        Root's, and of the user whose the repositories are.
        """
        return self.root.with_name(f"{self.root.name}.backups") / environment

    def archiver(self, id: DatabaseId) -> Path:
        """By what the database hands its WAL over."""
        return self.database(id) / "archiver"

    def database(self, id: DatabaseId) -> Path:
        """All of one database."""
        return self.databases / id.environment / id.service

    def pooler(self, id: DatabaseId) -> Path:
        """The database's PgBouncer: its configuration, and where it works."""
        return self.database(id) / "pooler"

    def probe(self, id: DatabaseId) -> Path:
        """The certificate by which the agent asks the database what its service would."""
        return self.database(id) / "probe"

    def routes(self, id: DatabaseId) -> Path:
        """Where the pooler's names lead now."""
        return self.pooler_socket_folder(id) / "databases.ini"

    def clients(self, id: DatabaseId) -> Path:
        """Certificates for those who use the database."""
        return self.database(id) / "clients"

    def instance(self, id: DatabaseId, number: int) -> Path:
        """One instance of the database: its configuration, and where its Patroni works."""
        return self.database(id) / str(number)

    def kept(self, id: DatabaseId) -> Path:
        """What the database's instances keep."""
        return self.instances / id.environment / id.service

    def kept_by(self, id: DatabaseId, number: int) -> Path:
        """What one instance keeps."""
        return self.kept(id) / str(number)

    def data(self, id: DatabaseId, number: int) -> Path:
        """PostgreSQL's data directory."""
        return self.kept_by(id, number) / "data"

    def socket_folder(self, id: DatabaseId, number: int) -> Path:
        """Where an instance's Unix socket lies: short, for its path is limited."""
        return self.run / f"{id.environment}.{id.service}.{number}"

    def has_room_for_sockets(self, id: DatabaseId) -> bool:
        """Whether the paths of a database's Unix sockets are short enough."""
        longest = self.socket_folder(id, 10) / ".s.PGSQL.54321"
        return len(os.fsencode(longest)) <= SOCKET_PATH_LIMIT

    def pooler_socket_folder(self, id: DatabaseId) -> Path:
        """Where the pooler's Unix socket lies."""
        return self.run / f"{id.environment}.{id.service}.p"

    def database_log(self, id: DatabaseId) -> Path:
        """The logs of one database."""
        return self.log / id.environment / id.service
