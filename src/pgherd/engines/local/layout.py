"""Where the local engine keeps things: one folder, owned by the user that the databases run as.

fleet.json            which fleet this is
addresses.json        the address of everything that listens
environments/NAME/    environment.json, pki/, etcd/
databases/ENV/SVC/    database.json, pooler/, INSTANCE/{patroni.yml, data/, pki/}
run/                  Unix sockets, process ids
log/                  every log
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


def default_root(fleet: str) -> Path:
    """$PGHERD_STATE/FLEET, else /var/lib/pgherd/fleets/FLEET for root, else in XDG state."""
    if state := os.environ.get("PGHERD_STATE"):
        return Path(state).absolute() / fleet
    if os.geteuid() == 0:
        return Path("/var/lib/pgherd/fleets") / fleet
    home = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local/state")
    return Path(home) / "pgherd/fleets" / fleet


def data_plane_owner() -> Owner:
    """The unprivileged user: `postgres` when root asks, else whoever asks."""
    if os.geteuid() != 0:
        return Owner(os.geteuid(), os.getegid(), pwd.getpwuid(os.geteuid()).pw_name)
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
    def lock(self) -> Path:
        """Held by the one command that changes things."""
        return self.root / "lock"

    @property
    def run(self) -> Path:
        """Sockets and process ids: worth nothing after a reboot."""
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
    def processes(self) -> Path:
        """What the agent started, so that the next agent adopts it."""
        return self.run / "processes.json"

    @property
    def templates(self) -> Path:
        """New clusters to copy."""
        return self.root / "templates"

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
        """The environment's etcd."""
        return self.environment(environment) / "etcd"

    def database(self, id: DatabaseId) -> Path:
        """All of one database."""
        return self.databases / id.environment / id.service

    def pooler(self, id: DatabaseId) -> Path:
        """The database's PgBouncer."""
        return self.database(id) / "pooler"

    def clients(self, id: DatabaseId) -> Path:
        """Certificates for those who use the database."""
        return self.database(id) / "clients"

    def instance(self, id: DatabaseId, number: int) -> Path:
        """One instance of the database."""
        return self.database(id) / str(number)

    def data(self, id: DatabaseId, number: int) -> Path:
        """PostgreSQL's data directory."""
        return self.instance(id, number) / "data"

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
