"""A fleet file as far as it could be read: the view that rules judge and `resolve` reads.

A value of one database is looked up in layers: its override, its service, its environment,
the defaults for all environments, the file's top level, and last pgherd's own defaults. Each
answer carries where it was stated, which is where a problem with it belongs.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path as FilePath
from typing import Any

from pgherd.fleet.desired import DatabaseId, Durability, Replicas
from pgherd.fleet.document import Document, Path, shown
from pgherd.fleet.keys import Section
from pgherd.fleet.models import FleetFile, Override, Profile
from pgherd.fleet.problem import Problem

PRODUCTION = "production"
"""The environment that is synchronous and protected unless the file says otherwise."""


@dataclass(frozen=True, slots=True)
class Setting:
    """A value and where it was stated; without a path it is pgherd's own default.

    A value of None with a path was stated and could not be read: it is a problem already.
    """

    value: Any
    path: Path | None = None


@dataclass(frozen=True, slots=True)
class Draft:
    """What could be read, with its places. `folder` is the fleet file's own."""

    file: str
    folder: FilePath
    document: Document
    content: FleetFile
    built_in: Profile

    def problem(self, path: Path, head: str, message: str, hint: str) -> Problem:
        """A problem at the place of `path`."""
        place = self.document.place(path)
        return Problem(self.file, place.line, place.column, f"{head}: {message}", hint)

    def is_stated(self, *path: str | int) -> bool:
        """The file has it, readable or not."""
        return path in self.document.places

    @property
    def environments(self) -> tuple[str, ...]:
        """In the order of the file."""
        return tuple(self.content.environments or ())

    @property
    def services(self) -> tuple[str, ...]:
        """In the order of the file, each once."""
        return tuple(dict.fromkeys(name for _, name in self.service_paths()))

    def service_paths(self) -> Iterator[tuple[Path, str]]:
        """Where each service's name is stated, and the name."""
        for index, service in enumerate(self.content.services or ()):
            if service is not None and service.name is not None:
                path: Path = ("services", index, "name")
                yield (path if path in self.document.places else path[:2]), service.name

    def databases(self) -> Iterator[DatabaseId]:
        """One for each service in each environment."""
        for environment in self.environments:
            for service in self.services:
                yield DatabaseId(environment, service)

    def environments_on(self, engine: str) -> Iterator[str]:
        """Those on one engine."""
        for environment in self.environments:
            if self.environment_setting(environment, "engine").value == engine:
                yield environment

    def databases_on(self, engine: str) -> Iterator[DatabaseId]:
        """One for each service in each environment on that engine."""
        for environment in self.environments_on(engine):
            for service in self.services:
                yield DatabaseId(environment, service)

    def profiles(self) -> Iterator[tuple[Path, Override]]:
        """Where values of databases are stated: defaults, environments and overrides."""
        if self.content.defaults is not None:
            yield ("defaults",), self.content.defaults
        for name, profile in (self.content.environments or {}).items():
            yield ("environments", name), profile
        for name, override in (self.content.overrides or {}).items():
            yield ("overrides", name), override

    def setting(self, id: DatabaseId, *keys: str) -> Setting:
        """What holds for one database."""
        return self._look_up((*self._own_layers(id), *self._shared_layers(id.environment)), keys)

    def environment_setting(self, environment: str, *keys: str) -> Setting:
        """What holds for a whole environment."""
        return self._look_up(self._shared_layers(environment), keys)

    def durability(self, id: DatabaseId) -> Setting:
        """As stated; else synchronous in production wherever a replica is certain."""
        stated = self.setting(id, "durability")
        if stated.path is not None:
            return stated
        replicas = self.setting(id, "replicas").value
        is_safe = isinstance(replicas, Replicas) and replicas.min > 0
        is_synchronous = id.environment == PRODUCTION and is_safe
        return Setting(Durability.SYNCHRONOUS if is_synchronous else Durability.ASYNCHRONOUS)

    def _own_layers(self, id: DatabaseId) -> Iterator[tuple[Path, Section | None]]:
        yield ("overrides", str(id)), (self.content.overrides or {}).get(str(id))
        for index, service in enumerate(self.content.services or ()):
            if service is not None and service.name == id.service:
                yield ("services", index), service

    def _shared_layers(self, environment: str) -> tuple[tuple[Path, Section | None], ...]:
        profile = (self.content.environments or {}).get(environment)
        return (
            (("environments", environment), profile),
            (("defaults",), self.content.defaults),
            ((), self.content),
        )

    def _look_up(
        self, layers: tuple[tuple[Path, Section | None], ...], keys: tuple[str, ...]
    ) -> Setting:
        for prefix, section in layers:
            setting = self._in_layer(prefix, section, keys)
            if setting is not None:
                return setting
        value: Any = self.built_in
        for key in keys:
            value = getattr(value, key)
        return Setting(value)

    def _in_layer(self, prefix: Path, value: Any, keys: tuple[str, ...]) -> Setting | None:
        """The answer of one layer; None where it says nothing about it."""
        path = prefix
        for key in keys:
            if value is False:  # autoscale: false says nothing about its thresholds
                return None
            path = (*path, key)
            if path not in self.document.places:
                # Below something unreadable, what was not found may have been meant.
                is_unreadable = value is None and path[:-1] in self.document.places
                return Setting(None, path[:-1]) if is_unreadable else None
            value = getattr(value, key, None)
        return Setting(value, path)


def subject(id: DatabaseId, *settings: Setting) -> str:
    """The database if it is special, else its environment, so that ten equals are said once."""
    is_own = any(s.path and s.path[0] == "overrides" for s in settings)
    return shown(str(id)) if is_own else shown(id.environment)
