"""Backups and recovery in the local OCI, through the official SDK."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from oci_clients import PSQL, Tenant, refusal

DAY = 86_400

pytestmark = pytest.mark.local_oci


@pytest.fixture
def system(tenant: Tenant, base: tuple[str, str, str]) -> Any:
    policy = PSQL.ManagementPolicyDetails(
        backup_policy=PSQL.DailyBackupPolicy(
            backup_start="02:00",
            retention_days=3,
            copy_policy=PSQL.BackupCopyPolicy(
                compartment_id=base[0], regions=["us-phoenix-1"], retention_period=3
            ),
        ),
        pitr_policy=PSQL.StandardPitrPolicy(restore_days=7),
    )
    return tenant.system(tenant.details(*base[:2], management_policy=policy))


def by_hand(tenant: Tenant, system: Any) -> str:
    """The OCID comes with the work request only."""
    answer = tenant.psql.create_backup(
        PSQL.CreateBackupDetails(
            display_name="before", compartment_id=system.compartment_id, db_system_id=system.id
        )
    )
    assert answer.data is None
    return str(tenant.worked(answer).resources[0].identifier)


def window(tenant: Tenant, system: Any) -> tuple[datetime, datetime]:
    found = tenant.psql.get_pitr_details(system.id).data.recovery_time_windows[0]
    # The SDK cuts nothing off, and the service restores to whole seconds only.
    return found.time_recovery_window_start, found.time_recovery_window_end.replace(microsecond=0)


def from_backup(tenant: Tenant, base: tuple[str, ...], backup: str) -> Any:
    source = PSQL.BackupSourceDetails(backup_id=backup)
    return tenant.details(*base[:2], name="copy", source=source, credentials=None)


def test_a_backup_by_hand_is_a_new_system(
    tenant: Tenant, base: tuple[str, str, str], system: Any
) -> None:
    tenant.cloud.rows(system.id).append("before")
    backup = by_hand(tenant, system)
    tenant.cloud.rows(system.id).append("after")
    found = tenant.psql.get_backup(backup).data
    assert (found.lifecycle_state, found.source_type) == ("ACTIVE", "MANUAL")
    assert [each.id for each in tenant.psql.list_backups(id=system.id).data.items] == [backup]
    made = tenant.system(from_backup(tenant, base, backup))
    assert tenant.cloud.rows(made.id) == ["before"]
    assert made.source.backup_id == backup


def test_a_copy_is_a_new_system_in_the_other_region(tenant: Tenant, system: Any) -> None:
    tenant.cloud.rows(system.id).append("before")
    backup = by_hand(tenant, system)
    phoenix = Tenant(tenant.cloud, "us-phoenix-1")
    _, subnet, _ = phoenix.network_in(system.compartment_id, "10.9.0.0/16")
    assert refusal(phoenix.psql.get_backup, backup).status == 404

    def copy(region: str) -> Any:
        return PSQL.BackupCopyDetails(compartment_id=system.compartment_id, regions=[region])

    assert refusal(tenant.psql.backup_copy, backup, copy("us-ashburn-1")).status == 400
    assert refusal(tenant.psql.backup_copy, backup, copy("mars-1")).status == 400
    assert tenant.worked(tenant.psql.backup_copy(backup, copy("us-phoenix-1"))).status == (
        "SUCCEEDED"
    )
    there = phoenix.psql.list_backups(backup_source_type="COPIED").data.items
    assert len(there) == 1
    status = tenant.psql.get_backup(backup).data.copy_status[0]
    assert (status.state, status.backup_id) == ("COPIED", there[0].id)
    assert (
        phoenix.psql.get_backup(there[0].id).data.source_backup_details.source_backup_id == backup
    )
    details = from_backup(phoenix, (system.compartment_id, subnet), there[0].id)
    assert tenant.cloud.rows(phoenix.system(details).id) == ["before"]


def test_the_policy_takes_copies_and_drops_backups(tenant: Tenant, system: Any) -> None:
    tenant.cloud.advance(5 * DAY)
    phoenix = Tenant(tenant.cloud, "us-phoenix-1")
    for client in (tenant.psql, phoenix.psql):
        every = client.list_backups(id=system.id).data.items
        assert len(every) == 5
        active = [each for each in every if each.lifecycle_state == "ACTIVE"]
        assert len(active) == 3
    kept = tenant.psql.list_backups(id=system.id, backup_source_type="SCHEDULED").data.items
    assert {each.time_created.hour for each in kept} == {2}
    assert all(each.copy_status[0].state == "COPIED" for each in kept)
    since = kept[-1].time_created
    recent = tenant.psql.list_backups(id=system.id, time_started=since).data.items
    assert len(recent) == 1


def test_a_point_in_time_in_a_new_system_and_in_place(
    tenant: Tenant, base: tuple[str, str, str], system: Any
) -> None:
    cloud = tenant.cloud
    cloud.rows(system.id).append("early")
    cloud.advance(100)
    _, then = window(tenant, system)
    cloud.advance(100)
    cloud.rows(system.id).append("late")
    cloud.advance(100)
    source = PSQL.PointInTimeDbSystemSourceDetails(db_system_id=system.id, time_to_restore=then)
    made = tenant.system(tenant.details(*base[:2], source=source, credentials=None))
    assert cloud.rows(made.id) == ["early"]
    assert cloud.rows(system.id) == ["early", "late"]
    back = PSQL.RestoreDbSystemDetails(time_to_restore=then)
    tenant.worked(tenant.psql.restore_db_system(system.id, back))
    assert cloud.rows(system.id) == ["early"]


def test_times_that_cannot_be_restored(
    tenant: Tenant, base: tuple[str, str, str], system: Any
) -> None:
    tenant.cloud.advance(100)
    start, end = window(tenant, system)

    def restored(time: datetime) -> int:
        details = PSQL.RestoreDbSystemDetails(time_to_restore=time)
        return int(refusal(tenant.psql.restore_db_system, system.id, details).status)

    assert restored(start - timedelta(seconds=1)) == 400
    assert restored(end + timedelta(minutes=1)) == 400
    assert restored(start + timedelta(microseconds=1)) == 400
    neither = PSQL.RestoreDbSystemDetails()
    assert refusal(tenant.psql.restore_db_system, system.id, neither).status == 400
    plain = tenant.system(tenant.details(*base[:2], name="plain"))
    assert tenant.psql.get_pitr_details(plain.id).data.pitr_state == "INACTIVE"
    details = PSQL.RestoreDbSystemDetails(time_to_restore=start)
    assert refusal(tenant.psql.restore_db_system, plain.id, details).status == 409


def test_the_window_moves_with_its_days(tenant: Tenant, system: Any) -> None:
    tenant.cloud.advance(10 * DAY)
    start, end = window(tenant, system)
    assert timedelta(days=7) - timedelta(seconds=2) <= end - start <= timedelta(days=7)


def test_a_restore_from_a_backup_in_place(tenant: Tenant, system: Any) -> None:
    tenant.cloud.rows(system.id).append("before")
    backup = by_hand(tenant, system)
    tenant.cloud.rows(system.id).append("after")
    details = PSQL.RestoreDbSystemDetails(backup_id=backup)
    tenant.worked(tenant.psql.restore_db_system(system.id, details))
    assert tenant.cloud.rows(system.id) == ["before"]


def test_backups_change_and_go(tenant: Tenant, system: Any) -> None:
    backup = by_hand(tenant, system)
    etag = tenant.psql.get_backup(backup).headers["etag"]
    update = PSQL.UpdateBackupDetails(retention_period=90)
    assert tenant.psql.update_backup(backup, update, if_match=etag).data.retention_period == 90
    assert refusal(tenant.psql.delete_backup, backup, if_match=etag).status == 412
    tenant.worked(tenant.psql.delete_backup(backup))
    assert tenant.psql.get_backup(backup).data.lifecycle_state == "DELETED"
    tenant.cloud.fail_work("create_backup")
    failed = by_hand(tenant, system)
    assert tenant.psql.get_backup(failed).data.lifecycle_state == "FAILED"
