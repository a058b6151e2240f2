"""What a machine must give, said before anything is made."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from pgherd.engines.local import lowered, machine
from pgherd.engines.local.machine import Machine
from pgherd.files import Owner

ROOT = Path("/srv/state/shop")
OWNER = Owner(26, 26, "postgres")
ENOUGH = Machine(
    open_files=machine.OPEN_FILES,
    shared_memory=120 * machine.MEBIBYTE,
    has_locale=True,
    may_execute=True,
    may_enter=True,
)


def objections(found: Machine, instances: int = 60) -> list[str]:
    needs = machine.findings(found, instances, ROOT, OWNER)
    return [str(need.objection) for need in needs if need.objection]


def test_what_is_enough_is_enough() -> None:
    assert objections(ENOUGH) == []


@pytest.mark.parametrize(
    ("lack", "said"),
    [
        (replace(ENOUGH, open_files=256), "a process may open 256 files here"),
        (replace(ENOUGH, shared_memory=64 * machine.MEBIBYTE), "/dev/shm has 64 MiB free"),
        (replace(ENOUGH, has_locale=False), "locale C.UTF-8 is not on this machine"),
        (replace(ENOUGH, may_execute=False), "mounted noexec"),
        (replace(ENOUGH, may_enter=False), "user postgres may not enter"),
    ],
)
def test_each_lack_is_named_with_its_way_out(lack: Machine, said: str) -> None:
    (objection,) = (n.objection for n in machine.findings(lack, 60, ROOT, OWNER) if n.objection)
    assert said in objection.message
    assert objection.hint


def test_all_lacks_are_said_at_once() -> None:
    assert len(objections(Machine(0, 0, False, False, False))) == 4


def test_this_machine_is_looked_at() -> None:
    found = machine.look(Owner(os.geteuid(), os.getegid(), "me"), Path("/tmp/not/there"))
    assert found.open_files > 0
    assert found.shared_memory > 0
    assert found.has_locale
    assert found.may_enter


def test_what_is_started_inherits_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PGHOSTADDR", "PYTHONPATH", "LC_ALL", "PATRONI_NAME", "LD_LIBRARY_PATH"):
        monkeypatch.setenv(name, "nonsense")
    variables = lowered.environment(Path("/srv"))
    assert variables == {"PATH": lowered.SEARCHED, "LANG": "C.UTF-8", "HOME": "/srv"}
    assert lowered.python("pgherd")[1:3] == ["-I", "-u"]
    chosen = lowered.options(Owner(os.geteuid(), os.getegid(), "me"), Path("/srv"))
    assert chosen["cwd"] == "/"
    assert chosen["umask"] == 0o077
    assert "user" not in chosen


def test_root_lets_go_of_its_rights() -> None:
    if os.geteuid() != 0:
        pytest.skip("only root has rights to let go of")
    chosen = lowered.options(OWNER, Path("/srv"))
    assert (chosen["user"], chosen["group"], chosen["extra_groups"]) == (26, 26, [])


async def test_what_cannot_be_removed_is_named(tmp_path: Path) -> None:
    me = Owner(os.geteuid(), os.getegid(), "me")
    (tmp_path / "a/b").mkdir(parents=True)
    await lowered.remove(me, tmp_path, [tmp_path / "a", tmp_path / "nothing"])
    assert list(tmp_path.iterdir()) == []
