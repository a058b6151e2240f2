"""Files that a command writes for others, and writes anew; what somebody else wrote stays."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from pgherd.cli.output import say
from pgherd.errors import InputError
from pgherd.files import write


@dataclass(frozen=True, slots=True)
class Own:
    """What is to be in a file, and whether one with that content may be written anew."""

    content: str
    is_ours: Callable[[str], bool]


def write_own(files: Mapping[Path, Own], *, force: bool) -> None:
    """All of them, or none where one is somebody else's."""
    for path, own in files.items():
        if path.exists() and not force and not own.is_ours(path.read_text(errors="replace")):
            raise InputError(
                f"{path} was not written by pgherd",
                "move it away, choose another --directory, or add --force",
            )
    for path, own in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        is_new = write(path, own.content, mode=0o644)
        say(f"{'wrote' if is_new else 'unchanged'} {path}")
