"""A systemd that is only remembered, and the service of a shop on it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pgherd.autopilot.place import AutopilotPlace
from pgherd.autopilot.service import Service


class RememberedSystemd:
    """What it was told, and which units it has enabled and started."""

    def __init__(self, folder: Path, *, is_there: bool = True) -> None:
        self.folder = folder
        self.is_running = is_there
        self.told: list[tuple[str, ...]] = []
        self.enabled: set[str] = set()
        self.active: set[str] = set()
        self.answers = True

    def is_there(self) -> bool:
        return self.is_running

    def version(self) -> int | None:
        return 255 if self.is_running else None

    def word(self, verb: str, unit: str) -> str:
        if not self.answers:
            return ""
        if verb == "is-enabled":
            return "enabled" if unit in self.enabled else "disabled"
        return "active" if unit in self.active else "inactive"

    def do(self, *words: str) -> None:
        self.told.append(words)
        verb, unit = words[0], words[-1]
        if verb in ("enable", "disable"):
            assert (self.folder / unit).is_file(), "systemd knows no such unit"
        if verb == "enable":
            self.enabled.add(unit)
        elif verb == "disable":
            self.enabled.discard(unit)
        if "--now" in words:
            self.active.add(unit)


def service(
    applied: Path,
    systemd: RememberedSystemd,
    *,
    is_users: bool = False,
    lingers: bool = True,
    code: Sequence[Path] = (),
) -> Service:
    fleet = applied.name.removesuffix(".applied")
    place = AutopilotPlace(fleet, applied, applied.with_name(f"{fleet}.history"))
    return Service(
        place, systemd, systemd.folder, is_users=is_users, is_lingering=lambda: lingers, code=code
    )
