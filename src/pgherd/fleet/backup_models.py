"""The keys of `backup`, `drills` and `objectives`, with the text that describes each."""

from __future__ import annotations

from pydantic import Field

from pgherd.fleet.keys import Section
from pgherd.fleet.values import Every, Flag, FullDisk, Objective, Retention, Word


class BackupProfile(Section):
    """How long backups are kept, and where their copies go."""

    retention: Retention | None = Field(
        None,
        description="How long a database can be restored to any point in time.",
        examples=["30d"],
    )
    copy_to: tuple[Word | None, ...] | None = Field(
        None, description="Other regions that get a copy.", examples=[["us-phoenix-1"]]
    )
    when_full: FullDisk | None = Field(
        None,
        description="What becomes of WAL that is not archived where the disk is all but full: it "
        "is kept until the database stops, or the archive is given up and a new one begun.",
        examples=["hold"],
    )
    stream: Flag | None = Field(
        None,
        description="WAL is received from the primary as it is written, so that what was committed "
        "a second ago can be restored though it is not archived yet.",
        examples=[True],
    )


class DrillsProfile(Section):
    """How often it is proven that what is for bad days works."""

    restore: Every | None = Field(
        None,
        description="How often the autopilot proves a database's backups by a restore.",
        examples=["7d"],
    )


class ObjectivesProfile(Section):
    """What a restore has to be good for; `pgherd report` says whether it is."""

    rto: Objective | None = Field(
        None,
        description="A database is back in so long (recovery time objective).",
        examples=["10m"],
    )
    rpo: Objective | None = Field(
        None,
        description="No more than the last so long is lost (recovery point objective).",
        examples=["60s"],
    )
