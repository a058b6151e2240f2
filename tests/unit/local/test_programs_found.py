"""What is installed is found, what is too old is refused, and `doctor` says what to do."""

import os
import struct
from pathlib import Path

import pytest

from pgherd.engines.local import doctor, etcd, pooler, postgres
from pgherd.engines.local.forkserver import ANEW, Start
from pgherd.engines.local.layout import Layout
from pgherd.engines.local.postgres import ClusterState
from pgherd.errors import InputError


def install(root: Path, *versions: str) -> None:
    for version in versions:
        folder = root / version / "bin"
        folder.mkdir(parents=True)
        (folder / "postgres").touch()


def test_supported_versions_are_found(tmp_path: Path) -> None:
    install(tmp_path, "9.6", "13", "14", "17", "19", "beta")
    assert postgres.installed(tmp_path) == {
        14: tmp_path / "14/bin",
        17: tmp_path / "17/bin",
    }


def test_the_newest_is_chosen_unless_one_is_wanted(tmp_path: Path) -> None:
    install(tmp_path, "14", "15", "17")
    assert postgres.choose(None, tmp_path) == (17, tmp_path / "17/bin")
    assert postgres.choose(15, tmp_path) == (15, tmp_path / "15/bin")


def test_a_version_that_is_not_installed(tmp_path: Path) -> None:
    install(tmp_path, "14", "15")
    with pytest.raises(InputError, match="PostgreSQL 16 is not installed, only 14, 15") as caught:
        postgres.choose(16, tmp_path)
    assert "postgresql-16" in caught.value.hint


def test_no_version_at_all(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="PostgreSQL is not installed"):
        postgres.choose(None, tmp_path)


def pgbouncer(path: Path, version: str) -> Path:
    path.write_text(f"#!/bin/sh\necho 'PgBouncer {version}'\n")
    path.chmod(0o755)
    return path


def test_the_first_pooler_that_is_new_enough(tmp_path: Path) -> None:
    old = pgbouncer(tmp_path / "old", "1.18.0")
    new = pgbouncer(tmp_path / "new", "1.24.1")
    newer = pgbouncer(tmp_path / "newer", "2.0.0")
    assert pooler.version(old) == (1, 18, 0)
    assert pooler.program([tmp_path / "none", old, new, newer]) == new
    assert pooler.program([newer, new]) == newer


def test_only_poolers_that_are_too_old(tmp_path: Path) -> None:
    old = pgbouncer(tmp_path / "old", "1.20.1")
    with pytest.raises(InputError, match="is not installed") as caught:
        pooler.program([old])
    assert "make setup" in caught.value.hint


def test_a_program_that_says_nothing_is_no_pooler(tmp_path: Path) -> None:
    path = tmp_path / "mute"
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    assert pooler.version(path) == (0,)


# Data directories


@pytest.mark.parametrize("state", ClusterState)
def test_the_state_of_a_cluster_is_read(tmp_path: Path, state: ClusterState) -> None:
    (tmp_path / "global").mkdir()
    content = struct.pack("=QIIi", 7_000_000_000, 1300, 202209061, state) + bytes(100)
    (tmp_path / "global/pg_control").write_bytes(content)
    assert postgres.cluster_state(tmp_path) is state


@pytest.mark.parametrize("content", [b"", b"short", b"\xff" * 20])
def test_a_damaged_control_file_says_nothing(tmp_path: Path, content: bytes) -> None:
    assert postgres.cluster_state(tmp_path) is None
    (tmp_path / "global").mkdir()
    (tmp_path / "global/pg_control").write_bytes(content)
    assert postgres.cluster_state(tmp_path) is None


@pytest.mark.parametrize("content", ["{pid}\n/data\n", "{pid}"])
def test_the_postmasters_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str
) -> None:
    assert postgres.postmaster_pid(tmp_path) is None
    (tmp_path / "postmaster.pid").write_text(content.format(pid=os.getpid()))
    assert postgres.postmaster_pid(tmp_path) is None, "it works elsewhere: an old name"
    monkeypatch.chdir(tmp_path)
    assert postgres.postmaster_pid(tmp_path) == os.getpid()


@pytest.mark.parametrize("content", ["-{pid}\n", "", "x\n", "1\n"])
def test_what_names_no_postmaster(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "postmaster.pid").write_text(content.format(pid=os.getpid()))
    assert postgres.postmaster_pid(tmp_path) is None


# The doctor


def test_every_finding_has_a_detail_and_every_trouble_a_remedy() -> None:
    found = doctor.capabilities(Layout(Path("/nowhere/at/all")))
    assert {"PostgreSQL", "PgBouncer", "etcd", "disk", "memory", "root"} <= {c.name for c in found}
    for capability in found:
        assert capability.detail
        assert capability.available or capability.remedy
    required = [c.required for c in found]
    assert required == sorted(required, reverse=True)


def test_a_missing_etcd_is_found_out(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="etcd is not installed") as caught:
        etcd.program(str(tmp_path))
    assert "make setup" in caught.value.hint


def test_without_root_databases_run_as_oneself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    with_root = {c.name: c for c in doctor.capabilities(Layout(Path("/nowhere")))}
    assert with_root["root"].available
    monkeypatch.setattr(os, "geteuid", os.getuid if os.getuid() else lambda: 65534)
    without = {c.name: c for c in doctor.capabilities(Layout(Path("/nowhere")))}
    assert not without["root"].available
    assert not without["root"].required


@pytest.mark.parametrize(
    ("revision", "wanted"),
    [
        ("1.24.1", True),
        ("1.24.1-1+deb13u1", True),
        ("1.24.1-1+deb13u2", False),
        ("1.24.1-1+deb13u10", False),
        ("1.25.1-1", True),
        ("1.25.2-1", False),
        ("1.26.1", False),
        ("2.0", False),
        ("beta", True),
    ],
)
def test_known_holes_of_poolers(revision: str, wanted: bool) -> None:
    assert pooler.has_known_holes(revision) == wanted


def test_a_poolers_revision_is_what_it_was_built_from(tmp_path: Path) -> None:
    built = tmp_path / "pgbouncer-1.24.1-1+deb13u2/bin/pgbouncer"
    built.parent.mkdir(parents=True)
    built.write_text("#!/bin/sh\necho PgBouncer 1.24.1\n")
    built.chmod(0o755)
    (tmp_path / "pgbouncer").symlink_to(built)
    assert pooler.revision(tmp_path / "pgbouncer") == "1.24.1-1+deb13u2"
    other = tmp_path / "other"
    other.write_text("#!/bin/sh\necho PgBouncer 1.25.2\n")
    other.chmod(0o755)
    assert pooler.revision(other) == "1.25.2"
    assert pooler.version(other) == (1, 25, 2)


def test_a_command_line_is_told_from_another_by_all_but_what_is_anew_each_time() -> None:
    start = Start("/f", "/l", ("/usr/bin/etcd", "--name=etcd", f"--token={ANEW}", "--a=(b)"))
    assert start.is_of("/usr/bin/etcd\0--name=etcd\0--token=5ea1\0--a=(b)")
    assert not start.is_of("/usr/bin/etcd\0--name=etcd\0--token=5ea1\0--a=b")
    assert not start.is_of("/usr/bin/etcd\0--name=etcd\0--token=5ea1\0--more\0--a=(b)")
