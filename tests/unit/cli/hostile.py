"""A shop in a world where all who write a text want the terminal of whoever reads it."""

from __future__ import annotations

import io
import re
import sys
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from dataclasses import fields, is_dataclass, replace
from enum import Enum
from pathlib import Path
from typing import Any, TypeVar

import click
import pytest
from shop import AUTH, Shop

from pgherd.cli.main import cli
from pgherd.contract.access import Access, AccessRole, Reach
from pgherd.contract.backups import BackupHistory, ObservedBackup
from pgherd.contract.certificates import CertificateInfo
from pgherd.contract.engine import Engine
from pgherd.contract.logs import LogLine
from pgherd.contract.observed import Observation, Unknown
from pgherd.contract.offers import Capability, Offer
from pgherd.control.act import Migrations
from pgherd.control.clock import Clock
from pgherd.control.importing.judging import Moved
from pgherd.control.importing.moving import Telling, Wish
from pgherd.errors import InputError, NeedsHuman
from pgherd.fleet.desired import Database, DatabaseId, Pooling
from pgherd.testing.memory.abilities import MemoryCertificates, MemoryLogs
from pgherd.testing.memory.backups import MemoryBackups
from pgherd.testing.memory.engine import MemoryEngine
from pgherd.testing.memory.migrations import MemoryMigrations
from pgherd.testing.world import World

HOSTILE = (
    "\x1b]0;owned\x07\x1b]52;c;ZWNobw==\x07\x9b2J\u202e\u200b\udc9b\x7f\u2028"
    "\r\nforged line[bold red]markup[link=x:y]"
)
"""A title, the clipboard, the screen, the direction, what is not seen, lines, and colours of rich.

It may be the name of a file.
"""
SHOWN = (
    r"\x1b]0;owned\x07\x1b]52;c;ZWNobw==\x07\x9b2J\u202e\u200b\udc9b\x7f\u2028"
    r"\r\nforged line[bold red]markup[link=x:y]"
)

_COLOURS = re.compile(r"\x1b\[[0-9;]*m")
_REDRAWING = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\r(?!\n)")
_T = TypeVar("_T")


def ensure_harmless(output: str, *, is_redrawn: bool = False) -> str:
    """What is left of an output without pgherd's own colours: text that does nothing."""
    text = (_REDRAWING if is_redrawn else _COLOURS).sub("", output)
    for line in text.split("\n"):
        assert line.replace("\t", "").isprintable(), repr(line)
        assert not line.startswith("forged line")
    return text


def tainted(value: _T) -> _T:
    """The same with hostile words in each of its texts; names of databases stay."""
    changed: Any = value
    match value:
        case Enum() | DatabaseId():
            pass
        case str():
            changed = value + HOSTILE
        case Path():
            changed = Path(f"{value}{HOSTILE}")
        case tuple() | list():
            changed = type(value)(map(tainted, value))
        case Mapping():
            changed = {key: tainted(part) for key, part in value.items()}
        case _ if is_dataclass(value) and not isinstance(value, type):
            parts = {f.name: tainted(getattr(value, f.name)) for f in fields(value)}
            changed = replace(value, **parts)
    return changed  # type: ignore[no-any-return]


class HostileBackups(MemoryBackups):
    async def history(self, id: DatabaseId) -> BackupHistory:
        return tainted(await super().history(id))

    async def back_up(self, id: DatabaseId) -> ObservedBackup:
        return tainted(await super().back_up(id))


class HostileCertificates(MemoryCertificates):
    async def in_use(self) -> Sequence[CertificateInfo]:
        """Those of its environments, which keep their names, or nobody would see them."""
        return [replace(tainted(c), environment=c.environment) for c in await super().in_use()]


class HostileLogs(MemoryLogs):
    async def read(
        self, id: DatabaseId, *, instance: str | None = None, lines: int = 50, follow: bool = False
    ) -> AsyncIterator[LogLine]:
        async for line in super().read(id, instance=instance, lines=lines, follow=follow):
            yield tainted(line)


class HostileEngine(MemoryEngine):
    """Its databases are as they are remembered; all that it says of them is hostile."""

    def __init__(self, world: World, *, name: str) -> None:
        super().__init__(world, name=name)
        self.backups = HostileBackups(world, self.ensure_database)
        self.certificates = HostileCertificates(world)
        self.logs = HostileLogs(world)

    async def capabilities(self) -> Sequence[Capability]:
        broken = Capability("broken", False, "it is broken", "mend it")
        return tainted((*await super().capabilities(), broken))

    async def offers(self, databases: Collection[Database]) -> Sequence[Offer]:
        refused = (InputError(f"it is refused: {HOSTILE}", HOSTILE),)
        return [
            Offer(d, (HOSTILE,), refused if str(d.id) == "staging/order" else ()) for d in databases
        ]

    async def observe(self, *, roles: bool = True) -> Observation:
        """What is there, and again under names that nobody gave, answering and not."""
        seen = await super().observe(roles=roles)
        databases = dict(seen.databases)
        for id, found in seen.databases.items():
            databases[DatabaseId(id.environment, f"{id.service}{HOSTILE}")] = found
            databases[DatabaseId(f"lost{HOSTILE}", f"{id.service}{HOSTILE}")] = found
            databases[DatabaseId(id.environment, f"mute{HOSTILE}")] = Unknown("mute")
        impaired = {name: f"{name} is impaired" for name in seen.environments}
        return replace(seen, databases=tainted(databases), impaired=tainted(impaired))

    async def switchover(self, id: DatabaseId, target: str | None = None) -> str:
        return tainted(await super().switchover(id, target))

    async def failover(self, id: DatabaseId, target: str | None = None) -> str:
        return tainted(await super().failover(id, target))

    async def access(
        self, id: DatabaseId, role: AccessRole, pooling: Pooling = Pooling.SESSION
    ) -> Access:
        files = {name: Path(name) for name in ("certificate", "key", "authority")}
        return tainted(replace(await super().access(id, role, pooling), **files))


class HostileMigrations(MemoryMigrations):
    """Revisions of hostile names; one folder cannot be read."""

    def head(self, database: Database) -> str | None:
        if database.id == AUTH:
            return f"0001{HOSTILE}"
        raise InputError(f"a folder is odd: {HOSTILE}", HOSTILE)

    def apply(self, database: Database, access: Access) -> None:
        raise InputError(f"a revision is odd: {HOSTILE}", HOSTILE)


class HostileShop(Shop):
    """Once it `is_hostile`, everybody lies to it; `is_terminal` is where its commands print."""

    is_hostile = False
    is_terminal = False
    when_printing: Callable[[], object] | None = None

    def engine(self, name: str) -> Engine:
        kind = HostileEngine if self.is_hostile else MemoryEngine
        return kind(self.world, name=name)

    def migrations(self) -> Migrations:
        kind = HostileMigrations if self.is_hostile else MemoryMigrations
        return kind(self.world, self.heads)

    async def move_in(self, wish: Wish, reach: Reach, clock: Clock, telling: Telling) -> Moved:
        """Of a source that lies in each of its words."""
        self.seen, self.moved = tainted(self.seen), tainted(self.moved)
        return await super().move_in(wish, reach, clock, telling)

    def fail(self, operation: str) -> None:
        """The next call of that kind ends in hostile words."""
        self.world.fail_next(operation, NeedsHuman(f"it failed: {HOSTILE}", f"mend it: {HOSTILE}"))

    def said(self, *arguments: str) -> str:
        """All that a command prints, in colour, to the last character."""
        screen = Screen(is_terminal=self.is_terminal, when_printing=self.when_printing)
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("PGHERD_FILE", str(self.file))
            patch.setattr(sys, "stdout", screen)
            patch.setattr(sys, "stderr", screen)
            call = {"obj": self.surroundings(), "color": True, "standalone_mode": False}
            try:
                cli.main(arguments, "pgherd", **call)
            except click.ClickException as error:
                error.show()
        return screen.getvalue()


class Screen(io.StringIO):
    """Keeps what is written as it is."""

    def __init__(
        self, *, is_terminal: bool, when_printing: Callable[[], object] | None = None
    ) -> None:
        super().__init__(newline="")
        self._is_terminal = is_terminal
        self._when_printing = when_printing

    def isatty(self) -> bool:
        return self._is_terminal

    def write(self, text: str) -> int:
        if self._when_printing is not None:
            self._when_printing()
        return super().write(text)
