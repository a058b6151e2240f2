"""What several poolers are told: the same, from what any of them knew, and no more than fits."""

import base64
import gzip
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any

import pytest

from pgherd.engines.oci import poolers
from pgherd.engines.oci.blueprint import Kind
from pgherd.engines.oci.cloud_init import Tier, cloud_init
from pgherd.engines.oci.estate import Estate
from pgherd.engines.oci.kinds import CALLS
from pgherd.engines.oci.names import KEY, Owner
from pgherd.engines.oci.routes import LARGEST, METADATA_KEY, Route, Routes, read
from pgherd.errors import NeedsHuman

OWNER = Owner("shop", "production")
AUTH = Route("10.0.0.5", "primary.auth", 5432, None, 20, "ocid1.auth")
ORDER = Route("10.0.0.9", "primary.order", 5432, None, 20, "ocid1.order")
ONE = "-----BEGIN CERTIFICATE-----\nMIIBAAAA\n-----END CERTIFICATE-----"
OTHER = ONE.replace("AAAA", "BBBB")
EMPTY = Routes("10.0.0.0/16")
FIRST = EMPTY.including("auth", AUTH, ONE)
SECOND = EMPTY.including("order", ORDER, OTHER)
BOTH = FIRST.including("order", ORDER, OTHER)


def instance(number: int, told: str | None, **tags: str) -> Any:
    metadata = {"user_data": "AAAA"} | ({} if told is None else {METADATA_KEY: told})
    return SimpleNamespace(
        id=f"ocid{number}",
        lifecycle_state="RUNNING",
        freeform_tags=OWNER.tags | {KEY: f"pooler-{number}"} | tags,
        metadata=metadata,
    )


@dataclass
class Compute:
    """The instances of one compartment."""

    instances: list[Any]
    updates: list[tuple[str, str]] = field(default_factory=list)

    async def all(self, service: str, operation: str, **_: Any) -> list[Any]:
        assert (service, operation) == ("compute", CALLS[Kind.INSTANCE].list)
        return list(self.instances)

    async def call(
        self, service: str, operation: str, id: str, details: Any = None, *, if_match: str = ""
    ) -> Any:
        assert service == "compute"
        (found,) = (i for i in self.instances if i.id == id)
        if operation == "update_instance":
            self.updates.append((id, if_match))
            found.metadata = details["metadata"]
        return SimpleNamespace(data=found, etag=f"etag of {id}")

    @property
    def told(self) -> list[Routes | None]:
        return [read(i.metadata.get(METADATA_KEY)) for i in self.instances]


def estate(*told: str | None) -> tuple[Estate, Compute]:
    compute: Any = Compute([instance(n, text) for n, text in enumerate(told, 1)])
    return Estate(compute, OWNER, "ocid1.compartment"), compute


def same(routes: Routes) -> Routes:
    return routes


async def test_what_each_pooler_knows_is_seen() -> None:
    there, _ = estate(FIRST.text(), None, "damaged")
    assert await poolers.told(there) == [read(FIRST.text()), None, None]
    nowhere, _ = estate()
    assert await poolers.told(nowhere) == []


async def test_all_are_told_what_any_of_them_knew() -> None:
    there, compute = estate(FIRST.text(), SECOND.text(), None)
    await poolers.tell(there, same, EMPTY)
    assert compute.told == 3 * [read(BOTH.text())]
    assert compute.updates == [(id, f"etag of {id}") for id in ("ocid1", "ocid2", "ocid3")]
    assert {i.metadata["user_data"] for i in compute.instances} == {"AAAA"}


async def test_who_knows_it_already_is_not_told() -> None:
    there, compute = estate(BOTH.text(), FIRST.text())
    await poolers.tell(there, lambda known: known.including("order", ORDER, OTHER), EMPTY)
    assert [id for id, _ in compute.updates] == ["ocid2"]
    await poolers.tell(there, same, EMPTY)
    assert len(compute.updates) == 1


async def test_who_all_know_nothing_begin_with_what_is_given() -> None:
    there, compute = estate(None, "damaged")
    await poolers.tell(there, lambda known: known.including("auth", AUTH, ONE), EMPTY)
    assert compute.told == 2 * [read(FIRST.text())]


async def test_what_is_known_goes_before_what_they_begin_with() -> None:
    there, compute = estate(FIRST.text())
    await poolers.tell(there, same, replace(SECOND, network="10.9.0.0/16"))
    assert compute.told == [read(FIRST.text())]


async def test_a_database_that_one_of_them_knew_is_taken_from_all() -> None:
    there, compute = estate(FIRST.text(), BOTH.text())
    await poolers.tell(there, lambda known: known.without("order"), EMPTY)
    assert compute.told == 2 * [read(FIRST.text())]


@pytest.mark.parametrize("tags", [{KEY: "vcn"}, {"pgherd-fleet": "other"}])
async def test_other_instances_are_told_nothing(tags: dict[str, str]) -> None:
    there, compute = estate(FIRST.text())
    compute.instances.append(instance(2, SECOND.text(), **tags))
    await poolers.tell(there, lambda known: known.without("auth"), EMPTY)
    assert [id for id, _ in compute.updates] == ["ocid1"]
    last, other = compute.told
    assert last is not None
    assert (last.databases, other) == ({}, read(SECOND.text()))


async def test_the_same_instance_is_the_poolers_whenever_its_owner_came_back() -> None:
    there, _ = estate(FIRST.text())
    there.owner = replace(OWNER, born="2026-11-22T12:00:00")
    assert len(await poolers.found(there)) == 1


async def test_more_than_metadata_holds_is_told_to_nobody() -> None:
    there, compute = estate(EMPTY.text(), EMPTY.text())

    def longer(known: Routes) -> Routes:
        return known.including("auth", replace(AUTH, name="x" * LARGEST), ONE)

    with pytest.raises(NeedsHuman, match="too many databases for its poolers") as caught:
        await poolers.tell(there, longer, EMPTY)
    assert str(LARGEST) in caught.value.message
    assert compute.updates == []


async def test_metadata_may_be_filled_to_the_last_byte() -> None:
    there, compute = estate(EMPTY.text())
    others = sum(len(k) + len(v) for k, v in {"user_data": "AAAA", METADATA_KEY: ""}.items())
    room = LARGEST - others - len(EMPTY.text())
    await poolers.tell(
        there, lambda known: replace(known, network=f"{known.network}{room * 'x'}"), EMPTY
    )
    assert len(compute.updates) == 1
    with pytest.raises(NeedsHuman):
        await poolers.tell(there, lambda known: replace(known, network=f"{known.network}x"), EMPTY)


async def test_thirty_databases_of_one_authority_fit_beside_the_user_data() -> None:
    authority = ONE.replace("AAAA", "\n".join(64 * "A" for _ in range(20)))
    tier = Tier("shop", "production", "us-ashburn-1", 90 * "o", 90 * "p")
    packed = gzip.compress(cloud_init(tier).encode(), mtime=0)
    there, compute = estate(EMPTY.text())
    compute.instances[0].metadata["user_data"] = base64.b64encode(packed).decode()
    known = EMPTY
    for number in range(30):
        route = replace(ORDER, system=f"ocid1.postgresqldbsystem.oc1.iad.{number:060}")
        known = known.including(f"service-{number}", route, authority)
    await poolers.tell(there, lambda _: known, EMPTY)
    assert compute.told == [read(known.text())]
