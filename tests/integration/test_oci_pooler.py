"""A pooler's host at work: its program as it travels to it, PgBouncer and PostgreSQL on loopback.

PostgreSQL is set up as OCI's service has it: TLS with an authority of its own, passwords, and an
admin who may create roles and databases but is no superuser. Metadata and vault are played here.
"""

from __future__ import annotations

import base64
import gzip
import json
import os
import resource
import secrets as random
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import psycopg
import pytest
import yaml
from psycopg import errors
from psycopg.conninfo import make_conninfo
from wire import certificate_of

from pgherd.engines.local import pooler, postgres
from pgherd.engines.local.layout import data_plane_owner
from pgherd.engines.oci.cloud_init import PROGRAM, SETTINGS, Tier, cloud_init
from pgherd.engines.oci.pooler_host import files, limits, passwords, pgbouncer, psql, roles
from pgherd.engines.oci.pooler_host.host import SECRETS_SECONDS
from pgherd.engines.oci.pooler_host.metadata import Database, Endpoint, Wanted
from pgherd.engines.oci.pooler_host.settings import Settings
from pgherd.engines.oci.pooler_host.trouble import Trouble
from pgherd.engines.oci.pooler_host.vault import Secrets
from pgherd.files import Owner, write
from pgherd.pki.authority import Authority
from pgherd.pki.certificate import Identity, KeyPair, Place
from pgherd.programs.pgbouncer import READER_CLIENTS

pytestmark = pytest.mark.integration

LOOPBACK = IPv4Address("127.0.0.1")
DAY = timedelta(days=1)
ADMIN, ADMIN_PASSWORD = "pgherd", 'Adm1n-"quoted"_'
SEED = random.token_bytes(32)
DRIVER = """\
import json, sys
from pathlib import Path
folder = Path(sys.argv[1])
sys.path.insert(0, str(folder / "pooler_host.pyz"))
import pgherd
from pgherd.engines.oci.pooler_host import main, pgbouncer
assert pgherd.__file__.startswith(sys.path[0])
vault = folder.parent / "vault"
host = main.Host(
    main.Settings(**json.loads((folder / "settings.json").read_text())),
    lambda ocid: (vault / ocid).read_text(),
    main.say,
    version=lambda: pgbouncer.pgbouncer_version(sys.argv[2]),
)
for line in sys.stdin:
    host.round(float(line))
    print("round over", flush=True)
"""
"""The program's own loop, but for the vault, the clock and the place of PgBouncer."""
POOL = 4
"""The service's part of what the metadata says."""


def free_port() -> int:
    with socket.socket() as found:
        found.bind((str(LOOPBACK), 0))
        return int(found.getsockname()[1])


class Metadata(ThreadingHTTPServer):
    """The instance metadata service, as far as the host asks it."""

    def __init__(self) -> None:
        super().__init__((str(LOOPBACK), 0), _MetadataHandler)
        self.content: dict[str, Any] = {}

    @property
    def url(self) -> str:
        return f"http://{LOOPBACK}:{self.server_port}/opc/v2/instance/metadata/pgherd"


class _MetadataHandler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        assert isinstance(self.server, Metadata)
        is_allowed = self.headers["Authorization"] == "Bearer Oracle"
        is_known = self.path == "/opc/v2/instance/metadata/pgherd"
        body = json.dumps(self.server.content).encode()
        self.send_response(200 if is_allowed and is_known else 404)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


@dataclass(slots=True)
class Host:
    """One host's program, round by round."""

    process: subprocess.Popen[str]
    now: float = 0

    def start_round(self, seconds: float = 15) -> None:
        self.now += seconds
        assert self.process.stdin
        self.process.stdin.write(f"{self.now}\n")
        self.process.stdin.flush()

    def journal(self) -> list[str]:
        """What the round said, once it is over."""
        assert self.process.stdout
        lines: list[str] = []
        for line in self.process.stdout:
            if line == "round over\n":
                return lines
            lines.append(line.rstrip("\n"))
        raise AssertionError(f"the program ended: {lines}")

    def round(self, seconds: float = 15) -> list[str]:
        self.start_round(seconds)
        return self.journal()


@dataclass(slots=True)
class Played:
    """Everything around the host: folders, authorities, processes to end."""

    folder: Path
    owner: Owner
    metadata: Metadata
    stack: ExitStack
    now: datetime = field(default_factory=lambda: datetime.now(UTC))
    clients: Authority = field(init=False)
    servers: Authority = field(init=False)
    postgresql_port: int = field(default_factory=free_port)
    pooler_port: int = field(default_factory=free_port)

    def __post_init__(self) -> None:
        self.clients = Authority.create("production clients", self.now)
        self.servers = Authority.create("production servers", self.now)

    # Processes

    def start(self, command: Sequence[object], **how: Any) -> subprocess.Popen[str]:
        """As the user that the data plane runs as; ended with the test."""
        if os.geteuid() == 0:
            how |= {"user": self.owner.uid, "group": self.owner.gid, "extra_groups": []}
        words = [str(word) for word in command]
        process = subprocess.Popen(words, text=True, cwd="/", **how)
        self.stack.callback(end, process)
        return process

    def start_logged(self, name: str, command: Sequence[object]) -> None:
        with (self.folder / f"{name}.log").open("w") as log:
            self.start(command, stdout=log, stderr=log)

    def log(self, name: str) -> str:
        return (self.folder / f"{name}.log").read_text()

    def make(self, name: str) -> Path:
        return self.owner.give(self.folder / name)

    # PostgreSQL

    def start_postgresql(self) -> None:
        _, programs = postgres.choose(None)
        data, run = self.make("data"), self.make("run")
        initdb = [programs / "initdb", "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8"]
        done = self.start([*initdb, "--no-sync"], stdout=subprocess.DEVNULL)
        assert done.wait(60) == 0
        self.issue_server_certificate()
        (data / "pg_hba.conf").write_text(
            "local all postgres trust\nhostssl all all 127.0.0.0/8 scram-sha-256\n"
        )
        options = {
            "listen_addresses": "127.0.0.1",
            "port": self.postgresql_port,
            "unix_socket_directories": run,
            "ssl": "on",
            "fsync": "off",
            "shared_buffers": "16MB",
            "log_statement": "all",
        }
        flags = [word for k, v in options.items() for word in ("-c", f"{k}={v}")]
        self.start_logged("postgresql", [programs / "postgres", "-D", data, *flags])
        eventually(lambda: self.superuser("SELECT 1"))
        self.superuser(f"CREATE ROLE {ADMIN} LOGIN CREATEROLE CREATEDB PASSWORD '{ADMIN_PASSWORD}'")

    def issue_server_certificate(self) -> None:
        identity = Identity("db", server_addresses=(LOOPBACK,), server_names=("localhost",))
        pair = self.servers.issue(identity, self.now, DAY)
        Place(self.folder / "data", "server").write(pair, self.owner)

    def superuser(self, query: str, database: str = "postgres") -> list[Any]:
        with psycopg.connect(
            host=str(self.folder / "run"),
            port=self.postgresql_port,
            user="postgres",
            dbname=database,
            autocommit=True,
        ) as connection:
            cursor = connection.execute(query.encode())
            return cursor.fetchall() if cursor.description else []

    # The host

    def install(self, name: str) -> Settings:
        """Put there what cloud-init puts there, with the paths and ports of this test."""
        folder = self.make(name)
        tier = Tier("shop", "production", "eu-frankfurt-1", "pooler", "admin", self.pooler_port)
        config = yaml.safe_load(cloud_init(tier))
        written = {file["path"]: file["content"] for file in config["write_files"]}
        program = gzip.decompress(base64.b64decode(written[str(PROGRAM)]))
        settings = replace(
            Settings(**json.loads(written[str(SETTINGS)])),
            folder=str(folder),
            listen_address=str(LOOPBACK),
            metadata_url=self.metadata.url,
        )
        (folder / "pooler_host.pyz").write_bytes(program)
        (folder / "driver.py").write_text(DRIVER)
        (folder / "settings.json").write_text(json.dumps(asdict(settings)))
        return settings

    def host(self, settings: Settings) -> Host:
        driver = [f"{settings.folder}/driver.py", settings.folder, pooler.program()]
        command = [sys.executable, "-I", "-B", *driver]
        pipe = subprocess.PIPE
        return Host(self.start(command, stdin=pipe, stdout=pipe))

    def start_pgbouncer(self, settings: Settings) -> None:
        ini = Path(settings.folder) / files.INI
        # Its unit on a host gives it 65,536 files; what this machine gives is enough for a test.
        _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        self.start_logged("pgbouncer", ["prlimit", f"--nofile={most}", pooler.program(), ini])
        eventually(lambda: socket.create_connection((str(LOOPBACK), self.pooler_port), 1).close())

    def tell(self, *services: str, **changes: object) -> None:
        """The operator's part: what the metadata says of databases."""
        server = {"host": str(LOOPBACK), "name": "localhost"}
        entry = {**server, "port": self.postgresql_port, "reader": server}
        entry |= {"pool": POOL + limits.BESIDE_SERVICE}
        databases = dict.fromkeys(services, entry | changes)
        self.metadata.content = {
            "databases": databases,
            "authorities": self.servers.pair.certificate.decode(),
            "network": "127.0.0.0/8",
        }

    def tell_restored(self, service: str, was: str) -> None:
        """Of one database more, which was restored from another."""
        self.tell("auth", "order", service)
        databases = self.metadata.content["databases"]
        databases[service] = databases[service] | {"was": was}

    def renew(self) -> KeyPair:
        """A new server certificate of the pooler, in the vault."""
        identity = Identity("pooler", server_addresses=(LOOPBACK,))
        pair = self.clients.issue(identity, self.now, DAY)
        text = {
            "certificate": pair.certificate.decode(),
            "key": pair.key.decode(),
            "authority": self.clients.pair.certificate.decode(),
            "seed": base64.b64encode(SEED).decode(),
        }
        for name, secret in (("pooler", json.dumps(text)), ("admin", ADMIN_PASSWORD)):
            write(self.folder / "vault" / name, secret, self.owner)
        return pair

    # Clients

    def parameters(
        self, user: str, database: str, authority: Authority | None = None
    ) -> dict[str, str]:
        """libpq's, with a certificate for `user`."""
        place = Place(self.folder / "clients", f"{user}-{random.token_hex(4)}")
        pair = (authority or self.clients).issue(Identity(user, is_client=True), self.now, DAY)
        place.write(pair)
        trusted = self.folder / "clients/authority.crt"
        trusted.write_bytes(self.clients.pair.certificate)
        return {
            "host": str(LOOPBACK),
            "port": str(self.pooler_port),
            "user": user,
            "dbname": database,
            "sslmode": "verify-full",
            "sslrootcert": str(trusted),
            "sslcert": str(place.certificate),
            "sslkey": str(place.key),
            "connect_timeout": "5",
        }

    def past_pooler(self) -> dict[str, str]:
        """The admin's way to the server itself, by the authority that the service has now."""
        trusted = self.folder / "clients/servers.crt"
        trusted.write_bytes(self.servers.pair.certificate)
        return {
            "host": str(LOOPBACK),
            "port": str(self.postgresql_port),
            "user": ADMIN,
            "password": ADMIN_PASSWORD,
            "dbname": "postgres",
            "sslmode": "verify-full",
            "sslrootcert": str(trusted),
        }


@dataclass(frozen=True, slots=True)
class Running:
    """A tier that is up: the host, and what is around it."""

    played: Played
    settings: Settings
    host: Host
    first: list[str]
    others: list[str]

    def connect(self, user: str, database: str) -> psycopg.Connection[Any]:
        return connect(self.played.parameters(user, database))


def connect(parameters: dict[str, str]) -> psycopg.Connection[Any]:
    return psycopg.connect(make_conninfo("", **parameters), autocommit=True)


def assert_refused(parameters: dict[str, str]) -> None:
    """By an answer: a pooler that lets a client wait has not refused it."""
    with pytest.raises(psycopg.OperationalError) as caught:
        connect(parameters)
    assert not isinstance(caught.value, errors.ConnectionTimeout)


def end(process: subprocess.Popen[str]) -> None:
    for stream in (process.stdin, process.stdout):
        if stream:
            stream.close()
    process.send_signal(2)
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def eventually(attempt: Any, seconds: float = 20) -> None:
    until = time.monotonic() + seconds
    while True:
        try:
            attempt()
        except (psycopg.OperationalError, OSError):
            if time.monotonic() > until:
                raise
            time.sleep(0.05)
        else:
            return


@pytest.fixture(scope="module")
def running() -> Iterator[Running]:
    """Two hosts that started at the same moment; PgBouncer runs on the first."""
    folder = Path(tempfile.mkdtemp(dir="/tmp", prefix="pgh-oci-"))
    folder.chmod(0o755)
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, folder)
        metadata = stack.enter_context(Metadata())
        thread = threading.Thread(target=metadata.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        stack.callback(thread.join)
        stack.callback(metadata.shutdown)
        played = Played(folder, data_plane_owner(), metadata, stack)
        for name in ("vault", "clients"):
            played.make(name)
        played.start_postgresql()
        played.renew()
        played.tell("auth", "order")
        settings, other = (played.install(name) for name in ("host", "other"))
        host, second = played.host(settings), played.host(other)
        for each in (host, second):
            each.start_round()
        first, others = host.journal(), second.journal()
        played.start_pgbouncer(settings)
        yield Running(played, settings, host, first, others)


@pytest.fixture(autouse=True)
def as_it_was(running: Running) -> Iterator[None]:
    """Each test finds the tier at rest, and leaves it so."""
    running.host.round()
    yield
    running.played.tell("auth", "order")
    running.host.round()


# The host


def test_both_hosts_prepare_all_databases_at_once(running: Running) -> None:
    for journal in (running.first, running.others):
        assert prepared("auth") in journal, journal
        assert prepared("order") in journal, journal


def test_a_second_round_changes_nothing(running: Running) -> None:
    before = running.played.log("pgbouncer").count("RELOAD")
    sessions = running.played.log("postgresql").count("pg_advisory_lock")
    assert running.host.round() == []
    assert running.host.round(SECRETS_SECONDS) == []
    assert running.played.log("pgbouncer").count("RELOAD") == before >= 1
    assert running.played.log("postgresql").count("pg_advisory_lock") == sessions


def test_a_program_that_starts_again_finds_everything_done(running: Running) -> None:
    journal = running.played.host(running.settings).round()
    assert journal == [
        "metadata: databases auth, order are wanted",
        "secrets: new ones were read",
        "pgbouncer: it was reloaded",
        prepared("auth"),
        prepared("order"),
    ]
    with running.connect("auth", "auth") as connection:
        connection.execute("SELECT 1")


def test_a_renewed_certificate_is_served_and_no_session_dropped(running: Running) -> None:
    parameters = running.played.parameters("auth", "auth")
    with connect(parameters) as connection, connection.transaction():
        before = connection.execute("SELECT pg_backend_pid()").fetchone()
        old = certificate_of(parameters)
        running.played.renew()
        journal = running.host.round(SECRETS_SECONDS)
        assert journal == [
            "secrets: new ones were read",
            "files: server.pem was written",
            "pgbouncer: it was reloaded",
        ]
        assert certificate_of(parameters).serial_number != old.serial_number
        assert connection.execute("SELECT pg_backend_pid()").fetchone() == before
    with connect(parameters) as connection:
        connection.execute("SELECT 1")


def test_a_new_database_is_let_in_and_one_that_is_gone_is_not(running: Running) -> None:
    with running.connect("order", "order") as open_session:
        running.played.tell("auth", "order", "cart", name=None)
        journal = running.host.round()
        assert prepared("cart") in journal, journal
        with running.connect("cart", "cart") as connection:
            connection.execute("SELECT 1")
        open_session.execute("SELECT 1")
    running.played.tell("auth", "order")
    assert "pgbouncer: it was reloaded" in running.host.round()
    assert_refused(running.played.parameters("cart", "cart"))


def test_a_database_that_does_not_answer_is_one_line(running: Running) -> None:
    databases = running.played.metadata.content["databases"]
    databases["auth"] = databases["auth"] | {"port": free_port()}
    journal = running.host.round()
    (line,) = [line for line in journal if line.startswith("auth:")]
    assert "Connection refused" in line
    with running.connect("order", "order") as connection:
        connection.execute("SELECT 1")


def test_a_server_of_another_name_is_not_trusted(running: Running) -> None:
    running.played.tell("auth", "order", name="vm")
    (line,) = [line for line in running.host.round() if line.startswith("auth:")]
    assert 'does not match host name "vm"' in line


def test_the_services_authority_may_change(running: Running) -> None:
    """Both are in the bundle for a while; sessions opened with the old one go on."""
    played = running.played
    old = played.servers.pair.certificate.decode()
    with running.connect("auth", "auth") as open_session:
        before = open_session.execute("SELECT pg_backend_pid()").fetchone()
        played.servers = Authority.create("production servers", played.now)
        played.tell("auth", "order")
        played.metadata.content["authorities"] += old
        assert running.host.round() == [
            "metadata: databases auth, order are wanted",
            "files: server-authorities.crt was written",
            "pgbouncer: it was reloaded",
        ]
        assert open_session.execute("SELECT pg_backend_pid()").fetchone() == before
        played.issue_server_certificate()
        played.superuser("SELECT pg_reload_conf()")
        eventually(lambda: connect(played.past_pooler()).close())
        query = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'order'"
        played.superuser(query)
        with running.connect("order", "order-ro") as connection:
            connection.execute("SELECT 1")


def test_an_interrupted_preparation_is_completed(running: Running) -> None:
    here = Endpoint(str(LOOPBACK), "localhost", running.played.postgresql_port)
    user = Database("user", here, None, 4)
    secrets = Secrets("", "", SEED, ADMIN_PASSWORD)
    login = psql.admin_login(running.settings, user, secrets)
    lines = roles.preparation(user, SEED).splitlines(keepends=True)
    for stop in range(4, len(lines), 3):
        with suppress(Trouble):  # a statement that was cut
            psql.psql(login, "".join(lines[:stop]))
    assert psql.psql(login, "".join(lines)) == cannot_revoke("user")
    running.played.tell("auth", "order", "user")
    running.host.round()
    with running.connect("user", "user") as connection:
        connection.execute("CREATE TABLE here ()")
    with running.connect("user_ro", "user-ro") as connection:
        connection.execute("SELECT * FROM here")


def test_a_service_without_schema_public_can_be_prepared_again(running: Running) -> None:
    with running.connect("auth", "auth") as connection:
        connection.execute("DROP SCHEMA public")
        try:
            journal = running.played.host(running.settings).round()
            assert prepared("auth") in journal
        finally:
            connection.execute("CREATE SCHEMA public")


# A database that was restored

# Here it lies on the same server as the others; its copy is played by itself, under its old name.


def make_restored(running: Running, was: str) -> None:
    """What a restored system has in it: all under the name of the service that it was."""
    prepare(running, was)
    objects = "CREATE TABLE item AS SELECT 1 AS id; CREATE VIEW items AS SELECT count(*) AS many"
    running.played.superuser(f'SET ROLE "{was}"; {objects} FROM item', was)


def prepared(service: str, *warnings: str) -> str:
    """What a host says of it, with an admin who is no superuser."""
    said = "; ".join((*warnings, cannot_revoke(service)))
    return f"{service}: it is prepared; {said}"


def cannot_revoke(service: str) -> str:
    what = "may call functions that lock or write: a superuser can revoke it"
    return f"WARNING:  {service}_ro {what}"


def prepare(running: Running, service: str, was: str | None = None, stop: int | None = None) -> str:
    """As a host does it, up to a line of it; the warnings."""
    here = Endpoint(str(LOOPBACK), "localhost", running.played.postgresql_port)
    database = Database(service, here, None, 4, was)
    secrets = Secrets("", "", SEED, ADMIN_PASSWORD)
    login = psql.admin_login(running.settings, database, secrets)
    script = roles.preparation(database, SEED).splitlines(keepends=True)
    return psql.psql(login, "".join(script[:stop]))


def names_from(running: Running, start: str) -> tuple[list[str], list[str]]:
    """Databases and roles."""
    databases = running.played.superuser("SELECT datname FROM pg_database ORDER BY 1")
    roles = running.played.superuser("SELECT rolname FROM pg_roles ORDER BY 1")
    return (
        [name for (name,) in databases if name.startswith(start)],
        [name for (name,) in roles if name.startswith(start)],
    )


def assert_whole(running: Running, service: str, rows: int = 1) -> None:
    """The service and its reader find what the old ones had, as their own; no old name is left."""
    (stem, _, _) = service.partition("-")
    assert names_from(running, stem) == ([service], [service, f"{service}_ro"])
    with running.connect(service, service) as connection:
        assert connection.execute("SELECT many FROM items").fetchone() == (rows,)
        connection.execute("INSERT INTO item VALUES (2)")
        connection.execute("ALTER TABLE item ADD COLUMN note text")
        connection.execute("CREATE TABLE later AS SELECT 3 AS id")
    with running.connect(f"{service}_ro", f"{service}-ro") as connection:
        assert connection.execute("SELECT many FROM items").fetchone() == (rows + 1,)
        assert connection.execute("SELECT id FROM later").fetchone() == (3,)
        with pytest.raises(errors.ReadOnlySqlTransaction):
            connection.execute("DELETE FROM item")


def drop(running: Running, *services: str) -> None:
    running.played.tell("auth", "order")
    running.host.round()
    for service in services:
        running.played.superuser(f'DROP DATABASE IF EXISTS "{service}" WITH (FORCE)')
        for role in (service, f"{service}_ro"):
            running.played.superuser(f'DROP ROLE IF EXISTS "{role}"')


def test_a_restored_database_answers_under_its_own_name(running: Running) -> None:
    make_restored(running, "till")
    try:
        running.played.tell_restored("till-copy", "till")
        assert running.host.round() == [
            "metadata: databases auth, order, till-copy are wanted",
            "files: users.txt was written",
            "files: hba.conf was written",
            "files: pgbouncer.ini was written",
            "pgbouncer: it was reloaded",
            prepared("till-copy"),
        ]
        assert_whole(running, "till-copy")
        assert_refused(running.played.parameters("till", "till-copy"))
        assert running.host.round() == []
        started_again = running.played.host(running.settings).round()
        assert started_again[-1] == prepared("till-copy")
        assert names_from(running, "till") == (["till-copy"], ["till-copy", "till-copy_ro"])
        with running.connect("till-copy", "till-copy") as connection:
            assert connection.execute("SELECT many FROM items").fetchone() == (2,)
    finally:
        drop(running, "till", "till-copy")


def test_both_hosts_may_rename_at_once(running: Running) -> None:
    other = running.played.host(replace_folder(running, "other"))
    other.round()
    make_restored(running, "till")
    try:
        running.played.tell_restored("till-copy", "till")
        for host in (running.host, other):
            host.start_round()
        for journal in (running.host.journal(), other.journal()):
            assert prepared("till-copy") in journal, journal
        assert_whole(running, "till-copy")
    finally:
        drop(running, "till", "till-copy")


def replace_folder(running: Running, name: str) -> Settings:
    return replace(running.settings, folder=str(running.played.folder / name))


def test_a_renaming_that_was_cut_off_anywhere_is_completed(running: Running) -> None:
    database = Database("till-copy", Endpoint("", None, 0), None, 4, "till")
    lines = roles.preparation(database, SEED).splitlines()
    there = lines.index('\\connect "till-copy"')
    stops = [n for n, line in enumerate(lines[:there], 1) if line.endswith((";", "\\gexec"))]
    old, new = (([name], [name, f"{name}_ro"]) for name in ("till", "till-copy"))
    seen = []
    try:
        for stop in stops:
            make_restored(running, "till")
            with suppress(Trouble):  # a statement that was cut
                prepare(running, "till-copy", "till", stop)
            seen.append(names_from(running, "till"))
            assert prepare(running, "till-copy", "till") == cannot_revoke("till-copy")
            assert names_from(running, "till") == new
            query = "SELECT pg_get_userbyid(relowner), many FROM items, pg_class"
            rows = running.played.superuser(f"{query} WHERE relname = 'item'", "till-copy")
            assert rows == [("till-copy", 1)]
            drop(running, "till-copy")
    finally:
        drop(running, "till", "till-copy")
    assert seen == sorted(seen), "nothing is ever renamed by halves, or back"
    assert [names for names in seen if names not in (old, new)] == []
    assert old in seen
    assert new in seen


@pytest.mark.parametrize("done", [1, 2, 3])
def test_what_bears_its_new_name_already_keeps_it(running: Running, done: int) -> None:
    make_restored(running, "till")
    try:
        for old, new in [("till", "till-copy"), ("till_ro", "till-copy_ro")][:done]:
            running.played.superuser(f'ALTER ROLE "{old}" RENAME TO "{new}"')
        if done == 3:
            running.played.superuser('ALTER DATABASE "till" RENAME TO "till-copy"')
        running.played.tell_restored("till-copy", "till")
        assert running.host.round()[-1] == prepared("till-copy")
        assert_whole(running, "till-copy")
    finally:
        drop(running, "till", "till-copy")


def test_nothing_is_renamed_under_somebodys_feet(running: Running) -> None:
    """PostgreSQL does not rename a database that is in use; the roles wait for it."""
    make_restored(running, "till")
    inside = connect(running.played.past_pooler() | {"dbname": "till"})
    try:
        running.played.tell_restored("till-copy", "till")
        said = running.host.round()[-1]
        assert said == 'till-copy: ERROR:  database "till" is being accessed by other users'
        assert names_from(running, "till") == (["till"], ["till", "till_ro"])
        inside.close()
        assert running.host.round() == [
            prepared("till-copy"),
            "till-copy: works again",
        ]
        assert_whole(running, "till-copy")
    finally:
        inside.close()
        drop(running, "till", "till-copy")


def test_a_database_of_the_old_name_beside_it_is_left_alone(running: Running) -> None:
    make_restored(running, "till")
    prepare(running, "till-copy")
    try:
        running.played.tell_restored("till-copy", "till")
        assert running.host.round()[-1] == prepared(
            "till-copy", "WARNING:  database till is left alone, as till-copy is there too"
        )
        everything = ["till", "till-copy"], ["till", "till-copy", "till-copy_ro", "till_ro"]
        assert names_from(running, "till") == everything
        assert running.played.superuser("SELECT many FROM items", "till") == [(1,)]
    finally:
        drop(running, "till", "till-copy")


def test_a_copy_without_the_database_begins_empty_and_says_so(running: Running) -> None:
    try:
        running.played.tell_restored("till-copy", "till")
        assert running.host.round()[-1] == prepared(
            "till-copy",
            "WARNING:  database till is not in what was restored: till-copy begins empty",
        )
        with running.connect("till-copy", "till-copy") as connection:
            connection.execute("SELECT 1")
    finally:
        drop(running, "till", "till-copy")


# Who gets in


def test_a_service_makes_tables_in_its_own_database(running: Running) -> None:
    with running.connect("auth", "auth") as connection:
        connection.execute("CREATE TABLE person (id bigserial PRIMARY KEY, name text)")
        connection.execute("INSERT INTO person (name) VALUES (%s)", ("Ada",))
        assert connection.execute("SELECT name FROM person").fetchall() == [("Ada",)]
        connection.execute("DROP TABLE person")
        row = connection.execute(
            "SELECT session_user, current_database(), ssl FROM pg_stat_ssl WHERE pid ="
            " pg_backend_pid()"
        ).fetchone()
        assert row == ("auth", "auth", True)


@pytest.mark.parametrize(
    ("certificate", "user", "database"),
    [
        ("auth", "auth", "order"),
        ("auth", "order", "order"),
        ("auth", "auth", "auth_postgres"),
        ("auth", "auth", "postgres"),
        ("auth", ADMIN, "auth"),
        ("auth", "auth_ro", "auth-ro"),
        ("auth_ro", "auth", "auth"),
        ("auth_ro", "auth_ro", "auth"),
        ("auth", "auth", "pgbouncer"),
        (ADMIN, ADMIN, "pgbouncer"),
        ("stranger", "stranger", "auth"),
    ],
)
def test_a_certificate_opens_nothing_else(
    running: Running, certificate: str, user: str, database: str
) -> None:
    parameters = running.played.parameters(certificate, database) | {"user": user}
    assert_refused(parameters)


def test_nobody_gets_in_without_a_certificate(running: Running) -> None:
    parameters = running.played.parameters("auth", "auth")
    nowhere = {"sslcert": "/nowhere", "sslkey": "/nowhere"}
    password = passwords.role_password(SEED, "auth", "auth")
    assert_refused(parameters | nowhere | {"password": password})
    assert_refused(parameters | nowhere | {"password": password, "sslmode": "disable"})


def test_another_authoritys_certificate_does_not_get_in(running: Running) -> None:
    forged = Authority.create("production clients", running.played.now)
    assert_refused(running.played.parameters("auth", "auth", forged))


def test_read_only_reads_everything_and_writes_nothing(running: Running) -> None:
    with running.connect("auth", "auth") as service:
        service.execute("CREATE SCHEMA vault")
        service.execute("CREATE TABLE vault.secret AS SELECT 1 AS one")
        try:
            with running.connect("auth_ro", "auth-ro") as connection:
                assert connection.execute("SELECT one FROM vault.secret").fetchone() == (1,)
                with pytest.raises(errors.ReadOnlySqlTransaction):
                    connection.execute("INSERT INTO vault.secret VALUES (2)")
                for statement in (
                    "INSERT INTO vault.secret VALUES (2)",
                    "CREATE TABLE mine ()",
                    "CREATE TEMPORARY TABLE mine ()",
                    "CREATE SCHEMA mine",
                ):
                    with pytest.raises(errors.InsufficientPrivilege), connection.transaction():
                        connection.execute("SET TRANSACTION READ WRITE")
                        connection.execute(statement.encode())
        finally:
            service.execute("DROP SCHEMA vault CASCADE")


def test_read_only_reads_what_is_made_later_and_no_passwords(running: Running) -> None:
    with running.connect("order", "order") as service:
        service.execute("CREATE SCHEMA new")
        service.execute("CREATE TABLE new.item (id serial)")
        with running.connect("order_ro", "order-ro") as connection:
            assert connection.execute("SELECT * FROM new.item").fetchall() == []
            connection.execute("SELECT last_value FROM new.item_id_seq")
            for secret in ("pg_authid", "pg_shadow", "pg_user_mapping"):
                with pytest.raises(errors.InsufficientPrivilege):
                    connection.execute(f"TABLE {secret}".encode())
        service.execute("DROP SCHEMA new CASCADE")


def test_read_only_reads_what_was_there_before_it(running: Running) -> None:
    """As in a database that was restored, or filled before it had a reader."""
    prepare(running, "ledger")
    odd = "\"Odd 'name'; %I\""
    try:
        as_service = f"""
            SET ROLE ledger; CREATE SCHEMA {odd}; CREATE TABLE {odd}.{odd} (id serial);
            CREATE VIEW seen AS SELECT 1 AS one; CREATE TABLE secret ();
            REVOKE ALL ON SCHEMA {odd} FROM ledger_ro; REVOKE ALL ON seen FROM ledger_ro;
            REVOKE ALL ON ALL TABLES IN SCHEMA {odd} FROM ledger_ro;
            REVOKE ALL ON ALL SEQUENCES IN SCHEMA {odd} FROM ledger_ro
        """  # noqa: S608 - the names are above
        running.played.superuser(as_service, "ledger")
        running.played.superuser("CREATE SCHEMA other; CREATE TABLE other.one ()", "ledger")
        running.played.superuser("GRANT pg_read_all_data TO ledger_ro")
        assert prepare(running, "ledger") == cannot_revoke("ledger")
        reads = "SELECT pg_catalog.has_table_privilege('ledger_ro', c.oid, 'SELECT')"
        query = f"{reads}, relname FROM pg_class c WHERE relowner = 'ledger'::regrole"
        rows = running.played.superuser(f"{query} AND relkind IN ('r', 'v', 'S')", "ledger")
        assert len(rows) == 4
        assert [row for row in rows if not row[0]] == []
        query = "SELECT has_schema_privilege('ledger_ro', 'other', 'USAGE')"
        assert running.played.superuser(query, "ledger") == [(False,)]
    finally:
        drop(running, "ledger")


WITHHELD = (
    "pg_logical_emit_message(false, 'a', 'b')",
    "pg_advisory_lock(1)",
    "pg_advisory_lock_shared(1, 2)",
    "pg_advisory_xact_lock(1)",
    "pg_try_advisory_lock(1)",
    "pg_try_advisory_xact_lock_shared(1, 2)",
    "pg_notify('a', 'b')",
    "lo_creat(-1)",
    "lo_create(0)",
    "lo_from_bytea(0, 'a')",
    "txid_current()",
    "pg_current_xact_id()",
)


def test_read_only_neither_writes_nor_locks_where_an_admin_may_see_to_it(running: Running) -> None:
    running.played.superuser(f"GRANT postgres TO {ADMIN}")  # what is its own is then the admin's
    try:
        assert prepare(running, "ledger") == ""
        assert prepare(running, "ledger") == ""
        running.played.tell("auth", "order", "ledger")
        running.host.round()
        with running.connect("ledger_ro", "ledger-ro") as reader:
            for call in WITHHELD:
                with pytest.raises(errors.InsufficientPrivilege), reader.transaction():
                    reader.execute("SET TRANSACTION READ WRITE")
                    reader.execute(f"SELECT {call}".encode())
        with running.connect("ledger", "ledger") as service, service.transaction():
            for call in WITHHELD:
                service.execute(f"SELECT {call}".encode())
        running.played.superuser(f"REVOKE postgres FROM {ADMIN}")
        assert prepare(running, "ledger") == "", "nothing is left to be revoked"
    finally:
        running.played.superuser(f"REVOKE postgres FROM {ADMIN}")
        drop(running, "ledger")


# What a service can define


# Each tries to make its caller's rights the service's own, and leaves a trace when it is called.
PLANTED = """\
CREATE TABLE public.caught (what text, who text);
GRANT INSERT ON public.caught TO PUBLIC;
CREATE FUNCTION public.caught(what text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO public.caught VALUES (what, current_user);
    ALTER ROLE planter CREATEDB;
    RETURN what;
EXCEPTION WHEN OTHERS THEN
    RETURN what;
END $$;
CREATE FUNCTION public.hashtext(text) RETURNS integer LANGUAGE sql
    AS $$SELECT public.caught('hashtext'); SELECT 1$$;
CREATE FUNCTION public.pg_advisory_xact_lock(integer) RETURNS text LANGUAGE sql
    AS $$SELECT public.caught('lock')$$;
CREATE FUNCTION public.has_schema_privilege(text, text, text) RETURNS boolean LANGUAGE sql
    AS $$SELECT public.caught('has_schema_privilege'); SELECT false$$;
CREATE FUNCTION public.equal(name, text) RETURNS boolean LANGUAGE sql
    AS $$SELECT public.caught('operator'); SELECT false$$;
CREATE OPERATOR public.= (FUNCTION = public.equal, LEFTARG = name, RIGHTARG = text);
CREATE FUNCTION public.equal(name, name) RETURNS boolean LANGUAGE sql
    AS $$SELECT public.caught('operator'); SELECT false$$;
CREATE OPERATOR public.= (FUNCTION = public.equal, LEFTARG = name, RIGHTARG = name);
CREATE FUNCTION public.matches(name, text) RETURNS boolean LANGUAGE sql
    AS $$SELECT public.caught('operator'); SELECT false$$;
CREATE OPERATOR public.~ (FUNCTION = public.matches, LEFTARG = name, RIGHTARG = text);
CREATE FUNCTION public.joined(text, text) RETURNS text LANGUAGE sql
    AS $$SELECT public.caught('operator'); SELECT 'ALTER ROLE planter CREATEDB'$$;
CREATE OPERATOR public.|| (FUNCTION = public.joined, LEFTARG = text, RIGHTARG = text);
CREATE FUNCTION public.format(text, name) RETURNS text LANGUAGE sql
    AS $$SELECT public.caught('format'); SELECT 'anything'$$;
CREATE VIEW public.pg_roles AS SELECT public.caught('view'), 'nobody'::name AS rolname;
CREATE VIEW public.pg_proc AS SELECT public.caught('view'), 'nobody'::name AS proname;
CREATE VIEW public.pg_database AS SELECT public.caught('view'), 'nobody'::name AS datname;
"""
ITS_OWN_SETTINGS = (
    "search_path = public, pg_catalog",
    "role = 'planter'",
    "statement_timeout = 1",
    "lock_timeout = 1",
    "idle_session_timeout = 1",
    "idle_in_transaction_session_timeout = 1",
    "default_transaction_read_only = on",
    "client_min_messages = error",
)


@pytest.fixture
def planter(running: Running) -> Iterator[psycopg.Connection[Any]]:
    """A service that has filled its database with traps; its session."""
    prepare(running, "planter")
    running.played.tell("auth", "order", "planter")
    running.host.round()
    try:
        with running.connect("planter", "planter") as service:
            service.execute(PLANTED.encode())
            yield service
    finally:
        drop(running, "planter")


@pytest.mark.parametrize("settings", [ITS_OWN_SETTINGS[:1], ITS_OWN_SETTINGS])
def test_nothing_that_a_service_defines_is_run_by_the_admin(
    running: Running, planter: psycopg.Connection[Any], settings: Sequence[str]
) -> None:
    for setting in settings:
        planter.execute(f"ALTER DATABASE planter SET {setting}".encode())
    assert prepare(running, "planter") == cannot_revoke("planter")
    assert planter.execute("SELECT what, who FROM public.caught").fetchall() == []
    query = "SELECT rolcreatedb FROM pg_roles WHERE rolname = 'planter'"
    assert running.played.superuser(query) == [(False,)]


def test_the_admins_sessions_are_pinned_in_every_database(
    running: Running, planter: psycopg.Connection[Any]
) -> None:
    for setting in ITS_OWN_SETTINGS:
        planter.execute(f"ALTER DATABASE planter SET {setting}".encode())
    here = Endpoint(str(LOOPBACK), "localhost", running.played.postgresql_port)
    secrets = Secrets("", "", SEED, ADMIN_PASSWORD)
    login = psql.admin_login(running.settings, Database("planter", here, None, POOL), secrets)
    shown = ", ".join(f"current_setting('{name}')" for name in psql.SESSION)
    say = f"DO $$BEGIN RAISE WARNING '%', concat_ws('|', current_database(), {shown}); END$$;\n"
    said = psql.psql(login, f"{say}\\connect planter\n{say}")
    pinned = "|".join(psql.SESSION.values()).replace("60s", "1min")
    assert said == f"WARNING:  postgres|{pinned}; WARNING:  planter|{pinned}"


def test_a_person_who_operates_finds_postgresqls_own_names_only(
    running: Running, planter: psycopg.Connection[Any]
) -> None:
    planter.execute("ALTER DATABASE planter SET search_path = public, pg_catalog")
    with running.connect(ADMIN, "planter") as operator:
        operator.execute("SELECT hashtext('a')")
        assert operator.execute("SELECT count(*) FROM public.caught").fetchone() == (0,)


def test_a_service_cannot_hold_up_the_hosts(
    running: Running, planter: psycopg.Connection[Any]
) -> None:
    with planter.transaction():
        lock = "pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtext('pgherd'))"
        planter.execute(f"SELECT {lock}".encode())
        before = time.monotonic()
        assert prepare(running, "planter") == cannot_revoke("planter")
        assert time.monotonic() - before < 10
    with planter.transaction():
        planter.execute("REVOKE USAGE ON SCHEMA public FROM planter_ro")
        before = time.monotonic()
        with pytest.raises(Trouble, match="lock timeout"):
            prepare(running, "planter")
        assert time.monotonic() - before < 10


# Limits


def test_a_reader_never_takes_its_services_connections(running: Running) -> None:
    def begin(stack: ExitStack, user: str, name: str) -> None:
        session = stack.enter_context(running.connect(user, name))
        stack.enter_context(session.transaction())
        session.execute("SELECT 1")

    with running.connect("auth_ro", "auth-ro") as waiting, ExitStack() as others:
        with ExitStack() as readers:
            for _ in range(limits.READER_POOL):
                begin(readers, "auth_ro", "auth-ro")
            thread = threading.Thread(target=waiting.execute, args=("SELECT 1",))
            thread.start()
            for number in range(POOL):
                begin(others, "auth", "auth" if number % 2 else "auth-ro")
            begin(others, ADMIN, "auth")
            sessions = "FROM pg_stat_activity WHERE datname = 'auth' GROUP BY 1"
            found = dict(running.played.superuser(f"SELECT usename, count(*) {sessions}"))
            assert (found["auth_ro"], found["auth"]) == (limits.READER_POOL, POOL)
            assert sum(found.values()) <= POOL + limits.BESIDE_SERVICE
            assert thread.is_alive()
        thread.join(5)
        assert not thread.is_alive()


def test_a_reader_has_no_more_clients_than_are_its_own(running: Running) -> None:
    parameters = running.played.parameters("auth_ro", "auth-ro")
    with ExitStack() as stack:
        for _ in range(READER_CLIENTS):
            stack.enter_context(connect(parameters))
        with pytest.raises(psycopg.OperationalError, match="max_user_client_connections"):
            connect(parameters)
        with running.connect("auth", "auth-ro") as service:
            service.execute("SELECT 1")


def test_a_server_itself_bounds_what_a_reader_takes_of_it(running: Running) -> None:
    query = "SELECT rolconnlimit, rolconfig FROM pg_roles WHERE rolname = 'auth_ro'"
    ((limit, settings),) = running.played.superuser(query)
    assert limit == limits.READER_BACKENDS
    with running.connect("auth_ro", "auth-ro") as reader:
        assert reader.execute("SHOW statement_timeout").fetchone() == ("290s",)
        with pytest.raises(errors.InsufficientPrivilege), reader.transaction():
            reader.execute("SET TRANSACTION READ WRITE")
            reader.execute("ALTER ROLE auth_ro CONNECTION LIMIT -1")
    assert "default_transaction_read_only=on" in settings


def test_a_flood_of_idle_connections_refuses_nobody(running: Running) -> None:
    address = str(LOOPBACK), running.played.pooler_port
    files = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (files[1], files[1]))
    with ExitStack() as stack:
        stack.callback(resource.setrlimit, resource.RLIMIT_NOFILE, files)
        flood = [stack.enter_context(socket.create_connection(address)) for _ in range(1000)]
        with running.connect("auth", "auth") as service:
            service.execute("SELECT 1")
        flood[0].settimeout(20)
        assert flood[0].recv(1000)[:1] in (b"", b"E"), "it was given up"


def test_the_operator_gets_in_as_the_admin(running: Running) -> None:
    for database in ("auth", "order", "auth-ro", "auth_postgres"):
        with running.connect(ADMIN, database) as connection:
            row = connection.execute("SELECT session_user, current_database()").fetchone()
            expected = "postgres" if database == "auth_postgres" else database.removesuffix("-ro")
            assert row == (ADMIN, expected)


def test_the_admin_is_no_superuser_and_none_came_to_be(running: Running) -> None:
    query = "SELECT rolname FROM pg_roles WHERE rolsuper"
    assert running.played.superuser(query) == [("postgres",)]


def test_only_its_own_may_connect_to_a_database(running: Running) -> None:
    query = (
        "SELECT rolname FROM pg_roles WHERE rolcanlogin AND NOT rolsuper"
        " AND has_database_privilege(oid, 'auth', 'CONNECT') ORDER BY 1"
    )
    assert running.played.superuser(query) == [("auth",), ("auth_ro",), (ADMIN,)]


def test_no_secret_is_where_it_must_not_be(running: Running) -> None:
    private = [passwords.role_password(SEED, r, "auth") for r in ("auth", "auth_ro")]
    told = [running.played.log(name) for name in ("postgresql", "pgbouncer")]
    told += running.first + running.others
    assert not [text for text in told for secret in private if secret in text]
    folder = Path(running.settings.folder)
    nothing = Wanted((), "", ""), Secrets("", "", SEED, "")
    written = pgbouncer.files(running.settings, *nothing, console="")
    assert {(folder / name).stat().st_mode & 0o777 for name in written} == {0o600}
