"""The incarnations of a database that its repository knows: the one of now, and others.

One follows another where a database is restored in its place, or made anew under its name, so each
time belongs to the last one that had begun by then.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import zip_longest

from pgherd.contract.backups import Goal, Moment, Window
from pgherd.decide.backups import available
from pgherd.engines.local.backup.goals import first_moment, window
from pgherd.engines.local.backup.pgbackrest import Stanza
from pgherd.engines.local.manifest import DatabaseManifest

RETENTION_DAYS = 7
"""Of a database whose manifest does not say it."""
LAST_WAL = timedelta(days=1)
"""For as long as that one may have written after its last backup: they are daily."""


@dataclass(frozen=True, slots=True)
class Incarnation:
    """One that has a good backup; it can be restored from then on."""

    archive: str
    stanza: Stanza

    @property
    def begin(self) -> datetime:
        """The first time that it can be restored to."""
        return first_moment(available(self.stanza.backups))


def new_archive(service: str) -> str:
    """The name of one more."""
    return f"{service}-{secrets.token_hex(4)}"


def retention_days(manifest: DatabaseManifest) -> int:
    """For how long any time of a database can be restored to."""
    return manifest.retention_days or RETENTION_DAYS


def incarnations(stanzas: Mapping[str, Stanza], service: str) -> list[Incarnation]:
    """Those of a service, the oldest first."""
    found = [
        Incarnation(name, stanza)
        for name, stanza in stanzas.items()
        if _is_of(service, name) and available(stanza.backups)
    ]
    return sorted(found, key=lambda one: one.begin)


def unreadable(stanzas: Mapping[str, Stanza], service: str) -> str:
    """Why nobody knows of one of them; nothing where all are known."""
    found = (stanza.trouble for name, stanza in stanzas.items() if _is_of(service, name))
    return next(filter(None, found), "")


def _is_of(service: str, name: str) -> bool:
    return re.fullmatch(re.escape(service) + "-[0-9a-f]{8}", name) is not None


def before(found: list[Incarnation], archive: str) -> list[Incarnation]:
    """Those that had begun before the one of now, and all where that has no good backup yet."""
    now = next((one for one in found if one.archive == archive), None)
    return [one for one in found if now is None or one.begin < now.begin]


def lies_in(found: list[Incarnation], archive: str, goal: Goal) -> Incarnation | None:
    """The one before that of now that a time lies in; None where that is the one of now.

    Of what is before all of them the first one says what is wrong.
    """
    now = [one for one in found if one.archive == archive]
    until_now = [*before(found, archive), *now]
    if not isinstance(goal, Moment) or not until_now:
        return None
    chosen = next((one for one in reversed(until_now) if one.begin <= goal.at), until_now[0])
    return None if chosen in now else chosen


def windows(found: list[Incarnation], archive: str) -> tuple[Window, ...]:
    """Those of the ones before that of now; none reaches into the next one."""
    mine = _with_next(found)[: len(before(found, archive))]
    spans = [(window(one.stanza), end) for one, end in mine]
    return tuple(Window(s.begin, min(s.end, end or s.end)) for s, end in spans if s)


def outlived(
    found: list[Incarnation], in_use: Collection[str], days: int, now: datetime
) -> tuple[str, ...]:
    """The archives that nothing uses, and of which no time is in the last days."""
    return tuple(
        one.archive
        for one, end in _with_next(found)
        if one.archive not in in_use
        and (end or available(one.stanza.backups)[0].taken_at + LAST_WAL) < now - timedelta(days)
    )


def _with_next(found: list[Incarnation]) -> list[tuple[Incarnation, datetime | None]]:
    """Each with the begin of the next one."""
    return list(zip_longest(found, (one.begin for one in found[1:])))
