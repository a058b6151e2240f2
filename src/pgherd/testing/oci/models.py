"""What the installed SDK says about each model: fields, types, required ones, enums, subtypes."""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache

from pgherd.syntax import parsed
from pgherd.testing.oci.contract import sdk


@dataclass(frozen=True, slots=True)
class Field:
    """One property of a model, under its name on the wire."""

    type: str
    required: bool
    allowed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Model:
    """One class of `oci.SERVICE.models`."""

    service: str
    name: str
    fields: Mapping[str, Field]
    # The wire name whose value chooses the subtype, and the choices.
    discriminator: str | None = None
    subtypes: Mapping[str, str] = field(default_factory=dict)


@cache
def model(service: str, name: str) -> Model:
    """The model, with what it inherits."""
    owner = _class(service, name)
    written = _written_dicts(owner)
    wire = written["attribute_map"]
    required, allowed = _properties(service, name)
    discriminator, subtypes = _subtypes(owner)
    fields = {
        wire[python]: Field(kind, python in required, allowed.get(python, ()))
        for python, kind in written["swagger_types"].items()
    }
    return Model(service, name, fields, discriminator, subtypes)


@cache
def _files(service: str) -> Mapping[str, str]:
    text = (sdk() / service / "models/__init__.py").read_text()
    return {name: file for file, name in re.findall(r"^from \.(\w+) import (\w+)", text, re.M)}


def exists(service: str, name: str) -> bool:
    """Whether the service has a model of that name."""
    return name in _files(service)


@cache
def _class(service: str, name: str) -> ast.ClassDef:
    file = sdk() / service / "models" / f"{_files(service)[name]}.py"
    for node in parsed(file.read_text()).body:
        if isinstance(node, ast.ClassDef) and node.name == name:
            return node
    raise LookupError(f"{file.name} has no class {name}")


def _written_dicts(owner: ast.ClassDef) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = {}
    for node in ast.walk(owner):
        if (
            isinstance(node, ast.Assign)
            and isinstance(node.targets[0], ast.Attribute)
            and isinstance(node.value, ast.Dict)
        ):
            found.setdefault(node.targets[0].attr, ast.literal_eval(node.value))
    return found


@cache
def _properties(service: str, name: str) -> tuple[set[str], dict[str, tuple[str, ...]]]:
    """The required ones, and the values that enums allow; subclasses speak only of their own."""
    owner = _class(service, name)
    required: set[str] = set()
    allowed: dict[str, tuple[str, ...]] = {}
    for base in owner.bases:
        if isinstance(base, ast.Name) and exists(service, base.id):
            inherited, inherited_values = _properties(service, base.id)
            required |= inherited
            allowed |= inherited_values
    for method in owner.body:
        if isinstance(method, ast.FunctionDef):
            if "**[Required]**" in (ast.get_docstring(method) or ""):
                required.add(method.name)
            for values in _allowed_values(method):
                allowed[method.name] = values
    return required, allowed


def _allowed_values(method: ast.FunctionDef) -> list[tuple[str, ...]]:
    return [
        tuple(ast.literal_eval(node.value))
        for node in method.body
        if isinstance(node, ast.Assign)
        and isinstance(node.targets[0], ast.Name)
        and node.targets[0].id == "allowed_values"
    ]


def _subtypes(owner: ast.ClassDef) -> tuple[str | None, dict[str, str]]:
    chooser = next(
        (
            method
            for method in owner.body
            if isinstance(method, ast.FunctionDef) and method.name == "get_subtype"
        ),
        None,
    )
    if chooser is None:
        return None, {}
    text = ast.unparse(chooser)
    key = re.search(r"object_dictionary\['(\w+)'\]", text)
    choices = dict(re.findall(r"if type == '([^']*)':\s+return '(\w+)'", text))
    return (key[1] if key else None), choices
