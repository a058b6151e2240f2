"""The systemd unit that brings one fleet back at boot, and runs its autopilot. Pure.

Paths go into it as systemd reads them back (systemd.syntax(7), systemd.service(5)): in quotes, with
nothing in them that names a variable or a specifier. What cannot be written so is refused.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pgherd.errors import InputError
from pgherd.fleet.names import NAME_PATTERN

DELEGATE_SUBGROUP_SINCE = 254
"""The first version of systemd that knows it."""
INPUT_ERROR = InputError.exit_code


@dataclass(frozen=True, slots=True)
class Unit:
    """What one fleet's unit is made of.

    `start` and `stop` are command lines, each beginning with a program's absolute path. `is_users`:
    it is for the systemd of a user. `version` is systemd's, None where it is not known.
    """

    fleet: str
    applied: Path
    start: Sequence[str]
    stop: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict)
    is_users: bool = False
    version: int | None = None

    @property
    def name(self) -> str:
        """As systemd knows it; InputError for what is no name of a fleet."""
        if not re.fullmatch(NAME_PATTERN, self.fleet):
            raise InputError(f"{self.fleet!r} is no name of a fleet", "write a-z, 0-9 and -")
        return f"pgherd-{self.fleet}.service"

    @property
    def text(self) -> str:
        """The whole file; InputError where a path has a character that it cannot bear."""
        name = self.name
        of_machine = [] if self.is_users else ["After=network.target local-fs.target"]
        lines = [
            f"# {name}, written by `pgherd service install`, which also replaces it.",
            f"# Changes of yours belong into a drop-in: systemctl edit {name}",
            self._mark,
            "[Unit]",
            f"Description=Databases of {self.fleet} and their autopilot",
            *of_machine,
            *self._mounts,
            "",
            "[Service]",
            # Ready means that the databases serve, for units that are ordered after this one.
            "Type=notify",
            "NotifyAccess=main",
            f"ExecStart={command_line(self.start)}",
            f"ExecStop={command_line(self.stop)}",
            *(f"Environment={quoted(f'{n}={v}')}" for n, v in sorted(self.environment.items())),
            "WorkingDirectory=/",
            "UMask=0077",
            # Databases outlive the autopilot: only its own process is ended.
            "KillMode=process",
            "OOMPolicy=continue",
            "Restart=on-failure",
            "RestartSec=5",
            f"RestartPreventExitStatus={INPUT_ERROR}",
            "TimeoutStartSec=20min",
            "TimeoutStopSec=30",
            "LimitNOFILE=65536",
            "TasksMax=infinity",
            "Delegate=yes",
            *(["DelegateSubgroup=autopilot"] if self._has_subgroups else []),
            "",
            "[Install]",
            f"WantedBy={'default' if self.is_users else 'multi-user'}.target",
        ]
        return "".join(f"{line}\n" for line in lines)

    @property
    def _has_subgroups(self) -> bool:
        return self.version is not None and self.version >= DELEGATE_SUBGROUP_SINCE

    def is_replaceable(self, text: str) -> bool:
        """Whether a file of this name, which has that text, is about this very fleet."""
        return self._mark in text.splitlines()

    @property
    def _mark(self) -> str:
        return f"# The fleet: {quoted(str(self.applied))}"

    @property
    def _mounts(self) -> list[str]:
        """This one setting knows no escapes. It is left out where there would be some."""
        path = str(self.applied)
        return [] if {"\\", '"'} & set(path) else [f"RequiresMountsFor={quoted(path)}"]


def command_line(words: Sequence[str]) -> str:
    """As ExecStart= wants it: variables are named by `$` in all words but the program's path."""
    program, *arguments = words
    if not program.startswith("/") or "$" in program:
        raise InputError(
            f"{program!r} cannot be started by systemd: it is not an absolute path without `$`",
            "install pgherd in a folder with a plain name",
        )
    return " ".join([quoted(program), *(quoted(a).replace("$", "$$") for a in arguments)])


def quoted(text: str) -> str:
    """One word, in quotes; InputError for control characters and what is not UTF-8."""
    if not text.isprintable():
        raise InputError(
            f"{text!r} has a character that a unit of systemd cannot bear",
            "choose a path without control characters",
        )
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    return f'"{escaped}"'
