"""Reading the logs of a database: a line is what ends with a newline, and nothing else."""

from pathlib import Path

from pgherd.contract.logs import LogLine
from pgherd.engines.local.logs import lines_of


def test_only_a_newline_ends_a_line(tmp_path: Path) -> None:
    text = "one\rforged\x0b\x85\u2028line\n\ttwo\r\nthree"
    (tmp_path / "auth-1.postgresql.log").write_bytes(text.encode())
    lines = list(lines_of(tmp_path, None, lines=50, follow=False))
    assert lines == [
        LogLine("auth-1.postgresql", "one\rforged\x0b\x85\u2028line"),
        LogLine("auth-1.postgresql", "\ttwo"),
        LogLine("auth-1.postgresql", "three"),
    ]


def test_the_last_lines_are_read(tmp_path: Path) -> None:
    (tmp_path / "pooler.log").write_text("one\ntwo\nthree\n")
    lines = [line.text for line in lines_of(tmp_path, None, lines=2, follow=False)]
    assert lines == ["two", "three"]
