"""How the keys of a receiver are read. A text in its place may be a URL, and is not shown."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import BeforeValidator
from pydantic_core import PydanticCustomError

from pgherd.errors import InputError
from pgherd.fleet.names import NAME_PATTERN
from pgherd.fleet.receivers import URL_PATTERN, is_url
from pgherd.fleet.values import TEXT, Reads
from pgherd.units import quoted


def _read_url(text: str) -> str:
    if not is_url(text):
        raise InputError(
            "this is not a URL of Apprise",
            "write one as in jsons://example.com/hook, or keep it in a file: url_file: /PATH",
        )
    return text


def _read_path(text: str) -> str:
    if not text.startswith("/") or not text.isprintable():
        raise InputError(
            "this is not the whole path of a file", "write one as in /etc/pgherd/pager"
        )
    return text


def _read_name(text: str) -> str:
    if not re.fullmatch(NAME_PATTERN, text):
        raise InputError(f"{quoted(text)} is not a name", "write one word, as in on-call")
    return text


def _read_word(text: str) -> str:
    if "\0" in text:
        raise InputError("no program takes this word", "remove what does not print")
    return text


def _listed(value: object) -> object:
    """A mapping alone is a list of itself. What is no mapping may be a URL, and is not shown."""
    if isinstance(value, str):
        context = {
            "message": "this is not a receiver",
            "hint": "write {url: URL}, {url_file: /PATH} or {command: [/PROGRAM]}, or [] for none",
        }
        raise PydanticCustomError("unreadable", "{message}", context)
    return [value] if isinstance(value, dict) else value


ReceiverName = Annotated[str, Reads(_read_name, {"type": "string", "pattern": NAME_PATTERN})]
ReceiverUrl = Annotated[str, Reads(_read_url, {"type": "string", "pattern": f"^{URL_PATTERN}$"})]
WholePath = Annotated[str, Reads(_read_path, {"type": "string", "pattern": "^/"})]
Argument = Annotated[str, Reads(_read_word, TEXT)]


def one_or_several_receivers(schema: object) -> BeforeValidator:
    """One alone need not be in a list."""
    return BeforeValidator(_listed, json_schema_input_type=schema)
