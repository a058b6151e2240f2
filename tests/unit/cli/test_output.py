"""What prints stays, what acts or hides is shown, and no encoding ends a command."""

import io
import json
import sys
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from shop import Shop

from pgherd.cli.main import main
from pgherd.cli.output import ask, printable, printable_lines, say, say_json, say_lines, styled

EXAMPLE = Path(__file__).parents[3] / "examples/ecommerce/fleet.yaml"
TEXTS = st.text(st.characters(codec=None, exclude_categories=()))


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("", ""),
        ("plain words: 1 → 2, größer, 日本語, ✅ ❌", "plain words: 1 → 2, größer, 日本語, ✅ ❌"),
        (r"C:\x1b and \n", r"C:\x1b and \n"),
        ("[red]a[/red]", "[red]a[/red]"),
        ("\x1b]0;title\x07", r"\x1b]0;title\x07"),
        ("\x00\x08\x7f", r"\x00\x08\x7f"),
        ("\x9b2J\x85", r"\x9b2J\x85"),
        ("one\r\ntwo\tthree\x0b\x0c", r"one\r\ntwo\tthree\x0b\x0c"),
        ("\u2028\u2029", r"\u2028\u2029"),
        ("\u202eabc\u2066\u2069", r"\u202eabc\u2066\u2069"),
        ("a\u200bb\u200d\ufeff\xad", r"a\u200bb\u200d\ufeff\xad"),
        ("a\xa0b\u3000c", r"a\xa0b\u3000c"),
        ("\ud800\udc9b", r"\ud800\udc9b"),
        ("\ue000\uffff\U000e0041\U0010ffff", r"\ue000\uffff\U000e0041\U0010ffff"),
    ],
)
def test_what_does_not_print_is_an_escape(text: str, shown: str) -> None:
    assert printable(text) == shown


@given(TEXTS)
def test_nothing_acts_or_hides_afterwards(text: str) -> None:
    shown = printable(text)
    bad = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
    assert not {unicodedata.category(c) for c in shown} & bad
    assert all(c == " " for c in shown if unicodedata.category(c) == "Zs")
    assert printable(shown) == shown
    assert (shown == text) == text.isprintable()


@given(TEXTS, TEXTS)
def test_each_character_is_shown_by_itself(one: str, other: str) -> None:
    assert printable(one + other) == printable(one) + printable(other)


@given(TEXTS)
def test_lines_and_tabs_stay_where_a_text_has_several(text: str) -> None:
    shown = [printable(line, keep="\t") for line in text.split("\n")]
    assert printable_lines(text).split("\n") == shown


@given(TEXTS)
def test_what_rich_draws_is_the_text_and_no_markup(text: str) -> None:
    console = Console(file=io.StringIO(), width=10_000, color_system=None)
    console.print(styled(f"[bold]:smile:[/]{text}"), soft_wrap=True)
    assert console.file.getvalue() == f"[bold]:smile:[/]{printable(text)}\n"  # type: ignore[attr-defined]


def test_a_line_goes_where_it_should(capsys: pytest.CaptureFixture[str]) -> None:
    say("one\ntwo", lead="a\x1b: ", fg="red", bold=True)
    say()
    say("three", err=True)
    say_lines("four\nfive\x07\n", err=True)
    said = capsys.readouterr()
    assert said.out == "a\\x1b: one\\ntwo\n\n"
    assert said.err == "three\nfour\nfive\\x07\n"


@given(TEXTS)
def test_json_reads_back_and_is_ascii_that_prints(text: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stdout", io.StringIO())
        say_json({text: [text]}, indent=None)
        said = sys.stdout.getvalue()  # type: ignore[attr-defined]
    assert json.loads(said) == {text: [text]}
    assert said.isascii()
    assert said.removesuffix("\n").isprintable()


def test_a_question_is_a_line_too(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(" yes \n\n"))
    assert ask("type \x1b]0;a\x07") == "yes"
    assert ask("again") == ""
    assert capsys.readouterr().out.startswith(r"type \x1b]0;a\x07: ")


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_what_an_encoding_lacks_ends_no_command(
    shop: Shop, encoding: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.write("fleet: Größe ✅\n")
    streams = [io.TextIOWrapper(io.BytesIO(), encoding, errors="strict") for _ in range(2)]
    monkeypatch.setattr(sys, "stdout", streams[0])
    monkeypatch.setattr(sys, "stderr", streams[1])
    codes = []
    for file in (EXAMPLE, shop.file):
        with pytest.raises(SystemExit) as end:
            main(["show", "-f", str(file)])
        codes.append(end.value.code)
    assert codes == [0, 2]
    told = [stream.buffer.getvalue() for stream in streams]  # type: ignore[attr-defined]
    for text, bytes_told in zip(("✅ Yes", "'Größe ✅' is not a name"), told, strict=True):
        assert text.encode(encoding, "backslashreplace") in bytes_told


def test_without_a_verb_the_help_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in ([], ["backup"]):
        with pytest.raises(SystemExit) as end:
            main(arguments)
        assert end.value.code == 2
        told = capsys.readouterr().err
        assert told.startswith("Usage: pgherd ")
        assert "error" not in told.splitlines()[0]
        assert told.endswith("\n")
