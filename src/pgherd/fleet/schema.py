"""What editors and readers are told of the fleet file, made from its models.

`make docs` writes docs/fleet.schema.json and the tables of keys in docs/fleet-file.md with it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from pgherd.fleet.backup_models import BackupProfile, DrillsProfile, ObjectivesProfile
from pgherd.fleet.desired import EngineValues
from pgherd.fleet.document import in_one_line
from pgherd.fleet.grammar import grammar
from pgherd.fleet.history_models import HistoryProfile
from pgherd.fleet.keys import Section
from pgherd.fleet.models import (
    MONITORING_EXAMPLE,
    AutoscaleProfile,
    MonitoringProfile,
    Override,
    PeakProfile,
    Profile,
    Service,
    WindowProfile,
)
from pgherd.fleet.names import NAME_PATTERN
from pgherd.fleet.receiver_models import ReceiverProfile
from pgherd.fleet.section import EngineSection, Sections

_BEGIN = "<!-- keys: made by make docs -->"
_END = "<!-- end of keys -->"


def schema(sections: Sections) -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of the fleet file."""
    made = _tidy(grammar(sections).file.model_json_schema())
    made["required"] = ["fleet", "services", "environments"]
    name = NAME_PATTERN.strip("^$")
    names = {"environments": name, "overrides": f"{name}/{name}"}
    for key, pattern in names.items():
        made["properties"][key]["propertyNames"] = {"pattern": f"^{pattern}$"}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "pgherd fleet file",
        **made,
    }


def reference(sections: Sections) -> str:
    """The tables of all keys, in Markdown."""
    allowed = grammar(sections)
    defaults = allowed.defaults
    tables: tuple[tuple[str, type[Section], Mapping[str, Any]], ...] = (
        ("The file", allowed.file, {"monitoring": MONITORING_EXAMPLE}),
        ("A database: in `defaults`, an environment or an override", Override, defaults),
        ("An environment: in `defaults` or an environment only", allowed.profile, defaults),
        ("`autoscale`", AutoscaleProfile, defaults["autoscale"]),
        ("`peaks`: one of them", PeakProfile, {}),
        ("`maintenance`: a window", WindowProfile, {}),
        ("`backup`", BackupProfile, defaults["backup"]),
        ("`drills`", DrillsProfile, defaults["drills"]),
        ("`objectives`", ObjectivesProfile, defaults["objectives"]),
        *(table for section in sections for table in _of_engine(section)),
        ("A service that is a mapping", Service, {}),
        ("`monitoring`", MonitoringProfile, MONITORING_EXAMPLE),
        ("`notifications`: one of them", ReceiverProfile, {}),
        ("`history`", HistoryProfile, {}),
    )
    return "\n".join(line for table in tables for line in _table(*table))


def _of_engine(
    section: EngineSection[EngineValues],
) -> Iterator[tuple[str, type[Section], Mapping[str, Any]]]:
    yield f"`{section.engine}`", section.keys, section.defaults
    for key, model in section.nested.items():
        yield f"`{section.engine}`: `{key}`", model, {}


def with_reference(page: str, sections: Sections) -> str:
    """The page with its tables of keys made anew."""
    before, _, rest = page.partition(_BEGIN)
    _, _, after = rest.partition(_END)
    return f"{before}{_BEGIN}\n\n{reference(sections)}\n{_END}{after}"


def schema_text(sections: Sections) -> str:
    """The schema as its file has it."""
    return json.dumps(schema(sections), indent=2) + "\n"


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
    inherited = Override.model_fields.keys() if issubclass(model, Profile) else frozenset[str]()
    yield from (f"### {heading}", "", "| key | example | default | means |", "|---|---|---|---|")
    for name, field in model.model_fields.items():
        if name not in inherited:
            examples = " or ".join(f"`{in_one_line(e)}`" for e in field.examples or ())
            default = f"`{in_one_line(defaults[name])}`" if name in defaults else ""
            yield f"| `{field.alias or name}` | {examples} | {default} | {field.description} |"
    yield ""
