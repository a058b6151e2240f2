"""What Terraform's providers take, and whether a configuration is that. Pure.

The arguments are facts from the reference pages of the providers `oracle/oci`, `hashicorp/random`
and `hashicorp/tls`, compared in November 2026 with the schema that the bindings of oracle/oci
5.5.0 for Pulumi are generated from. Nothing here was asked of a provider that runs: a
configuration that passes has known names of the right kinds, with none missing and no reference
that leads nowhere. Whether OCI takes its values is not known from that.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class Type(StrEnum):
    """What an argument holds."""

    TEXT = "a text"
    NUMBER = "a number"
    FLAG = "true or false"
    TEXTS = "a list of texts"
    NUMBERS = "a list of numbers"
    MAP = "a map"


@dataclass(frozen=True, slots=True)
class Block:
    """A nested block; `many` where it may be repeated."""

    body: Body
    required: bool = False
    many: bool = False


@dataclass(frozen=True, slots=True)
class Body:
    """Arguments and blocks by name; `exported` is what others may refer to besides."""

    required: Mapping[str, Type]
    optional: Mapping[str, Type]
    blocks: Mapping[str, Block] = field(default_factory=dict)
    exported: frozenset[str] = frozenset({"id"})

    @property
    def arguments(self) -> Mapping[str, Type]:
        """Those that are no blocks."""
        return {**self.required, **self.optional}


_TYPES = {
    "": Type.TEXT,
    "#": Type.NUMBER,
    "?": Type.FLAG,
    "[]": Type.TEXTS,
    "#[]": Type.NUMBERS,
    "{}": Type.MAP,
}
_WORD = re.compile(r"(\w+)(\S*)")


def _types(words: str) -> dict[str, Type]:
    found = (_WORD.fullmatch(word) for word in words.split())
    return {match[1]: _TYPES[match[2]] for match in found if match}


def body(required: str, optional: str = "", exported: str = "", /, **blocks: Block) -> Body:
    """From words such as `name`, `length#`, `stateless?`, `nsg_ids[]`, `metadata{}`."""
    return Body(_types(required), _types(optional), blocks, frozenset(["id", *exported.split()]))


def one(required: str, optional: str = "", /, **blocks: Block) -> Block:
    """A block that is there at most once."""
    return Block(body(required, optional, **blocks))


def a_must(block: Block) -> Block:
    """The same, which has to be there."""
    return Block(block.body, required=True, many=block.many)


def many(block: Block) -> Block:
    """The same, as often as one likes."""
    return Block(block.body, required=block.required, many=True)


_TAGS = "defined_tags{} freeform_tags{}"
_PORTS = one("max# min#")
_RULE_PORTS = one("", destination_port_range=_PORTS, source_port_range=_PORTS)
_LIST_PORTS = one("", "max# min#", source_port_range=_PORTS)
_LIST_RULE: Mapping[str, Block] = {
    "icmp_options": one("type#", "code#"),
    "tcp_options": _LIST_PORTS,
    "udp_options": _LIST_PORTS,
}
_OBJECT_STORE = one("destination", "bucket namespace object uri")
_SUBJECT = many(
    one(
        "",
        "common_name country locality organization organizational_unit postal_code province "
        "serial_number street_address[]",
    )
)
_TLS_CERTIFICATE = (
    "early_renewal_hours# is_ca_certificate? max_path_length# set_authority_key_id? "
    "set_subject_key_id? name_constraint_excluded_dns_names[] "
    "name_constraint_permitted_dns_names[] name_constraint_permitted_dns_names_critical?"
)
_TLS_EXPORTED = "cert_pem ready_for_renewal validity_end_time validity_start_time"
_BACKUP_POLICY = one(
    "",
    "backup_start days_of_the_month#[] days_of_the_week[] kind retention_days#",
    copy_policy=one("compartment_id", "kms_key_ids[] regions[] retention_period#"),
)

RESOURCES: Mapping[str, Body] = {
    "oci_identity_compartment": body(
        "compartment_id description name", f"{_TAGS} enable_delete?", "state"
    ),
    "oci_core_vcn": body(
        "compartment_id",
        f"{_TAGS} cidr_block cidr_blocks[] display_name dns_label ipv6private_cidr_blocks[] "
        "is_ipv6enabled? is_oracle_gua_allocation_enabled? security_attributes{}",
        "state default_route_table_id default_security_list_id default_dhcp_options_id",
        byoipv6cidr_details=many(one("byoipv6range_id ipv6cidr_block")),
    ),
    "oci_core_nat_gateway": body(
        "compartment_id vcn_id",
        f"{_TAGS} block_traffic? display_name public_ip_id route_table_id",
        "nat_ip state",
    ),
    "oci_core_security_list": body(
        "compartment_id vcn_id",
        f"{_TAGS} display_name",
        "state",
        egress_security_rules=many(
            one("destination protocol", "description destination_type stateless?", **_LIST_RULE)
        ),
        ingress_security_rules=many(
            one("protocol source", "description source_type stateless?", **_LIST_RULE)
        ),
    ),
    "oci_core_route_table": body(
        "compartment_id vcn_id",
        f"{_TAGS} display_name",
        "state",
        route_rules=many(
            one(
                "network_entity_id",
                "cidr_block description destination destination_type route_type",
            )
        ),
    ),
    "oci_core_subnet": body(
        "cidr_block compartment_id vcn_id",
        f"{_TAGS} availability_domain dhcp_options_id display_name dns_label ipv4cidr_blocks[] "
        "ipv6cidr_block ipv6cidr_blocks[] prohibit_internet_ingress? "
        "prohibit_public_ip_on_vnic? route_table_id security_list_ids[]",
        "state subnet_domain_name virtual_router_ip virtual_router_mac",
    ),
    "oci_core_network_security_group": body(
        "compartment_id vcn_id", f"{_TAGS} display_name", "state"
    ),
    "oci_core_network_security_group_security_rule": body(
        "direction network_security_group_id protocol",
        "description destination destination_type source source_type stateless?",
        "is_valid",
        icmp_options=one("type#", "code#"),
        tcp_options=_RULE_PORTS,
        udp_options=_RULE_PORTS,
    ),
    "oci_kms_vault": body(
        "compartment_id display_name vault_type",
        f"{_TAGS} restore_trigger? time_of_deletion",
        "crypto_endpoint management_endpoint state",
        external_key_manager_metadata=one(
            "external_vault_endpoint_url private_endpoint_id",
            oauth_metadata=a_must(one("client_app_id client_app_secret idcs_account_name_url")),
        ),
        restore_from_file=one("content_length restore_vault_from_file_details", "content_md5"),
        restore_from_object_store=_OBJECT_STORE,
    ),
    "oci_kms_key": body(
        "compartment_id display_name management_endpoint",
        f"{_TAGS} desired_state is_auto_rotation_enabled? protection_mode restore_trigger? "
        "schedule_deletion_days# time_of_deletion",
        "current_key_version state vault_id",
        key_shape=a_must(one("algorithm length#", "curve_id")),
        auto_key_rotation_details=one(
            "",
            "last_rotation_message last_rotation_status rotation_interval_in_days# "
            "time_of_last_rotation time_of_next_rotation time_of_schedule_start",
        ),
        external_key_reference=one("external_key_id"),
        restore_from_file=one("content_length restore_key_from_file_details", "content_md5"),
        restore_from_object_store=_OBJECT_STORE,
    ),
    "oci_vault_secret": body(
        "compartment_id key_id secret_name vault_id",
        f"{_TAGS} description enable_auto_generation? metadata{{}}",
        "current_version_number state",
        replication_config=one(
            "",
            "is_write_forward_enabled?",
            replication_targets=many(a_must(one("target_key_id target_region target_vault_id"))),
        ),
        rotation_config=one(
            "",
            "is_scheduled_rotation_enabled? rotation_interval",
            target_system_details=a_must(one("target_system_type", "adb_id function_id")),
        ),
        secret_content=one("content_type", "content name stage"),
        secret_generation_context=one(
            "generation_template generation_type", "passphrase_length# secret_template"
        ),
        secret_rules=many(
            one(
                "rule_type",
                "is_enforced_on_deleted_secret_versions? "
                "is_secret_content_retrieval_blocked_on_expiry? secret_version_expiry_interval "
                "time_of_absolute_expiry",
            )
        ),
    ),
    "oci_psql_db_system": body(
        "compartment_id db_version display_name shape",
        f"{_TAGS} allow_major_version_upgrade? apply_change_mode_to_stand_alone apply_config "
        "config_id description instance_count# instance_memory_size_in_gbs# "
        "instance_ocpu_count# state system_type upgrade_options[]",
        "admin_username instances lifecycle_details",
        network_details=a_must(
            one(
                "subnet_id",
                "is_reader_endpoint_enabled? nsg_ids[] primary_db_endpoint_private_ip",
            )
        ),
        storage_details=a_must(
            one("is_regionally_durable? system_type", "availability_domain iops kms_key_id")
        ),
        credentials=one(
            "username",
            password_details=a_must(one("password_type", "password secret_id secret_version")),
        ),
        instances_details=many(one("", "description display_name private_ip")),
        management_policy=one(
            "",
            "maintenance_window_start",
            backup_policy=_BACKUP_POLICY,
            pitr_policy=one("", "kind restore_days#"),
        ),
        odsp_insight_details=one(
            "kind",
            odsp_insight_list=many(one("", "insight_type retention_period_in_days#")),
        ),
        patch_operations=many(one("operation selection", "from position selected_item value{}")),
        replication_config=one("", "is_rpo_enforced? rpo_in_seconds"),
        source=one(
            "source_type",
            "backup_id db_system_id is_having_restore_config_overrides? primary_db_system_id "
            "time_to_restore",
        ),
    ),
    "oci_core_instance": body(
        "availability_domain compartment_id shape",
        f"{_TAGS} async? capacity_reservation_id cluster_placement_group_id compute_cluster_id "
        "dedicated_vm_host_id display_name extended_metadata{} fault_domain hostname_label image "
        "instance_configuration_id ipxe_script is_pv_encryption_in_transit_enabled? metadata{} "
        "preserve_boot_volume? security_attributes{} state subnet_id",
        "boot_volume_id private_ip public_ip time_created",
        agent_config=one(
            "",
            "are_all_plugins_disabled? is_management_disabled? is_monitoring_disabled?",
            plugins_config=many(one("desired_state name")),
        ),
        availability_config=one("", "is_live_migration_preferred? recovery_action"),
        create_vnic_details=one(
            "",
            f"{_TAGS} assign_ipv6ip? assign_private_dns_record? assign_public_ip display_name "
            "hostname_label nsg_ids[] private_ip private_ip_id security_attributes{} "
            "skip_source_dest_check? subnet_cidr subnet_id vlan_id",
        ),
        instance_options=one("", "are_legacy_imds_endpoints_disabled?"),
        launch_options=one(
            "",
            "boot_volume_type firmware is_consistent_volume_naming_enabled? "
            "is_pv_encryption_in_transit_enabled? network_type remote_data_volume_type",
        ),
        shape_config=one("", "baseline_ocpu_utilization memory_in_gbs# nvmes# ocpus# vcpus#"),
        source_details=one(
            "source_type",
            "boot_volume_size_in_gbs boot_volume_vpus_per_gb kms_key_id source_id "
            "is_preserve_boot_volume_enabled?",
        ),
    ),
    "random_password": body(
        "length#",
        "keepers{} lower? min_lower# min_numeric# min_special# min_upper# numeric? "
        "override_special special? upper?",
        "result bcrypt_hash",
    ),
    "random_bytes": body("length#", "keepers{}", "base64 hex"),
    "tls_private_key": body("algorithm", "ecdsa_curve rsa_bits#", "private_key_pem public_key_pem"),
    "tls_self_signed_cert": body(
        "allowed_uses[] private_key_pem validity_period_hours#",
        f"dns_names[] ip_addresses[] uris[] {_TLS_CERTIFICATE}",
        _TLS_EXPORTED,
        subject=_SUBJECT,
    ),
    "tls_cert_request": body(
        "private_key_pem",
        "dns_names[] ip_addresses[] uris[]",
        "cert_request_pem key_algorithm",
        subject=_SUBJECT,
    ),
    "tls_locally_signed_cert": body(
        "allowed_uses[] ca_cert_pem ca_private_key_pem cert_request_pem validity_period_hours#",
        _TLS_CERTIFICATE,
        f"ca_key_algorithm {_TLS_EXPORTED}",
    ),
}

DATA: Mapping[str, Body] = {
    "oci_identity_availability_domains": body("compartment_id", "", "availability_domains"),
    "oci_core_images": body(
        "compartment_id",
        "display_name operating_system operating_system_version shape sort_by sort_order state",
        "images",
    ),
    "oci_kms_vault": body(
        "vault_id", "", "compartment_id crypto_endpoint management_endpoint state vault_type"
    ),
}
"""Data sources."""
