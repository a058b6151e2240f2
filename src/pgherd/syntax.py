"""Syntax trees of Python, one at a time, whoever asks."""

from __future__ import annotations

import ast
import gc
from threading import Lock

_PARSING = Lock()


def parsed(source: str | bytes, name: str = "<unknown>") -> ast.Module:
    """The syntax tree; SyntaxError where there is none. `name` is the file's, for that error.

    CPython up to 3.11.7 counts the depth of all trees together that are made at the same time, and
    then fails with "AST constructor recursion depth mismatch" (its issue 106905). Two can be made
    at the same time only where the collector of garbage runs in between: it lets another thread
    go on, and what it finalizes may make a tree itself, as a logged traceback does.
    """
    with _PARSING:
        was_collecting = gc.isenabled()
        gc.disable()
        try:
            return ast.parse(source, name)
        finally:
            if was_collecting:
                gc.enable()
