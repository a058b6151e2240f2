"""What editors and readers are told of the fleet file, made from its models.

`python -m pgherd.fleet.schema docs` writes docs/fleet.schema.json and the tables of keys in
docs/fleet-file.md; a test fails while they are stale.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pgherd.fleet.draft import BUILT_IN
from pgherd.fleet.models import (
    AutoscaleProfile,
    BackupProfile,
    FleetFile,
    LocalProfile,
    OciProfile,
    Override,
    Profile,
    Section,
    Service,
)
from pgherd.fleet.names import NAME_PATTERN

SCHEMA_FILE = "fleet.schema.json"
REFERENCE_FILE = "fleet-file.md"
_BEGIN = "<!-- keys: made by python -m pgherd.fleet.schema -->"
_END = "<!-- end of keys -->"

_SECTIONS: tuple[tuple[str, type[Section], Mapping[str, Any]], ...] = (
    ("The file", FleetFile, {}),
    ("A database: in `defaults`, an environment or an override", Override, BUILT_IN),
    ("An environment: in `defaults` or an environment only", Profile, BUILT_IN),
    ("`autoscale`", AutoscaleProfile, BUILT_IN["autoscale"]),
    ("`backup`", BackupProfile, BUILT_IN["backup"]),
    ("`local`", LocalProfile, BUILT_IN["local"]),
    ("`oci`", OciProfile, BUILT_IN["oci"]),
    ("A service that is a mapping", Service, {}),
)


def schema() -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of the fleet file."""
    made = _tidy(FleetFile.model_json_schema())
    made["required"] = ["fleet", "services", "environments"]
    name = NAME_PATTERN.strip("^$")
    names = {"environments": name, "overrides": f"{name}/{name}"}
    for section, pattern in names.items():
        made["properties"][section]["propertyNames"] = {"pattern": f"^{pattern}$"}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "pgherd fleet file",
        **made,
    }


def reference() -> str:
    """The tables of all keys, in Markdown."""
    return "\n".join(line for section in _SECTIONS for line in _table(*section))


def with_reference(page: str) -> str:
    """The page with its tables of keys made anew."""
    before, _, rest = page.partition(_BEGIN)
    _, _, after = rest.partition(_END)
    return f"{before}{_BEGIN}\n\n{reference()}\n{_END}{after}"


def schema_text() -> str:
    """The schema as its file has it."""
    return json.dumps(schema(), indent=2) + "\n"


def write(docs: Path) -> None:
    """Make both files in the folder `docs` anew."""
    page = docs / REFERENCE_FILE
    page.write_text(with_reference(page.read_text("utf-8")), "utf-8")
    (docs / SCHEMA_FILE).write_text(schema_text(), "utf-8")


def _tidy(node: Any) -> Any:
    """Without what pydantic says of its own: titles, and that a key left out is null."""
    if isinstance(node, list):
        return [_tidy(item) for item in node]
    if not isinstance(node, dict):
        return node
    kept = {k: _tidy(v) for k, v in node.items() if not _is_noise(k, v)}
    choices = [c for c in kept.get("anyOf", ()) if c != {"type": "null"}]
    if len(choices) == 1:
        del kept["anyOf"]
        kept = {**choices[0], **kept}
    elif choices:
        kept["anyOf"] = choices
    return kept


def _is_noise(key: str, value: object) -> bool:
    return (key == "title" and isinstance(value, str)) or (key == "default" and value is None)


def _table(heading: str, model: type[Section], defaults: Mapping[str, Any]) -> Iterator[str]:
    inherited = Override.model_fields.keys() if model is Profile else frozenset[str]()
    yield from (f"### {heading}", "", "| key | example | default | means |", "|---|---|---|---|")
    for name, field in model.model_fields.items():
        if name not in inherited:
            examples = " or ".join(f"`{_flow(e)}`" for e in field.examples or ())
            default = f"`{_flow(defaults[name])}`" if name in defaults else ""
            yield f"| `{name}` | {examples} | {default} | {field.description} |"
    yield ""


def _flow(value: Any) -> str:
    """A value as one writes it in YAML on one line."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{k}: {_flow(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_flow, value)) + "]"
    return str(value).lower() if isinstance(value, bool) else str(value)


if __name__ == "__main__":
    write(Path(sys.argv[1]))
