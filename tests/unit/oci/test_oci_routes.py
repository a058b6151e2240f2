"""What poolers are told survives their metadata, and damaged metadata is no answer."""

import json
from dataclasses import replace
from datetime import UTC

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oci.psql.models import ConnectionDetails
from oci.psql.models import Endpoint as SdkEndpoint

from pgherd.engines.oci.pooler_host.limits import BESIDE_SERVICE
from pgherd.engines.oci.routes import (
    LEAST_POOL,
    POOL_PER_OCPU,
    Endpoint,
    Route,
    Routes,
    certificates,
    digest,
    merged,
    read,
    route,
)
from pgherd.fleet.desired import DatabaseId

FEW = settings(max_examples=40)
"""Each example is large, and there are many laws."""


def pem(body: str) -> str:
    return f"-----BEGIN CERTIFICATE-----\n{body}\n-----END CERTIFICATE-----"


ONE, OTHER, THIRD = map(pem, ("MIIBAAAA\nAA==", "MIIBBBBB\nBg==", "MIIBCCCC\nCQ=="))
PEMS = (ONE, OTHER, THIRD)
NAMES = st.text("abz09-", max_size=8).map(lambda rest: f"s{rest}")
TEXTS = st.text(max_size=20)
ENDPOINTS = st.builds(Endpoint, TEXTS, TEXTS)
ROUTES = st.builds(
    Route,
    host=TEXTS,
    name=TEXTS,
    port=st.integers(1, 65535),
    reader=st.none() | ENDPOINTS,
    pool=st.integers(1, 1000),
    system=TEXTS,
    signers=st.lists(st.sampled_from([digest(one) for one in PEMS]), max_size=3).map(tuple),
    was=st.none() | NAMES,
)
MOMENTS = st.datetimes(timezones=st.just(UTC))
BUNDLES = st.lists(st.sampled_from(PEMS), max_size=4).map(
    lambda few: "".join(f"{f}\n" for f in few)
)
ALL = st.builds(
    Routes,
    TEXTS,
    st.dictionaries(NAMES, ROUTES, max_size=4),
    BUNDLES,
    st.none() | MOMENTS,
    TEXTS,
)
SYSTEM = "ocid1.postgresqldbsystem.oc1.iad.auth"
AUTH = Route("10.0.0.5", "primary.auth", 5432, Endpoint("10.0.0.6", "reader.auth"), 51, SYSTEM)
ORDER = Route("10.0.0.9", "primary.order", 5432, None, 40, was="orders")


def told(routes: Routes) -> Routes:
    found = read(routes.text())
    assert found is not None
    return found


def signers(routes: Routes) -> set[str]:
    return {signer for one in routes.databases.values() for signer in one.signers}


@FEW
@given(ALL)
def test_what_is_written_reads_back_with_the_authorities_that_are_needed(routes: Routes) -> None:
    found = told(routes)
    assert replace(found, authorities="") == replace(routes, authorities="")
    kept = certificates(found.authorities)
    known = set(certificates(routes.authorities))
    needed = {one for one in known if digest(one) in signers(routes)}
    assert set(kept) == (needed if routes.databases else known)
    assert len(kept) == len(set(kept))
    assert told(found) == found


@FEW
@given(ALL, st.data())
def test_a_part_of_it_is_no_answer(routes: Routes, data: st.DataObject) -> None:
    text = routes.text()
    cut = data.draw(st.integers(0, len(text) - 1))
    assert read(text[:cut]) is None


@FEW
@given(TEXTS)
def test_any_text_is_read_without_an_error(text: str) -> None:
    assert read(text) is None


@FEW
@given(ALL, st.data())
def test_what_lacks_a_part_is_no_answer(routes: Routes, data: st.DataObject) -> None:
    found = json.loads(routes.text())
    del found[data.draw(st.sampled_from(sorted(found)))]
    assert read(json.dumps(found)) is None


@pytest.mark.parametrize("text", [None, "", "null", "[]", "7", '{"network": "10.0.0.0/16"}'])
def test_damaged_metadata_is_no_answer(text: str | None) -> None:
    assert read(text) is None


@pytest.mark.parametrize(
    "damage",
    [
        {"databases": []},
        {"databases": {"a": 1}},
        {"databases": {"a": {}}},
        {"databases": {"a": {"host": "10.0.0.5"}}},
        {"certificate_due": "soon"},
        {"certificate_due": 7},
    ],
)
def test_metadata_of_which_one_part_is_damaged_is_no_answer(damage: dict[str, object]) -> None:
    sound = json.loads(Routes("n").text())
    assert read(json.dumps(sound)) == Routes("n")
    assert read(json.dumps(sound | damage)) is None


def test_a_reader_of_another_form_is_no_answer() -> None:
    found = json.loads(Routes("n", {"auth": AUTH}).text())
    found["databases"]["auth"]["reader"] = {"address": "10.0.0.6"}
    assert read(json.dumps(found)) is None


@pytest.mark.parametrize("field", ["was", "system", "signers"])
def test_metadata_of_before_there_was_a_field_is_read(field: str) -> None:
    order = replace(ORDER, was=None)
    found = json.loads(Routes("n", {"order": order}).text())
    del found["databases"]["order"][field]
    assert read(json.dumps(found)) == Routes("n", {"order": order})


@pytest.mark.parametrize("damaged", [None, 7])
def test_signers_of_another_form_are_no_answer(damaged: object) -> None:
    found = json.loads(Routes("n", {"auth": AUTH}).text())
    found["databases"]["auth"]["signers"] = damaged
    assert read(json.dumps(found)) is None


# Adding and taking away


@FEW
@given(ALL, NAMES, ROUTES)
def test_a_database_is_added_and_taken_away(routes: Routes, name: str, more: Route) -> None:
    added = routes.including(name, more, ONE)
    assert added.databases == {**routes.databases, name: replace(more, signers=(digest(ONE),))}
    assert added.network == routes.network
    assert added.certificate_due == routes.certificate_due
    assert added.authority == routes.authority
    rest = {k: v for k, v in routes.databases.items() if k != name}
    assert added.without(name).databases == rest
    assert added.without(name).without(name) == added.without(name)


@FEW
@given(ALL, NAMES, ROUTES)
def test_what_is_added_twice_is_told_as_what_is_added_once(
    routes: Routes, name: str, more: Route
) -> None:
    once = routes.including(name, more, ONE)
    assert once.including(name, more, f"\n{ONE}\n\n").text() == once.text()
    assert told(once).including(name, more, ONE).text() == once.text()


@FEW
@given(ALL, st.sets(NAMES, max_size=4), st.data())
def test_only_some_are_left(routes: Routes, foreign: set[str], data: st.DataObject) -> None:
    names = sorted(routes.databases)
    some = data.draw(st.sets(st.sampled_from(names))) if names else set()
    found = routes.only(some | (foreign - routes.databases.keys()))
    assert found == replace(
        routes, databases={name: routes.databases[name] for name in found.databases}
    )
    assert found.databases.keys() == some
    assert routes.only(names) == routes
    for name in names:
        assert routes.without(name) == routes.only(routes.databases.keys() - {name})


def test_the_order_of_adding_changes_nothing() -> None:
    one = Routes("n").including("auth", AUTH, ONE).including("order", ORDER, OTHER)
    other = Routes("n").including("order", ORDER, OTHER).including("auth", AUTH, ONE)
    assert one.text() == other.text()


# Authorities


def test_an_authority_is_told_once() -> None:
    routes = Routes("n").including("auth", AUTH, f"{ONE}\n")
    assert told(routes).authorities == f"{ONE}\n"
    assert told(routes.including("order", ORDER, f"\n{ONE}\n\n")).authorities == f"{ONE}\n"
    both = told(routes.including("order", ORDER, OTHER))
    assert sorted(certificates(both.authorities)) == [ONE, OTHER]
    assert told(both.including("auth", AUTH, ONE)) == both


def test_an_authority_goes_with_the_last_database_that_needs_it() -> None:
    routes = told(Routes("n").including("auth", AUTH, ONE).including("order", ORDER, ONE + OTHER))
    assert told(routes.without("order")).authorities == f"{ONE}\n"
    assert sorted(certificates(told(routes.without("auth")).authorities)) == [ONE, OTHER]
    none = told(told(routes.without("order")).without("auth"))
    assert (none.databases, none.authorities) == ({}, f"{ONE}\n"), "a pooler is not new again"


def test_another_authority_takes_the_place_of_the_former() -> None:
    renewed = told(Routes("n").including("auth", AUTH, ONE)).including("auth", AUTH, OTHER)
    assert renewed.databases["auth"].signers == (digest(OTHER),)
    assert told(renewed).authorities == f"{OTHER}\n"


def test_of_a_bundle_all_certificates_are_kept_and_nothing_else() -> None:
    bundle = f"subject=CN = one\n{ONE}\n\nissuer=CN = other\n{OTHER}"
    assert certificates(bundle) == [ONE, OTHER]
    routes = Routes("n").including("auth", AUTH, bundle)
    assert routes.databases["auth"].signers == (digest(ONE), digest(OTHER))
    assert sorted(certificates(told(routes).authorities)) == [ONE, OTHER]
    assert "subject" not in told(routes).authorities


@pytest.mark.parametrize("text", ["", "AAAA", ONE[:-1], ONE[1:], ONE.replace("CERTIFICATE", "KEY")])
def test_what_is_no_certificate_is_none(text: str) -> None:
    assert certificates(text) == []


@FEW
@given(st.lists(st.sampled_from(PEMS), max_size=4), st.sampled_from(["", "\n", "\r\n", "\n# x\n"]))
def test_each_certificate_of_a_bundle_is_found(few: list[str], between: str) -> None:
    assert certificates(between.join(few)) == few


def test_a_digest_is_short_and_each_certificates_own() -> None:
    assert len({digest(one) for one in PEMS}) == len(PEMS)
    assert all(len(digest(one)) == 16 and digest(one).isalnum() for one in PEMS)
    assert digest(ONE) == digest(pem("MIIBAAAA\nAA=="))


# Which system


def test_it_leads_to_one_system_of_one_database() -> None:
    routes = told(Routes("n").including("auth", AUTH, ONE).including("order", ORDER, ONE))
    id = DatabaseId("production", "auth")
    assert routes.leads_to(id, SYSTEM)
    assert not routes.leads_to(id, f"{SYSTEM}2")
    assert not routes.leads_to(id, "")
    assert not routes.leads_to(DatabaseId("production", "order"), SYSTEM)
    assert not routes.leads_to(DatabaseId("production", "cart"), SYSTEM)
    assert not routes.without("auth").leads_to(id, SYSTEM)


# What several poolers know


def test_of_no_pooler_nothing_is_merged() -> None:
    assert merged([]) is None
    assert merged(iter(())) is None


@FEW
@given(ALL)
def test_what_all_know_alike_stays_so(routes: Routes) -> None:
    assert merged([routes]) == routes
    twice = merged([routes, routes])
    assert twice is not None
    assert twice.text() == routes.text()


@FEW
@given(st.lists(ALL, min_size=1, max_size=3))
def test_what_any_knows_is_merged_and_the_first_has_the_say(known: list[Routes]) -> None:
    found = merged(iter(known))
    assert found is not None
    assert found.network == known[0].network
    assert found.certificate_due == known[0].certificate_due
    assert found.authority == known[0].authority
    assert found.databases.keys() == {name for one in known for name in one.databases}
    for name, one in found.databases.items():
        assert one == next(r.databases[name] for r in known if name in r.databases)
    authorities = {one for r in known for one in certificates(r.authorities)}
    assert set(certificates(found.authorities)) == authorities


def test_a_database_that_one_pooler_knows_brings_its_authority() -> None:
    one, other = (
        Routes("n").including("auth", AUTH, ONE),
        Routes("n").including("order", ORDER, OTHER),
    )
    found = merged([told(one), told(other)])
    assert found is not None
    assert told(found) == told(one.including("order", ORDER, OTHER))


def test_a_new_pooler_takes_nothing_from_the_others() -> None:
    full = told(Routes("n").including("auth", AUTH, ONE))
    found = merged([Routes("n"), full])
    assert found is not None
    assert told(found) == full


# From a system


def details(*, reader: bool) -> ConnectionDetails:
    return ConnectionDetails(
        ca_certificate=ONE,
        primary_db_endpoint=SdkEndpoint(fqdn="primary.auth", ip_address="10.0.0.5", port=5432),
        reader_endpoint=SdkEndpoint(fqdn="reader.auth", ip_address="10.0.0.6", port=5432)
        if reader
        else None,
    )


def test_a_route_is_made_of_a_systems_endpoints() -> None:
    assert route(details(reader=True), SYSTEM, 2) == AUTH
    alone = route(details(reader=False), SYSTEM, 2, was="old")
    assert alone.reader is None
    assert (alone.system, alone.was, alone.signers) == (SYSTEM, "old", ())


@FEW
@given(st.integers(1, 128), st.integers(1, 3))
def test_poolers_share_a_databases_connections(ocpus: int, poolers: int) -> None:
    pool = route(details(reader=False), SYSTEM, ocpus, poolers).pool - BESIDE_SERVICE
    assert pool >= LEAST_POOL
    assert pool == LEAST_POOL or pool * poolers <= POOL_PER_OCPU * ocpus


@FEW
@given(st.integers(1, 128))
def test_where_no_pooler_is_known_one_is_reckoned_with(ocpus: int) -> None:
    none = route(details(reader=False), SYSTEM, ocpus, 0)
    assert none == route(details(reader=False), SYSTEM, ocpus, 1)
