"""How often each database was resized by itself, as the store keeps it. It only grows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

import msgspec
from msgspec import Meta

KEY = "resizes"
Count = Annotated[int, Meta(ge=0, le=2**53)]


def encode(resizes: Mapping[str, int]) -> bytes:
    """For the store."""
    return msgspec.json.encode(dict(resizes))


def decode(content: bytes | None) -> dict[str, int] | None:
    """What `encode` made; None where nothing was kept, or it cannot be read."""
    if content is None:
        return None
    try:
        return msgspec.json.decode(content, type=dict[str, Count])
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None
