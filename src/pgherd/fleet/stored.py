"""A resolved fleet as JSON, for whoever goes on with what was wanted and does not read its file.

It is good for the code that wrote it only (`digest`): defaults and rules may be others by now. What
is kept for longer is the text of the file, which is in it.
"""

from __future__ import annotations

import hashlib
import os
from base64 import b64decode, b64encode
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

import msgspec

from pgherd.errors import NeedsHuman
from pgherd.fleet.desired import EngineValues, Fleet


class _Stored(msgspec.Struct, frozen=True):
    fleet: msgspec.Raw
    values: Mapping[str, Mapping[str, msgspec.Raw]]
    """Of each environment, by engine. Only the engine knows their type."""


@cache
def digest() -> str:
    """Tells this code, which reads and resolves fleet files, from any other."""
    found = hashlib.sha256()
    package = Path(__file__).parents[1]
    sections = (path for name in ("section.py", "values.py") for path in package.rglob(name))
    for path in sorted({*Path(__file__).parent.glob("*.py"), *sections}):
        found.update(path.read_bytes())
    return found.hexdigest()[:16]


def encode(fleet: Fleet) -> bytes:
    """As JSON."""
    bare = {e.name: replace(e, values={}) for e in fleet.environments}
    return msgspec.json.encode(
        {
            "fleet": replace(
                fleet,
                environments=tuple(bare.values()),
                databases=tuple(
                    replace(d, environment=bare[d.environment.name]) for d in fleet.databases
                ),
            ),
            "values": {e.name: e.values for e in fleet.environments},
        },
        enc_hook=_as_text,
    )


def decode(content: bytes, kinds: Mapping[str, type[EngineValues]]) -> Fleet:
    """The fleet again; `kinds` are the types of the engines' values. NeedsHuman if damaged."""
    try:
        stored = msgspec.json.decode(content, type=_Stored)
        fleet = msgspec.json.decode(stored.fleet, type=Fleet, dec_hook=_from_text)
        environments = {
            e.name: replace(e, values=_values(stored.values[e.name], kinds))
            for e in fleet.environments
        }
        return replace(
            fleet,
            environments=tuple(environments.values()),
            databases=tuple(
                replace(d, environment=environments[d.environment.name]) for d in fleet.databases
            ),
        )
    except (msgspec.MsgspecError, ValueError, KeyError, RecursionError):
        raise NeedsHuman("what is stored of the fleet cannot be read", "run `pgherd up`") from None


def _values(
    stored: Mapping[str, msgspec.Raw], kinds: Mapping[str, type[EngineValues]]
) -> Mapping[str, EngineValues]:
    return {name: msgspec.json.decode(raw, type=kinds[name]) for name, raw in stored.items()}


def path_text(path: Path) -> str:
    """A path as a text that JSON can hold: a file's name need not be UTF-8."""
    try:
        return os.fsencode(path).decode("utf-8")
    except UnicodeDecodeError:
        return "\0" + b64encode(os.fsencode(path)).decode()  # no path has a NUL


def path_of(text: str) -> Path:
    """The path that was made such a text."""
    return Path(os.fsdecode(b64decode(text[1:]))) if text.startswith("\0") else Path(text)


def _as_text(value: Any) -> str:
    if isinstance(value, Path):
        return path_text(value)
    if isinstance(value, IPv4Network):
        return str(value)
    raise NotImplementedError(f"{type(value)} is in a fleet, and nothing stores it")


def _from_text(kind: type[Any], value: Any) -> Any:
    return path_of(value) if kind is Path else kind(value)
