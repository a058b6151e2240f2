"""The file that a chart or a page goes into: it is written whole or not at all.

Links are only followed where nobody but the user and root can have made them.
"""

from __future__ import annotations

from pathlib import Path

from pgherd.cli.output import say
from pgherd.errors import InputError
from pgherd.files import require_trusted, write
from pgherd.report.drawing import Form


def chart_form(path: Path) -> Form:
    """The form that the ending says; InputError for any other ending."""
    try:
        return Form(path.suffix.removeprefix(".").lower())
    except ValueError:
        raise InputError(
            f"{path} ends neither in .svg nor in .png", "write --chart FILE.svg or FILE.png"
        ) from None


def write_whole(path: Path, content: bytes, *, quiet: bool) -> None:
    """Write it, and say so; InputError where that cannot be."""
    require_trusted(path)
    try:
        is_new = write(path, content, mode=0o644)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise InputError(f"{path} cannot be written: {reason}", "choose another place") from None
    if not quiet:
        say(f"{'wrote' if is_new else 'unchanged'} {path}")
