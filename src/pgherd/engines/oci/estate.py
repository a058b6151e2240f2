"""The things of one environment on OCI: looked up by their tags, made where they are missing.

Everything is looked up before anything is made, and a making carries a token that is the same
when it is repeated, so nothing is made twice, wherever an earlier run ended.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from pgherd.engines.oci.blueprint import Kind, Rule, Thing, rule_properties
from pgherd.engines.oci.bodies import body
from pgherd.engines.oci.creation import create_once, referring
from pgherd.engines.oci.kinds import CALLS, GONE
from pgherd.engines.oci.names import KEY, Owner, retry_token
from pgherd.engines.oci.refusals import NotFound
from pgherd.engines.oci.sdk import Answer, Cloud
from pgherd.engines.oci.waiting import until
from pgherd.errors import NeedsHuman, TryLater

DELETION_GRACE = timedelta(days=7, hours=1)
"""Vaults, keys and secrets are deleted no earlier than after seven days."""


@dataclass(slots=True)
class Estate:
    """One environment in one compartment. `ocids` are those of its things, by key."""

    cloud: Cloud
    owner: Owner
    compartment: str
    ocids: dict[str, str] = field(default_factory=dict)
    management: str | None = None
    """Where the vault's keys are managed."""
    _lists: dict[Kind, asyncio.Future[list[Any]]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.ocids.setdefault("compartment", self.compartment)

    async def all(self, kind: Kind) -> list[Any]:
        """What there is of a kind in the compartment, gone and foreign ones too; listed once."""
        if kind not in self._lists:
            self._lists[kind] = asyncio.ensure_future(self._list(kind))
            self._lists[kind].add_done_callback(_retrieved)
        listing = self._lists[kind]
        try:
            # Others may wait for the same list: who is cancelled does not cancel it for them.
            return await asyncio.shield(listing)
        except BaseException:
            if self._lists.get(kind) is listing:
                del self._lists[kind]
            raise

    def forget(self, kind: Kind) -> None:
        """The next look at this kind is a new one."""
        self._lists.pop(kind, None)

    async def _list(self, kind: Kind) -> list[Any]:
        calls = CALLS[kind]
        if kind is Kind.KEY and self.management is None:
            return []
        at = self.management if kind is Kind.KEY else None
        try:
            return await self.cloud.all(
                calls.service, calls.list, compartment_id=self.compartment, at=at
            )
        except NotFound as error:
            # The compartment is there, as it was found by its tags or made: it is new.
            raise TryLater(error.message, error.hint) from error

    async def find(self, kind: Kind, key: str) -> Any | None:
        """The live thing with that key. NeedsHuman where there are two."""
        found = [
            thing
            for thing in await self.all(kind)
            if self.owner.owns(thing)
            and thing.freeform_tags.get(KEY) == key
            and thing.lifecycle_state not in GONE
        ]
        if len(found) > 1:
            ids = ", ".join(sorted(thing.id for thing in found))
            raise NeedsHuman(
                f"{self.owner.environment} has {len(found)} of {kind} {key}: {ids}",
                f"delete all but one, or take the tag {KEY} from the others",
            )
        if found:
            self.ocids[key] = found[0].id
        return found[0] if found else None

    async def ensure(self, thing: Thing) -> Any:
        """It is there and ready. What it refers to must have been ensured before."""
        found = await self.find(thing.kind, thing.key)
        if found is None:
            found = await self._make(thing)
        self.ocids[thing.key] = found.id
        return await self.ready(thing.kind, found)

    async def _make(self, thing: Thing) -> Any:
        made = await create_once(
            self.cloud,
            f"{thing.kind} {thing.name}",
            lambda former: self._create(thing, former),
            lambda id: self._get(thing.kind, id),
        )
        return made.data

    async def ready(self, kind: Kind, found: Any) -> Any:
        """Once it has left the state in which it is being made."""
        calls = CALLS[kind]
        if found.lifecycle_state == calls.ready:
            return found
        name = getattr(found, calls.name)
        last = await until(
            self.cloud,
            f"{kind} {name}",
            lambda: self._get(kind, found.id),
            lambda t: t.lifecycle_state in (calls.ready, "FAILED") or t.lifecycle_state in GONE,
        )
        self.forget(kind)
        if last.lifecycle_state != calls.ready:
            raise NeedsHuman(f"{kind} {name} is {last.lifecycle_state}", "delete it in the console")
        return last

    async def _get(self, kind: Kind, id: str) -> Any:
        calls = CALLS[kind]
        at = self.management if kind is Kind.KEY else None
        return (await self.cloud.call(calls.service, calls.get, id, at=at)).data

    async def _create(self, thing: Thing, former: Sequence[str]) -> Answer:
        calls = CALLS[thing.kind]
        values = {
            "compartment_id": self.compartment,
            calls.name: thing.name,
            "freeform_tags": dict(thing.tags),
            **referring(self.owner, thing.properties, self.ocids),
        }
        details = body(calls.service, calls.model, values)
        at = self.management if thing.kind is Kind.KEY else None
        token = retry_token(calls.create, {"at": at, "body": details}, former)
        answer = await self.cloud.call(
            calls.service, calls.create, details, at=at, opc_retry_token=token
        )
        self.forget(thing.kind)
        return answer

    async def ensure_rules(self, group: str, wanted: tuple[Rule, ...]) -> None:
        """A network security group admits these and nothing else."""
        id = self.ocids[group]
        seen = await self.cloud.all("network", "list_network_security_group_security_rules", id)
        rules = [referring(self.owner, rule_properties(rule), self.ocids) for rule in wanted]
        missing = [rule for rule in rules if not any(_is_same(rule, s) for s in seen)]
        extra = [s.id for s in seen if not any(_is_same(rule, s) for rule in rules)]
        if extra:
            await self._change_rules(id, "remove", {"security_rule_ids": extra})
        if missing:
            await self._change_rules(id, "add", {"security_rules": missing})

    async def _change_rules(self, id: str, verb: str, values: dict[str, Any]) -> None:
        model = f"{verb.title()}NetworkSecurityGroupSecurityRulesDetails"
        operation = f"{verb}_network_security_group_security_rules"
        await self.cloud.call("network", operation, id, body("network", model, values))

    async def ensure_absent(self, kind: Kind) -> None:
        """Nothing of a kind that belongs to the environment is left, or will be left for long."""
        calls = CALLS[kind]
        # What was listed before may be hours old: databases were deleted in between.
        self.forget(kind)
        for thing in await self.all(kind):
            if self.owner.owns(thing) and thing.lifecycle_state not in GONE:
                await self._delete(kind, calls.service, calls.delete, thing)
        self.forget(kind)

    async def _delete(self, kind: Kind, service: str, operation: str, thing: Any) -> None:
        at = self.management if kind is Kind.KEY else None
        arguments = [thing.id]
        if operation.startswith("schedule_"):
            model = "".join(word.title() for word in operation.split("_")) + "Details"
            when = datetime.now(UTC) + DELETION_GRACE
            arguments.append(body(service, model, {"time_of_deletion": when}))
        try:
            await self.cloud.call(service, operation, *arguments, at=at)
            await until(
                self.cloud,
                f"{kind} {getattr(thing, CALLS[kind].name)}",
                lambda: self._get(kind, thing.id),
                lambda t: t.lifecycle_state in _FAR_GONE,
                news=0,
            )
        except NotFound:
            return


_FAR_GONE = GONE - {"TERMINATING", "DELETING", "SCHEDULING_DELETION"}


def _is_same(wanted: dict[str, Any], seen: Any) -> bool:
    """A rule is as it should be; what OCI adds to it does not count."""
    ports = wanted["tcp_options"]["destination_port_range"]
    range = seen.tcp_options and seen.tcp_options.destination_port_range
    return (
        seen.direction == wanted["direction"]
        and seen.protocol == wanted["protocol"]
        and (seen.source or None) == wanted.get("source")
        and (seen.destination or None) == wanted.get("destination")
        and not seen.is_stateless
        and range is not None
        and (range.min, range.max) == (ports["min"], ports["max"])
    )


def _retrieved(listing: asyncio.Future[list[Any]]) -> None:
    """Its failure counts as heard of, though who asked may have been cancelled before it came."""
    if not listing.cancelled():
        listing.exception()
