"""Request bodies: the SDK's names become those on the wire, subtypes by their discriminator."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from oci.base_client import BaseClient
from oci.psql import models
from oci.psql.models import psql_type_mapping

from pgherd.engines.oci.bodies import body

VALUES: dict[str, Any] = {
    "display_name": "auth",
    "instance_count": 3,
    "instance_memory_size_in_gbs": 32,
    "instances_details": [{"display_name": "auth-1", "private_ip": None}, {}],
    "storage_details": {
        "system_type": "OCI_OPTIMIZED_STORAGE",
        "is_regionally_durable": False,
        "kms_key_id": "ocid",
        "iops": 75_000,
    },
    "management_policy": {
        "backup_policy": {
            "kind": "DAILY",
            "backup_start": "02:00",
            "copy_policy": {"regions": ["us-phoenix-1"], "retention_period": 3},
        }
    },
    "freeform_tags": {"pgherd-fleet": "shop", "snake_case": "kept"},
    "config_id": None,
}
WIRE: dict[str, Any] = {
    "displayName": "auth",
    "instanceCount": 3,
    "instanceMemorySizeInGBs": 32,
    "instancesDetails": [{"displayName": "auth-1"}, {}],
    "storageDetails": {
        "systemType": "OCI_OPTIMIZED_STORAGE",
        "isRegionallyDurable": False,
        "kmsKeyId": "ocid",
        "iops": 75_000,
    },
    "managementPolicy": {
        "backupPolicy": {
            "kind": "DAILY",
            "backupStart": "02:00",
            "copyPolicy": {"regions": ["us-phoenix-1"], "retentionPeriod": 3},
        }
    },
    "freeformTags": {"pgherd-fleet": "shop", "snake_case": "kept"},
}


def test_a_body_has_the_names_of_the_wire() -> None:
    assert body("psql", "CreateDbSystemDetails", VALUES) == WIRE


def test_a_body_is_what_the_sdk_would_send() -> None:
    """The SDK makes the same of its own models."""
    copies = models.BackupCopyPolicy(regions=["us-phoenix-1"], retention_period=3)
    daily = models.DailyBackupPolicy(backup_start="02:00", copy_policy=copies)
    details = models.CreateDbSystemDetails(
        display_name="auth",
        instance_count=3,
        instance_memory_size_in_gbs=32,
        instances_details=[
            models.CreateDbInstanceDetails(display_name="auth-1"),
            models.CreateDbInstanceDetails(),
        ],
        storage_details=models.OciOptimizedStorageDetails(
            is_regionally_durable=False, kms_key_id="ocid", iops=75_000
        ),
        management_policy=models.ManagementPolicyDetails(backup_policy=daily),
        freeform_tags=VALUES["freeform_tags"],
    )
    # Making a client needs a key; what it makes of a body needs none.
    sdk = BaseClient.__new__(BaseClient)
    sdk.complex_type_mappings = psql_type_mapping
    assert sdk.sanitize_for_serialization(details) == WIRE


def test_the_values_are_not_changed() -> None:
    before = repr(VALUES)
    body("psql", "CreateDbSystemDetails", VALUES)
    assert repr(VALUES) == before


@pytest.mark.parametrize("nothing", [False, 0, "", [], {}])
def test_only_none_is_left_out(nothing: Any) -> None:
    assert body("psql", "UpdateDbSystemDetails", {"display_name": nothing}) == {
        "displayName": nothing
    }


def test_a_time_is_left_to_the_sdk() -> None:
    when = datetime(2026, 11, 22, tzinfo=UTC)
    found = body("vaults", "ScheduleVaultDeletionDetails", {"time_of_deletion": when})
    assert found == {"timeOfDeletion": when}


@pytest.mark.parametrize(
    ("model", "values"),
    [
        ("CreateDbSystemDetails", {"displayName": "auth"}),
        ("CreateDbSystemDetails", {"size": 1}),
        ("CreateDbSystemDetails", {"storage_details": {"system_type": "OTHER", "iops": 1}}),
        ("CreateDbSystemDetails", {"instances_details": [{"name": "auth-1"}]}),
        (
            "CreateDbSystemDetails",
            {"management_policy": {"pitr_policy": {"kind": "NONE", "restore_days": 3}}},
        ),
    ],
)
def test_a_name_that_a_model_does_not_have_is_an_error(
    model: str, values: Mapping[str, Any]
) -> None:
    with pytest.raises(KeyError):
        body("psql", model, values)


def test_without_its_discriminator_a_subtype_is_not_known() -> None:
    with pytest.raises(KeyError):
        body("psql", "CreateDbSystemDetails", {"storage_details": {"iops": 1}})


@pytest.mark.parametrize(
    ("item", "expected"),
    [
        (
            {"operation": "INSERT", "selection": "instances", "value": {"displayName": "auth-2"}},
            {"operation": "INSERT", "selection": "instances", "value": {"displayName": "auth-2"}},
        ),
        (
            {"operation": "REMOVE", "selection": "instances[?id == 'ocid']"},
            {"operation": "REMOVE", "selection": "instances[?id == 'ocid']"},
        ),
    ],
)
def test_subtypes_in_a_list(item: dict[str, Any], expected: dict[str, Any]) -> None:
    assert body("psql", "PatchDbSystemDetails", {"items": [item]}) == {"items": [expected]}


FIELDS = models.UpdateDbSystemDetails().attribute_map
PLAIN = ["display_name", "description", "shape", "instance_ocpu_count"]


@given(st.dictionaries(st.sampled_from(PLAIN), st.none() | st.text(max_size=5)))
def test_a_body_has_what_is_given_and_nothing_else(values: dict[str, str | None]) -> None:
    found = body("psql", "UpdateDbSystemDetails", values)
    assert found == {FIELDS[k]: v for k, v in values.items() if v is not None}
