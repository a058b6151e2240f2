"""What is taken of a process that belongs to somebody with fewer rights: so much, for so long."""

from __future__ import annotations

import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from pgherd.autopilot import reading
from pgherd.autopilot.now import Now, NowOfDatabase
from pgherd.autopilot.place import AutopilotPlace
from pgherd.autopilot.reading import History, Told, Wanted
from pgherd.autopilot.requests import HistoryAt
from pgherd.errors import TryLater
from pgherd.store.store import Store
from pgherd.store.values import Sample


def saying(program: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-I", "-c", program], stdout=subprocess.PIPE)


def test_all_that_is_said_is_taken() -> None:
    assert reading._output(saying("print('a' * 100_000, end='')")) == b"a" * 100_000


def test_it_is_taken_up_to_a_length(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "LONGEST", 1000)
    found = reading._output(saying("while True: print('a' * 100_000)"))
    assert found is not None
    assert len(found) <= 1000 + 65536


def test_who_says_nothing_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "READ_SECONDS", 0.2)
    process = saying("import time; time.sleep(60)")
    began = time.monotonic()
    assert reading._output(process) is None
    assert time.monotonic() - began < 10
    assert process.returncode is not None


def test_where_nothing_was_ever_kept_there_is_nothing(tmp_path: Path) -> None:
    place = AutopilotPlace("shop", tmp_path / "shop.applied", tmp_path / "shop.history")
    assert Told(place, lambda: HistoryAt("shop")).read(Wanted()) == History()


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    """A history of two databases: one with an old event, one with many."""
    path, now = tmp_path / "history.db", datetime.now(UTC)
    store = Store(path)
    for n, id in enumerate(["production/auth", *["production/order"] * 5]):
        store.add_event(now + timedelta(seconds=n), "scale", str(n), database=id)
    store.add_samples(now, {"production/auth": Sample(ocpus=4, cpu=1, transactions=9)})
    sizes = NowOfDatabase(4, 4, "", "", 2, 8, True, None, None, None, None)
    databases = {"production/auth": sizes, "production/order": sizes}
    store.remember("now", msgspec.json.encode(Now(now.timestamp(), databases)))
    store.close()
    return path


def read(kept: Path, wanted: Wanted, capfdbinary: pytest.CaptureFixture[bytes]) -> list[History]:
    reading.main(str(kept), msgspec.json.encode(wanted).decode())
    lines = capfdbinary.readouterr().out.splitlines()
    return [msgspec.json.decode(line, type=History) for line in lines]


def test_of_each_database_there_are_events_however_many_another_one_has(
    kept: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    (found,) = read(kept, Wanted(limit=2), capfdbinary)
    assert [event.reason for event in found.events] == ["5", "4"]
    assert found.loads == {}
    (found,) = read(kept, Wanted(limit=2, of_each=1), capfdbinary)
    assert [event.reason for event in found.events] == ["5", "4", "0"]


def test_the_load_is_read_in_percent_of_what_there_was(
    kept: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    (found,) = read(kept, Wanted(load_seconds=600.0), capfdbinary)
    ((load,),) = found.loads.values()
    assert (load.cpu_percent, load.transactions_per_second, load.clients) == (25.0, 9.0, None)
    assert abs(load.at - time.time()) < 60


def test_it_is_read_again_and_again(
    kept: Path, monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    pauses: list[float] = []

    def sleep(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr(time, "sleep", sleep)
    with pytest.raises(KeyboardInterrupt):
        reading.main(str(kept), '{"every_seconds": 7}')
    assert pauses == [7.0] * 3
    assert len(capfdbinary.readouterr().out.splitlines()) == 3


async def test_what_is_watched_ends_with_who_watches(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = "import time\nwhile True: print('{}', flush=True); time.sleep(0.01)"
    monkeypatch.setattr(reading, "_command", lambda *_: [sys.executable, "-I", "-c", program])
    place = AutopilotPlace("shop", tmp_path / "shop.applied", tmp_path / "shop.history")
    assert [found async for found in Told(place, lambda: HistoryAt("shop")).watch(Wanted())] == []
    place.history.mkdir()
    watching = Told(place, lambda: HistoryAt("shop")).watch(Wanted())
    assert [await anext(watching) for _ in range(3)] == [History()] * 3
    await watching.aclose()
    with pytest.raises(StopAsyncIteration):
        await anext(watching)


@pytest.mark.parametrize("said", ["nonsense", '{"loads": 7}', "[" * 3000])
async def test_what_nobody_understands_is_told(
    said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = [sys.executable, "-I", "-c", f"print({said!r})"]
    monkeypatch.setattr(reading, "_command", lambda *_: command)
    place = AutopilotPlace("shop", tmp_path / "shop.applied", tmp_path / "shop.history")
    place.history.mkdir()
    with pytest.raises(TryLater, match="cannot be read"):
        await anext(Told(place, lambda: HistoryAt("shop")).watch(Wanted()))
