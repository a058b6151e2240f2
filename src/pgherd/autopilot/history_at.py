"""Where the history is, as whoever runs pgherd knows it: the secret may be in a file of theirs.

Whoever gets the answer can open the history: the controller, and who reads for a command, both
with the rights of the data plane's user.
"""

from __future__ import annotations

from pathlib import Path

from pgherd.autopilot.place import AutopilotPlace
from pgherd.autopilot.private_file import read_word
from pgherd.autopilot.requests import HistoryAt
from pgherd.control.applied import History
from pgherd.engines import known
from pgherd.engines.opening import read_text
from pgherd.errors import InputError
from pgherd.fleet.desired import Fleet
from pgherd.fleet.history_place import EXAMPLE, url_problem


def history_at(fleet: Fleet) -> HistoryAt:
    """The place of a fleet's; InputError where its secret cannot be read."""
    place = fleet.history
    if place is None:
        return HistoryAt(fleet.name)
    url = place.url
    if place.url_file:
        path = Path(place.url_file)
        url = read_word(path)
        if problem := url_problem(url, is_private=True):
            raise InputError(f"{path}: {problem}", f"write one as in {EXAMPLE}")
    return HistoryAt(fleet.name, fleet.services, url)


def applied_history_at(place: AutopilotPlace) -> HistoryAt:
    """That of what was applied: there the controller writes."""
    history = History(place.applied, known.values, read_text)
    applied = history.newest()
    return history_at(history.fleet(applied)) if applied else HistoryAt(place.fleet)
