"""Whose a thing is, and that the token of a call is the same for the same call only."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pgherd.engines.oci.names import (
    BORN,
    ENVIRONMENT,
    FLEET,
    KEY,
    SERVICE,
    Owner,
    label,
    retry_token,
)
from pgherd.fleet.desired import DatabaseId

FEW = settings(max_examples=40)
"""Each example is large, and there are many laws."""

OWNER = Owner("shop", "production")
AGAIN = Owner("shop", "production", "2026-11-22T12:00:00")
BODIES = st.recursive(
    st.none() | st.booleans() | st.text(max_size=5) | st.integers(2, 9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=6,
)
DETAILS = st.dictionaries(st.text(max_size=5), BODIES, max_size=4)


def tagged(tags: Mapping[str, str] | None) -> Any:
    return SimpleNamespace(freeform_tags=tags)


def test_what_carries_the_owners_tags_is_its() -> None:
    assert OWNER.owns(tagged(OWNER.tags))
    assert OWNER.owns(tagged(OWNER.tags | {KEY: "vcn", "team": "payments"}))


@pytest.mark.parametrize(
    "tags",
    [
        None,
        {},
        {FLEET: "shop"},
        {ENVIRONMENT: "production"},
        {FLEET: "shop", ENVIRONMENT: "staging"},
        {FLEET: "other", ENVIRONMENT: "production"},
        {FLEET: "Shop", ENVIRONMENT: "production"},
    ],
)
def test_everything_else_is_foreign(tags: Mapping[str, str] | None) -> None:
    assert not OWNER.owns(tagged(tags))
    assert OWNER.database(tagged({**(tags or {}), SERVICE: "auth"})) is None


def test_an_owner_that_came_back_says_when() -> None:
    assert BORN not in OWNER.tags
    assert AGAIN.tags == OWNER.tags | {BORN: AGAIN.born}


@pytest.mark.parametrize("owner", [OWNER, AGAIN])
@pytest.mark.parametrize("born", [None, "", "2026-11-22T12:00:00", "2026-11-23T12:00:00"])
def test_whose_a_thing_is_does_not_depend_on_when_its_owner_came_back(
    owner: Owner, born: str | None
) -> None:
    tags = OWNER.tags | ({} if born is None else {BORN: born})
    assert owner.owns(tagged(tags))
    assert owner.database(tagged(tags | {SERVICE: "auth"})) == DatabaseId("production", "auth")
    assert not owner.owns(tagged(tags | {ENVIRONMENT: "staging"}))


def test_the_calls_of_an_owner_that_came_back_have_tokens_of_their_own() -> None:
    owners = (OWNER, AGAIN, replace(AGAIN, born="2026-11-23T12:00:00"))
    assert len({retry_token("create_vault", {"freeform_tags": o.tags}) for o in owners}) == 3
    assert len({o.name("databases") for o in owners}) == 1


def test_a_system_says_which_database_it_is() -> None:
    system = tagged(OWNER.tags | {SERVICE: "auth"})
    assert OWNER.database(system) == DatabaseId("production", "auth")
    assert OWNER.database(tagged(OWNER.tags)) is None
    assert OWNER.database(tagged(None)) is None


def test_tags_are_the_askers_own() -> None:
    OWNER.tags[FLEET] = "changed"
    assert OWNER.tags[FLEET] == "shop"


def test_a_name_says_whose_part_it_is() -> None:
    assert OWNER.name("databases") == "shop-production-databases"


@FEW
@given(DETAILS, st.lists(st.text(max_size=5), max_size=4), st.randoms(use_true_random=False))
def test_the_same_call_has_the_same_token(
    details: dict[str, Any], generation: list[str], shuffle: Any
) -> None:
    turned = list(details.items())
    shuffle.shuffle(turned)
    former = [*generation]
    shuffle.shuffle(former)
    token = retry_token("create_vcn", details, generation)
    assert retry_token("create_vcn", dict(turned), former) == token


@FEW
@given(DETAILS, DETAILS)
def test_another_body_has_another_token(one: dict[str, Any], other: dict[str, Any]) -> None:
    tokens = {retry_token("create_vcn", one), retry_token("create_vcn", other)}
    assert len(tokens) == (1 if one == other else 2)


@FEW
@given(DETAILS, st.sets(st.text(max_size=5), min_size=1, max_size=3))
def test_another_generation_has_another_token(details: dict[str, Any], gone: set[str]) -> None:
    assert retry_token("create_vcn", details, gone) != retry_token("create_vcn", details)


def test_another_operation_has_another_token() -> None:
    assert retry_token("create_vcn", {}) != retry_token("create_subnet", {})


def test_a_body_may_hold_a_time() -> None:
    noon = datetime(2026, 11, 22, 12, tzinfo=UTC)
    later = noon.replace(second=1)
    assert retry_token("restore", {"at": noon}) == retry_token("restore", {"at": noon})
    assert retry_token("restore", {"at": noon}) != retry_token("restore", {"at": later})


@FEW
@given(DETAILS)
def test_a_token_is_as_oci_takes_it(details: dict[str, Any]) -> None:
    token = retry_token("create_vcn", details)
    assert len(token) == 32
    assert token.isascii()
    assert token.isalnum()


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("production", "production"),
        ("pre-production", "preproduction"),
        ("a-very-long-environment", "averylongenviro"),
        ("e2e", "e2e"),
    ],
)
def test_a_label_of_an_environment(name: str, expected: str) -> None:
    assert label(name) == expected


@FEW
@given(st.from_regex(r"[a-z][a-z0-9-]{0,30}", fullmatch=True))
def test_a_label_is_as_oci_takes_it(name: str) -> None:
    found = label(name)
    assert 1 <= len(found) <= 15
    assert found.isascii()
    assert found.isalnum()
    assert found[0].isalpha()
