"""What commands print: text in which nothing acts but pgherd's own colours.

Log lines, names, reasons and messages come from servers, clouds and files, and so from whoever
can write into those. A terminal obeys some characters, and people are fooled by others, so all
that does not print is shown as an escape, as in `\\x1b`. Lint keeps commands from going past this.
"""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any, TextIO

import click

if TYPE_CHECKING:
    from rich.text import Text


def printable(text: str, *, keep: str = "") -> str:
    """The same on one line, with an escape for each character that does not print.

    Those are control and format characters, separators but for the space, and what stands for
    no character. `keep` are the ones that stay.
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c in keep else _escape(c) for c in text)


def printable_lines(text: str) -> str:
    """A text that may have several lines, and tabs in them; each line is as from `printable`."""
    return printable(text, keep="\n\t")


def say(
    text: str = "",
    *,
    lead: str = "",
    fg: str | None = None,
    bold: bool = False,
    keep: str = "",
    err: bool = False,
) -> None:
    """Print one line, whoever wrote it: `lead` in its colour, then the text."""
    start = click.style(printable(lead), fg=fg, bold=bold or None) if lead else ""
    click.echo(start + printable(text, keep=keep), file=_stream(err=err))


def say_lines(text: str, *, err: bool = False) -> None:
    """Print a document, which ends its own last line."""
    click.echo(printable_lines(text), file=_stream(err=err), nl=False)


def say_json(document: Any, *, indent: int | None = 2) -> None:
    """Print JSON, in ASCII with escapes of its own: each text reads back as what it is."""
    click.echo(json.dumps(document, indent=indent, ensure_ascii=True), file=_stream())


def ask(question: str) -> str:
    """What the user types in answer; empty for nothing."""
    answer: str = click.prompt(printable(question), default="", show_default=False)
    return answer.strip()


def styled(text: str = "", style: str = "") -> Text:
    """A text for what rich draws: on one line, and never read as markup."""
    from rich.text import Text

    return Text(printable(text), style=style)


def show_what_an_encoding_lacks() -> None:
    """From now on that is an escape, too, and does not end the command."""
    for stream in (sys.stdout, sys.stderr):
        if reconfigure := getattr(stream, "reconfigure", None):
            reconfigure(errors="backslashreplace")


def escape_reports() -> None:
    """From now on what libraries report of their own accord is escaped, too."""
    import logging

    class Escaping(logging.Formatter):
        def format(self, record: logging.LogRecord) -> str:
            return printable_lines(super().format(record))

    if logging.lastResort is not None:
        logging.lastResort.setFormatter(Escaping())


def _escape(character: str) -> str:
    return character.encode("unicode_escape").decode()


def _stream(*, err: bool = False) -> TextIO:
    # Left to itself click writes UTF-8 where the encoding is ASCII, and some of its bytes are
    # control characters to a terminal that takes them one by one.
    return sys.stderr if err else sys.stdout
