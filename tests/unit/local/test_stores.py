"""What pgBackRest is told of a store, and when backups may go to another one."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from local_fleet import PRODUCTION, LongLayout

from pgherd.contract.backups import BackupState, ObservedBackup
from pgherd.engines.local.backup import moving, stores
from pgherd.engines.local.backup.pgbackrest import Stanza
from pgherd.engines.local.layout import data_plane_owner
from pgherd.engines.local.manifest import read_environment, write_environment
from pgherd.engines.local.values import LocalValues, Store, StoreType, UriStyle
from pgherd.errors import InputError, NeedsHuman

S3 = Store(
    StoreType.S3,
    "/etc/pgherd/s3",
    path="/shop/production",
    bucket="backups",
    endpoint="s3.example.com:9000",
    region="eu-1",
    uri_style=UriStyle.PATH,
)
KEY = "[default]\naws_access_key_id = AKIA1\naws_secret_access_key=hidden/+=\n"
SOURCE, COPY = Path("/etc/pgherd/s3"), Path("/repository/store.key")


def test_a_store_is_written_as_pgbackrest_has_it() -> None:
    assert stores.text(S3, KEY, SOURCE, COPY).splitlines() == [
        "repo1-type=s3",
        "repo1-path=/shop/production",
        "repo1-s3-bucket=backups",
        "repo1-s3-endpoint=s3.example.com",
        "repo1-s3-region=eu-1",
        "repo1-s3-key=AKIA1",
        "repo1-s3-key-secret=hidden/+=",
        "repo1-s3-uri-style=path",
        "repo1-storage-port=9000",
    ]


def test_keys_are_put_apart_for_a_server() -> None:
    text = stores.text(S3, KEY + "aws_session_token = more\n", SOURCE, COPY)
    kept, keys = stores.apart(f"[global]\n{text}repo1-cipher-pass=pass\n")
    assert keys == {
        "PGBACKREST_REPO1_S3_KEY": "AKIA1",
        "PGBACKREST_REPO1_S3_KEY_SECRET": "hidden/+=",
        "PGBACKREST_REPO1_S3_TOKEN": "more",
    }
    assert kept == "".join(
        line
        for line in f"[global]\n{text}repo1-cipher-pass=pass\n".splitlines(keepends=True)
        if not line.startswith(("repo1-s3-key", "repo1-s3-token"))
    )
    azure = Store(StoreType.AZURE, "/k", account="a", container="c", path="/a")
    kept, keys = stores.apart(stores.text(azure, "hidden\n", SOURCE, COPY))
    assert keys == {"PGBACKREST_REPO1_AZURE_KEY": "hidden"}
    assert "hidden" not in kept
    assert "repo1-azure-key-type=shared\n" in kept


def test_a_host_of_sftp_is_known_by_its_fingerprint() -> None:
    store = Store(
        StoreType.SFTP, "/k", path="/a", host="there:2222", user="me", fingerprint="ab" * 32
    )
    text = stores.text(store, "-----BEGIN OPENSSH PRIVATE KEY-----\n", SOURCE, COPY)
    assert f"repo1-sftp-host-fingerprint={'ab' * 32}\n" in text
    assert "repo1-sftp-host-port=2222\n" in text
    assert f"repo1-sftp-private-key-file={COPY}\n" in text


@pytest.mark.parametrize(
    ("type", "secret"),
    [
        (StoreType.S3, "hidden"),
        (StoreType.S3, "aws_access_key_id=A\n"),
        (StoreType.S3, KEY + KEY),
        (StoreType.S3, "aws_access_key_id=A\naws_secret_access_key=hidden repo1-path=/\n"),
        (StoreType.AZURE, "hidden\nrepo1-path=/etc"),
        (StoreType.AZURE, ""),
        (StoreType.GCS, "hidden"),
        (StoreType.GCS, '["hidden"]'),
        (StoreType.GCS, "7"),
        (StoreType.SFTP, "hidden"),
    ],
)
def test_a_key_that_is_none_is_refused_and_not_said(type: StoreType, secret: str) -> None:
    with pytest.raises(InputError) as error:
        stores.text(replace(S3, type=type), secret, SOURCE, COPY)
    assert "hidden" not in f"{error.value.message} {error.value.hint}"
    assert str(SOURCE) in error.value.message


def test_a_version_that_has_no_such_store_is_named() -> None:
    assert stores.lack(StoreType.S3, (2, 45)) is None
    assert stores.lack(StoreType.SFTP, (2, 46)) is None
    lack = stores.lack(StoreType.SFTP, (2, 45))
    assert lack == "pgBackRest 2.45 has no sftp: that needs 2.46 or newer"
    assert stores.lack(StoreType.S3, None)


def backup(name: str) -> ObservedBackup:
    return ObservedBackup(name, datetime(2026, 11, 28, tzinfo=UTC), BackupState.AVAILABLE, "full")


OLD = Stanza((backup("1F"), backup("2F")), last_segment="000000010000000000000003")


@pytest.mark.parametrize(
    ("new", "expected"),
    [
        (OLD, False),
        (Stanza(OLD.backups, last_segment="000000010000000000000004"), False),
        (None, True),
        (Stanza((backup("2F"),), last_segment=OLD.last_segment), True),
        (Stanza(OLD.backups, last_segment="000000010000000000000002"), True),
        (Stanza(OLD.backups), True),
        (Stanza(trouble="it cannot be read"), True),
    ],
)
def test_what_is_not_whole_elsewhere_stays(new: Stanza | None, expected: bool) -> None:
    assert moving.is_behind(new, OLD) is expected


def test_what_cannot_be_read_is_not_left_behind() -> None:
    with pytest.raises(NeedsHuman):
        moving.is_behind(OLD, Stanza(trouble="it cannot be read"))
    assert not moving.is_behind(None, None)


def test_each_environment_has_a_path_of_its_own(tmp_path: Path) -> None:
    layout = LongLayout(tmp_path / "shop")
    values = LocalValues(0.1, 1, repository=replace(S3, path=""))
    assert moving.store_of(values, layout, "production") == S3
    assert moving.store_of(LocalValues(0.1, 1, repository=S3), layout, "staging") == S3
    assert moving.store_of(LocalValues(0.1, 1), layout, "production") is None


def test_what_up_has_to_carry_out_is_seen(tmp_path: Path) -> None:
    layout = LongLayout(tmp_path / "shop")
    values = LocalValues(0.1, 1, repository=S3)
    why = moving.says_otherwise(PRODUCTION, values, layout)
    assert why == "its backups are to be at s3://backups/shop/production"
    stored = replace(PRODUCTION, store=S3)
    assert moving.says_otherwise(stored, values, layout) is None
    back = moving.says_otherwise(stored, LocalValues(0.1, 1), layout)
    assert back == "its backups are to be at a directory of this machine"


def test_a_manifest_keeps_its_store(tmp_path: Path) -> None:
    layout, stored = LongLayout(tmp_path / "shop"), replace(PRODUCTION, store=S3)
    write_environment(layout, stored, data_plane_owner())
    assert read_environment(layout, "production") == stored
