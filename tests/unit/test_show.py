"""`pgherd show` as a user runs it: tables, one database, JSON, and which file it reads."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from pgherd.cli.fleet_option import fleet_file
from pgherd.cli.show import show
from pgherd.cli.tables import print_table
from pgherd.errors import InputError
from pgherd.fleet.problem import FleetFileError
from pgherd.fleet.summary import Table

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples/ecommerce/fleet.yaml"
SEED = Path(__file__).parent / "fleet/seed_tables.txt"
SMALL = """\
fleet: shop
services: [auth]
environments:
  dev: {network: 10.0.0.0/16, ocpus: 2, storage: 1TB, autoscale: false}
"""


@pytest.fixture(autouse=True)
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty folder, and no variable that names a file."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PGHERD_FILE", raising=False)
    monkeypatch.delenv("PGHERD_EXAMPLE", raising=False)


def run(*arguments: str) -> Result:
    return CliRunner().invoke(show, arguments, catch_exceptions=False)


def as_json(*arguments: str) -> dict[str, Any]:
    parsed: dict[str, Any] = json.loads(run("--json", *arguments).stdout)
    return parsed


def test_what_is_printed_is_the_tables_of_the_architecture() -> None:
    printed = []
    for block in run("-f", str(EXAMPLE)).stdout.strip().split("\n\n"):
        title, *lines = block.splitlines()
        rows = [" | ".join(re.split(r" {2,}", line)) for line in lines if "──" not in line]
        printed.append("\n".join([f"## {title}", *rows]))
    assert "\n\n".join(printed) == SEED.read_text("utf-8").strip()


def test_json_has_the_fixed_names_and_every_resolved_value() -> None:
    shown = as_json("-f", str(EXAMPLE))
    assert shown["fleet"] == "ecommerce"
    assert shown["file"] == str(EXAMPLE)
    assert len(shown["databases"]) == 30
    auth = shown["databases"][0]
    origins = auth.pop("origins")
    assert auth == {
        "environment": "production",
        "service": "auth",
        "name": "ecommerce-production-auth-db",
        "engine": "local",
        "compartment": "ecommerce-production",
        "network": "10.0.0.0/16",
        "ocpus": {"initial": 2, "max": 128},
        "storage": {"initial_bytes": 2_000_000_000_000, "max_bytes": None},
        "replicas": {"min": 2, "max": 5},
        "availability_domains": 3,
        "autoscale": {"cpu_percent": 80, "memory_percent": 80},
        "peaks": [],
        "maintenance": [],
        "backup_retention_days": 30,
        "backup_copy_to": ["us-phoenix-1"],
        "backup_when_full": "hold",
        "backup_stream": False,
        "drills_restore_days": 7,
        "objectives_rto_seconds": None,
        "objectives_rpo_seconds": None,
        "durability": "synchronous",
        "pooling": "session",
        "deletion_protection": True,
        "postgresql": None,
        "local": {
            "core_per_ocpu": 0.1,
            "memory_per_ocpu_bytes": 67_108_864,
            "require": [],
            "repository": None,
            "regions": {},
        },
        "migrations": str(EXAMPLE.parent / "services/auth/migrations"),
        "load": str(EXAMPLE.parent / "load/customers.py"),
        "masking": None,
    }
    assert re.fullmatch(r"fleet\.yaml:\d+", origins["ocpus"])


def test_json_of_one_database(tmp_path: Path) -> None:
    (tmp_path / "fleet.yaml").write_text(SMALL)
    (database,) = as_json("dev/auth")["databases"]
    assert database["autoscale"] is None
    assert database["migrations"] is None
    assert database["load"] is None
    assert database["masking"] is None


def test_one_database_is_shown_with_where_its_values_come_from(tmp_path: Path) -> None:
    (tmp_path / "fleet.yaml").write_text(SMALL)
    lines = run("dev/auth").stdout.splitlines()
    assert lines[0] == "dev/auth (shop-dev-auth-db)"
    assert "fleet.yaml:4" in next(line for line in lines if line.startswith("storage "))
    assert "default" in next(line for line in lines if line.startswith("replicas "))


def test_origins_of_all_databases() -> None:
    titles = [
        block.splitlines()[0] for block in run("--origins", "-f", str(EXAMPLE)).stdout.split("\n\n")
    ]
    assert [title.split(":")[0] for title in titles] == ["production", "staging", "development"]
    assert titles[0].endswith("shipping, return")


@pytest.mark.parametrize(
    ("database", "message"),
    [
        ("auth", "'auth' is not a database"),
        ("qa/auth", "'qa' is not an environment of this fleet"),
        ("dev/order", "'order' is not a service of this fleet"),
    ],
)
def test_an_unknown_database_is_an_error_of_input(
    tmp_path: Path, database: str, message: str
) -> None:
    (tmp_path / "fleet.yaml").write_text(SMALL)
    with pytest.raises(InputError, match=message):
        run(database)


def test_a_wrong_file_is_an_error_of_input(tmp_path: Path) -> None:
    (tmp_path / "fleet.yaml").write_text(SMALL.replace("ocpus", "ocpu"))
    with pytest.raises(FleetFileError, match=r"fleet\.yaml:4:31: ocpu: unknown key; write ocpus"):
        run()


class TestWhichFile:
    """-f, then PGHERD_FILE, then ./fleet.yaml, then the example's."""

    @pytest.fixture
    def files(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        for name in ("option", "variable", "example", "fleet"):
            text = SMALL.replace("shop", f"from-{name}")
            (tmp_path / f"{name}.yaml").write_text(text)
        monkeypatch.setenv("PGHERD_FILE", "variable.yaml")
        monkeypatch.setenv("PGHERD_EXAMPLE", str(tmp_path / "example.yaml"))
        return tmp_path

    def test_the_order(self, files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        assert as_json("-f", "option.yaml")["fleet"] == "from-option"
        assert as_json("--file", "option.yaml")["fleet"] == "from-option"
        assert as_json()["fleet"] == "from-variable"
        monkeypatch.delenv("PGHERD_FILE")
        assert as_json()["fleet"] == "from-fleet"
        (files / "fleet.yaml").unlink()
        assert as_json()["fleet"] == "from-example"

    def test_a_file_that_is_named_is_not_replaced_by_another(self, files: Path) -> None:
        with pytest.raises(FleetFileError, match=r"none\.yaml: does not exist"):
            run("-f", "none.yaml")

    def test_no_file_at_all_says_what_was_looked_for(self, monkeypatch: pytest.MonkeyPatch) -> None:
        with pytest.raises(InputError) as caught:
            fleet_file(None)
        assert caught.value.message == "no fleet file: looked for ./fleet.yaml"
        assert caught.value.hint == "name one with -f FILE or in PGHERD_FILE"
        monkeypatch.setenv("PGHERD_EXAMPLE", "/none/fleet.yaml")
        with pytest.raises(InputError, match=r"looked for \./fleet\.yaml and /none/fleet\.yaml"):
            fleet_file(None)


class TestTables:
    """What a terminal of some width gets."""

    TABLE = Table(
        "A Table", ("First Column", "Second Column"), (("a cell", "another cell"), ("b", "✅ Yes"))
    )

    @pytest.fixture
    def on_terminal(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> Any:
        monkeypatch.setenv("FORCE_COLOR", "1")
        monkeypatch.setenv("TERM", "xterm")

        def lines(table: Table, width: int) -> list[str]:
            monkeypatch.setenv("COLUMNS", str(width))
            print_table(table)
            plain = re.sub(r"\x1b\[[0-9;]*m", "", capsys.readouterr().out)
            return [line.rstrip() for line in plain.splitlines()]

        return lines

    def test_a_wide_one(self, on_terminal: Any) -> None:
        assert on_terminal(self.TABLE, 80) == [
            "A Table",
            "First Column  Second Column",
            "─" * 27,
            "a cell        another cell",
            "b             ✅ Yes",
        ]

    def test_a_narrow_one_wraps_its_headers(self, on_terminal: Any) -> None:
        assert on_terminal(self.TABLE, 21) == [
            "A Table",
            "First   Second",
            "Column  Column",
            "─" * 20,
            "a cell  another cell",
            "b       ✅ Yes",
        ]

    def test_a_very_narrow_one_wraps_its_cells_and_loses_nothing(self, on_terminal: Any) -> None:
        text = "".join(on_terminal(self.TABLE, 14))
        for letter in "another cell".replace(" ", ""):
            assert letter in text
        assert "…" not in text

    def test_the_configuration_fits_eighty_columns(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("FORCE_COLOR", "1")
        monkeypatch.setenv("COLUMNS", "80")
        out = re.sub(r"\x1b\[[0-9;]*m", "", run("-f", str(EXAMPLE)).stdout)
        assert re.search(
            r"^Notification DB Notification Service 2 +128 +2TB +Unlimited 2-5$", out, re.MULTILINE
        )

    def test_one_without_rows(self, capsys: pytest.CaptureFixture[str]) -> None:
        print_table(Table("Empty", ("A", "B"), ()))
        assert capsys.readouterr().out.splitlines()[:2] == ["Empty", "A  B"]
