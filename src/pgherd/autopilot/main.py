"""The helper's beginning, and what becomes of a process that it forks for the controller."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import socket
import sys
from collections.abc import Mapping
from functools import partial
from pathlib import Path

from pgherd.autopilot import logs
from pgherd.autopilot.archive import Archive, opening
from pgherd.autopilot.controller import Controller
from pgherd.autopilot.distant import DistantEngine, Watched
from pgherd.autopilot.exporter import Exporter
from pgherd.autopilot.helper import Helper
from pgherd.autopilot.helper_link import HelperGone, HelperLink
from pgherd.autopilot.lock import take_lock
from pgherd.autopilot.place import AutopilotPlace, place_of
from pgherd.autopilot.requests import Applied
from pgherd.autopilot.telling import Telling
from pgherd.autopilot.variables import signed_in
from pgherd.control.applied import History
from pgherd.engines import known
from pgherd.engines.local import lowered
from pgherd.engines.local.layout import data_plane_owner
from pgherd.engines.opening import open_engine, read_text
from pgherd.errors import PgherdError, TryLater
from pgherd.files import Owner, ensure_directory, require_trusted
from pgherd.fleet import stored
from pgherd.fleet.desired import Fleet


def run(place: AutopilotPlace, *, is_dry: bool = False) -> None:
    """Be the helper of that fleet, until somebody asks it to leave.

    TryLater where another one is, InputError where others could write to its folder.
    """
    require_trusted(place.applied)
    ensure_directory(place.applied)
    owner = data_plane_owner()
    owner.give(place.history)
    lock = take_lock(place)
    history = History(place.applied, known.values, read_text)
    with contextlib.closing(_listen(place)) as listening:
        begin = partial(control, place, owner)
        Helper(place, history, begin, lock, is_dry=is_dry).run(listening)
    os.close(lock)


def _listen(place: AutopilotPlace) -> socket.socket:
    """A socket that only this user can reach: nobody else may enter its folder."""
    place.socket.unlink(missing_ok=True)
    listening = socket.socket(socket.AF_UNIX)
    with place.socket_name() as name:
        listening.bind(name)
    place.socket.chmod(0o600)
    listening.listen(16)
    return listening


def control(place: AutopilotPlace, owner: Owner, connection: socket.socket) -> None:
    """Be the controller from now on, with the data plane's rights and nothing of its parent's.

    Not its terminal either: another process of that user could take it over, and type for root.
    """
    os.setsid()
    logs.to_nowhere()
    if owner.is_another:
        os.setgroups([])
        os.setgid(owner.gid)
        os.setuid(owner.uid)
    os.chdir("/")
    os.umask(0o077)
    os.environ.clear()
    os.environ |= lowered.environment(Path("/"))
    os.environ["PGHERD_STATE"] = str(place.applied.parent)
    logs.to_file(place.history / "controller.log")
    gc.enable()
    with contextlib.suppress(HelperGone, ConnectionError):
        asyncio.run(_control(place, connection))


async def _control(place: AutopilotPlace, connection: socket.socket) -> None:
    link = await HelperLink.open(connection)
    telling = Telling(Archive(link.history_at, opening(place)))
    watched = partial(watch, link, {})
    controller = Controller(link, telling, read, watched, Exporter(telling))
    answers, rounds = asyncio.create_task(link.run()), asyncio.create_task(controller.run())
    ended, _ = await asyncio.wait([answers, rounds], return_when=asyncio.FIRST_COMPLETED)
    for task in ended:
        await task


def watch(link: HelperLink, known: dict[str, DistantEngine], fleet: Fleet) -> Mapping[str, Watched]:
    """The engines of a fleet, those that only the helper may sign in to as it tells of them.

    What was told of these is `known`, whichever file was applied since.
    """
    names = dict.fromkeys(environment.engine for environment in fleet.environments)
    far = signed_in(fleet)
    return {
        name: known.setdefault(name, DistantEngine(name, link))
        if name in far
        else open_engine(name, fleet.name, fleet.environments)
        for name in names
    }


def read(applied: Applied) -> Fleet:
    """The fleet that the helper says is applied."""
    return stored.decode(bytes(applied.resolved), known.values())


def main(applied: str) -> None:
    """Run for the fleet whose applied files are in that folder; quietly where another one runs."""
    place = place_of(Path(applied))
    os.environ["PGHERD_STATE"] = str(place.applied.parent)
    try:
        require_trusted(place.applied)
        logs.to_file(place.log)
        run(place)
    except TryLater as error:
        logs.say(error.message)
    except PgherdError as error:
        logs.say(f"{error.message}; {error.hint}")
        sys.exit(1)


if __name__ == "__main__":
    main(*sys.argv[1:])
