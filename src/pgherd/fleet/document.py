"""The text of a fleet file as plain values, each with its place in the file.

Every scalar stays the text that was written: YAML's own guesses (`no` is false, `010` is 8,
`1:30` is 90) never reach a value, since each key knows how to read its own text. An empty
value is None. Duplicate keys, aliases, merges and tags are reported instead of obeyed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml
from yaml.events import AliasEvent
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from pgherd.fleet.problem import Problem
from pgherd.units import quoted

Path = tuple[str | int, ...]
"""Where a value is: the keys and list indexes that lead to it."""

_MAX_DEPTH = 16
_MERGE_TAG = "tag:yaml.org,2002:merge"
_NULL_TAG = "tag:yaml.org,2002:null"
_STANDARD_TAGS = "tag:yaml.org,2002:"
_MISREAD = re.compile(r"[0-9]+(:[0-9]+)+|[0-9]{4}-[0-9]{2}-[0-9]{2}")
"""Texts that other YAML tools take for a number or a date."""
_SHARE_HINT = "write values that are shared under defaults"
_CHECK_HINT = "check indentation, colons, quotes and brackets here"
_START_HINT = "start with fleet: NAME, then services: and environments:"


@dataclass(frozen=True, slots=True)
class Place:
    """A point in the file, counted from 1."""

    line: int
    column: int


@dataclass(frozen=True, slots=True)
class Document:
    """A fleet file's values, the place of each key, and what is wrong with it as YAML.

    A key that has a place and no value was stated, and is among the problems. An item of a
    list that is None likewise.
    """

    data: dict[str, Any] = field(default_factory=dict)
    places: Mapping[Path, Place] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()

    def place(self, path: Path) -> Place:
        """Where the file states `path`."""
        return self.places[path]


def parse(text: str, file: str) -> Document:
    """Read YAML. It never raises: what cannot be read is in the document's problems."""
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
    except yaml.reader.ReaderError as error:
        return Document(problems=(_unprintable(text, file, error.position),))
    except yaml.MarkedYAMLError as error:
        return Document(problems=(_syntax_problem(error, text, file),))
    except (ValueError, OverflowError):
        # PyYAML lets a number that is no character or version escape as it is.
        mark = loader.get_mark()
        problem = Problem(
            file, mark.line + 1, mark.column + 1, "this escape is no character", "remove it"
        )
        return Document(problems=(problem,))
    if node is None:
        return Document(problems=(_empty(file),))
    if not isinstance(node, MappingNode):
        place = _place(node)
        kind = "a list" if isinstance(node, SequenceNode) else "a text"
        problem = Problem(
            file,
            place.line,
            place.column,
            f"{kind} is not a fleet",
            _START_HINT,
        )
        return Document(problems=(problem,))
    return _Reader(file, loader.aliases).document(node)


class _Loader(yaml.SafeLoader):
    """Composes nodes. Aliases become empty values and are remembered, depth is bounded."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.depth = 0
        self.aliases: list[AliasEvent] = []

    def compose_node(self, parent: Node | None, index: Any) -> Node | None:
        if self.check_event(AliasEvent):
            event = self.peek_event()  # type: ignore[no-untyped-call]
            self.get_event()  # type: ignore[no-untyped-call]
            self.aliases.append(event)
            return ScalarNode(_NULL_TAG, "", event.start_mark, event.end_mark)
        self.depth += 1
        if self.depth > _MAX_DEPTH:
            event = self.peek_event()  # type: ignore[no-untyped-call]
            raise yaml.composer.ComposerError(None, None, "nested too deeply", event.start_mark)
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node


class _Reader:
    """Turns nodes into plain values, writing down places and problems on the way."""

    def __init__(self, file: str, aliases: list[AliasEvent]) -> None:
        self.file = file
        self.places: dict[Path, Place] = {}
        self.problems: list[Problem] = []
        self.aliased = {_place(event) for event in aliases}

    def document(self, node: MappingNode) -> Document:
        self.places[()] = _place(node)
        data = self.mapping(node, ())
        return Document(data, self.places, tuple(self.problems))

    def problem(self, place: Place, message: str, hint: str) -> None:
        self.problems.append(Problem(self.file, place.line, place.column, message, hint))

    def value(self, node: Node, path: Path) -> Any:
        if not node.tag.startswith(_STANDARD_TAGS):
            self.problem(_place(node), f"tag {quoted(node.tag)} is not supported", "remove it")
        if isinstance(node, MappingNode):
            return self.mapping(node, path)
        if isinstance(node, SequenceNode):
            return self.sequence(node, path)
        if isinstance(node, ScalarNode) and node.tag != _NULL_TAG:
            return _text(node)
        return None

    def sequence(self, node: SequenceNode, path: Path) -> list[Any]:
        items = []
        for index, item in enumerate(node.value):
            self.places[(*path, index)] = _place(item)
            value = None if self.is_alias(item) else self.value(item, (*path, index))
            if value is None and _place(item) not in self.aliased:
                self.problem(_place(item), "an item is empty", "write a value or remove it")
            items.append(value)
        return items

    def mapping(self, node: MappingNode, path: Path) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for key_node, value_node in node.value:
            place = _place(key_node)
            if self.is_alias(key_node):
                continue
            if not isinstance(key_node, ScalarNode):
                self.problem(place, "a key must be a word", "write KEY: VALUE")
                continue
            if key_node.tag == _MERGE_TAG:
                self.problem(place, "merges (<<) are not supported", _SHARE_HINT)
                continue
            key = _text(key_node)
            if (*path, key) in self.places:
                first = self.places[(*path, key)].line
                self.problem(
                    place, f"{shown(key)}: is stated twice, first on line {first}", "remove one"
                )
                continue
            self.places[(*path, key)] = place
            if not self.is_alias(value_node):
                values[key] = self.value(value_node, (*path, key))
        return values

    def is_alias(self, node: Node) -> bool:
        """Reports it, too."""
        is_alias = _place(node) in self.aliased and node.value == ""
        if is_alias:
            self.problem(_place(node), "aliases are not supported", _SHARE_HINT)
        return is_alias


def in_one_line(value: Any) -> str:
    """A value as one writes it in YAML on one line."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{k}: {in_one_line(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(in_one_line, value)) + "]"
    if isinstance(value, str) and _MISREAD.fullmatch(value):
        return f'"{value}"'
    return str(value).lower() if isinstance(value, bool) else str(value)


def shown(key: str) -> str:
    """A key as it may stand at the head of a message."""
    return key if key.isascii() and key.isprintable() and len(key) <= 70 else quoted(key)


def _text(node: ScalarNode) -> str:
    # Half a surrogate pair can be written as an escape, but nothing can print it.
    return str(node.value).encode("utf-8", "backslashreplace").decode()


def _place(node: Node | AliasEvent) -> Place:
    return _at(node.start_mark)


def _at(mark: Any) -> Place:
    return Place(mark.line + 1, mark.column + 1) if mark else Place(1, 1)


def _empty(file: str) -> Problem:
    return Problem(file, 1, 1, "the file is empty", _START_HINT)


def _unprintable(text: str, file: str, position: int) -> Problem:
    before = text[:position]
    line = before.count("\n") + 1
    column = position - (before.rfind("\n") + 1) + 1
    return Problem(
        file, line, column, f"character {quoted(text[position])} is not allowed", "remove it"
    )


def _syntax_problem(error: yaml.MarkedYAMLError, text: str, file: str) -> Problem:
    mark = error.problem_mark or error.context_mark
    place = _at(mark)
    line = (text.splitlines() or [""])[min(place.line, len(text.splitlines())) - 1]
    if "\t" in line[: place.column]:
        column = line.index("\t") + 1
        return Problem(file, place.line, column, "a tab is not allowed here", "write spaces")
    said = " ".join(part for part in (error.context, error.problem) if part)
    return Problem(file, place.line, place.column, f"the text cannot be read: {said}", _CHECK_HINT)
