"""The program on a pooler's host, all but what needs real servers."""

from __future__ import annotations

import base64
import configparser
import json
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pgherd.engines.local.manifest import DatabaseManifest
from pgherd.engines.oci import routes
from pgherd.engines.oci.pooler_host import (
    certificates,
    files,
    passwords,
    pgbouncer,
    psql,
    roles,
    vault,
)
from pgherd.engines.oci.pooler_host.host import SECRETS_SECONDS, Host
from pgherd.engines.oci.pooler_host.limits import BESIDE_SERVICE
from pgherd.engines.oci.pooler_host.metadata import Database, Endpoint, Wanted, parse_wanted
from pgherd.engines.oci.pooler_host.names import RESERVED
from pgherd.engines.oci.pooler_host.passwords import role_password
from pgherd.engines.oci.pooler_host.settings import Settings
from pgherd.engines.oci.pooler_host.trouble import Trouble
from pgherd.engines.oci.pooler_host.vault import Secrets, parse_secrets
from pgherd.engines.oci.routes import Route, Routes
from pgherd.errors import InputError
from pgherd.fleet.desired import Pooling
from pgherd.fleet.names import check_name, pooled_name, read_only_role
from pgherd.pki.authority import Authority
from pgherd.pki.certificate import Identity, KeyPair
from pgherd.programs.pgbouncer import OLDEST

NOW = datetime(2026, 3, 1, tzinfo=UTC)
CLIENTS = Authority.create("production clients", NOW)
SERVERS = Authority.create("production servers", NOW)
SEED = bytes(range(32))
ADMIN_PASSWORD = 'Ab"1-cdefgh'
SETTINGS = Settings("eu-frankfurt-1", "pooler", "admin", "pgherd", 6432, "/var/lib/pgherd-pooler")
AUTH = Database(
    "auth",
    Endpoint("10.0.0.5", "primary.auth.example", 5432),
    Endpoint("10.0.0.6", "reader.auth.example", 5432),
    40 + BESIDE_SERVICE,
)
ORDER = Database("order", Endpoint("10.0.0.9", None, 5432), None, 20 + BESIDE_SERVICE)
COPY = replace(ORDER, service="order-copy", was="order")
WANTED = Wanted((AUTH, ORDER), SERVERS.pair.certificate.decode(), "10.0.0.0/16")
SECRETS = Secrets("pem", "ca", SEED, ADMIN_PASSWORD)
FEW = settings(max_examples=40)


def metadata(**databases: object) -> dict[str, Any]:
    return {
        "network": "10.0.0.0/16",
        "authorities": SERVERS.pair.certificate.decode(),
        "databases": databases,
    }


def entry(database: Database) -> dict[str, object]:
    primary, reader = database.primary, database.reader
    return {
        "host": primary.host,
        "name": primary.name,
        "port": primary.port,
        "reader": reader and {"host": reader.host, "name": reader.name},
        "pool": database.pool,
        "was": database.was,
    }


def server_pair() -> KeyPair:
    identity = Identity("pooler", server_names=("pooler.example",))
    return CLIENTS.issue(identity, NOW, timedelta(days=30))


def pooler_secret(pair: KeyPair, seed: bytes = SEED) -> str:
    return json.dumps(
        {
            "certificate": pair.certificate.decode(),
            "key": pair.key.decode(),
            "authority": CLIENTS.pair.certificate.decode(),
            "seed": base64.b64encode(seed).decode(),
        }
    )


# Metadata


def test_metadata_is_read() -> None:
    content = metadata(auth=entry(AUTH), order=entry(ORDER)) | {"certificate_due": None}
    assert parse_wanted(json.dumps(content), ()) == WANTED


def test_metadata_may_be_quoted_once_more() -> None:
    content = json.dumps(metadata(auth=entry(AUTH), order=entry(ORDER)))
    assert parse_wanted(json.dumps(content), ()) == WANTED


def test_no_database_needs_no_authority() -> None:
    content = metadata() | {"authorities": ""}
    assert parse_wanted(json.dumps(content), ()) == Wanted((), "", "10.0.0.0/16")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"host": "10.0.0.5 dbname=order"}, "does not appear to be an IPv4"),
        ({"name": "x\nauth_type = any"}, "is no host's name"),
        ({"port": "5432 user=pgherd"}, "invalid literal"),
        ({"pool": None}, "must be"),
        ({"reader": {"name": "reader"}}, "'host' is missing"),
    ],
)
def test_an_entry_that_would_change_the_configurations_meaning_is_refused(
    change: dict[str, object], message: str
) -> None:
    with pytest.raises(Trouble, match=message) as caught:
        parse_wanted(json.dumps(metadata(auth=entry(AUTH) | change)), ())
    assert str(caught.value).startswith("the metadata cannot be used: ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["pgherd", "auth-ro", 'a" ', "Auth", "", 32 * "a"])
def test_a_name_that_is_no_services_is_refused(name: str) -> None:
    with pytest.raises(Trouble, match="is no service's name"):
        parse_wanted(json.dumps(metadata(**{name: entry(AUTH)})), {"pgherd"})


@pytest.mark.parametrize("name", RESERVED)
def test_a_word_of_postgresql_or_pgbouncer_is_no_name(name: str) -> None:
    """Not one that the access file may take for something else, or of which a role would be."""
    for found in (metadata(**{name: entry(AUTH)}), metadata(auth=entry(AUTH) | {"was": name})):
        with pytest.raises(Trouble, match="is no service's name"):
            parse_wanted(json.dumps(found), RESERVED)
    with pytest.raises(InputError):
        check_name("service", name)


def test_names_are_those_of_the_fleet() -> None:
    names = [pooled_name("auth", p, read_only=read) for p in Pooling for read in (False, True)]
    assert AUTH.names == names
    assert AUTH.read_only_role == read_only_role("auth")


@pytest.mark.parametrize("name", ["pg-x", "pgx", "allx", "p"])
def test_a_name_that_begins_like_one_is_a_name(name: str) -> None:
    assert parse_wanted(json.dumps(metadata(**{name: entry(AUTH)})), RESERVED)


def test_every_name_is_quoted_where_words_have_a_meaning() -> None:
    lines = pgbouncer.hba(SETTINGS, WANTED, "postgres").splitlines()
    names = [name for line in lines[1:-1] for part in line.split()[1:3] for name in part.split(",")]
    assert [name for name in names if not re.fullmatch(r'"[^"]+"', name)] == []


def test_what_a_database_was_restored_from_is_read_and_may_be_missing() -> None:
    text = json.dumps(metadata(**{"order-copy": entry(COPY)}))
    assert parse_wanted(text, ()).databases == (COPY,)
    without = {key: value for key, value in entry(ORDER).items() if key != "was"}
    assert parse_wanted(json.dumps(metadata(order=without)), ()).databases == (ORDER,)


def test_it_is_read_as_the_operator_writes_it() -> None:
    copy = Route("10.0.0.9", "primary.order.example", 5432, None, 31, "ocid1.copy", was="order")
    reader = routes.Endpoint("10.0.0.6", "reader.auth.example")
    auth = Route("10.0.0.5", "primary.auth.example", 5432, reader, 51, "ocid1.auth")
    one, other = (a.pair.certificate.decode() for a in (SERVERS, CLIENTS))
    told = Routes("10.0.0.0/16").including("order-copy", copy, one).including("auth", auth, other)
    found = parse_wanted(told.text(), ())
    assert found.network == "10.0.0.0/16"
    assert [(d.service, d.was) for d in found.databases] == [
        ("auth", None),
        ("order-copy", "order"),
    ]
    assert found.databases[0] == AUTH
    assert sorted(routes.certificates(found.authorities)) == sorted((one.strip(), other.strip()))


def test_it_is_read_when_the_operator_takes_databases_away() -> None:
    auth = Route("10.0.0.5", "primary.auth.example", 5432, None, 40, "ocid1.auth")
    authority = SERVERS.pair.certificate.decode()
    both = Routes("10.0.0.0/16").including("auth", auth, authority).including("b", auth, authority)
    found = parse_wanted(both.without("b").text(), ())
    assert [d.service for d in found.databases] == ["auth"]
    assert found.authorities == f"{authority.strip()}\n"
    none = parse_wanted(both.only(()).text(), ())
    assert none == Wanted((), f"{authority.strip()}\n", "10.0.0.0/16")
    assert parse_wanted(Routes("10.0.0.0/16").text(), ()) == Wanted((), "", "10.0.0.0/16")


def test_the_last_database_that_goes_is_let_go(world: World) -> None:
    told = Routes("10.0.0.0/16")
    auth = Route("10.0.0.5", "primary.auth.example", 5432, None, 40, "ocid1.auth")
    told = told.including("auth", auth, SERVERS.pair.certificate.decode())
    texts = [told.text(), told.only(()).text()]
    host = replace(world, metadata=lambda: texts[0]).host()
    host.round(0)
    assert "auth = host=" in (world.folder / "pgbouncer.ini").read_text()
    texts.pop(0)
    host.round(15)
    assert "auth = host=" not in (world.folder / "pgbouncer.ini").read_text()


def test_a_database_restored_under_its_own_name_is_like_any_other() -> None:
    text = json.dumps(metadata(order=entry(replace(ORDER, was="order"))))
    assert parse_wanted(text, ()).databases == (ORDER,)


@pytest.mark.parametrize("was", ["pgherd", "order-ro", "o'; DROP", 'o"', "Order", "", 1, False, []])
def test_a_name_that_it_cannot_have_been_is_refused(was: object) -> None:
    with pytest.raises(Trouble, match="the metadata cannot be used: "):
        parse_wanted(json.dumps(metadata(order=entry(ORDER) | {"was": was})), {"pgherd"})


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "null",
        json.dumps({"databases": []}),
        json.dumps(metadata() | {"network": "10.0.0.0/33"}),
        json.dumps(metadata(auth=entry(AUTH)) | {"authorities": ""}),
        json.dumps(metadata() | {"authorities": "no certificate"}),
    ],
)
def test_damaged_metadata_is_one_line_of_trouble(text: str) -> None:
    with pytest.raises(Trouble, match=r"the metadata cannot be used: .+") as caught:
        parse_wanted(text, ())
    assert "\n" not in str(caught.value)


# Secrets


def test_secrets_are_read() -> None:
    pair = server_pair()
    found = parse_secrets(pooler_secret(pair), ADMIN_PASSWORD)
    assert found == Secrets(
        pair.key.decode() + pair.certificate.decode(),
        CLIENTS.pair.certificate.decode(),
        SEED,
        ADMIN_PASSWORD,
    )


@pytest.mark.parametrize(
    "texts",
    [
        ("", "password"),
        ("[]", "password"),
        ('{"seed": "*"}', "password"),
        (pooler_secret(server_pair()).replace("BEGIN CERT", "BEGAN CERT"), "password"),
        (pooler_secret(server_pair(), SEED[:31]), "password"),
        (pooler_secret(server_pair()), " "),
        (pooler_secret(server_pair()), "password\nof two lines"),
    ],
)
def test_damaged_secrets_are_refused_and_not_quoted(texts: tuple[str, str]) -> None:
    with pytest.raises(Trouble) as caught:
        parse_secrets(*texts)
    assert "password\n" not in str(caught.value)
    assert len(str(caught.value)) < 90
    assert caught.value.__cause__ is None


def test_secrets_are_not_shown() -> None:
    shown = repr(SECRETS)
    assert shown == "Secrets()"


# Passwords


def test_a_password_is_derived_and_satisfies_rules() -> None:
    password = role_password(SEED, "auth", "auth")
    assert password == role_password(SEED, "auth", "auth")
    assert len(password) == 32
    assert any(c.isupper() for c in password)
    assert any(c.islower() for c in password)
    assert any(c.isdigit() for c in password)
    assert "_" in password


def test_every_role_and_database_and_seed_has_its_own() -> None:
    found = {
        role_password(seed, role, database)
        for seed in (SEED, SEED[::-1])
        for role in ("auth", "auth_ro")
        for database in ("auth", "order")
    }
    assert len(found) == 8


def test_a_verifier_is_the_one_of_the_rfc() -> None:
    """RFC 7677's example: its server signature follows from the server key."""
    import hashlib
    import hmac

    salt = base64.b64decode("W22ZaJ0SNY7soEsUEjb6gQ==")
    verifier = passwords.scram_verifier("pencil", salt)
    head, keys = verifier.rsplit("$", 1)
    assert head == "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ=="
    stored, server = (base64.b64decode(key) for key in keys.split(":"))
    nonce = "rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
    message = (
        f"n=user,r=rOprNGfwEbeRWgbNEkqO,r={nonce},s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096,"
        f"c=biws,r={nonce}"
    ).encode()
    signature = hmac.digest(server, message, "sha256")
    assert base64.b64encode(signature) == b"6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="
    proof = base64.b64decode("dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=")
    signed = hmac.digest(stored, message, "sha256")
    client_key = bytes(a ^ b for a, b in zip(proof, signed, strict=True))
    assert hashlib.sha256(client_key).digest() == stored


# The vault


class _Refusal(Exception):
    status = 404


@pytest.mark.parametrize("status", [200, 404])
def test_a_secret_is_read_as_the_instance(monkeypatch: pytest.MonkeyPatch, status: int) -> None:
    """The real SDK, but for the signer, which would ask the metadata service, and for the call."""
    oci = pytest.importorskip("oci")

    class Signer(oci.auth.signers.InstancePrincipalsSecurityTokenSigner):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            pass

    def call(client: Any, ocid: str) -> Any:
        assert client.base_client.endpoint.startswith("https://secrets.vaults.eu-frankfurt-1.")
        assert isinstance(client.base_client.signer, Signer)
        if status != 200:
            raise _Refusal(f"a message that quotes {ocid}'s content")
        models = oci.secrets.models
        content = models.Base64SecretBundleContentDetails(content="w7xiZXI=")
        bundle = models.SecretBundle(secret_bundle_content=content)
        return oci.response.Response(200, {}, bundle, None)

    monkeypatch.setattr(oci.auth.signers, "InstancePrincipalsSecurityTokenSigner", Signer)
    monkeypatch.setattr(oci.secrets.SecretsClient, "get_secret_bundle", call)
    if status == 200:
        assert vault.read_vault("eu-frankfurt-1", "ocid1.x") == "über"
        return
    with pytest.raises(Trouble) as caught:
        vault.read_vault("eu-frankfurt-1", "ocid1.x")
    assert str(caught.value) == "secret ocid1.x cannot be read: _Refusal 404"


# PgBouncer's files


def test_the_names_of_a_database_lead_where_they_should() -> None:
    lines = pgbouncer.ini(SETTINGS, WANTED, "postgres").split("\n\n")[0].splitlines()
    assert lines == [
        "[databases]",
        "auth_postgres = host=primary.auth.example port=5432 dbname=postgres"
        " pool_mode=session pool_size=2 max_db_connections=2",
        "auth = host=primary.auth.example port=5432 dbname=auth"
        " pool_mode=session pool_size=30 max_db_connections=32",
        "auth-ro = host=reader.auth.example port=5432 dbname=auth"
        " pool_mode=session pool_size=30 max_db_connections=37",
        "auth-transaction = host=primary.auth.example port=5432 dbname=auth"
        " pool_mode=transaction pool_size=10 max_db_connections=10",
        "auth-ro-transaction = host=reader.auth.example port=5432 dbname=auth"
        " pool_mode=transaction pool_size=10 max_db_connections=15",
        "order_postgres = host=10.0.0.9 port=5432 dbname=postgres"
        " pool_mode=session pool_size=2 max_db_connections=2",
        "order = host=10.0.0.9 port=5432 dbname=order"
        " pool_mode=session pool_size=8 max_db_connections=10",
        "order-ro = host=10.0.0.9 port=5432 dbname=order"
        " pool_mode=session pool_size=8 max_db_connections=15",
        "order-transaction = host=10.0.0.9 port=5432 dbname=order"
        " pool_mode=transaction pool_size=2 max_db_connections=2",
        "order-ro-transaction = host=10.0.0.9 port=5432 dbname=order"
        " pool_mode=transaction pool_size=2 max_db_connections=7",
    ]


def test_every_user_has_its_own_and_no_more() -> None:
    """A service whose names lead to one server has its connections there once."""
    lines = pgbouncer.ini(SETTINGS, WANTED, "postgres").split("\n\n")[1].splitlines()
    reader = (
        "pool_size=5 max_user_connections=5 max_user_client_connections=200"
        " query_timeout=300 idle_transaction_timeout=60"
    )
    assert lines == [
        "[users]",
        "pgherd = pool_size=2",
        "auth = max_user_connections=80 max_user_client_connections=5000",
        f"auth_ro = {reader}",
        "order = max_user_connections=20 max_user_client_connections=5000",
        f"order_ro = {reader}",
    ]


@FEW
@given(st.integers(BESIDE_SERVICE + 4, 3000), st.booleans())
def test_no_server_gets_more_connections_than_its_pool(pool: int, has_replicas: bool) -> None:
    database = replace(AUTH, pool=pool, reader=AUTH.reader if has_replicas else None)
    text = pgbouncer.ini(SETTINGS, replace(WANTED, databases=(database,)), "postgres")
    sections = configparser.ConfigParser(interpolation=None)
    sections.read_string(text)
    limits = {user: numbers(line) for user, line in sections["users"].items()}
    total = defaultdict[str, Counter[str]](Counter)
    for name, line in sections["databases"].items():
        to = re.findall(r"host=(\S+)", line)[0]
        size = numbers(line)["pool_size"]
        entering = [u for u in ("auth", "auth_ro", "pgherd") if may_enter(database, name, u)]
        for user in entering:
            total[user][to] += limits[user].get("pool_size", size)
        assert numbers(line)["max_db_connections"] == sum(
            limits[user].get("pool_size", size) for user in entering
        )
    for to in total["auth"]:
        most = {
            user: min(counts[to], limits[user].get("max_user_connections", counts[to]))
            for user, counts in total.items()
        }
        assert pool - BESIDE_SERVICE - 1 <= most["auth"] <= pool - BESIDE_SERVICE
        assert sum(most.values()) <= pool


def numbers(line: str) -> dict[str, int]:
    return {name: int(value) for name, value in re.findall(r"(\w+)=(\d+)(?=\s|$)", line)}


def may_enter(database: Database, name: str, user: str) -> bool:
    lines = pgbouncer.hba(SETTINGS, replace(WANTED, databases=(database,)), "postgres")
    words = (line.split() for line in lines.splitlines() if line.startswith("hostssl"))
    return any(
        f'"{name}"' in names.split(",") and f'"{user}"' == who for _, names, who, *_ in words
    )


def test_a_pool_that_is_too_small_still_serves() -> None:
    assert replace(AUTH, pool=1).service_pool == 1


def test_a_flood_of_connections_that_never_log_in_is_short() -> None:
    lines = pgbouncer.ini(SETTINGS, WANTED, "postgres").splitlines()
    assert "max_client_conn = 10000" in lines
    assert "client_login_timeout = 10" in lines


def test_both_sides_check_certificates_and_names() -> None:
    lines = pgbouncer.ini(SETTINGS, WANTED, "postgres").splitlines()
    assert "client_tls_sslmode = verify-full" in lines
    assert "server_tls_sslmode = verify-full" in lines
    assert "auth_type = hba" in lines


def test_a_certificate_opens_its_own_database_only() -> None:
    assert pgbouncer.hba(SETTINGS, WANTED, "postgres").splitlines() == [
        'local pgbouncer "postgres" peer',
        'hostssl "auth","auth-ro","auth-transaction","auth-ro-transaction" "auth" 10.0.0.0/16 cert',
        'hostssl "auth-ro","auth-ro-transaction" "auth_ro" 10.0.0.0/16 cert',
        'hostssl "auth","auth-ro","auth_postgres" "pgherd" 10.0.0.0/16 cert',
        'hostssl "order","order-ro","order-transaction","order-ro-transaction" "order"'
        " 10.0.0.0/16 cert",
        'hostssl "order-ro","order-ro-transaction" "order_ro" 10.0.0.0/16 cert',
        'hostssl "order","order-ro","order_postgres" "pgherd" 10.0.0.0/16 cert',
        "host all all 0.0.0.0/0 reject",
    ]


def test_users_have_the_passwords_that_servers_know() -> None:
    lines = pgbouncer.users(SETTINGS, WANTED, SECRETS, "postgres").splitlines()
    assert lines[:3] == [
        '"postgres" ""',
        '"pgherd" "Ab""1-cdefgh"',
        f'"auth" "{role_password(SEED, "auth", "auth")}"',
    ]
    assert f'"order_ro" "{role_password(SEED, "order_ro", "order")}"' == lines[-1]


def test_what_starts_pgbouncer_is_written_last() -> None:
    assert list(pgbouncer.files(SETTINGS, WANTED, SECRETS, "postgres"))[-1] == "pgbouncer.ini"


# SQL


def test_no_password_is_in_the_sql() -> None:
    sql = roles.preparation(AUTH, SEED)
    for role in ("auth", "auth_ro"):
        assert role_password(SEED, role, "auth") not in sql
    assert sql.count("PASSWORD 'SCRAM-SHA-256$4096:") == 2


@pytest.mark.parametrize("database", [AUTH, COPY])
def test_what_the_admin_calls_and_reads_is_named_in_full(database: Database) -> None:
    sql = roles.preparation(database, SEED)
    called = set(re.findall(r"(?<![\w.])(\w+) ?\(", sql))
    assert called <= {"IN", "EXISTS", "WHERE", "pg_"}, "the last is a part of a pattern"
    read = re.findall(r"(?:FROM|JOIN) ((?:pg_catalog\.)?\w+)", sql)
    assert {f for f in read if not f.startswith("pg_catalog")} <= {"PUBLIC"}


def test_the_admins_sessions_are_pinned_before_anything_is_asked() -> None:
    options = psql.admin_login(SETTINGS, AUTH, SECRETS)["PGOPTIONS"].split("-c ")[1:]
    found = dict(option.strip().split("=") for option in options)
    assert found == psql.SESSION
    assert found["search_path"] == "pg_catalog"
    assert {name for name in found if name.endswith("_timeout")} == {
        "statement_timeout",
        "lock_timeout",
        "idle_in_transaction_session_timeout",
        "idle_session_timeout",
    }


def test_psql_inherits_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "psql"
    program.write_text('#!/bin/sh\necho "WARNING: $@ $(env | cut -d= -f1 | sort | xargs)" >&2\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setenv("PGOPTIONS", "-c search_path=public")
    monkeypatch.setenv("PSQLRC", "/tmp/psqlrc")
    monkeypatch.setenv("PGSERVICE", "other")
    said = psql.psql({"PGHOST": "here"}, "").split()
    assert "--no-psqlrc" in said
    assert [name for name in said if name.startswith(("PG", "PSQL"))] == ["PGHOST"]


def test_a_reader_is_made_a_member_of_nothing() -> None:
    sql = roles.preparation(AUTH, SEED)
    assert re.findall(r"(\w+) pg_read_all_data", sql) == ["REVOKE", "revoke"]
    assert [line for line in sql.splitlines() if re.match(r'\s*GRANT "?\w+"? TO', line)] == [
        'GRANT "auth" TO CURRENT_USER;'
    ]


def test_passwords_come_last() -> None:
    sql = roles.preparation(AUTH, SEED)
    assert [line.split("'")[0] for line in sql.splitlines()[-3:]] == [
        'ALTER ROLE "auth" LOGIN PASSWORD ',
        'ALTER ROLE "auth_ro" LOGIN PASSWORD ',
        "COMMIT;",
    ]


def test_a_service_may_be_called_as_sql_calls_its_own_things() -> None:
    sql = roles.preparation(ORDER, SEED)
    assert '\\connect "order"\n' in sql
    assert 'CREATE DATABASE "order" OWNER "order"\' WHERE NOT EXISTS' in sql


def test_what_was_not_restored_is_never_renamed() -> None:
    assert "RENAME" not in roles.preparation(ORDER, SEED)


def test_a_restored_database_differs_in_nothing_but_its_renaming() -> None:
    plain = roles.preparation(replace(COPY, was=None), SEED)
    found = roles.preparation(COPY, SEED)
    head, rest = found.split("DO $$\n", 1)
    renaming, tail = rest.split("END $$;\n", 1)
    assert head + tail == plain
    assert [line.strip() for line in renaming.splitlines() if "RENAME" in line] == [
        'ALTER ROLE "order" RENAME TO "order-copy";',
        'ALTER ROLE "order_ro" RENAME TO "order-copy_ro";',
        'ALTER DATABASE "order" RENAME TO "order-copy";',
    ]


def test_it_is_renamed_before_anything_is_made_under_its_new_name() -> None:
    sql = roles.preparation(COPY, SEED)
    assert sql.index("pg_advisory_lock") < sql.index("ALTER DATABASE") < sql.index("CREATE ROLE")


def test_roles_are_called_as_by_the_local_engine() -> None:
    fields = dict.fromkeys(DatabaseManifest.__dataclass_fields__, "")
    local = DatabaseManifest(**fields | {"service": "auth"})  # type: ignore[arg-type]
    assert AUTH.read_only_role == local.read_only_role


def test_the_admin_is_led_to_the_address_and_checks_the_name() -> None:
    login = psql.admin_login(SETTINGS, AUTH, SECRETS)
    assert login["PGHOST"] == "primary.auth.example"
    assert login["PGHOSTADDR"] == "10.0.0.5"
    assert login["PGSSLMODE"] == "verify-full"
    assert psql.admin_login(SETTINGS, ORDER, SECRETS)["PGHOST"] == "10.0.0.9"


def test_what_psql_says_is_shortened_to_what_matters() -> None:
    said = (
        "psql:<stdin>:3: NOTICE:  role is a member already\n"
        'psql:<stdin>:7: WARNING:  auth_ro may create tables in schema "public"\n'
        "psql:<stdin>:9: ERROR:  permission denied to create role\n"
        "LINE 1: ALTER ROLE x PASSWORD 'secret'\n"
    )
    assert psql._said(said) == [
        'WARNING:  auth_ro may create tables in schema "public"',
        "ERROR:  permission denied to create role",
    ]


# Files


def test_a_file_is_replaced_only_where_it_differs(tmp_path: Path) -> None:
    path = tmp_path / "users.txt"
    assert files.ensure_file(path, "one")
    first = path.stat()
    assert first.st_mode & 0o777 == 0o600
    assert not files.ensure_file(path, "one")
    assert path.stat().st_ino == first.st_ino
    assert files.ensure_file(path, "two")
    assert path.read_text() == "two"
    assert [p.name for p in tmp_path.iterdir()] == ["users.txt"]


def test_a_file_that_others_may_read_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "users.txt"
    path.write_text("one")
    path.chmod(0o644)
    assert files.ensure_file(path, "one")
    assert path.stat().st_mode & 0o777 == 0o600


def test_what_an_interrupted_write_left_is_written_over(tmp_path: Path) -> None:
    left = tmp_path / ".users.txt.new"
    left.write_text("half a longer text")
    left.chmod(0o644)
    assert files.ensure_file(tmp_path / "users.txt", "one")
    assert (tmp_path / "users.txt").read_text() == "one"
    assert (tmp_path / "users.txt").stat().st_mode & 0o777 == 0o600


def test_a_key_of_another_certificate_is_noticed(tmp_path: Path) -> None:
    one, other = server_pair(), server_pair()
    certificates.check_pair(tmp_path, (one.key + one.certificate).decode())
    with pytest.raises(Trouble, match="do not belong together"):
        certificates.check_pair(tmp_path, (one.key + other.certificate).decode())
    assert list(tmp_path.iterdir()) == []


# Rounds


@dataclass(slots=True)
class World:
    """What a host sees, and what it did: journal, scripts by host, reads of secrets."""

    folder: Path
    metadata: Callable[[], str]
    secrets: dict[str, str]
    unreachable: dict[str, str] = field(default_factory=dict)
    journal: list[str] = field(default_factory=list)
    ran: list[str] = field(default_factory=list)
    reads: int = 0
    pgbouncer: tuple[int, int] = OLDEST

    def host(self) -> Host:
        settings = replace(SETTINGS, folder=str(self.folder))
        return Host(
            settings,
            self.read,
            self.journal.append,
            lambda url: self.metadata(),
            self.run,
            lambda: self.pgbouncer,
        )

    def read(self, ocid: str) -> str:
        self.reads += 1
        if ocid not in self.secrets:
            raise Trouble(f"secret {ocid} cannot be read: ServiceError 404")
        return self.secrets[ocid]

    def run(self, login: Mapping[str, str], script: str) -> str:
        to = "RELOAD" if login["PGDATABASE"] == "pgbouncer" else login["PGHOSTADDR"]
        if to in self.unreachable:
            raise Trouble(self.unreachable[to])
        self.ran.append(to)
        return ""

    def since(self, host: Host, now: float) -> tuple[list[str], list[str]]:
        """What a round said and ran."""
        self.journal.clear()
        self.ran.clear()
        host.round(now)
        return list(self.journal), list(self.ran)


@pytest.fixture
def world(tmp_path: Path) -> World:
    text = json.dumps(metadata(auth=entry(AUTH), order=entry(ORDER)))
    secrets = {"pooler": pooler_secret(server_pair()), "admin": ADMIN_PASSWORD}
    return World(tmp_path, lambda: text, secrets)


def no_answer() -> str:
    raise Trouble("the metadata cannot be read: timed out")


def test_the_first_round_does_all(world: World) -> None:
    said, ran = world.since(world.host(), 0)
    assert ran == ["RELOAD", "10.0.0.5", "10.0.0.9"]
    assert said == [
        "metadata: databases auth, order are wanted",
        "secrets: new ones were read",
        "files: server.pem was written",
        "files: client-authority.crt was written",
        "files: server-authorities.crt was written",
        "files: users.txt was written",
        "files: hba.conf was written",
        "files: pgbouncer.ini was written",
        "pgbouncer: it was reloaded",
        "auth: it is prepared",
        "order: it is prepared",
    ]
    assert {path.stat().st_mode & 0o777 for path in world.folder.iterdir()} == {0o600}


def test_a_pgbouncer_that_would_not_start_with_them_is_given_no_files(world: World) -> None:
    world.pgbouncer = (1, 22)
    host = world.host()
    said, ran = world.since(host, 0)
    assert said[-1] == "files: PgBouncer 1.22 is too old for them: 1.24 or newer is needed"
    assert (ran, list(world.folder.iterdir())) == ([], [])
    assert world.since(host, 15) == ([], [])
    world.pgbouncer = (1, 24)
    assert "files: works again" in world.since(host, 30)[0]


@pytest.mark.parametrize(
    ("says", "found"), [("PgBouncer 1.25.1", (1, 25)), ("PgBouncer 1.24.1\nlibevent 2", (1, 24))]
)
def test_pgbouncers_version_is_read(tmp_path: Path, says: str, found: tuple[int, int]) -> None:
    program = tmp_path / "pgbouncer"
    program.write_text(f"#!/bin/sh\necho '{says}'\n")
    program.chmod(0o755)
    assert pgbouncer.pgbouncer_version(str(program)) == found


def test_a_pgbouncer_without_a_version_is_trouble(tmp_path: Path) -> None:
    with pytest.raises(Trouble, match="cannot be started"):
        pgbouncer.pgbouncer_version(str(tmp_path / "pgbouncer"))
    with pytest.raises(Trouble, match="does not say its version"):
        pgbouncer.pgbouncer_version("true")


def test_the_next_one_does_nothing(world: World) -> None:
    host = world.host()
    host.round(0)
    assert world.since(host, 15) == ([], [])
    assert world.since(host, SECRETS_SECONDS) == ([], [])


def test_secrets_are_read_every_ten_minutes(world: World) -> None:
    host = world.host()
    for now in range(0, SECRETS_SECONDS, 15):
        host.round(now)
    assert world.reads == 2
    host.round(SECRETS_SECONDS)
    assert world.reads == 4


def test_a_new_process_finds_the_files_in_order(world: World) -> None:
    world.host().round(0)
    said, ran = world.since(world.host(), 0)
    assert ran == ["RELOAD", "10.0.0.5", "10.0.0.9"]
    assert not [line for line in said if line.startswith("files:")]


def test_a_renewed_certificate_is_loaded_and_nothing_else_done(world: World) -> None:
    host = world.host()
    host.round(0)
    world.secrets["pooler"] = pooler_secret(server_pair())
    said, ran = world.since(host, SECRETS_SECONDS)
    assert ran == ["RELOAD"]
    assert said == [
        "secrets: new ones were read",
        "files: server.pem was written",
        "pgbouncer: it was reloaded",
    ]


def test_a_new_seed_is_told_to_the_databases(world: World) -> None:
    host = world.host()
    host.round(0)
    world.secrets["pooler"] = pooler_secret(server_pair(), SEED[::-1])
    assert world.since(host, SECRETS_SECONDS)[1] == ["RELOAD", "10.0.0.5", "10.0.0.9"]


def test_one_dead_database_does_not_hold_up_the_others(world: World) -> None:
    host = world.host()
    world.unreachable["10.0.0.5"] = "error: connection timed out"
    said, ran = world.since(host, 0)
    assert ran == ["RELOAD", "10.0.0.9"]
    assert said[-2:] == ["auth: error: connection timed out", "order: it is prepared"]
    assert world.since(host, 15) == ([], []), "the same trouble was said again"
    world.unreachable.clear()
    said, ran = world.since(host, 30)
    assert ran == ["10.0.0.5"]
    assert said == ["auth: it is prepared", "auth: works again"]


def test_metadata_that_cannot_be_read_changes_nothing(world: World) -> None:
    host = world.host()
    host.round(0)
    before = {path.name: path.stat().st_ino for path in world.folder.iterdir()}
    world.metadata = no_answer
    said, ran = world.since(host, 15)
    assert (said, ran) == (["metadata: the metadata cannot be read: timed out"], [])
    assert {path.name: path.stat().st_ino for path in world.folder.iterdir()} == before


def test_secrets_that_cannot_be_read_are_tried_each_round_and_change_nothing(world: World) -> None:
    host = world.host()
    host.round(0)
    kept = dict(world.secrets)
    world.secrets.clear()
    said, ran = world.since(host, SECRETS_SECONDS)
    assert (said, ran) == (["secrets: secret pooler cannot be read: ServiceError 404"], [])
    world.secrets.update(kept)
    assert world.since(host, SECRETS_SECONDS + 15) == (["secrets: works again"], [])


def test_secrets_that_pgbouncer_would_die_of_are_left_unused(world: World) -> None:
    host = world.host()
    host.round(0)
    other = server_pair()
    world.secrets["pooler"] = pooler_secret(replace(other, key=server_pair().key))
    said, ran = world.since(host, SECRETS_SECONDS)
    assert (said, ran) == (
        ["secrets: the pooler's certificate and key do not belong together"],
        [],
    )


def test_nothing_is_written_before_there_are_secrets(world: World) -> None:
    world.secrets.clear()
    assert world.since(world.host(), 0)[1] == []
    assert list(world.folder.iterdir()) == []


def test_a_new_tier_waits_for_its_first_database(world: World) -> None:
    text = json.dumps(metadata() | {"authorities": ""})
    host = replace(world, metadata=lambda: text).host()
    assert world.since(host, 0) == (
        ["metadata: databases none are wanted", "secrets: new ones were read"],
        [],
    )
    assert list(world.folder.iterdir()) == []


def test_a_pgbouncer_that_is_not_there_is_told_later(world: World) -> None:
    host = world.host()
    world.unreachable["RELOAD"] = "error: no such file"
    assert "pgbouncer: error: no such file" in world.since(host, 0)[0]
    assert world.since(host, 15) == ([], [])
    world.unreachable.clear()
    assert world.since(host, 30)[1] == ["RELOAD"]
    assert world.since(host, 45)[1] == []


def test_a_database_that_moved_is_prepared_where_it_is_now(world: World) -> None:
    host = world.host()
    host.round(0)
    moved = replace(ORDER, primary=replace(ORDER.primary, host="10.0.0.77"))
    text = json.dumps(metadata(auth=entry(AUTH), order=entry(moved)))
    world.metadata = lambda: text
    assert world.since(host, 15)[1] == ["RELOAD", "10.0.0.77"]


def test_a_database_is_prepared_again_when_it_is_known_what_it_was(world: World) -> None:
    host = world.host()
    host.round(0)
    text = json.dumps(metadata(auth=entry(AUTH), order=entry(replace(ORDER, was="till"))))
    world.metadata = lambda: text
    assert world.since(host, 15)[1] == ["10.0.0.9"]
    assert world.since(host, 30)[1] == []


def test_a_database_that_left_and_came_back_is_prepared_again(world: World) -> None:
    host = world.host()
    host.round(0)
    both, alone = world.metadata, json.dumps(metadata(auth=entry(AUTH)))
    world.metadata = lambda: alone
    assert world.since(host, 15)[1] == ["RELOAD"]
    assert "order" not in (world.folder / "pgbouncer.ini").read_text()
    assert '"order' not in (world.folder / "users.txt").read_text()
    world.metadata = both
    assert world.since(host, 30)[1] == ["RELOAD", "10.0.0.9"]


def test_a_folder_that_cannot_be_written_is_said_and_stops_the_round(world: World) -> None:
    host = replace(world, folder=world.folder / "missing").host()
    said, ran = world.since(host, 0)
    assert ran == []
    assert "missing/.server.pem.check: No such file or directory" in said[-1]


def test_no_secret_is_in_the_journal(world: World) -> None:
    host = world.host()
    world.unreachable["10.0.0.9"] = "error: no"
    host.round(0)
    password = role_password(SEED, "auth", "auth")
    told = "\n".join(world.journal)
    for secret in (ADMIN_PASSWORD, password, "PRIVATE KEY", base64.b64encode(SEED).decode()):
        assert secret not in told


def test_the_list_of_ignored_parameters_ends_in_a_comma() -> None:
    """Or a client's `options=-c =x` keeps PgBouncer 1.20 to 1.26.0 busy for ever."""
    (ignored,) = re.findall(
        r"^ignore_startup_parameters = (.*)$",
        pgbouncer.ini(SETTINGS, WANTED, "postgres"),
        re.MULTILINE,
    )
    assert ignored.endswith(",")
