"""What must hold for receivers of notifications. No problem shows more of a URL than its scheme."""

from __future__ import annotations

from collections.abc import Iterator

from pgherd.fleet import apprise_urls
from pgherd.fleet.document import Path
from pgherd.fleet.draft import Draft
from pgherd.fleet.problem import Problem
from pgherd.fleet.receiver_models import ReceiverProfile
from pgherd.fleet.receivers import scheme
from pgherd.units import quoted

_WAYS = ("url", "url_file", "command")
_SERVICES = "see the list of services in Apprise's documentation"


def receivers_have_one_way(draft: Draft) -> Iterator[Problem]:
    """It is known how to tell each, and there is one way only."""
    for path, receiver in _receivers(draft):
        stated = [way for way in _WAYS if draft.is_stated(*path, way)]
        if not stated:
            message = "it is not said how to tell this receiver"
            yield draft.problem(path, "notifications", message, f"write {', '.join(_WAYS)}")
        for way in stated[1:]:
            message, hint = f"this receiver has {stated[0]}, too", "remove one of the two"
            yield draft.problem((*path, way), way, message, hint)
        command = receiver.command
        if command is not None and not (command and (command[0] or "/").startswith("/")):
            hint = "write the whole path of a program, then its arguments: [/usr/local/bin/page]"
            yield draft.problem((*path, "command"), "command", "this starts no program", hint)


def receivers_hear_of_something(draft: Draft) -> Iterator[Problem]:
    """The environments that one hears of are there."""
    for path, receiver in _receivers(draft):
        if receiver.environments == ():
            hint = "write [production], or remove the key for all"
            place = (*path, "environments")
            yield draft.problem(place, "environments", "is empty", hint)
        for index, name in enumerate(receiver.environments or ()):
            if name is not None and name not in draft.environments:
                hint = f"write one of {', '.join(draft.environments)}"
                message = f"{quoted(name)} is not an environment of this fleet"
                yield draft.problem((*path, "environments", index), "environments", message, hint)


def receivers_are_told_apart(draft: Draft) -> Iterator[Problem]:
    """Two of one name would be taken for one."""
    known: set[str] = set()
    for path, receiver in _receivers(draft):
        if (name := receiver.name) in known and name is not None:
            message, hint = f"{quoted(name)} is stated twice", "write another name"
            yield draft.problem((*path, "name"), "name", message, hint)
        known |= {name} if name else set()


def urls_are_known(draft: Draft) -> Iterator[Problem]:
    """Apprise can tell somebody by each URL."""
    urls = [(path, receiver.url) for path, receiver in _receivers(draft) if receiver.url]
    looks = apprise_urls.looked_at([url for _, url in urls])
    for (path, url), look in zip(urls, looks, strict=True):
        if look is apprise_urls.Look.UNKNOWN:
            message = f"Apprise knows no {scheme(url)}://"
            yield draft.problem((*path, "url"), "url", message, f"for those it knows, {_SERVICES}")
        elif look is apprise_urls.Look.INCOMPLETE:
            message = f"Apprise cannot use this {scheme(url)}:// URL: a part is missing or wrong"
            yield draft.problem((*path, "url"), "url", message, f"for its parts, {_SERVICES}")
        elif look is apprise_urls.Look.NO_APPRISE:
            message, hint = "Apprise cannot be started here", "run `make setup`"
            yield draft.problem((*path, "url"), "url", message, hint)


RECEIVER_RULES = (
    receivers_have_one_way,
    receivers_hear_of_something,
    receivers_are_told_apart,
    urls_are_known,
)


def _receivers(draft: Draft) -> Iterator[tuple[Path, ReceiverProfile]]:
    """Each that could be read, and where it is; one alone need not be in a list."""
    for index, receiver in enumerate(draft.content.notifications or ()):
        path: Path = ("notifications", index)
        if receiver is not None:
            yield (path if draft.is_stated(*path) else path[:1]), receiver
