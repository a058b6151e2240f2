"""Tables on a terminal or in a pipe: aligned, never cut off.

On a terminal headers wrap before cells do, so that a row stays a line for as long as it can.
In a pipe each row is one line, however long.
"""

from __future__ import annotations

import click

from pgherd.fleet.summary import Table

_PIPE_WIDTH = 100_000
_NEVER_WRAPPED = 32


def print_table(table: Table) -> None:
    """The title, the header and the rows."""
    from rich import box
    from rich.cells import cell_len
    from rich.console import Console
    from rich.table import Table as RichTable
    from rich.text import Text

    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = _PIPE_WIDTH
    widths = [
        max([*map(cell_len, name.split()), *(cell_len(row[index]) for row in table.rows)])
        for index, name in enumerate(table.header)
    ]
    is_roomy = sum(widths) + 2 * len(widths) <= console.width
    drawn = RichTable(
        box=box.SIMPLE_HEAD, padding=(0, int(is_roomy), 0, 0), pad_edge=False, show_edge=False
    )
    for name, width in zip(table.header, widths, strict=True):
        drawn.add_column(Text(name), overflow="fold", min_width=min(width, _NEVER_WRAPPED))
    for row in table.rows:
        drawn.add_row(*map(Text, row))
    with console.capture() as capture:
        console.print(Text(table.title, style="bold"))
        console.print(drawn)
    lines = (line.rstrip() for line in capture.get().splitlines())
    click.echo("\n".join(lines), color=console.is_terminal)
