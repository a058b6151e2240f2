"""Shapes of load as files: those that pgherd has, and the user's."""

from __future__ import annotations

from pathlib import Path

import msgspec

from pgherd.errors import InputError
from pgherd.shapes.shape import Shape

_MAX_BYTES = 100_000


def shipped() -> dict[str, Path]:
    """Those that pgherd has, by name."""
    return {path.stem: path for path in sorted(Path(__file__).parent.glob("*.yaml"))}


def read_shape(name: str) -> Shape:
    """The shape of that name, or in the file of that path; InputError where there is none."""
    path = shipped().get(name) or Path(name)
    known = ", ".join(shipped())
    try:
        with path.open("rb") as file:
            content = file.read(_MAX_BYTES + 1)
    except (OSError, ValueError):
        raise InputError(
            f"there is no shape {name!r}, and no file of that name can be read",
            f"write one of {known}, or the path of a file",
        ) from None
    if len(content) > _MAX_BYTES:
        raise InputError(f"{path} is too large for a shape", f"write one of {known}")
    try:
        return msgspec.yaml.decode(content, type=Shape)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        reason = " ".join(str(error).split())[:200]
        raise InputError(
            f"{path} is no shape: {reason}", f"begin with a copy of {shipped()['day-week']}"
        ) from None
