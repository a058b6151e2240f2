"""A small shop on OCI, for what is rendered of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pgherd.engines.known import sections
from pgherd.engines.oci.terraform import configuration
from pgherd.fleet.desired import Fleet
from pgherd.fleet.load import load_text

PARENT = "ocid1.compartment.oc1..parent"
VCN, VAULT, KEY = "ocid1.vcn.oc1.iad.own", "ocid1.vault.oc1.iad.own", "ocid1.key.oc1.iad.own"
SHOP = f"""\
fleet: shop
services: [order-items]
defaults:
  engine: oci
  oci: {{region: us-ashburn-1, parent: {PARENT}, pooler: create, accept: [max-ocpus, storage]}}
environments:
  production:
    network: 10.0.0.0/16
    availability_domains: 3
    ocpus: 2..128
    storage: 2TB..unlimited
    replicas: 3..5
    autoscale: {{cpu: 80%, memory: 80%}}
    backup: {{retention: 30d, copy_to: [us-phoenix-1]}}
    deletion_protection: true
  development:
    network: 10.2.0.0/16
    availability_domains: 1
    ocpus: 2..4
    storage: 1TB
    autoscale: false
    deletion_protection: false
    backup: {{retention: 5d}}
"""
OWN = SHOP.replace("pooler: create", f"pooler: create, vcn: {VCN}, vault: {VAULT}")
OWN_KEY = SHOP.replace("pooler: create", f"pooler: render, vault: {VAULT}, key: {KEY}")


def fleet(text: str = SHOP) -> Fleet:
    return load_text(text, Path("fleet.yaml"), sections())


def document(name: str = "production", text: str = SHOP) -> dict[str, Any]:
    shop = fleet(text)
    return configuration(shop, shop.environment(name))
