"""What pgBackRest is configured by: who may come in where, and who knows the key."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address
from pathlib import Path

import pytest
from local_fleet import ALONE, PRODUCTION, LongLayout

from pgherd.engines.local import identity
from pgherd.engines.local.backup import host
from pgherd.engines.local.backup.repository import Repository
from pgherd.engines.local.layout import Layout
from pgherd.engines.local.manifest import DatabaseManifest

ENVIRONMENT = replace(
    PRODUCTION,
    backup_program="/usr/bin/pgbackrest",
    backup_port=18432,
    repository_address="127.7.0.8",
    archive_address="127.7.0.9",
)
BACKED_UP = replace(ALONE, can_archive=True, archive="auth-1a2b3c4d")
(INSTANCE,) = BACKED_UP.instances


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return LongLayout(tmp_path / "shop")


@pytest.fixture
def repository(layout: Layout) -> Repository:
    found = Repository(layout, ENVIRONMENT)
    found.folder.mkdir(parents=True)
    return found


def lines(text: str) -> dict[str, str]:
    assert text.startswith("[global]\n")
    found = [line.partition("=") for line in text.splitlines()[1:] if line]
    assert all(separator for _, separator, _ in found)
    return {name: value for name, _, value in found if name != "tls-server-auth"}


def admitted(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.startswith("tls-server-auth=")]


def test_the_repository_is_encrypted_with_a_key_that_stays(
    repository: Repository, layout: Layout
) -> None:
    first = lines(repository.text({}))
    assert first == lines(Repository(layout, ENVIRONMENT).text({}))
    assert first["repo1-cipher-type"] == "aes-256-cbc"
    assert len(first["repo1-cipher-pass"]) >= 48
    key = repository.folder / "encryption.key"
    assert key.stat().st_mode & 0o777 == 0o600
    assert first["repo1-path"] == str(repository.folder / "repository")
    assert repository.folder == layout.root.with_name("shop.backups") / "production"
    assert first["tls-server-address"] == ENVIRONMENT.repository_address
    assert first["tls-server-port"] == "18432"


def test_each_client_opens_its_own_archive(repository: Repository) -> None:
    text = repository.text({"auth.archive": "auth-1a2b3c4d", "order.archive": "order-5e6f"})
    assert admitted(text) == [
        "tls-server-auth=auth.archive=auth-1a2b3c4d",
        "tls-server-auth=order.archive=order-5e6f",
    ]


def test_what_the_databases_user_reads_has_no_key(repository: Repository, layout: Layout) -> None:
    key = lines(repository.text({}))["repo1-cipher-pass"]
    server = host.server_text(layout, ENVIRONMENT)
    archiver = host.archiver_text(layout, ENVIRONMENT, BACKED_UP)
    for text in (server, archiver):
        assert key not in text
        assert "cipher" not in text
        assert "repo1-path" not in text
    assert admitted(server) == [f"tls-server-auth={identity.REPOSITORY}=*"]
    assert lines(server)["tls-server-address"] == ENVIRONMENT.archive_address
    assert lines(archiver)["repo1-host"] == ENVIRONMENT.repository_address
    assert lines(archiver)["repo1-host-config"] == str(repository.configuration)


def test_who_reads_for_a_restore_comes_by_another_door(layout: Layout) -> None:
    theirs = layout.repository("production") / "reading-8433.conf"
    told = lines(host.archiver_text(layout, ENVIRONMENT, BACKED_UP, 8433, theirs))
    assert told["repo1-host-port"] == "8433"
    assert told["repo1-host-config"] == str(theirs)


def test_wal_goes_nowhere_before_there_is_an_archive(layout: Layout) -> None:
    bare = replace(BACKED_UP, archive="")
    assert host.archive_command(layout, ENVIRONMENT, bare, INSTANCE) == "/bin/true"
    command = host.archive_command(layout, ENVIRONMENT, BACKED_UP, INSTANCE)
    assert "'--stanza=auth-1a2b3c4d'" in command
    assert str(layout.data(BACKED_UP.id, 1)) in command


def test_only_those_that_archive_have_a_certificate_for_it(layout: Layout) -> None:
    def names(manifest: DatabaseManifest) -> set[str]:
        return {c.identity.common_name for c in identity.of_database(layout, manifest)}

    assert names(BACKED_UP) - names(replace(BACKED_UP, can_archive=False)) == {"auth.archive"}
    with_repository = list(identity.of_environment(layout, ENVIRONMENT))
    without = list(identity.of_environment(layout, replace(ENVIRONMENT, repository_address="")))
    mine, server = [c for c in with_repository if c not in without]
    assert (mine.identity.common_name, mine.is_repositorys) == ("pgherd.repository", True)
    assert (server.identity.common_name, server.is_repositorys) == ("pgherd.archive", False)
    for one, address in ((mine, "127.7.0.8"), (server, "127.7.0.9")):
        assert one.identity.server_names == (address,)
        assert one.identity.server_addresses == (IPv4Address(address),)


def test_where_the_repositorys_owner_finds_a_server(layout: Layout) -> None:
    told = host.options(layout, ENVIRONMENT, BACKED_UP, INSTANCE)
    assert f"--pg1-host={ENVIRONMENT.archive_address}" in told
    assert f"--pg1-path={layout.data(BACKED_UP.id, 1)}" in told
    assert "--pg1-user=postgres" in told
