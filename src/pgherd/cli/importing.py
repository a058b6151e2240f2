"""`pgherd import`: a PostgreSQL database from elsewhere becomes one of the fleet."""

from __future__ import annotations

import os
import time
from pathlib import Path

import click

from pgherd.autopilot.private_file import read_word
from pgherd.cli.fleet_option import fleet_option
from pgherd.cli.output import ask, say, say_json
from pgherd.cli.surroundings import Surroundings, pass_surroundings
from pgherd.cli.tables import print_table
from pgherd.control.importing.address import PRIVATE_WAYS, Source, read_source
from pgherd.control.importing.judging import REVISIONS, Moved, reckoned_seconds
from pgherd.control.importing.moving import Differs, Seen, Telling, Wish
from pgherd.control.signals import run
from pgherd.errors import InputError
from pgherd.fleet.desired import Database, DatabaseId, Fleet
from pgherd.report.importing import (
    checks_table,
    left_out,
    moved_json,
    source_line,
    summary,
    times,
)
from pgherd.report.words import duration
from pgherd.units import rounded_bytes

FROM_VARIABLE = "PGHERD_IMPORT_FROM"
_TELL_SECONDS = 10.0


@click.command("import")
@click.argument("database")
@click.option("--from", "uri", metavar="URI", help="The source, where its URI has no password.")
@click.option(
    "--from-file",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help=f"A private file with the URI; else it is in ${FROM_VARIABLE}.",
)
@click.option(
    "--stop-writes", is_flag=True, help="Let the source take no more writes, from the start on."
)
@click.option(
    "--yes-overwrite",
    metavar="DATABASE",
    help="The database, to replace what is in it without asking.",
)
@click.option(
    "--check-minutes",
    metavar="MINUTES",
    type=click.IntRange(min=0),
    default=60,
    show_default=True,
    help="How long both sides may be compared.",
)
@click.option("--json", "as_json", is_flag=True, help="Print what came of it as JSON.")
@fleet_option
@pass_surroundings
def import_(
    surroundings: Surroundings,
    fleet: Fleet,
    *,
    database: str,
    uri: str | None,
    from_file: Path | None,
    stop_writes: bool,
    yes_overwrite: str | None,
    check_minutes: int,
    as_json: bool,
) -> None:
    """Move a database in from elsewhere.

    It is copied into one of the fleet, and both are compared. What is written to the source after
    the copy has begun is not in it: so try it while the source is in use, and do it again with
    --stop-writes when its clients can move.
    """
    source = _source(uri, from_file)
    wanted = fleet.database(fleet.id(database))
    reach = surroundings.engine_of(fleet, wanted.id.environment).reach
    if reach is None:
        raise InputError(
            f"engine {wanted.environment.engine} does not let pgherd into its databases",
            "copy the data with pg_dump and pg_restore, from where both can be reached",
        )
    shown = _Shown(surroundings, wanted, stop_writes, yes_overwrite, str(source))
    wish = Wish(wanted.id, source, stop_writes, check_minutes * 60.0)
    telling = Telling(shown.ensure_agreed, shown.begins, shown.on_bytes)
    try:
        moved = run(surroundings.move_in()(wish, reach, surroundings.clock(), telling))
    except Differs as error:
        _tell(error.moved, as_json=as_json)
        raise
    _tell(moved, as_json=as_json)


class _Shown:
    """What a user sees of an import, and agrees to, before and while it goes on."""

    def __init__(
        self,
        surroundings: Surroundings,
        wanted: Database,
        stops_writes: bool,
        yes_overwrite: str | None,
        source: str,
    ) -> None:
        self._surroundings = surroundings
        self._wanted = wanted
        self._stops_writes = stops_writes
        self._yes_overwrite = yes_overwrite
        self._source = source
        self._told_at = time.monotonic()
        self._bytes = 0

    def ensure_agreed(self, seen: Seen) -> None:
        """Say what is going to happen; InputError where the user has not said that it may."""
        source = seen.source
        self._bytes = source.bytes
        say(source_line(self._source, source), err=True)
        if source.left_out:
            say(f"not copied: {left_out(source.left_out)}", err=True)
        if self._wanted.migrations and REVISIONS not in {t.key for t in source.tables}:
            say(
                "the source has no public.alembic_version: `pgherd up` will apply all migrations"
                " to what was copied, unless you make that table first",
                err=True,
            )
        about = duration(reckoned_seconds(source))
        meanwhile = (
            "the source takes no writes from now on"
            if self._stops_writes
            else "what is written to the source from now on is not in the copy"
        )
        say(f"reckoned with 10 MB a second it takes {about}; {meanwhile}", err=True)
        if seen.in_the_way:
            self._ensure_confirmed(self._wanted.id, seen.in_the_way)

    def _ensure_confirmed(self, id: DatabaseId, what: str) -> None:
        given = self._yes_overwrite
        if given == str(id):
            return
        if given is not None:
            raise InputError(f"--yes-overwrite names {given}, not {id}", f"write {id}")
        if not self._surroundings.is_interactive():
            raise InputError(
                f"{id} is not empty: {what}",
                f"write --yes-overwrite {id} to replace all that is in it",
            )
        say(f"{id} is not empty: {what}. All that is in it is replaced", err=True)
        if ask(f"type {id} to replace it") != str(id):
            raise InputError("not confirmed: nothing was changed")

    def begins(self, what: str) -> None:
        """One more part of it."""
        say(f"{self._wanted.id}: {what}", err=True)

    def on_bytes(self, moved: int) -> None:
        """A line now and then; called from a thread."""
        if time.monotonic() >= self._told_at + _TELL_SECONDS:
            self._told_at = time.monotonic()
            # With indexes in the one and text for the other, they are not the same bytes.
            of = rounded_bytes(self._bytes)
            say(f"{self._wanted.id}: {rounded_bytes(moved)} copied, the source has {of}", err=True)


def _source(uri: str | None, file: Path | None) -> Source:
    """The one place that was named. The variable is taken away: nobody else needs it."""
    variable = os.environ.pop(FROM_VARIABLE, None)
    if uri is not None and file is not None:
        raise InputError("--from and --from-file exclude each other", "leave one out")
    if uri is not None:
        return read_source(uri, is_private=False)
    if file is not None:
        return read_source(read_word(file), is_private=True)
    if variable:
        return read_source(variable.strip(), is_private=True)
    raise InputError(
        "nobody says where the database comes from",
        f"write --from with a URI; where that has a password, {PRIVATE_WAYS}",
    )


def _tell(moved: Moved, *, as_json: bool) -> None:
    if as_json:
        say_json(moved_json(moved))
        return
    print_table(checks_table(moved), _style)
    if moved.problems():
        return
    say(f"{moved.database}: {summary(moved)} ({times(moved)})")
    if moved.written and moved.is_read_only:
        say("the source was written to all the same: look who did, and copy it again", fg="yellow")
    elif moved.is_read_only:
        say(
            "the source takes no writes any more; ALTER DATABASE ... RESET"
            " default_transaction_read_only there ends that"
        )
    elif moved.written:
        say("the source has been written to since: do it again with --stop-writes to move")


def _style(cell: str) -> str:
    if cell == "same":
        return "green"
    return "yellow" if cell.startswith("not checked") else ""
