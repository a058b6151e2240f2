"""Networks and instances in the local OCI, through the official SDK."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

import pytest
from oci_clients import CORE, ServiceError, Tenant, refusal, settled

pytestmark = pytest.mark.local_oci


@pytest.fixture
def net(tenant: Tenant, inside: str) -> tuple[str, str, str]:
    return tenant.network_in(inside)


def gone(read: Callable[[], Any]) -> bool:
    """Whether it goes away within three looks."""
    for _ in range(3):
        try:
            read()
        except ServiceError as error:
            return int(error.status) == 404
    return False


def rule(number: int = 5432, **more: Any) -> Any:
    ports = CORE.PortRange(min=number, max=number)
    given = {"source": "10.0.2.0/24", "source_type": "CIDR_BLOCK", "direction": "INGRESS"}
    return CORE.AddSecurityRuleDetails(
        protocol="6", tcp_options=CORE.TcpOptions(destination_port_range=ports), **{**given, **more}
    )


def rules(*each: Any) -> Any:
    return CORE.AddNetworkSecurityGroupSecurityRulesDetails(security_rules=list(each))


def test_a_vcn_comes_with_its_defaults_and_goes_with_them(tenant: Tenant, inside: str) -> None:
    made = tenant.network.create_vcn(
        CORE.CreateVcnDetails(
            compartment_id=inside, cidr_blocks=["10.0.0.0/16"], dns_label="production"
        )
    ).data
    assert made.lifecycle_state == "PROVISIONING"
    subnet = CORE.CreateSubnetDetails(
        compartment_id=inside, vcn_id=made.id, cidr_block="10.0.1.0/24"
    )
    assert refusal(tenant.network.create_subnet, subnet).code == "IncorrectState"
    vcn = settled(lambda: tenant.network.get_vcn(made.id))
    assert vcn.vcn_domain_name == "production.oraclevcn.com"
    tables = tenant.network.list_route_tables(inside, vcn_id=vcn.id).data
    assert [each.id for each in tables] == [vcn.default_route_table_id]
    lists = tenant.network.list_security_lists(inside, vcn_id=vcn.id).data
    assert [each.id for each in lists] == [vcn.default_security_list_id]
    assert refusal(tenant.network.delete_route_table, tables[0].id).status == 409
    tenant.network.delete_vcn(vcn.id)
    assert gone(lambda: tenant.network.get_vcn(vcn.id))
    assert tenant.network.list_route_tables(inside).data == []


def test_labels_are_names_in_their_vcn(tenant: Tenant, inside: str) -> None:
    made = tenant.network.create_vcn(
        CORE.CreateVcnDetails(compartment_id=inside, cidr_blocks=["10.0.0.0/16"], dns_label="prod")
    ).data
    settled(lambda: tenant.network.get_vcn(made.id))

    def subnet(number: int) -> Any:
        return CORE.CreateSubnetDetails(
            compartment_id=inside,
            vcn_id=made.id,
            cidr_block=f"10.0.{number}.0/24",
            dns_label="databases",
        )

    first = tenant.network.create_subnet(subnet(1)).data
    assert first.subnet_domain_name == "databases.prod.oraclevcn.com"
    assert refusal(tenant.network.create_subnet, subnet(2)).status == 409


@pytest.mark.parametrize(
    "changes",
    [
        {"cidr_block": "10.0.1.128/25"},
        {"cidr_block": "10.1.1.0/24"},
        {"cidr_block": "10.0.2.1/24"},
        {"cidr_block": None},
        {"availability_domain": "AD-1"},
        {"dns_label": "with-dash"},
    ],
)
def test_a_subnet_that_does_not_fit(
    tenant: Tenant, inside: str, net: tuple[str, str, str], changes: dict[str, Any]
) -> None:
    given = {"compartment_id": inside, "vcn_id": net[0], "cidr_block": "10.0.2.0/24"}
    wrong = CORE.CreateSubnetDetails(**{**given, **changes})
    assert refusal(tenant.network.create_subnet, wrong).status == 400


def test_nothing_that_is_used_can_be_deleted(
    tenant: Tenant, inside: str, net: tuple[str, str, str]
) -> None:
    vcn, subnet, group = net
    system = tenant.system(
        tenant.details(inside, subnet, network_details={"subnetId": subnet, "nsgIds": [group]})
    )
    assert refusal(tenant.network.delete_vcn, vcn).status == 409
    assert refusal(tenant.network.delete_subnet, subnet).status == 409
    assert refusal(tenant.network.delete_network_security_group, group).status == 409
    assert refusal(tenant.identity.delete_compartment, inside).status == 409
    tenant.worked(tenant.psql.delete_db_system(system.id))
    tenant.network.delete_subnet(subnet)
    tenant.network.delete_network_security_group(group)
    assert gone(lambda: tenant.network.get_subnet(subnet))
    assert gone(lambda: tenant.network.get_network_security_group(group))
    tenant.network.delete_vcn(vcn)
    assert gone(lambda: tenant.network.get_vcn(vcn))
    tenant.identity.delete_compartment(inside)


def test_rules_of_a_group(tenant: Tenant, net: tuple[str, str, str]) -> None:
    client, group = tenant.network, net[2]
    add = client.add_network_security_group_security_rules
    listed = client.list_network_security_group_security_rules
    added = add(group, rules(rule(), rule(6432))).data.security_rules
    assert [each.is_valid for each in added] == [True, True]
    add(group, rules(rule()))
    assert len(listed(group).data) == 3, "adding twice makes two"
    assert refusal(add, group, rules(*[rule()] * 26)).status == 400
    assert refusal(add, group, rules(rule(source="10.0.0.1/8"))).status == 400
    other = rule(source=group, source_type="NETWORK_SECURITY_GROUP")
    add(group, rules(other))
    unknown = rule(source=net[1], source_type="NETWORK_SECURITY_GROUP")
    assert refusal(add, group, rules(unknown)).status == 404
    change = CORE.UpdateSecurityRuleDetails(
        id=added[0].id, direction="INGRESS", protocol="all", source="10.0.3.0/24"
    )
    client.update_network_security_group_security_rules(
        group, CORE.UpdateNetworkSecurityGroupSecurityRulesDetails(security_rules=[change])
    )
    assert "10.0.3.0/24" in {each.source for each in listed(group, direction="INGRESS").data}
    remove = CORE.RemoveNetworkSecurityGroupSecurityRulesDetails(security_rule_ids=[added[0].id])
    client.remove_network_security_group_security_rules(group, remove)
    assert len(listed(group).data) == 3
    again = refusal(client.remove_network_security_group_security_rules, group, remove)
    assert again.status == 404
    assert listed(group, direction="EGRESS").data == []


def test_gateways_and_routes(tenant: Tenant, inside: str, net: tuple[str, str, str]) -> None:
    client = tenant.network
    services = client.list_services().data
    nat = client.create_nat_gateway(
        CORE.CreateNatGatewayDetails(compartment_id=inside, vcn_id=net[0])
    ).data
    second = CORE.CreateNatGatewayDetails(compartment_id=inside, vcn_id=net[0])
    assert refusal(client.create_nat_gateway, second).code == "LimitExceeded"
    service = client.create_service_gateway(
        CORE.CreateServiceGatewayDetails(
            compartment_id=inside,
            vcn_id=net[0],
            services=[CORE.ServiceIdRequestDetails(service_id=services[0].id)],
        )
    ).data
    settled(lambda: client.get_nat_gateway(nat.id))
    settled(lambda: client.get_service_gateway(service.id))

    def routes(*each: Any) -> Any:
        return CORE.CreateRouteTableDetails(
            compartment_id=inside, vcn_id=net[0], route_rules=list(each)
        )

    out = CORE.RouteRule(destination="0.0.0.0/0", network_entity_id=nat.id)
    label = CORE.RouteRule(
        destination=services[0].cidr_block,
        destination_type="SERVICE_CIDR_BLOCK",
        network_entity_id=service.id,
    )
    crossed = CORE.RouteRule(destination="0.0.0.0/0", network_entity_id=service.id)
    assert refusal(client.create_route_table, routes(crossed)).status == 400
    table = client.create_route_table(routes(out, label)).data
    settled(lambda: client.get_route_table(table.id))
    client.update_subnet(net[1], CORE.UpdateSubnetDetails(route_table_id=table.id))
    assert refusal(client.delete_route_table, table.id).status == 409
    assert refusal(client.delete_nat_gateway, nat.id).status == 409
    client.update_route_table(table.id, CORE.UpdateRouteTableDetails(route_rules=[label]))
    client.delete_nat_gateway(nat.id)
    assert gone(lambda: client.get_nat_gateway(nat.id))
    assert client.list_nat_gateways(inside).data == []
    assert len(client.list_service_gateways(inside).data) == 1


def test_security_lists(tenant: Tenant, inside: str, net: tuple[str, str, str]) -> None:
    client = tenant.network
    ingress = CORE.IngressSecurityRule(protocol="6", source="10.0.0.0/16")
    made = client.create_security_list(
        CORE.CreateSecurityListDetails(
            compartment_id=inside,
            vcn_id=net[0],
            ingress_security_rules=[ingress],
            egress_security_rules=[],
        )
    ).data
    settled(lambda: client.get_security_list(made.id))
    client.update_subnet(net[1], CORE.UpdateSubnetDetails(security_list_ids=[made.id]))
    assert refusal(client.delete_security_list, made.id).status == 409
    wrong = CORE.UpdateSecurityListDetails(
        ingress_security_rules=[CORE.IngressSecurityRule(protocol="TCP", source="10.0.0.0/16")]
    )
    assert refusal(client.update_security_list, made.id, wrong).status == 400


def launch(tenant: Tenant, inside: str, subnet: str, **more: Any) -> Any:
    image = tenant.compute.list_images(inside, operating_system="Oracle Linux").data[0]
    domain = tenant.identity.list_availability_domains(inside).data[0].name
    vnic = {"subnet_id": subnet, "assign_public_ip": False, "private_ip": "10.0.1.10"}
    given = {
        "compartment_id": inside,
        "availability_domain": domain,
        "shape": "VM.Standard.E5.Flex",
        "shape_config": CORE.LaunchInstanceShapeConfigDetails(ocpus=1.0, memory_in_gbs=8.0),
        "source_details": CORE.InstanceSourceViaImageDetails(image_id=image.id),
        "create_vnic_details": CORE.CreateVnicDetails(**{**vnic, **more.pop("vnic", {})}),
        "metadata": {"user_data": base64.b64encode(b"#cloud-config").decode()},
    }
    return CORE.LaunchInstanceDetails(**{**given, **more})


def test_an_instance_has_the_address_asked_for(
    tenant: Tenant, inside: str, net: tuple[str, str, str]
) -> None:
    details = launch(tenant, inside, net[1], vnic={"nsg_ids": [net[2]]})
    made = tenant.compute.launch_instance(details).data
    assert made.lifecycle_state == "PROVISIONING"
    instance = settled(lambda: tenant.compute.get_instance(made.id))
    assert tenant.compute.get_image(instance.image_id).data.operating_system == "Oracle Linux"
    attached = tenant.compute.list_vnic_attachments(inside, instance_id=made.id).data
    assert tenant.network.get_vnic(attached[0].vnic_id).data.private_ip == "10.0.1.10"
    assert len(tenant.network.list_network_security_group_vnics(net[2]).data) == 1
    assert refusal(tenant.compute.launch_instance, details).status == 409, "the address is taken"
    assert refusal(tenant.network.delete_subnet, net[1]).status == 409
    tenant.compute.terminate_instance(made.id)
    assert settled_to(tenant, made.id, "TERMINATED")
    assert tenant.compute.list_vnic_attachments(inside, instance_id=made.id).data == []
    assert len(tenant.compute.list_instances(inside).data) == 1


def settled_to(tenant: Tenant, instance: str, state: str) -> bool:
    states = [tenant.compute.get_instance(instance).data.lifecycle_state for _ in range(3)]
    return bool(states[-1] == state)


def test_an_instance_keeps_its_cloud_init(
    tenant: Tenant, inside: str, net: tuple[str, str, str]
) -> None:
    made = tenant.compute.launch_instance(launch(tenant, inside, net[1])).data
    settled(lambda: tenant.compute.get_instance(made.id))
    kept = made.metadata
    other = CORE.UpdateInstanceDetails(metadata={**kept, "version": "2"})
    assert tenant.compute.update_instance(made.id, other).data.metadata["version"] == "2"
    changed = CORE.UpdateInstanceDetails(metadata={"user_data": "eA=="})
    assert refusal(tenant.compute.update_instance, made.id, changed).status == 400
    tenant.compute.instance_action(made.id, "STOP")
    assert settled_to(tenant, made.id, "STOPPED")
    assert refusal(tenant.compute.instance_action, made.id, "RESET").status == 409
    tenant.compute.instance_action(made.id, "START")
    assert settled_to(tenant, made.id, "RUNNING")


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"metadata": {"user_data": "not base64!"}}, 400),
        ({"metadata": {"big": "x" * 33_000}}, 400),
        ({"shape": "VM.Imagined"}, 400),
        ({"shape_config": None}, 400),
        ({"availability_domain": "AD-1"}, 400),
        ({"vnic": {"private_ip": "10.0.9.9"}}, 400),
        ({"vnic": {"assign_public_ip": True}}, 400),
        ({"vnic": {"hostname_label": "pooler"}}, 400),
        ({"source_details": None}, 400),
        (
            {"source_details": CORE.InstanceSourceViaImageDetails(image_id="ocid1.image.oc1..a")},
            404,
        ),
    ],
)
def test_an_instance_that_cannot_be(
    tenant: Tenant, inside: str, net: tuple[str, str, str], changes: dict[str, Any], status: int
) -> None:
    details = launch(tenant, inside, net[1], **changes)
    assert refusal(tenant.compute.launch_instance, details).status == status
    assert tenant.cloud.resources("instance") == []
