"""The local OCI as the official SDK meets it: the form of calls, whichever service they are for."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest
from oci_clients import CORE, PSQL, RequestException, ServiceError, Tenant, oci, settled

from pgherd.testing.oci import signatures
from pgherd.testing.oci.server import Call, LocalOci

pytestmark = pytest.mark.local_oci


def compartment(tenant: Tenant, name: str = "production") -> Any:
    return oci.identity.models.CreateCompartmentDetails(
        compartment_id=tenant.cloud.config["tenancy"], name=name, description=name
    )


def refusal(call: Any, *arguments: Any, **words: Any) -> ServiceError:
    with pytest.raises(ServiceError) as error:
        call(*arguments, **words)
    return error.value


def test_a_call_with_another_key_is_refused(cloud: LocalOci, tenant: Tenant) -> None:
    other, _, _ = signatures.new_key.__wrapped__()
    client = oci.identity.IdentityClient(
        {**cloud.config, "key_content": other}, service_endpoint=cloud.endpoint("identity")
    )
    error = refusal(client.get_tenancy, cloud.config["tenancy"])
    assert (error.status, error.code) == (401, "NotAuthenticated")
    assert tenant.identity.get_tenancy(cloud.config["tenancy"]).data.home_region_key == "IAD"


def test_a_route_that_is_not_of_the_sdk_is_not_found(tenant: Tenant) -> None:
    client = tenant.identity.base_client
    for method, path in (("GET", "/nothing"), ("GET", "/compartments/a/b")):
        error = refusal(client.call_api, path, method, header_params={})
        assert (error.status, error.code) == (404, "NotAuthorizedOrNotFound")
    error = refusal(client.call_api, "/compartments", "DELETE", header_params={})
    assert (error.status, error.code) == (405, "MethodNotAllowed")


def test_another_region_is_another_place(tenant: Tenant) -> None:
    _, subnet, _ = tenant.base()
    phoenix = Tenant(tenant.cloud, "us-phoenix-1")
    assert refusal(phoenix.network.get_subnet, subnet).status == 404
    nowhere = Tenant(tenant.cloud, "eu-frankfurt-1")
    assert refusal(nowhere.network.get_subnet, subnet).status == 404


def test_parameters_are_held_to_the_contract(tenant: Tenant) -> None:
    client = tenant.identity.base_client
    listed = "/compartments"
    for query, code in (
        ({}, "MissingParameter"),
        ({"compartmentId": tenant.cloud.config["tenancy"], "color": "red"}, "InvalidParameter"),
        ({"compartmentId": "tenancy"}, "InvalidParameter"),
        ({"compartmentId": tenant.cloud.config["tenancy"], "limit": 0}, "InvalidParameter"),
        ({"compartmentId": tenant.cloud.config["tenancy"], "limit": "x"}, "InvalidParameter"),
        ({"compartmentId": tenant.cloud.config["tenancy"], "page": "x"}, "InvalidParameter"),
    ):
        error = refusal(client.call_api, listed, "GET", query_params=query, header_params={})
        assert (error.status, error.code) == (400, code)


def test_a_body_is_held_to_the_model(tenant: Tenant) -> None:
    empty = refusal(tenant.psql.create_db_system, PSQL.CreateDbSystemDetails())
    assert (empty.status, empty.code) == (400, "MissingParameter")
    unknown = refusal(tenant.identity.create_compartment, {"compartmentId": "x", "color": "red"})
    assert "unknown field 'color'" in unknown.message


def test_bodies_that_are_none(tenant: Tenant) -> None:
    client = tenant.identity.base_client

    def post(path: str, method: str, body: str | None, kind: str = "application/json") -> Any:
        words = {"content-type": kind}
        return refusal(client.call_api, path, method, header_params=words, body=body)

    assert post("/compartments", "POST", "{").code == "CannotParseRequest"
    assert post("/compartments", "POST", None).code == "MissingParameter"
    assert post("/compartments", "POST", "{}", "text/plain").status == 415
    id = tenant.cloud.config["tenancy"]
    assert post(f"/compartments/{id}", "GET", "{}").status in (400, 401)


def test_tokens_and_pages_of_other_calls(tenant: Tenant) -> None:
    root = tenant.cloud.config["tenancy"]
    too_long = refusal(
        tenant.identity.create_compartment, compartment(tenant), opc_retry_token="t" * 65
    )
    assert too_long.status == 400
    for number in range(26):
        tenant.cloud.plant("vcn", "us-ashburn-1", {"displayName": f"v{number}"})
    page = tenant.network.list_vcns(root).next_page
    assert refusal(tenant.network.list_subnets, root, page=page).status == 400


def test_lists_are_sorted_as_asked(tenant: Tenant) -> None:
    root = tenant.cloud.config["tenancy"]
    for name in ("b", "c", "a"):
        tenant.cloud.plant("vcn", "us-ashburn-1", {"displayName": name})

    def names(**order: str) -> str:
        return "".join(each.display_name for each in tenant.network.list_vcns(root, **order).data)

    assert names() == "bca"
    assert names(sort_by="DISPLAYNAME") == "abc"
    assert names(sort_by="DISPLAYNAME", sort_order="DESC") == "cba"
    assert names(sort_by="TIMECREATED", sort_order="ASC") == "bca"
    error = refusal(
        tenant.network.base_client.call_api,
        "/vcns",
        "GET",
        query_params={"compartmentId": root, "sortBy": "COLOR"},
        header_params={},
    )
    assert "must be one of" in error.message


def test_a_shared_enum_with_a_wrong_value_is_refused(tenant: Tenant) -> None:
    """The SDK itself turns the value into a word of its own, and sends that."""
    wrong = tenant.details(
        tenant.cloud.config["tenancy"],
        "ocid1.subnet.oc1.iad.a",
        source=PSQL.SourceDetails(source_type="WRONG"),
    )
    assert "UNKNOWN_ENUM_VALUE" in refusal(tenant.psql.create_db_system, wrong).message


def test_answers_have_ids_and_etags(tenant: Tenant) -> None:
    answer = tenant.identity.create_compartment(compartment(tenant))
    assert answer.headers["etag"]
    assert answer.headers["opc-request-id"].startswith(
        answer.request.header_params["opc-request-id"]
    )


def test_a_stale_etag_is_refused_and_any_change_makes_one(tenant: Tenant) -> None:
    made = tenant.identity.create_compartment(compartment(tenant))
    before = made.headers["etag"]
    settled(lambda: tenant.identity.get_compartment(made.data.id))
    changed = oci.identity.models.UpdateCompartmentDetails(description="other")
    update = tenant.identity.update_compartment
    error = refusal(update, made.data.id, changed, if_match=before)
    assert (error.status, error.code) == (412, "NoEtagMatch")
    now = tenant.identity.get_compartment(made.data.id).headers["etag"]
    after = update(made.data.id, changed, if_match=now).headers["etag"]
    assert len({before, now, after}) == 3


def test_a_retry_token_is_done_once(cloud: LocalOci, tenant: Tenant) -> None:
    create = tenant.identity.create_compartment
    first = create(compartment(tenant), opc_retry_token="one")
    again = create(compartment(tenant), opc_retry_token="one")
    assert first.data.id == again.data.id
    error = refusal(create, compartment(tenant, "staging"), opc_retry_token="one")
    assert (error.status, error.code) == (409, "InvalidatedRetryToken")
    cloud.advance(25 * 3600)
    assert refusal(create, compartment(tenant), opc_retry_token="one").code == (
        "CompartmentAlreadyExists"
    )


def test_pages_are_small(cloud: LocalOci, tenant: Tenant) -> None:
    root = cloud.config["tenancy"]
    for number in range(30):
        cloud.plant("compartment", "", {"name": f"c{number:02}"})
    first = tenant.identity.list_compartments(root)
    assert len(first.data) == 25
    assert first.has_next_page
    every = oci.pagination.list_call_get_all_results(tenant.identity.list_compartments, root)
    assert sorted(each.name for each in every.data) == [f"c{n:02}" for n in range(30)]
    assert len(tenant.identity.list_compartments(root, limit=1000).data) == 30


@pytest.mark.parametrize(
    ("kind", "status", "code"),
    [
        ("throttled", 429, "TooManyRequests"),
        ("error", 500, "InternalServerError"),
        ("conflict", 409, "IncorrectState"),
        ("stale", 412, "NoEtagMatch"),
        ("limit", 400, "LimitExceeded"),
        ("not-found", 404, "NotAuthorizedOrNotFound"),
    ],
)
def test_a_fault_before_anything_is_done(tenant: Tenant, kind: str, status: int, code: str) -> None:
    tenant.cloud.fail("create_compartment", kind)
    error = refusal(tenant.identity.create_compartment, compartment(tenant))
    assert (error.status, error.code) == (status, code)
    assert len(tenant.cloud.resources("compartment")) == 1
    tenant.identity.create_compartment(compartment(tenant))


def test_a_fault_of_nothing_is_a_mistake_of_the_test(cloud: LocalOci) -> None:
    with pytest.raises(ValueError, match="no such operation"):
        cloud.fail("create_everything", "lost")
    with pytest.raises(ValueError, match="no such operation"):
        cloud.fail_work("CREATE_EVERYTHING")


def test_a_lost_answer_means_that_it_was_done(cloud: LocalOci, tenant: Tenant) -> None:
    cloud.fail(None, "lost", skip=1)
    tenant.identity.get_tenancy(cloud.config["tenancy"])
    with pytest.raises(RequestException):
        tenant.identity.create_compartment(compartment(tenant), opc_retry_token="t")
    cloud.fail("create_compartment", "lost-500")
    error = refusal(
        tenant.identity.create_compartment, compartment(tenant, "staging"), opc_retry_token="u"
    )
    assert error.status == 500
    names = {each["name"] for each in cloud.resources("compartment")}
    assert {"production", "staging"} <= names
    again = tenant.identity.create_compartment(compartment(tenant), opc_retry_token="t").data
    assert again.id in {each["id"] for each in cloud.resources("compartment")}
    assert [call.status for call in cloud.calls] == [200, 0, 500, 200]


def test_hooks_break_the_connection_before_and_after(cloud: LocalOci, tenant: Tenant) -> None:
    class Killed(BaseException):
        pass

    def kill(call: Call) -> None:
        if call.operation == "create_compartment":
            raise Killed

    cloud.on_call = kill
    with pytest.raises(RequestException):
        tenant.identity.create_compartment(compartment(tenant))
    assert len(cloud.resources("compartment")) == 1
    cloud.on_call, cloud.after_call = None, kill
    with pytest.raises(RequestException):
        tenant.identity.create_compartment(compartment(tenant))
    assert len(cloud.resources("compartment")) == 2


def test_calls_are_counted(cloud: LocalOci, tenant: Tenant) -> None:
    tenant.identity.get_tenancy(cloud.config["tenancy"])
    refusal(tenant.psql.get_db_system, "ocid1.postgresqldbsystem.oc1.iad.a")
    kept = [(c.operation, c.region, c.service, c.status) for c in cloud.calls]
    assert kept == [
        ("get_tenancy", "us-ashburn-1", "identity", 200),
        ("get_db_system", "us-ashburn-1", "psql", 404),
    ]


def test_it_throttles_when_asked_to(cloud: LocalOci, tenant: Tenant) -> None:
    cloud.set_rate(3)
    for _ in range(3):
        tenant.identity.get_tenancy(cloud.config["tenancy"])
    assert refusal(tenant.identity.get_tenancy, cloud.config["tenancy"]).status == 429
    cloud.set_rate(None)
    tenant.identity.get_tenancy(cloud.config["tenancy"])


def test_changes_take_as_long_as_they_are_told_to() -> None:
    with LocalOci(delay=0.2, availability_domains=1) as cloud:
        tenant = Tenant(cloud)
        made = tenant.identity.create_compartment(compartment(tenant)).data
        states = []
        begin = time.monotonic()
        while "ACTIVE" not in states:
            states.append(tenant.identity.get_compartment(made.id).data.lifecycle_state)
        assert time.monotonic() - begin >= 0.15
        assert states.count("CREATING") > 2
        assert len(tenant.identity.list_availability_domains(made.id).data) == 1


def test_many_threads_at_once(cloud: LocalOci, tenant: Tenant) -> None:
    base = tenant.compartment()
    client = tenant.network
    failed: list[Exception] = []

    def create(number: int) -> None:
        try:
            client.create_vcn(
                CORE.CreateVcnDetails(compartment_id=base, cidr_blocks=[f"10.{number}.0.0/16"])
            )
        except Exception as error:
            failed.append(error)

    threads = [threading.Thread(target=create, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed
    assert len(client.list_vcns(base).data) == 16


def test_the_sdk_configuration_is_written(cloud: LocalOci, tmp_path: Any) -> None:
    path = cloud.variables(tmp_path)["OCI_CONFIG_FILE"]
    config = oci.config.from_file(path)
    client = oci.identity.IdentityClient(config, service_endpoint=cloud.endpoint("identity"))
    assert client.get_tenancy(config["tenancy"]).data.id == cloud.config["tenancy"]
    assert (tmp_path / "key.pem").stat().st_mode & 0o777 == 0o600
