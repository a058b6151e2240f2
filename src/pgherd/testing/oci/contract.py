"""What the installed SDK says about each operation: route, parameters, models.

Read from the SDK's source by its syntax tree, method by method, so that nothing here is written
by hand and another version of the SDK brings its own contract. No client is imported for it.
"""

from __future__ import annotations

import ast
import importlib.util
import re
import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from pgherd.syntax import parsed
from pgherd.testing.oci.operations import OPERATIONS


@dataclass(frozen=True, slots=True)
class Parameter:
    """A query parameter or a header."""

    type: str
    required: bool
    allowed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Operation:
    """One method of one client, as it goes over the wire."""

    service: str
    client: str
    name: str
    method: str
    path: str
    query: Mapping[str, Parameter]
    headers: Mapping[str, Parameter]
    body: str | None
    body_required: bool
    response: str | None
    # The SDK makes up a retry token when its retries are on.
    automatic_retry_token: bool

    @property
    def segments(self) -> tuple[str, ...]:
        """The path in parts; `{name}` stands for any one part."""
        return tuple(self.path.strip("/").split("/"))


@cache
def sdk() -> Path:
    """The folder of the installed SDK."""
    found = importlib.util.find_spec("oci")
    if found is None or found.origin is None:
        raise ImportError("the OCI SDK is not installed: pip install 'pgherd[oci]'")
    return Path(found.origin).parent


@cache
def operations(service: str) -> Mapping[str, Operation]:
    """The operations of a service that the list names."""
    return {found.name: found for found in read(service, sdk())}


def read(service: str, root: Path) -> Iterator[Operation]:
    """The operations of a service, as the SDK in a folder has them."""
    for client, names in OPERATIONS[service].items():
        text = (root / service / f"{client}.py").read_text()
        base = re.search(r"'base_path': '([^']*)'", text)
        prefix = base[1].rstrip("/") if base else ""
        methods = _methods(text)
        for name in names:
            if name not in methods:
                raise LookupError(f"the SDK's {service}.{client} has no {name} any more")
            yield _operation(service, client, prefix, methods[name])


def _methods(text: str) -> dict[str, str]:
    starts = [(found.start(), found[1]) for found in re.finditer(r"^    def (\w+)\(", text, re.M)]
    ends = [*(start for start, _ in starts[1:]), len(text)]
    return {name: text[start:end] for (start, name), end in zip(starts, ends, strict=True)}


def _operation(service: str, client: str, prefix: str, source: str) -> Operation:
    function = next(
        node
        for node in ast.walk(parsed(textwrap.dedent(source)))
        if isinstance(node, ast.FunctionDef)
    )
    known = _assignments(function)
    types = _documented_types(ast.get_docstring(function) or "")
    positional = {argument.arg for argument in function.args.args}
    call = _keywords_of_the_call(function)
    body = call.get("body")
    body_name, body_type = _body(body, types)
    return Operation(
        service=service,
        client=client,
        name=function.name,
        method=_text(known["method"]),
        path=prefix + _text(known["resource_path"]),
        query=_parameters(known, "query_params", types, positional),
        headers=_parameters(known, "header_params", types, positional),
        body=body_type,
        body_required=body_name in positional,
        response=_text(call["response_type"]) if "response_type" in call else None,
        automatic_retry_token="add_opc_retry_token_if_needed" in source,
    )


def _assignments(function: ast.FunctionDef) -> dict[str, ast.expr]:
    """The first value of each name: later ones only drop what is missing."""
    found: dict[str, ast.expr] = {}
    for node in ast.walk(function):
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            found.setdefault(node.targets[0].id, node.value)
    return found


def _keywords_of_the_call(function: ast.FunctionDef) -> dict[str, ast.expr]:
    for node in ast.walk(function):
        if isinstance(node, ast.Call):
            keywords = {word.arg: word.value for word in node.keywords if word.arg}
            if "resource_path" in keywords:
                return keywords
    raise LookupError(f"{function.name} makes no call")


def _documented_types(docstring: str) -> dict[str, str]:
    found = re.finditer(r"^:param ((?:[^\s:]|, )+) (\w+):", docstring, re.M)
    return {match[2]: match[1] for match in found}


def _body(value: ast.expr | None, types: Mapping[str, str]) -> tuple[str, str | None]:
    if value is None:
        return "", None
    name = _argument(value)
    return name, types.get(name, "").rsplit(".", 1)[-1] or None


def _argument(value: ast.expr) -> str:
    """The method's argument behind `name`, `kwargs.get("name", missing)` or a wrapper of these."""
    if isinstance(value, ast.Name):
        return value.id
    for node in ast.walk(value):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            return node.value
        if isinstance(node, ast.Name) and node.id not in ("self", "kwargs", "missing"):
            return node.id
    return ""


def _parameters(
    known: Mapping[str, ast.expr], name: str, types: Mapping[str, str], positional: set[str]
) -> dict[str, Parameter]:
    written = known.get(name)
    if not isinstance(written, ast.Dict):
        return {}
    found: dict[str, Parameter] = {}
    for key, value in zip(written.keys, written.values, strict=True):
        if key is None or isinstance(value, ast.Constant):
            continue
        argument = _argument(value)
        allowed = known.get(f"{argument}_allowed_values")
        found[_text(key)] = Parameter(
            type=types.get(argument, "str"),
            required=argument in positional,
            allowed=tuple(ast.literal_eval(allowed)) if allowed is not None else (),
        )
    return found


def _text(value: ast.expr) -> str:
    return str(ast.literal_eval(value))
