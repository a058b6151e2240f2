"""What systemd says and does, through its own program."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Protocol

from pgherd.engines.local import lowered
from pgherd.errors import NeedsHuman

BOOTED = Path("/run/systemd/system")
"""It is there where systemd has started the machine (sd_booted(3))."""
LINGERING = Path("/var/lib/systemd/linger")
QUESTION_SECONDS = 20.0


class Systemd(Protocol):
    """The one that starts a machine, or that of a user."""

    def is_there(self) -> bool:
        """Whether it runs here."""
        ...

    def version(self) -> int | None:
        """Which it is, None where nobody can say."""
        ...

    def word(self, verb: str, unit: str) -> str:
        """What it answers in one word, as to `is-enabled`; empty for no answer."""
        ...

    def do(self, *words: str) -> None:
        """Let it do that, and wait until it is done; NeedsHuman where it does not."""
        ...


class Systemctl:
    """Asks `systemctl`; with `is_users` that of the user who runs this."""

    def __init__(
        self, *, is_users: bool, program: str = "systemctl", booted: Path = BOOTED
    ) -> None:
        self._booted = booted
        self._program = program
        self._command = [program, *(["--user"] if is_users else [])]

    def is_there(self) -> bool:
        """Whether it runs here."""
        found = shutil.which(self._program, path=lowered.SEARCHED)
        return self._booted.is_dir() and found is not None

    def version(self) -> int | None:
        """Which it is, None where nobody can say."""
        found = re.match(r"systemd (\d+)", self._answer("--version"))
        return int(found[1]) if found else None

    def word(self, verb: str, unit: str) -> str:
        """What it answers in one word, as to `is-enabled`; empty for no answer."""
        return self._answer(verb, unit).strip()

    def do(self, *words: str) -> None:
        """Let it do that, and wait until it is done; NeedsHuman where it does not."""
        command = [*self._command, *words]
        done = self._run(command, None)
        if done.returncode:
            reason = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
            raise NeedsHuman(f"`{' '.join(command)}` failed: {reason}", "see `journalctl -xe`")

    def _answer(self, *words: str) -> str:
        try:
            return self._run([*self._command, *words], QUESTION_SECONDS).stdout
        except (OSError, subprocess.TimeoutExpired):
            return ""

    def _run(self, command: list[str], seconds: float | None) -> subprocess.CompletedProcess[str]:
        surroundings = {**os.environ, "PATH": lowered.SEARCHED, "LC_ALL": lowered.LOCALE}
        return subprocess.run(
            command,
            env=surroundings,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=seconds,
            check=False,
        )


def lingers(user: str) -> bool:
    """Whether that user's systemd begins at boot, and not only when the user logs in."""
    return (LINGERING / user).exists()
