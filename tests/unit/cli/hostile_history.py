"""An autopilot in whose history, pauses and answers all is hostile."""

from __future__ import annotations

import json

from hostile import HOSTILE, HostileShop, tainted
from msgspec import structs
from shop import AUTH, FLEET

from pgherd.autopilot.now import Now, NowOfDatabase
from pgherd.autopilot.questions import State
from pgherd.autopilot.reading import History, ReadAlert, ReadEvent, ReadReceiver
from pgherd.errors import NeedsHuman, TryLater


def told(shop: HostileShop) -> None:
    """All that the history says is hostile, and so is who paused what."""
    at, id = shop.now, str(AUTH)
    one = NowOfDatabase(2, 4, "cpu", "busy", 2, 8, True, None, 1.0, 1.0, 1.0)
    change = {"ocpus": {"from": "2", "to": "4"}, "failed": "no", "more": "what"}
    moved = {"from": "auth-1", "to": "auth-2", "phases": {"held_ms": 12, "odd": "12"}}
    restarted = {"instance": "auth-1", "program": "Patroni", "count": 3}
    events = [
        ReadEvent(at, "failover", f"ended{HOSTILE}", "production", id, tainted(moved)),
        ReadEvent(at, "restart", HOSTILE, "production", id, tainted(restarted)),
        ReadEvent(at, "scale-failed", "busy", "production", id, tainted(change)),
        ReadEvent(at, f"odd{HOSTILE}", f"so{HOSTILE}", f"lost{HOSTILE}", f"lost/auth{HOSTILE}"),
        ReadEvent(at, f"odd{HOSTILE}", HOSTILE, f"lost{HOSTILE}", details={HOSTILE: HOSTILE}),
    ]
    lie = tuple(f"{word}{HOSTILE}" for word in ("degraded", "production/auth", "half", "mend"))
    alerts = [ReadAlert(lie[0], lie[1], at, lie[2], lie[3])]
    now = Now(at.timestamp(), {id: structs.replace(one, rule=HOSTILE, why=f"busy{HOSTILE}")})
    shop.autopilot.told = History(events, alerts, now)
    shop.autopilot.running = State(1, HOSTILE, False, False, 2, at.timestamp(), 0, history=HOSTILE)


def left_alone(shop: HostileShop) -> None:
    told(shop)
    known = shop.autopilot.told.now
    assert known
    one = structs.replace(known.databases[str(AUTH)], paused=f"holidays{HOSTILE}")
    now = structs.replace(known, databases={str(AUTH): one})
    shop.autopilot.told = structs.replace(shop.autopilot.told, now=now)


def not_told(shop: HostileShop) -> None:
    """Receivers that do not take anything, and a program whose name is hostile."""
    lie = json.dumps(f"/bin/page{HOSTILE}")
    hook = f"{{name: hook, command: [{lie}]}}"
    shop.write(f"{FLEET}notifications: [{hook}, {{name: mail, command: [/bin/mail]}}]\n")
    told(shop)
    found = [ReadReceiver("hook", 1e300, HOSTILE), ReadReceiver(HOSTILE, -1.0)]
    shop.autopilot.told = structs.replace(shop.autopilot.told, receivers=found)
    shop.autopilot.refusals = {"mail": TryLater(f"no: {HOSTILE}", f"see {HOSTILE}")}


def does_not_leave(shop: HostileShop) -> None:
    shop.autopilot.trouble = NeedsHuman(f"it stays: {HOSTILE}", f"see {HOSTILE}")
