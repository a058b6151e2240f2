"""The screens of `pgherd top` as lines of text: escaped, cut to the width, in few colours.

All that colours say is said in words, too. It knows no Textual: `top --once` prints the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from pgherd.cli.live.gathering import Found
from pgherd.cli.output import printable, styled
from pgherd.fleet.summary import Table
from pgherd.report import top_detail, top_words
from pgherd.report.autopilot import autopilot_text
from pgherd.report.top import TopRow
from pgherd.report.top_columns import COLUMNS, TRAIL, Column, Laid, laid, last, trail

if TYPE_CHECKING:
    from rich.text import Text  # noqa: TID251 - the type alone

Style = Callable[[str], str]
HEADING = "reverse"
CHOSEN = "reverse bold"
BUSY_PERCENT = 80.0


def table(
    rows: Sequence[TopRow], now: float, width: int, marks: str, style: Style
) -> tuple[Text, list[Text]]:
    """The heading, and a line for each row; none is longer than the width."""
    cells = [[printable(column.cell(row)) for column in COLUMNS] for row in rows]
    longest = [max((_long(line[i]) for line in cells), default=0) for i in range(len(COLUMNS))]
    plan = laid(longest, width)
    heading = _line(plan, {column: column.title for column in COLUMNS}, lambda c, text: "")
    drawn = []
    for row, line in zip(rows, cells, strict=True):
        texts = dict(zip(COLUMNS, line, strict=True))
        texts[TRAIL] = trail(row, now, plan.width_of(TRAIL), marks)
        drawn.append(_line(plan, texts, lambda c, text, row=row: _style(c, text, row, style)))  # type: ignore[misc]
    return heading, drawn


def head(found: Found, rows: Sequence[TopRow], notice: str, width: int) -> list[Text]:
    """What stands above the table; `notice` is what the user has chosen, or what went wrong."""
    lines = (autopilot_text(found.autopilot, found.at), top_words.summary(rows), notice)
    return [cut(line, width) for line in lines]


def below(row: TopRow | None, width: int) -> Text:
    """The last event of the row that is chosen."""
    if row is None:
        return styled()
    return cut(f"{row.id}: {last(row) or 'no event yet'}", width)


def detail(row: TopRow, found: Found, width: int, marks: str, style: Style) -> Iterator[Text]:
    """One database. Long lines are left long: the screen folds them."""
    yield styled(f"{row.id}: {row.sight.state}", "bold")
    for line in top_detail.facts(row):
        yield styled(line)
    for line in top_detail.why(row, found.told, found.at):
        yield styled(line)
    yield styled()
    yield from grid(top_detail.instances(row), width, style)
    yield styled()
    yield styled("LAST 10 MINUTES", "bold")
    for line in top_detail.trails(row, found.at, width, marks):
        yield cut(line, width)
    yield styled()
    past = top_detail.past(row, found.told)
    yield styled("LAST EVENTS" if past else "no event yet", "bold" if past else "")
    for line in past:
        yield styled(line)


def grid(what: Table, width: int, style: Style) -> Iterator[Text]:
    """A table with a heading; empty columns are left away, and the last ones where it is narrow."""
    lines = [what.header, *what.rows]
    columns = [
        [printable(line[i]) for line in lines]
        for i in range(len(what.header))
        if any(row[i] for row in what.rows)
    ]
    if not columns:
        yield styled("no instance is there")
        return
    widths = [max(_long(cell) for cell in column) for column in columns]
    while len(widths) > 1 and sum(widths) + len(widths) - 1 > width:
        widths.pop()
    for index in range(len(lines)):
        line = styled()
        for place, room in enumerate(widths):
            cell = columns[place][index]
            line.append_text(_cell(cell, room, is_right=place > 2, style=style(cell)))
            line.append(" ")
        if index == 0:
            line.stylize(HEADING)
        line.truncate(width)
        yield line


def help_lines() -> Iterator[Text]:
    """All keys, then all columns."""
    yield styled("KEYS", "bold")
    for keys, what in top_words.HELP:
        yield styled(f"  {keys:18} {what}")
    yield styled("COLUMNS", "bold")
    for line in top_words.LEGEND:
        yield styled(f"  {line}")


def cut(line: str, width: int, style: str = "") -> Text:
    """One line, with `…` for what there is no room for."""
    text = styled(line, style)
    text.truncate(width, overflow="ellipsis")
    return text


def _line(plan: Laid, cells: dict[Column, str], style: Callable[[Column, str], str]) -> Text:
    line = styled()
    for index, (column, width) in enumerate(zip(plan.columns, plan.widths, strict=True)):
        if index:
            line.append(" ")
        text = cells[column]
        line.append_text(_cell(text, width, is_right=column.is_right, style=style(column, text)))
    return line


def _cell(cell: str, width: int, *, is_right: bool, style: str) -> Text:
    text = styled(cell, style)
    text.truncate(width, overflow="ellipsis")
    if is_right:
        text.pad_left(width - text.cell_len)
    else:
        text.pad_right(width - text.cell_len)
    return text


def _style(column: Column, cell: str, row: TopRow, style: Style) -> str:
    if column.title == "STATE":
        return style(cell)
    if column.title == "CPU" and row.cpu is not None and row.cpu >= BUSY_PERCENT:
        return "bold yellow"
    if column.title == "WAIT" and row.waiting:
        return "bold yellow"
    return ""


def _long(cell: str) -> int:
    from rich.cells import cell_len

    return cell_len(cell)
