"""What a server of pgBackRest sees of this machine, so far as root may bound it.

It serves its whole protocol to each of its clients, and they say in which folder: whatever it could
read or write, a client could.
"""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pgherd.files import Owner

CONFINED = (
    "/usr/bin/unshare",
    "--mount",
    "--propagation=private",
    "/bin/sh",
    "-c",
    """
    mount --bind "$1" "$1" && mount -o remount,bind,ro "$1" || exit 1
    mount --bind "$2" "$2" && mount --bind "$3" "$3" || exit 1
    while read -r _ at _; do
        at=$(printf %b "$at")
        [ "$at" = "$2" ] || [ "$at" = "$3" ] || mount -o remount,bind,ro "$at" 2>/dev/null || :
    done </proc/self/mounts
    mount -t tmpfs -o ro,mode=555 none "$4" || exit 1
    mount -t tmpfs -o ro,mode=555 none /proc || exit 1
    shift 4
    exec "$@"
    """,
)
"""Starts a program to which all is read-only but two folders: the second and the third argument.

The first one is certainly so, and the fourth is empty to it. It has no /proc: a process of the same
user that does not live there would lead it out, by `/proc/PID/root` (util-linux).
"""
OF_ANOTHER = ("user", "group", "extra_groups")
"""What makes a process another user's, for `subprocess`."""


def can_confine() -> bool:
    """Whether this machine lets root bound what a server sees. A container may not."""
    probe = [*CONFINED, "sh", "/usr", "/usr/bin", "/usr/lib", "/usr/share", "/bin/true"]
    return subprocess.run(probe, capture_output=True, check=False).returncode == 0


def confined(
    folder: Path,
    private: Path,
    command: Sequence[str],
    owner: Owner,
    options: dict[str, Any],
    more: Sequence[str] = (),
) -> tuple[list[str], dict[str, Any]]:
    """A server of the repository in `folder`, which runs as `owner`; and its `options`.

    All but WAL is read-only to it, and `private` is empty. `more` are options of setpriv. It is
    started as it is where it cannot be bounded.
    """
    begun = ["/usr/bin/setpriv", *more]
    if not owner.is_another or not can_confine():
        return [*(begun if more else ()), *command], options
    kept = folder / "repository"
    lock = folder / "lock"
    # Who reads from a copy has no other repository, maybe.
    found = (part if part.is_dir() else lock for part in (kept / "backup", kept / "archive"))
    folders = (*found, lock, private)
    rights = [f"--reuid={owner.uid}", f"--regid={owner.gid}", "--clear-groups"]
    as_root = {k: v for k, v in options.items() if k not in OF_ANOTHER}
    return [*CONFINED, "sh", *map(str, folders), *begun, *rights, *command], as_root
