"""Sends one message, which it reads from standard input, and says on standard output how it went.

Where root starts it, it gives all rights up before it reads anything, and by that, as the kernel
has it, no other process can look into it, those of the same user neither: so nobody reads the
secret, which is neither in its command line nor in its environment. What a failure says is made of
a few words of its own: Apprise's may hold parts of the URL.
"""

from __future__ import annotations

import json
import os
import re
import resource
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from pgherd.engines.local.rightless import give_up_rights

LARGEST = 2**30
"""Bytes of memory."""
AUTHORITIES = Path("/etc/ssl/certs/ca-certificates.crt")
"""Who this machine trusts, with those of its company."""
COMMAND = {"PATH": "/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8", "HOME": "/"}


def main(uid: str = "", gid: str = "") -> None:
    """Send it."""
    give_up_rights(uid, gid)
    job = json.loads(sys.stdin.buffer.read())
    signal.alarm(int(job["seconds"]) + 2)
    resource.setrlimit(resource.RLIMIT_CPU, (30, 30))
    try:
        why = told_command(job) if job["command"] else told_by_apprise(job)
    except Exception as error:  # its text may hold the secret
        why = f"unexpected: {type(error).__name__}"
    sys.stdout.write(json.dumps({"why": why}))
    sys.stdout.flush()
    os._exit(0)


def told_command(job: dict[str, Any]) -> str | None:
    """Start the program, with the message as JSON; why it has not taken it."""
    try:
        done = subprocess.run(
            job["command"],
            input=json.dumps(job["document"]).encode() + b"\n",
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=COMMAND,
            cwd="/",
            check=False,
            timeout=job["seconds"],
        )
    except subprocess.TimeoutExpired:
        return f"it has not ended in {job['seconds']:.0f} s"
    except OSError as error:
        return f"it cannot be started: {(error.strerror or 'unknown').lower()}"
    return None if done.returncode == 0 else f"it ended with {done.returncode}"


def told_by_apprise(job: dict[str, Any]) -> str | None:
    """Send it by Apprise; why it was not taken."""
    resource.setrlimit(resource.RLIMIT_AS, (LARGEST, LARGEST))
    if AUTHORITIES.is_file():
        os.environ["REQUESTS_CA_BUNDLE"] = str(AUTHORITIES)
    from apprise import Apprise, AppriseAsset, NotifyFormat, NotifyType
    from apprise.logger import LogCapture

    asset = AppriseAsset(app_id="pgherd", app_desc="pgherd", async_mode=False)
    service = Apprise.instantiate(job["url"], asset=asset)
    if service is None:
        return "Apprise cannot use its URL"
    apprise = Apprise(asset=asset)
    apprise.add(service)
    with LogCapture(level=30) as log:  # type: ignore[no-untyped-call]
        is_taken = apprise.notify(
            body=job["body"],
            title=job["subject"],
            notify_type=NotifyType.SUCCESS if job["is_good"] else NotifyType.WARNING,
            body_format=NotifyFormat.TEXT,
            interpret_escapes=False,
        )
        return None if is_taken else reason(log.getvalue())


def reason(said: str) -> str:
    """What can be said of a failure without quoting anything."""
    if status := re.search(r"\berror=([0-9]{3})\b", said):
        return f"it answers with {status[1]}"
    for word, meaning in (
        ("onnection", "it cannot be reached, or the connection broke"),
        ("uthenticat", "it does not take the credentials"),
    ):
        if word in said:
            return meaning
    return "the service refuses it, or cannot be reached"


if __name__ == "__main__":
    main(*sys.argv[1:])
