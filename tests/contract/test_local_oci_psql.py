"""DB systems in the local OCI, through the official SDK."""

from __future__ import annotations

from typing import Any

import pytest
from cryptography import x509
from oci_clients import PSQL, Tenant, refusal

from pgherd.testing.oci.shapes import Shape

pytestmark = pytest.mark.local_oci


@pytest.fixture
def system(tenant: Tenant, base: tuple[str, str, str]) -> Any:
    return tenant.system(tenant.details(base[0], base[1]))


def insert(count: int = 1) -> Any:
    item = PSQL.PatchInsertInstruction(selection="instances", value={"displayName": "more"})
    return PSQL.PatchDbSystemDetails(items=[item] * count)


def remove(*ids: str) -> Any:
    return PSQL.PatchDbSystemDetails(
        items=[PSQL.PatchRemoveInstruction(selection=f"instances[?id == '{id}']") for id in ids]
    )


def update(**changes: Any) -> Any:
    return PSQL.UpdateDbSystemDetails(**changes)


def daily(**more: Any) -> Any:
    return PSQL.DailyBackupPolicy(backup_start="02:00", retention_days=7, **more)


def test_a_system_is_read_back_in_the_service_s_own_words(
    tenant: Tenant, base: tuple[str, str, str]
) -> None:
    made = tenant.psql.create_db_system(
        tenant.details(
            *base[:2], management_policy=PSQL.ManagementPolicyDetails(backup_policy=daily())
        )
    )
    assert made.data.lifecycle_state == "CREATING"
    assert tenant.psql.get_db_system(made.data.id).data.lifecycle_state == "CREATING"
    system = tenant.psql.get_db_system(made.data.id).data
    assert system.lifecycle_state == "ACTIVE"
    assert system.shape == "VM.Standard.E5.Flex"
    assert system.db_version == "16.4"
    assert system.management_policy.backup_policy.backup_start == "02:00 UTC"
    assert system.instance_memory_size_in_gbs == 32
    assert len({node.availability_domain for node in system.instances}) == 3
    work = tenant.psql.list_work_requests(resource_id=system.id).data.items[0]
    assert (work.operation_type, work.status) == ("CREATE_POSTGRESQL_DB_SYSTEM", "SUCCEEDED")
    assert tenant.psql.list_work_request_errors(work.id).data.items == []
    assert tenant.psql.list_work_request_logs(work.id).data.items
    listed = tenant.psql.list_db_systems(compartment_id=base[0], display_name="order").data
    assert [each.id for each in listed.items] == [system.id]
    assert tenant.psql.list_db_systems(lifecycle_state="DELETED").data.items == []


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"shape": "VM.Standard.E5.Flex"}, "must begin with"),
        ({"shape": "PostgreSQL.VM.Standard.E9.Flex"}, "not offered"),
        ({"instance_ocpu_count": 65}, "not 1..64"),
        ({"instance_memory_size_in_gbs": 1}, "not 2..128"),
        ({"instance_count": 9}, "not 1..8"),
        ({"db_version": "9.6"}, "dbVersion"),
        ({"instances_details": [PSQL.CreateDbInstanceDetails()]}, "instanceCount is 3"),
        (
            {"storage_details": PSQL.OciOptimizedStorageDetails(is_regionally_durable=False)},
            "availabilityDomain is needed",
        ),
        (
            {
                "storage_details": PSQL.OciOptimizedStorageDetails(
                    is_regionally_durable=True, availability_domain="kWVD:US-ASHBURN-1-AD-1"
                )
            },
            "must be left out",
        ),
        (
            {
                "storage_details": PSQL.OciOptimizedStorageDetails(
                    is_regionally_durable=True, iops=1
                )
            },
            "iops",
        ),
        ({"credentials": None}, "credentials"),
        (
            {"source": PSQL.PrimaryDbSystemSourceDetails(primary_db_system_id="ocid1.x.oc1..a")},
            "standby",
        ),
        (
            {"management_policy": PSQL.ManagementPolicyDetails(maintenance_window_start="noon")},
            "maintenanceWindowStart",
        ),
        (
            {
                "management_policy": PSQL.ManagementPolicyDetails(
                    backup_policy=PSQL.DailyBackupPolicy(backup_start="02:00", retention_days=36)
                )
            },
            "not 1..35",
        ),
        (
            {
                "management_policy": PSQL.ManagementPolicyDetails(
                    backup_policy=PSQL.DailyBackupPolicy(backup_start="2am", retention_days=3)
                )
            },
            "backupStart",
        ),
        (
            {
                "management_policy": PSQL.ManagementPolicyDetails(
                    pitr_policy=PSQL.StandardPitrPolicy(restore_days=0)
                )
            },
            "restoreDays",
        ),
    ],
)
def test_a_system_that_the_service_cannot_make(
    tenant: Tenant, base: tuple[str, str, str], changes: dict[str, Any], says: str
) -> None:
    error = refusal(tenant.psql.create_db_system, tenant.details(*base[:2], **changes))
    assert error.status == 400
    assert says in error.message
    assert tenant.cloud.resources("db_system") == []


def test_a_password_comes_from_a_secret_that_can_be_read(
    tenant: Tenant, base: tuple[str, str, str]
) -> None:
    vault, key = tenant.vault_in(base[0])
    secret = tenant.secret_in(base[0], vault, key)

    def details(id: str, version: str) -> Any:
        password = PSQL.VaultSecretPasswordDetails(secret_id=id, secret_version=version)
        return tenant.details(
            *base[:2], credentials=PSQL.Credentials(username="a", password_details=password)
        )

    assert refusal(tenant.psql.create_db_system, details(secret, "2")).status == 404
    assert refusal(tenant.psql.create_db_system, details(key, "1")).status == 404
    made = tenant.system(details(secret, "1"))
    reset = PSQL.ResetMasterUserPasswordDetails(
        password_details=PSQL.PlainTextPasswordDetails(password="weak")
    )
    assert refusal(tenant.psql.reset_master_user_password, made.id, reset).status == 400


def test_one_kind_of_change_at_a_time_and_only_while_active(
    tenant: Tenant, base: tuple[str, str, str], system: Any
) -> None:
    change = tenant.psql.update_db_system
    both = update(instance_ocpu_count=4, instance_memory_size_in_gbs=64, display_name="other")
    assert refusal(change, system.id, both).status == 409
    group = update(network_details=PSQL.UpdateNetworkDetails(nsg_ids=[base[2]]))
    begun = change(system.id, group)
    busy = refusal(change, system.id, update(display_name="other"))
    assert (busy.status, busy.code) == (409, "IncorrectState")
    assert refusal(tenant.psql.delete_db_system, system.id).code == "IncorrectState"
    assert tenant.worked(begun).status == "SUCCEEDED"
    assert tenant.psql.get_db_system(system.id).data.network_details.nsg_ids == [base[2]]


def test_each_kind_of_change(tenant: Tenant, base: tuple[str, str, str], system: Any) -> None:
    _, key = tenant.vault_in(base[0])
    policy = PSQL.ManagementPolicyDetails(backup_policy=daily())
    for change in (
        update(freeform_tags={"pgherd-managed": "true"}, display_name="renamed"),
        update(instance_ocpu_count=4, instance_memory_size_in_gbs=64),
        update(storage_details=PSQL.UpdateStorageDetailsParams(iops=150_000, kms_key_id=key)),
        update(management_policy=policy),
        update(network_details=PSQL.UpdateNetworkDetails(is_reader_endpoint_enabled=True)),
    ):
        tenant.worked(tenant.psql.update_db_system(system.id, change))
    now = tenant.psql.get_db_system(system.id).data
    assert (now.display_name, now.freeform_tags) == ("renamed", {"pgherd-managed": "true"})
    assert (now.instance_ocpu_count, now.instance_memory_size_in_gbs) == (4, 64)
    assert (now.storage_details.iops, now.storage_details.kms_key_id) == (150_000, key)
    assert now.management_policy.backup_policy.kind == "DAILY"
    assert now.management_policy.maintenance_window_start == "SUN 04:00"
    assert tenant.psql.get_connection_details(system.id).data.reader_endpoint.port == 5432
    series = update(shape="PostgreSQL.VM.Standard.E6.Flex")
    assert refusal(tenant.psql.update_db_system, system.id, series).status == 400


def test_nodes_come_and_go_but_the_primary_stays(tenant: Tenant, system: Any) -> None:
    client = tenant.psql
    etag = client.get_db_system(system.id).headers["etag"]
    tenant.worked(client.patch_db_system(system.id, insert(2), if_match=etag))
    assert refusal(client.patch_db_system, system.id, insert(), if_match=etag).status == 412
    grown = client.get_db_system(system.id).data
    assert grown.instance_count == 5
    assert refusal(client.patch_db_system, system.id, insert(4)).status == 400
    primary = client.get_primary_db_instance(system.id).data.db_instance_id
    assert refusal(client.patch_db_system, system.id, remove(primary)).status == 409
    everyone = [node.id for node in grown.instances]
    assert refusal(client.patch_db_system, system.id, remove(*everyone)).status == 409
    assert refusal(client.patch_db_system, system.id, remove(system.id)).status == 404
    wrong = PSQL.PatchDbSystemDetails(items=[PSQL.PatchRemoveInstruction(selection="instances")])
    assert refusal(client.patch_db_system, system.id, wrong).status == 400
    others = [id for id in everyone if id != primary]
    tenant.worked(client.patch_db_system(system.id, remove(*others)))
    left = client.get_db_system(system.id).data
    assert [node.id for node in left.instances] == [primary]
    assert (
        refusal(client.failover_db_system, system.id, PSQL.FailoverDbSystemDetails()).status == 409
    )


def test_a_failover_is_asked_for_or_happens(tenant: Tenant, system: Any) -> None:
    client = tenant.psql
    before = client.get_primary_db_instance(system.id).data.db_instance_id
    target = next(node.id for node in system.instances if node.id != before)
    tenant.worked(
        client.failover_db_system(system.id, PSQL.FailoverDbSystemDetails(db_instance_id=target))
    )
    assert client.get_primary_db_instance(system.id).data.db_instance_id == target
    new = tenant.cloud.fail_over(system.id)
    assert client.get_primary_db_instance(system.id).data.db_instance_id == new != target


def test_where_a_failover_goes(tenant: Tenant, system: Any) -> None:
    client = tenant.psql
    primary = client.get_primary_db_instance(system.id).data.db_instance_id
    domain = system.instances[2].availability_domain

    def details(**words: str) -> Any:
        return PSQL.FailoverDbSystemDetails(**words)

    def refused(**words: str) -> int:
        return int(refusal(client.failover_db_system, system.id, details(**words)).status)

    assert refused(db_instance_id=primary) == 409
    assert refused(db_instance_id=system.id) == 404
    assert refused(ad="nowhere") == 404
    assert refused(ad=domain, db_instance_id=system.instances[2].id) == 400
    tenant.worked(client.failover_db_system(system.id, details(ad=domain)))
    after = client.get_primary_db_instance(system.id).data.db_instance_id
    assert after == system.instances[2].id


def test_a_domain_of_its_own(tenant: Tenant, base: tuple[str, str, str]) -> None:
    domain = tenant.identity.list_availability_domains(base[0]).data[1].name

    def storage(name: str) -> Any:
        return PSQL.OciOptimizedStorageDetails(
            is_regionally_durable=False, availability_domain=name
        )

    wrong = tenant.details(*base[:2], storage_details=storage("AD-1"))
    assert refusal(tenant.psql.create_db_system, wrong).status == 400
    made = tenant.system(tenant.details(*base[:2], storage_details=storage(domain)))
    assert {node.availability_domain for node in made.instances} == {domain}


def test_groups_of_another_network(tenant: Tenant, base: tuple[str, str, str]) -> None:
    _, _, other = tenant.network_in(base[0], "10.5.0.0/16")

    def network(*groups: str) -> Any:
        return PSQL.NetworkDetails(subnet_id=base[1], nsg_ids=list(groups))

    for groups in ([other], [base[2]] * 6):
        wrong = tenant.details(*base[:2], network_details=network(*groups))
        assert refusal(tenant.psql.create_db_system, wrong).status == 400


def test_endpoints_and_the_authority(tenant: Tenant, base: tuple[str, str, str]) -> None:
    made = tenant.psql.create_db_system(
        tenant.details(
            *base[:2],
            network_details=PSQL.NetworkDetails(
                subnet_id=base[1], primary_db_endpoint_private_ip="10.0.1.77"
            ),
        )
    )
    early = refusal(tenant.psql.get_connection_details, made.data.id)
    assert (early.status, early.code) == (409, "IncorrectState")
    tenant.worked(made)
    details = tenant.psql.get_connection_details(made.data.id).data
    certificate = x509.load_pem_x509_certificate(details.ca_certificate.encode())
    assert certificate.issuer == certificate.subject
    assert details.primary_db_endpoint.ip_address == "10.0.1.77"
    assert len(details.instance_endpoints) == 3
    assert details.reader_endpoint is None
    taken = tenant.details(
        *base[:2],
        network_details=PSQL.NetworkDetails(
            subnet_id=base[1], primary_db_endpoint_private_ip="10.0.1.77"
        ),
    )
    assert refusal(tenant.psql.create_db_system, taken).status == 409


def test_stop_and_start_keep_what_was_written(tenant: Tenant, system: Any) -> None:
    rows = tenant.cloud.rows(system.id)
    rows.append("paid")
    tenant.worked(tenant.psql.stop_db_system(system.id))
    assert tenant.psql.get_db_system(system.id).data.lifecycle_state == "INACTIVE"
    assert refusal(tenant.psql.stop_db_system, system.id).status == 409
    assert refusal(tenant.psql.update_db_system, system.id, update(display_name="x")).status == 409
    larger = PSQL.StartDbSystemDetails(instance_ocpu_count=4)
    tenant.worked(tenant.psql.start_db_system(system.id, larger))
    assert tenant.psql.get_db_system(system.id).data.instance_memory_size_in_gbs == 64
    assert refusal(tenant.psql.start_db_system, system.id, larger).status == 409
    unknown = PSQL.RestartDbInstanceInDbSystemDetails(
        db_instance_id=system.id, restart_type="NORMAL"
    )
    restarted = tenant.psql.restart_db_instance_in_db_system
    assert refusal(restarted, system.id, unknown).status == 404
    older = PSQL.UpgradeDbSystemDetails(db_version="15")
    assert refusal(tenant.psql.upgrade_db_system, system.id, older).status == 400
    restart = PSQL.RestartDbInstanceInDbSystemDetails(
        db_instance_id=system.instances[0].id, restart_type="NORMAL"
    )
    tenant.worked(tenant.psql.restart_db_instance_in_db_system(system.id, restart))
    upgrade = PSQL.UpgradeDbSystemDetails(db_version="17")
    tenant.worked(tenant.psql.upgrade_db_system(system.id, upgrade))
    now = tenant.psql.get_db_system(system.id).data
    assert (now.lifecycle_state, now.db_version) == ("ACTIVE", "17.2")
    assert rows == ["paid"]


def test_a_deleted_system_is_still_listed(tenant: Tenant, system: Any) -> None:
    tenant.cloud.rows(system.id).append("paid")
    tenant.worked(tenant.psql.delete_db_system(system.id))
    assert tenant.psql.get_db_system(system.id).data.lifecycle_state == "DELETED"
    assert len(tenant.psql.list_db_systems(id=system.id).data.items) == 1
    assert tenant.cloud.systems() == []
    assert tenant.cloud.rows(system.id) == []
    assert refusal(tenant.psql.delete_db_system, system.id).status == 404


def test_failed_work_leaves_a_failed_system(tenant: Tenant, base: tuple[str, str, str]) -> None:
    tenant.cloud.fail_work("CREATE_POSTGRESQL_DB_SYSTEM")
    made = tenant.psql.create_db_system(tenant.details(*base[:2]))
    work = tenant.worked(made)
    assert work.status == "FAILED"
    assert tenant.psql.list_work_request_errors(work.id).data.items[0].message
    assert tenant.psql.get_db_system(made.data.id).data.lifecycle_state == "FAILED"
    tenant.worked(tenant.psql.delete_db_system(made.data.id))
    good = tenant.system(tenant.details(*base[:2]))
    tenant.cloud.fail_work("update_db_system")
    begun = tenant.psql.update_db_system(good.id, update(display_name="x"))
    assert tenant.worked(begun).status == "FAILED"


def test_limits_and_shapes_are_what_a_test_says(tenant: Tenant, base: tuple[str, str, str]) -> None:
    cloud = tenant.cloud
    cloud.set_limit("db-system-count", 1)
    cloud.set_shapes([Shape("VM.Standard.E5.Flex", 4, 64)])
    shapes = tenant.psql.list_shapes(compartment_id=base[0]).data.items
    assert [(each.shape, each.shape_ocpu_options.max) for each in shapes] == [
        ("VM.Standard.E5.Flex", 4)
    ]
    too_big = tenant.details(*base[:2], instance_ocpu_count=8)
    assert refusal(tenant.psql.create_db_system, too_big).status == 400
    tenant.system(tenant.details(*base[:2]))
    error = refusal(tenant.psql.create_db_system, tenant.details(*base[:2], name="auth"))
    assert (error.status, error.code) == (400, "LimitExceeded")


def test_creates_at_once_are_counted(tenant: Tenant, base: tuple[str, str, str]) -> None:
    for name in ("auth", "user", "order"):
        tenant.psql.create_db_system(tenant.details(*base[:2], name=name))
    assert tenant.cloud.peak("create_db_system") == 3


def test_configurations(tenant: Tenant, base: tuple[str, str, str]) -> None:
    overrides = PSQL.DbConfigurationOverrideCollection(
        items=[
            PSQL.ConfigOverrides(
                config_key="oci.admin_enabled_extensions", overriden_config_value="pg_trgm"
            )
        ]
    )

    def details(shape: str) -> Any:
        return PSQL.CreateConfigurationDetails(
            display_name="order",
            compartment_id=base[0],
            db_version="16",
            shape=shape,
            is_flexible=True,
            db_configuration_overrides=overrides,
        )

    client = tenant.psql
    prefixed = details("PostgreSQL.VM.Standard.E5.Flex")
    assert refusal(client.create_configuration, prefixed).status == 400
    made = client.create_configuration(details("VM.Standard.E5.Flex")).data
    for _ in range(2):
        now = client.get_configuration(made.id).data
    assert now.lifecycle_state == "ACTIVE"
    assert len(client.list_configurations(compartment_id=base[0]).data.items) == 1
    client.update_configuration(made.id, PSQL.UpdateConfigurationDetails(display_name="new"))
    for wrong in ({"db_version": "15"}, {"shape": "PostgreSQL.VM.Standard.E4.Flex"}):
        details_ = tenant.details(*base[:2], config_id=made.id, **wrong)
        assert refusal(client.create_db_system, details_).status == 400
    system = tenant.system(tenant.details(*base[:2]))
    chosen = PSQL.UpdateDbConfigParams(config_id=made.id, apply_config="RESTART")
    tenant.worked(client.update_db_system(system.id, update(db_configuration_params=chosen)))
    assert client.get_db_system(system.id).data.config_id == made.id
    assert refusal(client.delete_configuration, made.id).status == 409
    tenant.worked(client.delete_db_system(system.id))
    client.delete_configuration(made.id)
    defaults = client.list_default_configurations(db_version="16.4").data.items
    assert len(defaults) == 4
    assert (
        client.list_db_system_replicas(tenant.system(tenant.details(*base[:2])).id).data.items == []
    )


def test_a_careless_client_has_everything_twice(
    tenant: Tenant, base: tuple[str, str, str], system: Any
) -> None:
    """What the local OCI is for: without token and etag a lost answer is a second resource."""
    cloud, client = tenant.cloud, tenant.psql
    cloud.fail("patch_db_system", "lost-500")
    assert refusal(client.patch_db_system, system.id, insert()).status == 500
    for _ in range(2):
        client.get_db_system(system.id)
    tenant.worked(client.patch_db_system(system.id, insert()))
    assert client.get_db_system(system.id).data.instance_count == 5
    cloud.fail("create_db_system", "lost-500")
    details = tenant.details(*base[:2], name="twice")
    assert refusal(client.create_db_system, details).status == 500
    client.create_db_system(details)
    assert [each["displayName"] for each in cloud.systems()].count("twice") == 2


def test_a_careful_client_has_everything_once(
    tenant: Tenant, base: tuple[str, str, str], system: Any
) -> None:
    cloud, client = tenant.cloud, tenant.psql
    etag = client.get_db_system(system.id).headers["etag"]
    cloud.fail("patch_db_system", "lost-500")
    assert refusal(client.patch_db_system, system.id, insert(), if_match=etag).status == 500
    assert refusal(client.patch_db_system, system.id, insert(), if_match=etag).status == 412
    cloud.fail("create_db_system", "lost-500")
    details = tenant.details(*base[:2], name="once")
    words = {"opc_retry_token": "once"}
    assert refusal(client.create_db_system, details, **words).status == 500
    work = client.create_db_system(details, **words).headers["opc-work-request-id"]
    assert client.get_work_request(work).data.status == "IN_PROGRESS"
    assert [each["displayName"] for each in cloud.systems()].count("once") == 1
