"""How a database is, for those who wait for it."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pgherd.engines.local.agent.seen import Seen


class Condition(StrEnum):
    """How a database is, for those who wait for it."""

    LED = "led"
    """Clients reach a primary that takes writes."""
    COMPLETE = "complete"
    """And all replicas stream."""
    DURABLE = "durable"
    """And all of them count for synchronous commits."""
    ASYNCHRONOUS = "asynchronous"
    """Clients reach a primary, and no commit waits for a replica."""


def is_so(seen: Seen, condition: Condition) -> bool:
    """Whether a database is so, as far as is known."""
    if seen.serving is None:
        return False
    if condition is Condition.LED:
        return True
    if condition is Condition.ASYNCHRONOUS:
        return not seen.synchronous
    if not seen.replicas <= seen.running & seen.streaming:
        return False
    return condition is Condition.COMPLETE or seen.replicas <= seen.synchronous
