"""What commands reach beyond themselves: engines, migrations, the lock, the clock, programs.

A command gets it as click's context object, so that a test runs the very same command with
databases that are only remembered.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pgherd.cli.output import say
from pgherd.contract.engine import Engine
from pgherd.engines import known
from pgherd.engines.opening import open_engine, open_engines, read_text
from pgherd.files import name_of_user
from pgherd.fleet.desired import Environment, Fleet
from pgherd.fleet.receivers import Receiver
from pgherd.state import applied_folder, lock_path

if TYPE_CHECKING:  # each takes a while to import
    from pgherd.autopilot.client import Autopilot
    from pgherd.autopilot.notice import Notice
    from pgherd.autopilot.reading import Told
    from pgherd.autopilot.service import Service
    from pgherd.control.act import Migrations
    from pgherd.control.applied import History
    from pgherd.control.clock import Clock
    from pgherd.control.importing.moving import MoveIn


def _migrations() -> Migrations:
    from pgherd.control.migrations import AlembicMigrations

    return AlembicMigrations()


def _autopilot(fleet: str) -> Autopilot:
    from pgherd.autopilot.client import Autopilot
    from pgherd.autopilot.place import autopilot_place

    return Autopilot(autopilot_place(fleet))


def _told(fleet: str) -> Told:
    from pgherd.autopilot.history_at import applied_history_at
    from pgherd.autopilot.place import autopilot_place
    from pgherd.autopilot.reading import Told

    place = autopilot_place(fleet)
    return Told(place, lambda: applied_history_at(place))


def _run_autopilot(fleet: str, dry_run: bool) -> None:
    from pgherd.autopilot.main import run
    from pgherd.autopilot.place import autopilot_place

    run(autopilot_place(fleet), is_dry=dry_run)


def _service(fleet: str) -> Service:
    from pgherd.autopilot.place import autopilot_place
    from pgherd.autopilot.service import service_of

    return service_of(autopilot_place(fleet))


def _send(receiver: Receiver, notice: Notice) -> None:
    from pgherd.autopilot.sending import send

    send(receiver, notice)


def _move_in() -> MoveIn:
    from pgherd.control.importing.moving import move_in

    return move_in


def _clock() -> Clock:
    from pgherd.control.clock import SystemClock

    return SystemClock()


def _utc_now() -> datetime:
    return datetime.now(UTC)


def _replace_process(program: str, arguments: Sequence[str], variables: Mapping[str, str]) -> None:
    try:
        Path.cwd()
    except FileNotFoundError:
        os.chdir("/")  # psql does not start in a folder that is gone
    os.execvpe(program, [program, *arguments], {**os.environ, **variables})  # noqa: S606 - psql


def _user() -> str:
    """Who runs this, and who became root for it, as sudo says."""
    user = name_of_user(os.getuid())
    sudo = os.environ.get("SUDO_USER", "")[:64]
    return f"{sudo} (sudo)" if sudo and sudo != user else user


def _is_interactive() -> bool:
    return sys.stdin.isatty()


@dataclass(frozen=True, slots=True)
class Surroundings:
    """The real ones, unless others are given."""

    open_engines: Callable[[Fleet], Mapping[str, Engine]] = open_engines
    open_engine: Callable[[str, str, Sequence[Environment]], Engine] = open_engine
    migrations: Callable[[], Migrations] = _migrations
    clock: Callable[[], Clock] = _clock
    now: Callable[[], datetime] = _utc_now
    lock_path: Callable[[str], Path] = lock_path
    applied_folder: Callable[[str], Path] = applied_folder
    autopilot: Callable[[str], Autopilot] = _autopilot
    told: Callable[[str], Told] = _told
    run_autopilot: Callable[[str, bool], None] = _run_autopilot
    service: Callable[[str], Service] = _service
    send: Callable[[Receiver, Notice], None] = _send
    move_in: Callable[[], MoveIn] = _move_in
    user: Callable[[], str] = _user
    replace_process: Callable[[str, Sequence[str], Mapping[str, str]], None] = _replace_process

    is_interactive: Callable[[], bool] = _is_interactive

    def history(self, fleet: str) -> History:
        """What was applied to the fleet of that name."""
        from pgherd.control.applied import History

        return History(self.applied_folder(fleet), known.values, read_text)

    def engine_of(self, fleet: Fleet, environment: str) -> Engine:
        """The engine of an environment; InputError where the fleet file has no such one."""
        return self.open_engines(fleet)[fleet.environment(environment).engine]

    def lock(self, fleet: Fleet, command: str, *, wait: bool) -> AbstractContextManager[None]:
        """No other command changes the fleet meanwhile."""
        from pgherd.control.lock import FOR_EVER, fleet_lock

        return fleet_lock(
            self.lock_path(fleet.name),
            command,
            seconds=FOR_EVER if wait else 0.0,
            on_wait=lambda holder: say(f"waiting for {holder}", err=True),
            now=self.now().astimezone(),
        )


pass_surroundings = click.make_pass_decorator(Surroundings, ensure=True)

wait_option = click.option(
    "--wait/--no-wait",
    default=True,
    help="Whether to wait while another command changes the fleet.  [default: wait]",
)
