"""The example's ten schemas and its load, on one plain PostgreSQL with a database per service.

Nothing of pgherd's engines is needed here: what is tested is what the services bring along.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql
from running_fleet import eventually

from pgherd.contract.access import Access
from pgherd.control.migrations import ADVISORY_LOCK, AlembicMigrations
from pgherd.errors import InputError, NeedsHuman, TryLater
from pgherd.fleet.desired import (
    Backup,
    Database,
    DatabaseId,
    Durability,
    Environment,
    Ocpus,
    Replicas,
    Storage,
)

pytestmark = pytest.mark.integration

EXAMPLE = Path(__file__).parents[2] / "examples" / "ecommerce"
SERVICES = (
    "auth",
    "user",
    "product",
    "cart",
    "order",
    "payment",
    "notification",
    "discount",
    "shipping",
    "return",
)
BINARIES = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda p: int(p.parent.name))


def as_postgres(*command: str | Path) -> list[str]:
    """PostgreSQL refuses to run as root."""
    become = ["setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups"]
    return [*(become if os.geteuid() == 0 else []), *map(str, command)]


@pytest.fixture(scope="module")
def server() -> Iterator[Path]:
    """A running PostgreSQL that listens in the returned folder."""
    if not BINARIES:
        pytest.skip("no PostgreSQL under /usr/lib/postgresql")
    folder = Path(tempfile.mkdtemp(prefix="herd-", dir="/tmp"))
    if os.geteuid() == 0:
        shutil.chown(folder, "postgres", "postgres")
    folder.chmod(0o755)
    data = folder / "data"
    options = ("-U", "postgres", "--auth=trust", "--no-sync")
    initdb = as_postgres(BINARIES[-1] / "initdb", "-D", data, *options)
    subprocess.run(initdb, check=True, stdout=subprocess.DEVNULL, cwd="/")
    settings = ["fsync=off", "listen_addresses=", f"unix_socket_directories={folder}"]
    arguments = [a for s in settings for a in ("-c", s)]
    with (folder / "log").open("wb") as log:
        postgres = subprocess.Popen(
            as_postgres(BINARIES[-1] / "postgres", "-D", data, *arguments), stderr=log, cwd="/"
        )
    try:
        for service in SERVICES:
            make_database(folder, service)
        yield folder
    finally:
        postgres.terminate()
        postgres.wait(30)
        shutil.rmtree(folder)


def operator(folder: Path, database: str = "postgres") -> psycopg.Connection[Any]:
    for _ in range(300):
        try:
            return psycopg.connect(
                host=str(folder), user="postgres", dbname=database, autocommit=True
            )
        except psycopg.OperationalError:
            time.sleep(0.05)
    raise AssertionError((folder / "log").read_text())


def make_database(folder: Path, service: str) -> None:
    role, reader = sql.Identifier(service), sql.Identifier(f"{service}_ro")
    with operator(folder) as connection:
        connection.execute(sql.SQL("CREATE ROLE {} LOGIN").format(role))
        connection.execute(sql.SQL("CREATE ROLE {} LOGIN").format(reader))
        connection.execute(sql.SQL("GRANT pg_read_all_data TO {}").format(reader))
        connection.execute(sql.SQL("CREATE DATABASE {}").format(role))
    with operator(folder, service) as connection:
        connection.execute(sql.SQL("ALTER SCHEMA public OWNER TO {}").format(role))


def database(service: str, migrations: Path | None = None) -> Database:
    environment = Environment("test", "local", "test", IPv4Network("10.0.0.0/16"), 1)
    return Database(
        id=DatabaseId("test", service),
        name=f"test-{service}",
        environment=environment,
        ocpus=Ocpus(1, 1),
        storage=Storage(1 << 30, None),
        replicas=Replicas(0, 0),
        durability=Durability.ASYNCHRONOUS,
        autoscale=None,
        backup=Backup(1),
        deletion_protection=False,
        migrations=migrations or EXAMPLE / "services" / service / "migrations",
    )


def access(folder: Path, service: str, user: str | None = None) -> Access:
    return Access(str(folder), 5432, service, user or service)


def apply_all(server: Path, migrations: AlembicMigrations, workers: int) -> float:
    """Apply all at once; the CPU seconds that it took this process."""
    began = time.process_time()
    with ThreadPoolExecutor(workers) as threads:
        done = [threads.submit(migrations.apply, database(s), access(server, s)) for s in SERVICES]
    for one in done:
        one.result()
    return time.process_time() - began


@pytest.fixture(scope="module")
def migrated(server: Path) -> Path:
    apply_all(server, AlembicMigrations(), workers=4)
    return server


def revision(folder: Path, service: str) -> str:
    with operator(folder, service) as connection:
        rows = connection.execute("SELECT version_num FROM public.alembic_version").fetchall()
    assert len(rows) == 1
    return str(rows[0][0])


def test_all_databases_reach_their_newest_revision(migrated: Path) -> None:
    migrations = AlembicMigrations()
    for service in SERVICES:
        assert revision(migrated, service) == migrations.head(database(service))


def test_again_changes_nothing_and_costs_little(migrated: Path) -> None:
    def changes() -> dict[str, int]:
        found = {}
        for service in SERVICES:
            with operator(migrated, service) as connection:
                row = connection.execute("SELECT xmin::text FROM alembic_version").fetchone()
            assert row
            found[service] = int(row[0])
        return found

    before = changes()
    cpu = apply_all(migrated, AlembicMigrations(), workers=4)
    assert changes() == before
    assert cpu / len(SERVICES) < 0.1, f"{cpu:.2f} s of CPU"


def test_the_service_owns_every_table(migrated: Path) -> None:
    for service in SERVICES:
        with operator(migrated, service) as connection:
            owners = connection.execute(
                "SELECT DISTINCT tableowner FROM pg_tables WHERE schemaname = 'public'"
            ).fetchall()
            invalid = connection.execute(
                "SELECT indexrelid::regclass FROM pg_index WHERE NOT indisvalid"
            ).fetchall()
        assert owners == [(service,)]
        assert invalid == []


@pytest.fixture
def empty(server: Path, request: pytest.FixtureRequest) -> Iterator[Path]:
    """A database `spare` with nothing in it."""
    make_database(server, "spare")
    yield server
    with operator(server) as connection:
        connection.execute("DROP DATABASE spare WITH (FORCE)")
        connection.execute("DROP ROLE spare")
        connection.execute("DROP ROLE spare_ro")


def write(folder: Path, number: int, body: str) -> Path:
    down = f'"{number - 1:04}"' if number > 1 else None
    path = folder / f"{number:04}_step.py"
    path.write_text(
        f'from alembic import op\n\nrevision = "{number:04}"\ndown_revision = {down}\n\n\n'
        f"def upgrade() -> None:\n    {body}\n"
    )
    return path


def test_two_runs_at_once_do_the_work_once(empty: Path, tmp_path: Path) -> None:
    write(tmp_path, 1, 'op.execute("CREATE TABLE once (n int)")')
    write(tmp_path, 2, 'op.execute("INSERT INTO once SELECT 1 FROM pg_sleep(0.2)")')
    spare = database("spare", tmp_path)
    with ThreadPoolExecutor(4) as threads:
        runs = [
            threads.submit(AlembicMigrations().apply, spare, access(empty, "spare"))
            for _ in range(4)
        ]
    for run in runs:
        run.result()
    with operator(empty, "spare") as connection:
        assert connection.execute("SELECT * FROM once").fetchall() == [(1,)]


@pytest.mark.parametrize("isolation", ["read committed", "repeatable read", "serializable"])
def test_a_run_sees_what_another_did_while_it_waited_for_the_lock(
    empty: Path, tmp_path: Path, isolation: str
) -> None:
    write(tmp_path, 1, 'op.execute("CREATE TABLE once (n int)")')
    with (
        operator(empty, "spare") as admin,
        psycopg.connect(host=str(empty), user="spare", dbname="spare") as other,
        ThreadPoolExecutor(1) as threads,
    ):
        admin.execute(f"ALTER ROLE spare SET default_transaction_isolation = '{isolation}'")
        other.execute("SELECT pg_advisory_xact_lock(%s)", [ADVISORY_LOCK])
        run = threads.submit(
            AlembicMigrations().apply, database("spare", tmp_path), access(empty, "spare")
        )
        waits = "SELECT FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
        eventually(lambda: admin.execute(waits).fetchone() is not None, 10)
        other.execute("CREATE TABLE once (n int)")
        other.execute("CREATE TABLE alembic_version AS SELECT '0001'::varchar(32) AS version_num")
        other.commit()
        run.result()


def test_a_broken_revision_leaves_nothing_and_names_its_file(empty: Path, tmp_path: Path) -> None:
    write(tmp_path, 1, 'op.execute("CREATE TABLE kept ()")')
    broken = write(tmp_path, 2, 'op.execute("CREATE TABLE lost (); CREATE TABEL typo ()")')
    with pytest.raises(InputError, match=f"{broken}:8: revision 0002 .*syntax error"):
        AlembicMigrations().apply(database("spare", tmp_path), access(empty, "spare"))
    assert revision(empty, "spare") == "0001"
    with operator(empty, "spare") as connection:
        row = connection.execute("SELECT to_regclass('kept'), to_regclass('lost')").fetchone()
    assert row == ("kept", None)


def test_data_that_does_not_fit_needs_a_human(empty: Path, tmp_path: Path) -> None:
    write(tmp_path, 1, 'op.execute("CREATE TABLE t (n int); INSERT INTO t VALUES (1), (1)")')
    write(tmp_path, 2, 'op.execute("ALTER TABLE t ADD UNIQUE (n)")')
    with pytest.raises(NeedsHuman, match=r"0002_step\.py:8: revision 0002 does not fit"):
        AlembicMigrations().apply(database("spare", tmp_path), access(empty, "spare"))


def test_a_python_error_in_a_revision_names_its_line(empty: Path, tmp_path: Path) -> None:
    broken = write(tmp_path, 1, "op.execute(undefined)")
    with pytest.raises(InputError, match=f"{broken}:8: revision 0001 is broken: NameError"):
        AlembicMigrations().apply(database("spare", tmp_path), access(empty, "spare"))


def test_a_revision_newer_than_the_files_needs_a_human(empty: Path, tmp_path: Path) -> None:
    write(tmp_path, 1, "pass")
    newer = write(tmp_path, 2, "pass")
    AlembicMigrations().apply(database("spare", tmp_path), access(empty, "spare"))
    newer.unlink()
    with pytest.raises(NeedsHuman, match="is at revision 0002, which"):
        AlembicMigrations().apply(database("spare", tmp_path), access(empty, "spare"))


def test_a_revision_waits_its_turn_for_a_lock(empty: Path, tmp_path: Path) -> None:
    write(tmp_path, 1, 'op.execute("CREATE TABLE busy (n int)")')
    spare = database("spare", tmp_path)
    hasty = AlembicMigrations(lock_timeout=0.05, patience=0.2)
    hasty.apply(spare, access(empty, "spare"))
    write(tmp_path, 2, 'op.execute("ALTER TABLE busy ADD m int")')
    with operator(empty, "spare") as reader, reader.transaction():
        reader.execute("SELECT * FROM busy")
        with pytest.raises(TryLater, match="no room for revision 0002"):
            hasty.apply(spare, access(empty, "spare"))
        patient = AlembicMigrations(lock_timeout=0.05, patience=30)
        waiting = threading.Thread(target=patient.apply, args=(spare, access(empty, "spare")))
        waiting.start()
        time.sleep(0.3)
        # Others read past the waiting revision, since it lets go again and again.
        with operator(empty, "spare") as other:
            other.execute("SET statement_timeout = '1s'")
            other.execute("SELECT * FROM busy")
    waiting.join(30)
    assert revision(empty, "spare") == "0002"


def test_a_database_that_does_not_answer_is_tried_later(tmp_path: Path) -> None:
    with pytest.raises(TryLater, match="test/auth does not answer"):
        AlembicMigrations().apply(database("auth"), access(tmp_path, "auth"))


def target(folder: Path, service: str) -> dict[str, Any]:
    return {
        "environment": "test",
        "service": service,
        "read_write": access(folder, service).parameters(),
        "read_only": access(folder, service, f"{service}_ro").parameters(),
    }


def start_load(folder: Path, services: tuple[str, ...], seconds: float) -> subprocess.Popen[str]:
    document = {
        "targets": [target(folder, service) for service in services],
        "seconds": seconds,
        "clients": 4,
        "seed": 7,
        "progress": True,
    }
    program = subprocess.Popen(
        [sys.executable, EXAMPLE / "load" / "customers.py"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert program.stdin
    program.stdin.write(json.dumps(document))
    program.stdin.close()
    program.stdin = None
    return program


def results(program: subprocess.Popen[str]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    output, progress = program.communicate(timeout=60)
    assert program.returncode == 0, progress
    return json.loads(output), [json.loads(line) for line in progress.splitlines()]


def test_customers_use_all_ten_services(migrated: Path) -> None:
    found, progress = results(start_load(migrated, SERVICES, seconds=3))
    assert found["ok"]
    assert [line["second"] for line in progress][:2] == [1, 2]
    assert [d["service"] for d in found["databases"]] == list(SERVICES)
    for one in found["databases"]:
        assert one["errors"] == {}
        assert one["transactions"] > 10
        assert one["read_write"]["transactions"] > 0
        assert one["transactions"] == sum(
            one[name]["transactions"] for name in ("read_write", "read_only")
        )
        latency = one["latency_ms"]
        assert 0 < latency["p50"] <= latency["p95"] <= latency["p99"] <= latency["max"]
        assert one["verified"]
        assert one["lost"] == 0
        assert sum(one["acknowledged"].values()) > 0
        assert [i["violations"] for i in one["invariants"]] == [0] * len(one["invariants"])


@pytest.mark.parametrize("service", SERVICES)
def test_customers_use_one_service_alone(migrated: Path, service: str) -> None:
    found, _ = results(start_load(migrated, (service,), seconds=0.5))
    assert found["ok"]
    assert found["databases"][0]["errors"] == {}
    assert sum(found["databases"][0]["acknowledged"].values()) > 0


def backends(folder: Path, database: str) -> list[int]:
    with operator(folder) as connection:
        rows = connection.execute(
            "SELECT pid FROM pg_stat_activity WHERE datname = %s", [database]
        ).fetchall()
    return [pid for (pid,) in rows]


def at_work(folder: Path, database: str) -> list[int]:
    """The backends of a load, soon after it has begun, however long its start has taken."""
    eventually(lambda: backends(folder, database), 30, pause=0.02)
    time.sleep(0.3)
    return backends(folder, database)


def test_customers_survive_that_their_connections_break(migrated: Path) -> None:
    program = start_load(migrated, ("cart", "order", "payment"), seconds=2)
    for _ in range(5):
        time.sleep(0.3)
        with operator(migrated) as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname IN ('order', 'payment')"
            )
    found, _ = results(program)
    by_service = {d["service"]: d for d in found["databases"]}
    assert found["ok"]
    assert by_service["cart"]["errors"] == {}
    for service in ("order", "payment"):
        assert set(by_service[service]["errors"]) & {"57P01", "connection"}
        assert by_service[service]["lost"] == 0


def test_two_loads_at_once_do_not_disturb_each_other(migrated: Path) -> None:
    programs = [start_load(migrated, ("cart", "product", "discount"), seconds=2) for _ in range(2)]
    for found, _ in map(results, programs):
        assert found["ok"]
        assert all(d["errors"] == {} for d in found["databases"])


def test_a_loss_is_found_out(migrated: Path) -> None:
    with operator(migrated, "shipping") as connection:
        before = connection.execute("SELECT now()").fetchone()
        program = start_load(migrated, ("shipping", "discount"), seconds=5)
        give_up = time.monotonic() + 4.5
        gone = 0
        while gone < 3 and time.monotonic() < give_up:
            deleted = connection.execute(
                "DELETE FROM shipments WHERE id IN (SELECT id FROM shipments"
                " WHERE carrier_code = 'heron' AND created_at > %s LIMIT 3)",
                before,
            )
            gone += deleted.rowcount
            time.sleep(0.1)
    with operator(migrated, "discount") as connection:
        connection.execute("UPDATE coupons SET redeemed = redeemed + 1 WHERE code = 'OPENIN01'")
    found, _ = results(program)
    with operator(migrated, "discount") as connection:
        connection.execute("UPDATE coupons SET redeemed = redeemed - 1 WHERE code = 'OPENIN01'")
    shipping, discount = found["databases"]
    assert not found["ok"]
    assert gone >= 3
    assert shipping["lost"] >= 3
    assert shipping["lost_ids"]["shipment"]
    assert discount["lost"] == 0
    assert [i["violations"] for i in discount["invariants"]] == [1]


def test_the_load_ends_though_a_database_is_frozen(migrated: Path) -> None:
    program = start_load(migrated, ("order",), seconds=1)
    frozen = at_work(migrated, "order")
    assert frozen
    try:
        for pid in frozen:
            os.kill(pid, signal.SIGSTOP)
        began = time.monotonic()
        found, _ = results(program)
    finally:
        for pid in frozen:
            os.kill(pid, signal.SIGCONT)
    order = found["databases"][0]
    assert time.monotonic() - began < 10
    assert order["unacknowledged"] >= 1
    assert order["longest_stall_ms"] > 1000
    assert order["lost"] == 0


def test_the_load_stops_early_when_told_to(migrated: Path) -> None:
    program = start_load(migrated, ("auth",), seconds=60)
    at_work(migrated, "auth")
    program.terminate()
    found, _ = results(program)
    assert found["ok"]
    assert found["seconds"] < 5
    assert found["databases"][0]["transactions"] > 0


@pytest.mark.parametrize(
    "document", ["", "[]", "{}", '{"targets": [], "seconds": 1, "clients": 1}']
)
def test_the_load_refuses_a_document_that_says_nothing(document: str) -> None:
    program = [sys.executable, str(EXAMPLE / "load" / "customers.py")]
    ended = subprocess.run(program, check=False, input=document, capture_output=True, text=True)
    assert ended.returncode == 2
    assert ended.stderr.startswith("the document does not say what to do: ")
