"""The door of commands, wherever the state folder is."""

from __future__ import annotations

import threading
from pathlib import Path

import msgspec
import pytest

from pgherd.autopilot.main import _listen
from pgherd.autopilot.place import place_of
from pgherd.autopilot.questions import State, Status, ask

STATE = State(1, "1.0", False, False, None, None, 3)


@pytest.mark.parametrize("length", [1, 107, 200])
def test_it_is_found_however_long_its_path_is(tmp_path: Path, length: int) -> None:
    applied = tmp_path / ("d" * length) / "shop.applied"
    applied.mkdir(parents=True)
    place = place_of(applied)
    with _listen(place) as listening:
        assert place.socket.is_socket()

        def answer() -> None:
            with listening.accept()[0] as client:
                assert client.recv(1000)
                client.sendall(msgspec.json.encode(STATE))

        answering = threading.Thread(target=answer)
        answering.start()
        found = ask(place, Status())
        answering.join()
    assert found == STATE


def test_where_there_is_no_folder_nobody_answers(tmp_path: Path) -> None:
    assert ask(place_of(tmp_path / "shop.applied"), Status()) is None
