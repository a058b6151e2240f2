"""Processes that talk to strangers: without the rights of root, or of whom the databases run as."""

from __future__ import annotations

import ctypes
import os
import pwd
import resource
import signal
from dataclasses import dataclass

PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_SET_NO_NEW_PRIVS = 1, 4, 38
NOBODY = "nobody"
_NOBODY_UID = 65534
SETPRIV = "/usr/bin/setpriv"
"""Of util-linux, which Debian always has."""


@dataclass(frozen=True, slots=True)
class Rights:
    """Whose a process takes: a user's that has none of its own."""

    uid: int
    gid: int


def nobody() -> Rights | None:
    """Nobody's, where this is root; None where it has no others to take."""
    if os.geteuid() != 0:
        return None
    try:
        entry = pwd.getpwnam(NOBODY)
    except KeyError:
        return Rights(_NOBODY_UID, _NOBODY_UID)
    return Rights(entry.pw_uid, entry.pw_gid)


def arguments(rights: Rights | None) -> tuple[str, ...]:
    """What a module of pgherd is told that calls `give_up_rights` first."""
    return () if rights is None else (str(rights.uid), str(rights.gid))


def give_up_rights(uid: str = "", gid: str = "") -> None:
    """From now on this has that user's rights and gets no others, and nobody looks into it."""
    if uid:
        os.setgroups([])
        os.setresgid(int(gid), int(gid), int(gid))
        os.setresuid(int(uid), int(uid), int(uid))
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    for option, value in (
        (PR_SET_DUMPABLE, 0),
        (PR_SET_NO_NEW_PRIVS, 1),
        (PR_SET_PDEATHSIG, int(signal.SIGKILL)),
    ):
        if prctl(option, value, 0, 0, 0) != 0:
            raise OSError(ctypes.get_errno(), f"prctl {option}")
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def setpriv_arguments(rights: Rights | None) -> tuple[str, ...]:
    """What stands before a program that has those rights alone, and ends with who started it."""
    whose: tuple[str, ...] = ()
    if rights is not None:
        whose = (f"--reuid={rights.uid}", f"--regid={rights.gid}", "--clear-groups")
    return (*whose, "--no-new-privs", "--pdeathsig=KILL", "--")
