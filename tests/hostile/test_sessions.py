"""As whom pgherd speaks to databases: by its sources, and by what PostgreSQL has seen of it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from running_fleet import AUTH, RunningFleet
from statements import (
    CONSOLE,
    EITHER,
    MONITOR,
    NEW,
    REWIND,
    SOURCE,
    STATEMENTS,
    SUPERUSER,
    TENANT,
)

import pgherd
from pgherd.control.migrations import AlembicMigrations
from pgherd.control.up import converge

SOURCES = Path(pgherd.__file__).parent
SENDERS = ("execute", "exec_driver_sql", "executemany", "fetch", "copy")
ROOMS = ("engines/local", "engines/oci", "control", "cli", "decide", "fleet")


def sources() -> Iterator[Path]:
    for room in ROOMS:
        yield from sorted((SOURCES / room).rglob("*.py"))


def sent(path: Path) -> Iterator[str]:
    """What a source hands to a method that sends statements, constants of the module included."""
    module = ast.parse(path.read_text())
    constants = {
        node.targets[0].id: node.value
        for node in module.body
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)
    }
    for node in ast.walk(module):
        match node:
            case ast.Call(func=ast.Attribute(attr=attr), args=[first, *_]) if attr in SENDERS:
                if (text := as_text(first, constants)) is not None:
                    yield " ".join(text.split())


def as_text(node: ast.expr, constants: Mapping[str, ast.expr]) -> str | None:
    match node:
        case ast.Constant(value=str(text)):
            return text
        case ast.JoinedStr(values=values):
            parts = (v.value if isinstance(v, ast.Constant) else "{}" for v in values)
            return "".join(map(str, parts))
        case ast.Call(func=ast.Attribute(value=inner, attr="format")):
            return as_text(inner, constants)
        case ast.Call(func=ast.Attribute(attr="SQL"), args=[inner]):
            return as_text(inner, constants)
        case ast.Name(id=name) if name in constants:
            return as_text(constants[name], constants)
        case ast.Name(id=name):
            return f"<{name}>"
    return None


def test_each_statement_is_on_the_list_and_each_on_the_list_is_sent() -> None:
    found = {text for path in sources() for text in sent(path)}
    # Named by a variable: the console's RELOAD, PAUSE and RESUME, and what masks a copy.
    found -= {"<command>", "<masking>"}
    assert found - STATEMENTS.keys() == set(), "say in tests/hostile/statements.py who sends it"
    assert STATEMENTS.keys() - found == set(), "nobody sends these any more"


def test_sessions_are_opened_in_five_places_only() -> None:
    """The agent's in `sessions.py`; as the service, migrations', masking's, looks'; an import's."""
    openers = set()
    for path in sources():
        text = path.read_text()
        if re.search(
            r"psycopg\.(Async)?(connect|Connection\.connect)|(AsyncConnection|PGconn)\.connect",
            text,
        ):
            openers.add(path.name)
    assert openers == {"sessions.py", "migrations.py", "looker.py", "masking.py", "looking.py"}


@pytest.mark.parametrize("statement", [s for s, who in STATEMENTS.items() if who == SUPERUSER])
def test_a_superusers_statement_leaves_no_name_to_be_looked_up(statement: str) -> None:
    """Each function, table and cast says that it is pg_catalog's."""
    words = re.sub(r"'[^']*'", "", statement)
    for called in re.findall(r"([\w.]+)\(", words):
        if called.upper() not in ("ARRAY", "EXISTS", "IN", "OPERATOR", "ALL", "AND"):
            assert called.startswith("pg_catalog."), called
    for relation in re.findall(r"\b(?:FROM|JOIN)\s+([\w.]+)", words):
        assert relation.startswith("pg_catalog."), relation
    for cast in re.findall(r"::([\w.]+)", words):
        assert cast.startswith("pg_catalog."), cast


def test_every_statement_has_a_sender() -> None:
    assert set(STATEMENTS.values()) <= {
        *(SUPERUSER, MONITOR, TENANT, CONSOLE, NEW, REWIND, SOURCE, EITHER)
    }


LINE = re.compile(r"(?P<user>\w+)@(?P<database>[\w-]+) LOG:  (?P<what>.*)")


@pytest.mark.integration
def test_postgresql_sees_no_superuser_in_a_services_database(running: RunningFleet) -> None:
    """Everything that is logged of a life: who connected where, and who said what."""
    layout = running.layout

    def logged() -> list[re.Match[str]]:
        texts = [p.read_text() for p in layout.database_log(AUTH).glob("*.postgresql.log")]
        return [m for text in texts for line in text.splitlines() if (m := LINE.search(line))]

    def set_logging(value: str) -> None:
        for instance in running.manifest(AUTH).instances:
            with running.operator(AUTH, instance, database="postgres") as operator:
                operator.execute(f"ALTER SYSTEM SET log_statement = {value}")
                operator.execute("SELECT pg_reload_conf()")

    async def live() -> None:
        engine = running.engine
        await engine.observe()
        await engine.ensure_ocpus(running.wanted(AUTH), 2)
        await engine.ensure_ocpus(running.wanted(AUTH), 1)
        await engine.switchover(AUTH)
        await engine.ensure_database(running.wanted(AUTH))
        await engine.certificates.ensure_valid("production", renew=True)
        outcome = await converge(
            running.fleet, {"local": running.engine}, migrations=AlembicMigrations()
        )
        assert not outcome.troubles

    set_logging("'all'")
    before = len(logged())
    running.run(live())
    set_logging("DEFAULT")
    found = logged()[before:]
    said = [m for m in found if m["what"].startswith(("statement:", "execute"))]
    assert len(said) > 20
    intruders = [m[0] for m in said if m["user"] == "postgres" and m["database"] != "postgres"]
    assert intruders == []
    tenants = {m["what"].partition(": ")[2] for m in said if m["user"] == "auth"}
    assert any("alembic_version" in what for what in tenants)
