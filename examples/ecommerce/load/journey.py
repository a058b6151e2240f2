"""The way of a customer through the shop: which services, in which order."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable, Iterable, Mapping

import fulfilment
import shopping
from visit import Desk, Visit

Part = Callable[[Desk, Visit], Awaitable[None]]

ARRIVING: tuple[tuple[str, Part], ...] = (
    ("auth", shopping.sign_in),
    ("user", shopping.open_profile),
    ("product", shopping.browse),
)
BUYING: tuple[tuple[str, Part], ...] = (
    ("cart", shopping.fill_cart),
    ("discount", shopping.redeem),
    ("cart", shopping.check_out),
    ("order", fulfilment.place_order),
    ("product", shopping.reserve),
    ("payment", fulfilment.pay),
    ("order", fulfilment.mark_paid),
    ("shipping", fulfilment.ship),
    ("order", fulfilment.mark_shipped),
    ("notification", fulfilment.tell),
)
RETURNING: tuple[tuple[str, Part], ...] = (
    ("return", fulfilment.request_return),
    ("product", shopping.take_back),
    ("payment", fulfilment.refund),
    ("order", fulfilment.mark_returned),
    ("return", fulfilment.close_return),
)
LEAVING: tuple[tuple[str, Part], ...] = (("auth", shopping.sign_out),)

BUYERS = 0.6
RETURNERS = 0.1


def parts(services: Iterable[str], rng: random.Random) -> list[tuple[str, Part]]:
    """The parts of one visit that play in these services: at least one."""
    there = frozenset(services)
    buys = rng.random() < BUYERS
    returns = buys and rng.random() < RETURNERS
    chosen = (
        *ARRIVING,
        *(BUYING if buys else ()),
        *(RETURNING if returns else ()),
        *LEAVING,
    )
    played = [part for part in chosen if part[0] in there]
    # Where nothing else plays, a visit that would not buy or return does so.
    return played or [p for p in (*BUYING, *RETURNING) if p[0] in there]


async def play(visit: Visit, desks: Mapping[str, Desk], rng: random.Random) -> None:
    """One visit, from the door to the door."""
    for service, part in parts(desks, rng):
        await part(desks[service], visit)
