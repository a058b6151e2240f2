"""The screens: the fleet, one database, and help. Each draws what was found last."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, cast

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.screen import Screen
from textual.widgets import Input, Static

from pgherd.cli.live import drawing
from pgherd.cli.output import styled
from pgherd.report import top_words
from pgherd.report.top import TopRow

if TYPE_CHECKING:
    from rich.text import Text  # noqa: TID251 - the type alone

    from pgherd.cli.live.app import TopApp

_HEAD_LINES = 3
_AROUND = _HEAD_LINES + 3
"""Lines that are not rows: the head, the heading, the last event, the keys."""


def joined(lines: Sequence[Text]) -> Text:
    """Lines as one text."""
    newline = styled()
    newline.append("\n")
    return newline.join(lines)


class Shown(Screen[None]):
    """One of them; `show` is called when there is something new."""

    @property
    def top(self) -> TopApp:
        """Whose screen it is."""
        return cast("TopApp", self.app)

    def show(self) -> None:
        """Draw what was found last."""

    def on_mount(self) -> None:
        """It is there."""
        self.show()

    def on_resize(self) -> None:
        """Another width has room for other columns."""
        self.show()


class FleetScreen(Shown):
    """All databases, one a line."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "move(-1)"),
        Binding("down,j", "move(1)"),
        Binding("pageup", "page(-1)"),
        Binding("pagedown", "page(1)"),
        Binding("home", "edge(0)"),
        Binding("end", "edge(1)"),
        Binding("enter,right", "open"),
        Binding("slash", "filter"),
        Binding("escape", "unfilter"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self.chosen: str | None = None
        self._first = 0

    def compose(self) -> ComposeResult:
        """The parts, from the top."""
        yield Static(id="head")
        yield Static(id="rows")
        yield Static(id="below")
        yield Input(
            placeholder="words of name, state or last event",
            id="filter",
            compact=True,
            disabled=True,  # it takes no key until somebody filters
        )
        yield Static(id="keys")

    def on_mount(self) -> None:
        """No filter is asked for yet."""
        self.query_one("#filter").display = False
        super().on_mount()

    def rows(self) -> list[TopRow]:
        """Those that are shown."""
        found = self.top.found
        return self.top.picked.rows(found.rows) if found else []

    def show(self) -> None:
        """Draw the table around the chosen row."""
        found, width = self.top.found, self.size.width
        if not width or not self.is_mounted:
            return
        rows = self.rows()
        place = self._place(rows)
        room = max(1, self.size.height - _AROUND)
        self._first = max(0, min(self._first, place, len(rows) - 1), place - room + 1)
        keys = top_words.KEYS if len(top_words.KEYS) <= width else top_words.FEW_KEYS
        self.query_one("#keys", Static).update(drawing.cut(keys, width, "dim"))
        notice = drawing.cut(self.top.notice, width)
        if found is None:
            self.query_one("#head", Static).update(joined([styled("looking ..."), notice]))
            return
        head = drawing.head(found, rows, self.top.notice, width)
        self.query_one("#head", Static).update(joined(head))
        shown = rows[self._first : self._first + room]
        heading, lines = drawing.table(shown, found.at, width, self.top.marks, self.top.style_of)
        heading.pad_right(width - heading.cell_len)
        heading.stylize(drawing.HEADING)
        if rows:
            line = lines[place - self._first]
            line.pad_right(width - line.cell_len)
            line.stylize(drawing.CHOSEN)
        self.query_one("#rows", Static).update(joined([heading, *lines]))
        below = drawing.below(rows[place] if rows else None, width)
        self.query_one("#below", Static).update(below)

    def _place(self, rows: Sequence[TopRow]) -> int:
        """Where the chosen one is now; it stays chosen wherever it is sorted to."""
        for index, row in enumerate(rows):
            if row.id == self.chosen:
                return index
        self.chosen = rows[0].id if rows else None
        return 0

    def action_move(self, by: int) -> None:
        """Choose another row."""
        rows = self.rows()
        if rows:
            place = max(0, min(len(rows) - 1, self._place(rows) + by))
            self.chosen = rows[place].id
            self.show()

    def action_page(self, by: int) -> None:
        """The same, a screen farther."""
        self.action_move(by * max(1, self.size.height - _AROUND))

    def action_edge(self, end: int) -> None:
        """The first or the last one."""
        self.action_move(len(self.rows()) * (1 if end else -1))

    def action_open(self) -> None:
        """Show the chosen one alone."""
        if self.chosen is not None:
            self.app.push_screen(DatabaseScreen(self.chosen))

    def action_filter(self) -> None:
        """Ask for words."""
        field = self.query_one("#filter", Input)
        field.display, field.disabled = True, False
        self.query_one("#below").display = False
        field.value = self.top.picked.words
        field.focus()

    def action_unfilter(self) -> None:
        """Show all again."""
        self._end_filter("")

    def on_input_changed(self, event: Input.Changed) -> None:
        """What is typed goes at once."""
        if event.input.display:
            self.top.pick(words=event.value)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """The words stay."""
        self._end_filter(event.value)

    def _end_filter(self, words: str) -> None:
        field = self.query_one("#filter", Input)
        field.display, field.disabled = False, True
        self.query_one("#below").display = True
        self.set_focus(None)
        self.top.pick(words=words)


class DatabaseScreen(Shown):
    """One database with all of it."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,left,backspace", "app.pop_screen")]

    def __init__(self, database: str) -> None:
        super().__init__()
        self.database = database

    def compose(self) -> ComposeResult:
        """A text that scrolls, and the way back."""
        with VerticalScroll():
            yield Static(id="database")
        yield Static(id="keys")

    def show(self) -> None:
        """Draw it, or that it is not there any more."""
        found, width = self.top.found, self.size.width
        if not width or not self.is_mounted:
            return
        keys = f"Escape back  Space pause  h help  q leave    {self.top.notice}"
        self.query_one("#keys", Static).update(drawing.cut(keys, width, "dim"))
        if found is None:
            lines = [styled("looking ...")]
        elif row := found.row(self.database):
            marks, style_of = self.top.marks, self.top.style_of
            lines = list(drawing.detail(row, found, width, marks, style_of))
        else:
            lines = [styled(f"{self.database} is not there any more")]
        self.query_one("#database", Static).update(joined(lines))


class HelpScreen(Shown):
    """All keys."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,h,question_mark,enter,space,left", "app.pop_screen")
    ]

    def compose(self) -> ComposeResult:
        """A text that scrolls."""
        with VerticalScroll():
            yield Static(joined(list(drawing.help_lines())))
        yield Static(drawing.cut("Escape back  q leave", 80, "dim"), id="keys")
