"""Trying as another user of the machine: a process that has that user's rights and no more."""

from __future__ import annotations

import subprocess

NOBODY_UID = 65534


def attempt(uid: int, program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a Python program as that user; it has not ended by itself when it was refused."""
    return subprocess.run(
        ["/usr/bin/python3", "-I", "-c", program, *arguments],
        user=uid,
        group=uid,
        extra_groups=[],
        cwd="/",
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def is_refused(uid: int, program: str, *arguments: str) -> bool:
    """Whether it ended with a PermissionError."""
    done = attempt(uid, program, *arguments)
    assert done.returncode == 0 or "PermissionError" in done.stderr, done
    return done.returncode != 0


OPEN_TO_READ = "import sys; open(sys.argv[1], 'rb').read()"
OPEN_TO_WRITE = "import sys; open(sys.argv[1], 'ab').close()"
LOCK = """
import fcntl, os, sys
fcntl.flock(os.open(sys.argv[1], os.O_RDONLY), fcntl.LOCK_EX | fcntl.LOCK_NB)
"""
LIST = "import os, sys; os.listdir(sys.argv[1])"
MAKE_INSIDE = "import os, sys; os.mkdir(os.path.join(sys.argv[1], 'made-by-another'))"
RENAME = "import os, sys; os.rename(sys.argv[1], sys.argv[1] + '.away')"
CONNECT = """
import socket, sys
socket.socket(socket.AF_UNIX).connect(sys.argv[1])
"""
