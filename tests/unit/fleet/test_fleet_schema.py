"""What is generated from the models is up to date, and says what the reader of files does."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import yaml

from pgherd.engines.known import sections
from pgherd.fleet.load import load_text
from pgherd.fleet.schema import schema, schema_text, with_reference

ROOT = Path(__file__).parents[3]
DOCS = ROOT / "docs"
STALE = "run: make docs"


def test_the_schema_is_up_to_date() -> None:
    assert (DOCS / "fleet.schema.json").read_text("utf-8") == schema_text(sections()), STALE


def test_the_reference_is_up_to_date() -> None:
    page = (DOCS / "fleet-file.md").read_text("utf-8")
    assert page == with_reference(page, sections()), STALE


def test_both_are_made_anew() -> None:
    page = (DOCS / "fleet-file.md").read_text("utf-8")
    stale = re.sub(r"\| `ocpus` .*\n", "", page)
    assert stale != page
    assert with_reference(stale, sections()) == page
    assert json.loads(schema_text(sections())) == schema(sections())


def test_every_key_is_described() -> None:
    undescribed = [
        key
        for section in [schema(sections()), *schema(sections())["$defs"].values()]
        for key, value in section["properties"].items()
        if not value.get("description")
    ]
    assert undescribed == []


def test_nothing_may_be_null_or_unknown() -> None:
    assert "null" not in schema_text(sections())
    for section in [schema(sections()), *schema(sections())["$defs"].values()]:
        assert section["additionalProperties"] is False


def test_patterns_take_the_examples_and_the_example_file() -> None:
    """The schema and the reader agree on every value of the example fleet."""
    written: dict[str, Any] = yaml.safe_load((ROOT / "examples/ecommerce/fleet.yaml").read_text())
    profile = schema(sections())["$defs"]["Profile"]["properties"]
    for environment in [written["defaults"], *written["environments"].values()]:
        for key, value in environment.items():
            if isinstance(value, str) and "pattern" in profile[key]:
                assert re.search(profile[key]["pattern"], value), (key, value)
    for key, of_key in profile.items():
        for example in of_key.get("examples", ()):
            if isinstance(example, str) and "pattern" in of_key:
                assert re.search(of_key["pattern"], example), (key, example)


def test_the_example_names_its_schema() -> None:
    example = ROOT / "examples/ecommerce/fleet.yaml"
    match = re.match(r"# yaml-language-server: \$schema=(\S+)\n", example.read_text())
    assert match
    assert (example.parent / match[1]).resolve() == DOCS / "fleet.schema.json"


def test_the_fleet_in_the_reference_is_valid(tmp_path: Path) -> None:
    page = (DOCS / "fleet-file.md").read_text("utf-8")
    text = page.split("```yaml\n", 1)[1].split("```", 1)[0]
    fleet = load_text(text, tmp_path / "fleet.yaml", sections())
    assert len(fleet.databases) == 4
