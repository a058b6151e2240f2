"""What must hold between the values of a fleet file: a list of small rules, all of them run.

A rule sees the whole draft and yields a problem for each thing to mend. It says nothing about
values that could not be read: those are problems already. An engine has rules of its own, beside
its section.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from difflib import get_close_matches
from ipaddress import IPv4Network
from pathlib import Path as FilePath

from pgherd.errors import InputError
from pgherd.fleet.calendar_rules import CALENDAR_RULES
from pgherd.fleet.desired import DatabaseId, Durability, Replicas
from pgherd.fleet.document import Path, shown
from pgherd.fleet.draft import Draft, Setting, subject
from pgherd.fleet.history_rules import history_has_one_place
from pgherd.fleet.names import MAX_RESOURCE_NAME, check_name, resource_name
from pgherd.fleet.problem import Problem
from pgherd.fleet.receiver_rules import RECEIVER_RULES
from pgherd.units import format_range, quoted

Rule = Callable[[Draft], Iterator[Problem]]

_NEEDED = {
    "fleet": "fleet: NAME",
    "services": "services: [ONE, TWO]",
    "environments": "environments: with production: below it",
}
_NEEDED_OF_AN_ENVIRONMENT = {"network": "network: 10.0.0.0/16"}
_NEEDED_OF_A_DATABASE = {"ocpus": "ocpus: 2..4", "storage": "storage: 1TB"}


def something_is_described(draft: Draft) -> Iterator[Problem]:
    """A fleet has a name, services and environments."""
    lacks = {
        "fleet": draft.content.fleet is None,
        "services": not draft.content.services,
        "environments": not draft.content.environments,
    }
    for key, write in _NEEDED.items():
        if not draft.is_stated(key):
            yield draft.problem((), key, "is missing", f"write {write}")
        elif lacks[key] and not draft.document.data.get(key, True):
            yield draft.problem((key,), key, "is empty", f"write {write}")


def names_are_usable(draft: Draft) -> Iterator[Problem]:
    """Names fit into host names, roles and resource names, and are nobody else's."""
    named: list[tuple[Path, str, str]] = [
        *((("environments", name), "environment", name) for name in draft.environments),
        *((path, "service", name) for path, name in draft.service_paths()),
    ]
    if draft.content.fleet is not None:
        named.append((("fleet",), "fleet", draft.content.fleet))
    for path, kind, name in named:
        try:
            check_name(kind, name)
        except InputError as error:
            yield draft.problem(path, str(path[0]), error.message, error.hint)


def services_are_named(draft: Draft) -> Iterator[Problem]:
    """A service that is a mapping says its name."""
    for index, service in enumerate(draft.content.services or ()):
        if service and service.name is None and not draft.is_stated("services", index, "name"):
            yield draft.problem(("services", index), "services", "name is missing", "write name:")


def services_are_stated_once(draft: Draft) -> Iterator[Problem]:
    """Two services of one name would own one database."""
    first: dict[str, Path] = {}
    for path, name in draft.service_paths():
        if first.setdefault(name, path) != path:
            line = draft.document.place(first[name]).line
            message = f"{quoted(name)} is stated twice, first on line {line}"
            yield draft.problem(path, "services", message, "remove one")


def needed_values_are_stated(draft: Draft) -> Iterator[Problem]:
    """What costs money or cannot be guessed is said by the file."""
    for environment in draft.environments:
        for key, write in _NEEDED_OF_AN_ENVIRONMENT.items():
            if _is_missing(draft.environment_setting(environment, key)):
                yield _missing(draft, environment, key, write)
    for id in draft.databases():
        for key, write in _NEEDED_OF_A_DATABASE.items():
            if _is_missing(draft.setting(id, key)):
                yield _missing(draft, id.environment, key, write)


def resource_names_are_unique_and_short(draft: Draft) -> Iterator[Problem]:
    """FLEET-ENVIRONMENT-SERVICE-db names one database, and fits where names go."""
    owners: dict[str, DatabaseId] = {}
    for id in draft.databases():
        path: Path = ("environments", id.environment)
        name = resource_name(draft.content.fleet or "", id.environment, id.service)
        if len(name) > MAX_RESOURCE_NAME:
            message = f"name {quoted(name)} has {len(name)} characters, {MAX_RESOURCE_NAME} fit"
            yield draft.problem(path, "environments", message, "choose shorter names")
        owner = owners.setdefault(name, id)
        if owner != id:
            message = f"{_label(id)} and {_label(owner)} would both be named {quoted(name)}"
            yield draft.problem(path, "environments", message, "choose another name")


def networks_do_not_overlap(draft: Draft) -> Iterator[Problem]:
    """Environments are apart from each other."""
    seen: list[tuple[str, IPv4Network]] = []
    for environment in draft.environments:
        setting = draft.environment_setting(environment, "network")
        if setting.path is None or setting.value is None:
            continue
        overlapped = [one for one in seen if one[1].overlaps(setting.value)]
        if overlapped:
            other, network = overlapped[0]
            message = f"{setting.value} overlaps {network} of {shown(other)}"
            path = _own_path(setting, ("environments", environment))
            yield draft.problem(path, "network", message, "write another one")
        seen.append((environment, setting.value))


def replicas_have_room(draft: Draft) -> Iterator[Problem]:
    """Instances of one database are in different availability domains."""
    for id in draft.databases():
        replicas = draft.setting(id, "replicas")
        domains = draft.environment_setting(id.environment, "availability_domains")
        if replicas.path and replicas.value and replicas.value.max and domains.value == 1:
            yield draft.problem(
                replicas.path,
                "replicas",
                f"{subject(id, replicas)} has 1 availability domain, no room for a replica",
                "write replicas: 0, or availability_domains: 2 or more",
            )


def synchronous_has_a_replica(draft: Draft) -> Iterator[Problem]:
    """A commit that waits for a replica needs one."""
    for id in draft.databases():
        durability, replicas = draft.setting(id, "durability"), draft.setting(id, "replicas")
        if durability.path is None or durability.value is not Durability.SYNCHRONOUS:
            continue
        if isinstance(replicas.value, Replicas) and replicas.value.min == 0:
            yield draft.problem(
                durability.path,
                "durability",
                f"{subject(id, durability, replicas)} may have 0 replicas to be synchronous with",
                f"write asynchronous, or replicas: {_with_one(replicas.value)}",
            )


def overrides_have_a_database(draft: Draft) -> Iterator[Problem]:
    """An override of nothing is a mistyped one."""
    databases = [str(id) for id in draft.databases()]
    for key in draft.content.overrides or () if databases else ():
        if key not in databases:
            near = get_close_matches(key, databases, n=1)
            hint = f"write {near[0]}" if near else f"write one as in {databases[0]}"
            message = f"{quoted(key)} is not a database of this fleet"
            yield draft.problem(("overrides", key), "overrides", message, hint)


def files_exist(draft: Draft) -> Iterator[Problem]:
    """Migrations are folders; what plays customers, and what masks copies, is a file."""
    for id in draft.databases():
        migrations, load = draft.setting(id, "migrations"), draft.setting(id, "load")
        if migrations.path and migrations.value:
            text = for_service(migrations.value, id.service)
            if not _answers(FilePath.is_dir, draft.folder / text):
                message, hint = f"{quoted(text)} is not a folder", "create it, or write another one"
                yield draft.problem(migrations.path, "migrations", message, hint)
        masking, hint = draft.setting(id, "masking"), "create it, or write another one"
        if load.path and load.value and not _answers(FilePath.is_file, draft.folder / load.value):
            yield draft.problem(load.path, "load", f"{quoted(load.value)} is not a file", hint)
        if masking.path and masking.value:
            text = for_service(masking.value, id.service)
            if not _answers(FilePath.is_file, draft.folder / text):
                yield draft.problem(masking.path, "masking", f"{quoted(text)} is not a file", hint)


RULES: tuple[Rule, ...] = (
    something_is_described,
    names_are_usable,
    services_are_named,
    services_are_stated_once,
    needed_values_are_stated,
    resource_names_are_unique_and_short,
    networks_do_not_overlap,
    replicas_have_room,
    synchronous_has_a_replica,
    overrides_have_a_database,
    files_exist,
    *CALENDAR_RULES,
    *RECEIVER_RULES,
    history_has_one_place,
)


def for_service(pattern: str, service: str) -> str:
    """A path pattern with the service's name in the place of {service}."""
    return pattern.replace("{service}", service)


def _answers(question: Callable[[FilePath], bool], path: FilePath) -> bool:
    try:
        return question(path)
    except (OSError, ValueError):  # too long, a loop of links, a character that no path has
        return False


def _is_missing(setting: Setting) -> bool:
    return setting.value is None and setting.path is None


def _missing(draft: Draft, environment: str, key: str, write: str) -> Problem:
    path = ("environments", environment)
    return draft.problem(path, shown(environment), f"{key} is missing", f"write {write}")


def _own_path(setting: Setting, fallback: Path) -> Path:
    """A value that is shared under defaults is no one's fault: point at the environment."""
    own = setting.path is not None and setting.path[: len(fallback)] == fallback
    return setting.path if own and setting.path else fallback


def _label(id: DatabaseId) -> str:
    return shown(str(id))


def _with_one(replicas: Replicas) -> str:
    return format_range(1, max(1, replicas.max))
