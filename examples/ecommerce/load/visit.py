"""One visit of one customer, and the desk at which a customer talks to one service.

Services know of each other's things by id only. What a service that is not there would have
said is made up when the visit begins, so any subset of the ten services can be played with.
"""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar
from uuid import UUID, uuid4

from door import Connection, Door

T = TypeVar("T")

SEEDED_CUSTOMERS = 60
SEEDED_PRODUCTS = 300
CURRENCY = "EUR"


@dataclass(frozen=True, slots=True)
class Customer:
    """Who visits; the same in every service."""

    id: UUID
    email: str


@dataclass(frozen=True, slots=True)
class Item:
    """A product that goes into the cart."""

    product: UUID
    name: str
    quantity: int
    price: int


@dataclass(slots=True)
class Visit:
    """What a customer has in mind, and what became of it. All ids are chosen by the client."""

    customer: Customer
    is_new: bool
    items: list[Item]
    session: UUID = field(default_factory=uuid4)
    cart: UUID = field(default_factory=uuid4)
    order: UUID = field(default_factory=uuid4)
    method: UUID = field(default_factory=uuid4)
    payment: UUID = field(default_factory=uuid4)
    shipment: UUID = field(default_factory=uuid4)
    goods_return: UUID = field(default_factory=uuid4)
    refund: UUID = field(default_factory=uuid4)
    discount: int = 0

    @property
    def goods(self) -> int:
        """What the items cost before the discount."""
        return sum(item.quantity * item.price for item in self.items)

    @property
    def total(self) -> int:
        """What is to be paid."""
        return self.goods - self.discount


class Ledger:
    """What a database acknowledged, by kind, to be found again at the end."""

    def __init__(self) -> None:
        self.entries: dict[str, list[UUID]] = {}

    def add(self, kind: str, id: UUID) -> None:
        self.entries.setdefault(kind, []).append(id)


@dataclass(frozen=True, slots=True)
class Desk:
    """One client at one service."""

    read_write: Door
    read_only: Door
    ledger: Ledger
    rng: random.Random

    async def look(self, statement: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Read what may be a moment old."""
        return await self.read_only.query(statement, parameters)

    async def read(self, statement: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Read what was written last."""
        return await self.read_write.query(statement, parameters)

    async def write(self, work: Callable[[Connection], Awaitable[T]]) -> T:
        """Commit what `work` does, which must be the same when done twice."""
        return await self.read_write.transact(work)


def seeded_customer(number: int) -> Customer:
    """A customer whom the seed data of every service knows, from 1 on."""
    id = UUID(f"c0000000-0000-4000-8000-{number:012x}")
    return Customer(id, f"customer-{number}@shop.example")


def new_customer() -> Customer:
    """Somebody who was never here."""
    id = uuid4()
    return Customer(id, f"{id.hex}@shop.example")


def made_up_items(rng: random.Random) -> list[Item]:
    """Some products of the seed data, as the product service would have told."""
    return [
        Item(
            UUID(f"b0000000-0000-4000-8000-{number:012x}"),
            f"SHP-{number:05}",
            rng.randint(1, 3),
            499 + number * 7919 % 49500,
        )
        for number in rng.sample(range(1, SEEDED_PRODUCTS + 1), rng.randint(1, 3))
    ]
