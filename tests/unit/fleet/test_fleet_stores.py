"""Stores for backups in the fleet file: what is needed of each, and what is wrong."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from pgherd.engines import known
from pgherd.engines.local.values import LocalValues, Store, StoreType, UriStyle
from pgherd.fleet import stored
from pgherd.fleet.desired import Fleet

Read = Callable[[str], Fleet]
Report = Callable[[str], list[str]]
FLEET = """\
fleet: shop
services: [auth]
defaults:
  ocpus: 1
  storage: 1TB
environments:
  production:
    network: 10.0.0.0/16
    local: {{repository: {one}}}
  dev:
    network: 10.1.0.0/16
    local: {{repository: {other}}}
"""
GCS = "{type: gcs, bucket: backups, key_file: /etc/key}"


def test_a_store_is_read(read: Read) -> None:
    one = (
        "{type: s3, bucket: backups, endpoint: 's3.example.com:9000', region: eu-1, "
        "uri_style: path, key_file: /etc/key, read_key_file: /etc/read, ca_file: /etc/ca.pem}"
    )
    fleet = read(FLEET.format(one=one, other=GCS))
    values = fleet.environment("production").values_of(LocalValues)
    assert values.repository == Store(
        StoreType.S3,
        "/etc/key",
        "/etc/read",
        bucket="backups",
        endpoint="s3.example.com:9000",
        region="eu-1",
        uri_style=UriStyle.PATH,
        ca_file="/etc/ca.pem",
    )
    other = fleet.environment("dev").values_of(LocalValues)
    assert other.texts()["repository"] == "gcs://backups"
    assert other.as_json()["repository"] == {
        "type": "gcs",
        "bucket": "backups",
        "key_file": "/etc/key",
    }
    again = stored.decode(stored.encode(fleet), known.values())
    assert again.environment("production").values_of(LocalValues) == values


@pytest.mark.parametrize(
    ("one", "said"),
    [
        ("{bucket: b1}", "repository: its type is not stated"),
        ("{type: s3, bucket: b1}", "repository: s3 needs endpoint, region, key_file"),
        (
            "{type: azure, account: abc, container: backups, key_file: /k, bucket: b1}",
            "bucket: azure has no bucket",
        ),
        ("{type: gcs, bucket: b1, key_file: k}", "key_file: this is not the whole path of a file"),
        ("{type: ftp}", "type: 'ftp' is unknown"),
        ('{type: gcs, bucket: "a b", key_file: /k}', "bucket: 'a b' is not a bucket"),
        ('{type: gcs, bucket: "a\\nb", key_file: /k}', "is not a bucket"),
        ("{type: gcs, bucket: b1, key_file: /k, path: /a/../b}", "is not a path in a store"),
        ("{type: gcs, bucket: b1, key_file: /k, pfad: /a}", "pfad: unknown key; write path"),
        ("s3", "repository: this is not a mapping"),
    ],
)
def test_what_is_wrong_is_said(report: Report, one: str, said: str) -> None:
    problems = report(FLEET.format(one=one, other=GCS))
    assert len(problems) == 1
    assert said in problems[0]


def test_what_is_in_a_store_is_copied_to_no_directory(read: Read, report: Report) -> None:
    text = FLEET.format(one=GCS, other=GCS.replace("backups", "others"))
    copied = text.replace("defaults:", "defaults:\n  backup: {copy_to: [vault, far-away]}")
    read(copied)  # no region of that name is here
    (problem,) = report(copied.replace("defaults:", "defaults:\n  local: {regions: {vault: /v}}"))
    assert "copy_to: backups that are in a store are not copied" in problem


def test_no_two_environments_share_a_place(report: Report) -> None:
    one = "{type: gcs, bucket: backups, key_file: /etc/key, path: /one}"
    (problem,) = report(FLEET.format(one=one, other=one))
    assert "production has its backups there, too" in problem
