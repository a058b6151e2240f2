"""What the controller may ask of the helper, and what it is answered: all of it, typed.

Names and numbers only. Whoever has the controller's rights can ask for any of this, so each
request is checked (`checks`), and none of them says what is run, read or followed.
"""

from __future__ import annotations

from typing import Annotated, TypeAlias

import msgspec
from msgspec import Meta, Struct

from pgherd.contract.backups import BackupCopy, ObservedBackup
from pgherd.contract.proofs import Proof

LONGEST_LINE = 128 * 1024
"""Bytes of a request; whoever sends more is ended."""

Name = Annotated[str, Meta(min_length=1, max_length=100)]
Reason = Annotated[str, Meta(max_length=1000)]
Count = Annotated[int, Meta(ge=0, le=100_000)]
Number = Annotated[int, Meta(ge=0, le=2**53)]
"""It only ever grows: one more with every round, for years."""
Time = Annotated[float, Meta(ge=0, le=2**32)]
"""Seconds since 1970: a time that a clock can show."""
LONGEST_SENTENCE = 300
"""Characters of what is told of an alert."""


class Resize(Struct, frozen=True, tag=True, forbid_unknown_fields=True):
    """A database gets another size, within its bounds."""

    database: Name
    ocpus: Count
    reason: Reason


class Replicas(Struct, frozen=True, tag=True, forbid_unknown_fields=True):
    """A database gets another number of replicas, within its bounds."""

    database: Name
    count: Count
    reason: Reason


class Mend(Struct, frozen=True, tag=True, forbid_unknown_fields=True):
    """What does not serve of a database is mended."""

    database: Name
    reason: Reason


class Restart(Struct, frozen=True, tag=True, forbid_unknown_fields=True):
    """An instance takes over settings that wait for a restart."""

    database: Name
    instance: Name
    reason: Reason


class HandOver(Struct, frozen=True, tag=True, forbid_unknown_fields=True):
    """A replica leads, so that the primary can be restarted."""

    database: Name
    instance: Name
    reason: Reason


class Renew(Struct, frozen=True, tag=True, forbid_unknown_fields=True):
    """What the databases of an environment share is there, runs, and has valid certificates."""

    environment: Name
    reason: Reason


class ToldAlert(Struct, frozen=True, forbid_unknown_fields=True):
    """An alert of which a receiver is told, and since when (seconds since 1970) it is open."""

    name: Name
    subject: Annotated[str, Meta(max_length=200)]
    since: Time
    summary: Annotated[str, Meta(max_length=LONGEST_SENTENCE)]
    remedy: Annotated[str, Meta(max_length=LONGEST_SENTENCE)]


ToldAlerts = Annotated[tuple[ToldAlert, ...], Meta(max_length=10)]


class Notify(Struct, frozen=True, tag=True, forbid_unknown_fields=True):
    """A receiver is told of alerts of an environment: those that are open, those that ended.

    `number` is that of the message; there are more of each kind than are named.
    """

    receiver: Name
    environment: Name
    number: Number
    firing: ToldAlerts = ()
    ended: ToldAlerts = ()
    more_firing: Count = 0
    more_ended: Count = 0
    is_repeat: bool = False
    is_last: bool = False


Request: TypeAlias = Resize | Replicas | Mend | Restart | HandOver | Renew


class Look(Struct, frozen=True, tag=True, forbid_unknown_fields=True):
    """How is all on that engine, to which only the helper can sign in?"""

    engine: Name


class LookAtBackups(Struct, frozen=True, tag=True, forbid_unknown_fields=True):
    """Which backups are there of the databases on that engine, or of one of them?"""

    engine: Name
    database: Annotated[str, Meta(max_length=200)] = ""


class BackupsSeen(Struct, frozen=True):
    """The backups of one database, their proofs and copies, or why nobody knows.

    `proofs` are None where its engine proves none.
    """

    backups: tuple[ObservedBackup, ...] = ()
    trouble: str = ""
    proofs: tuple[Proof, ...] | None = None
    copies: tuple[BackupCopy, ...] = ()


class BackUp(Struct, frozen=True, tag=True, forbid_unknown_fields=True):
    """A database is backed up."""

    database: Name
    reason: Reason


class Prove(Struct, frozen=True, tag=True, forbid_unknown_fields=True):
    """A database's backups are proven by a restore."""

    database: Name
    reason: Reason


class DropArchive(Struct, frozen=True, tag=True, forbid_unknown_fields=True):
    """A database's archive is given up, where the fleet file says so: its disk is all but full."""

    database: Name
    reason: Reason


OfBackups: TypeAlias = BackUp | Prove | DropArchive
"""They change no data of a database; the first two take as long as it is large."""
Work: TypeAlias = Request | Notify | Look | LookAtBackups | OfBackups
"""What takes a while: it goes on in a process of its own."""


class LookUp(Struct, frozen=True, tag=True, forbid_unknown_fields=True):
    """What is applied? `number` and `digest` are those of what is known already."""

    number: Number = 0
    digest: Annotated[str, Meta(max_length=200)] = ""


class FindHistory(Struct, frozen=True, tag=True, forbid_unknown_fields=True):
    """Where is the history?"""


MINUTES = 10
MOST_DATABASES = 256
"""Of more it is not told how busy they were: a request has a length."""
Percent = Annotated[int, Meta(ge=0, le=100)]
Lines = Annotated[
    dict[Name, Annotated[list[Percent | None], Meta(max_length=MINUTES)]],
    Meta(max_length=MOST_DATABASES),
]
"""CPU of databases in each of the last minutes, the oldest first."""
LONGEST_WHY = 100
"""Characters of why a database is not protected."""
Whys = Annotated[
    dict[Name, Annotated[str, Meta(max_length=LONGEST_WHY)]], Meta(max_length=MOST_DATABASES)
]
"""Why each database could not be restored as it should; empty where it could."""


class Beat(Struct, frozen=True, tag=True, forbid_unknown_fields=True):
    """A round is over, at that time (seconds since 1970), with so many alerts. No answer.

    `cpu` is how busy databases were lately, `unprotected` why which of them could not be restored,
    `history` why nothing is kept; empty where it is.
    """

    at: Time
    alerts: Count
    cpu: Lines = {}
    unprotected: Whys = {}
    history: Annotated[str, Meta(max_length=LONGEST_SENTENCE)] = ""


class Asked(Struct, frozen=True):
    """On its way to the helper; answers name the `number`."""

    number: Number
    what: Work | LookUp | FindHistory | Beat


class Pause(Struct, frozen=True):
    """What is left alone, from and until (seconds since 1970).

    `subject` is an environment or a database, or empty for all.
    """

    subject: Annotated[str, Meta(max_length=100)]
    reason: str
    since: float
    until: float | None = None
    by: str = ""


class Applied(Struct, frozen=True):
    """What is applied; `resolved` is empty where it is known already."""

    number: int
    digest: str
    resolved: msgspec.Raw
    pauses: tuple[Pause, ...]


class HistoryAt(Struct, frozen=True):
    """Where the history of a fleet is: at a `url`, else in its file.

    It is in no database of the fleet's `services`.
    """

    fleet: str
    services: tuple[str, ...] = ()
    url: str = ""

    def __repr__(self) -> str:
        return f"HistoryAt({self.fleet!r})"  # the URL may have a password


class Failure(Struct, frozen=True):
    """Why a request was not carried out, as an error of pgherd."""

    kind: str
    message: str
    hint: str


class Answered(Struct, frozen=True):
    """On its way back: an answer to `LookUp` or `FindHistory`, or how work ended.

    `looked` is what somebody asked to see.
    """

    number: int
    applied: Applied | None = None
    failure: Failure | None = None
    looked: msgspec.Raw = msgspec.Raw(b"null")
    seconds: float = 0.0
    history: HistoryAt | None = None


class Done(Struct, frozen=True):
    """How work ended, from the process in which it went on; `looked` as above."""

    failure: Failure | None = None
    looked: msgspec.Raw = msgspec.Raw(b"null")
