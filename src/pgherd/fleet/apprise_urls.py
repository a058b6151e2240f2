"""Whether Apprise can send by a URL, asked of it in a process of its own.

It takes memory and half a second to load, which no process that stays is to have. The URLs go
through a pipe: they have secrets, and a command line is everybody's to read.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from enum import StrEnum

SECONDS = 30.0

_PROGRAM = """
import json, logging, sys
logging.disable()
from apprise import Apprise
from apprise.manager_plugins import NotificationManager
known = set(NotificationManager().schemas())
def look(url):
    if url.partition("://")[0].lower() not in known:
        return "unknown"
    return "good" if Apprise.instantiate(url) else "incomplete"
print(json.dumps([look(url) for url in json.load(sys.stdin)]))
"""


class Look(StrEnum):
    """What Apprise says of one URL."""

    GOOD = "good"
    UNKNOWN = "unknown"
    INCOMPLETE = "incomplete"
    NO_APPRISE = "no apprise"


def looked_at(urls: Sequence[str]) -> list[Look]:
    """One for each; nothing is started for none."""
    if not urls:
        return []
    try:
        done = subprocess.run(
            [sys.executable, "-I", "-c", _PROGRAM],
            input=json.dumps(urls).encode(),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8"},
            cwd="/",
            check=True,
            timeout=SECONDS,
        )
        return [Look(word) for word in json.loads(done.stdout)]
    except (OSError, subprocess.SubprocessError, ValueError):
        return [Look.NO_APPRISE for _ in urls]
