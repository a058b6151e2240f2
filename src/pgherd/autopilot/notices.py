"""What was told to receivers, as the history keeps it over a restart."""

from __future__ import annotations

import msgspec

from pgherd.decide.notifications import Notices

KEY = "notifications"
"""Of what is remembered."""


def encode(notices: Notices) -> bytes:
    """To be remembered."""
    return msgspec.json.encode(notices)


def decode(content: bytes | None) -> Notices:
    """What was remembered; nothing, where it cannot be read."""
    try:
        return msgspec.json.decode(content or b"{}", type=Notices)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return Notices()
