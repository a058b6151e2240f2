"""Whether a database can be imported, what has to be left out, and what came of it: pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from pgherd.errors import InputError, NeedsHuman, PgherdError
from pgherd.fleet.desired import DatabaseId
from pgherd.units import quoted

PAGES_AT_ONCE = 16384
"""128 MB of a table, for one statement."""
MARK = "pgherd: an import is not finished"
"""The comment on schema public of a database that is half imported, or may be."""
OLDEST = 11
"""Of sources: the first with sha256()."""
ENCODINGS = frozenset({"SQL_ASCII", "MULE_INTERNAL"})
"""Which text has no one reading in UTF-8."""
EXTENSIONS = frozenset(
    {
        *("btree_gin", "btree_gist", "citext", "cube", "dict_int", "fuzzystrmatch", "hstore"),
        *("intarray", "isn", "lo", "ltree", "pg_trgm", "pgcrypto", "seg", "tablefunc", "tcn"),
        *("tsm_system_rows", "tsm_system_time", "unaccent", "uuid-ossp"),
    }
)
"""PostgreSQL's own that it trusts, but for languages: readers could write code in them."""
REVISIONS = ("public", "alembic_version")
BYTES_A_SECOND = 10_000_000
"""What is reckoned with before anything was measured: a slow disk, two indexes a table."""
_NAMED = 5


@dataclass(frozen=True, slots=True)
class Table:
    """One with rows of its own: `pages` of 8 kB in its main file, `bytes` with all that is long."""

    schema: str
    name: str
    pages: int
    bytes: int

    @property
    def key(self) -> tuple[str, str]:
        """By what it is known on either side."""
        return (self.schema, self.name)


@dataclass(frozen=True, slots=True)
class Inventory:
    """What a look has found in a database.

    `foreign` are kind and name of what only a superuser can make.
    """

    version: int
    bytes: int
    encoding: str
    name: str
    schemas: tuple[str, ...]
    extensions: tuple[tuple[str, str], ...]
    trusted: frozenset[str]
    tables: tuple[Table, ...]
    views: tuple[tuple[str, str], ...]
    foreign: tuple[tuple[str, str], ...]
    left_out: tuple[tuple[str, str], ...]
    objects: int
    comment: str | None

    @property
    def is_half_imported(self) -> bool:
        """An import began here and has not come to its end."""
        return self.comment == MARK


def inventory(found: Any) -> Inventory:
    """The answer to a look; NeedsHuman where it is none."""
    try:
        return Inventory(
            version=int(found["version"]),
            bytes=int(found["bytes"]),
            encoding=str(found["encoding"]),
            name=str(found["name"]),
            schemas=tuple(map(str, found["schemas"])),
            extensions=_pairs(found["extensions"]),
            trusted=frozenset(map(str, found["trusted"])),
            tables=tuple(Table(str(s), str(n), int(p), int(b)) for s, n, p, b in found["tables"]),
            views=_pairs(found["views"]),
            foreign=_pairs(found["foreign"]),
            left_out=_pairs(found["left_out"]),
            objects=int(found["objects"]),
            comment=None if found["comment"] is None else str(found["comment"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise NeedsHuman("a server's catalogue makes no sense", "look at that server") from error


def refusals(source: Inventory, target: Inventory) -> list[PgherdError]:
    """Why the source cannot become that target; empty where it can."""
    found: list[PgherdError] = []
    if not OLDEST <= source.version <= target.version:
        found.append(
            InputError(
                f"the source is PostgreSQL {source.version}, and only {OLDEST} to"
                f" {target.version} can be imported here",
                "write a newer `postgresql` in the fleet file, for a database that is made with it"
                if source.version > target.version
                else "upgrade the source first",
            )
        )
    if source.encoding in ENCODINGS:
        found.append(
            InputError(
                f"the source's encoding is {source.encoding}, which is none",
                "convert it to UTF8 with pg_dump and iconv first",
            )
        )
    missing = [n for n, _ in source.extensions if n not in EXTENSIONS or n not in target.trusted]
    if missing:
        found.append(
            InputError(
                f"the source has extensions that a service may not have: {_few(missing)}",
                "drop them at the source, or in a copy of it; those that can be imported are in"
                " docs/importing.md",
            )
        )
    if source.foreign:
        found.append(
            InputError(
                f"the source has what only a superuser can make: {_few(_named(source.foreign))}",
                "drop it at the source, or in a copy of it",
            )
        )
    return found


def need_yes(target: Inventory, tables_with_rows: Sequence[str] | None) -> bool:
    """Whether something would be lost that nobody has said may be."""
    return not target.is_half_imported and (tables_with_rows is not None or target.objects > 0)


def tables_to_ask(target: Inventory) -> list[list[str]]:
    """In which a row would be somebody's: not in what migrations keep."""
    return [[t.schema, t.name] for t in target.tables if t.key != REVISIONS]


def reckoned_seconds(source: Inventory) -> float:
    """How long a copy takes, before any was measured."""
    return source.bytes / BYTES_A_SECOND


class Verdict(StrEnum):
    """How a table came out of its check."""

    SAME = "same"
    DIFFERENT = "different"
    MISSING = "missing"
    UNCHECKED = "not checked"


@dataclass(frozen=True, slots=True)
class Checked:
    """One table, both sides compared. `rows` are the source's, `arrived` the target's."""

    schema: str
    name: str
    verdict: Verdict
    rows: int | None = None
    arrived: int | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Sums:
    """Rows, and the sum of their hashes; `why` it is not known, empty where it is."""

    rows: int = 0
    sum: int = 0
    why: str = ""

    def __add__(self, other: Sums) -> Sums:
        return Sums(self.rows + other.rows, self.sum + other.sum, self.why or other.why)


def read_sums(found: Any) -> Sums:
    """The answer of a server; what makes no sense is not known."""
    try:
        rows, total = found
        return Sums(int(rows), int(total or 0))
    except (TypeError, ValueError):
        return Sums(why="the answer makes no sense")


def begins(table: Table) -> list[int]:
    """The parts in which a table is summed up, each by its first page."""
    return list(range(0, max(1, table.pages), PAGES_AT_ONCE))


def compared(schema: str, name: str, source: Sums, target: Sums | None) -> Checked:
    """What both sides have said; `target` is None where it has no such table."""
    if target is None:
        return Checked(schema, name, Verdict.MISSING, reason="it is not in the copy")
    if why := source.why or target.why:
        return Checked(schema, name, Verdict.UNCHECKED, reason=why)
    same = (source.rows, source.sum) == (target.rows, target.sum)
    verdict = Verdict.SAME if same else Verdict.DIFFERENT
    return Checked(schema, name, verdict, source.rows, target.rows)


@dataclass(frozen=True, slots=True)
class Moved:
    """What came of an import. `written` says whether the source has changed since it was copied."""

    database: DatabaseId
    source: str
    version: int
    bytes: int
    tables: tuple[Checked, ...]
    sequences: int
    sequences_behind: tuple[str, ...]
    left_out: tuple[tuple[str, str], ...]
    written: bool | None
    is_read_only: bool
    seconds: Mapping[str, float]

    def problems(self) -> list[str]:
        """What is not as it was at the source."""
        bad = [c for c in self.tables if c.verdict in (Verdict.DIFFERENT, Verdict.MISSING)]
        found = [f"table {c.schema}.{c.name} is {c.verdict.value}" for c in bad[:_NAMED]]
        if len(bad) > _NAMED:
            found.append(f"and {len(bad) - _NAMED} more tables")
        if self.sequences_behind:
            found.append(f"sequences are behind: {_few(self.sequences_behind)}")
        return found


def behind(source: Any, target: Any) -> tuple[int, tuple[str, ...]]:
    """How many sequences there are, and those whose value is not the source's."""
    try:
        wanted = {(str(s), str(n)): v for s, n, v in source}
        there = {(str(s), str(n)): v for s, n, v in target}
    except (TypeError, ValueError):
        raise NeedsHuman(
            "a server's list of sequences makes no sense", "look at that server"
        ) from None
    wrong = [key for key, value in wanted.items() if key not in there or there[key] != value]
    return len(wanted), tuple(".".join(key) for key in wrong)


def _pairs(found: Any) -> tuple[tuple[str, str], ...]:
    return tuple((str(a), str(b)) for a, b in found)


def _named(pairs: Sequence[tuple[str, str]]) -> list[str]:
    return [f"{kind} {quoted(name)}" for kind, name in pairs]


def _few(names: Sequence[str]) -> str:
    rest = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + rest
