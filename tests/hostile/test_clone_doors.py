"""What a service's code can make of it that a copy of its database is masked elsewhere."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from tiny_place import Place, new_place
from tries import COPY, LOGIN

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(os.geteuid() != 0, reason="where all run as one user there is no way up"),
]

MARK = Path("/tmp/pgherd-a-copys-mark")
SALT = "salt-that-nobody-else-may-read"
STAGING = """\
  staging:
    engine: local
    network: 10.1.0.0/16
    availability_domains: 2
    ocpus: 1..2
    storage: 1TB
"""
BAIT = """
CREATE FUNCTION public.tried(what text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  EXECUTE what;
  INSERT INTO public.gained VALUES (what);
EXCEPTION WHEN insufficient_privilege THEN NULL;
END $$;
CREATE FUNCTION public.bite() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO public.ran VALUES (session_user, current_user);
  PERFORM public.tried('ALTER ROLE auth SUPERUSER');
  PERFORM public.tried('SET SESSION AUTHORIZATION postgres');
  PERFORM public.tried('SET ROLE postgres');
  PERFORM public.tried('GRANT pg_execute_server_program TO auth');
  PERFORM public.tried('COPY (SELECT 1) TO ''/tmp/pgherd-a-copys-mark''');
  PERFORM public.tried('COPY (SELECT 1) TO PROGRAM ''touch /tmp/pgherd-a-copys-mark''');
  PERFORM public.tried('SELECT pg_catalog.pg_read_file(''/etc/passwd'')');
  PERFORM public.tried('SELECT pg_catalog.lo_import(''/etc/passwd'')');
END $$;
CREATE FUNCTION public.bitten() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN PERFORM public.bite(); RETURN NEW; END $$;
CREATE FUNCTION public.same(n text) RETURNS text IMMUTABLE LANGUAGE plpgsql AS $$
BEGIN
  IF (SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname = session_user)
     OR (SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname = current_user) THEN
    EXECUTE 'COPY (SELECT 1) TO PROGRAM ''touch /tmp/pgherd-a-copys-mark''';
  END IF;
  RETURN n;
END $$;
CREATE TABLE public.gained (what text);
CREATE TABLE public.ran (who text, as_whom text);
CREATE TABLE public.customer (mail text CHECK (public.same(mail) = mail));
INSERT INTO public.customer SELECT 'ada' || g FROM pg_catalog.generate_series(1, 20) g;
CREATE INDEX ON public.customer (public.same(mail));
CREATE STATISTICS public.of_it ON (public.same(mail)), mail FROM public.customer;
CREATE TRIGGER bitten BEFORE UPDATE ON public.customer
  FOR EACH ROW EXECUTE FUNCTION public.bitten();
CREATE CONSTRAINT TRIGGER late AFTER UPDATE ON public.customer DEFERRABLE INITIALLY DEFERRED
  FOR EACH ROW EXECUTE FUNCTION public.bitten();
ALTER ROLE auth SET search_path = pg_catalog;
ALTER ROLE auth SET statement_timeout = '1ms';
ALTER ROLE auth SET default_transaction_read_only = on;
"""
CLONE = ("restore", "lab/auth", "--to", "latest", "--as", "staging/auth")


@pytest.fixture(scope="module")
def place() -> Iterator[Place]:
    with new_place() as place:
        place.want(services="auth", more=STAGING, overrides="")
        place.up()
        with place.connect("auth") as client:
            client.execute(BAIT)
        place.run("backup", "now", "lab/auth")
        place.want(services="auth", more=STAGING, overrides="masking: mask.sql")
        yield place


@pytest.fixture
def masking(place: Place) -> Iterator[Path]:
    MARK.unlink(missing_ok=True)
    path = place.folder / "mask.sql"
    path.write_text(f"SELECT pg_sleep(2);\nUPDATE customer SET mail = md5(mail || '{SALT}')")
    path.chmod(0o600)
    yield path
    path.chmod(0o600)


@pytest.mark.makes(COPY, "become superuser, or write a file, while it is masked")
@pytest.mark.makes(COPY, "have its masking fail or pass rows by, by settings of its role")
@pytest.mark.makes(LOGIN, "read what masks a copy, on a command line")
def test_a_services_code_gains_nothing(place: Place, masking: Path) -> None:
    lines = set()
    with place.start(*CLONE, "--yes-overwrite", "staging/auth") as process:
        while process.poll() is None:
            lines |= command_lines()
            time.sleep(0.05)
        output, _ = process.communicate()
    assert process.returncode == 0, output
    assert any(b"pgherd.engines.local.backup.recover\0restore" in line for line in lines)
    assert not any(SALT.encode() in line for line in lines)
    assert not MARK.exists()
    url = place.run("url", "staging/auth", "--role", "operator").strip()
    with psycopg.connect(url, dbname="auth", autocommit=True) as operator:
        (is_super,) = operator.execute(
            "SELECT rolsuper FROM pg_roles WHERE rolname = 'auth'"
        ).fetchone() or (None,)
        gained = operator.execute("SELECT what FROM public.gained").fetchall()
        kept = operator.execute("SELECT mail FROM public.customer WHERE mail LIKE 'ada%'")
        assert (is_super, gained, kept.fetchall()) == (False, [], [])
        ran = operator.execute("SELECT DISTINCT who, as_whom FROM public.ran").fetchall()
        assert ran == [("auth", "auth")]


@pytest.mark.makes(LOGIN, "change what masks a copy")
def test_a_file_that_others_may_change_masks_nothing(place: Place, masking: Path) -> None:
    masking.chmod(0o666)
    said = place.run(*CLONE, "--yes-overwrite", "staging/auth", exit_code=2)
    assert "may be changed by others" in said


def command_lines() -> set[bytes]:
    found = set()
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                found.add((entry / "cmdline").read_bytes())
            except OSError:
                continue
    return found
