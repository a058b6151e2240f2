"""One call of OCI: its answer, our error for each of OCI's, and what is repeated."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import oci
import pytest
from hypothesis import given
from hypothesis import strategies as st
from oci_fakes import Client, Pauses, answer, cloud, refusal
from oci_shop import PARENT, fleet

from pgherd.engines.oci.refusals import NotFound, Stale
from pgherd.engines.oci.refusals import _of_service as translated
from pgherd.engines.oci.sdk import ATTEMPTS, FIRST_DELAY, PAGE, Answer
from pgherd.engines.oci.values import OciValues
from pgherd.errors import InputError, NeedsHuman, PgherdError, TryLater


@pytest.fixture(scope="module")
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1) as pool:
        yield pool


# Answers


async def test_an_answer_has_its_data_and_the_headers_that_matter(
    threads: ThreadPoolExecutor,
) -> None:
    client = Client(answer("data", etag="e1", opc_work_request_id="w1", date="today"))
    found = await cloud(threads, client).call("psql", "get_db_system", "ocid", if_match="e0")
    assert found == Answer("data", "e1", "w1")
    assert client.calls == [("get_db_system", ("ocid",), {"if_match": "e0"})]


async def test_a_list_is_read_with_and_without_a_collection(threads: ThreadPoolExecutor) -> None:
    shapes = oci.psql.models.ShapeCollection(items=["a", "b"])
    for data in (shapes, ["a", "b"]):
        client = Client(answer(data, opc_next_page="p2"))
        found = await cloud(threads, client).call("psql", "list_shapes")
        assert found.data == (["a", "b"], "p2")


async def test_a_list_is_read_page_after_page(threads: ThreadPoolExecutor) -> None:
    client = Client(
        answer(["a", "b"], opc_next_page="p2"), answer([], opc_next_page="p3"), answer(["c"])
    )
    found = await cloud(threads, client).all("psql", "list_shapes", compartment_id="c1")
    assert found == ["a", "b", "c"]
    options = {"compartment_id": "c1", "limit": PAGE}
    assert [rest for _, _, rest in client.calls] == [
        options,
        options | {"page": "p2"},
        options | {"page": "p3"},
    ]


async def test_a_page_that_is_refused_is_asked_for_again(threads: ThreadPoolExecutor) -> None:
    client = Client(answer(["a"], opc_next_page="p2"), refusal(429), answer(["b"]))
    assert await cloud(threads, client).all("psql", "list_shapes") == ["a", "b"]
    assert [rest.get("page") for _, _, rest in client.calls] == [None, "p2", "p2"]


def test_an_environments_compartment_is_below_its_parent_or_the_root(
    threads: ThreadPoolExecutor,
) -> None:
    found = cloud(threads, Client())
    environment = fleet().environment("production")
    assert found.parent(environment) == PARENT
    root = environment.with_values("oci", replace(environment.values_of(OciValues), parent=None))
    assert found.parent(root) == found.tenancy == "ocid1.tenancy.oc1..own"


# Errors


@pytest.mark.parametrize(
    ("status", "code", "expected"),
    [
        (400, "InvalidParameter", InputError),
        (400, "CannotParseRequest", InputError),
        (400, "LimitExceeded", NeedsHuman),
        (400, "QuotaExceeded", NeedsHuman),
        (401, "NotAuthenticated", InputError),
        (403, "NotAllowed", InputError),
        (404, "NotAuthorizedOrNotFound", NotFound),
        (409, "IncorrectState", TryLater),
        (409, "LockConflict", TryLater),
        (409, "ExternalServerIncorrectState", TryLater),
        (409, "Conflict", TryLater),
        (409, "InvalidatedRetryToken", TryLater),
        (412, "NoEtagMatch", Stale),
        (429, "TooManyRequests", TryLater),
        (429, "LimitExceeded", NeedsHuman),
        (500, "InternalServerError", TryLater),
        (500, "OutOfHostCapacity", NeedsHuman),
        (503, "ServiceUnavailable", TryLater),
        (504, None, TryLater),
        (418, None, InputError),
    ],
)
def test_our_error_for_one_of_ocis(status: int, code: str | None, expected: type) -> None:
    found = translated(refusal(status, code, "It is so.\nSee the page."), "create_vcn in iad")
    assert type(found) is expected
    assert found.message.startswith("oci ")
    assert found.message.endswith("create_vcn in iad: It is so.")


@pytest.mark.parametrize(("status", "hint"), [(404, "doctor"), (401, "key and user")])
def test_who_cannot_get_in_is_told_where_to_look(status: int, hint: str) -> None:
    assert hint in translated(refusal(status, "x"), "get_vcn").hint


def test_a_limit_is_a_humans_to_raise() -> None:
    assert "ask for a higher limit" in translated(refusal(400, "LimitExceeded"), "x").hint


@pytest.mark.parametrize("message", [None, "", " \n"])
def test_without_a_message_the_code_is_told(message: str | None) -> None:
    found = translated(refusal(409, "IncorrectState", message), "update_db_system")
    assert found.message == "oci is not ready for update_db_system: IncorrectState"


def test_a_long_message_is_cut() -> None:
    assert translated(refusal(400, "x", "y" * 1000), "z").message.count("y") == 300


@given(
    st.integers(400, 599),
    st.sampled_from(["InvalidParameter", "IncorrectState", "LimitExceeded", None]),
    st.none() | st.text(max_size=400),
)
def test_every_error_of_oci_is_one_line_of_ours(
    status: int, code: str | None, message: str | None
) -> None:
    found = translated(refusal(status, code, message), "create_vcn")
    assert isinstance(found, PgherdError)
    assert len(found.message.splitlines()) == 1
    assert len(found.message) < 400


REQUESTS = oci.exceptions


@pytest.mark.parametrize(
    ("error", "expected", "message"),
    [
        (REQUESTS.RequestException("cut\noff"), TryLater, "oci does not answer to {}: cut"),
        (REQUESTS.ConnectTimeout("late"), TryLater, "oci does not answer to {}: late"),
        (TimeoutError("late"), TryLater, "oci does not answer to {}: late"),
        (ConnectionResetError("reset"), TryLater, "oci does not answer to {}: reset"),
        (ValueError("unknown kwarg"), NeedsHuman, "{} failed: unknown kwarg"),
    ],
)
async def test_an_error_that_is_no_answer(
    threads: ThreadPoolExecutor, error: Exception, expected: type, message: str
) -> None:
    with pytest.raises(PgherdError) as found:
        await cloud(threads, Client(error)).call("psql", "create_backup", {})
    assert type(found.value) is expected
    assert found.value.message == message.format("create_backup in us-ashburn-1")
    assert found.value.__cause__ is error


# Repetitions


def named(error: Any) -> str:
    return str(getattr(error, "code", type(error).__name__))


LOOKS = ("get_db_system", "list_db_systems", "summarize_metrics_data")
DELETIONS = ("delete_db_system", "terminate_instance", "schedule_vault_deletion")
CHANGES = ("create_backup", "update_db_system", "patch_db_system", "cancel_secret_deletion")
LOST = [
    refusal(429, "TooManyRequests"),
    refusal(500, "InternalServerError"),
    refusal(409, "IncorrectState"),
    REQUESTS.RequestException("cut off"),
]


async def attempts(
    threads: ThreadPoolExecutor, client: Client, operation: str, **options: Any
) -> tuple[int, list[float]]:
    """How often a call that fails is made, and for how long is waited in between."""
    found = cloud(threads, client)
    with pytest.raises(PgherdError):
        await found.call("psql", operation, "ocid", **options)
    assert isinstance(found.sleep, Pauses)
    return len(client.calls), found.sleep


@pytest.mark.parametrize("operation", [*LOOKS, *DELETIONS])
@pytest.mark.parametrize("error", LOST, ids=named)
async def test_a_look_and_a_deletion_are_repeated(
    threads: ThreadPoolExecutor, operation: str, error: Exception
) -> None:
    count, pauses = await attempts(threads, Client(error), operation)
    assert count == ATTEMPTS
    assert len(pauses) == ATTEMPTS - 1


@pytest.mark.parametrize("operation", CHANGES)
@pytest.mark.parametrize("error", LOST, ids=named)
async def test_a_change_is_repeated_with_a_token_only(
    threads: ThreadPoolExecutor, operation: str, error: Exception
) -> None:
    assert await attempts(threads, Client(error), operation, if_match="e1") == (1, [])
    client = Client(error)
    count, _ = await attempts(threads, client, operation, opc_retry_token="t1")
    assert count == ATTEMPTS
    assert {rest["opc_retry_token"] for _, _, rest in client.calls} == {"t1"}


@pytest.mark.parametrize(
    "error",
    [
        refusal(400, "InvalidParameter"),
        refusal(400, "LimitExceeded"),
        refusal(401, "NotAuthenticated"),
        refusal(404, "NotAuthorizedOrNotFound"),
        refusal(412, "NoEtagMatch"),
        ValueError("unknown kwarg"),
    ],
    ids=named,
)
@pytest.mark.parametrize("operation", ["get_db_system", "delete_db_system", "update_db_system"])
async def test_what_does_not_pass_is_not_repeated(
    threads: ThreadPoolExecutor, operation: str, error: Exception
) -> None:
    assert await attempts(threads, Client(error), operation, opc_retry_token="t1") == (1, [])


async def test_a_repetition_that_is_answered_is_the_end_of_it(threads: ThreadPoolExecutor) -> None:
    client = Client(refusal(500), refusal(429), answer("data"))
    found = cloud(threads, client)
    assert (await found.call("psql", "get_db_system", "ocid")).data == "data"
    assert len(client.calls) == 3


async def test_what_no_longer_passes_ends_the_repetition(threads: ThreadPoolExecutor) -> None:
    client = Client(refusal(500), refusal(404))
    with pytest.raises(NotFound):
        await cloud(threads, client).call("psql", "delete_db_system", "ocid")
    assert len(client.calls) == 2


async def test_pauses_double_and_differ(threads: ThreadPoolExecutor) -> None:
    seen = set()
    for _ in range(10):
        _, pauses = await attempts(threads, Client(refusal(429)), "get_db_system")
        for number, pause in enumerate(pauses):
            assert 0.5 <= pause / (FIRST_DELAY * 2**number) <= 1.5
        seen.add(pauses[0])
    # Many that were refused at once do not come back at once.
    assert len(seen) > 1
