"""Whether a configuration of Terraform, in its JSON form, is one that the providers take. Pure.

Every problem is found, each with its place. Terraform itself would say more; this says it with
nothing installed and no account.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pgherd.engines.oci.terraform_schema import DATA, RESOURCES, Block, Body, Type

COMMENT = "//"
_TOP = {COMMENT, "terraform", "provider", "variable", "locals", "data", "resource", "output"}
_META = {COMMENT, "depends_on", "lifecycle", "provider"}
_LIFECYCLE: Mapping[str, type] = {
    "prevent_destroy": bool,
    "create_before_destroy": bool,
    "ignore_changes": list,
}
_NAME = re.compile(r"[A-Za-z_][\w-]*")
_OF_THING = re.compile(r"(?<![\w.-])(data\.)?([a-z]+(?:_[a-z0-9]+)+)\.([A-Za-z_][\w-]*)\.(\w+)")
_OF_VALUE = re.compile(r"(?<![\w.-])(var|local)\.([A-Za-z_][\w-]*)")


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong, and where, as in resource.oci_core_vcn.vcn.cidr_blocks."""

    place: str
    message: str

    def __str__(self) -> str:
        return f"{self.place}: {self.message}"


def problems(document: Mapping[str, Any]) -> Iterator[Problem]:
    """All that the providers' documented schema does not allow."""
    for key in document.keys() - _TOP:
        yield Problem(key, "terraform has no such part")
    for part, schema in (("resource", RESOURCES), ("data", DATA)):
        for kind, things in document.get(part, {}).items():
            if kind not in schema:
                yield Problem(f"{part}.{kind}", "not a type of these providers")
                continue
            for name, content in things.items():
                yield from _thing(f"{part}.{kind}.{name}", name, content, schema[kind])
    for place, text in _texts("", document):
        yield from _references(place, text, document)


def _thing(place: str, name: str, content: Any, body: Body) -> Iterator[Problem]:
    if not _NAME.fullmatch(name):
        yield Problem(place, "not a name")
    if not isinstance(content, Mapping):
        yield Problem(place, "not an object")
        return
    arguments = {key: value for key, value in content.items() if key not in _META}
    yield from _body(place, arguments, body)
    yield from _lifecycle(f"{place}.lifecycle", content.get("lifecycle", {}), body)


def _body(place: str, content: Any, body: Body) -> Iterator[Problem]:
    if not isinstance(content, Mapping):
        yield Problem(place, "a block is an object")
        return
    musts = {*body.required, *(n for n, b in body.blocks.items() if b.required)}
    for name in sorted(musts - content.keys()):
        yield Problem(f"{place}.{name}", "missing")
    for name, value in content.items():
        at = f"{place}.{name}"
        if name in body.blocks:
            yield from _block(at, value, body.blocks[name])
        elif name in body.arguments:
            yield from _argument(at, value, body.arguments[name])
        elif name != COMMENT:
            yield Problem(at, "not an argument")


def _block(place: str, value: Any, block: Block) -> Iterator[Problem]:
    items = value if isinstance(value, list) else [value]
    if len(items) > 1 and not block.many:
        yield Problem(place, f"{len(items)} of a block that is there once")
    if not items and block.required:
        yield Problem(place, "missing")
    for number, item in enumerate(items):
        yield from _body(f"{place}[{number}]" if len(items) > 1 else place, item, block.body)


def _argument(place: str, value: Any, type: Type) -> Iterator[Problem]:
    if not _fits(value, type):
        yield Problem(place, f"not {type}")


def _fits(value: Any, type: Type) -> bool:
    if isinstance(value, str) and value.startswith("${"):
        return True
    match type:
        case Type.TEXT:
            # Terraform turns numbers and flags into texts by itself.
            return isinstance(value, str | int | float)
        case Type.NUMBER:
            return isinstance(value, int | float) and not isinstance(value, bool)
        case Type.FLAG:
            return isinstance(value, bool)
        case Type.TEXTS:
            return isinstance(value, list) and all(_fits(v, Type.TEXT) for v in value)
        case Type.NUMBERS:
            return isinstance(value, list) and all(_fits(v, Type.NUMBER) for v in value)
        case Type.MAP:
            return isinstance(value, Mapping) and all(_fits(v, Type.TEXT) for v in value.values())


def _lifecycle(place: str, content: Mapping[str, Any], body: Body) -> Iterator[Problem]:
    for name, value in content.items():
        if name not in _LIFECYCLE:
            yield Problem(f"{place}.{name}", "not a rule of a lifecycle")
        elif not isinstance(value, _LIFECYCLE[name]):
            yield Problem(f"{place}.{name}", f"not a {_LIFECYCLE[name].__name__}")
    for path in content.get("ignore_changes", ()):
        argument = re.split(r"[.\[]", path)[0]
        if argument not in body.arguments and argument not in body.blocks:
            yield Problem(f"{place}.ignore_changes", f"{argument} is not an argument")


def _texts(place: str, value: Any) -> Iterator[tuple[str, str]]:
    """All texts but comments, with their places."""
    if isinstance(value, str):
        yield place, value
    elif isinstance(value, Mapping):
        for name, item in value.items():
            if name != COMMENT:
                yield from _texts(f"{place}.{name}".lstrip("."), item)
    elif isinstance(value, list):
        for number, item in enumerate(value):
            yield from _texts(f"{place}[{number}]", item)


def _references(place: str, text: str, document: Mapping[str, Any]) -> Iterator[Problem]:
    for expression in expressions(text):
        for data, kind, name, attribute in _OF_THING.findall(expression):
            part, schema = ("data", DATA) if data else ("resource", RESOURCES)
            if name not in document.get(part, {}).get(kind, {}):
                yield Problem(place, f"{data}{kind}.{name} is not there")
            elif kind in schema and attribute not in _readable(schema[kind]):
                yield Problem(place, f"{data}{kind} has no attribute {attribute}")
        for part, name in _OF_VALUE.findall(expression):
            if name not in document.get("variable" if part == "var" else "locals", {}):
                yield Problem(place, f"{part}.{name} is not there")


def _readable(body: Body) -> set[str]:
    return {*body.arguments, *body.blocks, *body.exported}


def expressions(text: str) -> Iterator[str]:
    """What is between ${ and }, where $${ is no beginning."""
    at = 0
    while (begin := text.find("${", at)) != -1:
        at = begin + 2
        if begin and text[begin - 1] == "$":
            continue
        depth = 1
        while at < len(text) and depth:
            depth += {"{": 1, "}": -1}.get(text[at], 0)
            at += 1
        yield text[begin + 2 : at - 1]
