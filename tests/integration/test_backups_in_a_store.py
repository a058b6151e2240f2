"""Backups of a real fleet in a store: a server that speaks S3, over TLS."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import boto3
import psycopg
import pytest
from s3_server import BUCKET, READER, REGION, SECRET, WRITER, S3Server, s3_server
from tiny_place import Place, new_place

pytestmark = pytest.mark.integration
MOVED: dict[str, str] = {}
"""Where backups are by now, once they have moved."""


@pytest.fixture(scope="module")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    folder = tmp_path_factory.mktemp("s3")
    for path in (folder, *folder.parents):  # the repository's owner reads the authority
        if path.stat().st_uid == os.geteuid() and path != Path("/tmp"):
            path.chmod(path.stat().st_mode | 0o711)
    with s3_server(folder) as server:
        yield server


def repository(s3: S3Server, **more: str) -> str:
    keys = {
        "type": "s3",
        "bucket": BUCKET,
        "region": REGION,
        "endpoint": s3.endpoint,
        "uri_style": "path",
        "ca_file": str(s3.authority),
        "key_file": str(s3.key_file()),
        "read_key_file": str(s3.key_file(READER)),
        **MOVED,
        **more,
    }
    return f"    local: {{repository: {json.dumps(keys)}}}"


@pytest.fixture(scope="module")
def place(s3: S3Server) -> Iterator[Place]:
    with new_place() as place:
        place.want(services="auth", overrides="", more=repository(s3))
        place.up()
        with place.connect("auth") as client:
            client.execute("CREATE TABLE written (row text)")
        place.run("backup", "now", "lab/auth")
        yield place


def backups(place: Place) -> list[str]:
    found = json.loads(place.run("backup", "list", "lab/auth", "--json"))["backups"]
    return [backup["name"] for backup in found]


def write(place: Place, row: str) -> str:
    with place.connect("auth") as client:
        client.execute("INSERT INTO written VALUES (%s)", [row])
    time.sleep(1.1)
    moment = datetime.now(UTC)
    time.sleep(1.1)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%f")


def test_a_database_comes_back_from_its_store(place: Place, s3: S3Server) -> None:
    moment = write(place, "one")
    place.run("backup", "now", "lab/auth")
    write(place, "two")
    place.want(services="auth, then", overrides="", more=repository(s3))
    seen = len(s3.requests())
    place.run("restore", "lab/auth", "--to", moment, "--as", "then")
    with psycopg.connect(place.run("url", "lab/then").strip()) as client:
        assert client.execute("SELECT row FROM written").fetchall() == [("one",)]
    # What brought it back had the key that can read, and nothing else.
    fetched = [r.split() for r in s3.requests()[seen:] if "/bundle/" in r]
    assert {key for key, method, _ in fetched if method == "GET"} == {READER}
    place.run("destroy", "--yes-destroy", "lab/then", "lab/then")


def test_nothing_of_it_is_on_this_machine(place: Place, s3: S3Server) -> None:
    folder = place.root.with_name(f"{place.fleet}.backups") / "lab"
    assert not any((folder / "repository").rglob("*.lz4"))
    archive = place.manifest("auth")["archive"]
    assert any(f"/tiny/lab/backup/{archive}" in request for request in s3.requests())


def test_the_key_is_where_it_has_to_be_and_nowhere_else(place: Place) -> None:
    folder = place.root.with_name(f"{place.fleet}.backups") / "lab"
    found = subprocess.run(
        ["/usr/bin/grep", "--recursive", "--files-with-matches", SECRET, place.root, folder],
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.stdout.split() == [str(folder / "private/pgbackrest.conf")]
    status = (folder / "private/pgbackrest.conf").stat()
    assert (status.st_uid, status.st_mode & 0o027) == (os.geteuid(), 0)


def test_backups_move_to_another_store_once_all_are_there(place: Place, s3: S3Server) -> None:
    before = backups(place)
    place.want(services="auth", overrides="", more=repository(s3, path="/elsewhere"))
    said = place.run("up", exit_code=2)
    assert "backups of lab are at s3://backups/tiny/lab, and not at s3://backups/elsewhere" in said
    assert "lab/auth runs" in said
    place.run("down", "lab")
    assert "is not whole there" in place.run("up", exit_code=2)
    copy(s3, "tiny/lab/", "elsewhere/")
    MOVED["path"] = "/elsewhere"
    place.up()
    assert backups(place) == before
    place.run("backup", "now", "lab/auth")
    # What it has had since is not where it was.
    place.run("down", "lab")
    place.want(services="auth", overrides="", more=repository(s3, path="/tiny/lab"))
    assert "is not whole there" in place.run("up", exit_code=2)
    place.want(services="auth", overrides="", more=repository(s3))
    place.up()


def copy(s3: S3Server, old: str, new: str) -> None:
    client = boto3.client(
        "s3",
        endpoint_url=f"https://{s3.endpoint}",
        region_name=REGION,
        aws_access_key_id=WRITER,
        aws_secret_access_key=SECRET,
        verify=str(s3.authority),
    )
    for page in client.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix=old):
        for name in (found["Key"] for found in page["Contents"]):
            source = {"Bucket": BUCKET, "Key": name}
            client.copy_object(Bucket=BUCKET, Key=new + name.removeprefix(old), CopySource=source)
    client.close()


def test_a_key_that_others_may_read_is_refused_and_is_not_said(place: Place, s3: S3Server) -> None:
    open_to_all = s3.key_file().with_name("open.key")
    open_to_all.write_text(f"aws_access_key_id = x\naws_secret_access_key = {SECRET}\n")
    open_to_all.chmod(0o644)
    place.want(services="auth", overrides="", more=repository(s3, key_file=str(open_to_all)))
    said = place.run("up", exit_code=2)
    assert "may be read by others" in said
    assert SECRET not in said
    place.want(services="auth", overrides="", more=repository(s3))
    place.up()
