"""The option by which every command finds its fleet file, in one order for all of them.

`-f FILE`, else the environment variable PGHERD_FILE, else fleet.yaml in the current folder,
else the example's, whose place the launcher in the clone passes in PGHERD_EXAMPLE.
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Callable, Iterable
from functools import wraps
from pathlib import Path
from typing import Any

import click

from pgherd.cli.surroundings import Surroundings
from pgherd.engines.opening import read_text
from pgherd.errors import InputError
from pgherd.fleet.desired import Fleet
from pgherd.fleet.file import read

DEFAULT_FILE = "fleet.yaml"
FILE_VARIABLE = "PGHERD_FILE"
EXAMPLE_VARIABLE = "PGHERD_EXAMPLE"


def fleet_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds `-f`, and calls the command with the loaded `fleet`."""

    @click.option(
        "-f",
        "--file",
        "file",
        metavar="FILE",
        envvar=FILE_VARIABLE,
        type=click.Path(path_type=Path),
        help=f"The fleet file.  [default: ${FILE_VARIABLE}, ./{DEFAULT_FILE}, the example's]",
    )
    @wraps(command)
    def with_fleet(*args: Any, file: Path | None, **kwargs: Any) -> Any:
        return command(*args, fleet=read_fleet(fleet_file(file)), **kwargs)

    return with_fleet


def read_fleet(path: Path) -> Fleet:
    """The fleet that the file describes; what was applied last is not checked again."""
    text = read(path)
    surroundings = click.get_current_context().ensure_object(Surroundings)
    name = re.search(r"^fleet: *([a-z0-9-]+) *$", text, re.MULTILINE)
    if name and (known := surroundings.history(name[1]).remembered(text, path.absolute())):
        return known
    return read_text(text, path)


def fleet_file(file: Path | None) -> Path:
    """The fleet file to read: the one that was named, else the first that is there."""
    if file is not None:
        return file
    example = os.environ.get(EXAMPLE_VARIABLE)
    candidates = [Path(DEFAULT_FILE), *([Path(example)] if example else [])]
    for candidate in candidates:
        if candidate.is_file():
            if candidate == Path(DEFAULT_FILE):
                _require_ours(candidate)
            return candidate
    looked_for = " and ".join(f"./{c}" if c == Path(DEFAULT_FILE) else str(c) for c in candidates)
    raise InputError(
        f"no fleet file: looked for {looked_for}",
        f"name one with -f FILE or in {FILE_VARIABLE}",
    )


def _require_ours(path: Path) -> None:
    """A fleet file names programs to run: another user's is not taken because one stands by it."""
    # A link is its maker's, wherever it leads.
    owners = {path.parent.stat().st_uid, path.lstat().st_uid, path.stat().st_uid}
    if owners - {0, os.geteuid()}:
        raise InputError(
            f"./{path} is another user's, or lies in another user's folder",
            f"name it with -f {path} if you trust it",
        )


def command_line(*words: str, flags: Iterable[str] = ()) -> str:
    """A command of pgherd that is about the same fleet file as the one that runs now."""
    context = click.get_current_context()
    given = context.get_parameter_source("file") is click.core.ParameterSource.COMMANDLINE
    file = ["-f", str(context.params["file"])] if given else []
    return shlex.join(["pgherd", *words, *file, *flags])
