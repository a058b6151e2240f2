"""A fleet that is stored is the same fleet, whatever its file says."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pgherd.engines.known import sections, values
from pgherd.errors import NeedsHuman
from pgherd.fleet.load import load, load_text
from pgherd.fleet.stored import decode, digest, encode

EXAMPLE = Path(__file__).parents[3] / "examples/ecommerce/fleet.yaml"
EVERYTHING = """\
fleet: shop
services: [auth, order]
overrides:
  production/order: {pooling: transaction, ocpus: 4, peaks: []}
environments:
  production:
    engine: oci
    compartment: shops
    network: 10.0.0.0/16
    availability_domains: 3
    ocpus: 2..8
    storage: 1TB..unlimited
    replicas: 1..2
    durability: asynchronous
    autoscale: {cpu: 70%, memory: 60%}
    maintenance: {days: [sun], from: "23:00", to: "05:00", timezone: Europe/Berlin}
    peaks:
      - {days: [mon, fri], from: "08:00", to: "23:00", ocpus: 4}
      - {dates: ["2026-11-27"], from: "00:00", to: "23:59", ocpus: 8, timezone: UTC}
    backup: {retention: 7d, copy_to: [us-phoenix-1]}
    oci: {region: us-ashburn-1, iops: 150000, pooler: render, accept: [storage, max-ocpus]}
  staging:
    network: 10.1.0.0/16
    ocpus: 2
    storage: 1TB
    autoscale: false
    postgresql: 15
    local: {core_per_ocpu: 0.05, memory_per_ocpu: 32MiB}
"""


@pytest.mark.parametrize("text", [EXAMPLE.read_text(), EVERYTHING], ids=["example", "everything"])
def test_it_is_the_same_fleet(text: str) -> None:
    fleet = load_text(text, EXAMPLE, sections())
    again = decode(encode(fleet), values())
    assert again == fleet
    assert again.text == text
    assert [d.origins for d in again.databases] == [d.origins for d in fleet.databases]
    assert {type(e.values[n]) for e in again.environments for n in e.values} == set(
        values().values()
    )


@pytest.mark.parametrize("name", [b"/srv/\x9b/fleet.yaml", "/srv/\xe9/fleet.yaml".encode()])
def test_paths_need_not_be_utf_8(name: bytes) -> None:
    path = Path(os.fsdecode(name))
    fleet = load_text(EVERYTHING, path, sections())
    again = decode(encode(fleet), values())
    assert again.path == path
    assert os.fsencode(again.path) == name


def test_what_is_damaged_is_refused() -> None:
    content = encode(load(EXAMPLE, sections()))
    for damaged in (b"", b"[]", content[:-9], content.replace(b"10.0.0.0/16", b"10.0.0.0/99")):
        with pytest.raises(NeedsHuman, match="cannot be read"):
            decode(damaged, values())


def test_this_code_is_told_from_other_code() -> None:
    assert len(digest()) == 16
