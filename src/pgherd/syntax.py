"""Syntax trees of Python, one at a time, whoever asks."""

from __future__ import annotations

import ast
from threading import Lock

_PARSING = Lock()


def parsed(source: str | bytes, name: str = "<unknown>") -> ast.Module:
    """The syntax tree; SyntaxError where there is none. `name` is the file's, for that error.

    CPython up to 3.11.4 counts the depth of all threads' trees together, and then fails with "AST
    constructor recursion depth mismatch" (its issue 106905).
    """
    with _PARSING:
        return ast.parse(source, name)
