"""Compartments, vaults, secrets, metrics and limits in the local OCI, through the official SDK."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from oci_clients import PSQL, Tenant, oci, refusal, settled

from pgherd.testing.oci.server import LocalOci

IDENTITY = oci.identity.models
KEYS = oci.key_management.models
SECRETS = oci.vault.models
DAY = 86_400

pytestmark = pytest.mark.local_oci


def ahead(days: float) -> datetime:
    return datetime.now(UTC) + timedelta(days=days)


def test_the_tenancy(cloud: LocalOci, tenant: Tenant) -> None:
    root = cloud.config["tenancy"]
    regions = tenant.identity.list_region_subscriptions(root).data
    assert [(each.region_name, each.is_home_region) for each in regions] == [
        ("us-ashburn-1", True),
        ("us-phoenix-1", False),
    ]
    assert len(tenant.identity.list_availability_domains(root).data) == 3
    assert tenant.identity.get_user(cloud.config["user"]).data.lifecycle_state == "ACTIVE"


def test_compartments_are_written_at_home_and_read_everywhere(
    cloud: LocalOci, tenant: Tenant
) -> None:
    root = cloud.config["tenancy"]
    details = IDENTITY.CreateCompartmentDetails(
        compartment_id=root, name="production", description="all of it"
    )
    phoenix = Tenant(cloud, "us-phoenix-1")
    assert refusal(phoenix.identity.create_compartment, details).status == 403
    made = tenant.identity.create_compartment(details).data
    assert made.lifecycle_state == "CREATING"
    inner = IDENTITY.CreateCompartmentDetails(
        compartment_id=made.id, name="inner", description="inner"
    )
    assert refusal(tenant.identity.create_compartment, inner).status == 404, "not active yet"
    settled(lambda: phoenix.identity.get_compartment(made.id))
    below = tenant.identity.create_compartment(inner).data
    assert refusal(tenant.identity.create_compartment, details).code == "CompartmentAlreadyExists"
    listed = phoenix.identity.list_compartments(root, name="production").data
    assert [each.id for each in listed] == [made.id]
    every = tenant.identity.list_compartments(root, compartment_id_in_subtree=True).data
    assert {each.id for each in every} == {made.id, below.id}


def test_an_empty_compartment_is_deleted_and_its_name_is_free(tenant: Tenant, inside: str) -> None:
    answer = tenant.identity.delete_compartment(inside)
    work = tenant.identity.get_work_request(answer.headers["opc-work-request-id"]).data
    assert work.status == "IN_PROGRESS"
    assert settled(lambda: tenant.identity.get_compartment(inside)).lifecycle_state == "DELETED"
    works = tenant.identity.list_work_requests(inside).data
    assert [each.status for each in works] == ["SUCCEEDED"]
    assert tenant.compartment() != inside


def test_a_vault_with_a_planned_end_still_fills_its_compartment(
    tenant: Tenant, inside: str
) -> None:
    vault, key = tenant.vault_in(inside)
    plan = KEYS.ScheduleVaultDeletionDetails
    too_soon = plan(time_of_deletion=ahead(6))
    assert refusal(tenant.vaults.schedule_vault_deletion, vault.id, too_soon).status == 400
    too_late = plan(time_of_deletion=ahead(31))
    assert refusal(tenant.vaults.schedule_vault_deletion, vault.id, too_late).status == 400
    tenant.vaults.schedule_vault_deletion(vault.id, plan(time_of_deletion=ahead(7)))
    for _ in range(2):
        state = tenant.vaults.get_vault(vault.id).data.lifecycle_state
    assert state == "PENDING_DELETION"
    assert refusal(tenant.identity.delete_compartment, inside).status == 409
    assert tenant.keys(vault).get_key(key).data.lifecycle_state == "PENDING_DELETION"
    tenant.vaults.cancel_vault_deletion(vault.id)
    assert settled(lambda: tenant.vaults.get_vault(vault.id)).lifecycle_state == "ACTIVE"
    assert tenant.keys(vault).get_key(key).data.lifecycle_state == "ENABLED"
    tenant.vaults.schedule_vault_deletion(vault.id, plan())
    tenant.vaults.get_vault(vault.id)
    tenant.vaults.get_vault(vault.id)
    tenant.cloud.advance(31 * DAY)
    assert tenant.vaults.get_vault(vault.id).data.lifecycle_state == "DELETED"
    tenant.identity.delete_compartment(inside)


def test_keys_live_behind_their_vault_s_endpoint(tenant: Tenant, inside: str) -> None:
    vault, key = tenant.vault_in(inside)
    other, _ = tenant.vault_in(inside)
    client = tenant.keys(vault)
    assert [each.id for each in client.list_keys(inside).data] == [key]
    assert refusal(tenant.keys(other).get_key, key).status == 404
    wrong = tenant.at(oci.key_management.KmsManagementClient, tenant.cloud.endpoint("core"))
    assert refusal(wrong.get_key, key).status == 404
    bits = KEYS.CreateKeyDetails(
        compartment_id=inside,
        display_name="bits",
        key_shape=KEYS.KeyShape(algorithm="AES", length=256),
    )
    assert refusal(client.create_key, bits).status == 400
    client.disable_key(key)
    assert [client.get_key(key).data.lifecycle_state for _ in range(2)][-1] == "DISABLED"
    content = SECRETS.Base64SecretContentDetails(content="eA==")
    secret = SECRETS.CreateSecretDetails(
        compartment_id=inside,
        secret_name="s",
        vault_id=vault.id,
        key_id=key,
        secret_content=content,
    )
    assert refusal(tenant.secrets.create_secret, secret).status == 409
    client.enable_key(key)
    assert settled(lambda: client.get_key(key)).lifecycle_state == "ENABLED"
    client.update_key(key, KEYS.UpdateKeyDetails(display_name="renamed"))
    client.schedule_key_deletion(key, KEYS.ScheduleKeyDeletionDetails())
    assert [client.get_key(key).data.lifecycle_state for _ in range(2)][-1] == "PENDING_DELETION"
    client.cancel_key_deletion(key)
    tenant.vaults.update_vault(vault.id, KEYS.UpdateVaultDetails(display_name="renamed"))
    assert len(tenant.vaults.list_vaults(inside).data) == 2
    private = KEYS.CreateVaultDetails(
        compartment_id=inside, display_name="x", vault_type="VIRTUAL_PRIVATE"
    )
    assert refusal(tenant.vaults.create_vault, private).code == "LimitExceeded"


def test_secrets_have_versions(tenant: Tenant, inside: str) -> None:
    vault, key = tenant.vault_in(inside)
    secret = tenant.secret_in(inside, vault, key)
    again = SECRETS.CreateSecretDetails(
        compartment_id=inside,
        secret_name="master",
        vault_id=vault.id,
        key_id=key,
        secret_content=SECRETS.Base64SecretContentDetails(content="eA=="),
    )
    assert refusal(tenant.secrets.create_secret, again).status == 409
    new = SECRETS.Base64SecretContentDetails(content=base64.b64encode(b"second").decode())
    tenant.secrets.update_secret(secret, SECRETS.UpdateSecretDetails(secret_content=new))
    assert refusal(
        tenant.secrets.update_secret, secret, SECRETS.UpdateSecretDetails(description="x")
    ).code == ("IncorrectState")
    settled(lambda: tenant.secrets.get_secret(secret))
    bundle = tenant.bundles.get_secret_bundle(secret).data
    assert base64.b64decode(bundle.secret_bundle_content.content) == b"second"
    assert bundle.version_number == 2
    old = tenant.bundles.get_secret_bundle(secret, stage="PREVIOUS").data
    assert old.version_number == 1
    assert refusal(tenant.bundles.get_secret_bundle, secret, version_number=3).status == 404
    named = tenant.bundles.get_secret_bundle_by_name("master", vault.id).data
    assert named.secret_id == secret
    versions = tenant.secrets.list_secret_versions(secret).data
    assert [(each.version_number, each.stages) for each in versions] == [
        (2, ["CURRENT", "LATEST"]),
        (1, ["PREVIOUS"]),
    ]
    assert [each.id for each in tenant.secrets.list_secrets(inside, name="master").data] == [secret]


def test_a_secret_with_a_planned_end_cannot_be_read(tenant: Tenant, inside: str) -> None:
    vault, key = tenant.vault_in(inside)
    secret = tenant.secret_in(inside, vault, key)
    plan = SECRETS.ScheduleSecretDeletionDetails
    soon = plan(time_of_deletion=ahead(0.5))
    assert refusal(tenant.secrets.schedule_secret_deletion, secret, soon).status == 400
    tenant.secrets.schedule_secret_deletion(secret, plan(time_of_deletion=ahead(1)))
    assert refusal(tenant.bundles.get_secret_bundle, secret).status == 404
    tenant.secrets.get_secret(secret)
    tenant.secrets.get_secret(secret)
    tenant.secrets.cancel_secret_deletion(secret)
    settled(lambda: tenant.secrets.get_secret(secret))
    assert tenant.bundles.get_secret_bundle(secret).data.version_number == 1


def question(query: str, namespace: str = "oci_postgresql", **more: Any) -> Any:
    models = oci.monitoring.models
    return models.SummarizeMetricsDataDetails(namespace=namespace, query=query, **more)


def test_one_question_for_all_systems_of_a_compartment(tenant: Tenant, inside: str) -> None:
    _, subnet, _ = tenant.network_in(inside)
    systems = [tenant.system(tenant.details(inside, subnet, name=n)) for n in ("auth", "order")]
    tenant.cloud.set_metric(systems[0].id, "CpuUtilization", 91.5)
    tenant.cloud.set_metric(systems[1].id, "CpuUtilization", 10.0)
    ask = tenant.monitoring.summarize_metrics_data
    primaries = 'CpuUtilization[1m]{dbInstanceRole = "PRIMARY"}.groupBy(resourceId).mean()'
    found = ask(inside, question(primaries)).data
    latest = {each.dimensions["resourceId"]: each.aggregated_datapoints[-1].value for each in found}
    assert latest == {systems[0].id: 91.5, systems[1].id: 10.0}
    nodes = ask(inside, question("CpuUtilization[5m].groupBy(resourceId).count()")).data
    assert {each.aggregated_datapoints[0].value for each in nodes} == {3.0}
    assert len(ask(inside, question("CpuUtilization[5m].max()")).data) == 6
    assert ask(inside, question("StorageUsed[5m].max()")).data == []
    assert ask(inside, question("CpuUtilization[5m].max()", "oci_mysql_database")).data == []
    assert refusal(ask, inside, question("CpuUtilization[5m].p95()")).status == 400
    backwards = question("CpuUtilization[5m].max()", start_time=ahead(1), end_time=ahead(0))
    assert refusal(ask, inside, backwards).status == 400
    hour = question("CpuUtilization[5m].max()", start_time=ahead(-1 / 24), end_time=ahead(0))
    assert 11 <= len(ask(inside, hour).data[0].aggregated_datapoints) <= 13
    metrics = tenant.monitoring.list_metrics(inside, oci.monitoring.models.ListMetricsDetails())
    assert {each.name for each in metrics.data} == {"CpuUtilization"}
    tenant.cloud.set_metric(systems[0].id, "CpuUtilization", None)
    assert len(ask(inside, question(primaries)).data) == 1


def test_limits_say_what_is_left(tenant: Tenant, inside: str) -> None:
    root = tenant.cloud.config["tenancy"]
    _, subnet, _ = tenant.network_in(inside)
    tenant.system(tenant.details(inside, subnet))
    tenant.cloud.set_limit("db-system-count", 8)
    names = {each.name for each in tenant.limits.list_services(root).data}
    assert "postgresql" in names
    values = tenant.limits.list_limit_values(root, "postgresql").data
    assert ("db-system-count", 8) in {(each.name, each.value) for each in values}
    definitions = tenant.limits.list_limit_definitions(root, service_name="vcn").data
    assert [each.name for each in definitions] == ["vcn-count"]
    left = tenant.limits.get_resource_availability("postgresql", "db-system-count", root).data
    assert (left.used, left.available) == (1, 7)
    unknown = refusal(tenant.limits.get_resource_availability, "postgresql", "x", root)
    assert unknown.status == 404
    with pytest.raises(ValueError, match="no such limit"):
        tenant.cloud.set_limit("x", 1)


def test_what_others_have_made_is_there(tenant: Tenant, inside: str) -> None:
    plant = tenant.cloud.plant
    for kind in (
        "vcn",
        "subnet",
        "network_security_group",
        "security_list",
        "route_table",
        "nat_gateway",
        "service_gateway",
        "instance",
        "vault",
        "key",
        "secret",
        "backup",
        "configuration",
    ):
        plant(kind, "us-ashburn-1", {"compartmentId": inside})
    system = plant("db_system", "us-ashburn-1", {"compartmentId": inside, "displayName": "theirs"})
    found = tenant.psql.get_db_system(system).data
    assert (found.display_name, found.lifecycle_state) == ("theirs", "ACTIVE")
    for listed in (
        tenant.network.list_vcns(inside),
        tenant.network.list_subnets(inside),
        tenant.network.list_network_security_groups(compartment_id=inside),
        tenant.network.list_security_lists(inside),
        tenant.network.list_route_tables(inside),
        tenant.network.list_nat_gateways(inside),
        tenant.network.list_service_gateways(inside),
        tenant.compute.list_instances(inside),
        tenant.vaults.list_vaults(inside),
        tenant.secrets.list_secrets(inside),
        tenant.psql.list_backups(compartment_id=inside),
        tenant.psql.list_configurations(compartment_id=inside),
    ):
        items = listed.data if isinstance(listed.data, list) else listed.data.items
        assert len(items) == 1
    assert len(tenant.cloud.systems()) == 1
    nobody = PSQL.RestoreDbSystemDetails(backup_id=tenant.cloud.resources("backup")[0]["id"])
    assert refusal(tenant.psql.restore_db_system, system, nobody).status == 400


def test_defined_tags_need_their_namespace(tenant: Tenant, inside: str) -> None:
    tags = {"Operations": {"CostCenter": "42"}}
    change = IDENTITY.UpdateCompartmentDetails(defined_tags=tags)
    assert refusal(tenant.identity.update_compartment, inside, change).status == 400
    tenant.cloud.plant_tag_namespace("Operations")
    assert tenant.identity.update_compartment(inside, change).data.defined_tags == tags


@pytest.mark.parametrize(
    "changes",
    [
        {"secret_name": "with space"},
        {"secret_content": None},
        {"secret_content": SECRETS.Base64SecretContentDetails(content="not base64!")},
        {"secret_content": SECRETS.Base64SecretContentDetails(content="")},
    ],
)
def test_a_secret_that_cannot_be(tenant: Tenant, inside: str, changes: dict[str, Any]) -> None:
    vault, key = tenant.vault_in(inside)
    given = {
        "compartment_id": inside,
        "secret_name": "master",
        "vault_id": vault.id,
        "key_id": key,
        "secret_content": SECRETS.Base64SecretContentDetails(content="eA=="),
    }
    wrong = SECRETS.CreateSecretDetails(**{**given, **changes})
    assert refusal(tenant.secrets.create_secret, wrong).status == 400
    assert tenant.cloud.resources("secret") == []


def test_an_older_version_becomes_the_current_one(tenant: Tenant, inside: str) -> None:
    vault, key = tenant.vault_in(inside)
    secret = tenant.secret_in(inside, vault, key)
    update = tenant.secrets.update_secret
    new = SECRETS.Base64SecretContentDetails(content=base64.b64encode(b"second").decode())
    update(secret, SECRETS.UpdateSecretDetails(secret_content=new))
    settled(lambda: tenant.secrets.get_secret(secret))
    assert refusal(update, secret, SECRETS.UpdateSecretDetails(secret_content=new)).status == 409
    missing = SECRETS.UpdateSecretDetails(current_version_number=3)
    assert refusal(update, secret, missing).status == 404
    both = SECRETS.UpdateSecretDetails(current_version_number=1, secret_content=new)
    assert refusal(update, secret, both).status == 400
    update(secret, SECRETS.UpdateSecretDetails(current_version_number=1))
    settled(lambda: tenant.secrets.get_secret(secret))
    assert tenant.bundles.get_secret_bundle(secret).data.version_number == 1
