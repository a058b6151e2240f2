"""Making one thing once: what a 404 means when it is new, and what a token brings back."""

import asyncio
import gc
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from oci_fakes import Client, Pauses, answer, cloud, refusal

from pgherd.engines.oci.blueprint import Kind, Reference, Thing
from pgherd.engines.oci.creation import GENERATIONS, NEWS, create_once, referring
from pgherd.engines.oci.estate import Estate
from pgherd.engines.oci.names import KEY, Owner
from pgherd.engines.oci.refusals import NotFound
from pgherd.engines.oci.sdk import Answer, Cloud
from pgherd.engines.oci.secrets import Vault
from pgherd.engines.oci.systems import Systems
from pgherd.engines.oci.waiting import PATIENCE_FOR_NEWS
from pgherd.errors import NeedsHuman, TryLater
from pgherd.fleet.desired import DatabaseId

OWNER = Owner("ecommerce", "production")
AUTH = DatabaseId("production", "auth")
JUST_NOW, LONG_AGO = timedelta(seconds=1), NEWS + timedelta(minutes=1)


@pytest.fixture(scope="module")
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1) as pool:
        yield pool


def thing(id: str, state: str, age: timedelta = JUST_NOW, **values: Any) -> Any:
    made = datetime.now(UTC) - age
    return SimpleNamespace(id=id, lifecycle_state=state, time_created=made, **values)


class Service:
    """Answers each making with the next of `made`, and looks as `seen` says; the last for ever."""

    def __init__(self, cloud: Cloud, made: list[Any], seen: dict[str, list[Any]]) -> None:
        self.cloud = cloud
        self.made = made
        self.seen = seen
        self.former: list[list[str]] = []

    async def create(self, former: Sequence[str]) -> Answer:
        self.former.append(list(former))
        made = self.made[len(former) % len(self.made)]
        return Answer(made, work_request=f"work-of-{made.id}")

    async def look(self, id: str) -> Any:
        states = self.seen[id]
        state = states.pop(0) if len(states) > 1 else states[0]
        if state == 404:
            raise NotFound("it is not there")
        return thing(id, state)

    async def ensure(self) -> Answer:
        return await create_once(self.cloud, "vcn shop", self.create, self.look)

    @property
    def waited(self) -> float:
        assert isinstance(self.cloud.sleep, Pauses)
        return sum(self.cloud.sleep)


async def test_what_is_there_is_made_once(threads: ThreadPoolExecutor) -> None:
    service = Service(cloud(threads, Client()), [thing("a", "X")], {"a": ["PROVISIONING"]})
    found = await service.ensure()
    assert (found.data.id, found.data.lifecycle_state) == ("a", "PROVISIONING")
    assert found.work_request == "work-of-a"
    assert service.former == [[]]
    assert service.waited == 0


async def test_what_is_new_may_answer_404_for_a_while(threads: ThreadPoolExecutor) -> None:
    seen = {"a": [404, 404, 404, 404, "PROVISIONING"]}
    service = Service(cloud(threads, Client()), [thing("a", "X")], seen)
    assert (await service.ensure()).data.id == "a"
    assert service.former == [[]]


async def test_what_is_new_and_never_shown_is_not_made_again(threads: ThreadPoolExecutor) -> None:
    service = Service(cloud(threads, Client()), [thing("a", "X")], {"a": [404]})
    with pytest.raises(TryLater, match="vcn shop was made as a less than 10 minutes ago"):
        await service.ensure()
    assert service.former == [[]]
    assert service.waited >= PATIENCE_FOR_NEWS


@pytest.mark.parametrize("state", ["TERMINATED", "DELETING", "PENDING_DELETION"])
@pytest.mark.parametrize("age", [JUST_NOW, LONG_AGO])
async def test_what_says_that_it_is_gone_is_made_again(
    threads: ThreadPoolExecutor, state: str, age: timedelta
) -> None:
    made = [thing("a", "X", age), thing("b", "X")]
    service = Service(cloud(threads, Client()), made, {"a": [state], "b": ["AVAILABLE"]})
    assert (await service.ensure()).data.id == "b"
    assert service.former == [[], ["a"]]
    assert service.waited == 0


async def test_what_is_old_and_not_there_is_made_again(threads: ThreadPoolExecutor) -> None:
    made = [thing("a", "X", LONG_AGO), thing("b", "X")]
    service = Service(cloud(threads, Client()), made, {"a": [404], "b": [404, "AVAILABLE"]})
    assert (await service.ensure()).data.id == "b"
    assert service.former == [[], ["a"]]


async def test_what_is_of_an_unknown_age_counts_as_new(threads: ThreadPoolExecutor) -> None:
    made = SimpleNamespace(id="a", time_created=None)
    service = Service(cloud(threads, Client()), [made], {"a": [404]})
    with pytest.raises(TryLater):
        await service.ensure()


async def test_what_is_gone_again_and_again_is_a_humans(threads: ThreadPoolExecutor) -> None:
    made = [thing(f"v{n}", "X") for n in range(2 * GENERATIONS)]
    service = Service(cloud(threads, Client()), made, {m.id: ["TERMINATED"] for m in made})
    with pytest.raises(NeedsHuman, match="gone each time: v0, v1"):
        await service.ensure()
    assert len(service.former) == GENERATIONS


# References


def test_a_reference_that_is_not_known_is_for_later() -> None:
    values = {"vcn_id": Reference("vcn")}
    assert referring(OWNER, values, {"vcn": "ocid"}) == {"vcn_id": "ocid"}
    with pytest.raises(TryLater, match="environment production has no vcn yet"):
        referring(OWNER, values, {})


# Estate


def listed(key: str, kind: str = "AVAILABLE") -> Any:
    tags = OWNER.tags | {KEY: key}
    return thing(f"id-of-{key}", kind, freeform_tags=tags, display_name=key)


def estate(threads: ThreadPoolExecutor, client: Client, service: str = "network") -> Estate:
    return Estate(cloud(threads, client, service), OWNER, "ocid1.compartment")


async def test_nobody_is_told_of_a_list_that_failed_after_all_who_asked_had_gone(
    threads: ThreadPoolExecutor,
) -> None:
    """Python prints a traceback for a failure that nobody has heard of."""
    told: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context))
    shop = estate(threads, Client(refusal(404, "NotAuthorizedOrNotFound")))
    asking = asyncio.create_task(shop.all(Kind.VCN))
    await asyncio.sleep(0)
    listing = shop._lists[Kind.VCN]
    asking.cancel()
    await asyncio.wait([asking, listing])
    assert asking.cancelled()
    del asking, listing
    gc.collect()
    assert not told


async def test_a_thing_whose_references_are_missing_is_for_later(
    threads: ThreadPoolExecutor,
) -> None:
    client = Client(answer([]))
    subnet = Thing(Kind.SUBNET, "subnet", "subnet", {"vcn_id": Reference("vcn")}, {})
    with pytest.raises(TryLater, match="has no vcn yet"):
        await estate(threads, client).ensure(subnet)
    assert [name for name, _, _ in client.calls] == ["list_subnets"]


async def test_a_compartment_that_is_new_may_hide_its_things(threads: ThreadPoolExecutor) -> None:
    client = Client(refusal(404, "NotAuthorizedOrNotFound", "not here"), answer([listed("vcn")]))
    found = estate(threads, client)
    with pytest.raises(TryLater, match="not here") as late:
        await found.all(Kind.VCN)
    assert "doctor" in late.value.hint
    assert await found.find(Kind.VCN, "vcn")


async def test_a_deletion_looks_anew_and_takes_404_for_the_end(
    threads: ThreadPoolExecutor,
) -> None:
    first, second = listed("first"), listed("second")
    client = Client(answer([first]), answer([second]), answer(), answer(second), refusal(404))
    found = estate(threads, client)
    await found.all(Kind.VCN)
    await found.ensure_absent(Kind.VCN)
    assert [(name, arguments) for name, arguments, _ in client.calls[1:]] == [
        ("list_vcns", ()),
        ("delete_vcn", ("id-of-second",)),
        ("get_vcn", ("id-of-second",)),
        ("get_vcn", ("id-of-second",)),
    ]


# Systems


def systems(threads: ThreadPoolExecutor, client: Client) -> Systems:
    return Systems(cloud(threads, client), OWNER, "ocid1.compartment")


def system(state: str) -> Any:
    return answer(thing("s1", state, lifecycle_details=None), etag="e1")


def names(client: Client) -> list[str]:
    return [name for name, _, _ in client.calls]


async def test_systems_of_a_new_compartment_are_for_later(threads: ThreadPoolExecutor) -> None:
    with pytest.raises(TryLater):
        await systems(threads, Client(refusal(404))).all()


@pytest.mark.parametrize("before", ["ACTIVE", "FAILED"])
@pytest.mark.parametrize("end", [system("DELETED"), refusal(404)], ids=["state", "404"])
async def test_a_deletion_is_waited_for_though_looks_lag(
    threads: ThreadPoolExecutor, before: str, end: Any
) -> None:
    old = system(before)
    client = Client(old, answer(), old, old, system("DELETING"), end)
    await systems(threads, client).delete(AUTH, "s1")
    assert names(client) == ["get_db_system", "delete_db_system"] + ["get_db_system"] * 4


async def test_work_that_is_not_there_is_no_proof_of_a_deletion(
    threads: ThreadPoolExecutor,
) -> None:
    class Forgetful(Client):
        """Knows of no work, and answers all else in turn."""

        def __getattr__(self, operation: str) -> Any:
            if operation == "get_work_request":
                return Client(refusal(404)).get_work_request
            return super().__getattr__(operation)

    asked = answer(opc_work_request_id="w1")
    client = Forgetful(system("ACTIVE"), asked, system("DELETING"), system("DELETED"))
    await systems(threads, client).delete(AUTH, "s1")
    assert names(client)[-2:] == ["get_db_system"] * 2


async def test_the_deletion_of_an_earlier_run_is_waited_for(threads: ThreadPoolExecutor) -> None:
    client = Client(system("DELETING"), system("DELETING"), system("DELETED"))
    await systems(threads, client).delete(AUTH, "s1")
    assert set(names(client)) == {"get_db_system"}


async def test_an_earlier_deletion_that_failed_is_asked_for_again(
    threads: ThreadPoolExecutor,
) -> None:
    client = Client(system("DELETING"), system("DELETING"), system("FAILED"))
    with pytest.raises(TryLater, match="production/auth was being deleted, and is FAILED again"):
        await systems(threads, client).delete(AUTH, "s1")


# Secrets


async def test_a_secret_that_was_taken_back_is_waited_for_though_looks_lag(
    threads: ThreadPoolExecutor,
) -> None:
    values: dict[str, Any] = {"freeform_tags": OWNER.tags | {KEY: "authority"}, "vault_id": "v1"}
    states = ("PENDING_DELETION", "PENDING_DELETION", "CANCELLING_DELETION", "ACTIVE")
    looks = [answer(thing("x1", s, secret_name="authority", **values)) for s in states]
    client = Client(answer([looks[0].data]), answer(), *looks)
    found = estate(threads, client, "secrets")
    found.ocids["vault"] = "v1"
    secret = await Vault(found).find("authority")
    assert secret is not None
    assert secret.lifecycle_state == "ACTIVE"
    assert names(client) == ["list_secrets", "cancel_secret_deletion"] + ["get_secret"] * 4
