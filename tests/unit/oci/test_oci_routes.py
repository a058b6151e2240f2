"""What poolers are told survives their metadata, and damaged metadata is no answer."""

import json
from datetime import UTC

import pytest
from hypothesis import given
from hypothesis import strategies as st
from oci.psql.models import ConnectionDetails
from oci.psql.models import Endpoint as SdkEndpoint

from pgherd.engines.oci.routes import (
    LEAST_POOL,
    POOL_PER_OCPU,
    Endpoint,
    Route,
    Routes,
    read,
    route,
)

NAMES = st.from_regex(r"[a-z][a-z0-9-]{0,30}", fullmatch=True)
TEXTS = st.text(max_size=20)
ENDPOINTS = st.builds(Endpoint, TEXTS, TEXTS)
ROUTES = st.builds(
    Route,
    TEXTS,
    TEXTS,
    st.integers(1, 65535),
    st.none() | ENDPOINTS,
    st.integers(1, 1000),
    st.none() | NAMES,
)
MOMENTS = st.datetimes(timezones=st.just(UTC))
ALL = st.builds(
    Routes,
    TEXTS,
    st.dictionaries(NAMES, ROUTES, max_size=4),
    TEXTS,
    st.none() | MOMENTS,
)
AUTH = Route("10.0.0.5", "primary.auth", 5432, Endpoint("10.0.0.6", "reader.auth"), 40)
ORDER = Route("10.0.0.9", "primary.order", 5432, None, 40, was="orders")
ONE = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----"
OTHER = ONE.replace("AAAA", "BBBB")


@given(ALL)
def test_what_is_written_reads_back(routes: Routes) -> None:
    assert read(routes.text()) == routes


@given(ALL, st.data())
def test_a_part_of_it_is_no_answer(routes: Routes, data: st.DataObject) -> None:
    text = routes.text()
    cut = data.draw(st.integers(0, len(text) - 1))
    assert read(text[:cut]) is None


@given(TEXTS)
def test_any_text_is_read_without_an_error(text: str) -> None:
    assert read(text) is None


@given(ALL, st.data())
def test_what_lacks_a_part_is_no_answer(routes: Routes, data: st.DataObject) -> None:
    found = json.loads(routes.text())
    del found[data.draw(st.sampled_from(sorted(found)))]
    assert read(json.dumps(found)) is None


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        "null",
        "[]",
        "7",
        '{"network": "10.0.0.0/16"}',
        '{"network": "n", "databases": [], "authorities": "", "certificate_due": null}',
        '{"network": "n", "databases": {"a": 1}, "authorities": "", "certificate_due": null}',
        '{"network": "n", "databases": {"a": {}}, "authorities": "", "certificate_due": null}',
        '{"network": "n", "databases": {}, "authorities": "", "certificate_due": "soon"}',
        '{"network": "n", "databases": {}, "authorities": "", "certificate_due": 7}',
    ],
)
def test_damaged_metadata_is_no_answer(text: str | None) -> None:
    assert read(text) is None


def test_a_reader_of_another_form_is_no_answer() -> None:
    found = json.loads(Routes("n", {"auth": AUTH}).text())
    found["databases"]["auth"]["reader"] = {"address": "10.0.0.6"}
    assert read(json.dumps(found)) is None


def test_metadata_of_before_there_were_restored_databases_is_read() -> None:
    found = json.loads(Routes("n", {"auth": AUTH}).text())
    del found["databases"]["auth"]["was"]
    assert read(json.dumps(found)) == Routes("n", {"auth": AUTH})


@given(ALL, NAMES, ROUTES)
def test_a_database_is_added_and_taken_away(routes: Routes, name: str, more: Route) -> None:
    added = routes.including(name, more, ONE)
    assert added.databases == {**routes.databases, name: more}
    assert added.network == routes.network
    assert added.certificate_due == routes.certificate_due
    rest = {k: v for k, v in routes.databases.items() if k != name}
    assert added.without(name).databases == rest
    assert added.without(name).without(name) == added.without(name)


def test_the_order_of_adding_changes_nothing_but_the_authorities() -> None:
    one = Routes("n").including("auth", AUTH, ONE).including("order", ORDER, ONE)
    other = Routes("n").including("order", ORDER, ONE).including("auth", AUTH, ONE)
    assert one.text() == other.text()


def test_an_authority_is_kept_once() -> None:
    routes = Routes("n").including("auth", AUTH, f"{ONE}\n")
    assert routes.authorities == f"{ONE}\n"
    assert routes.including("order", ORDER, f"\n{ONE}\n\n").authorities == f"{ONE}\n"
    both = routes.including("order", ORDER, OTHER)
    assert both.authorities == f"{ONE}\n{OTHER}\n"
    assert both.including("auth", AUTH, ONE) == both


def test_an_authority_outlives_the_database_that_brought_it() -> None:
    routes = Routes("n").including("auth", AUTH, ONE).without("auth")
    assert routes.databases == {}
    assert routes.authorities == f"{ONE}\n"


def details(*, reader: bool) -> ConnectionDetails:
    return ConnectionDetails(
        ca_certificate=ONE,
        primary_db_endpoint=SdkEndpoint(fqdn="primary.auth", ip_address="10.0.0.5", port=5432),
        reader_endpoint=SdkEndpoint(fqdn="reader.auth", ip_address="10.0.0.6", port=5432)
        if reader
        else None,
    )


def test_a_route_is_made_of_a_systems_endpoints() -> None:
    assert route(details(reader=True), 2) == AUTH
    alone = route(details(reader=False), 2, was="old")
    assert alone.reader is None
    assert alone.was == "old"


@given(st.integers(1, 128), st.integers(1, 3))
def test_poolers_share_a_databases_connections(ocpus: int, poolers: int) -> None:
    pool = route(details(reader=False), ocpus, poolers).pool
    assert pool >= LEAST_POOL
    assert pool == LEAST_POOL or pool * poolers <= POOL_PER_OCPU * ocpus
