"""What is done with the rights of the data plane's user, and with a surrounding of its own.

In a folder of that user's, root opens, follows and removes nothing: a name there may be anything by
the time that it is used. A process that has dropped root's rights does it, and can be led no
farther than that user can go anyway. What is started this way inherits nothing of whoever runs
pgherd: not the environment, the current folder, the mask of new files, or standard input.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pgherd.errors import NeedsHuman
from pgherd.files import Owner

SEARCHED = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
"""Where programs of the machine are looked for: only root installs there."""
DETACHED = ("/usr/bin/setsid", "--fork")
"""Starts a program in a session of its own, and does not wait for it (util-linux)."""
PARENTAL = ("/usr/bin/setpriv", "--pdeathsig=TERM")
"""Starts a program that ends with whoever started it (util-linux)."""
LAST = ("/usr/bin/nice", "-n", "19")
"""Starts a program that has the CPU when nobody else wants it (coreutils)."""
SECOND = ("/usr/bin/nice", "-n", "5")
"""The same with a third of what others have, so that it comes to its end on a busy machine, too."""
LOCALE = "C.UTF-8"
"""Of the data plane's programs, and of new clusters."""


def environment(home: Path) -> dict[str, str]:
    """All the variables that a program of the data plane starts with."""
    return {"PATH": SEARCHED, "LANG": LOCALE, "HOME": str(home)}


def python(module: str, *arguments: str) -> list[str]:
    """A command line that runs a module of pgherd and heeds no PYTHON... variable."""
    return [sys.executable, "-I", "-u", "-m", module, *arguments]


def options(owner: Owner, home: Path) -> dict[str, Any]:
    """How to start a process as `owner`, for `subprocess` and `asyncio`.

    It has no terminal: another process of that user could take it over, and type for root. Its
    output must go to a pipe or nowhere for the same reason.
    """
    rights = {"user": owner.uid, "group": owner.gid, "extra_groups": []}
    return {
        "stdin": subprocess.DEVNULL,
        "start_new_session": True,
        "cwd": "/",
        "umask": 0o077,
        "env": environment(home),
        **(rights if owner.is_another else {}),
    }


async def call(
    owner: Owner, home: Path, command: Sequence[str], *, said: bytes = b""
) -> tuple[int, bytes, bytes]:
    """Run a command as `owner` to its end: its exit code, and what it printed on either output.

    What is `said` to it comes by its standard input: anybody may read a command line. It is told
    to end, and waited for, where this is cut off.
    """
    heard = {"stdin": subprocess.PIPE} if said else {}
    process = await asyncio.create_subprocess_exec(
        *command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        **{**options(owner, home), **heard},
    )
    try:
        output, complaints = await process.communicate(said or None)
    finally:
        if process.returncode is None:
            process.terminate()
            await process.wait()
    return process.returncode or 0, output, complaints


async def call_module(
    owner: Owner,
    home: Path,
    module: str,
    *arguments: str,
    said: bytes = b"",
    before: Sequence[str] = (),
) -> tuple[int, str]:
    """The same of a module of pgherd, started by what is `before` it; all that it printed.

    It ends with whoever calls.
    """
    command = [*PARENTAL, *before, *python(module, *arguments)]
    code, *printed = await call(owner, home, command, said=said)
    return code, b"".join(printed).decode(errors="replace")


async def remove(owner: Owner, home: Path, paths: Sequence[Path]) -> None:
    """Nothing is left of these files and folders, as far as `owner` may remove them."""
    process = await asyncio.create_subprocess_exec(
        "/bin/rm",
        "-rf",
        "--",
        *map(os.fspath, paths),
        **options(owner, home),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    _, complaints = await process.communicate()
    if process.returncode != 0:
        first = complaints.decode(errors="replace").strip().partition("\n")[0]
        raise NeedsHuman(
            f"not everything could be removed: {first}",
            "remove it by hand, then run the same command again",
        )


def may_enter(owner: Owner, folder: Path) -> bool:
    """Whether `owner` may pass through `folder`."""
    done = subprocess.run(
        ["/usr/bin/test", "-x", folder],
        capture_output=True,
        check=False,
        timeout=30,
        **options(owner, Path("/")),
    )
    return done.returncode == 0
