"""A controller that is hostile, played by a real helper's real child.

It has all that the true one has, the connection with the helper too.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from typing import Any

from tiny_place import Place

from pgherd.autopilot.place import AutopilotPlace, place_of

HOSTILE_CONTROLLER = """
import json, os, socket, sys, time
from functools import partial
from pathlib import Path
from pgherd.autopilot import helper
from pgherd.autopilot.lock import take_lock
from pgherd.autopilot.place import place_of
from pgherd.control.applied import History
from pgherd.engines import known
from pgherd.engines.local.layout import data_plane_owner
from pgherd.engines.opening import read_text

place = place_of(Path(sys.argv[1]))
os.environ["PGHERD_STATE"] = str(place.applied.parent)
asked = json.loads(sys.argv[2])

def control(out, connection):
    owner = data_plane_owner()
    os.setgroups([]); os.setgid(owner.gid); os.setuid(owner.uid)
    connection.settimeout(60)
    said = b""
    for number, what in enumerate(asked, 1):
        line = what if isinstance(what, str) else json.dumps({"number": number, "what": what})
        connection.sendall(line.encode() + b"\\n")
        while b"\\n" not in said:
            more = connection.recv(65536)
            if not more:
                break
            said += more
        answer, _, said = said.partition(b"\\n")
        print("ANSWER", answer.decode(), flush=True)
        if not answer:
            break
    time.sleep(60)

lock = take_lock(place)
listening = socket.socket(socket.AF_UNIX)
place.socket.unlink(missing_ok=True)
listening.bind(str(place.socket))
listening.listen(4)
history = History(place.applied, known.values, read_text)
helper.Helper(place, history, partial(control, None), lock).run(listening)
"""


def autopilot_of(place: Place) -> AutopilotPlace:
    return place_of(place.root.with_name(f"{place.fleet}.applied"))


def answers(place: Place, *asked: object) -> list[dict[str, Any]]:
    """What the helper answers a hostile controller, in order; {} where it hangs up."""
    process = subprocess.Popen(
        [
            sys.executable,
            "-I",
            "-c",
            HOSTILE_CONTROLLER,
            str(autopilot_of(place).applied),
            json.dumps(asked),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    found: list[dict[str, Any]] = []
    try:
        assert process.stdout
        while len(found) < len(asked) and (line := process.stdout.readline()):
            text = line.removeprefix("ANSWER").strip()
            if line.startswith("ANSWER") and text:
                found.append(json.loads(text))
            elif text.startswith("the controller ") or not text:  # it was ended
                return [*found, {}]
    finally:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(10)
        process.kill()
        process.communicate()
        for pid in place.autopilots():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, 9)
    return found


def failure(answer: dict[str, Any]) -> str:
    assert answer.get("failure"), answer
    return str(answer["failure"]["message"])
