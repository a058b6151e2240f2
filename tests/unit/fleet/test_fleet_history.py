"""Where a fleet file keeps the history, what is refused there, and that no secret is shown."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from pgherd.engines.known import values
from pgherd.fleet.desired import Fleet
from pgherd.fleet.history_place import HistoryPlace, url_problem
from pgherd.fleet.stored import decode, encode
from pgherd.report.fleet import fleet_json

VALID = """\
fleet: shop
services: [auth]
environments:
  dev: {network: 10.1.0.0/16, ocpus: 2, storage: 1TB}
"""
SECRET = "s3cr3t"
URL = "postgresql://me@history.example.com:5433/pgherd?sslmode=verify-full&sslcert=/c&sslkey=/k"


def test_without_the_key_it_is_a_file(read: Callable[[str], Fleet]) -> None:
    assert read(VALID).history is None


@pytest.mark.parametrize(
    ("text", "place"),
    [
        (f'{{url: "{URL}"}}', HistoryPlace(url=URL)),
        ("{url_file: /etc/pgherd/history}", HistoryPlace(url_file="/etc/pgherd/history")),
    ],
)
def test_it_is_read_and_stored(
    read: Callable[[str], Fleet], text: str, place: HistoryPlace
) -> None:
    fleet = read(f"history: {text}\n{VALID}")
    assert fleet.history == place
    assert decode(encode(fleet.without_secrets()), values()).history == place
    assert fleet_json(fleet, ())["history"] == str(place)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (f"postgresql://me:{SECRET}@h/d", "1:11: url: this URL has a password"),
        (f"postgresql://me@h/d?password={SECRET}", "1:11: url: this URL has a password"),
        (f"postgresql://me@h/d?pass%77ord={SECRET}", "1:11: url: this URL has a password"),
        (f"postgresql://me@h/d?sslpassword={SECRET}", "1:11: url: this URL has a password"),
        ("postgresql://me:@h/d", "1:11: url: this URL has a password"),
        ("postgresql://h/d", "names no role"),
        ("postgresql://me@/d", "names no server"),
        ("postgresql://me@h/", "with the name of a database"),
        ("postgresql://me@h/a/b", "with the name of a database"),
        ("postgresql://me@h/d?service=other", "no place here: service"),
        ("postgresql://me@h/d?options=-c%20role=x", "no place here: options"),
        ("postgresql://me@h/d?sslmode", "this is not a URL of PostgreSQL"),
        ("postgresql://me@h:port/d", "this is not a URL of PostgreSQL"),
        ("postgresql+psycopg://me@h/d", "this is not a URL of PostgreSQL"),
        ("mysql://me@h/d", "this is not a URL of PostgreSQL"),
    ],
)
def test_what_is_no_place_is_refused(
    report: Callable[[str], list[str]], text: str, problem: str
) -> None:
    (found,) = report(f'history: {{url: "{text}"}}\n{VALID}')
    assert problem in found
    assert SECRET not in found
    assert ("url_file" in found) == ("password" in problem)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("{}", "history: it is not said where it is kept; write url or url_file"),
        ("{url_file: /a, url: 'postgresql://me@h/d'}", "the history has url, too"),
        ("{url_file: a}", "not the whole path of a file"),
        (f"postgresql://me:{SECRET}@h/d", "this is not a place for the history"),
    ],
)
def test_there_is_one_place(report: Callable[[str], list[str]], text: str, problem: str) -> None:
    found = report(f"history: {text}\n{VALID}")
    assert problem in found[0]
    assert SECRET not in str(found)


def test_a_private_file_may_have_a_password() -> None:
    for url in (f"postgresql://me:{SECRET}@h/d", f"postgresql://me@h/d?password={SECRET}"):
        assert url_problem(url, is_private=True) == ""
        assert url_problem(url, is_private=False) == "this URL has a password"
    assert url_problem("postgresql://me@/d?host=/run/a,/run/b", is_private=False) == ""
    for url in ("postgresql://me@h/d?passwor=x", "postgresql://me@h/d#x", "postgresql://me@h/d x"):
        assert url_problem(url, is_private=True)
