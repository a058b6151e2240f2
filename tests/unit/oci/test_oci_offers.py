"""What OCI cannot make as it is wanted is said beforehand, all of it, each with its way out."""

from collections.abc import Collection, Mapping
from dataclasses import replace
from datetime import time
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from oci_shop import fleet

from pgherd.contract.observed import (
    DatabaseState,
    InstanceState,
    ObservedDatabase,
    ObservedInstance,
    Role,
)
from pgherd.contract.offers import Offer
from pgherd.decide.database import refusal
from pgherd.engines.oci.offers import MAX_STORAGE_BYTES, Place, offers
from pgherd.engines.oci.section import MAX_RETENTION_DAYS
from pgherd.engines.oci.shapes import Shape
from pgherd.engines.oci.values import Concession, OciValues
from pgherd.fleet.calendar import Weekday, Window
from pgherd.fleet.desired import (
    Backup,
    Database,
    DatabaseId,
    Ocpus,
    Replicas,
    Storage,
)

(SCALED,) = fleet().in_environment("production")
BASE = replace(SCALED, autoscale=None)
TB = 10**12
REGION = "us-ashburn-1"
E5, E6 = Shape("VM.Standard.E5.Flex", 1, 64), Shape("VM.Standard.E6.Flex", 1, 126)
THREE = ("Uocm:IAD-AD-1", "Uocm:IAD-AD-2", "Uocm:IAD-AD-3")
PLACE = Place((E5, E6), THREE)
GROWS = "storage grows with the data: oci cannot hold it at 2TB"
"""Told of each database whose storage is bounded, since the service knows no bound."""


def wanted(accept: Collection[Concession] = (), **changes: Any) -> Database:
    """A database that fits, but for the changes; those of its environment and OCI in it too."""
    oci = {"pooler", "region"} & set(changes)
    around = {"network", "availability_domains"} & set(changes)
    settings = replace(
        BASE.environment.values_of(OciValues),
        accept=frozenset(accept),
        **{k: changes.pop(k) for k in oci},
    )
    placed = BASE.environment.with_values("oci", settings)
    environment = replace(placed, **{k: changes.pop(k) for k in around})
    return replace(
        BASE,
        environment=environment,
        **{"ocpus": Ocpus(2, 16), "storage": Storage(TB, 2 * TB), **changes},
    )


def found(
    *databases: Database, place: Place = PLACE, existing: Mapping[DatabaseId, str] | None = None
) -> Any:
    return list(offers(databases, {("DEFAULT", REGION): place}, existing or {}))


def one(database: Database, place: Place = PLACE, *, shape: str | None = None) -> Offer:
    """The offer, with `shape` of a database that exists; just as it is wanted there is none."""
    existing = {} if shape is None else {database.id: shape}
    offers = found(database, place=place, existing=existing)
    offer = offers[0] if offers else Offer(database)
    assert isinstance(offer, Offer)
    return offer


def said(offer: Offer) -> list[tuple[str, str]]:
    return [(o.message, o.hint) for o in offer.objections]


def test_what_fits_is_offered_as_it_is_wanted() -> None:
    database = wanted()
    assert one(database) == Offer(database, (GROWS,))


def test_what_is_accepted_and_not_needed_changes_nothing() -> None:
    """A bound on storage is only watched; who accepts that is not told each time."""
    assert found(wanted(accept=list(Concession))) == []


def test_without_databases_nothing_is_offered() -> None:
    assert found() == []


# OCPUs


def test_more_ocpus_than_any_shape_has_are_refused() -> None:
    offer = one(wanted(ocpus=Ocpus(2, 128)))
    assert said(offer) == [
        (
            "the largest shape in us-ashburn-1 has 126 OCPUs, not 128",
            "write ocpus: 2..126, or accept it with oci: {accept: [max-ocpus]}",
        )
    ]


def test_fewer_ocpus_are_made_where_that_is_accepted() -> None:
    offer = one(wanted(accept=[Concession.MAX_OCPUS], ocpus=Ocpus(2, 128)))
    assert said(offer) == []
    assert offer.database.ocpus == Ocpus(2, 126)
    assert "at most 126 of 128 OCPUs" in offer.concessions


def test_the_initial_ocpus_are_held_to_the_largest_too() -> None:
    accepted = one(wanted(accept=[Concession.MAX_OCPUS], ocpus=Ocpus(128, 256)))
    assert accepted.database.ocpus == Ocpus(126, 126)
    ((_, hint),) = said(one(wanted(ocpus=Ocpus(128, 256))))
    assert hint.startswith("write ocpus: 126..126,")


def test_fewer_ocpus_than_a_shape_has_are_refused() -> None:
    place = replace(PLACE, shapes=[replace(E5, min_ocpus=2)])
    offer = one(wanted(ocpus=Ocpus(1, 4)), place)
    assert said(offer) == [("oci has no fewer than 2 OCPUs", "write ocpus: 2 or more")]
    assert one(wanted(ocpus=Ocpus(2, 4)), place).objections == ()


def test_a_region_without_shapes_is_refused() -> None:
    offer = one(wanted(), replace(PLACE, shapes=[]))
    assert said(offer) == [
        ("us-ashburn-1 has no shape for databases", "write another oci: {region: ...}")
    ]


OWN_END = "its shape VM.Standard.E5.Flex ends at 64 OCPUs, not {}, and its series cannot change"


@pytest.mark.parametrize("shape", ["VM.Standard.E5.Flex", "PostgreSQL.VM.Standard.E5.Flex"])
@pytest.mark.parametrize(("ocpus", "write"), [(Ocpus(2, 80), "2..64"), (Ocpus(80, 100), "64..64")])
def test_what_exists_ends_where_its_own_shape_does(shape: str, ocpus: Ocpus, write: str) -> None:
    assert said(one(wanted(ocpus=ocpus))) == []
    assert said(one(wanted(ocpus=ocpus), shape=shape)) == [
        (
            OWN_END.format(ocpus.max),
            f"write ocpus: {write}, restore it to a new database, which gets a larger shape, "
            "or accept it with oci: {accept: [max-ocpus]}",
        )
    ]


def test_what_exists_is_held_to_its_own_shape_where_that_is_accepted() -> None:
    offer = one(wanted([Concession.MAX_OCPUS], ocpus=Ocpus(80, 100)), shape=E5.name)
    assert offer.objections == ()
    assert offer.database.ocpus == Ocpus(64, 64)
    less = "at most 64 of 100 OCPUs: the series of its shape cannot change"
    assert offer.concessions == (less, GROWS)


@pytest.mark.parametrize(
    ("ocpus", "shape"), [(64, E5.name), (126, E6.name), (300, "VM.Standard.E9.Flex")]
)
def test_what_its_own_shape_reaches_fits_what_exists(ocpus: int, shape: str) -> None:
    """Of a shape that the region lists no more nothing is known: no size is refused for it."""
    database = wanted(ocpus=Ocpus(2, ocpus))
    assert one(database, shape=shape) == Offer(database, (GROWS,))


def test_no_larger_shape_is_promised_where_there_is_none() -> None:
    offer = one(wanted(ocpus=Ocpus(2, 80)), replace(PLACE, shapes=[E5]), shape=E5.name)
    assert said(offer) == [
        (
            OWN_END.format(80),
            "write ocpus: 2..64, or accept it with oci: {accept: [max-ocpus]}",
        )
    ]


# Storage


def test_unlimited_storage_is_refused() -> None:
    offer = one(wanted(storage=Storage(2 * TB, None)))
    assert said(offer) == [
        (
            "storage on oci ends at 32TB",
            "write storage: 2TB..32TB, or accept it with oci: {accept: [storage]}",
        )
    ]


def test_storage_above_the_services_is_refused() -> None:
    offer = one(wanted(storage=Storage(2 * TB, 40 * TB)))
    assert said(offer) == [
        (
            "storage on oci ends at 32TB, not 40TB",
            "write 32TB or less, or accept it with oci: {accept: [storage]}",
        )
    ]


@pytest.mark.parametrize(
    ("most", "less"),
    [
        (None, "storage grows to 32TB with the data, not without limit"),
        (40 * TB, "storage grows to 32TB with the data"),
    ],
)
def test_the_services_storage_is_made_where_that_is_accepted(most: int | None, less: str) -> None:
    offer = one(wanted(accept=[Concession.STORAGE], storage=Storage(2 * TB, most)))
    assert offer.objections == ()
    assert offer.concessions == (less,)


@pytest.mark.parametrize("most", [None, 40 * TB])
def test_storage_that_starts_above_the_services_is_refused_whatever_is_accepted(
    most: int | None,
) -> None:
    offer = one(wanted(accept=list(Concession), storage=Storage(33 * TB, most)))
    assert said(offer) == [("oci has at most 32TB for a database", "write 32TB or less")]
    assert offer.concessions == ()


def test_the_largest_storage_is_only_no_bound() -> None:
    offer = one(wanted(storage=Storage(MAX_STORAGE_BYTES, MAX_STORAGE_BYTES)))
    assert offer.objections == ()
    assert offer.concessions == ("storage grows with the data: oci cannot hold it at 32TB",)


# Backups


def test_longer_retention_than_the_services_is_refused() -> None:
    offer = one(wanted(backup=Backup(90)))
    assert said(offer) == [
        (
            "oci keeps backups for at most 35d",
            "write 35d or less, or accept it with oci: {accept: [retention]}",
        )
    ]


def test_the_services_retention_is_made_where_that_is_accepted() -> None:
    offer = one(wanted(accept=[Concession.RETENTION], backup=Backup(90, ("us-phoenix-1",))))
    assert offer.objections == ()
    assert offer.concessions == (GROWS, "backups are kept for 35d of 90d")
    assert offer.database.backup == Backup(35, ("us-phoenix-1",))


def test_the_longest_retention_fits() -> None:
    database = wanted(backup=Backup(MAX_RETENTION_DAYS))
    assert one(database) == Offer(database, (GROWS,))


# Availability domains


@pytest.mark.parametrize(
    ("there", "domains"), [(1, "1 availability domain"), (2, "2 availability domains")]
)
def test_more_domains_than_the_region_has_are_refused(there: int, domains: str) -> None:
    offer = one(wanted(), replace(PLACE, domains=THREE[:there]))
    assert said(offer) == [
        (
            f"us-ashburn-1 has {domains}, not 3",
            f"write availability_domains: {there}, or another region, "
            "or accept it with oci: {accept: [availability-domains]}",
        )
    ]


def test_fewer_domains_are_used_where_that_is_accepted() -> None:
    database = wanted(accept=[Concession.AVAILABILITY_DOMAINS])
    offer = one(database, replace(PLACE, domains=THREE[:1]))
    assert offer.objections == ()
    assert offer.database.environment.availability_domains == 1
    assert offer.database.environment.values_of(OciValues) == database.environment.values_of(
        OciValues
    )
    less = "1 of 3 availability domains, instances in different fault domains"
    assert offer.concessions == (GROWS, less)


@pytest.mark.parametrize("shape", [None, E5.name])
def test_one_domain_of_several_fits(shape: str | None) -> None:
    database = wanted(availability_domains=1)
    assert one(database, shape=shape).database == database


@pytest.mark.parametrize("shape", [None, E5.name])
@pytest.mark.parametrize("accept", [(), list(Concession)])
def test_two_domains_of_three_are_all_three(
    accept: Collection[Concession], shape: str | None
) -> None:
    """Where the service put a node is no reason to refuse the database for ever."""
    database = wanted(accept, availability_domains=2)
    (offer,) = found(database, existing={} if shape is None else {database.id: shape})
    assert offer.objections == ()
    assert not [c for c in offer.concessions if "domain" in c]
    environment = replace(database.environment, availability_domains=3)
    assert offer.database == replace(database, environment=environment)
    there = ObservedInstance("auth-3", Role.REPLICA, InstanceState.STREAMING, 3)
    seen = ObservedDatabase(database.id, DatabaseState.RUNNING, (there,))
    assert refusal(database, seen) is not None
    assert refusal(offer.database, seen) is None


# Versions


@pytest.mark.parametrize("version", [14, 15, 16, None])
def test_a_version_of_the_service_fits(version: int | None) -> None:
    assert one(wanted(postgresql=version)).objections == ()


@pytest.mark.parametrize("version", [13, 17, 18])
def test_another_version_is_refused(version: int) -> None:
    offer = one(wanted(accept=list(Concession), postgresql=version))
    assert said(offer) == [(f"oci has no PostgreSQL {version}", "write one of 14, 15, 16")]


# Environments


def test_what_exists_keeps_its_poolers_whatever_is_stated() -> None:
    database = wanted(pooler=None)
    auth, cart = found(
        database,
        replace(database, id=DatabaseId("production", "cart")),
        existing={database.id: E5.name},
    )
    assert auth.objections == ()
    assert [m for m, _ in said(cart)] == ["oci asks no client for a certificate"]


def test_the_pooler_has_to_be_stated() -> None:
    offer = one(wanted(pooler=None))
    ((message, hint),) = said(offer)
    assert message == "oci asks no client for a certificate"
    assert hint.startswith("write oci: {pooler: create}")


@pytest.mark.parametrize("shape", [None, E5.name])
@pytest.mark.parametrize("network", ["10.0.0.0/15", "10.0.0.0/8", "10.0.0.0/27", "10.0.0.0/30"])
def test_a_network_that_is_no_vcn_is_refused(network: str, shape: str | None) -> None:
    offer = one(wanted(network=IPv4Network(network)), shape=shape)
    assert said(offer) == [(f"network {network} does not fit a VCN of oci", "write a /16 to /25")]


@pytest.mark.parametrize(("network", "fits"), [("10.0.0.0/24", True), ("10.0.0.0/25", False)])
def test_a_network_holds_all_databases_with_all_their_replicas(network: str, fits: bool) -> None:
    database = wanted(network=IPv4Network(network), replicas=Replicas(2, 5))
    assert [m for m, _ in said(one(database))] == (
        [] if fits else [f"network {network} gives databases 5 addresses and they may need 8"]
    )


@pytest.mark.parametrize(("replicas", "needed"), [(2, 13), (3, 14)])
def test_addresses_are_counted_over_the_environment(replicas: int, needed: int) -> None:
    around = wanted(network=IPv4Network("10.0.0.0/24"))
    auth = replace(around, id=DatabaseId("production", "auth"), replicas=Replicas(2, 5))
    cart = replace(around, id=DatabaseId("production", "cart"), replicas=Replicas(0, replicas))
    too_many = (
        f"network 10.0.0.0/24 gives databases 13 addresses and they may need {needed}",
        "write a larger network",
    )
    for offer in found(auth, cart):
        assert said(offer) == ([] if needed == 13 else [too_many])


def test_a_database_too_many_is_no_fault_of_those_that_exist() -> None:
    around = wanted(network=IPv4Network("10.0.0.0/25"), replicas=Replicas(0, 2))
    old = replace(around, id=DatabaseId("production", "auth"))
    new = replace(around, id=DatabaseId("production", "cart"))
    first, second = found(old, new, existing={old.id: E5.name})
    assert said(first) == []
    too_many = "network 10.0.0.0/25 gives databases 5 addresses and they may need 10"
    assert said(second) == [(too_many, "write a larger network")]


def test_replicas_that_the_network_cannot_hold_are_refused_of_what_exists_too() -> None:
    database = wanted(network=IPv4Network("10.0.0.0/25"), replicas=Replicas(2, 5))
    assert said(one(database, shape=E5.name)) == [
        (
            "network 10.0.0.0/25 gives databases 5 addresses and they may need 8",
            "write a larger network",
        )
    ]


# Limits of the service


def many(
    count: int, environment: str = "production", profile: str = "DEFAULT", region: str = REGION
) -> list[Database]:
    base = wanted()
    oci = replace(base.environment.values_of(OciValues), profile=profile, region=region)
    around = replace(base.environment.with_values("oci", oci), name=environment)
    return [
        replace(base, id=DatabaseId(environment, f"s{n}"), environment=around) for n in range(count)
    ]


@pytest.mark.parametrize(("left", "fits"), [(None, True), (3, True), (2, False), (0, False)])
def test_limits_leave_room_for_all_new_ones_or_for_none(left: int | None, fits: bool) -> None:
    all_of_them = found(*many(3), place=replace(PLACE, left=left))
    assert len(all_of_them) == 3
    for offer in all_of_them:
        assert said(offer) == (
            []
            if fits
            else [
                (
                    f"us-ashburn-1 has room for {left} more DB systems and production needs 3",
                    "ask for a higher limit in the console (Governance, Limits)",
                )
            ]
        )


def test_what_exists_needs_no_room() -> None:
    databases = many(3)
    existing = {d.id: E5.name for d in databases[:2]}
    for left, refused in ((1, []), (0, ["s2"])):
        all_of_them = found(*databases, place=replace(PLACE, left=left), existing=existing)
        assert len(all_of_them) == 3
        assert [o.database.id.service for o in all_of_them if o.objections] == refused


def limited(*databases: Database, **places: Place) -> list[list[str]]:
    """What each database is told, with the places of profiles and regions."""
    by_key = {("DEFAULT" if k[0] == "D" else "OTHER", k[1:]): p for k, p in places.items()}
    return [[m for m, _ in said(o)] for o in offers(databases, by_key, {})]


def test_environments_of_one_region_share_its_limits() -> None:
    databases = [*many(1), *many(1, "staging")]
    one_left, two_left = (replace(PLACE, left=n) for n in (1, 2))
    message = "us-ashburn-1 has room for 1 more DB systems and production, staging need 2"
    assert limited(*databases, **{f"D{REGION}": one_left}) == [[message], [message]]
    assert limited(*databases, **{f"D{REGION}": two_left}) == [[], []]


def test_regions_and_tenancies_have_limits_of_their_own() -> None:
    left = replace(PLACE, left=1, tenancy="first")
    elsewhere = many(1, "staging", region="us-phoenix-1")
    assert limited(*many(1), *elsewhere, **{f"D{REGION}": left, "Dus-phoenix-1": left}) == [[], []]
    theirs = many(2, "staging", profile="OTHER")
    message = "us-ashburn-1 has room for 1 more DB systems and staging needs 2"
    other = replace(left, tenancy="second")
    assert limited(*many(1), *theirs, **{f"D{REGION}": left, f"O{REGION}": other}) == [
        [],
        [message],
        [message],
    ]


def test_two_profiles_of_one_tenancy_share_its_limits() -> None:
    left = replace(PLACE, left=1, tenancy="first")
    databases = [*many(1), *many(1, "staging", profile="OTHER")]
    message = "us-ashburn-1 has room for 1 more DB systems and production, staging need 2"
    told = limited(*databases, **{f"D{REGION}": left, f"O{REGION}": left})
    assert told == [[message], [message]]


def test_each_environment_is_told_its_own() -> None:
    good, bad = wanted(), wanted(pooler=None)
    other = replace(
        bad,
        id=DatabaseId("staging", "auth"),
        environment=replace(bad.environment, name="staging"),
    )
    first, second = found(good, other)
    assert first.objections == ()
    assert len(second.objections) == 1


# All at once


BAD: dict[str, Any] = {
    "ocpus": Ocpus(1, 512),
    "storage": Storage(TB, None),
    "backup": Backup(90),
    "postgresql": 12,
    "pooler": None,
    "network": IPv4Network("10.0.0.0/25"),
}
BAD_PLACE = Place([replace(E6, min_ocpus=2)], THREE[:1], left=0)


def test_everything_that_is_wrong_is_said_at_once() -> None:
    messages = [message for message, _ in said(one(wanted(**BAD), BAD_PLACE))]
    assert messages == [
        "oci asks no client for a certificate",
        "network 10.0.0.0/25 gives databases 5 addresses and they may need 8",
        "us-ashburn-1 has room for 0 more DB systems and production needs 1",
        "oci has no fewer than 2 OCPUs",
        "the largest shape in us-ashburn-1 has 126 OCPUs, not 512",
        "storage on oci ends at 32TB",
        "oci keeps backups for at most 35d",
        "us-ashburn-1 has 1 availability domain, not 3",
        "oci has no PostgreSQL 12",
    ]


def test_everything_that_may_be_accepted_is_accepted_at_once() -> None:
    offer = one(wanted(accept=list(Concession), **BAD), BAD_PLACE)
    assert len(offer.concessions) == len(Concession)
    assert len(offer.objections) == 9 - len(Concession)


def test_what_exists_is_told_only_what_it_cannot_become() -> None:
    """Its domains and its version are as they are; sizes and backups are still to be changed."""
    messages = [message for message, _ in said(one(wanted(**BAD), BAD_PLACE, shape=E6.name))]
    assert not [m for m in messages if "availability domain" in m or "PostgreSQL" in m]
    assert not [m for m in messages if "room for" in m]
    assert any(m.startswith(f"its shape {E6.name} ends at 126 OCPUs, not 512") for m in messages)
    assert "oci keeps backups for at most 35d" in messages


@given(
    st.sets(st.sampled_from(Concession)),
    st.integers(1, 300),
    st.integers(1, 50),
    st.integers(1, 100),
    st.integers(0, 3),
)
def test_a_concession_is_an_objection_where_it_is_not_accepted(
    accept: set[Concession], ocpus: int, terabytes: int, days: int, domains: int
) -> None:
    database = wanted(
        accept,
        ocpus=Ocpus(1, ocpus),
        storage=Storage(TB, terabytes * TB),
        backup=Backup(days),
    )
    less = {
        Concession.MAX_OCPUS: ocpus > 126,
        Concession.STORAGE: terabytes > 32,
        Concession.RETENTION: days > 35,
        Concession.AVAILABILITY_DOMAINS: domains < 3,
    }
    offer = one(database, replace(PLACE, domains=THREE[:domains]))
    refused = {c for c in Concession if less[c] and c not in accept}
    assert len(offer.objections) == len(refused)
    for concession in refused:
        assert any(f"accept: [{concession}]" in o.hint for o in offer.objections)
    made = offer.database
    assert made.ocpus.max <= 126
    assert made.backup.retention_days <= 35
    assert made.environment.availability_domains == min(domains, 3)


def test_copies_go_to_regions_that_are_subscribed_to() -> None:
    copied = wanted(backup=Backup(7, ("us-phoenix-1", "ap-tokyo-1")))
    known = replace(PLACE, regions=(REGION, "us-phoenix-1"))
    assert said(one(copied, known)) == [
        (
            "the tenancy is not subscribed to ap-tokyo-1, which is to have copies",
            f"write one of {REGION}, us-phoenix-1, or subscribe to it in the console",
        )
    ]
    assert said(one(copied)) == []


def test_migrations_are_said_to_be_left_to_the_user() -> None:
    offer = one(wanted(migrations=Path("migrations")))
    assert "migrations are not applied" in "".join(offer.concessions)


def test_that_a_size_ends_connections_is_said_of_all_that_are_scaled() -> None:
    scaled = wanted(autoscale=SCALED.autoscale)
    (said,) = (text for text in one(scaled).concessions if "size" in text)
    assert "of which the fleet file has none" in said
    window = Window(frozenset({Weekday.SUN}), time(3), time(5), "UTC")
    (said,) = (c for c in one(replace(scaled, maintenance=(window,))).concessions if "size" in c)
    assert said == (
        "another size ends connections: the autopilot gives one within `maintenance`, "
        "and a larger one where the CPU is used up"
    )
    fixed = wanted(autoscale=SCALED.autoscale, ocpus=Ocpus(2, 2))
    for same in (wanted(), fixed):
        assert not any("size" in text for text in one(same).concessions)
