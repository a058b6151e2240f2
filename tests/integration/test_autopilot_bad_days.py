"""Bad days of the autopilot: it goes on, and nobody's service notices."""

from __future__ import annotations

import json
import os
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest
from cryptography import x509
from psycopg import sql
from test_autopilot import autopilot_of, events, rounds_go_on
from tiny_place import Place, eventually, new_place
from wire import certificate_of

from pgherd.engines.local import identity
from pgherd.engines.local.layout import Layout, data_plane_owner
from pgherd.engines.local.manifest import read_databases
from pgherd.pki.authority import Authority

# Alone, as these days are about how soon something is done that waits its turn.
pytestmark = [pytest.mark.integration, pytest.mark.alone]


@pytest.fixture(scope="module")
def tiny() -> Iterator[Place]:
    """One database alone; its history has a small disk of its own, where one can be mounted."""
    with new_place(has_autopilot=True) as place, small_disk(autopilot_of(place).history):
        place.want(services="auth", ocpus="2", replicas="0..1")
        place.up()
        try:
            yield place
        finally:
            place.kill_all()


@contextmanager
def small_disk(folder: Path) -> Iterator[None]:
    owner = data_plane_owner()
    folder.parent.mkdir(exist_ok=True)
    folder.mkdir(mode=0o700)
    options = f"size=24m,mode=700,uid={owner.uid},gid={owner.gid}"
    mount = ["mount", "-t", "tmpfs", "-o", options, "none", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, check=False, capture_output=True).returncode:
        yield
        return
    try:
        yield
    finally:
        eventually(lambda: subprocess.run(["umount", str(folder)], check=False).returncode == 0, 10)


@contextmanager
def working(place: Place) -> Iterator[list[int]]:
    """A client that writes on one connection that it keeps; how often it did."""
    done = [0]
    failures: list[Exception] = []
    is_over = threading.Event()

    def work() -> None:
        try:
            with place.connect("auth") as client:
                client.execute("CREATE TABLE IF NOT EXISTS tick (n int)")
                while not is_over.is_set():
                    client.execute("INSERT INTO tick VALUES (1)")
                    done[0] += 1
        except psycopg.Error as error:
            failures.append(error)

    worker = threading.Thread(target=work)
    worker.start()
    try:
        yield done
    finally:
        is_over.set()
        worker.join()
    if failures:
        raise failures[0]


def test_a_disk_without_room_for_history_stops_nothing_else(tiny: Place) -> None:
    history = autopilot_of(tiny).history
    if not history.is_mount():
        pytest.skip("nothing can be mounted here")
    rounds_go_on(tiny)
    filler = history / "filler"
    try:
        with filler.open("wb", buffering=0) as file, pytest.raises(OSError, match="No space"):
            while True:
                file.write(b"\0" * 4096)
        for _ in range(8):
            rounds_go_on(tiny)
        assert os.statvfs(history).f_bavail == 0
    finally:
        filler.unlink()
    began = time.time()
    eventually(lambda: last_told(tiny) > began, 40)
    assert not list(history.glob("*.aside*")), "a full disk is no damage"


def last_told(place: Place) -> float:
    """When what `why` says was so."""
    at = json.loads(place.run("why", "lab/auth", "--json"))["at"]
    return datetime.fromisoformat(at).timestamp() if at else 0.0


def test_what_is_due_is_renewed_by_itself_and_no_connection_notices(tiny: Place) -> None:
    """Certificates of pooler and server have less than a third of their life left.

    Another size or the first backup write all files of a database, and what is due with them: then
    nothing would be left to renew. So the size is fixed, and the backup is awaited.
    """
    eventually(lambda: "backup" in {e["kind"] for e in events(tiny, "lab")}, 120)
    layout = Layout(tiny.root)
    (manifest,) = read_databases(layout)
    wanted = identity.of_database(layout, manifest)
    aging = [c for c in wanted if c.place.name == "server"]
    assert len(aging) > 1
    authority = identity.authority_place(layout, "lab", identity.DATA).read()
    assert authority
    then = datetime.now(UTC) - timedelta(days=21)
    with working(tiny) as done:
        for one in aging:
            pair = Authority(authority).issue(one.identity, then, timedelta(days=30))
            one.place.write(pair, data_plane_owner())
        eventually(lambda: all(_left(c.place.certificate) > 29 for c in aging), 120)
        before = done[0]
        eventually(lambda: done[0] > before + 100, 20)
        url = psycopg.conninfo.conninfo_to_dict(tiny.run("url", "lab/auth").strip())
        served = certificate_of({k: str(v) for k, v in url.items()})
        assert served.not_valid_after_utc > datetime.now(UTC) + timedelta(days=29)
    eventually(lambda: "renew" in {e["kind"] for e in events(tiny, "lab")}, 30)


def _left(certificate: Path) -> float:
    """Days."""
    found = x509.load_pem_x509_certificate(certificate.read_bytes())
    return (found.not_valid_after_utc - datetime.now(UTC)) / timedelta(days=1)


def test_ten_thousand_tables_of_a_tenant_blind_nobody(tiny: Place) -> None:
    with tiny.connect("auth") as client:
        for part in range(20):
            client.execute(
                "DO $$ BEGIN FOR i IN 1..500 LOOP"
                f" EXECUTE 'CREATE TABLE many_{part}_' || i || ' (n int)'; END LOOP; END $$"
            )
    began = time.time()
    rounds_go_on(tiny)
    eventually(lambda: last_told(tiny) > began, 30)
    text = tiny.run("metrics")
    bytes = [
        float(line.split()[-1])
        for line in text.splitlines()
        if line.startswith("pgherd_database_storage_bytes{")
    ]
    assert bytes, text[:2000]


def test_an_operator_class_and_functions_of_the_tenant_are_never_the_meters(tiny: Place) -> None:
    """What it names as PostgreSQL does would be found first, if anybody looked for it there."""
    with tiny.connect("auth") as client:
        client.execute("CREATE TABLE caught (who text)")
        for name in ("age(xid)", "pg_is_in_recovery()", "pg_database_size(name)"):
            made = sql.SQL(
                "CREATE FUNCTION public.{} RETURNS bigint LANGUAGE plpgsql AS"
                " $$ BEGIN INSERT INTO public.caught VALUES (session_user); RETURN 1; END $$"
            )
            client.execute(made.format(sql.SQL(name)))
        client.execute("ALTER ROLE auth SET search_path = public, pg_catalog")
    for _ in range(6):
        rounds_go_on(tiny)
    with tiny.connect("auth") as client:
        assert client.execute("SELECT count(*) FROM public.caught").fetchone() == (0,)
