"""What a drill makes of a database, and what it asks of OCI for it."""

from __future__ import annotations

import pytest

from pgherd.engines.oci.blueprint import management_policy
from pgherd.engines.oci.pooler_host.names import RESERVED
from pgherd.engines.oci.pooler_host.names import check_name as check_in_pooler
from pgherd.engines.oci.proofs import copy_of
from pgherd.errors import InputError
from pgherd.fleet.desired import DatabaseId
from pgherd.fleet.names import check_name
from pgherd.testing.fleets import environment

PRODUCTION = environment("production", engine="oci")


def copy(service: str) -> DatabaseId:
    return copy_of(DatabaseId("production", service), "ecommerce", PRODUCTION, 1, 16).id


def test_a_copy_has_a_name_that_no_service_has_and_that_poolers_take() -> None:
    name = copy("auth").service
    with pytest.raises(InputError, match="is reserved"):
        check_name("service", name)
    check_in_pooler(name, RESERVED)


def test_it_is_the_same_name_each_time_and_another_one_for_each_service() -> None:
    assert copy("auth") == copy("auth")
    assert len({copy(s) for s in ("auth", "order", "a" * 31, "a" * 30)}) == 4


def test_it_is_small_and_nothing_of_it_is_backed_up() -> None:
    made = copy_of(DatabaseId("production", "auth"), "ecommerce", PRODUCTION, 1, 16)
    assert (made.ocpus.initial, made.ocpus.max, made.replicas.max) == (1, 1, 0)
    assert made.postgresql == 16
    assert management_policy(made) == {
        "backup_policy": {"kind": "NONE"},
        "pitr_policy": {"kind": "NONE"},
    }
