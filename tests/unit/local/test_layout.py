"""Paths are apart from each other, and short enough for sockets."""

import os
from pathlib import Path

import pytest
from local_fleet import LAYOUT

from pgherd.engines.local.layout import SOCKET_PATH_LIMIT, Layout
from pgherd.errors import InputError
from pgherd.fleet.desired import DatabaseId


def test_a_long_root_is_refused_with_a_way_out() -> None:
    with pytest.raises(InputError, match="too long") as caught:
        Layout(Path("/srv") / ("x" * 80))
    assert "PGHERD_STATE" in caught.value.hint


def test_a_root_in_another_script_counts_in_bytes() -> None:
    Layout(Path("/srv/" + "x" * 20))
    with pytest.raises(InputError):
        Layout(Path("/srv/" + "語" * 20))


def test_sockets_of_the_longest_allowed_root_fit() -> None:
    length = max(n for n in range(1, 100) if is_accepted("/" + "x" * n))
    layout = Layout(Path("/" + "x" * length))
    id = DatabaseId("production", "notification")
    for folder in (layout.socket_folder(id, 10), layout.pooler_socket_folder(id)):
        assert len(os.fsencode(folder / ".s.PGSQL.15432")) <= SOCKET_PATH_LIMIT
    assert len(os.fsencode(layout.agent_socket)) <= SOCKET_PATH_LIMIT


def test_names_that_are_too_long_for_sockets() -> None:
    layout = Layout(Path("/var/lib/pgherd/fleets/ecommerce"))
    assert layout.has_room_for_sockets(DatabaseId("production", "notification"))
    assert not layout.has_room_for_sockets(DatabaseId("e" * 31, "s" * 31))


def is_accepted(root: str) -> bool:
    try:
        Layout(Path(root))
    except InputError:
        return False
    return True


def test_no_two_databases_share_a_path() -> None:
    ids = [DatabaseId(e, s) for e in ("a", "a-b", "b") for s in ("c", "b-c", "a-c")]
    for path in (LAYOUT.database, LAYOUT.pooler, LAYOUT.database_log, LAYOUT.pooler_socket_folder):
        assert len({path(id) for id in ids}) == len(ids)
    for place in (LAYOUT.instance, LAYOUT.data, LAYOUT.socket_folder):
        assert len({place(id, n) for id in ids for n in (1, 2, 11)}) == 3 * len(ids)


def test_everything_is_below_the_root() -> None:
    id = DatabaseId("production", "auth")
    for path in (
        LAYOUT.fleet,
        LAYOUT.addresses,
        LAYOUT.agent_socket,
        LAYOUT.templates,
        LAYOUT.pki("production"),
        LAYOUT.etcd("production"),
        LAYOUT.clients(id),
        LAYOUT.data(id, 1),
        LAYOUT.socket_folder(id, 1),
    ):
        assert path.is_relative_to(LAYOUT.root)
