"""From plain values to the fleet file's model, with every problem said in our own words.

What the model refuses is reported, taken out, and the rest is tried again. So one unreadable
value hides no other problem, and the rules below still see all that could be read.
"""

from __future__ import annotations

from copy import deepcopy
from difflib import get_close_matches
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from pgherd.fleet.backup_models import BackupProfile, DrillsProfile, ObjectivesProfile
from pgherd.fleet.document import Document, Path, shown
from pgherd.fleet.grammar import Grammar
from pgherd.fleet.history_models import HistoryProfile
from pgherd.fleet.keys import Section
from pgherd.fleet.models import (
    AutoscaleProfile,
    FleetFile,
    MonitoringProfile,
    Override,
    PeakProfile,
    Service,
    WindowProfile,
)
from pgherd.fleet.problem import Problem
from pgherd.fleet.receiver_models import ReceiverProfile

_MAY_BE_EMPTY: dict[str | int, int] = {"defaults": 1, "environments": 2, "overrides": 2}
"""Down to which depth these mean a mapping of nothing when they are empty."""
_NESTED: dict[str, type[Section]] = {
    "autoscale": AutoscaleProfile,
    "backup": BackupProfile,
    "drills": DrillsProfile,
    "objectives": ObjectivesProfile,
    "maintenance": WindowProfile,
    "peaks": PeakProfile,
}
_KINDS = {"model_type": "mapping", "dict_type": "mapping", "tuple_type": "list"}
_KIND_HINTS = {"mapping": "write KEY: VALUE below it", "list": "write [ONE, TWO]"}


def shape(document: Document, file: str, grammar: Grammar) -> tuple[FleetFile, list[Problem]]:
    """The model of all that can be read, and a problem for each value that cannot."""
    data = deepcopy(document.data)
    found = list(_take_out_empty(data, ()))
    while True:
        try:
            content = grammar.file.model_validate(data)
            break
        except ValidationError as error:
            for details in error.errors(include_url=False, include_input=False):
                path = _path(details["loc"], data)
                found.append((path, *_words(details, path, grammar)))
                _take_out(data, path)
    return content, [_problem(document, file, *problem) for problem in found]


def _problem(document: Document, file: str, path: Path, message: str, hint: str) -> Problem:
    place = document.place(path)
    return Problem(file, place.line, place.column, f"{shown(_key(path))}: {message}", hint)


def _key(path: Path) -> str:
    """The innermost key; an item of a list has its list's."""
    return next(part for part in reversed(path) if isinstance(part, str))


def _take_out_empty(value: Any, path: Path) -> list[tuple[Path, str, str]]:
    """Sections may be empty, as when all their lines are comments; values may not."""
    found = []
    if isinstance(value, list):
        for index, item in enumerate(value):
            found += _take_out_empty(item, (*path, index))
    elif isinstance(value, dict):
        for key, inner in list(value.items()):
            here = (*path, key)
            if inner is not None:
                found += _take_out_empty(inner, here)
            elif len(here) <= _MAY_BE_EMPTY.get(here[0], 0):
                value[key] = {}
            else:
                del value[key]
                found.append((here, "has no value", "write one, or remove the key"))
    return found


def _path(location: tuple[str | int, ...], data: Any) -> Path:
    """The part of pydantic's location that is in the file; the rest names unions."""
    path: Path = ()
    for part in location:
        inner = dict(enumerate(data)) if isinstance(data, list) else data
        if isinstance(inner, dict) and part in inner:
            path, data = (*path, part), inner[part]
    return path


def _take_out(data: Any, path: Path) -> None:
    for part in path[:-1]:
        data = data[part]
    if isinstance(data, list):
        data[int(path[-1])] = None
    else:
        data.pop(path[-1], None)


def _words(details: ErrorDetails, path: Path, grammar: Grammar) -> tuple[str, str]:
    """What is wrong and what to write."""
    context = details.get("ctx", {})
    if details["type"] == "extra_forbidden":
        return "unknown key", _better_key(str(path[-1]), path[:-1], grammar)
    if kind := _KINDS.get(details["type"]):
        return f"this is not a {kind}", _KIND_HINTS[kind]
    return context["message"], context["hint"]


def _better_key(key: str, parent: Path, grammar: Grammar) -> str:
    fields = _model(parent, grammar).model_fields
    known = [field.alias or name for name, field in fields.items()]
    if parent and parent[0] == "overrides" and key in grammar.profile.model_fields:
        return "write it under the environment, it holds for all of its databases"
    if not parent and key in grammar.profile.model_fields:
        return "write it under defaults or under an environment"
    near = get_close_matches(key.lower(), known, n=1, cutoff=0.5)
    near = near or [k for k in known if k.startswith(key)]
    return f"write {near[0]}" if near else f"write one of {', '.join(known)}"


def _model(path: Path, grammar: Grammar) -> type[Section]:
    """The model of the mapping at `path`."""
    if not path:
        return grammar.file
    if len(path) > (1 if path[0] == "defaults" else 2):
        engines = {section.engine: section.keys for section in grammar.sections}
        nested = {key: model for s in grammar.sections for key, model in s.nested.items()}
        return (_NESTED | nested | engines)[_key(path)]
    sections: dict[str | int, type[Section]] = {
        "services": Service,
        "overrides": Override,
        "monitoring": MonitoringProfile,
        "notifications": ReceiverProfile,
        "history": HistoryProfile,
    }
    return sections.get(path[0], grammar.profile)
