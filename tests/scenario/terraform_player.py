"""What Terraform would make of a rendered configuration, played on the local OCI.

It is no Terraform: it follows references, fills in expressions of the few forms that are rendered,
and makes each resource with one call of the SDK. It shows that what is rendered is a whole
environment, not that the provider takes it.
"""

from __future__ import annotations

import base64
import gzip
import json
import re
import secrets
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from pgherd.engines.oci.blueprint import Kind
from pgherd.engines.oci.bodies import body
from pgherd.engines.oci.kinds import CALLS
from pgherd.engines.oci.refusals import NotFound
from pgherd.engines.oci.regions import domains
from pgherd.engines.oci.sdk import Cloud
from pgherd.engines.oci.terraform_schema_check import expressions
from pgherd.engines.oci.waiting import until, work_done
from pgherd.pki.authority import Authority

KINDS = {
    "oci_core_vcn": Kind.VCN,
    "oci_core_nat_gateway": Kind.NAT_GATEWAY,
    "oci_core_security_list": Kind.SECURITY_LIST,
    "oci_core_route_table": Kind.ROUTE_TABLE,
    "oci_core_subnet": Kind.SUBNET,
    "oci_core_network_security_group": Kind.SECURITY_GROUP,
    "oci_kms_vault": Kind.VAULT,
    "oci_kms_key": Kind.KEY,
    "oci_vault_secret": Kind.SECRET,
    "oci_core_instance": Kind.INSTANCE,
}
NO_BLOCKS: dict[Kind, dict[str, Any]] = {
    Kind.SECURITY_LIST: {"ingress_security_rules": [], "egress_security_rules": []},
    Kind.ROUTE_TABLE: {"route_rules": []},
}
RULE = "oci_core_network_security_group_security_rule"
THING = re.compile(r"(?<![\w.])((?:oci|tls|random)_\w+)\.(\w+)")
AVAILABLE = ("ACTIVE", "AVAILABLE", "ENABLED", "RUNNING")


class Player:
    """One configuration, applied once."""

    def __init__(self, document: Mapping[str, Any], cloud: Cloud) -> None:
        self.resources = document["resource"]
        self.locals = document["locals"]
        self.variables = {n: v["default"] for n, v in document["variable"].items()}
        self.cloud = cloud
        self.made: dict[tuple[str, str], dict[str, Any]] = {}
        self.domains: list[str] = []

    async def apply(self) -> None:
        """Everything, each after what it refers to."""
        self.domains = await domains(self.cloud)
        for kind, things in self.resources.items():
            for name in things:
                await self.ensure(kind, name)

    async def ensure(self, kind: str, name: str) -> None:
        if (kind, name) in self.made:
            return
        content = {
            key: value
            for key, value in self.resources[kind][name].items()
            if key not in ("//", "lifecycle", "provider")
        }
        for expression in expressions(json.dumps(self.unfolded(content))):
            for other, of in THING.findall(expression):
                await self.ensure(other, of)
        self.made[kind, name] = await self.make(kind, self.filled(content))

    def unfolded(self, value: Any) -> Any:
        """With the user data, where it is referred to."""
        text = json.dumps(value)
        return [value, self.locals["pooler_user_data"]] if "pooler_user_data" in text else value

    # Expressions

    def filled(self, value: Any) -> Any:
        if isinstance(value, Mapping):
            return {name: self.filled(item) for name, item in value.items()}
        if isinstance(value, list):
            return [self.filled(item) for item in value]
        return self.text(value) if isinstance(value, str) else value

    def text(self, value: str) -> str:
        for expression in expressions(value):
            value = value.replace(f"${{{expression}}}", str(self.value(expression)), 1)
        return value.replace("$${", "${").replace("%%{", "%{")

    def value(self, expression: str) -> Any:
        if call := re.fullmatch(r"(base64encode|base64gzip|jsonencode)\((.+)\)", expression):
            inner = str(self.value(call[2])).encode()
            match call[1]:
                case "base64encode":
                    return base64.b64encode(inner).decode()
                case "base64gzip":
                    return base64.b64encode(gzip.compress(inner, mtime=0)).decode()
            return inner.decode()
        if expression.startswith("{"):
            parts = (part.split(" = ") for part in expression.strip("{}").split(", "))
            return json.dumps({name: self.value(inner) for name, inner in parts})
        if match := re.fullmatch(r"element\(local.availability_domains, (\d+)\)", expression):
            return self.domains[int(match[1]) % len(self.domains)]
        if expression == "local.availability_domains[0]":
            return self.domains[0]
        if expression == "local.pooler_user_data":
            return self.text(self.locals["pooler_user_data"])
        if expression.startswith("var."):
            return self.variables[expression.removeprefix("var.")]
        if expression.startswith("data.oci_core_images."):
            return "image"
        kind, name, attribute = expression.split(".")
        return self.made[kind, name][attribute]

    # Making

    async def make(self, kind: str, content: dict[str, Any]) -> dict[str, Any]:
        if not kind.startswith("oci_"):
            return self.made_up(kind, content)
        if kind == "oci_identity_compartment":
            return await self.compartment(content)
        if kind == RULE:
            return await self.rule(content)
        if kind == "oci_psql_db_system":
            return await self.system(content)
        return await self.thing(KINDS[kind], content)

    def made_up(self, kind: str, content: dict[str, Any]) -> dict[str, Any]:
        """As the providers random and tls would."""
        now = datetime.now(UTC)
        if kind == "random_password":
            return {"result": f"Pg1_{secrets.token_urlsafe(64)}"[: content["length"]]}
        if kind == "random_bytes":
            return {"base64": base64.b64encode(secrets.token_bytes(content["length"])).decode()}
        if kind == "tls_private_key":
            return {"private_key_pem": Authority.create("any", now).pair.key.decode()}
        if kind == "tls_self_signed_cert":
            name, key = content["subject"]["common_name"], content["private_key_pem"]
            made = Authority.create(name, now, key.encode())
            return {"cert_pem": made.pair.certificate.decode()}
        if kind == "tls_cert_request":
            return {"cert_request_pem": json.dumps(content)}
        request = json.loads(content["cert_request_pem"])
        lifetime = timedelta(hours=content["validity_period_hours"])
        return {"cert_pem": signed(request, content, now, lifetime)}

    async def compartment(self, content: dict[str, Any]) -> dict[str, Any]:
        details = body("identity", "CreateCompartmentDetails", content)
        made = (await self.cloud.call("identity", "create_compartment", details)).data

        async def look() -> Any:
            return (await self.cloud.call("identity", "get_compartment", made.id)).data

        await until(self.cloud, "terraform", look, lambda t: t.lifecycle_state in AVAILABLE)
        return {"id": made.id}

    async def rule(self, content: dict[str, Any]) -> dict[str, Any]:
        group = content.pop("network_security_group_id")
        rule = {"is_stateless": content.pop("stateless"), **content}
        model = "AddNetworkSecurityGroupSecurityRulesDetails"
        details = body("network", model, {"security_rules": [rule]})
        call = "add_network_security_group_security_rules"
        await self.cloud.call("network", call, group, details)
        return {"id": group}

    async def system(self, content: dict[str, Any]) -> dict[str, Any]:
        details = body("psql", "CreateDbSystemDetails", content)
        made = await self.cloud.call("psql", "create_db_system", details)
        await work_done(self.cloud, "terraform", made.work_request)
        return {"id": made.data.id}

    async def thing(self, kind: Kind, content: dict[str, Any]) -> dict[str, Any]:
        calls = CALLS[kind]
        at = content.pop("management_endpoint", None)
        if kind is Kind.INSTANCE:
            content["source_details"] = {"source_type": "image", "image_id": await self.image()}
        # What has no block is an empty list to the provider.
        content = NO_BLOCKS.get(kind, {}) | content
        details = body(calls.service, calls.model, content)
        made = (await self.cloud.call(calls.service, calls.create, details, at=at)).data

        async def look() -> Any:
            return (await self.cloud.call(calls.service, calls.get, made.id, at=at)).data

        seen = await until(self.cloud, "terraform", look, lambda t: t.lifecycle_state in AVAILABLE)
        found = {"id": seen.id}
        for name in ("management_endpoint", "current_version_number"):
            if hasattr(seen, name):
                found[name] = getattr(seen, name)
        return found

    async def image(self) -> str:
        images = await self.cloud.all("compute", "list_images", compartment_id=self.cloud.tenancy)
        if not images:
            raise NotFound("no image")
        return str(images[0].id)


def signed(
    request: Mapping[str, Any], authority: Mapping[str, Any], now: datetime, lifetime: timedelta
) -> str:
    """A server's certificate for a key that is there already."""
    issuer = x509.load_pem_x509_certificate(authority["ca_cert_pem"].encode())
    by = load_pem_private_key(authority["ca_private_key_pem"].encode(), None)
    key = load_pem_private_key(request["private_key_pem"].encode(), None)
    assert isinstance(by, EllipticCurvePrivateKey) and isinstance(key, EllipticCurvePrivateKey)
    name = x509.NameAttribute(NameOID.COMMON_NAME, request["subject"]["common_name"])
    addresses = [x509.IPAddress(IPv4Address(a)) for a in request["ip_addresses"]]
    made = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([name]))
        .issuer_name(issuer.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now)
        .not_valid_after(now + lifetime)
        .add_extension(x509.SubjectAlternativeName(addresses), critical=False)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(by, SHA256())
    )
    return made.public_bytes(Encoding.PEM).decode()
