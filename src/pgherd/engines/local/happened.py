"""What the agent has done by itself, as it tells whoever measures: bounded, whoever tells it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated

from msgspec import Meta

from pgherd.contract.happenings import Happening, HappeningKind, Happenings
from pgherd.fleet.desired import DatabaseId

MOST = 200
MOST_OF_DATABASE = 20
LONGEST = 200
"""Characters of a text."""
MOST_PHASES = 20

Text = Annotated[str, Meta(max_length=LONGEST)]
Number = Annotated[int, Meta(ge=0, le=2**53)]
Milliseconds = Annotated[float, Meta(ge=0, le=1e10)]
Phases = Annotated[Mapping[Text, Milliseconds], Meta(max_length=MOST_PHASES)]


@dataclass(frozen=True, slots=True)
class Happened:
    """One thing that the agent did, as the contract's `Happening` has it."""

    number: Number
    at: Annotated[datetime, Meta(tz=True)]
    kind: HappeningKind
    database: Text
    reason: Text
    instance: Text | None = None
    program: Text | None = None
    before: Text | None = None
    after: Text | None = None
    phases: Phases = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class AllHappened:
    """The last things that one agent did, the oldest first. `source` is another for each agent."""

    source: Text = ""
    found: Annotated[tuple[Happened, ...], Meta(max_length=MOST)] = ()


def joined(before: AllHappened, news: AllHappened) -> AllHappened:
    """What was known, and what has come to it; of another agent nothing is known. Pure."""
    if before.source != news.source:
        return news
    last = before.found[-1].number if before.found else 0
    found = (*before.found, *(one for one in news.found if one.number > last))
    return AllHappened(news.source, found[-MOST:])


def happenings(told: AllHappened, ids: Collection[DatabaseId]) -> Happenings:
    """In the words of the contract; those of other databases than `ids` are left out. Pure."""
    by_name = {str(id): id for id in ids}
    found = [
        Happening(
            number=one.number,
            at=one.at,
            kind=one.kind,
            database=by_name[one.database],
            reason=one.reason,
            instance=one.instance,
            program=one.program,
            before=one.before,
            after=one.after,
            phases=one.phases,
        )
        for one in told.found
        if one.database in by_name
    ]
    return Happenings(told.source, found)
