"""`url`, `connect`, `logs`, `switchover`, `failover`, `certificates` and `doctor`."""

import shlex

import pytest
from shop import Shop

from pgherd.contract.offers import Capability
from pgherd.errors import InputError


def test_url_is_the_uri_of_the_role(running: Shop) -> None:
    assert running.out("url", "production/auth") == "postgresql://auth@memory.invalid:5432/auth\n"
    read_only = running.out("url", "production/auth", "--role", "read-only")
    assert read_only.startswith("postgresql://auth_read_only@")


def test_url_is_of_a_session_or_of_transactions(running: Shop) -> None:
    url = ("url", "production/auth")
    assert running.out(*url, "--session") == running.out(*url)
    assert running.out(*url, "--transaction").endswith("/auth-transaction\n")
    assert "export PGDATABASE=auth-transaction" in running.out(*url, "--transaction", "--variables")
    running.write(running.file.read_text() + "\ndefaults: {pooling: transaction}\n")
    assert running.out(*url).endswith("/auth-transaction\n")
    assert running.out(*url, "--session").endswith("/auth\n")
    assert running.out(*url, "--role", "operator").endswith("/auth\n")


def test_url_of_both_or_of_an_operators_transactions_is_refused(running: Shop) -> None:
    url = ("url", "production/auth", "--transaction")
    assert "exclude each other" in running.err(*url, "--session", exit_code=2)
    assert "always has a session" in running.err(*url, "--role", "operator", exit_code=2)


def test_url_as_variables_for_a_shell(running: Shop) -> None:
    assert running.out("url", "production/auth", "--variables").splitlines() == [
        "export PGHOST=memory.invalid",
        "export PGPORT=5432",
        "export PGDATABASE=auth",
        "export PGUSER=auth",
    ]


def test_url_of_what_is_not_there(shop: Shop) -> None:
    assert "error: production/auth is not here" in shop.err("url", "production/auth", exit_code=2)
    assert "write ENVIRONMENT/SERVICE" in shop.err("url", "auth", exit_code=2)
    assert "write one of auth, order" in shop.err("url", "production/x", exit_code=2)


def test_what_is_no_database_is_answered_with_one_of_the_fleet(shop: Shop) -> None:
    shop.write(shop.file.read_text().replace("[auth, order]", "[stock, till]"))
    verbs = (
        *(["url"], ["connect"], ["logs"], ["show"], ["switchover"], ["failover"]),
        *(["backup", "list"], ["restore", "--to", "2026-01-01"]),
    )
    for verb in verbs:
        complaint = shop.err(*verb, "till", exit_code=2)
        assert complaint == (
            "error: 'till' is not a database\n"
            "hint: write ENVIRONMENT/SERVICE, as in production/till\n"
        )
    assert "as in staging/stock\n" in shop.err("url", "staging", exit_code=2)
    assert "as in production/stock\n" in shop.err("url", "nothing/at/all", exit_code=2)


@pytest.mark.parametrize(
    ("given", "hint"),
    [
        ("production/auth -c 'select 1'", "production/auth -- -c 'select 1'"),
        ("production/auth --role operator -Atc x", "production/auth --role operator -- -Atc x"),
        ("production/auth --csv -- -c x", "production/auth -- --csv -c x"),
        ("-c x production/auth", 'ENVIRONMENT/SERVICE -- -c "select 1"'),
    ],
)
def test_options_of_psql_are_told_to_go_after_dashes(running: Shop, given: str, hint: str) -> None:
    complaint = running.err("connect", *shlex.split(given), exit_code=2)
    assert complaint.startswith("error: -")
    assert "is not an option of pgherd connect\n" in complaint
    assert complaint.endswith(f"hint: write psql's own after --, as in pgherd connect {hint}\n")
    assert running.started == []


def test_a_misspelt_option_of_connect_is_answered_with_the_right_one(running: Shop) -> None:
    result = running.run("connect", "production/auth", "--rol", "operator")
    assert "--role" in result.output


def test_connect_starts_psql_with_the_variables_and_arguments(running: Shop) -> None:
    running.out("connect", "production/auth", "--role", "operator", "--", "-c", "select 1")
    ((program, arguments, variables),) = running.started
    assert program.endswith("psql")
    assert arguments == ("-c", "select 1")
    assert variables["PGUSER"] == "postgres"


def test_logs_name_their_source(running: Shop) -> None:
    assert running.out("logs", "production/auth", "--lines", "1").startswith("memory: ")
    assert len(running.out("logs", "production/auth", "--lines", "2").splitlines()) == 2


def test_switchover_names_the_new_primary_and_the_time(running: Shop) -> None:
    said = running.out("switchover", "production/auth")
    assert said == "production/auth: the primary is auth-2 (0.0 s)\n"
    assert "auth-1" in running.out("switchover", "production/auth", "--to", "auth-1")
    complaint = running.err("switchover", "production/auth", "--to", "auth-9", exit_code=2)
    assert "write one of auth-1, auth-2" in complaint


def test_failover_without_a_replica_is_refused(running: Shop) -> None:
    assert "auth-2" in running.out("failover", "production/auth")
    assert "has no replica" in running.err("failover", "staging/auth", exit_code=2)


def test_certificates_of_the_fleet_and_of_one_environment(running: Shop) -> None:
    assert len(running.json("certificates")["certificates"]) == 2
    (certificate,) = running.json("certificates", "staging")["certificates"]
    assert certificate == {
        "environment": "staging",
        "service": None,
        "subject": "staging 0",
        "purpose": "server",
        "not_after": "9999-01-01T00:00:00+00:00",
        "due_at": None,
        "is_due": False,
        "path": "staging",
        "is_authority": False,
    }
    assert running.out("certificates", "staging").startswith("1 certificate\n")
    assert "'qa' is not an environment" in running.err("certificates", "qa", exit_code=2)


def test_rotating_makes_all_certificates_anew(running: Shop) -> None:
    out = running.out("certificates", "--rotate")
    assert out == "production: 1 certificate made anew\nstaging: 1 certificate made anew\n"
    assert [e.authority for e in running.world.environments.values()] == [1, 1]


def test_new_authorities_are_made_on_request_and_with_all_certificates(running: Shop) -> None:
    err = running.err("certificates", "staging", "--authorities", exit_code=2)
    assert "--authorities goes with --rotate" in err
    out = running.out("certificates", "staging", "--rotate", "--authorities")
    assert out == "staging: 1 certificate made anew, by new authorities\n"


def test_doctor_tells_what_is_missing_and_what_to_do(shop: Shop) -> None:
    out = shop.out("doctor")
    assert out.startswith("engine local\n")
    assert "memory  yes        databases are remembered" in out
    assert "disk: use another engine" in out
    (first, second) = shop.json("doctor")["capabilities"]
    assert first["required"]
    assert not second["available"]


def test_doctor_works_without_a_fleet_file(shop: Shop) -> None:
    shop.write("fleet: [")
    assert "no fleet file was looked at" in shop.out("doctor")


def test_doctor_fails_where_something_required_is_missing() -> None:
    from pgherd.cli.doctor import missing_errors

    needed = Capability("etcd", False, "etcd is not installed", "run `make setup`")
    optional = Capability("root", False, "no root", required=False)
    (error,) = missing_errors({"local": (needed, optional)})
    assert isinstance(error, InputError)
    assert (error.message, error.hint) == ("etcd: etcd is not installed", "run `make setup`")
