"""From a draft without problems to the fleet: plain values, each with where it came from."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import date, time
from pathlib import Path
from typing import Literal

from pgherd.fleet.calendar import UTC_NAME, Peak, Weekday, Window
from pgherd.fleet.desired import (
    METRICS,
    Autoscale,
    Backup,
    Database,
    DatabaseId,
    Drills,
    EngineValues,
    Environment,
    Fleet,
    Listen,
    Objectives,
)
from pgherd.fleet.draft import PRODUCTION, Draft, Setting
from pgherd.fleet.history_models import HistoryProfile
from pgherd.fleet.history_place import HistoryPlace
from pgherd.fleet.models import MonitoringProfile, PeakProfile, WindowProfile
from pgherd.fleet.names import resource_name
from pgherd.fleet.receiver_models import ReceiverProfile
from pgherd.fleet.receivers import LONGEST_NAME, Receiver, default_name
from pgherd.fleet.rules import for_service
from pgherd.fleet.section import EngineSection, Sections

DEFAULT = "default"
"""The origin of a value that the file does not state."""

ENVIRONMENT_VALUES = ("engine", "compartment", "network", "availability_domains")
DATABASE_VALUES = (
    "ocpus",
    "storage",
    "replicas",
    "autoscale",
    "autoscale.cpu",
    "autoscale.memory",
    "peaks",
    "maintenance",
    "backup.retention",
    "backup.copy_to",
    "backup.when_full",
    "backup.stream",
    "drills.restore",
    "objectives.rto",
    "objectives.rpo",
    "durability",
    "deletion_protection",
    "pooling",
    "postgresql",
    "migrations",
    "load",
    "masking",
)
"""The names of values in `Database.origins`, as the file nests them; sections of engines beside."""


def resolve(draft: Draft, path: Path, sections: Sections) -> Fleet:
    """The fleet of a draft in which no rule found a problem. `path` is the file's own place."""
    fleet = draft.content.fleet or ""
    settings = {name: _environment_settings(draft, name, sections) for name in draft.environments}
    environments = {name: _environment(fleet, name, s, sections) for name, s in settings.items()}
    databases = tuple(
        _database(draft, id, fleet, environments[id.environment], shared=settings[id.environment])
        for id in draft.databases()
    )
    return Fleet(
        name=fleet,
        path=path,
        services=draft.services,
        environments=tuple(environments.values()),
        databases=databases,
        monitoring=_monitoring(draft.content.monitoring),
        notifications=_receivers(draft.content.notifications or ()),
        history=_history(draft.content.history),
    )


def _monitoring(stated: MonitoringProfile | Literal[False] | None) -> Listen | None:
    if stated is False:
        return None
    return stated.listen if stated and stated.listen else METRICS


def _history(stated: HistoryProfile | None) -> HistoryPlace | None:
    return HistoryPlace(stated.url or "", stated.url_file or "") if stated else None


def _receivers(stated: Iterable[ReceiverProfile | None]) -> tuple[Receiver, ...]:
    """Each with a name of its own, also where the file gives it none."""
    receivers = [profile for profile in stated if profile]
    taken = {profile.name for profile in receivers if profile.name}
    found: list[Receiver] = []
    for profile in receivers:
        command = tuple(word or "" for word in profile.command or ())
        url, url_file = profile.url or "", profile.url_file or ""
        name = profile.name or _free(default_name(url, url_file, command), taken)
        taken.add(name)
        heard = tuple(name for name in profile.environments or () if name)
        found.append(Receiver(name, url, url_file, command, heard))
    return tuple(found)


def _free(name: str, taken: Collection[str]) -> str:
    number = 1
    free = name
    while free in taken:
        number += 1
        free = f"{name[: LONGEST_NAME - 4]}-{number}"
    return free


def _environment_settings(draft: Draft, environment: str, sections: Sections) -> dict[str, Setting]:
    of_engines = [name for section in sections for name in _keys(section).values()]
    return {
        name: draft.environment_setting(environment, *name.split("."))
        for name in (*ENVIRONMENT_VALUES, *of_engines)
    }


def _keys(section: EngineSection[EngineValues]) -> dict[str, str]:
    """The keys of a section, each with its name in `Database.origins`."""
    return {key: f"{section.engine}.{key}" for key in section.keys.model_fields}


def _database_settings(draft: Draft, id: DatabaseId) -> dict[str, Setting]:
    settings = {name: draft.setting(id, *name.split(".")) for name in DATABASE_VALUES}
    return settings | {"durability": draft.durability(id)}


def _environment(
    fleet: str, name: str, settings: dict[str, Setting], sections: Sections
) -> Environment:
    return Environment(
        name=name,
        engine=settings["engine"].value,
        compartment=settings["compartment"].value or f"{fleet}-{name}",
        network=settings["network"].value,
        availability_domains=settings["availability_domains"].value,
        values={
            section.engine: section.resolve(
                {key: settings[name].value for key, name in _keys(section).items()}
            )
            for section in sections
        },
    )


def _database(
    draft: Draft,
    id: DatabaseId,
    fleet: str,
    environment: Environment,
    *,
    shared: dict[str, Setting],
) -> Database:
    settings = _database_settings(draft, id)
    protection = settings["deletion_protection"].value
    migrations, load = settings["migrations"].value, settings["load"].value
    masking = settings["masking"].value
    maintenance = _windows(settings["maintenance"].value)
    return Database(
        id=id,
        name=resource_name(fleet, id.environment, id.service),
        environment=environment,
        ocpus=settings["ocpus"].value,
        storage=settings["storage"].value,
        replicas=settings["replicas"].value,
        durability=settings["durability"].value,
        autoscale=_autoscale(settings),
        backup=Backup(
            retention_days=settings["backup.retention"].value,
            copy_to=settings["backup.copy_to"].value,
            when_full=settings["backup.when_full"].value,
            stream=settings["backup.stream"].value,
        ),
        deletion_protection=id.environment == PRODUCTION if protection is None else protection,
        pooling=settings["pooling"].value,
        postgresql=settings["postgresql"].value,
        migrations=draft.folder / for_service(migrations, id.service) if migrations else None,
        load=draft.folder / load if load else None,
        masking=draft.folder / for_service(masking, id.service) if masking else None,
        drills=Drills(settings["drills.restore"].value),
        objectives=Objectives(settings["objectives.rto"].value, settings["objectives.rpo"].value),
        maintenance=maintenance,
        peaks=_peaks(settings["peaks"].value, maintenance),
        origins=_origins(draft, environment, shared | settings),
    )


def _autoscale(settings: dict[str, Setting]) -> Autoscale | None:
    if settings["autoscale"].value is False:
        return None
    return Autoscale(
        cpu_percent=settings["autoscale.cpu"].value,
        memory_percent=settings["autoscale.memory"].value,
    )


def _windows(profiles: Iterable[WindowProfile]) -> tuple[Window, ...]:
    return tuple(_window(profile, UTC_NAME) for profile in profiles)


def _peaks(profiles: Iterable[PeakProfile], maintenance: tuple[Window, ...]) -> tuple[Peak, ...]:
    timezone = maintenance[0].timezone if maintenance else UTC_NAME
    return tuple(
        Peak(_window(profile, timezone, profile.dates or ()), profile.ocpus or 0)
        for profile in profiles
    )


def _window(profile: WindowProfile, timezone: str, dates: tuple[date | None, ...] = ()) -> Window:
    days = tuple(d for d in Weekday if profile.days is None or d in profile.days)
    return Window(
        days=() if dates else days,
        begin=profile.begin or time(),
        end=profile.end or time(),
        timezone=profile.timezone or timezone,
        dates=tuple(sorted(day for day in dates if day)),
    )


def _origins(
    draft: Draft, environment: Environment, settings: dict[str, Setting]
) -> dict[str, str]:
    """Of the values that mean something: those of another engine do not."""
    others = [engine for engine in environment.values if engine != environment.engine]
    if settings["autoscale"].value is False:
        others.append("autoscale")
    meaningless = tuple(f"{name}." for name in others)
    file = Path(draft.file).name
    return {
        name: _origin(draft, file, setting)
        for name, setting in settings.items()
        if not name.startswith(meaningless)
    }


def _origin(draft: Draft, file: str, setting: Setting) -> str:
    if setting.path is None:
        return DEFAULT
    return f"{file}:{draft.document.place(setting.path).line}"
