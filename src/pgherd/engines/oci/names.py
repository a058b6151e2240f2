"""What pgherd's things on OCI are called and marked with, and the tokens of its calls. Pure.

Names on OCI are not unique, so what belongs to pgherd is told by its tags alone; whatever lacks
them is somebody else's and is never touched.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from pgherd.fleet.desired import DatabaseId

FLEET, ENVIRONMENT, SERVICE = "pgherd-fleet", "pgherd-environment", "pgherd-service"
KEY = "pgherd-part"
BORN = "pgherd-born"
DESTROYED = "pgherd-destroyed"
"""On a compartment: nothing of the environment is left in it."""
REGIONS = "pgherd-regions"
"""On a compartment: where the environment has things; the first is its own region."""
WAS = "pgherd-was"
"""On a database: the service that it was restored from; its poolers give it its own name."""
MADE_FROM = "pgherd-made-from"
"""On a database: what it was restored from."""
PROOF = "pgherd-proof"
"""On a database: what the last drill of it has proven."""
_TOKEN_LENGTH = 32


@dataclass(frozen=True, slots=True)
class Owner:
    """One environment of one fleet, as tags tell it."""

    fleet: str
    environment: str
    born: str = ""
    """When it was destroyed before it came back. It makes the tokens of its calls new ones."""

    @property
    def tags(self) -> dict[str, str]:
        """The free-form tags of everything in it."""
        tags = {FLEET: self.fleet, ENVIRONMENT: self.environment}
        return {**tags, BORN: self.born} if self.born else tags

    def owns(self, thing: Any) -> bool:
        """It carries this owner's tags."""
        tags = thing.freeform_tags or {}
        return (tags.get(FLEET), tags.get(ENVIRONMENT)) == (self.fleet, self.environment)

    def name(self, part: str) -> str:
        """As in ecommerce-production-databases."""
        return f"{self.fleet}-{self.environment}-{part}"

    def database(self, system: Any) -> DatabaseId | None:
        """Which database a system is, None for one that is not this owner's."""
        service = (system.freeform_tags or {}).get(SERVICE)
        return DatabaseId(self.environment, service) if service and self.owns(system) else None


def retry_token(operation: str, body: Mapping[str, Any], generation: Iterable[str] = ()) -> str:
    """The same for the same call, so that a repetition after a lost answer makes nothing twice.

    `generation` are the OCIDs that the same call was answered with before and that are gone: OCI
    keeps a token for 24 hours, and answers with the old one as long as it does.
    """
    text = json.dumps([operation, body, sorted(generation)], sort_keys=True, default=str)
    return hashlib.sha256(f"pgherd|{text}".encode()).hexdigest()[:_TOKEN_LENGTH]


def label(name: str) -> str:
    """A DNS label of OCI: 15 letters and digits, a letter first."""
    return "".join(c for c in name if c.isalnum())[:15]


def distinct(text: str) -> str:
    """Four letters and digits that another text hardly has."""
    return hashlib.sha256(text.encode()).hexdigest()[:4]
