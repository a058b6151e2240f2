"""What pgherd's pooler costs beside a PgBouncer that somebody configured by hand.

The same PgBouncer program, in front of the same PostgreSQL, with the same TLS on both sides:
verify-full with certificates towards clients and towards the server. The one by hand is in
transaction mode, as most are, and resets nothing; ours are both names of a database. pgbench runs
through each in turn; what counts is the ratio of the medians.
"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from itertools import product
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

import psycopg
from measure import Report, arguments, median, say
from sandbox import Sandbox, as_postgres, folder, sandbox

from pgherd.contract.access import Access, AccessRole
from pgherd.engines.local import addresses, identity, pooler, postgres
from pgherd.engines.local.engine import LocalEngine
from pgherd.engines.local.layout import Layout, data_plane_owner
from pgherd.engines.local.manifest import DatabaseManifest, read_database
from pgherd.fleet.desired import DatabaseId, Pooling
from pgherd.pki.authority import Authority
from pgherd.pki.certificate import Identity, Place

DATABASE = DatabaseId("development", "auth")
FLEET = """\
fleet: pooler
services: [auth]
environments:
  development:
    engine: local
    local: {core_per_ocpu: 64}
    network: 10.2.0.0/16
    availability_domains: 1
    ocpus: 2..128
    storage: 1TB
    replicas: 0
    durability: asynchronous
    backup: {retention: 3d}
"""
HOST = IPv4Address("127.0.0.1")
PORTS = range(16432, 16532)
TARGET = 0.9
WORKLOADS = {
    "select, prepared": ("-S", "-M", "prepared"),
    "tpcb-like, prepared": ("-b", "tpcb-like", "-M", "prepared"),
    "select, connecting each time": ("-S", "-C"),
}
TPS = re.compile(r"^tps = ([0-9.]+)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Pgbench:
    """How pgbench is run."""

    clients: int
    seconds: int

    def tps(self, access: Access, options: tuple[str, ...]) -> float:
        """Transactions per second through one pooler."""
        output = pgbench(
            access,
            *options,
            *("-n", "-c", str(self.clients), "-j", str(min(2, self.clients))),
            *("-T", str(self.seconds)),
        )
        found = TPS.search(output)
        if not found:
            raise RuntimeError(f"pgbench says nothing of tps:\n{output}")
        return float(found[1])


def pgbench(access: Access, *arguments: str) -> str:
    """Run pgbench; what it prints."""
    _, programs = postgres.choose(None)
    done = subprocess.run(
        [str(programs / "pgbench"), *arguments],
        env={**os.environ, **access.variables()},
        check=False,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    if done.returncode != 0 or "aborted" in done.stderr:
        raise RuntimeError(f"pgbench {' '.join(arguments)} failed:\n{done.stderr[-2000:]}")
    return done.stdout


@contextmanager
def by_hand(fleet: Sandbox, manifest: DatabaseManifest) -> Iterator[Access]:
    """A PgBouncer with plain sensible values before the fleet's PostgreSQL; how to use it."""
    with folder() as place:
        access = _configure(place, Layout(fleet.root), manifest)
        if os.geteuid() == 0:
            for path in (place, *place.rglob("*")):
                shutil.chown(path, "postgres", "postgres")
            assert access.key
            shutil.chown(access.key, "root", "root")
        process = subprocess.Popen(
            [manifest.pooler_program, str(place / "pgbouncer.ini")],
            cwd=place,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            # A session of its own, as the fleet's has: Linux may share the CPU out by session.
            start_new_session=True,
            **as_postgres(),
        )
        try:
            _wait_until_taken(access.port, process)
            yield access
        finally:
            process.terminate()
            process.wait(10)


def _configure(place: Path, layout: Layout, manifest: DatabaseManifest) -> Access:
    port = next(port for port in PORTS if addresses.is_free(HOST, port))
    (instance,) = manifest.instances
    user = manifest.service
    _certificates(place, layout, manifest)
    (place / "users.txt").write_text(f'"{user}" ""\n')
    (place / "pgbouncer.ini").write_text(
        f"""\
[databases]
{user} = host={instance.address} port={manifest.postgresql_port} dbname={user} \
connect_query='SET pgherd.pooling = session'

[pgbouncer]
listen_addr = {HOST}
listen_port = {port}
unix_socket_dir =
logfile = {place}/log
auth_type = cert
auth_file = {place}/users.txt
pool_mode = transaction
max_prepared_statements = 200
max_client_conn = 1000
client_tls_sslmode = verify-full
client_tls_cert_file = {place}/server.crt
client_tls_key_file = {place}/server.key
client_tls_ca_file = {place}/authority.crt
server_tls_sslmode = verify-full
server_tls_cert_file = {place}/pooler.crt
server_tls_key_file = {place}/pooler.key
server_tls_ca_file = {place}/server-authority.crt
"""
    )
    return Access(
        host=str(HOST),
        port=port,
        database=user,
        user=user,
        certificate=place / "client.crt",
        key=place / "client.key",
        authority=place / "authority.crt",
    )


def _certificates(place: Path, layout: Layout, manifest: DatabaseManifest) -> None:
    """An own authority towards clients; towards PostgreSQL, one of those that it trusts."""
    now, life, owner = datetime.now(UTC), timedelta(days=1), data_plane_owner()
    own = Authority.create("by hand", now)
    there = identity.authority_place(layout, manifest.environment, identity.DATA).read()
    assert there
    (place / "authority.crt").write_bytes(own.pair.certificate)
    (place / "server-authority.crt").write_bytes(there.certificate)
    pooler_name = f"{manifest.service}.pooler"
    for name, authority, wanted in (
        ("server", own, Identity("by-hand", server_addresses=(HOST,))),
        ("client", own, Identity(manifest.service, is_client=True)),
        ("pooler", Authority(there), Identity(pooler_name, is_client=True)),
    ):
        Place(place, name).write(authority.issue(wanted, now, life), owner)


def _wait_until_taken(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 10
    while addresses.is_free(HOST, port):
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError("the PgBouncer that was configured by hand does not start")
        time.sleep(0.05)


def measure(
    doors: Mapping[str, Access],
    operator: Mapping[str, str],
    bench: Pgbench,
    titles: Sequence[str],
    rounds: int,
) -> dict[str, dict[str, list[float]]]:
    """Transactions per second of each workload through each, in turn."""
    found: dict[str, dict[str, list[float]]] = {}
    for title in titles:
        options = WORKLOADS[title]
        found[title] = {name: [] for name in doors}
        for access in doors.values():
            Pgbench(bench.clients, 1).tps(access, options)
        for number in range(rounds):
            order = list(doors.items())
            for name, access in order if number % 2 else reversed(order):
                _checkpoint(operator)
                found[title][name].append(bench.tps(access, options))
        say(f"{title}: {_shown(found[title])}")
    return found


def _checkpoint(operator: Mapping[str, str]) -> None:
    """Every run begins just after one, for writes are dearer then."""
    with psycopg.connect(**operator, autocommit=True) as connection:  # type: ignore[arg-type]
        connection.execute("CHECKPOINT")


def _shown(samples: Mapping[str, list[float]]) -> str:
    return "; ".join(f"{name} {' '.join(f'{v:.0f}' for v in vs)}" for name, vs in samples.items())


def main() -> int:
    """Run it."""
    parser = arguments(__doc__ or "")
    parser.add_argument("--rounds", type=int, default=5, help="runs through each pooler")
    parser.add_argument("--seconds", type=int, default=8, help="length of one run")
    parser.add_argument("--clients", type=int, default=8, help="connections of pgbench")
    parser.add_argument("--workloads", nargs="+", choices=list(WORKLOADS), default=list(WORKLOADS))
    parser.add_argument("--scale", type=int, default=10, help="scale of pgbench's tables")
    options = parser.parse_args()
    report = Report("pooler")
    with sandbox(FLEET, options.logs) as fleet:
        say(f"pgherd up in {fleet.state}")
        fleet.run("up")
        manifest = read_database(Layout(fleet.root), DATABASE)
        assert manifest
        ours, operator = asyncio.run(_doors(fleet))
        pgbench(ours[Pooling.SESSION], "-i", "-q", "-s", str(options.scale))
        with by_hand(fleet, manifest) as plain:
            doors = {**ours, "by hand": plain}
            bench = Pgbench(options.clients, options.seconds)
            found = measure(doors, operator, bench, options.workloads, options.rounds)
        version = ".".join(map(str, pooler.version(Path(manifest.pooler_program))))
        report.samples = {"pgbouncer": version, "tps": found}
    for pooling, (title, samples) in product(Pooling, found.items()):
        report.add(
            f"{pooling}: {title}",
            median(samples[pooling]),
            "tps",
            floor=median(samples["by hand"]),
            target=TARGET,
            target_is_ratio=True,
            at_least=True,
            note=f"PgBouncer {version}",
        )
    return report.finish(options.json)


async def _doors(fleet: Sandbox) -> tuple[dict[str, Access], dict[str, str]]:
    """How a service connects in each way, and how an operator does."""
    engine = LocalEngine(fleet.wanted.name, Layout(fleet.root))
    service = {p: await engine.access(DATABASE, AccessRole.SERVICE, p) for p in Pooling}
    operator = await engine.access(DATABASE, AccessRole.OPERATOR)
    return {str(pooling): access for pooling, access in service.items()}, operator.parameters()


if __name__ == "__main__":
    sys.exit(main())
