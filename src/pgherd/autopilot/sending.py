"""Telling one receiver, as whoever runs pgherd: a process without rights does the sending.

Who sends takes answers from the network and texts from anybody, so it is not root, and not the user
that the databases run as, who must not learn the secret. See `sender` for what it does.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import time
from pathlib import Path

from pgherd.autopilot.notice import Notice
from pgherd.autopilot.private_file import read_word
from pgherd.autopilot.said import said_by
from pgherd.engines.local import lowered
from pgherd.engines.local.rightless import arguments, nobody
from pgherd.errors import InputError, TryLater
from pgherd.fleet.receivers import Receiver, is_url

SEND_SECONDS = 15.0
"""For all of it, from the start of the process that sends."""
LONGEST_ANSWER = 4096
LONGEST_REASON = 200


def send(receiver: Receiver, notice: Notice) -> None:
    """It has taken the message. InputError where that needs a person, else TryLater."""
    job = {
        "url": read_url(Path(receiver.url_file)) if receiver.url_file else receiver.url,
        "command": receiver.command,
        "subject": notice.subject,
        "body": notice.body,
        "is_good": notice.is_good,
        "document": notice.document,
        "seconds": SEND_SECONDS - 1,
    }
    why = _ask(json.dumps(job).encode())
    if why is not None:
        raise TryLater(f"{receiver.name} ({receiver.place}) has not taken a message: {why}")


def read_url(path: Path) -> str:
    """The URL in a private file; InputError where others may read or change it."""
    url = read_word(path)
    if not is_url(url):
        raise InputError(f"{path} does not hold one URL of Apprise", "write one, and nothing else")
    return url


def _ask(job: bytes) -> str | None:
    """Why it was not taken; None where it was."""
    deadline = time.monotonic() + SEND_SECONDS
    # What does not read, or does not end, keeps nobody waiting: nothing is written to a pipe.
    with os.fdopen(os.memfd_create("message", os.MFD_CLOEXEC), "w+b") as message:
        message.write(job)
        message.seek(0)
        process = subprocess.Popen(
            lowered.python("pgherd.autopilot.sender", *arguments(nobody())),
            stdin=message,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            cwd="/",
            umask=0o077,
            env=lowered.environment(Path("/")),
        )
    try:
        said = said_by(process, deadline, LONGEST_ANSWER)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # with what a command has left behind
        process.wait()
        if process.stdout:
            process.stdout.close()
    if said is None:
        return f"it has not ended in {SEND_SECONDS:.0f} s"
    try:
        answer = json.loads(said)
        why = None if answer["why"] is None else str(answer["why"])
    except (ValueError, KeyError, TypeError, RecursionError):
        return "what sends it has failed"
    return why if why is None else "".join(c for c in why if c.isprintable())[:LONGEST_REASON]
