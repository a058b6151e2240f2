"""Tables on a terminal or in a pipe: aligned, never cut off.

On a terminal headers wrap before cells do, so that a row stays a line for as long as it can.
In a pipe each row is one line, however long.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import click

from pgherd.cli.output import styled
from pgherd.fleet.summary import Table

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.text import Text  # noqa: TID251 - the type alone

_PIPE_WIDTH = 100_000


def plain(cell: str) -> str:
    """The style of every cell: none."""
    return ""


def print_table(table: Table, style: Callable[[str], str] = plain) -> None:
    """The title, the header and the rows; `style` gives a cell's colour on a terminal."""
    console = _console()
    _print(console, drawn(table, console, style))


def console_width() -> int:
    """How wide a table may be; in a pipe as wide as it likes."""
    return _console().width


def fits(table: Table, width: int) -> bool:
    """Each row is one line of that width, with nothing wrapped."""
    lines = [[styled(cell) for cell in line] for line in (table.header, *table.rows)]
    widths = [max(cell.cell_len for cell in column) for column in zip(*lines, strict=True)]
    return bool(sum(widths) + 2 * (len(widths) - 1) <= width)


def print_lines(lines: Sequence[Text]) -> None:
    """Lines that were drawn already, by `styled`, for the width that there is."""
    from rich.console import Console

    console = Console(highlight=False, soft_wrap=True)
    _print(console, lines)


def _console() -> Console:
    from rich.console import Console

    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = _PIPE_WIDTH
    return console


def _print(console: Console, parts: Sequence[RenderableType]) -> None:
    with console.capture() as capture:
        for part in parts:
            console.print(part)
    lines = (line.rstrip() for line in capture.get().splitlines())
    # What was drawn has been escaped, and has colours that stay.
    click.echo("\n".join(lines), file=sys.stdout, color=console.is_terminal)  # noqa: TID251


def drawn(
    table: Table, console: Console, style: Callable[[str], str] = plain
) -> tuple[RenderableType, RenderableType]:
    """The title and the table as they fit the console."""
    from rich import box
    from rich.table import Table as RichTable

    header = [styled(name) for name in table.header]
    rows = [[styled(cell, style(cell)) for cell in row] for row in table.rows]
    gap, widths = _layout(header, rows, console.width)
    grid = RichTable(
        box=box.SIMPLE_HEAD, padding=(0, gap - 1, 0, 0), pad_edge=False, show_edge=False
    )
    for name, width in zip(header, widths, strict=True):
        grid.add_column(name, overflow="fold", width=width)
    for row in rows:
        grid.add_row(*row)
    return styled(table.title, "bold"), grid


def _layout(
    header: Sequence[Text], rows: Sequence[Sequence[Text]], width: int
) -> tuple[int, Sequence[int | None]]:
    """The gap between columns and their widths: as wide as needed, else with wrapped headers.

    Where not even that fits, the widths are left open, for cells to wrap as well.
    """
    from rich.cells import cell_len

    cells = [max(cell.cell_len for cell in column) for column in zip(*rows, strict=True)]
    cells = cells or [0] * len(header)
    full = [max(w, name.cell_len) for w, name in zip(cells, header, strict=True)]
    words = [
        max(w, *map(cell_len, name.plain.split())) for w, name in zip(cells, header, strict=True)
    ]
    for widths in (full, words):
        for gap in (2, 1):
            if sum(widths) + gap * (len(widths) - 1) <= width:
                return gap, widths
    return 1, [None] * len(words)
