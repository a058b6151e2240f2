"""What is written for other programs, compared with files that a person has read.

After a change that is meant: `PGHERD_GOLDEN=write pytest tests/unit/local/test_golden_files.py`,
then read the difference.
"""

import os
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from local_fleet import ALONE, AUTH, LAYOUT, PRODUCTION

from pgherd.engines.local import etcd, patroni, pooler, postgres, template
from pgherd.engines.local.layout import Layout

ODD = Layout(Path('/srv/My "state" \\\\ folder\'s'))
GOLDEN = Path(__file__).parents[2] / "golden/local"


def patroni_yml() -> str:
    instance = AUTH.instances[0]
    return patroni.render(
        patroni.configuration(LAYOUT, PRODUCTION, AUTH, instance, operator="postgres")
    )


def asynchronous_yml() -> str:
    return patroni.render(patroni.dynamic_configuration(ALONE))


def script(name: str, layout: Layout = LAYOUT) -> str:
    text = patroni.scripts(layout, AUTH, 1)[name]
    return text.replace(sys.executable, "PYTHON").replace(template.__file__, "TEMPLATE")


def lines(found: list[str]) -> str:
    return "".join(f"{line}\n" for line in found)


TEXTS: dict[str, Callable[[], str]] = {
    "patroni.yml": patroni_yml,
    "patroni-asynchronous.yml": asynchronous_yml,
    "pg_hba.conf": lambda: lines(postgres.hba(AUTH)),
    "pg_ident.conf": lambda: lines(postgres.ident(AUTH, "postgres")),
    "pg_ident-own-user.conf": lambda: lines(postgres.ident(AUTH, "alice")),
    "bootstrap.sql": lambda: postgres.bootstrap_sql(AUTH),
    **{name: partial(script, name) for name in patroni.scripts(LAYOUT, AUTH, 1)},
    "initdb-odd-path": lambda: script("initdb", ODD),
    "pgbouncer.ini": lambda: pooler.settings(LAYOUT, AUTH, "postgres"),
    "pgbouncer-hba.conf": lambda: pooler.hba(AUTH, "postgres"),
    "pgbouncer-ident.conf": lambda: pooler.ident(AUTH),
    "pgbouncer-users.txt": lambda: pooler.users(AUTH, "postgres"),
    "databases-with-replicas.ini": lambda: pooler.databases(
        AUTH, pooler.Route("127.7.0.3", ("127.7.0.4", "127.7.0.5"))
    ),
    "databases-alone.ini": lambda: pooler.databases(AUTH, pooler.Route("127.7.0.3")),
    "databases-unknown.ini": lambda: pooler.databases(AUTH, pooler.Route(None)),
    "etcd.arguments": lambda: lines(etcd.arguments(LAYOUT, PRODUCTION)),
}


@pytest.mark.parametrize("name", TEXTS)
def test_it_is_as_it_was_read(name: str) -> None:
    path = GOLDEN / name
    text = TEXTS[name]()
    if os.environ.get("PGHERD_GOLDEN") == "write":
        path.write_text(text)
    assert text == path.read_text(), f"{name} has changed: see this file's docstring"


def test_no_file_is_left_over() -> None:
    assert {path.name for path in GOLDEN.iterdir()} == set(TEXTS)


def test_nothing_written_names_a_password() -> None:
    for name, make in TEXTS.items():
        text = make().lower()
        assert "password" not in text.replace("password_encryption", ""), name
