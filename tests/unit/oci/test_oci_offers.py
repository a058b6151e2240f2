"""What OCI cannot make as it is wanted is said beforehand, all of it, each with its way out."""

from collections.abc import Collection
from dataclasses import replace
from ipaddress import IPv4Network
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from oci_shop import fleet

from pgherd.engine import Offer
from pgherd.engines.oci.offers import MAX_RETENTION_DAYS, MAX_STORAGE_BYTES, Place, offers
from pgherd.engines.oci.shapes import Shape
from pgherd.fleet.desired import (
    Backup,
    Concession,
    Database,
    DatabaseId,
    Ocpus,
    Replicas,
    Storage,
)

(BASE,) = fleet().in_environment("production")
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
        BASE.environment.oci, accept=frozenset(accept), **{k: changes.pop(k) for k in oci}
    )
    environment = replace(BASE.environment, oci=settings, **{k: changes.pop(k) for k in around})
    return replace(
        BASE,
        environment=environment,
        **{"ocpus": Ocpus(2, 16), "storage": Storage(TB, 2 * TB), **changes},
    )


def found(*databases: Database, place: Place = PLACE, existing: Collection[DatabaseId] = ()) -> Any:
    return list(offers(databases, {REGION: place}, existing))


def one(database: Database, place: Place = PLACE, *, exists: bool = False) -> Offer:
    """The offer; of what is made just as it is wanted there is none."""
    offers = found(database, place=place, existing=[database.id] if exists else [])
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
    assert offer.database.environment.oci == database.environment.oci
    less = "1 of 3 availability domains, instances in different fault domains"
    assert offer.concessions == (GROWS, less)


def test_fewer_domains_than_the_region_has_fit() -> None:
    database = wanted(availability_domains=1)
    assert one(database).database == database


# Versions


@pytest.mark.parametrize("version", [14, 15, 16, None])
def test_a_version_of_the_service_fits(version: int | None) -> None:
    assert one(wanted(postgresql=version)).objections == ()


@pytest.mark.parametrize("version", [13, 17, 18])
def test_another_version_is_refused(version: int) -> None:
    offer = one(wanted(accept=list(Concession), postgresql=version))
    assert said(offer) == [(f"oci has no PostgreSQL {version}", "write one of 14, 15, 16")]


# Environments


def test_the_pooler_has_to_be_stated() -> None:
    offer = one(wanted(pooler=None))
    ((message, hint),) = said(offer)
    assert message == "oci asks no client for a certificate"
    assert hint.startswith("write oci: {pooler: create}")


@pytest.mark.parametrize("network", ["10.0.0.0/15", "10.0.0.0/8", "10.0.0.0/27", "10.0.0.0/30"])
def test_a_network_that_is_no_vcn_is_refused(network: str) -> None:
    offer = one(wanted(network=IPv4Network(network)))
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


# Limits of the service


def many(count: int, environment: str = "production") -> list[Database]:
    base = wanted()
    around = replace(base.environment, name=environment)
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
    existing = [d.id for d in databases[:2]]
    assert all(
        not o.objections for o in found(*databases, place=replace(PLACE, left=1), existing=existing)
    )


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
    messages = [message for message, _ in said(one(wanted(**BAD), BAD_PLACE, exists=True))]
    assert not [m for m in messages if "availability domain" in m or "PostgreSQL" in m]
    assert not [m for m in messages if "room for" in m]
    assert "the largest shape in us-ashburn-1 has 126 OCPUs, not 512" in messages
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
