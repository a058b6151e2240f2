"""Where the data of a database came from, as its manifest says it. Pure.

One text: the incarnation, what it was restored to, and since when the latest is that. Of another
environment the incarnation says which one, and what the copy was masked by:
`production/order-5de36753:4f1c2a7b9e0d8c35`.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime

from pgherd.contract.backups import UNDO, Goal, Latest, goal_option
from pgherd.engines.local.backup.goals import Mark
from pgherd.engines.local.manifest import DatabaseManifest
from pgherd.errors import InputError
from pgherd.fleet.desired import Database, DatabaseId

UNMASKED = "unmasked"


@dataclass(frozen=True, slots=True)
class Asked:
    """What a restore is asked for, and what is there: `there` is the target's manifest, if any.

    `masking` is what a copy in another environment is masked by, nothing for a copy as it is.
    """

    source: DatabaseManifest
    target: Database
    there: DatabaseManifest | None
    goal: Goal
    masking: str = ""

    @property
    def is_in_place(self) -> bool:
        """A database is restored to itself."""
        return self.target.id == self.source.id

    @property
    def is_elsewhere(self) -> bool:
        """The copy is in another environment."""
        return self.target.id.environment != self.source.environment

    @property
    def incarnation(self) -> str:
        """Whose backups it is restored from, as a manifest has it."""
        if not self.is_elsewhere:
            return self.source.archive
        masked = hashlib.sha256(self.masking.encode()).hexdigest()[:16]
        return f"{self.source.environment}/{self.source.archive}:" + (
            masked if self.masking else UNMASKED
        )

    @property
    def is_begun(self) -> bool:
        """What is restored was about to take its place when an earlier call of it ended."""
        return bool(self.there and self.there.restoring)

    @property
    def done(self) -> DatabaseManifest | None:
        """What an earlier call has brought.

        In place of another database it is that until that is backed up: then it has times of its
        own, and whoever asks wants them to end.
        """
        there = self.there
        if there is None or there.restoring:
            return None
        if self.is_in_place:
            return there if is_done(there, self.goal) else None
        is_old = self.is_elsewhere and bool(there.archive)
        is_it = is_origin(there.restored_from, self.incarnation, self.goal)
        return there if is_it and not is_old else None

    def require_free(self) -> None:
        """InputError where another restore is half done, or another database is in the way."""
        if self.source.restoring and not self.is_in_place:
            raise InputError(*half_restored(self.source))
        if self.there is None or (self.is_in_place and not self.there.restoring):
            return
        if self.there.restoring:
            if not is_origin(self.there.restoring, self.incarnation, self.goal):
                raise InputError(*half_restored(self.there))
        elif not self.is_elsewhere and not self.done:
            raise InputError(f"{self.target.id} is there already", "give it another name with --as")

    def require_confirmed(self, *, overwrites: bool) -> None:
        """InputError where it would take the place of what a database has, and nobody knows."""
        is_new = self.there is None or self.is_in_place or self.is_begun or self.done
        if not is_new and not overwrites:
            raise InputError(
                f"{self.target.id} is there already",
                f"write --yes-overwrite {self.target.id}: what it has is kept for --undo",
            )


def origin_of(incarnation: str, goal: Goal, now: Mark | None = None) -> str:
    """The incarnation and the goal, as a manifest has it; and since when the latest is that."""
    since = f" {now.at.isoformat()}" if now and isinstance(goal, Latest) else ""
    return f"{incarnation} {goal}{since}"


def is_origin(text: str, incarnation: str, goal: Goal) -> bool:
    """Whether a manifest says that. Once it is the latest of a moment it stays so."""
    origin = origin_of(incarnation, goal)
    return text == origin or (isinstance(goal, Latest) and text.startswith(f"{origin} "))


def until(text: str) -> datetime | None:
    """When all had been committed of what was the latest; None where a manifest does not say it."""
    _, _, goal = text.partition(" ")
    kind, _, since = goal.partition(" ")
    return datetime.fromisoformat(since) if kind == str(Latest()) and since else None


def is_done(manifest: DatabaseManifest, goal: Goal) -> bool:
    """Whether it was restored in its place to that, and has not been backed up since."""
    archive = manifest.restored_from.partition(" ")[0]
    is_own = source_of(archive) is None
    return is_own and not manifest.archive and is_origin(manifest.restored_from, archive, goal)


def source_of(incarnation: str) -> DatabaseId | None:
    """Which database of another environment that is; None for one of the same."""
    environment, slash, archive = incarnation.partition("/")
    return DatabaseId(environment, archive.rpartition("-")[0]) if slash else None


def half_restored(manifest: DatabaseManifest) -> tuple[str, str]:
    """That one waits for its restore to go on, and how that is done."""
    id, (incarnation, _, goal) = manifest.id, manifest.restoring.partition(" ")
    words = [f"pgherd restore {source_of(incarnation) or id} {goal_option(goal)}"]
    if source_of(incarnation):
        words += [f"--as {id}", *(["--unmasked"] if incarnation.endswith(f":{UNMASKED}") else [])]
    how = f"run `{' '.join(words)} --yes-overwrite {id}`"
    if source_of(incarnation) and "--unmasked" not in words:
        how += ", with the file of masking as it was"
    what = "what it had before" if goal == UNDO else goal
    return f"{id} is half restored to {what}", how
