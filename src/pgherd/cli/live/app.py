"""The application of `pgherd top`: it looks every few seconds, and does what keys say.

It draws with the terminal's own colours, takes no mouse (so text can be marked and copied as
always), and leaves the terminal as it was, however it ends.
"""

from __future__ import annotations

import asyncio
import signal
from contextlib import suppress
from dataclasses import replace
from typing import Any, ClassVar

from textual.app import App
from textual.binding import Binding, BindingType

from pgherd.cli.live.drawing import Style
from pgherd.cli.live.gathering import Found, Gathering
from pgherd.cli.live.screens import DatabaseScreen, FleetScreen, HelpScreen, Shown
from pgherd.errors import PgherdError
from pgherd.report import top_words
from pgherd.report.top import Order, Picked

TERMINATED = 143

_STYLE = """
Screen { background: ansi_default; color: ansi_default; }
Screen Static { width: 100%; min-width: 10; height: auto; }
#head { height: 3; }
#rows { height: 1fr; }
#below { height: 1; }
#keys { height: 1; dock: bottom; }
#filter { height: 1; border: none; padding: 0; background: ansi_default; color: ansi_default; }
VerticalScroll { height: 1fr; scrollbar-size-vertical: 1; background: ansi_default; }
"""


class TopApp(App[int]):
    """That of one fleet, which begins with an environment or a database where one is named."""

    CSS = _STYLE
    ENABLE_COMMAND_PALETTE = False
    AUTO_FOCUS = None
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("q", "leave"),
        Binding("ctrl+c,ctrl+q", "leave", priority=True),
        Binding("ctrl+z", "suspend_process"),
        Binding("P,c", "sort('CPU')"),
        Binding("M,m", "sort('MEMORY')"),
        Binding("T,t", "sort('TRANSACTIONS')"),
        Binding("C", "sort('CLIENTS')"),
        Binding("W,w", "sort('WAITING')"),
        Binding("L,l", "sort('LAG')"),
        Binding("N,n", "sort('NAME')"),
        Binding("F,f", "sort('FILE')"),
        Binding("R,r", "reverse"),
        Binding("e", "environment"),
        Binding("space", "pause"),
        Binding("plus,plus_sign,equals_sign", "interval(1)"),
        Binding("minus", "interval(-1)"),
        Binding("s,d", "next_interval"),
        Binding("h,question_mark", "help"),
    ]

    def __init__(
        self,
        gathering: Gathering,
        *,
        target: str | None = None,
        seconds: float = 2.0,
        marks: str,
        style_of: Style,
    ) -> None:
        super().__init__(ansi_color=True)
        self.found: Found | None = None
        self.marks = marks
        self.style_of = style_of
        self.seconds = seconds
        self.is_paused = False
        self.error: BaseException | None = None
        self._gathering = gathering
        self._database = target if target and "/" in target else None
        self.picked = Picked(environment=target.partition("/")[0] if target else None)
        self._trouble = ""
        self._wake = asyncio.Event()

    def on_mount(self) -> None:
        """Begin to look."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, lambda: self.exit(TERMINATED, TERMINATED))
        self.push_screen(FleetScreen())
        if self._database:
            self.push_screen(DatabaseScreen(self._database))
        self.run_worker(self._gathering.follow(self._wake.set), exit_on_error=False)
        self.run_worker(self._look(), exit_on_error=False)

    @property
    def notice(self) -> str:
        """What the user has chosen, or why there is nothing new."""
        words = [top_words.chosen(self.picked), f"every {self.seconds:g} s"]
        if self.is_paused:
            words.append("PAUSED: Space goes on")
        if self._trouble:
            words.append(self._trouble)
        return "; ".join(words)

    async def _look(self) -> None:
        """Again and again; while it stands still nothing is asked for."""
        try:
            while True:
                if not self.is_paused:
                    await self._look_once()
                self._wake.clear()
                with suppress(TimeoutError):
                    async with asyncio.timeout(self.seconds):
                        await self._wake.wait()
        except Exception as error:
            self.error = error
            self.exit(1, 1)

    async def _look_once(self) -> None:
        try:
            found = await self._gathering.look()
        except PgherdError as error:
            self._trouble = error.message
        else:
            self._trouble = ""
            if self.is_paused:
                return
            self.found = found
        self.show()

    def show(self) -> None:
        """Draw anew."""
        if isinstance(self.screen, Shown):
            self.screen.show()

    def pick(self, **changes: Any) -> None:
        """Show other rows."""
        self.picked = replace(self.picked, **changes)
        self.show()

    def action_leave(self) -> None:
        """End it."""
        self.exit(0)

    def action_sort(self, order: str) -> None:
        """Sort anew."""
        self.picked = self.picked.by(Order[order])
        self.show()

    def action_reverse(self) -> None:
        """The other way round."""
        self.pick(is_reversed=not self.picked.is_reversed)

    def action_environment(self) -> None:
        """The next one."""
        if self.found:
            self.picked = self.picked.next_environment(self.found.environments)
            self.show()

    def action_pause(self) -> None:
        """Stand still, or go on."""
        self.is_paused = not self.is_paused
        self._wake.set()
        self.show()

    def action_interval(self, step: int) -> None:
        """Look less often, or more."""
        self.seconds = top_words.interval_after(self.seconds, step)
        self._wake.set()
        self.show()

    def action_next_interval(self) -> None:
        """The next of them."""
        self.seconds = top_words.next_interval(self.seconds)
        self._wake.set()
        self.show()

    def action_help(self) -> None:
        """Show all keys."""
        self.push_screen(HelpScreen())
