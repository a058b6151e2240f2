"""The text of a systemd unit: as a person has read it, and with nothing odd that acts in it.

After a change that is meant: `PGHERD_GOLDEN=write pytest tests/unit/autopilot/test_unit_text.py`,
then read the difference.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from pgherd.autopilot.unit import Unit, command_line, quoted
from pgherd.errors import InputError

GOLDEN = Path(__file__).parents[2] / "golden/systemd"
APPLIED = Path("/var/lib/pgherd/fleets/shop.applied")
ODD = Path('/srv/100% "odd" \\n $HOME ;/-x/shop.applied')


def unit(applied: Path = APPLIED, python: str = "/opt/pgherd/bin/python") -> Unit:
    return Unit(
        fleet="shop",
        applied=applied,
        start=[python, "-I", "-u", "-m", "pgherd.autopilot.boot", str(applied)],
        stop=[python, "-I", "-u", "-m", "pgherd.autopilot.leave", str(applied)],
        environment={"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", "HOME": str(applied)},
    )


UNITS = {
    "machine.service": unit(),
    "machine-with-subgroups.service": replace(unit(), version=254),
    "user.service": replace(unit(), is_users=True, version=253),
    "odd-path.service": unit(ODD, "/opt/my python/bin/python"),
}


@pytest.mark.parametrize("name", UNITS)
def test_it_is_as_a_person_has_read_it(name: str) -> None:
    path, text = GOLDEN / name, UNITS[name].text
    if os.environ.get("PGHERD_GOLDEN") == "write":
        path.write_text(text)
    assert text == path.read_text()


def read_back(value: str) -> list[str]:
    """The words of a command line as systemd reads them; for these, shells read quotes alike."""
    words = shlex.split(value.replace("%%", "%"))
    return [words[0], *(word.replace("$$", "$") for word in words[1:])]


@pytest.mark.parametrize("name", UNITS)
def test_systemd_reads_the_very_words_back(name: str) -> None:
    given = UNITS[name]
    lines = dict(line.split("=", 1) for line in given.text.splitlines() if "Exec" in line)
    assert read_back(lines["ExecStart"]) == given.start
    assert read_back(lines["ExecStop"]) == given.stop


@pytest.mark.parametrize("name", UNITS)
def test_no_line_is_anything_but_what_it_was_meant_to_be(name: str) -> None:
    plain, odd = unit().text.splitlines(), UNITS[name].text.splitlines()
    keys = {line.partition("=")[0] for line in plain if "=" in line and line[0] != "#"}
    allowed = keys | {"DelegateSubgroup"}
    for line in odd:
        assert not line.endswith("\\"), "it would go on in the next line"
        assert (
            line in ("", "[Unit]", "[Service]", "[Install]")
            or line[0] == "#"
            or (line.partition("=")[0] in allowed)
        )
    assert not re.search(r"(?<!%)%(?:%%)*(?!%)", UNITS[name].text), "a specifier"


@pytest.mark.parametrize("odd", ["\n", "\r", "\0", "\x1b", "\u2028", "\udcff", "\x85", "\t"])
def test_a_character_that_ends_a_line_or_does_not_print_is_refused(odd: str) -> None:
    folder = Path(f"/srv/a{odd}ExecStartPre=evil/shop.applied")
    with pytest.raises(InputError, match="cannot bear"):
        _ = unit(folder).text
    with pytest.raises(InputError, match="cannot bear"):
        command_line(["/bin/true", odd])
    with pytest.raises(InputError):
        command_line([f"/bin/{odd}", "x"])


@pytest.mark.parametrize(
    "fleet", ["", "Shop", "-shop", "a b", "a/b", "../a", "a.b", "a\n", "a%n", 'a"', "a@b", "a" * 32]
)
def test_what_is_no_name_of_a_fleet_is_refused(fleet: str) -> None:
    with pytest.raises(InputError, match="no name of a fleet"):
        _ = replace(unit(), fleet=fleet).text


@pytest.mark.parametrize("program", ["python", "-/bin/true", "@/bin/true", "/opt/$HOME/python", ""])
def test_a_program_that_systemd_would_take_for_something_else_is_refused(program: str) -> None:
    with pytest.raises(InputError, match="absolute path"):
        command_line([program, "x"])


def test_what_has_a_meaning_is_escaped() -> None:
    assert quoted('a b\\"%n;') == '"a b\\\\\\"%%n;"'
    assert command_line(["/bin/true", "$HOME", "-x"]) == '"/bin/true" "$$HOME" "-x"'


def test_mounts_are_named_where_that_setting_can_bear_the_path() -> None:
    mounts = re.compile("^RequiresMountsFor=(.*)$", re.MULTILINE)
    assert mounts.findall(unit(Path("/my disk/50%/shop.applied")).text) == [
        '"/my disk/50%%/shop.applied"'
    ]
    assert not mounts.findall(unit(ODD).text)


def test_it_knows_which_fleet_a_file_is_about() -> None:
    assert unit().is_replaceable(replace(unit(), version=300, is_users=True).text)
    assert not unit().is_replaceable(unit(Path("/srv/shop.applied")).text)
    assert not unit().is_replaceable("[Service]\nExecStart=/bin/true\n")


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd-analyze is not installed")
@pytest.mark.parametrize("name", UNITS)
def test_systemd_finds_nothing_wrong_with_it(name: str, tmp_path: Path) -> None:
    python = tmp_path / "my python" if name == "odd-path.service" else Path(sys.executable)
    if not python.exists():
        python.symlink_to(sys.executable)
    applied = UNITS[name].applied
    given = replace(
        UNITS[name],
        start=unit(applied, str(python)).start,
        stop=unit(applied, str(python)).stop,
        version=None,  # this one may be older than what it would be asked about
    )
    file = tmp_path / given.name
    file.write_text(given.text)
    scope = ["--user"] if given.is_users else []
    found = subprocess.run(
        ["systemd-analyze", *scope, "verify", "--man=no", file],
        env={**os.environ, "XDG_RUNTIME_DIR": str(tmp_path), "LC_ALL": "C"},
        capture_output=True,
        text=True,
        check=False,
    )
    said = [line for line in found.stderr.splitlines() if given.name in line]
    assert (found.returncode, said) == (0, []), found.stderr
