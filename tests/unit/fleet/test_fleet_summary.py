"""The tables reproduce those of the architecture cell for cell, and follow any other fleet."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from pgherd.engines.known import sections
from pgherd.fleet.desired import Fleet
from pgherd.fleet.load import load
from pgherd.fleet.summary import environment_comparison, tables
from pgherd.fleet.values_table import database_table, origin_tables

HERE = Path(__file__).parent
EXAMPLE = HERE.parents[2] / "examples/ecommerce/fleet.yaml"
Grid = list[tuple[str, ...]]


def seed_tables() -> dict[str, Grid]:
    """Each table's header and rows, by title."""
    blocks = (HERE / "seed_tables.txt").read_text("utf-8").removeprefix("## ").split("\n## ")
    grids = {}
    for block in blocks:
        title, *lines = block.strip().splitlines()
        grids[title] = [tuple(line.split(" | ")) for line in lines]
    return grids


def test_every_table_and_cell_is_as_in_the_architecture() -> None:
    shown = {
        table.title: [table.header, *table.rows] for table in tables(load(EXAMPLE, sections()))
    }
    expected = seed_tables()
    assert list(shown) == list(expected)
    assert sum(len(grid) for grid in expected.values()) == 3 * 11 + 11 + 11
    for title, grid in expected.items():
        assert shown[title] == grid, title


def comparison(fleet: Fleet) -> dict[str, tuple[str, ...]]:
    return {name: tuple(cells) for name, *cells in environment_comparison(fleet).rows}


VARIED = """\
fleet: shop
services: [auth, gift-card]
defaults: {storage: 100GB}
environments:
  a: {network: 10.0.0.0/16, ocpus: 2, availability_domains: 2, replicas: 1, backup: {retention: 1d}}
  b: {network: 10.1.0.0/16, ocpus: 2, autoscale: false}
overrides:
  b/gift-card: {ocpus: 4..8, storage: 1TB..unlimited}
"""


def test_databases_that_differ_are_listed(read: Callable[[str], Fleet]) -> None:
    assert comparison(read(VARIED)) == {
        "Database Count": ("2", "2"),
        "Initial OCPUs": ("2", "2, 4"),
        "Max OCPUs": ("2", "2, 8"),
        "Initial Storage": ("100GB", "100GB, 1TB"),
        "Max Storage": ("100GB", "100GB, Unlimited"),
        "Read Replicas": ("1 per DB", "0"),
        "Availability Domains": ("2 ADs", "1 AD"),
        "Auto-scaling": ("✅ Yes", "❌ No"),
        "Backup Retention": ("1 day", "7 days"),
        "Cost": ("Low", "High"),
    }


@pytest.mark.parametrize(
    ("sizes", "costs"),
    [
        (["2..4"], ("Medium",)),
        (["2", "2"], ("Medium", "Medium")),
        (["2", "8", "4", "4"], ("Low", "High", "Medium", "Medium")),
        (["8", "2", "8"], ("High", "Low", "High")),
    ],
)
def test_cost_is_a_rank_of_capacity(
    read: Callable[[str], Fleet], sizes: list[str], costs: tuple[str, ...]
) -> None:
    environments = [
        f"  e{index}: {{network: 10.{index}.0.0/16, ocpus: {size}, storage: 1TB}}\n"
        for index, size in enumerate(sizes)
    ]
    text = "fleet: shop\nservices: [auth]\nenvironments:\n" + "".join(environments)
    assert comparison(read(text))["Cost"] == costs


def test_storage_decides_between_equal_ocpus(read: Callable[[str], Fleet]) -> None:
    text = """\
fleet: shop
services: [auth]
environments:
  a: {network: 10.0.0.0/16, ocpus: 2, storage: 1TB}
  b: {network: 10.1.0.0/16, ocpus: 2, storage: 1TB..2TB}
"""
    assert comparison(read(text))["Cost"] == ("Low", "High")


def test_titles_are_made_from_names(read: Callable[[str], Fleet]) -> None:
    mapping = tables(read(VARIED))[-1]
    assert mapping.rows == (("Auth Service", "Auth DB"), ("Gift Card Service", "Gift Card DB"))


def test_a_fleet_of_nothing_has_empty_tables() -> None:
    fleet = replace(load(EXAMPLE, sections()), services=(), environments=(), databases=())
    assert [table.rows for table in tables(fleet)] == [(), ()]


def test_every_value_of_a_database_is_written_as_in_the_file(
    read: Callable[[str], Fleet],
) -> None:
    fleet = read(VARIED)
    table = database_table(fleet, fleet.databases[3])
    assert table.title == "b/gift-card (shop-b-gift-card-db)"
    assert table.rows == (
        ("engine", "local", "default"),
        ("compartment", "shop-b", "default"),
        ("network", "10.1.0.0/16", "fleet.yaml:6"),
        ("availability_domains", "1", "default"),
        ("local.core_per_ocpu", "0.1", "default"),
        ("local.memory_per_ocpu", "64MiB", "default"),
        ("local.require", "nothing", "default"),
        ("local.repository", "a directory", "default"),
        ("local.regions", "none", "default"),
        ("ocpus", "4..8", "fleet.yaml:8"),
        ("storage", "1TB..unlimited", "fleet.yaml:8"),
        ("replicas", "0", "default"),
        ("autoscale", "false", "fleet.yaml:6"),
        ("peaks", "none", "default"),
        ("maintenance", "none", "default"),
        ("backup.retention", "7d", "default"),
        ("backup.copy_to", "none", "default"),
        ("backup.when_full", "hold", "default"),
        ("backup.stream", "false", "default"),
        ("drills.restore", "7d", "default"),
        ("objectives.rto", "none", "default"),
        ("objectives.rpo", "none", "default"),
        ("durability", "asynchronous", "default"),
        ("deletion_protection", "false", "default"),
        ("pooling", "session", "default"),
        ("postgresql", "newest", "default"),
        ("migrations", "none", "default"),
        ("load", "none", "default"),
        ("masking", "none", "default"),
    )


def test_paths_are_shown_from_the_file(read: Callable[[str], Fleet], tmp_path: Path) -> None:
    (tmp_path / "m/auth").mkdir(parents=True)
    (tmp_path / "m/gift-card").mkdir()
    fleet = read(VARIED + "migrations: m/{service}\nload: /bin/sh\n")
    rows = {name: text for name, text, _ in database_table(fleet, fleet.databases[0]).rows}
    assert (rows["migrations"], rows["load"]) == ("m/auth", "/bin/sh")
    assert (rows["autoscale.cpu"], rows["autoscale.memory"]) == ("80%", "80%")


def test_equal_databases_share_a_table_of_origins(read: Callable[[str], Fleet]) -> None:
    fleet = read(VARIED)
    titles = [table.title for table in origin_tables(fleet)]
    assert titles == ["a: auth, gift-card", "b: auth", "b: gift-card"]
