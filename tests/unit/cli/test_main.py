"""The command itself: finding verbs, and every way in which it can end."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from shop import Shop

from pgherd.cli.failures import errors_in
from pgherd.cli.main import VERBS, cli, main
from pgherd.engines.opening import open_engine
from pgherd.errors import InputError, TryLater
from pgherd.testing.fleets import environment


def ended(*arguments: str) -> int | str | None:
    with pytest.raises(SystemExit) as end:
        main(arguments)
    return end.value.code


def test_every_verb_is_there_and_has_a_one_line_help(shop: Shop) -> None:
    help_text = shop.out("--help")
    for verb in VERBS:
        assert f"  {verb} " in help_text
        assert shop.out(verb, "--help").startswith(f"Usage: cli {verb} ")
    assert "..." not in help_text.partition("Commands:")[2]


def test_a_wrong_verb_is_answered_with_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    assert ended("stauts") == 2
    assert capsys.readouterr().err == (
        "error: no such command 'stauts': did you mean status?\nhint: see pgherd --help\n"
    )


def test_a_wrong_option_is_an_input_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert ended("status", "--jsn") == 2
    assert "hint: see pgherd status --help" in capsys.readouterr().err


def test_errors_are_told_with_their_hint(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert ended("show", "-f", str(tmp_path / "none.yaml")) == 2
    assert capsys.readouterr().err.startswith(f"error: {tmp_path}/none.yaml: does not exist")


def test_each_problem_of_a_fleet_file_is_a_line(shop: Shop) -> None:
    shop.write("fleet: Shop\nservices: [auth, auth]\nenvironments: {}\n")
    lines = shop.err("show", exit_code=2).splitlines()
    assert len(lines) > 1
    assert all(line.startswith(f"error: {shop.file}") for line in lines)


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert ended("--version") == 0
    assert capsys.readouterr().out.startswith("pgherd 0.")


@pytest.mark.parametrize("debug", [True, False])
def test_what_nobody_expected_is_one_line_and_a_file(
    debug: bool,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setitem(VERBS, "show", "pgherd.cli.show:nothing_of_that_name")
    assert ended(*(["--debug"] if debug else []), "show") == 1
    said = capsys.readouterr().err
    files = list(tmp_path.glob("*.traceback"))
    if debug:
        assert "Traceback" in said
        assert files == []
    else:
        assert said.startswith("error: unexpected: AttributeError: ")
        assert said.endswith(f"hint: report it with {files[0]}\n")
        assert "Traceback" in files[0].read_text()


def test_ctrl_c_says_that_the_same_command_goes_on(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "main", interrupted)
    assert ended("up") == 130
    assert "the same command goes on from here" in capsys.readouterr().err


def test_a_closed_pipe_is_silent(shop: Shop) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    process = subprocess.run(
        [sys.executable, "-m", "pgherd", "show", "-f", str(shop.file)],
        stdout=writer,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    os.close(writer)
    assert process.stderr == ""


def test_errors_of_ours_are_found_in_groups() -> None:
    ours, other = TryLater("late"), ValueError("odd")
    assert errors_in(ExceptionGroup("", [ExceptionGroup("", [ours])])) == [ours]
    assert errors_in(ExceptionGroup("", [ours, other])) == []


def test_an_engine_that_is_not_there_yet_is_refused() -> None:
    with pytest.raises(InputError, match="engine 'kubernetes' is not there yet"):
        open_engine("kubernetes", "shop")


def test_an_environment_on_oci_says_where_it_is() -> None:
    with pytest.raises(InputError, match="production is on engine oci and has no region"):
        open_engine("oci", "shop", [environment("production", engine="oci")])
