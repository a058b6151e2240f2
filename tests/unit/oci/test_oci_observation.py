"""Every state that OCI has for a system, its instances and its settings, in pgherd's words."""

from dataclasses import replace
from typing import Any

import pytest
from oci.psql import models
from oci_shop import fleet

from pgherd.contract.observed import DatabaseState, InstanceState, Role
from pgherd.engines.oci.observation import (
    COPIES,
    NOT_ROUTED,
    READER,
    database,
    domain_number,
    major_version,
    retention_days,
    settings_seen,
    settings_wanted,
)
from pgherd.fleet.desired import Backup, DatabaseId, Replicas

ID = DatabaseId("production", "order-items")
(WANTED,) = fleet().in_environment("production")


def instance(number: int, state: str = "ACTIVE", domain: int | None = None) -> models.DbInstance:
    return models.DbInstance(
        id=f"ocid{number}",
        display_name=f"order-items-{number}",
        lifecycle_state=state,
        availability_domain=f"Uocm:IAD-AD-{domain or number}",
    )


def system(state: str = "ACTIVE", *instances: models.DbInstance, **rest: Any) -> models.DbSystem:
    found = list(instances or (instance(1), instance(2), instance(3)))
    return models.DbSystem(
        lifecycle_state=state,
        instances=found,
        **{"instance_ocpu_count": 4, "db_version": "16.4", **rest},
    )


def seen(found: models.DbSystem, primary: str | None = "ocid1", *, is_routed: bool = True) -> Any:
    return database(ID, found, primary, is_routed=is_routed)


def test_a_database_that_serves() -> None:
    found = seen(system(), "ocid2")
    assert found.id == ID
    assert found.state is DatabaseState.RUNNING
    assert (found.ocpus, found.postgresql, found.detail) == (4, 16, "")
    assert [(i.name, i.role, i.state, i.availability_domain) for i in found.instances] == [
        ("order-items-1", Role.REPLICA, InstanceState.STREAMING, 1),
        ("order-items-2", Role.PRIMARY, InstanceState.RUNNING, 2),
        ("order-items-3", Role.REPLICA, InstanceState.STREAMING, 3),
    ]
    assert found.primary.name == "order-items-2"


def test_instances_are_in_the_order_of_their_names() -> None:
    found = seen(system("ACTIVE", instance(3), instance(1), instance(2)))
    assert [i.name[-1] for i in found.instances] == ["1", "2", "3"]


# States


ROUTED, NOT = True, False
STATES = {
    ("CREATING", ROUTED): DatabaseState.STARTING,
    ("CREATING", NOT): DatabaseState.STARTING,
    ("UPDATING", ROUTED): DatabaseState.RUNNING,
    ("UPDATING", NOT): DatabaseState.STARTING,
    ("ACTIVE", ROUTED): DatabaseState.RUNNING,
    ("ACTIVE", NOT): DatabaseState.STARTING,
    ("INACTIVE", ROUTED): DatabaseState.STOPPED,
    ("INACTIVE", NOT): DatabaseState.STOPPED,
    ("DELETING", ROUTED): DatabaseState.UNAVAILABLE,
    ("DELETING", NOT): DatabaseState.UNAVAILABLE,
    ("DELETED", ROUTED): DatabaseState.UNKNOWN,
    ("DELETED", NOT): DatabaseState.UNKNOWN,
    ("FAILED", ROUTED): DatabaseState.UNAVAILABLE,
    ("FAILED", NOT): DatabaseState.UNAVAILABLE,
    ("NEEDS_ATTENTION", ROUTED): DatabaseState.DEGRADED,
    ("NEEDS_ATTENTION", NOT): DatabaseState.DEGRADED,
    ("UNKNOWN_ENUM_VALUE", ROUTED): DatabaseState.UNKNOWN,
    ("UNKNOWN_ENUM_VALUE", NOT): DatabaseState.UNKNOWN,
}


def test_every_state_of_the_service_is_known() -> None:
    model = models.DbSystem
    names = {getattr(model, n) for n in dir(model) if n.startswith("LIFECYCLE_STATE_")}
    assert {state for state, _ in STATES} == names | {"UNKNOWN_ENUM_VALUE"}


@pytest.mark.parametrize(("state", "is_routed"), STATES)
def test_the_state_of_a_database(state: str, is_routed: bool) -> None:
    found = seen(system(state), is_routed=is_routed)
    assert found.state is STATES[state, is_routed]


@pytest.mark.parametrize(
    ("state", "expected"),
    [("ACTIVE", DatabaseState.DEGRADED), ("UPDATING", DatabaseState.STARTING)],
)
def test_an_instance_that_does_not_serve_is_told(state: str, expected: DatabaseState) -> None:
    found = seen(system(state, instance(1), instance(2, "FAILED")))
    assert found.state is expected


def test_a_system_without_instances_does_not_serve() -> None:
    found = models.DbSystem(lifecycle_state="ACTIVE", instances=None)
    assert seen(found).state is DatabaseState.DEGRADED
    assert seen(found).instances == ()
    assert (seen(found).ocpus, seen(found).postgresql) == (None, None)


INSTANCE_STATES = {
    "CREATING": InstanceState.STARTING,
    "UPDATING": InstanceState.STARTING,
    "ACTIVE": InstanceState.STREAMING,
    "INACTIVE": InstanceState.STOPPED,
    "DELETING": InstanceState.STOPPED,
    "FAILED": InstanceState.FAILED,
    "UNKNOWN_ENUM_VALUE": InstanceState.UNKNOWN,
}


def test_every_state_of_an_instance_is_known() -> None:
    model = models.DbInstance
    names = {getattr(model, n) for n in dir(model) if n.startswith("LIFECYCLE_STATE_")}
    # What is deleted is no instance any more.
    assert set(INSTANCE_STATES) == (names - {"DELETED"}) | {"UNKNOWN_ENUM_VALUE"}


@pytest.mark.parametrize("state", INSTANCE_STATES)
def test_the_state_of_a_replica(state: str) -> None:
    found = seen(system("ACTIVE", instance(1), instance(2, state)))
    assert found.instances[1].state is INSTANCE_STATES[state]


@pytest.mark.parametrize("state", ["ACTIVE", "INACTIVE", "FAILED"])
def test_the_instances_of_a_stopped_system_are_stopped(state: str) -> None:
    found = seen(system("INACTIVE", instance(1, state), instance(2, state)))
    assert {i.state for i in found.instances} == {InstanceState.STOPPED}


def test_a_deleted_instance_is_none() -> None:
    found = seen(system("ACTIVE", instance(1), instance(2, "DELETED")), None)
    assert [i.name for i in found.instances] == ["order-items-1"]
    assert found.state is DatabaseState.RUNNING
    assert found.primary.name == "order-items-1"


# Roles


def test_of_several_the_primary_has_to_be_known() -> None:
    found = seen(system(), None)
    assert {i.role for i in found.instances} == {Role.UNKNOWN}
    assert {i.state for i in found.instances} == {InstanceState.RUNNING}
    assert found.primary is None
    assert found.state is DatabaseState.RUNNING


def test_the_only_one_is_the_primary() -> None:
    (only,) = seen(system("ACTIVE", instance(1)), None).instances
    assert (only.role, only.state) == (Role.PRIMARY, InstanceState.RUNNING)


def test_a_failed_primary_is_still_the_primary_and_serves_nobody() -> None:
    found = seen(system("ACTIVE", instance(1, "FAILED"), instance(2)))
    assert found.instances[0].role is Role.PRIMARY
    assert found.primary is None


# Details


def test_a_database_that_poolers_do_not_know_says_so() -> None:
    assert seen(system(), is_routed=False).detail == NOT_ROUTED
    assert seen(system("CREATING"), is_routed=False).detail == NOT_ROUTED
    assert seen(system("INACTIVE"), is_routed=False).detail == ""


@pytest.mark.parametrize("is_routed", [True, False])
def test_what_the_service_says_comes_first(is_routed: bool) -> None:
    found = seen(system(lifecycle_details="Storage is being moved."), is_routed=is_routed)
    assert found.detail == "Storage is being moved."


@pytest.mark.parametrize(
    ("name", "number"),
    [
        ("Uocm:PHX-AD-2", 2),
        ("kIdk:EU-FRANKFURT-1-AD-13", 13),
        ("Uocm:PHX-AD-2-x", None),
        ("", None),
        (None, None),
    ],
)
def test_the_number_of_an_availability_domain(name: str | None, number: int | None) -> None:
    assert domain_number(name) == number


@pytest.mark.parametrize(
    ("version", "major"),
    [("16.4", 16), ("16", 16), ("14.10.1", 14), ("", None), (None, None), ("next", None)],
)
def test_the_major_version(version: str | None, major: int | None) -> None:
    assert major_version(version) == major


# Settings


def policy(days: int | None, copies: list[str] | None) -> models.ManagementPolicy:
    copy = models.BackupCopyPolicy(regions=copies) if copies is not None else None
    backup = models.DailyBackupPolicy(retention_days=days, copy_policy=copy)
    return models.ManagementPolicy(backup_policy=backup)


def with_settings(days: int | None = 30, copies: list[str] | None = None) -> models.DbSystem:
    return system(
        storage_details=models.OciOptimizedStorageDetails(iops=75_000),
        network_details=models.NetworkDetails(is_reader_endpoint_enabled=True),
        management_policy=policy(days, copies),
    )


def test_settings_that_are_wanted() -> None:
    assert settings_wanted(WANTED) == {
        "backup.retention": "30d",
        "backup.copy_to": "us-phoenix-1",
        "oci.iops": "75000",
        READER: "yes",
    }
    bare = replace(WANTED, backup=Backup(7), replicas=Replicas(0, 0))
    assert settings_wanted(bare) == {
        "backup.retention": "7d",
        "backup.copy_to": "none",
        "oci.iops": "75000",
        READER: "no",
    }


def test_settings_that_are_as_wanted_are_seen_as_wanted() -> None:
    copies = ["us-phoenix-1", "eu-frankfurt-1"]
    wanted = replace(WANTED, backup=Backup(30, tuple(copies)))
    assert settings_seen(with_settings(30, copies[::-1])) == settings_wanted(wanted)
    assert seen(with_settings(30, copies)).settings == settings_wanted(wanted)
    none = replace(WANTED, backup=Backup(30))
    assert settings_seen(with_settings(30)) == settings_wanted(none)
    assert settings_seen(with_settings(30, [])) == settings_wanted(none)


def test_where_backups_are_copied_to_is_one_setting_of_both() -> None:
    wanted, found = settings_wanted(WANTED), settings_seen(with_settings(30, ["eu-frankfurt-1"]))
    assert (wanted[COPIES], found[COPIES]) == ("us-phoenix-1", "eu-frankfurt-1")
    assert {k for k in wanted if wanted[k] != found[k]} == {COPIES}


def test_settings_that_are_not_known_are_left_out() -> None:
    assert settings_seen(system()) == {}
    blank = system(
        storage_details=models.OciOptimizedStorageDetails(),
        network_details=models.NetworkDetails(),
        management_policy=models.ManagementPolicy(),
    )
    assert settings_seen(blank) == {}


def test_a_system_without_backups_is_told_from_an_unknown_one() -> None:
    none = models.ManagementPolicy(backup_policy=models.NoneBackupPolicy())
    found = settings_seen(system(management_policy=none))
    assert found == {"backup.retention": "0d", "backup.copy_to": "none"}


def test_a_reader_endpoint_that_is_off_is_seen() -> None:
    network = models.NetworkDetails(is_reader_endpoint_enabled=False)
    assert settings_seen(system(network_details=network)) == {READER: "no"}


def test_for_how_long_backups_are_kept() -> None:
    assert retention_days(with_settings(30)) == 30
    assert retention_days(system(management_policy=models.ManagementPolicy())) is None
    assert retention_days(system()) is None
