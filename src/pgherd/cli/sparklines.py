"""The marks of sparklines, as the terminal has them."""

from __future__ import annotations

import os
import sys

from pgherd.report import sparkline


def screen_marks() -> str:
    """Those that stdout can show."""
    terminal = os.environ.get("TERM", "") if sys.stdout.isatty() else "xterm"
    return sparkline.marks(sys.stdout.encoding or "", terminal)
