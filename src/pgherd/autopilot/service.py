"""The systemd unit of one fleet on this machine: there or not, and as this version writes it."""

from __future__ import annotations

import os
import pwd
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pgherd
from pgherd.autopilot.place import AutopilotPlace
from pgherd.autopilot.systemd import Systemctl, Systemd, lingers
from pgherd.autopilot.unit import Unit
from pgherd.engines.local import lowered
from pgherd.errors import InputError
from pgherd.files import ensure_directory, name_of_user, require_trusted, write

OF_MACHINE = Path("/etc/systemd/system")


@dataclass(frozen=True, slots=True)
class ServiceState:
    """How it is. `enabled` and `active` are systemd's words, None where there is no systemd.

    `is_current`: the file is what this version would write. `waits_for_login`: it is a user's, and
    begins only once that user logs in.
    """

    unit: str
    path: Path
    is_installed: bool
    is_current: bool
    enabled: str | None
    active: str | None
    waits_for_login: bool


class Service:
    """That of one fleet. `folder` is where its unit belongs; `is_lingering` is about the user.

    `code` is what runs at each boot: nobody else may be able to change it.
    """

    def __init__(
        self,
        place: AutopilotPlace,
        systemd: Systemd,
        folder: Path,
        *,
        is_users: bool,
        is_lingering: Callable[[], bool],
        code: Sequence[Path] = (Path(sys.executable), Path(pgherd.__file__).parent),
    ) -> None:
        self._place = place
        self._systemd = systemd
        self._folder = folder
        self._is_users = is_users
        self._is_lingering = is_lingering
        self._code = code

    @property
    def unit(self) -> Unit:
        """What this version would write."""
        applied = self._place.applied
        return Unit(
            fleet=self._place.fleet,
            applied=applied,
            start=lowered.python("pgherd.autopilot.boot", str(applied)),
            stop=lowered.python("pgherd.autopilot.leave", str(applied)),
            environment=lowered.environment(applied),
            is_users=self._is_users,
            version=self._systemd.version(),
        )

    @property
    def path(self) -> Path:
        """Where it belongs."""
        return self._folder / self.unit.name

    @property
    def systemctl(self) -> str:
        """How a person begins to call it."""
        return "systemctl --user" if self._is_users else "systemctl"

    def install(self, *, start: bool = False) -> bool:
        """The unit is there and enabled, and with `start` runs; whether its file is new.

        InputError where there is no systemd, where others could change the file or what it runs,
        or where a unit of that name is about something else.
        """
        if not self._systemd.is_there():
            raise InputError(
                "no systemd has started this machine",
                "see what to write where with `pgherd service install --print`",
            )
        unit, path = self.unit, self.path
        text = unit.text
        self._require_own(unit)
        for trusted in (path, self._place.applied, *self._code):
            require_trusted(trusted)
        ensure_directory(path.parent)
        is_new = write(path, text, mode=0o644, durable=True)
        self._systemd.do("daemon-reload")
        self._systemd.do("enable", *(["--now"] if start else []), unit.name)
        return is_new

    def remove(self) -> bool:
        """It is neither enabled nor there; whether it was there. What runs of it runs on."""
        unit, path = self.unit, self.path
        if not self._is_there():
            return False
        self._require_own(unit)
        require_trusted(path)
        if is_systemd := self._systemd.is_there():
            self._systemd.do("disable", unit.name)
        path.unlink(missing_ok=True)
        if is_systemd:
            self._systemd.do("daemon-reload")
        return True

    def state(self) -> ServiceState:
        """How it is now."""
        unit, is_systemd = self.unit, self._systemd.is_there()
        found = self._text()
        return ServiceState(
            unit=unit.name,
            path=self.path,
            is_installed=self._is_there(),
            is_current=found == unit.text,
            enabled=self._systemd.word("is-enabled", unit.name) or "unknown"
            if is_systemd
            else None,
            active=self._systemd.word("is-active", unit.name) or "unknown" if is_systemd else None,
            waits_for_login=self.waits_for_login,
        )

    @property
    def waits_for_login(self) -> bool:
        """It is a user's, whose systemd begins only once that user logs in."""
        return self._is_users and not self._is_lingering()

    def _is_there(self) -> bool:
        return os.path.lexists(self.path)

    def _text(self) -> str | None:
        try:
            return self.path.read_text()
        except (OSError, ValueError):
            return None

    def _require_own(self, unit: Unit) -> None:
        """InputError where the file is about another fleet of the same name, or not of pgherd's."""
        if self._is_there() and not unit.is_replaceable(self._text() or ""):
            raise InputError(
                f"{self.path} is not about the fleet in {self._place.applied}",
                "remove that file, or use the PGHERD_STATE that it was made with",
            )


def service_of(place: AutopilotPlace) -> Service:
    """That of the user who runs this: the machine's for root."""
    user = os.geteuid()
    is_users = user != 0
    return Service(
        place,
        Systemctl(is_users=is_users),
        _home(user) / ".config/systemd/user" if is_users else OF_MACHINE,
        is_users=is_users,
        is_lingering=lambda: lingers(name_of_user(user)),
    )


def _home(user: int) -> Path:
    """As systemd finds it, which does not look at this process's variables."""
    try:
        return Path(pwd.getpwuid(user).pw_dir)
    except KeyError:
        raise InputError(
            f"user {user} has no name on this machine", "add it to /etc/passwd"
        ) from None
