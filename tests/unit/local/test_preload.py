"""Patroni as the fork server has it: quicker, and otherwise as it comes."""

import json
import socket
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from pgherd.engines.local import whole
from pgherd.engines.local.preload import Answers, Preload


def program(path: Path, answer: str) -> str:
    """A program that says `answer`, and notes that it was asked."""
    path.write_text(f'#!/bin/sh\necho "$1" >> {path}.asked\necho {answer}\n')
    path.chmod(0o755)
    return str(path)


def asked(path: Path) -> list[str]:
    return Path(f"{path}.asked").read_text().split()


def test_a_program_is_asked_once(tmp_path: Path) -> None:
    postgres = program(tmp_path / "postgres", "15")
    answers = Answers()
    answers.learn(postgres)
    assert [answers.to([postgres, "--version"]) for _ in range(3)] == [b"15\n"] * 3
    assert sorted(asked(tmp_path / "postgres")) == sorted(Answers.QUESTIONS)


def test_another_program_in_its_place_is_asked_again(tmp_path: Path) -> None:
    answers = Answers()
    assert answers.to([program(tmp_path / "postgres", "15"), "--version"]) == b"15\n"
    assert answers.to([program(tmp_path / "postgres", "15.1"), "--version"]) == b"15.1\n"


@pytest.fixture(scope="module")
def preloaded() -> Preload:
    preload = Preload()
    preload.run()
    preload.run()
    return preload


def test_what_is_not_there_is_left_for_patroni_to_say(preloaded: Preload, tmp_path: Path) -> None:
    preloaded.learn(str(tmp_path / "postgres"))


def test_patroni_takes_what_the_fork_server_knows(preloaded: Preload, tmp_path: Path) -> None:
    from patroni.postgresql import Postgresql
    from patroni.utils import get_postgres_version

    postgres = program(tmp_path / "postgres", "postgres \\(PostgreSQL\\) 15.4")
    preloaded.learn(postgres)
    before = asked(tmp_path / "postgres")
    assert get_postgres_version(str(tmp_path)) == "15.4"
    instance = SimpleNamespace(pgcommand=lambda name: str(tmp_path / name))
    assert Postgresql._get_gucs(instance) == {"postgres (PostgreSQL) 15.4"}
    assert asked(tmp_path / "postgres") == before


# Patroni does not close what it writes the answer to.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_pg_rewind_is_asked_for_its_help_once(preloaded: Preload, tmp_path: Path) -> None:
    from patroni.postgresql.rewind import Rewind

    program(tmp_path / "pg_rewind", "help")
    rewind = SimpleNamespace(
        enabled=True,
        configuration_allows_rewind=lambda _: True,
        _postgresql=SimpleNamespace(
            pgcommand=lambda name: str(tmp_path / name), controldata=lambda: {}
        ),
    )
    assert all(Rewind.can_rewind.fget(rewind) for _ in range(3))
    assert asked(tmp_path / "pg_rewind") == ["--help"]


def test_patroni_reads_the_same_configuration(preloaded: Preload) -> None:
    import yaml
    from patroni import config

    assert preloaded.is_done
    text = (Path(__file__).parents[2] / "golden/local/patroni.yml").read_text()
    assert config.yaml.safe_load(text) == json.loads(text) == yaml.safe_load(text)


@pytest.mark.parametrize(
    ("postmaster", "status", "seen"),
    [
        (None, None, "NO_RESPONSE"),
        (42, None, "NO_RESPONSE"),
        (42, "starting", "REJECT"),
        (42, "ready   ", "NO_RESPONSE"),
        (43, "starting", "NO_RESPONSE"),
        (None, "starting", "NO_RESPONSE"),
    ],
)
def test_patroni_sees_whether_postgresql_answers(
    preloaded: Preload, tmp_path: Path, postmaster: int | None, status: str | None, seen: str
) -> None:
    from patroni.postgresql import PgIsReadyStatus, Postgresql

    assert preloaded.is_done
    where = {"host": str(tmp_path), "port": "5432", "user": "postgres", "options": "-c x=y"}
    if status:
        (tmp_path / "postmaster.pid").write_text("\n".join(["42", *"123456", status, ""]))
    instance = SimpleNamespace(
        data_dir=str(tmp_path),
        is_running=lambda: postmaster and SimpleNamespace(pid=postmaster),
        _database="postgres",
        connection_pool=SimpleNamespace(conn_kwargs=where),
    )
    assert Postgresql.pg_isready(instance) is PgIsReadyStatus[seen]


def test_patroni_does_not_wait_for_a_frozen_postgresql(preloaded: Preload, tmp_path: Path) -> None:
    from patroni.postgresql import PgIsReadyStatus, Postgresql

    assert preloaded.is_done
    where = {"host": str(tmp_path), "port": "5432", "user": "postgres", "connect_timeout": 1}
    instance = SimpleNamespace(
        data_dir=str(tmp_path),
        is_running=lambda: None,
        _database="postgres",
        connection_pool=SimpleNamespace(conn_kwargs=where),
    )
    with socket.socket(socket.AF_UNIX) as frozen:
        frozen.bind(str(tmp_path / ".s.PGSQL.5432"))
        frozen.listen()
        assert Postgresql.pg_isready(instance) is PgIsReadyStatus.NO_RESPONSE


def test_patroni_sends_to_etcd_at_once(preloaded: Preload) -> None:
    from patroni.dcs.etcd3 import Etcd3

    assert preloaded.is_done
    store = SimpleNamespace(ttl=30, loop_wait=10, _retry=SimpleNamespace(deadline=10))
    with socket.socket() as connection:
        Etcd3.set_socket_options(store, connection, None)
        assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        assert connection.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)


def test_patroni_polls_more_often(preloaded: Preload) -> None:
    from patroni import ha, postgresql

    assert preloaded.is_done
    assert postgresql.STOP_POLLING_INTERVAL < 1
    assert postgresql.polling_loop.keywords["interval"] < 1
    for module in (postgresql, ha):
        began = module.time.monotonic()
        module.time.sleep(1)
        assert module.time.monotonic() - began < 0.5


@pytest.mark.parametrize(
    ("listed", "streaming", "counts"),
    [
        (None, set(), True),
        (None, {"auth-2"}, True),
        ("auth-2", set(), False),
        ("auth-2,auth-3", {"auth-2"}, False),
        ("auth-2,auth-3", {"auth-2", "auth-3"}, True),
        ("auth-1,auth-2", {"auth-2"}, True),
    ],
)
def test_patroni_counts_replicas_at_once_where_none_is_lost(
    preloaded: Preload, listed: str | None, streaming: set[str], counts: bool
) -> None:
    from patroni.dcs import SyncState
    from patroni.ha import Ha

    assert preloaded.is_done
    counted = []
    state = SimpleNamespace(active=streaming)
    instance = SimpleNamespace(
        cluster=SimpleNamespace(sync=SyncState(1, "auth-1", listed, 0)),
        dcs=SimpleNamespace(loop_wait=10),
        is_quorum_commit_mode=lambda: True,
        state_handler=SimpleNamespace(
            name="auth-1",
            is_primary=lambda: True,
            sync_handler=SimpleNamespace(current_state=lambda _: state),
        ),
        _process_quorum_replication=lambda: counted.append(True),
        _promote_timestamp=time.time(),
    )
    Ha.process_sync_replication(instance)
    assert bool(counted) == counts


@pytest.mark.usefixtures("preloaded")
def test_data_that_patroni_removes_is_not_whole_before_it_is_gone(tmp_path: Path) -> None:
    from patroni.postgresql import Postgresql

    whole.mark(tmp_path)
    was_whole = []
    instance = SimpleNamespace(
        data_dir=str(tmp_path / "data"),
        _data_dir=str(tmp_path / "data"),
        set_role=lambda _: was_whole.append(whole.is_whole(tmp_path)),
    )
    Postgresql.remove_data_directory(instance)
    assert was_whole == [False]
